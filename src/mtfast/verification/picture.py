"""A picture of the masks that differ most: where in the image, as shipped, as regenerated."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mtfast.dataset import decode_image
from mtfast.errors import SourceError
from mtfast.pictures.overlay import as_8_bits
from mtfast.pictures.palette import RGB, class_palette
from mtfast.pictures.sheet import NO_IMAGE, TILE, compose, make_tile, save_sheet
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
MARK: RGB = (255, 0, 60)
WHITE: RGB = (255, 255, 255)
BACKGROUND: RGB = (30, 32, 38)


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


class _Window(NamedTuple):
    """A window of a frame, in pixels."""

    top: int
    left: int
    height: int
    width: int


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
    legend = [(MARK, "differs (outlined in white in the close-ups)"), (BACKGROUND, "0 background")]
    legend += [
        (colours[value], f"{value} {named.get(value, '(not listed)')}")
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
) -> list[Image.Image]:
    masks, _, name, n_pixels = difference
    differs: Bool = shipped != painted
    height, width = differs.shape
    whole = _Window(0, 0, height, width)
    window = _close_up(differs)
    overview = _thumbnail(masks, name, whole)
    overview[_grow(_cells(differs, whole))] = MARK
    _draw_frame(overview, window, whole)
    tiles = [make_tile(overview, name, f"{n_pixels:,} px")]
    line = _outline(_cells(differs, window))
    place = f"rows {window.top}-{window.top + window.height - 1}, "
    place += f"columns {window.left}-{window.left + window.width - 1}"
    for words, mask in (("shipped", shipped), ("regenerated", painted)):
        picture = _coloured(_sample(mask, window), colours)
        picture[line] = WHITE
        tiles.append(make_tile(picture, words, place))
    return tiles


def _close_up(differs: Bool) -> _Window:
    """Return a window where most pixels differ, with the sides of the frame."""
    height, width = differs.shape
    y, x = _where_most(differs)
    # Twice the size of what differs, so that there is something around it.
    share = 2 * max((np.ptp(y) + 1) / height, (np.ptp(x) + 1) / width, LEAST_WIDTH / 2 / width)
    rows, columns = (min(side, max(1, round(share * side))) for side in (height, width))
    top = min(max((y.min() + y.max() + 1 - rows) // 2, 0), height - rows)
    left = min(max((x.min() + x.max() + 1 - columns) // 2, 0), width - columns)
    return _Window(int(top), int(left), rows, columns)


def _where_most(differs: Bool) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return rows and columns of the pixels that differ, in the 2 x 2 cells of a grid with most."""
    y, x = np.nonzero(differs)
    cell_y, cell_x = (at * CELLS // side for at, side in zip((y, x), differs.shape, strict=True))
    n = np.bincount(cell_y * CELLS + cell_x, minlength=CELLS**2).reshape(CELLS, CELLS)
    n_around = n[1:, 1:] + n[1:, :-1] + n[:-1, 1:] + n[:-1, :-1]
    best_y, best_x = np.unravel_index(n_around.argmax(), n_around.shape)
    near = (cell_y - best_y >> 1 == 0) & (cell_x - best_x >> 1 == 0)
    return y[near], x[near]


def _rows(window: _Window) -> int:
    """Return the height of a tile that shows a window; a high and narrow one is squeezed."""
    return max(1, min(2 * TILE, round(window.height * TILE / window.width)))


def _places(window: _Window) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row and column of the frame in the middle of each row and column of a tile."""
    y = (np.arange(_rows(window)) + 0.5) * window.height / _rows(window)
    x = (np.arange(TILE) + 0.5) * window.width / TILE
    return window.top + y.astype(np.int64), window.left + x.astype(np.int64)


def _sample(mask: NDArray[Any], window: _Window) -> NDArray[Any]:
    sampled: NDArray[Any] = mask[np.ix_(*_places(window))]
    return sampled


def _cells(differs: Bool, window: _Window) -> Bool:
    """Return the cells of a tile in which a pixel differs, however many pixels a cell holds."""
    cells: Bool = _sample(differs, window)
    top, left, height, width = window
    y, x = np.nonzero(differs[top : top + height, left : left + width])
    cells[(2 * y + 1) * cells.shape[0] // (2 * height), (2 * x + 1) * TILE // (2 * width)] = True
    return cells


def _grow(cells: Bool) -> Bool:
    """Add the neighbours, so that a single cell is seen."""
    grown = np.pad(cells, 1)
    grown[1:] |= grown[:-1]
    grown[:-1] |= grown[1:]
    grown[:, 1:] |= grown[:, :-1]
    grown[:, :-1] |= grown[:, 1:]
    return grown[1:-1, 1:-1]


def _outline(cells: Bool) -> Bool:
    """Return the cells just outside: what differs itself stays visible."""
    return _grow(_grow(cells)) & ~cells


def _draw_frame(overview: UInt8, window: _Window, whole: _Window) -> None:
    """Draw the borders of a window, two pixels wide."""
    rows, columns = overview.shape[:2]
    top, left = window.top * rows // whole.height, window.left * columns // whole.width
    bottom = max(top + 4, (window.top + window.height) * rows // whole.height)
    right = max(left + 4, (window.left + window.width) * columns // whole.width)
    for border in (
        overview[top:bottom, left : left + 2],
        overview[top:bottom, right - 2 : right],
        overview[top : top + 2, left:right],
        overview[bottom - 2 : bottom, left:right],
    ):
        border[:] = WHITE


def _thumbnail(masks: SplitMasks, name: str, whole: _Window) -> UInt8:
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
