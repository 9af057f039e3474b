"""The chart of the ratios: a line for each job, a mark for each peer, on a logarithmic scale."""

from __future__ import annotations

from pathlib import Path

from benchmarks.table import PeerRow

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
