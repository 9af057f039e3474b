"""Images of a dataset drawn small, with the outlines of their instances and a legend."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mtfast.dataset import SplitView, count_categories
from mtfast.painting.paint import semantic
from mtfast.pictures.sheet import NO_IMAGE, RGB, TILE, class_palette, make_tile
from mtfast.progress import Progress, track
from mtfast.table import RunTable

__all__ = ["class_colours", "draw_tiles", "legend"]

UInt8 = NDArray[np.uint8]


def draw_tiles(
    view: SplitView,
    table: RunTable,
    n: int,
    progress: Progress | None,
    on_image: bool | None = None,
) -> list[Image.Image]:
    """Draw up to n images of a table, small, with the outlines of their instances.

    Parameters
    ----------
    view : SplitView
        The split, which decodes the images.
    table : RunTable
        The instances that are outlined.
    n : int
        The images are spread evenly over those with instances, or over all if none has any.
    progress : callable or None
        Called as (what, done, total).
    on_image : bool, optional
        Whether to draw on the images or on plain grey; by default on the images if there are any.

    Returns
    -------
    list of PIL.Image.Image
        Tiles for :func:`mtfast.pictures.sheet.compose`.

    Raises
    ------
    MtfastError
        If an image is missing or does not decode.
    """
    chosen = _spread(np.diff(table.image_offsets), n)
    colours = class_colours(table)
    drawn_on = view.has_images if on_image is None else on_image
    return [
        _draw_tile(view, table[index], colours, drawn_on)
        for index in track(chosen.tolist(), f"drawing images of {view.name}", progress)
    ]


def _spread(n_instances: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """Pick up to n images, evenly spread over those with instances if there are any."""
    candidates = np.flatnonzero(n_instances)
    if not candidates.size:
        candidates = np.arange(n_instances.size)
    picks = np.linspace(0, candidates.size - 1, min(n, candidates.size)).round().astype(np.int64)
    return candidates[picks]


def class_colours(table: RunTable) -> dict[int, RGB]:
    """Return the colour of each category of a table, listed or used.

    Parameters
    ----------
    table : RunTable

    Returns
    -------
    dict
        Colour of each id, ascending.
    """
    return class_palette(c.id for c in count_categories(table))


def _draw_tile(
    view: SplitView, table: RunTable, colours: dict[int, RGB], on_image: bool
) -> Image.Image:
    height, width = int(table.heights[0]), int(table.widths[0])
    scale = TILE / width
    size = (TILE, max(1, round(height * scale)))
    if on_image:
        picture = Image.fromarray(view.image(str(table.names[0])))
        thumbnail = np.array(picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0))
    else:
        thumbnail = np.full((size[1], size[0], 3), NO_IMAGE, np.uint8)
    _draw_outlines(thumbnail, table, colours)
    count = f"{table.n_instances} instance{'s' if table.n_instances != 1 else ''}"
    return make_tile(thumbnail, str(table.names[0]), count)


def _draw_outlines(thumbnail: UInt8, table: RunTable, colours: dict[int, RGB]) -> None:
    """Draw the outline of every instance, two pixels wide on the thumbnail."""
    if not table.n_instances:
        return
    numbered = replace(table, category_ids=np.arange(1, table.n_instances + 1))
    owners = semantic(numbered)[0]
    rows, columns = thumbnail.shape[:2]
    # The label at the centre of each thumbnail pixel; flakes of a pixel or two may be missed.
    y = (np.arange(rows) + 0.5) * owners.shape[0] / rows
    x = (np.arange(columns) + 0.5) * owners.shape[1] / columns
    small = owners[np.ix_(y.astype(np.int64), x.astype(np.int64))]
    padded = np.pad(small, 1)
    around = [padded[1 + dy : 1 + dy + rows, 1 + dx : 1 + dx + columns] for dy, dx in _NEIGHBOURS]
    # Outlines are drawn around a flake, so that the flake itself stays visible.
    outside = np.maximum.reduce([np.where(side != small, side, 0) for side in around])
    line = np.where(outside > small, outside, 0)
    palette = np.zeros((table.n_instances + 1, 3), np.uint8)
    palette[1:] = [colours[int(c)] for c in table.category_ids]
    drawn = line > 0
    thumbnail[drawn] = palette[line[drawn]]


_NEIGHBOURS = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx]


def legend(table: RunTable) -> list[tuple[RGB, str]]:
    """Describe the categories of a table.

    Parameters
    ----------
    table : RunTable

    Returns
    -------
    list of (colour, text)
        The text has the name and the number of instances.
    """
    colours = class_colours(table)
    return [(colours[c.id], f"{c.name}  ({c.n_instances:,})") for c in count_categories(table)]
