#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Turns Google Benchmark's JSON into a markdown table, and into a record that can be committed.

    report.py run.json                  prints the table
    report.py run.json --record out.json   also writes the run without this machine's name and paths

Runs made with --benchmark_repetitions show the median over the repetitions and the spread
(largest - smallest) / median of the times; other runs show the single figure and no spread.
"""

import argparse
import json
import statistics
import sys

STANDARD_FIELDS = {
    "name", "family_index", "per_family_instance_index", "run_name", "run_type", "repetitions", "repetition_index", "threads",
    "iterations", "real_time", "cpu_time", "time_unit", "error_occurred", "error_message", "label", "aggregate_name",
    "aggregate_unit", "items_per_second", "bytes_per_second",
}
NANOSECONDS = {"ns": 1.0, "us": 1e3, "ms": 1e6, "s": 1e9}


def rows(run):
    """One dict a benchmark: its name, times in ns over the repetitions, and its counters' medians."""
    by_name = {}
    for entry in run["benchmarks"]:
        by_name.setdefault(entry["run_name"], []).append(entry)
    for name, entries in by_name.items():
        failed = [entry["error_message"] for entry in entries if entry.get("error_occurred")]
        if failed:
            yield {"name": name, "error": failed[0]}
            continue
        counters = [key for key in entries[0] if key not in STANDARD_FIELDS]
        yield {
            "name": name,
            "times": [entry["real_time"] * NANOSECONDS[entry["time_unit"]] for entry in entries],
            "counters": {key: statistics.median(entry[key] for entry in entries) for key in counters},
        }


def short_name(name):
    """Without what Google Benchmark appends: arguments, minimum times, kinds of clock."""
    kept = [part for part in name.split("/") if not part.isdigit() and ":" not in part and part != "manual_time"]
    return "/".join(kept)


def figure(value):
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.3g}"


def table(run):
    all_rows = list(rows(run))
    counters = []
    for row in all_rows:
        counters += [key for key in row.get("counters", {}) if key not in counters]
    counters.sort(key=lambda key: key.startswith("vs_"))
    lines = ["| benchmark | time, us | spread | " + " | ".join(counters) + " |", "|---|---:|---:|" + "---:|" * len(counters)]
    for row in all_rows:
        if "error" in row:
            lines.append(f"| {short_name(row['name'])} | failed: {row['error']} |" + " |" * (len(counters) + 1))
            continue
        middle = statistics.median(row["times"])
        spread = f"{(max(row['times']) - min(row['times'])) / middle:.0%}" if len(row["times"]) > 1 else ""
        cells = [figure(row["counters"][key]) if key in row["counters"] else "" for key in counters]
        lines.append(f"| {short_name(row['name'])} | {figure(middle / 1e3)} | {spread} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def heading(run):
    context = run["context"]
    parts = [context[key] for key in ("date", "processor", "compiler", "instructions") if key in context]
    parts.append(f"load average {context['load_avg'][0]:.1f}" if context.get("load_avg") else "load unknown")
    return ", ".join(parts)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", help="what --benchmark_out wrote")
    parser.add_argument("--record", metavar="FILE", help="also write the run without host name and paths")
    arguments = parser.parse_args()
    with open(arguments.run, encoding="utf-8") as file:
        run = json.load(file)
    for key in ("host_name", "executable"):
        run["context"].pop(key, None)
    # What the repetitions say can be worked out from them again.
    run["benchmarks"] = [entry for entry in run["benchmarks"] if entry.get("run_type") != "aggregate"]
    if arguments.record:
        with open(arguments.record, "w", encoding="utf-8") as file:
            json.dump(run, file, indent=1)
            file.write("\n")
    print(heading(run))
    print()
    print(table(run))
    return 0


if __name__ == "__main__":
    sys.exit(main())
