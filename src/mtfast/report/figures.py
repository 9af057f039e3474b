"""The figures of a split, drawn by matplotlib, which nothing else imports."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from importlib.util import find_spec
from io import BytesIO, StringIO
from itertools import count
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL import Image

from mtfast.dataset import CategorySummary
from mtfast.errors import MtfastError, counted
from mtfast.pictures.palette import class_colours
from mtfast.report.instances import SplitInstances
from mtfast.sources.variants import is_n_shot, threshold_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Panel", "draw_picture", "draw_svg", "panels_of", "require_matplotlib"]

# COCO calls objects small up to 32², medium up to 96² and large above, pycocotools/cocoeval.py.
SMALL, MEDIUM = 32**2, 96**2
# With more classes, the others are counted in one bar, all areas have one colour, and the others
# have no row in the matrix.
MAX_BARS, MAX_COLOURS, MAX_ROWS = 30, 8, 12
# With more bars, classes are in the order of their frequency; until then, in that of their ids.
MAX_IN_ORDER = 12

WIDTH, HEIGHT = 4.4, 3.1
# Inches of a bar, and of what is above and below all bars.
BAR, AROUND = 0.2, 0.55
INK, FAINT, PLAIN, CELL = "#28292e", "#74777d", "#3f7fb5", (63, 127, 181)

_STYLE = {
    "font.size": 9,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    # The page may be dark: it has the ground, and says what INK and FAINT are.
    "axes.facecolor": "none",
    "figure.facecolor": "none",
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
    height : float
        In inches; all are 4.4 wide.
    """

    title: str
    caption: str
    draw: Callable[[Axes], None]
    height: float = HEIGHT

    @property
    def is_high(self) -> bool:
        """Whether it takes the place of two."""
        return self.height > 1.5 * HEIGHT


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
    panels = [
        _classes(split),
        _areas(split, um2_per_px),
        _per_image(split),
        _coverage(split),
    ]
    # With one class, there is nothing to say about several.
    used = sum(c.n_instances > 0 for c in split.categories)
    return [*panels, _co_occurrence(split)] if used > 1 else panels


def draw_svg(panel: Panel, prefix: str = "") -> str:
    """Draw one figure for a page.

    Parameters
    ----------
    panel : Panel
    prefix : str
        Of the ids of its elements, which a page may have once each.

    Returns
    -------
    str
        An ``<svg>`` element, whose text has the colours ``currentColor`` and ``var(--faint)`` of
        the page; equal data give equal text.
    """
    with _style():
        figure = _figure(panel.height)
        panel.draw(figure.subplots())
        out = StringIO()
        figure.savefig(out, format="svg", metadata=dict.fromkeys(_NOT_WRITTEN))
    text = out.getvalue()
    text = text[text.index("<svg") :].replace(INK, "currentColor").replace(FAINT, "var(--faint)")
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{prefix}", text)
    return text.replace("<svg", f'<svg role="img" aria-label="{panel.title}"', 1)


# matplotlib writes no metadata at all where it has none; they are no HTML.
_NOT_WRITTEN = ("Creator", "Date", "Format", "Type")


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
    places = _places(panels)
    n_rows = max(rows.stop for rows, _ in places)
    with _style():
        figure = _figure(n_rows * HEIGHT + 0.4, 3 * WIDTH)
        figure.set_facecolor("white")
        figure.suptitle(title, x=0.01, ha="left", fontweight="bold")
        grid = figure.add_gridspec(n_rows, 3)
        for place, panel in zip(places, panels, strict=True):
            ax = figure.add_subplot(grid[place])
            panel.draw(ax)
            ax.set_title(panel.title, pad=14)
        out = BytesIO()
        figure.savefig(out, format="png", dpi=140)
    return Image.open(out).convert("RGB")


def _style() -> AbstractContextManager[None]:
    import matplotlib as mpl

    context: AbstractContextManager[None] = mpl.rc_context(_STYLE)
    return context


def _figure(height: float, width: float = WIDTH) -> Figure:
    # Without pyplot: no windows, and no global state.
    from matplotlib.figure import Figure

    return Figure((width, height), layout="constrained")


