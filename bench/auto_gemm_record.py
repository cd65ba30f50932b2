#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes include/quaver/adapters/auto_gemm_record.hpp, by which auto_gemm chooses between its engines.

    python3 bench/auto_gemm_record.py                          from the newest docs/performance/*-h100-wgmma.json and *-h100-gemm-small.json
    python3 bench/auto_gemm_record.py one.json other.json ...  from these

The files are runs of bench/cuda_gemm_bench.cu (--benchmark_filter=wgmma), recorded by report.py. Rows wgmma/<kind>/<M>x<N>x<K>
count, each by the median of its repetitions' vs_cublaslt, where it has one; of a shape that is in several files the
last one's. The header names the files, the card and the date.
"""

import argparse
import json
import pathlib
import re
import statistics
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
HEADER = ROOT / "include/quaver/adapters/auto_gemm_record.hpp"
KINDS = {
    "tensor_fast": "tensor_fast",
    "tensor_strict": "tensor_strict",
    "rows_fast": "rows_fast",
    "rows_strict": "rows_strict",
    "1x128_128x128": "blocks",
}
ROW = re.compile(r"^wgmma/(?P<kind>[^/]+)/(?P<m>\d+)x(?P<n>\d+)x(?P<k>\d+)(/|$)")

TEXT = """// SPDX-License-Identifier: MIT
#ifndef QUAVER_ADAPTERS_AUTO_GEMM_RECORD_HPP
#define QUAVER_ADAPTERS_AUTO_GEMM_RECORD_HPP

#include <quaver/adapters/auto_gemm_choice.hpp>

// Written by bench/auto_gemm_record.py; not to be edited. From
{sources}

QUAVER_BEGIN_NAMESPACE

inline constexpr char gemm_record_card[] = "{card}";
inline constexpr char gemm_record_date[] = "{date}";

// clang-format off
inline constexpr gemm_measurement gemm_record[] = {{
{rows}
}};
// clang-format on

QUAVER_END_NAMESPACE

#endif
"""


def newest(pattern):
    files = sorted((ROOT / "docs/performance").glob(pattern))
    if not files:
        sys.exit(f"no docs/performance/{pattern}")
    return files[-1]


def measurements(run):
    """The medians of the ratios by (kind, M, N, K)."""
    ratios = {}
    for entry in run["benchmarks"]:
        found = ROW.match(entry["name"])
        if not found or found["kind"] not in KINDS or entry.get("error_occurred") or "vs_cublaslt" not in entry:
            continue
        if entry.get("run_type") == "aggregate":
            continue
        key = (KINDS[found["kind"]], int(found["m"]), int(found["n"]), int(found["k"]))
        ratios.setdefault(key, []).append(entry["vs_cublaslt"])
    return {key: statistics.median(values) for key, values in ratios.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", type=pathlib.Path, help="what report.py --record wrote")
    parser.add_argument("--output", type=pathlib.Path, default=HEADER)
    arguments = parser.parse_args()
    runs = arguments.runs or [newest("*-h100-wgmma.json"), newest("*-h100-gemm-small.json")]
    table, sources, cards, dates = {}, [], [], []
    for path in runs:
        run = json.loads(path.read_text(encoding="utf-8"))
        context = run["context"]
        found = measurements(run)
        if not found:
            sys.exit(f"{path}: no rows wgmma/<kind>/<M>x<N>x<K> with vs_cublaslt")
        table.update(found)
        card = context.get("card") or context.get("processor") or ""
        date = context["date"][:10]
        cards.append(card)
        dates.append(date)
        path = path.resolve()
        shown = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path.name
        sources.append(f"//   {shown}: {date}, {len(found)} rows{', ' + card if card else ''}")
    order = list(KINDS.values())
    keys = sorted(table, key=lambda key: (order.index(key[0]), *key[1:]))
    rows = "\n".join(f"    {{measured_kind::{kind}, {m}, {n}, {k}, {table[kind, m, n, k]:.4f}f}}," for kind, m, n, k in keys)
    card = next((card for card in cards if card), "a card that the runs do not name")
    text = TEXT.format(sources="\n".join(sources), card=card.replace('"', "'"), date=max(dates), rows=rows)
    arguments.output.write_text(text, encoding="utf-8")
    print(f"{arguments.output}: {len(keys)} rows, wgmma the faster in {sum(table[key] >= 1 for key in keys)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
