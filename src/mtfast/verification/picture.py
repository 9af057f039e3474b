"""A picture of the masks that differ most: where in the image, as shipped, as regenerated."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mtfast.arguments import Window
from mtfast.dataset import decode_image
from mtfast.errors import SourceError
from mtfast.pictures.outlines import draw_outlines, grow, places
from mtfast.pictures.overlay import as_8_bits
from mtfast.pictures.palette import BACKGROUND, DIFFERENCES, HALO, RGB, class_palette
from mtfast.pictures.sheet import NO_IMAGE, TILE, Tile, compose, save_sheet
from mtfast.progress import Progress, track
from mtfast.verification.mask_rules import MaskRule, SplitMasks

__all__ = ["Difference", "draw_differences"]

UInt8 = NDArray[np.uint8]
Bool = NDArray[np.bool_]

MOST_IMAGES = 6
# A close-up is at least as wide, in pixels: a single pixel says nothing by itself.
LEAST_WIDTH = 48
# A close-up shows what differs in 2 x 2 cells of a grid of so many: all of it would not be close.
CELLS = 8
# What is wrong with a pixel of a shipped mask, as its index in KINDS, and the legend's words.
KINDS = ("same", "missing", "extra", "other")
WORDS = {
    "missing": "missing in the shipped mask",
    "extra": "only in the shipped mask",
    "other": "of another class in the shipped mask",
}
KIND_COLOURS = np.array([BACKGROUND, *(DIFFERENCES[kind] for kind in KINDS[1:])], np.uint8)
FRAME: RGB = (150, 154, 162)


class Difference(NamedTuple):
    """A mask that differs from what a rule paints.

    Attributes
    ----------
    masks : SplitMasks
    rule : MaskRule
    image : str
    n_pixels : int
        Pixels that differ.
    """

    masks: SplitMasks
    rule: MaskRule
    image: str
    n_pixels: int


def draw_differences(
    differences: Sequence[Difference], target: Path, name: str, progress: Progress | None
) -> None:
    """Draw the masks that differ most, three tiles each.

    Parameters
    ----------
    differences : sequence of Difference
        At least one.
    target : Path
        The picture, .png or .jpg.
    name : str
        Title.
    progress : callable or None
        Called as (what, done, total).

    Raises
    ------
    MtfastError
        If the picture cannot be written.
    """
    worst = sorted(differences, key=lambda d: -d.n_pixels)[:MOST_IMAGES]
    tables = [table for d in worst for table in d.masks.tables.values()]
    named = {c.id: c.name for table in tables for c in table.categories}
    pairs = [_mask_pair(d) for d in worst]
    present = {int(value) for pair in pairs for mask in pair for value in np.unique(mask)}
    colours = class_palette(present - {0}) | {0: BACKGROUND}
    tiles = []
    rows = zip(worst, pairs, strict=True)
    for difference, (shipped, painted) in track(rows, "drawing", progress, len(worst)):
        tiles += _draw_row(difference, shipped, painted, colours)
    legend = [(DIFFERENCES[kind], words) for kind, words in WORDS.items()]
    legend.append((BACKGROUND, "0: background"))
    legend += [
        (colours[value], f"{value}: {named.get(value, '(not listed)')}")
        for value in sorted(present - {0})
    ]
    about = f"{len(worst)} of {len(differences):,} masks that differ, worst first"
    about += f"  ·  {worst[0].rule}"
    save_sheet(compose(tiles, name, about, legend, n_columns=3), target)


def _mask_pair(difference: Difference) -> tuple[NDArray[Any], NDArray[Any]]:
    masks, rule, image, _ = difference
    return masks.shipped(masks.pairs()[image]), masks.regenerate(image, rule)


def _draw_row(
    difference: Difference, shipped: NDArray[Any], painted: NDArray[Any], colours: dict[int, RGB]
) -> list[Tile]:
    masks, _, name, n_pixels = difference
    kinds = _kinds(shipped, painted)
    height, width = kinds.shape
    whole = Window(0, 0, height, width)
    window = _close_up(kinds > 0)
    overview = _thumbnail(masks, name, whole)
    _draw_frame(overview, window, whole)
    marks = grow(_cells(kinds, whole), 1)
    overview[marks > 0] = KIND_COLOURS[marks[marks > 0]]
    tiles = [Tile(overview, name, f"{n_pixels:,} px")]
    cells = _cells(kinds, window)
    place = f"rows {window.y}-{window.y + window.height - 1}, "
    place += f"columns {window.x}-{window.x + window.width - 1}"
    for words, mask in (("shipped", shipped), ("regenerated", painted)):
        picture = _coloured(_sample(mask, window), colours)
        draw_outlines(picture, cells, KIND_COLOURS, 2)
        tiles.append(Tile(picture, words, place))
    return tiles


def _kinds(shipped: NDArray[Any], painted: NDArray[Any]) -> UInt8:
    """Return what is wrong with each pixel, an index into KINDS."""
    kinds = np.where(shipped == 0, 1, np.where(painted == 0, 2, 3))
    return np.where(shipped == painted, 0, kinds).astype(np.uint8)


def _close_up(differs: Bool) -> Window:
    """Return a window where most pixels differ, with the sides of the frame."""
    height, width = differs.shape
    y, x = _where_most(differs)
    # Twice the size of what differs, so that there is something around it.
    share = 2 * max((np.ptp(y) + 1) / height, (np.ptp(x) + 1) / width, LEAST_WIDTH / 2 / width)
    rows, columns = (min(side, max(1, round(share * side))) for side in (height, width))
    top = min(max((y.min() + y.max() + 1 - rows) // 2, 0), height - rows)
    left = min(max((x.min() + x.max() + 1 - columns) // 2, 0), width - columns)
    return Window(int(top), int(left), rows, columns)


def _where_most(differs: Bool) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return rows and columns of the pixels that differ, in the 2 x 2 cells of a grid with most."""
    y, x = np.nonzero(differs)
    cell_y, cell_x = (at * CELLS // side for at, side in zip((y, x), differs.shape, strict=True))
    n = np.bincount(cell_y * CELLS + cell_x, minlength=CELLS**2).reshape(CELLS, CELLS)
    n_around = n[1:, 1:] + n[1:, :-1] + n[:-1, 1:] + n[:-1, :-1]
    best_y, best_x = np.unravel_index(n_around.argmax(), n_around.shape)
    near = (cell_y - best_y >> 1 == 0) & (cell_x - best_x >> 1 == 0)
    return y[near], x[near]


def _rows(window: Window) -> int:
    """Return the height of a tile that shows a window; a high and narrow one is squeezed."""
    return max(1, min(2 * TILE, round(window.height * TILE / window.width)))


def _sample(mask: NDArray[Any], window: Window) -> NDArray[Any]:
    sampled: NDArray[Any] = mask[np.ix_(*places(window, _rows(window), TILE))]
    return sampled


def _cells(kinds: UInt8, window: Window) -> UInt8:
    """Return what is wrong in each cell of a tile, however many pixels a cell holds."""
    cells = _sample(kinds, window)
    top, left, height, width = window
    inside = kinds[top : top + height, left : left + width]
    y, x = np.nonzero(inside)
    rows, columns = cells.shape
    cells[(2 * y + 1) * rows // (2 * height), (2 * x + 1) * columns // (2 * width)] = inside[y, x]
    return cells


def _draw_frame(overview: UInt8, window: Window, whole: Window) -> None:
    """Draw the borders of a window, two pixels wide between dark lines."""
    rows, columns = overview.shape[:2]
    top, left = window.y * rows // whole.height, window.x * columns // whole.width
    bottom = max(top + 8, (window.y + window.height) * rows // whole.height)
    right = max(left + 8, (window.x + window.width) * columns // whole.width)
    inside = overview[top + 4 : bottom - 4, left + 4 : right - 4].copy()
    for inset, fill in ((0, HALO), (1, FRAME), (3, HALO), (4, inside)):
        overview[top + inset : bottom - inset, left + inset : right - inset] = fill


def _thumbnail(masks: SplitMasks, name: str, whole: Window) -> UInt8:
    """Shrink an image to the size of a tile, darker and in grey, so that marks stand out."""
    rows = _rows(whole)
    try:
        pixels = decode_image(masks.source, masks.split, name, (whole.height, whole.width))
    except SourceError:
        return np.full((rows, TILE, 3), NO_IMAGE, np.uint8)
    grey = Image.fromarray(as_8_bits(pixels)[0]).convert("L")
    small = np.asarray(grey.resize((TILE, rows), Image.Resampling.BOX, reducing_gap=2.0))
    return np.repeat((small * 0.6).astype(np.uint8)[..., None], 3, axis=2)


def _coloured(mask: NDArray[Any], colours: dict[int, RGB]) -> UInt8:
    values, index = np.unique(mask, return_inverse=True)
    palette = np.array([colours[int(value)] for value in values], np.uint8)
    picture: UInt8 = palette[index.reshape(mask.shape)]
    return picture
