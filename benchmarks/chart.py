"""The charts of the ratios, on a logarithmic scale: of the peers, and of what the README shows."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.table import PeerRow, Row, times

UInt8 = NDArray[np.uint8]

# Colours that colour-blind readers can tell apart (Okabe and Ito), and shapes. The background is
# white, as the chart is also shown on dark pages.
MARKS = {
    "pycocotools": ("#0072B2", "o"),
    "faster-coco-eval": ("#E69F00", "s"),
    "hotcoco": ("#009E73", "D"),
    "rlemasklib": ("#CC3377", "^"),
    "ultrafast-pycocotools": ("#56B4E9", "v"),
}
INK = "#24292f"
FAINT = "#d0d7de"
SLOWER = "#f3f4f6"
LINE_INCHES = 0.25
WIDEST_WITH_STEPS = 40_000


def draw(rows: list[PeerRow], names: list[str], size: tuple[int, int], file: Path) -> None:
    """Draw how many times as fast as each peer mtfast is, on a logarithmic scale."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.6, LINE_INCHES * len(rows) + 1.5), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.15)
    axes = figure.add_subplot()
    lines = range(len(rows))
    found = {name: [row.ratio(name) for row in rows] for name in names}
    ratios = [ratio for some in found.values() for ratio in some if ratio is not None]
    low, high = min(0.5, *ratios) / 1.3, max(2, *ratios) * 1.3
    axes.axvspan(low, 1, color=SLOWER, zorder=0)
    axes.axvline(1, color=INK, linewidth=1, zorder=1)
    for line in lines:
        reached = [some[line] for some in found.values() if some[line] is not None]
        axes.hlines(line, min(1, *reached), max(1, *reached), color=FAINT, zorder=1)
    for name, some in found.items():
        colour, shape = MARKS[name]
        at = [line for line in lines if some[line] is not None]
        axes.scatter(
            [some[line] for line in at],
            at,
            s=38,
            color=colour,
            marker=shape,
            edgecolor="white",
            linewidth=0.6,
            label=name,
            zorder=3,
        )
    # More tick labels than these would overlap.
    steps = (1, 2, 5) if high / low < WIDEST_WITH_STEPS else (1,)
    ticks = [s * 10.0**power for power in range(-4, 6) for s in steps]
    ticks = [t for t in ticks if low < t < high]
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.set_xticks(ticks, [f"{t:,g}x" for t in ticks])
    axes.set_xticks([], minor=True)
    axes.set_yticks(lines, [row.job for row in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.tick_params(colors=INK, length=0, labelsize=9.5)
    axes.grid(axis="x", color=FAINT, linewidth=0.6, zorder=0)
    axes.set_axisbelow(True)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("how many times as fast mtfast.mask is (slower left of 1x)", color=INK)
    figure.legend(
        *axes.get_legend_handles_labels(),
        loc="outside upper center",
        ncols=len(names),
        frameon=False,
        labelcolor=INK,
        title=f"mtfast.mask compared with its peers, frames of {size[0]} x {size[1]} pixels",
        title_fontproperties={"size": 12, "weight": "bold"},
    )
    figure.savefig(file, dpi=144, facecolor="white")


# The rows of benchmarks.ratios that the README shows, by how job and baseline begin.
SHOWN = {
    ("paint a mask", "pycocotools"): "paint a semantic mask from RLE\nbeside a pycocotools loop",
    ("RLE of", "pycocotools"): "RLE of a set to stored masks, 2 cores\nbeside pycocotools and PNG",
    ("convert", "decode"): "images and masks to Zarr, 2 cores\nbeside decoding and rewriting",
    ("read a random mask", "cv2"): "read a random mask\nbeside a PNG file, cv2",
    ("a random window of 512", ""): "a window of 512 px of a JPEG\nbeside the whole image, cut",
    ("read a COCO file", "pycocotools"): "read a COCO file\nbeside pycocotools",
}


def draw_showcase(rows: list[Row], outlined: UInt8, mask: UInt8, file: Path) -> None:
    """Draw what the README opens with: an image with outlines beside its mask, above six ratios.

    Parameters
    ----------
    rows : list of Row
        Of benchmarks.ratios.
    outlined, mask : (h, w, 3) uint8
        RGB, of one size.
    file : Path
        PNG.
    """
    import matplotlib

    matplotlib.use("agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.6, 6.4), layout="constrained")
    pictures, bars = figure.subfigures(2, 1, height_ratios=(1.2, 1))
    titles = ("an image and its instances, kept as RLE", "its semantic mask, painted from them")
    for axes, title, pixels in zip(pictures.subplots(1, 2), titles, (outlined, mask), strict=True):
        axes.imshow(pixels, interpolation="lanczos")
        axes.set_title(title, fontsize=10, color=INK)
        axes.set_axis_off()
    shown = [(label, _row_of(rows, *begins)) for begins, label in SHOWN.items()]
    _draw_bars(bars.subplots(), shown)
    file.parent.mkdir(parents=True, exist_ok=True)
    drawn = BytesIO()
    figure.savefig(drawn, dpi=140, facecolor="white")
    # A third of the bytes in a repository.
    Image.open(drawn).convert("RGB").quantize(256).save(file, "PNG", optimize=True)


def _row_of(rows: list[Row], job: str, baseline: str) -> Row:
    return next(r for r in rows if r.job.startswith(job) and r.baseline.startswith(baseline))


def _draw_bars(axes: Any, shown: list[tuple[str, Row]]) -> None:
    shown = sorted(shown, key=lambda pair: -pair[1].times_as_fast)
    lines = range(len(shown))
    ratios = [row.times_as_fast for _, row in shown]
    axes.barh(lines, ratios, color="#0072B2", height=0.55)
    for line, ratio in zip(lines, ratios, strict=True):
        axes.annotate(
            times(ratio),
            (ratio, line),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize=10,
            fontweight="bold",
            color=INK,
        )
    axes.set_xscale("log")
    axes.set_xlim(1, max(ratios) * 1.8)
    axes.set_xticks([])
    axes.set_xticks([], minor=True)
    axes.set_yticks(lines, [label for label, _ in shown], fontsize=9, color=INK)
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_title("times as fast as the ordinary way, logarithmic", fontsize=10, color=INK)
