#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Draws the records of the GEMM benchmarks: docs/images/gemm_large.svg, gemm_small.svg and grouped.svg.

    python3 bench/gemm_plot.py                          from the newest *-h100-wgmma.json, *-h100-gemm-small.json and
                                                        *-h100-grouped.json of docs/performance, by the dates in their names
    python3 bench/gemm_plot.py one.json other.json ...  from these; pictures of which they have no row are left alone

The files are runs of bench/cuda_gemm_bench.cu and bench/cuda_grouped_gemm_bench.cu, recorded by report.py. Rows
wgmma/<kind>/<M>x<N>x<K> and <contiguous or masked>/<groups>x<mean size>/<N>x<K> count, each by the medians over its
repetitions; of a shape that is in several files the last one's. All other rows are ignored. The peer's figure is ours and
the counter vs_<peer>. The same records give the same bytes.
"""

import argparse
import html
import json
import math
import pathlib
import re
import statistics
import sys

from report import short_name

ROOT = pathlib.Path(__file__).resolve().parent.parent
RECORDS = ("wgmma", "gemm-small", "grouped")
KINDS = {
    "tensor_fast": "one scale, fast",
    "rows_fast": "one scale a row, fast",
    "tensor_strict": "one scale, strict",
    "1x128_128x128": "blocks: 1x128 by 128x128",
}
GEMM = re.compile(r"wgmma/(?P<kind>[^/]+)/(?P<m>\d+)x(?P<n>\d+)x(?P<k>\d+)")
GROUPED = re.compile(r"(?P<kind>contiguous|masked)/(?P<count>\d+)x(?P<mean>\d+)/(?P<n>\d+)x(?P<k>\d+)")
MOST_ROWS_OF_SMALL = 128

# The picture's measures, in pixels of a page as wide as GitHub's.
WIDTH, HEADER, FOOTER, LEFT, GAP = 960, 66, 14, 46, 20
TITLE, PLOT, LABEL = 22, 128, 13
LINE = 16  # a line of the header or the footer
BACKGROUND, INK, FAINT, GRID = "#fcfcfb", "#1f2328", "#59636e", "#d8dcdf"
OURS, PEER = "#2a6f97", "#b9c3cb"

PICTURES = {
    "gemm_large": {
        "title": "GEMM, large shapes: TFLOP/s, taller is faster",
        "peer": "cuBLASLt, the best of its algorithms",
        "ratio": "Over each pair: cuBLASLt's time over ours",
        "none": "cuBLASLt has no kernel for it",
        "labels": "MNK",
        "columns": 1,
    },
    "gemm_small": {
        "title": "GEMM of small M: microseconds, shorter is faster",
        "peer": "cuBLASLt, the best of its algorithms",
        "ratio": "Over each pair: cuBLASLt's time over ours",
        "none": "cuBLASLt has no kernel for it",
        "labels": "MNK",
        "columns": 2,
    },
    "grouped": {
        "title": "Grouped GEMM, 1x128 by 128x128 scales: TFLOP/s, taller is faster",
        "peer": "our dense kernel, all groups of the mean size",
        "ratio": "Over each pair: the dense kernel's time for as many rows over ours",
        "none": "the dense kernel was not measured",
        "labels": "NK",
        "columns": 2,
    },
}


class BadInput(Exception):
    """What is wrong with the input, in one line."""


def newest(record):
    """The file of docs/performance with the latest date in its name."""
    name = re.compile(rf"\d{{4}}-\d\d-\d\d.*-h100-{record}\.json")
    files = sorted(path for path in (ROOT / "docs/performance").glob("*.json") if name.fullmatch(path.name))
    if not files:
        raise BadInput(f"no docs/performance/<date>-h100-{record}.json")
    return files[-1]


def load(path):
    """The runs of the file's benchmarks, without those that Google Benchmark aggregated, and the card's name."""
    try:
        run = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise BadInput(f"{path}: not JSON: {error}") from error
    entries = run.get("benchmarks") if isinstance(run, dict) else None
    if not isinstance(entries, list) or not all(isinstance(x, dict) and isinstance(x.get("name"), str) for x in entries):
        raise BadInput(f"{path}: not what Google Benchmark writes: no list `benchmarks` of rows with names")
    context = run.get("context") if isinstance(run.get("context"), dict) else {}
    card = context.get("card") or context.get("processor") or ""
    return [entry for entry in entries if entry.get("run_type") != "aggregate"], str(card)


def number(path, entry, counter, optional=False):
    value = entry.get(counter)
    if value is None and optional:
        return None
    if not isinstance(value, (int, float)) or not math.isfinite(value) or value <= 0:
        wrong = "is missing" if value is None else "is no positive number"
        raise BadInput(f"{path}: row {entry['name']}: counter {counter} {wrong}")
    return value


def place(name):
    """(picture, panel, shape) of a row, or None if it is in no picture."""
    name = short_name(name)
    if (found := GEMM.fullmatch(name)) and found["kind"] in KINDS:
        picture = "gemm_small" if int(found["m"]) <= MOST_ROWS_OF_SMALL else "gemm_large"
        return picture, KINDS[found["kind"]], (found["m"], found["n"], found["k"])
    if found := GROUPED.fullmatch(name):
        return "grouped", f"{found['kind']}, {found['count']} groups of {found['mean']}", (found["n"], found["k"])
    return None


def measurements(path):
    """By (picture, panel, shape): ours, the peer's or None, the peer's time over ours or None, the source."""
    entries, card = load(path)
    found = {}
    for entry in entries:
        key = place(entry["name"])
        if key is None:
            continue
        if entry.get("error_occurred"):
            raise BadInput(f"{path}: row {entry['name']} failed: {' '.join(str(entry.get('error_message')).split())}")
        picture, panel, shape = key
        # cuBLASLt has no 1x128 scales of A where M is no multiple of 4; an older record has no dense kernel.
        if picture == "grouped":
            ratio = number(path, entry, "vs_dense", optional=True)
        else:
            ratio = number(path, entry, "vs_cublaslt", optional=panel == KINDS["1x128_128x128"] and int(shape[0]) % 4 != 0)
        ours = number(path, entry, "us" if picture == "gemm_small" else "TFLOP/s")
        found.setdefault(key, []).append((ours, ratio))
    if not found:
        raise BadInput(f"{path}: no rows wgmma/<kind>/<M>x<N>x<K> or <contiguous or masked>/<groups>x<mean>/<N>x<K>")
    source = f"{path.name}: {card}" if card else path.name
    result = {}
    for key, repetitions in found.items():
        ours = statistics.median(ours for ours, _ in repetitions)
        ratios = [ratio for _, ratio in repetitions if ratio is not None]
        ratio = statistics.median(ratios) if ratios else None
        peer = None if ratio is None else ours * ratio if key[0] == "gemm_small" else ours / ratio
        result[key] = (ours, peer, ratio, source)
    return result


def figure(value):
    return f"{value:.0f}" if value >= 99.95 else f"{value:#.3g}"


def coordinate(value):
    return f"{value:.1f}".removesuffix(".0")


def text(x, y, words, attributes=""):
    return f'<text x="{coordinate(x)}" y="{coordinate(y)}"{attributes and " "}{attributes}>{html.escape(words)}</text>'


def tick_step(most):
    """1, 2 or 5 times a power of ten, so that there are 2 to 5 ticks."""
    power = 10 ** math.floor(math.log10(most))
    return next(step * power for step in (0.2, 0.5, 1, 2) if most / (step * power) <= 5)


def bars(boxes, colour):
    numbers = ([coordinate(value) for value in box] for box in boxes)
    path = "".join(f"M{x} {y}h{width}v{height}h-{width}z" for x, y, width, height in numbers)
    return f'<path fill="{colour}" d="{path}"/>'


def draw_panel(left, top, width, title, labels, shapes, rows, most, own_axis):
    """One panel of pairs of bars. `rows`: by shape; `most`: the figure that is as tall as bars get."""
    fits = 26  # a bar so wide has room for its figure
    bottom = top + TITLE + PLOT
    scale = (PLOT - 18) / most
    slot = width / len(shapes)
    bar = min(34, slot * 0.38)
    ratios = [row[2] for row in rows.values() if row[2] is not None]
    step = tick_step(most)
    ticks = [step * i for i in range(int(most / step) + 1)]
    lines = "".join(f"M{coordinate(left)} {coordinate(bottom - tick * scale)}h{coordinate(width)}" for tick in ticks)
    out = [f'<path stroke="{GRID}" d="{lines}"/>']
    ours_boxes, peer_boxes, ratio_boxes = [], [], []
    inside_ours, inside_peer, over, under, ticked = [], [], [], [], []
    for tick in ticks:
        ticked.append(text(left - 5, bottom - tick * scale + 3.5, f"{tick:g}"))
    for i, name in enumerate(labels):
        ticked.append(text(left - 5, bottom + LABEL * (i + 1) + 3, name))
    for at, shape in enumerate(shapes):
        middle = left + slot * (at + 0.5)
        for i, extent in enumerate(shape):
            under.append(text(middle, bottom + LABEL * (i + 1) + 3, extent))
        if shape not in rows:
            under.append(text(middle, bottom - 4, "no row"))
            continue
        ours, peer, ratio, _ = rows[shape]
        pair = ((ours, middle - bar, ours_boxes, inside_ours), (peer, middle, peer_boxes, inside_peer))
        for value, x, boxes, inside in pair:
            if value is None:
                continue
            height = value * scale
            boxes.append((x, bottom - height, bar - 0.5, height))
            if height >= 14 and bar >= fits:
                inside.append(text(x + bar / 2 - 0.2, bottom - height + 11, figure(value)))
        if ratio is None:
            under.append(text(middle + bar / 2, bottom - 4, "none"))
            continue
        shown = f"{ratio:.2f}"
        y = bottom - max(ours, peer) * scale - 5
        ratio_boxes.append((middle - 14, y - 10, 28, 12))
        over.append(text(middle, y, shown, 'font-weight="bold"' if float(shown) >= 1 else ""))
    # The ratios cover the gridlines behind them.
    drawn = ((ratio_boxes, BACKGROUND), (ours_boxes, OURS), (peer_boxes, PEER))
    out += [bars(boxes, colour) for boxes, colour in drawn if boxes]
    out.append(text(left, top + 14, title, 'font-size="13" font-weight="bold"'))
    remarks = ["own axis"] if own_axis else []
    if ratios:
        of = f" of {len(ratios)}" if len(ratios) < len(shapes) else ""
        remarks.append(f"geometric mean {statistics.geometric_mean(ratios):.2f}{of}")
    if remarks:
        out.append(text(left + width, top + 14, "; ".join(remarks), 'text-anchor="end"'))
    out += ['<g text-anchor="middle">', *over, "</g>"]
    out += ['<g text-anchor="middle" font-size="9.5" fill="#fff">', *inside_ours, "</g>"]
    out += ['<g text-anchor="middle" font-size="9.5">', *inside_peer, "</g>"]
    out += [f'<g text-anchor="middle" font-size="10" fill="{FAINT}">', *under, "</g>"]
    out += [f'<g text-anchor="end" font-size="10" fill="{FAINT}">', *ticked, "</g>"]
    return out


def draw(name, table):
    """The picture as the text of an SVG. `table`: measurements by (panel, shape)."""
    about = PICTURES[name]
    found = dict.fromkeys(panel for panel, _ in table)
    panels = list(found) if name == "grouped" else [panel for panel in KINDS.values() if panel in found]
    shapes = list(dict.fromkeys(shape for _, shape in table))
    columns = about["columns"]
    width = (WIDTH - GAP - columns * LEFT - (columns - 1) * GAP) / columns
    height = TITLE + PLOT + LABEL * len(about["labels"]) + GAP
    largest = {panel: max(max(row[0], row[1] or 0) for key, row in table.items() if key[0] == panel) for panel in panels}
    most = max(largest.values())
    peers = any(row[1] is not None for row in table.values())

    notes = []
    if any((panel, shape) not in table for panel in panels for shape in shapes):
        notes.append("no row: the record has none.")
    if any(row[1] is None for row in table.values()):
        notes.append(f"none: {about['none']}.")
    notes += dict.fromkeys(row[3] for row in table.values())
    rows_of_panels = -(-len(panels) // columns)
    total = HEADER + rows_of_panels * height + LINE * len(notes) + FOOTER

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{total}" viewBox="0 0 {WIDTH} {total}"'
        f' font-family="Arial, Helvetica, sans-serif" font-size="11" fill="{INK}">',
        f"<title>{html.escape(about['title'])}</title>",
        f'<rect width="{WIDTH}" height="{total}" rx="6" fill="{BACKGROUND}"/>',
        text(LEFT, 26, about["title"], 'font-size="17" font-weight="bold"'),
        f'<rect x="{LEFT}" y="38" width="11" height="11" fill="{OURS}"/>',
        text(LEFT + 16, 47.5, "Quaver"),
    ]
    if peers:
        out.append(f'<rect x="{LEFT + 70}" y="38" width="11" height="11" fill="{PEER}"/>')
        out.append(text(LEFT + 86, 47.5, about["peer"]))
        out.append(text(WIDTH - GAP, 47.5, f"{about['ratio']}; bold: 1.00 or more", 'text-anchor="end"'))
    for i, panel in enumerate(panels):
        alone = largest[panel] < most / 3  # too low to be read on the others' axis
        rows = {shape: row for (of, shape), row in table.items() if of == panel}
        left = LEFT + (i % columns) * (width + GAP + LEFT)
        top = HEADER + i // columns * height
        out += draw_panel(left, top, width, panel, about["labels"], shapes, rows, largest[panel] if alone else most, alone)
    for i, note in enumerate(notes):
        y = HEADER + rows_of_panels * height + LINE * i + 8
        out.append(text(LEFT, y, note, f'font-size="10" fill="{FAINT}"'))
    out.append("</svg>")
    return "\n".join(out) + "\n"


def write(pictures):
    """Writes every picture beside its place, then renames them all: none is ever half a picture."""
    beside = {path: path.with_name(path.name + ".new") for path in pictures}
    try:
        for path, content in pictures.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            beside[path].write_text(content, encoding="utf-8", newline="\n")
        for path in pictures:
            beside[path].replace(path)
    except OSError as error:
        for path in beside.values():
            try:
                path.unlink()
            except OSError:
                pass
        raise BadInput(str(error)) from error


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", type=pathlib.Path, help="what report.py --record wrote")
    parser.add_argument("--output", type=pathlib.Path, default=ROOT / "docs/images", metavar="FOLDER")
    arguments = parser.parse_args()
    try:
        # The newest last, whose rows win; of one date gemm-small's, as in auto_gemm_record.py.
        runs = arguments.runs or sorted(map(newest, RECORDS), key=lambda path: path.name[:10])
        table = {}
        for path in runs:
            table.update(measurements(path))
        pictures = {}
        for name in PICTURES:
            own = {key[1:]: row for key, row in table.items() if key[0] == name}
            if own:
                pictures[arguments.output / f"{name}.svg"] = draw(name, own)
            elif not arguments.runs:
                raise BadInput(f"{', '.join(path.name for path in runs)}: no rows for {name}.svg")
        write(pictures)
    except BadInput as error:
        sys.exit(f"gemm_plot: {error}")
    for path, content in pictures.items():
        print(f"{path}: {len(content)} bytes")
    return 0


if __name__ == "__main__":
    sys.exit(main())