def _places(panels: Sequence[Panel]) -> list[tuple[slice, int]]:
    """Give each figure rows and a column of a grid of three columns, from the top left."""
    taken: set[tuple[int, int]] = set()
    places = []
    for panel in panels:
        row, column = next(cell for k in count() if (cell := divmod(k, 3)) not in taken)
        n_rows = 2 if panel.is_high else 1
        taken |= {(row + k, column) for k in range(n_rows)}
        places.append((slice(row, row + n_rows), column))
    return places


def _classes(split: SplitInstances) -> Panel:
    colours = class_colours(split.table)
    shown = _most_frequent(split, MAX_BARS)
    rest = [c.n_instances for c in split.categories if c not in shown]
    names = [_short(c.name) for c in shown] + ([f"and {len(rest)} more"] if rest else [])
    counts = [c.n_instances for c in shown] + ([sum(rest)] if rest else [])
    fills = [_hex(colours[c.id]) for c in shown] + ([FAINT] if rest else [])

    def draw(ax: Axes) -> None:
        n = len(names)
        if not n:
            _nothing(ax, "no classes")
            return
        bars = ax.barh(range(n), counts, color=fills, edgecolor=INK, linewidth=0.4)
        ax.bar_label(bars, [f"{n:,}" for n in counts], padding=3, fontsize=8)
        ax.set_yticks(range(n), names)
        # A few bars are as thick as five would be.
        middle, n_rows = (n - 1) / 2, max(n, 5)
        ax.set_ylim(middle + n_rows / 2, middle - n_rows / 2)
        ax.set_xlim(0, 1.15 * max(*counts, 1))
        ax.set_xlabel("instances")
        ax.xaxis.set_major_locator(_whole_numbers())
        ax.xaxis.set_major_formatter("{x:,.0f}")

    caption = (
        f"{counted(split.table.n_instances, 'instance')} of "
        f"{counted(len(split.categories), 'class', 'classes')}"
    )
    return Panel(
        "Instances of each class",
        f"{caption}: the {MAX_BARS} most frequent, and {len(rest)} more."
        if rest
        else f"{caption}.",
        draw,
        max(HEIGHT, len(names) * BAR + AROUND),
    )


def _areas(split: SplitInstances, um2_per_px: float | None) -> Panel:
    areas = split.areas
    seen = areas[areas > 0]

    def draw(ax: Axes) -> None:
        if not seen.size:
            _nothing(ax)
            return
        # Two powers of ten at least: instances of one size are no block as wide as the figure.
        middle = float(np.sqrt(seen.min() * float(seen.max())))
        low, high = min(seen.min(), middle / 10), max(seen.max() + 1, middle * 10, 100)
        # Edges at half integers, so that bins of small areas hold equally many whole numbers.
        edges = np.unique(np.geomspace(max(low, 1), high, 41).round()) - 0.5
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
        ax.yaxis.set_major_locator(_whole_numbers())
        ax.yaxis.set_major_formatter("{x:,.0f}")
        _mark_thresholds(ax, split)
        if um2_per_px is not None:
            um2 = ax.secondary_xaxis(
                "top", functions=(lambda px: px * um2_per_px, lambda um2: um2 / um2_per_px)
            )
            um2.set_xlabel("area in µm²")
            _plain_log(um2)

    return Panel("Area of the instances", _about_areas(split), draw)


def _about_areas(split: SplitInstances) -> str:
    areas = split.areas
    if not areas.size:
        return ""
    small, large = np.mean(areas < SMALL), np.mean(areas > MEDIUM)
    caption = (
        f"Half have {np.median(areas):,.0f} pixels or more. In COCO's words, {small:.0%} are small "
        f"(below 32²), {1 - small - large:.0%} medium and {large:.0%} large (above 96²)."
    )
    shares = [f"{np.mean(areas > px):.0%} have more than {px:,}" for px in _thresholds(split)]
    caption += f" {', '.join(shares)}: the thresholds of this set's variants." if shares else ""
    if n_empty := int(np.count_nonzero(areas == 0)):
        caption += f" {counted(n_empty, 'empty one is', 'empty ones are')} not shown."
    return caption


