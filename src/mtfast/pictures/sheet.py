"""Sheets of tiles: pictures with captions in a grid, under a title and above a legend."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from itertools import accumulate
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mtfast.atomic import check_new_file, new_file
from mtfast.errors import MtfastError
from mtfast.paths import local_path

__all__ = [
    "NO_IMAGE",
    "PALETTE",
    "RGB",
    "TILE",
    "class_palette",
    "compose",
    "make_tile",
    "picture_path",
    "save_sheet",
]

RGB = tuple[int, int, int]
UInt8 = NDArray[np.uint8]

# Bright on the greys, violets and blues of the microscope, and distinct to colour-blind eyes; the
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


def picture_path(out: str | os.PathLike[str]) -> Path:
    """Check where a picture is to be written, before anything is read for it.

    Parameters
    ----------
    out : path-like

    Returns
    -------
    Path

    Raises
    ------
    MtfastError
        If it is an address, neither a .png nor a .jpg, or cannot be written.

    Examples
    --------
    >>> picture_path("sheet.png").name
    'sheet.png'
    """
    target = local_path(out)
    if target.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise MtfastError(f"{target.name} for a picture; expected .png or .jpg; rename it")
    check_new_file(target)
    return target


def class_palette(ids: Iterable[int]) -> dict[int, RGB]:
    """Give every class a colour of :data:`PALETTE`, which repeats where there are more.

    Parameters
    ----------
    ids : iterable of int
        Category ids in any order.

    Returns
    -------
    dict
        Colour of each id, ascending.

    Examples
    --------
    >>> class_palette([7, 2]) == {2: PALETTE[0], 7: PALETTE[1]}
    True
    """
    return {id_: PALETTE[k % len(PALETTE)] for k, id_ in enumerate(sorted(set(ids)))}


def make_tile(pixels: UInt8, left: str, right: str) -> Image.Image:
    """Put a caption below a picture.

    Parameters
    ----------
    pixels : (height, width, 3) uint8, C order
        RGB, up to TILE pixels wide.
    left, right : str
        What the caption says at either end; the left is cut where the right begins.

    Returns
    -------
    PIL.Image.Image
        TILE pixels wide.
    """
    height, font = len(pixels), _font(14)
    tile = Image.new("RGB", (TILE, height + CAPTION), PAPER)
    tile.paste(Image.fromarray(pixels), (0, 0))
    draw = ImageDraw.Draw(tile)
    left = _one_line(left)[:44]
    while left and draw.textlength(f"{left} {right}", font) > TILE:
        left = left[:-1]
    draw.text((0, height + 6), left, FAINT, font)
    draw.text((TILE, height + 6), right, FAINT, font, anchor="ra")
    return tile


def _one_line(text: str) -> str:
    """Leave out what would end a line: names come from strangers, and Pillow refuses several."""
    return "".join(c if c.isprintable() else " " for c in text)


def compose(
    tiles: Sequence[Image.Image],
    title: str,
    about: str,
    legend: list[tuple[RGB, str]],
    n_columns: int | None = None,
) -> Image.Image:
    """Lay tiles out in a grid, row by row, with a header above and a legend below.

    Parameters
    ----------
    tiles : sequence of PIL.Image.Image
        At least one, each TILE pixels wide.
    title, about : str
        The header, in large and in small letters.
    legend : list of (colour, text)
    n_columns : int, optional
        By default up to 3, or 4 for more than nine tiles.

    Returns
    -------
    PIL.Image.Image
    """
    n_columns = n_columns or min(len(tiles), 3 if len(tiles) <= 9 else 4)
    rows = [tiles[start : start + n_columns] for start in range(0, len(tiles), n_columns)]
    heights = [max(tile.height for tile in row) + GAP for row in rows]
    width = n_columns * (TILE + GAP) + GAP
    lines = _wrap(legend, width - 2 * GAP)
    body = sum(heights)
    height = HEADER + body + len(lines) * LEGEND_LINE + GAP
    sheet = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(sheet)
    title = _one_line(title)
    draw.text((GAP, 14), title, INK, _font(24))
    left = GAP + draw.textlength(title, _font(24)) + 16
    draw.text((left, 22), about, FAINT, _font(16))
    tops = accumulate(heights, initial=HEADER)
    for row, top in zip(rows, tops, strict=False):
        for column, tile in enumerate(row):
            sheet.paste(tile, (GAP + column * (TILE + GAP), top))
    for number, line in enumerate(lines):
        x = float(GAP)
        y = HEADER + body + number * LEGEND_LINE
        for colour, text, step in line:
            draw.rounded_rectangle((x, y + 4, x + 16, y + 20), 3, fill=colour)
            draw.text((x + 24, y + 3), _one_line(text), INK, _font(16))
            x += step
    return sheet


def save_sheet(sheet: Image.Image, target: Path) -> None:
    """Write a picture, whole or not at all.

    Parameters
    ----------
    sheet : PIL.Image.Image
    target : Path
        Its ending names the file format.

    Raises
    ------
    MtfastError
        If it cannot be written.
    """
    with new_file(target) as partial:
        sheet.save(partial, quality=92)


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
            "Pillow has no FreeType; expected it to draw text; install Pillow from a wheel"
        )
    return font
