#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Draws the report of the checkpoint example: SQNR of every tensor, and how often each code was used.

    quaver_checkpoint ... --report report.json
    build/venv/bin/python tools/report_plot.py report.json report.svg [--png report.png]

The same report gives the same SVG bytes. A model of more than --bars matrices gets one bar a layer (the median, with the
lowest and the highest tensor as whiskers) instead of one a tensor.
"""

import argparse
import json
import pathlib
import re
import statistics
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt  # noqa: E402: the backend must be chosen first

# Mantissa bits and exponent bias of every format that a report may be about; all others of its bits are exponent bits.
MANTISSA_AND_BIAS = {
    "e4m3": (3, 7),
    "e5m2": (2, 15),
    "e4m3fnuz": (3, 8),
    "e5m2fnuz": (2, 16),
    "e4m3b11fnuz": (3, 11),
    "e4m3ieee": (3, 7),
    "e3m4": (4, 3),
    "binary8p3": (2, 16),
    "binary8p4": (3, 8),
    "e2m3": (3, 1),
    "e3m2": (2, 3),
    "e2m1": (1, 1),
}
WIDTH = {"e2m3": 6, "e3m2": 6, "e2m1": 4}  # the others have 8 bits
POSITIVE, NEGATIVE, SQNR = "#2a6f97", "#c8553d", "#2a6f97"


def layer_of(name: str) -> str:
    """"encoder.layer.3" of "encoder.layer.3.output.dense.weight"; the whole name where no number says the layer."""
    match = re.match(r"(.*?\.\d+)\.", name)
    return match.group(1) if match else name.removesuffix(".weight")


def bars_of(tensors: list, most: int) -> list:
    """(label, height, lowest, highest) from the first tensor to the last. A tensor without loss has no SQNR in JSON."""
    known = [(t["name"], t["sqnr_db"]) for t in tensors if t["sqnr_db"] is not None]
    if len(known) <= most:
        return [(name.removesuffix(".weight"), sqnr, sqnr, sqnr) for name, sqnr in known]
    layers = {}
    for name, sqnr in known:
        layers.setdefault(layer_of(name), []).append(sqnr)
    return [(layer, statistics.median(values), min(values), max(values)) for layer, values in layers.items()]


def draw_sqnr(axes, bars: list) -> None:
    rows = range(len(bars))
    heights = [height for _, height, _, _ in bars]
    whiskers = [[h - low for _, h, low, _ in bars], [high - h for _, h, _, high in bars]]
    spread = any(low != high for _, _, low, high in bars)
    axes.barh(rows, heights, height=0.72, color=SQNR, xerr=whiskers if spread else None, ecolor="#444444")
    axes.set_yticks(rows, [label for label, *_ in bars], fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(min(0.0, *heights), max(high for *_, high in bars) * 1.1)
    axes.set_ylim(len(bars) - 0.4, -0.6)
    for row, (_, height, _, high) in zip(rows, bars):
        axes.annotate(f"{height:.2f}", (high, row), xytext=(4, 0), textcoords="offset points", va="center", fontsize=8)
    axes.set_xlabel("SQNR, dB" + (" (median of the layer, whiskers to its lowest and highest tensor)" if spread else ""))


def draw_codes(axes, histogram: list, format_name: str) -> None:
    """Positive codes upwards, negative ones downwards, so that a symmetric tensor looks symmetric."""
    width = WIDTH.get(format_name, 8)
    half, total = 1 << (width - 1), sum(histogram)
    share = [100.0 * count / total for count in histogram]
    axes.bar(range(half), share[:half], width=0.9, color=POSITIVE, label=f"positive, codes 00 to {half - 1:02X}")
    axes.bar(
        range(half),
        [-s for s in share[half : 2 * half]],
        width=0.9,
        color=NEGATIVE,
        label=f"negative, codes {half:02X} to {2 * half - 1:02X}",
    )
    axes.axhline(0, color="#444444", linewidth=0.6)
    mantissa, bias = MANTISSA_AND_BIAS[format_name]
    binades = half >> mantissa
    ticks = range(0, binades, max(1, binades // 16))  # 16 labels fit
    axes.set_xticks([k << mantissa for k in ticks], [f"$2^{{{k - bias}}}$" if k else "0" for k in ticks])
    axes.set_xlabel("magnitude before the scale is undone")
    axes.set_xlim(-0.008 * half - 0.5, half)
    axes.yaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")
    axes.set_ylabel("share of all values, %")
    used = sum(1 for count in histogram if count)
    axes.set_title(f"{used} of {2 * half} codes used by {total:,} values", fontsize=10, loc="left")
    axes.legend(fontsize=8, frameon=False, ncols=2, loc="lower right", bbox_to_anchor=(1, 0.985))  # off the bars


def draw(report: dict, most: int):
    tensors = report["tensors"]
    bars = bars_of(tensors, most)
    histogram = [sum(counts) for counts in zip(*(t["code_histogram"] for t in tensors))]
    if not bars or len(histogram) != 256 or not sum(histogram):
        raise ValueError("the report holds no quantised tensor with an SQNR and 256 code counts")
    upper, lower = 0.9 + 0.19 * len(bars), 3.6
    figure, axes = plt.subplots(
        2, 1, figsize=(10, upper + lower), layout="constrained", gridspec_kw={"height_ratios": [upper, lower]}
    )
    for panel in axes:
        panel.spines[["top", "right"]].set_visible(False)
    draw_sqnr(axes[0], bars)
    draw_codes(axes[1], histogram, report["format"])
    stored = "measured only" if report["dialect"] == "none" else f"{report['dialect']} checkpoint"
    figure.suptitle(f"{report['format']}, scale layout {report['layout']}, {stored}", fontsize=12)
    return figure


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("report", type=pathlib.Path, help="what quaver_checkpoint --report wrote")
    parser.add_argument("svg", type=pathlib.Path)
    parser.add_argument("--png", type=pathlib.Path, help="draw this file too")
    parser.add_argument("--bars", type=int, default=64, help="most tensors to draw one by one (default: %(default)s)")
    arguments = parser.parse_args()
    # Without these two, matplotlib puts random identifiers and the date into an SVG.
    matplotlib.rcParams["svg.hashsalt"] = "quaver"
    try:
        figure = draw(json.loads(arguments.report.read_text(encoding="utf-8")), arguments.bars)
        figure.savefig(arguments.svg, metadata={"Date": None})
        if arguments.png:
            figure.savefig(arguments.png, dpi=150)
    except (OSError, ValueError, KeyError) as error:
        print(f"report_plot: {arguments.report}: {error!r}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