def _thresholds(split: SplitInstances) -> list[int]:
    """Return the least areas that variants of a split are named for."""
    named = {threshold_of(variant) for variant in split.view.variants if not is_n_shot(variant)}
    return sorted(px for px in named if px)


def _mark_thresholds(ax: Axes, split: SplitInstances) -> None:
    """Draw lines at areas that have names, with the names along them."""
    names = {px: f"variant {px}" for px in _thresholds(split)}
    names |= {SMALL: "32²  small | medium", MEDIUM: "96²  medium | large"}
    low, high = ax.get_xlim()
    # Space for the names.
    ax.set_ylim(top=1.5 * ax.get_ylim()[1])
    for px, name in names.items():
        if low < px < high:
            is_coco = px in (SMALL, MEDIUM)
            ax.axvline(px, color=INK, linestyle=":" if is_coco else "--", linewidth=0.8)
            ax.annotate(
                name, (px, 1), (-2, -2), xycoords=("data", "axes fraction"), rotation=90,
                textcoords="offset points", ha="right", va="top", fontsize=7,
            )  # fmt: skip


def _per_image(split: SplitInstances) -> Panel:
    counts = split.n_per_image

    def draw(ax: Axes) -> None:
        top = int(counts.max(initial=0))
        edges = np.arange(-0.5, top + 1) if top <= 40 else np.linspace(-0.5, top + 0.5, 41)
        ax.hist(counts, edges, color=PLAIN, rwidth=0.9)
        # Ten at least, for the same reason.
        ax.set_xlim(-0.7, max(top, 9) + 0.7)
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
        ax.hist(percent, np.linspace(0, percent.max(initial=0) or 1, 41), color=PLAIN)
        _label_images(ax, "% of the image in a mask")

    caption = (
        f"Half of the images are covered to {np.median(percent):.2g} % or more, "
        f"one to {percent.max():.3g} %; overlaps count once."
        if percent.size
        else ""
    )
    return Panel("Coverage", caption, draw)


def _co_occurrence(split: SplitInstances) -> Panel:
    shown = _most_frequent(split, MAX_ROWS)
    together = split.co_occurrence([c.id for c in shown])
    n_left_out = len(split.categories) - len(shown)

    def draw(ax: Axes) -> None:
        n_images = np.diag(together)
        percent = 100 * together / np.maximum(n_images, 1)[:, None]
        # Half transparent at most, so that the numbers are read on a page of any ground.
        cells = np.empty((*percent.shape, 4))
        cells[..., :3] = np.array(CELL) / 255
        cells[..., 3] = percent / 200
        ax.imshow(cells, aspect="auto", interpolation="nearest")
        names = [_short(c.name) for c in shown]
        rows = [f"{name} ({n:,})" for name, n in zip(names, n_images.tolist(), strict=True)]
        ax.set_yticks(range(len(shown)), rows)
        ax.set_xticks(range(len(shown)), names, rotation=45, ha="right", rotation_mode="anchor")
        ax.tick_params(length=0, labelsize=8)
        ax.spines[:].set_visible(False)
        for place in np.ndindex(percent.shape):
            ax.text(*place[::-1], f"{percent[place]:.0f}", ha="center", va="center", size=7)

    which = f"The {MAX_ROWS} most frequent classes, and {n_left_out} not shown. "
    return Panel(
        "Classes in the same image",
        f"{which if n_left_out else ''}Of the images with the class of the row, whose number is "
        f"beside it, how many % also have the class of the column.",
        draw,
    )


def _most_frequent(split: SplitInstances, most: int) -> list[CategorySummary]:
    """Return up to so many classes, many by their frequency and few by their ids."""
    by_frequency = sorted(split.categories, key=lambda c: -c.n_instances)
    if len(by_frequency) > MAX_IN_ORDER:
        return by_frequency[:most]
    return list(split.categories)


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


def _nothing(ax: Axes, what: str = "no instances") -> None:
    ax.axis("off")
    ax.text(0.5, 0.5, what, ha="center", color=FAINT, transform=ax.transAxes)


def _short(name: str) -> str:
    return name if len(name) <= 18 else f"{name[:17]}…"


def _hex(colour: tuple[int, int, int]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
