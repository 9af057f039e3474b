"""Images of a dataset drawn small, or windows of them magnified, with outlines and a legend."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mtfast.arguments import Window
from mtfast.dataset import SplitView, count_categories
from mtfast.errors import MtfastError, counted
from mtfast.pictures.outlines import draw_outlines, instance_labels
from mtfast.pictures.overlay import as_8_bits
from mtfast.pictures.palette import RGB, class_colour
from mtfast.pictures.sheet import NO_IMAGE, TILE, Tile
from mtfast.progress import Progress, track
from mtfast.table import RunTable

__all__ = ["choose_images", "draw_tiles", "legend", "tile_size"]

UInt8 = NDArray[np.uint8]
Int64 = NDArray[np.int64]

# A window around an instance is twice as large as it, and at least so many pixels wide: it shows
# what is around, and pixels stay pixels.
LEAST_WINDOW = 64
# Pixels of a tile.
OUTLINE = 2
# Height of a window by its width: tiles of one height make a sheet that is easy to look over.
WINDOW_SHAPE = 3 / 4


def choose_images(table: RunTable, n: int, seed: int | None = None) -> Int64:
    """Pick up to n images of those with instances, or of all if none has any.

    Parameters
    ----------
    table : RunTable
    n : int
    seed : int, optional
        Of a random choice; by default they are spread evenly.

    Returns
    -------
    (up to n,) int64
        Indices of images, ascending.
    """
    candidates = np.flatnonzero(np.diff(table.image_offsets))
    if not candidates.size:
        candidates = np.arange(table.n_images)
    n = min(n, candidates.size)
    if seed is not None:
        return np.sort(np.random.default_rng(seed).choice(candidates, n, replace=False))
    return candidates[np.linspace(0, candidates.size - 1, n).round().astype(np.int64)]


def draw_tiles(
    view: SplitView,
    table: RunTable,
    chosen: Sequence[int] | Int64,
    progress: Progress | None,
    on_image: bool | None = None,
    *,
    zoom: bool = False,
    skip_bad: bool = False,
) -> list[Tile]:
    """Draw images of a table, small, with the outlines of their instances.

    Parameters
    ----------
    view : SplitView
        The split, which decodes the images.
    table : RunTable
        The instances that are outlined.
    chosen : (n,) int
        Indices of the images.
    progress : callable or None
        Called as (what, done, total).
    on_image : bool, optional
        Whether to draw on the images or on plain grey; by default on the images if there are any.
    zoom : bool
        Show a window around an instance of each image, and say how much it is magnified. All
        classes of the images get their turn.
    skip_bad : bool
        Draw on plain grey where an image cannot be read, and say so.

    Returns
    -------
    list of Tile
        For :func:`mtfast.pictures.sheet.compose`.

    Raises
    ------
    MtfastError
        If an image is missing or does not decode, and is not skipped.
    """
    drawn_on = view.has_images if on_image is None else on_image
    images = [table.image(int(index)) for index in chosen]
    windows = _windows_of_instances(images) if zoom else [_whole(one) for one in images]
    pairs = list(zip(images, windows, strict=True))
    return [
        _draw_tile(view, one, window, drawn_on, zoom, skip_bad)
        for one, window in track(pairs, f"drawing images of {view.name}", progress)
    ]


def _whole(one: RunTable) -> Window:
    return Window(0, 0, int(one.heights[0]), int(one.widths[0]))


def _windows_of_instances(images: Sequence[RunTable]) -> list[Window]:
    """Choose a window for each image: around the largest of the class that was shown least."""
    n_shown: Counter[int] = Counter()
    windows = []
    for one in images:
        areas = one.area()
        present = np.unique(one.category_ids[areas > 0]).tolist()
        if not present:
            windows.append(_whole(one))
            continue
        rarest = min(present, key=lambda id_: n_shown[id_])
        n_shown[rarest] += 1
        largest = int(np.argmax(np.where(one.category_ids == rarest, areas, 0)))
        windows.append(_window_around(one.bbox()[largest], _whole(one)))
    return windows


def _window_around(box: NDArray[np.float64], frame: Window) -> Window:
    """Return the window of a box, moved into the frame and at most as large."""
    x, y, width, height = box.tolist()
    side = max(2 * width, 2 * height / WINDOW_SHAPE, LEAST_WINDOW)
    columns = min(frame.width, round(side))
    rows = min(frame.height, round(side * WINDOW_SHAPE))
    top = min(max(round(y + (height - rows) / 2), 0), frame.height - rows)
    left = min(max(round(x + (width - columns) / 2), 0), frame.width - columns)
    return Window(top, left, rows, columns)


def _draw_tile(
    view: SplitView, one: RunTable, window: Window, on_image: bool, zoom: bool, skip_bad: bool
) -> Tile:
    name = str(one.names[0])
    rows, columns = tile_size(window.height, window.width)
    picture = np.full((rows, columns, 3), NO_IMAGE, np.uint8)
    about = [counted(one.n_instances, "instance")]
    if zoom:
        about = [f"{columns / window.width:.3g}x at row {window.y}, column {window.x}"]
    found = _image_of(view, name, skip_bad) if on_image else None
    if found is not None:
        pixels, scaled = as_8_bits(found)
        picture = _resized(pixels, window, rows, columns)
        about += [scaled] if scaled else []
    elif on_image:
        about.append("image cannot be read")
    labels = instance_labels(one).sample(window, rows, columns)
    draw_outlines(picture, labels.map, labels.colours, OUTLINE)
    return Tile(picture, name, ", ".join(about), labels.classes())


def _resized(pixels: UInt8, window: Window, rows: int, columns: int) -> UInt8:
    """Show a window in so many rows and columns; magnified pixels are squares."""
    y, x, height, width = window
    picture = Image.fromarray(pixels[y : y + height, x : x + width]).convert("RGB")
    if columns >= 2 * width:
        return np.array(picture.resize((columns, rows), Image.Resampling.NEAREST))
    return np.array(picture.resize((columns, rows), Image.Resampling.LANCZOS, reducing_gap=2.0))


def _image_of(view: SplitView, name: str, skip_bad: bool) -> NDArray[Any] | None:
    try:
        return view.image(name)
    except MtfastError:
        if not skip_bad:
            raise
        return None


def tile_size(height: int, width: int) -> tuple[int, int]:
    """Fit an image or a window into a tile.

    Parameters
    ----------
    height, width : int
        Of the image, in pixels.

    Returns
    -------
    rows, columns : int
        As wide as the tile, or at most one and a half times as high as that.

    Examples
    --------
    >>> tile_size(600, 920), tile_size(9200, 460)
    ((300, 460), (690, 34))
    """
    scale = min(TILE / width, 1.5 * TILE / height)
    return max(1, round(height * scale)), max(1, round(width * scale))


def legend(table: RunTable, tiles: Sequence[Tile]) -> list[tuple[RGB, str]]:
    """Describe the classes that tiles show.

    Parameters
    ----------
    table : RunTable
        That of the split.
    tiles : sequence of Tile

    Returns
    -------
    list of (colour, text)
        The text has the name and the number of instances in the whole table.
    """
    shown = {id_ for tile in tiles for id_ in tile.classes}
    return [
        (class_colour(c.id), f"{c.name}  ({c.n_instances:,})")
        for c in count_categories(table)
        if c.id in shown
    ]
