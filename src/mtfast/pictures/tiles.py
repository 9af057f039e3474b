"""Images of a dataset drawn small, with the outlines of their instances and a legend."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mtfast.dataset import SplitView, count_categories
from mtfast.errors import MtfastError, counted
from mtfast.painting.paint import semantic
from mtfast.pictures.sheet import NO_IMAGE, RGB, TILE, class_palette, make_tile
from mtfast.progress import Progress, track
from mtfast.table import RunTable

__all__ = ["as_8_bits", "class_colours", "draw_tiles", "legend", "tile_size"]

UInt8 = NDArray[np.uint8]


def draw_tiles(
    view: SplitView,
    table: RunTable,
    n: int,
    progress: Progress | None,
    on_image: bool | None = None,
    *,
    skip_bad: bool = False,
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
    skip_bad : bool
        Draw on plain grey where an image cannot be read, and say so.

    Returns
    -------
    list of PIL.Image.Image
        Tiles for :func:`mtfast.pictures.sheet.compose`.

    Raises
    ------
    MtfastError
        If an image is missing or does not decode, and is not skipped.
    """
    chosen = _spread(np.diff(table.image_offsets), n)
    colours = class_colours(table)
    drawn_on = view.has_images if on_image is None else on_image
    return [
        _draw_tile(view, table[index], colours, drawn_on, skip_bad)
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
    view: SplitView, table: RunTable, colours: dict[int, RGB], on_image: bool, skip_bad: bool
) -> Image.Image:
    name = str(table.names[0])
    rows, columns = tile_size(int(table.heights[0]), int(table.widths[0]))
    thumbnail = np.full((rows, columns, 3), NO_IMAGE, np.uint8)
    about = counted(table.n_instances, "instance")
    found = _image_of(view, name, skip_bad) if on_image else None
    if on_image and found is None:
        about += ", image cannot be read"
    if found is not None:
        pixels, scaled = as_8_bits(found)
        picture = Image.fromarray(pixels).convert("RGB")
        shrunk = picture.resize((columns, rows), Image.Resampling.LANCZOS, reducing_gap=2.0)
        thumbnail = np.array(shrunk)
        about += f", {scaled}" if scaled else ""
    _draw_outlines(thumbnail, table, colours)
    return make_tile(thumbnail, name, about)


def _image_of(view: SplitView, name: str, skip_bad: bool) -> NDArray[Any] | None:
    try:
        return view.image(name)
    except MtfastError:
        if not skip_bad:
            raise
        return None


def tile_size(height: int, width: int) -> tuple[int, int]:
    """Fit an image into a tile.

    Parameters
    ----------
    height, width : int
        Of the image, in pixels.

    Returns
    -------
    rows, columns : int
        As wide as the tile, or at most twice as high.

    Examples
    --------
    >>> tile_size(600, 920), tile_size(9200, 460)
    ((300, 460), (920, 46))
    """
    scale = min(TILE / width, 2 * TILE / height)
    return max(1, round(height * scale)), max(1, round(width * scale))


def as_8_bits(pixels: NDArray[Any]) -> tuple[UInt8, str]:
    """Make pixels of 16 bits pixels of 8 bits, to look at.

    Microscopes fill 16 bits by a small part, which differs from image to image: 1 in 1,000 samples
    of the image may be darker than black and 1 in 1,000 brighter than white.

    Parameters
    ----------
    pixels : (height, width, 3) uint8, or (height, width) or (height, width, 3) uint16

    Returns
    -------
    pixels : uint8 array of the same shape
    scaled : str
        What was done, in words; empty for pixels of 8 bits, which stay as they are.

    Examples
    --------
    >>> as_8_bits(np.array([[100, 300, 500]], np.uint16))
    (array([[  0, 127, 255]], dtype=uint8), '16 bits, 100-500 shown')
    """
    if pixels.dtype == np.uint8:
        return pixels, ""
    black, white = np.percentile(pixels, (0.1, 99.9), method="nearest").tolist()
    span = max(white - black, 1)
    lookup = np.clip((np.arange(65536) - black) * 255 // span, 0, 255).astype(np.uint8)
    return lookup[pixels], f"16 bits, {black}-{white} shown"


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
