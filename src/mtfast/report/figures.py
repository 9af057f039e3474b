"""The figures of a split, drawn by matplotlib, which nothing else imports."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from importlib.util import find_spec
from io import BytesIO, StringIO
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL import Image

from mtfast.dataset import CategorySummary
from mtfast.errors import MtfastError, counted
from mtfast.pictures.palette import PALETTE, class_colours
from mtfast.report.instances import SplitInstances

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Panel", "draw_picture", "draw_svg", "panels_of", "require_matplotlib"]

# The thresholds of the published annotation files, in pixels.
THRESHOLDS = (200, 300)
# With more classes, bars are left out, all areas have one colour, and cells have no numbers.
MAX_BARS, MAX_COLOURS, MAX_NUMBERS = 20, len(PALETTE), 12

INCHES = (4.4, 3.1)
INK, FAINT, PLAIN = "#28292e", "#7d8086", "#3f7fb5"

_STYLE = {
    "font.size": 9,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "figure.facecolor": "white",
    "svg.fonttype": "none",
    # Equal data give equal files.
    "svg.hashsalt": "mtfast",
    "text.color": INK,
    # Names of classes are data.
    "text.parse_math": False,
    "xtick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.color": FAINT,
    "ytick.labelcolor": INK,
}


class Panel(NamedTuple):
    """A figure.

    Attributes
    ----------
    title : str
    caption : str
        What it says, in words.
    draw : callable
        Draws it into matplotlib axes.
    """

    title: str
    caption: str
    draw: Callable[[Axes], None]


def require_matplotlib() -> None:
    """Check that matplotlib is installed.

    Raises
    ------
    MtfastError
        If it is not; the message has the command that installs it.
    """
    if find_spec("matplotlib") is None:
        raise MtfastError(
            "plots need matplotlib; expected it to be installed; run: pip install 'mtfast[plots]'"
        )


def panels_of(split: SplitInstances, um2_per_px: float | None) -> list[Panel]:
    """Return the figures of a split.

    Parameters
    ----------
    split : SplitInstances
    um2_per_px : float, optional
        Area of a pixel in square micrometres; adds an axis to the areas.

    Returns
    -------
    list of Panel
    """
    return [
        _classes(split),
        _areas(split, um2_per_px),
        _per_image(split),
        _coverage(split),
        _co_occurrence(split),
    ]


def draw_svg(panel: Panel) -> str:
    """Draw one figure for a page.

    Parameters
    ----------
    panel : Panel

    Returns
    -------
    str
        An ``<svg>`` element; equal data give equal text.
    """
    with _style():
        figure = _figure(INCHES)
        panel.draw(figure.subplots())
        out = StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None})
    text = out.getvalue()
    return text[text.index("<svg") :]


def draw_picture(panels: Sequence[Panel], title: str) -> Image.Image:
    """Draw figures side by side, three in a row, as one picture.

    Parameters
    ----------
    panels : sequence of Panel
    title : str

    Returns
    -------
    PIL.Image.Image
        RGB.
    """
    n_rows = -(-len(panels) // 3)
    with _style():
        figure = _figure((3 * INCHES[0], n_rows * INCHES[1] + 0.4))
        figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
        places = list(figure.subplots(n_rows, 3, squeeze=False).flat)
        for place, panel in zip(places, panels, strict=False):
            panel.draw(place)
            place.set_title(panel.title, pad=14)
        for place in places[len(panels) :]:
            place.axis("off")
        out = BytesIO()
        figure.savefig(out, format="png", dpi=140)
    return Image.open(out).convert("RGB")


def _style() -> AbstractContextManager[None]:
    import matplotlib as mpl

    context: AbstractContextManager[None] = mpl.rc_context(_STYLE)
    return context


def _figure(inches: tuple[float, float]) -> Figure:
    # Without pyplot: no windows, and no global state.
    from matplotlib.figure import Figure

    return Figure(inches, layout="constrained")


def _classes(split: SplitInstances) -> Panel:
    colours = class_colours(split.table)
    shown = _most_frequent(split)
    left_out = len(split.categories) - len(shown)

    def draw(ax: Axes) -> None:
        names = [_short(c.name) for c in shown]
        counts = [c.n_instances for c in shown]
        bars = ax.barh(range(len(shown)), counts, color=[_hex(colours[c.id]) for c in shown])
        ax.bar_label(bars, [f"{n:,}" for n in counts], padding=3, fontsize=8)
        ax.set_yticks(range(len(shown)), names)
        ax.invert_yaxis()
        ax.margins(x=0.15)
        ax.set_xlabel("instances")
        ax.xaxis.set_major_locator(_whole_numbers())
        ax.xaxis.set_major_formatter("{x:,.0f}")

    caption = (
        f"{counted(split.table.n_instances, 'instance')} of "
        f"{counted(len(split.categories), 'class', 'classes')}"
    )
    return Panel(
        "Instances of each class",
        f"{caption}, the {MAX_BARS} most frequent." if left_out else f"{caption}.",
        draw,
    )


def _areas(split: SplitInstances, um2_per_px: float | None) -> Panel:
    areas = split.areas
    seen = areas[areas > 0]
    caption = ""
    if areas.size:
        shares = ", ".join(f"{np.mean(areas > px):.0%} more than {px}" for px in THRESHOLDS)
        caption = f"Half have {np.median(areas):,.0f} pixels or more; {shares}."
    if seen.size < areas.size:
        caption += (
            f" {counted(areas.size - seen.size, 'empty one is', 'empty ones are')} not shown."
        )

    def draw(ax: Axes) -> None:
        if not seen.size:
            _nothing(ax)
            return
        # Edges at half integers, so that bins of small areas hold equally many whole numbers.
        edges = np.unique(np.geomspace(seen.min(), seen.max() + 1, 41).round()) - 0.5
        edges = np.append(edges[edges < seen.max()], seen.max() + 0.5)
        colours = class_colours(split.table)
        if len(colours) <= MAX_COLOURS:
            classes = split.table.category_ids
            stacks = [areas[(classes == c) & (areas > 0)] for c in colours]
            ax.hist(stacks, edges, stacked=True, color=[_hex(c) for c in colours.values()])
        else:
            ax.hist(seen, edges, color=PLAIN)
        ax.set_xscale("log")
        _plain_log(ax)
        ax.set_xlabel("area in pixels")
        ax.set_ylabel("instances")
        ax.yaxis.set_major_formatter("{x:,.0f}")
        # Space for the labels of the thresholds.
        ax.set_ylim(top=1.12 * ax.get_ylim()[1])
        for px, side in zip(THRESHOLDS, ("right", "left"), strict=True):
            ax.axvline(px, color=INK, linestyle="--", linewidth=0.8)
            ax.annotate(
                f" {px} ", (px, 0.98), xycoords=("data", "axes fraction"), ha=side, va="top",
                fontsize=8,
            )  # fmt: skip
        if um2_per_px is not None:
            um2 = ax.secondary_xaxis(
                "top", functions=(lambda px: px * um2_per_px, lambda um2: um2 / um2_per_px)
            )
            um2.set_xlabel("area in µm²")
            _plain_log(um2)

    return Panel("Area of the instances", caption, draw)


def _per_image(split: SplitInstances) -> Panel:
    counts = split.n_per_image

    def draw(ax: Axes) -> None:
        top = int(counts.max(initial=0))
        edges = np.arange(-0.5, top + 1) if top <= 40 else np.linspace(-0.5, top + 0.5, 41)
        ax.hist(counts, edges, color=PLAIN, rwidth=0.9)
        ax.xaxis.set_major_locator(_whole_numbers())
        _label_images(ax, "instances in an image")

    caption = (
        f"{counts.mean():.1f} on average, {counts.max():,} at most; "
        f"{np.count_nonzero(counts == 0):,} of "
        f"{counted(counts.size, 'image has', 'images have')} none."
        if counts.size
        else ""
    )
    return Panel("Instances in an image", caption, draw)


def _coverage(split: SplitInstances) -> Panel:
    percent = 100 * split.coverage

    def draw(ax: Axes) -> None:
        ax.hist(percent, np.linspace(0, max(percent.max(initial=0), 1e-3), 41), color=PLAIN)
        _label_images(ax, "% of the image in a mask")

    caption = (
        f"Half of the images are covered to {np.median(percent):.2g} % or more, "
        f"one to {percent.max():.3g} %; overlaps count once."
        if percent.size
        else ""
    )
    return Panel("Coverage", caption, draw)


def _co_occurrence(split: SplitInstances) -> Panel:
    shown = _most_frequent(split)
    together = split.co_occurrence([c.id for c in shown])

    def draw(ax: Axes) -> None:
        if not shown:
            _nothing(ax)
            return
        n_images = np.diag(together)
        percent = 100 * together / np.maximum(n_images, 1)[:, None]
        ax.imshow(percent, cmap="Blues", vmin=0, vmax=200, aspect="auto")
        names = [_short(c.name) for c in shown]
        rows = [f"{name} ({n:,})" for name, n in zip(names, n_images.tolist(), strict=True)]
        ax.set_yticks(range(len(shown)), rows)
        ax.set_xticks(range(len(shown)), names, rotation=45, ha="right", rotation_mode="anchor")
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        for place in np.ndindex(percent.shape) if len(shown) <= MAX_NUMBERS else ():
            ax.text(*place[::-1], f"{percent[place]:.0f}", ha="center", va="center", size=8)

    return Panel(
        "Classes in the same image",
        "Of the images with the class of the row, whose number is beside it, how many % also have "
        "the class of the column.",
        draw,
    )


def _most_frequent(split: SplitInstances) -> list[CategorySummary]:
    """Return up to MAX_BARS classes, in ascending order of their ids."""
    most = sorted(split.categories, key=lambda c: -c.n_instances)[:MAX_BARS]
    return [c for c in split.categories if c in most]


def _label_images(ax: Axes, what: str) -> None:
    """Label the axes of a histogram that counts images."""
    ax.set_xlabel(what)
    ax.set_ylabel("images")
    ax.yaxis.set_major_locator(_whole_numbers())
    ax.yaxis.set_major_formatter("{x:,.0f}")


def _plain_log(ax: Any) -> None:
    """Write 1,000 at an axis rather than a power of ten."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    ax.xaxis.set_major_locator(LogLocator(numticks=7))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:,.0f}" if x >= 1 else f"{x:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())


def _whole_numbers() -> Any:
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(integer=True, nbins=6)


def _nothing(ax: Axes) -> None:
    ax.axis("off")
    ax.text(0.5, 0.5, "no instances", ha="center", color=FAINT, transform=ax.transAxes)


def _short(name: str) -> str:
    return name if len(name) <= 18 else f"{name[:17]}…"


def _hex(colour: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
