"""Sheets of tiles: pictures with captions in a grid, under a title and above a legend."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple, TypeVar
from unicodedata import combining, normalize

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from mtfast.atomic import check_new_file, new_file
from mtfast.errors import MtfastError
from mtfast.paths import local_path
from mtfast.pictures.palette import RGB

__all__ = [
    "MOST_TILES",
    "NO_IMAGE",
    "TILE",
    "Tile",
    "compose",
    "picture_path",
    "save_sheet",
]

UInt8 = NDArray[np.uint8]
Item = TypeVar("Item")

PAPER: RGB = (250, 250, 248)
INK: RGB = (40, 42, 46)
FAINT: RGB = (96, 99, 105)
NO_IMAGE: RGB = (214, 216, 220)

TILE = 460
GAP = 18
NAME_LINE, ABOUT_LINE = 22, 22
CAPTION = NAME_LINE + ABOUT_LINE
TITLE_LINE = 48
LEGEND_LINE = 30
# Sheets of more tiles than this would be more than a screen can show and a JPEG file can hold.
MOST_TILES = 200
# The columns of a sheet, by its number of tiles.
_COLUMNS = ((9, 3), (24, 4), (60, 6), (MOST_TILES, 8))


class Tile(NamedTuple):
    """A picture with a caption.

    Attributes
    ----------
    pixels : (height, width, 3) uint8, C order
        RGB, up to TILE pixels wide.
    name, about : str
        The two lines of the caption; where one is too long, its middle is left out.
    classes : frozenset of int
        Ids of the classes that it shows.
    """

    pixels: UInt8
    name: str
    about: str
    classes: frozenset[int] = frozenset()


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


def _captioned(tile: Tile) -> Image.Image:
    """Put the lines of a tile below its picture."""
    height = len(tile.pixels)
    picture = Image.new("RGB", (TILE, height + CAPTION), PAPER)
    picture.paste(Image.fromarray(tile.pixels), (0, 0))
    draw = ImageDraw.Draw(picture)
    draw.text((0, height + 4), _fitted(tile.name, _font(16), TILE), INK, _font(16))
    about = _fitted(tile.about, _font(15), TILE)
    draw.text((0, height + NAME_LINE + 3), about, FAINT, _font(15))
    return picture


def _fitted(text: str, font: ImageFont.FreeTypeFont, width: float) -> str:
    """Leave out the middle of what is too wide: names differ at the ends."""
    text = _one_line(text)
    shown, n_kept = text, len(text)
    while n_kept and font.getlength(shown) > width:
        n_kept -= 1
        head = -(-n_kept // 2)
        shown = f"{text[:head]}…{text[len(text) - n_kept + head :]}"
    return shown


def _one_line(text: str) -> str:
    """Leave out what would end a line: names come from strangers, and Pillow refuses several."""
    return "".join(_drawn(c) if c.isprintable() else " " for c in text[:500])[:500]


@lru_cache(maxsize=4096)
def _drawn(character: str) -> str:
    """Spell what the font has no glyph of: ü as u, ₂ as 2, and others escaped."""
    if _has_glyph(character):
        return character
    plain = "".join(c for c in normalize("NFKD", character) if not combining(c))
    return plain if all(map(_has_glyph, plain)) else ascii(character)[1:-1]


def _has_glyph(character: str) -> bool:
    # Pillow's own font has ASCII and a few others; for the rest it draws one and the same box.
    font, nothing = _font(16), "\U0010ffff"
    return bytes(font.getmask(character)) != bytes(font.getmask(nothing))


def compose(
    tiles: Sequence[Tile],
    title: str,
    about: str,
    legend: list[tuple[RGB, str]],
    n_columns: int | None = None,
) -> Image.Image:
    """Lay tiles out in a grid, row by row, with a header above and a legend below.

    Parameters
    ----------
    tiles : sequence of Tile
        One to MOST_TILES.
    title, about : str
        The header, in large and in small letters.
    legend : list of (colour, text)
    n_columns : int, optional
        By default up to 3, or more for more than nine tiles.

    Returns
    -------
    PIL.Image.Image
    """
    n_columns = n_columns or min(len(tiles), next(n for most, n in _COLUMNS if len(tiles) <= most))
    pictures = [_captioned(tile) for tile in tiles]
    rows = [pictures[start : start + n_columns] for start in range(0, len(tiles), n_columns)]
    heights = [max(picture.height for picture in row) + GAP for row in rows]
    inside = n_columns * (TILE + GAP) - GAP
    header = _header(title, about, inside)
    lines = _legend(legend, inside)
    body = sum(heights)
    height = header.height + body + lines.height + GAP
    sheet = Image.new("RGB", (inside + 2 * GAP, height), PAPER)
    sheet.paste(header, (GAP, 0))
    sheet.paste(lines, (GAP, header.height + body))
    for row, top in zip(rows, accumulate(heights, initial=header.height), strict=False):
        for column, picture in enumerate(row):
            sheet.paste(picture, (GAP + column * (TILE + GAP), top))
    return sheet


def _header(title: str, about: str, width: int) -> Image.Image:
    """Draw the title, and the rest in as many lines as it takes."""
    font = _font(17)
    items = [(font.getlength(f"{word} "), word) for word in _one_line(about).split()]
    lines = [" ".join(line) for line in _wrap(items, width)]
    header = Image.new("RGB", (width, TITLE_LINE + len(lines) * ABOUT_LINE + 12), PAPER)
    draw = ImageDraw.Draw(header)
    draw.text((0, 12), _fitted(title, _font(26), width), INK, _font(26))
    for number, line in enumerate(lines):
        draw.text((0, TITLE_LINE + number * ABOUT_LINE), line, FAINT, font)
    return header


def _legend(legend: Sequence[tuple[RGB, str]], width: int) -> Image.Image:
    """Draw squares of colours with their texts, in as many lines as it takes."""
    font = _font(16)
    texts = [(colour, _fitted(text, font, width - 24)) for colour, text in legend]
    lines = _wrap([(font.getlength(text) + 24 + 28, (c, text)) for c, text in texts], width + 28)
    picture = Image.new("RGB", (width, len(lines) * LEGEND_LINE), PAPER)
    draw = ImageDraw.Draw(picture)
    for number, line in enumerate(lines):
        x, y = 0.0, number * LEGEND_LINE
        for colour, text in line:
            square = (x, y + 4, x + 16, y + 20)
            draw.rounded_rectangle(square, 3, fill=colour, outline=FAINT)
            draw.text((x + 24, y + 3), text, INK, font)
            x += font.getlength(text) + 24 + 28
    return picture


def _wrap(items: Sequence[tuple[float, Item]], width: float) -> list[list[Item]]:
    """Break a line of items, each with its width, into lines that fit."""
    lines: list[list[Item]] = []
    used = 0.0
    for item_width, item in items:
        if not lines or used + item_width > width:
            lines.append([])
            used = 0.0
        lines[-1].append(item)
        used += item_width
    return lines


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


def _font(size: int) -> ImageFont.FreeTypeFont:
    font = ImageFont.load_default(size)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise MtfastError(
            "Pillow has no FreeType; expected it to draw text; install Pillow from a wheel"
        )
    return font
