"""A contact sheet: thumbnails with the outlines of their instances and a legend of classes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mtfast.dataset import SplitView, open_dataset
from mtfast.errors import MtfastError, SourceError
from mtfast.progress import Progress, silent
from mtfast.raster import semantic
from mtfast.runs import Category, RunTable

__all__ = ["preview"]

RGB = tuple[int, int, int]
UInt8 = NDArray[np.uint8]

# Bright on the greys, violets and blues of the microscope, and apart for colour-blind eyes; the
# first four follow Okabe and Ito, https://jfly.uni-koeln.de/color/.
PALETTE: tuple[RGB, ...] = (
    (230, 60, 0),
    (0, 158, 115),
    (240, 228, 66),
    (40, 130, 255),
    (255, 80, 190),
    (0, 220, 230),
    (150, 60, 0),
    (120, 230, 60),
    (110, 0, 160),
    (255, 160, 0),
)
PAPER: RGB = (250, 250, 248)
INK: RGB = (40, 42, 46)
FAINT: RGB = (125, 128, 134)
NO_IMAGE: RGB = (214, 216, 220)

TILE = 460
GAP = 18
CAPTION = 26
HEADER = 62
LEGEND_LINE = 30


def preview(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    split: str | None = None,
    n: int = 12,
    progress: Progress | None = None,
) -> Path:
    """Draw a contact sheet of a dataset.

    Parameters
    ----------
    path : path-like
        A source or a store.
    out : path-like
        The picture to write, .png or .jpg.
    split : str, optional
        By default the first one.
    n : int
        How many images, spread evenly over those that have instances.

    Returns
    -------
    Path
        Of the picture.

    Raises
    ------
    MtfastError
        If there is no such split, no image in it, or the picture cannot be written.

    Examples
    --------
    >>> mtfast.preview.preview("graphene.zarr", "sheet.png", n=6)     # doctest: +SKIP
    """
    target = Path(out)
    if target.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise MtfastError(f"{target.name} for the picture; expected .png or .jpg; rename it")
    if n < 1:
        raise MtfastError(f"{n} images for a preview; expected at least 1; the default is 12")
    report = progress or silent
    dataset = open_dataset(path)
    name = split or next(iter(dataset.splits))
    if name not in dataset.splits:
        raise MtfastError(
            f"no split {name!r} in {path}; expected one of {', '.join(dataset.splits)}; "
            f"pick one of these"
        )
    view = dataset.splits[name]
    table = view.table()
    chosen = _spread(np.diff(table.image_offsets), n)
    if not chosen.size:
        raise SourceError(f"split {name!r} of {path} has no images; expected one; pick another")
    colours = _colours(table.categories, np.unique(table.category_ids))
    tiles = []
    for number, index in enumerate(chosen):
        report("drawing", number, len(chosen))
        tiles.append(_draw_tile(view, table[int(index)], colours))
    report("drawing", len(chosen), len(chosen))
    title = Path(path).resolve().name
    about = (
        f"{name}  ·  {table.n_images:,} images  ·  {table.n_instances:,} instances  ·  "
        f"{view.semantic_variant}"
    )
    sheet = _compose(tiles, title, about, _legend(table, colours))
    partial = target.with_name(f".partial-{target.name}")
    try:
        sheet.save(partial, quality=92)
        partial.replace(target)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise MtfastError(
            f"{target} cannot be written: {error.strerror or error}; "
            f"expected a folder with the right to write; choose another place"
        ) from error
    return target


def _spread(n_instances: NDArray[np.int64], n: int) -> NDArray[np.int64]:
    """Pick up to n images, evenly spread over those with instances if there are any."""
    candidates = np.flatnonzero(n_instances)
    if not candidates.size:
        candidates = np.arange(n_instances.size)
    picks = np.linspace(0, candidates.size - 1, min(n, candidates.size)).round().astype(np.int64)
    return candidates[picks]


def _colours(categories: Sequence[Category], used: NDArray[np.int64]) -> dict[int, RGB]:
    ids = sorted({c.id for c in categories} | set(used.tolist()))
    return {number: PALETTE[k % len(PALETTE)] for k, number in enumerate(ids)}


def _draw_tile(view: SplitView, table: RunTable, colours: dict[int, RGB]) -> Image.Image:
    height, width = int(table.heights[0]), int(table.widths[0])
    scale = TILE / width
    size = (TILE, max(1, round(height * scale)))
    if view.has_images:
        picture = Image.fromarray(view.image(str(table.names[0])))
        thumbnail = np.array(picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0))
    else:
        thumbnail = np.full((size[1], size[0], 3), NO_IMAGE, np.uint8)
    _draw_outlines(thumbnail, table, colours)
    tile = Image.new("RGB", (size[0], size[1] + CAPTION), PAPER)
    tile.paste(Image.fromarray(thumbnail), (0, 0))
    caption = str(table.names[0])[:44]
    draw = ImageDraw.Draw(tile)
    draw.text((0, size[1] + 6), caption, FAINT, _font(14))
    count = f"{table.n_instances} instance{'s' if table.n_instances != 1 else ''}"
    draw.text((size[0], size[1] + 6), count, FAINT, _font(14), anchor="ra")
    return tile


def _draw_outlines(thumbnail: UInt8, table: RunTable, colours: dict[int, RGB]) -> None:
    """Draw the outline of every instance, two pixels wide on the thumbnail."""
    if not table.n_instances:
        return
    numbered = replace(table, category_ids=np.arange(1, table.n_instances + 1))
    owners = semantic(numbered)[0]
    rows, columns = thumbnail.shape[:2]
    # The label in the middle of each thumbnail pixel; flakes of a pixel or two may fall between.
    y = (np.arange(rows) + 0.5) * owners.shape[0] / rows
    x = (np.arange(columns) + 0.5) * owners.shape[1] / columns
    small = owners[np.ix_(y.astype(np.int64), x.astype(np.int64))]
    padded = np.pad(small, 1)
    around = [padded[1 + dy : 1 + dy + rows, 1 + dx : 1 + dx + columns] for dy, dx in _NEIGHBOURS]
    # The outline lies around the flake, so that the flake itself stays visible.
    outside = np.maximum.reduce([np.where(side != small, side, 0) for side in around])
    line = np.where(outside > small, outside, 0)
    palette = np.zeros((table.n_instances + 1, 3), np.uint8)
    palette[1:] = [colours[int(c)] for c in table.category_ids]
    drawn = line > 0
    thumbnail[drawn] = palette[line[drawn]]


_NEIGHBOURS = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx]


def _legend(table: RunTable, colours: dict[int, RGB]) -> list[tuple[RGB, str]]:
    named = {c.id: c.name for c in table.categories}
    ids, counts = np.unique(table.category_ids, return_counts=True)
    counted = dict(zip(ids.tolist(), counts.tolist(), strict=True))
    return [
        (colour, f"{named.get(number, f'category {number}')}  ({counted.get(number, 0):,})")
        for number, colour in colours.items()
        if number in named or number in counted
    ]


def _compose(
    tiles: Sequence[Image.Image], title: str, about: str, legend: list[tuple[RGB, str]]
) -> Image.Image:
    """Lay tiles out in a grid, with a header above and a legend below."""
    n_columns = min(len(tiles), 3 if len(tiles) <= 9 else 4)
    n_rows = -(-len(tiles) // n_columns)
    tile_height = max(tile.height for tile in tiles)
    width = n_columns * (TILE + GAP) + GAP
    lines = _wrap(legend, width - 2 * GAP)
    body = n_rows * (tile_height + GAP)
    height = HEADER + body + len(lines) * LEGEND_LINE + GAP
    sheet = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((GAP, 14), title, INK, _font(24))
    left = GAP + draw.textlength(title, _font(24)) + 16
    draw.text((left, 22), about, FAINT, _font(16))
    for number, tile in enumerate(tiles):
        row, column = divmod(number, n_columns)
        sheet.paste(tile, (GAP + column * (TILE + GAP), HEADER + row * (tile_height + GAP)))
    for number, line in enumerate(lines):
        x = float(GAP)
        y = HEADER + body + number * LEGEND_LINE
        for colour, text, step in line:
            draw.rounded_rectangle((x, y + 4, x + 16, y + 20), 3, fill=colour)
            draw.text((x + 24, y + 3), text, INK, _font(16))
            x += step
    return sheet


def _wrap(legend: list[tuple[RGB, str]], width: float) -> list[list[tuple[RGB, str, float]]]:
    lines: list[list[tuple[RGB, str, float]]] = [[]]
    used = 0.0
    for colour, text in legend:
        step = _font(16).getlength(text) + 24 + 28
        if lines[-1] and used + step > width:
            lines.append([])
            used = 0.0
        lines[-1].append((colour, text, step))
        used += step
    return lines


def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise MtfastError(
            "Pillow without FreeType; expected it for text; install Pillow from its wheels"
        )
    return font
