"""EXIF orientation, and pixels turned upright.

Orientation says where the first row and the first column of the stored pixels are shown::

    1 top left      2 top right     3 bottom right    4 bottom left
    5 left top      6 right top     7 right bottom    8 left bottom

Source: CIPA DC-008 (Exif 2.32), 4.6.4; :func:`PIL.ImageOps.exif_transpose`.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtfast.arguments import as_integer

__all__ = ["FORMATS", "ORIENTATION", "find_orientation", "read_orientation", "shown_size", "turn"]

ORIENTATION = 0x0112
"""The tag, in EXIF data and in TIFF files."""

FORMATS = {1: "B", 3: "H", 4: "I"}
"""Formats of one value by type: BYTE, SHORT and LONG. Cameras write SHORT."""


_PREFIX = b"Exif\0\0"
# Orientations from this one on exchange height and width.
_SIDEWAYS = 5


def read_orientation(exif: bytes) -> int:
    r"""Read the orientation of EXIF data.

    Parameters
    ----------
    exif : bytes
        With or without the prefix that JPEG files give it.

    Returns
    -------
    int
        1 to 8; 1 where it is missing or damaged, as readers then show the image as stored.

    Examples
    --------
    >>> read_orientation(b"II*\0" + bytes.fromhex("08000000 0100 1201 0300 01000000 06000000"))
    6
    """
    place = find_orientation(exif)
    if place is None:
        return 1
    at, form = place
    (value,) = struct.unpack_from(form, exif, at)
    return int(value) if 1 <= value <= 8 else 1


def find_orientation(exif: bytes) -> tuple[int, str] | None:
    """Find where EXIF data state the orientation.

    Parameters
    ----------
    exif : bytes
        With or without the prefix that JPEG files give it.

    Returns
    -------
    (at, form) or None
        The byte of the value, and its format, as :mod:`struct` has it; None where it is missing or
        damaged.
    """
    start = 0
    while exif.startswith(_PREFIX, start):
        start += len(_PREFIX)
    order = {b"II": "<", b"MM": ">"}.get(exif[start : start + 2])
    if order is None:
        return None
    try:
        (first,) = struct.unpack_from(f"{order}I", exif, start + 4)
        (n,) = struct.unpack_from(f"{order}H", exif, start + first)
        begin = start + first + 2
        return _find(exif, order, range(begin, begin + 12 * n, 12))
    except struct.error:
        return None


def _find(exif: bytes, order: str, entries: range) -> tuple[int, str] | None:
    for at in entries:
        tag, type_ = struct.unpack_from(f"{order}HH", exif, at)
        if tag == ORIENTATION and type_ in FORMATS:
            form = order + FORMATS[type_]
            struct.unpack_from(form, exif, at + 8)
            return at + 8, form
    return None


def shown_size(height: int, width: int, orientation: int) -> tuple[int, int]:
    """Return the size of an image that is turned upright.

    Parameters
    ----------
    height, width : int
        As stored.
    orientation : int
        1 to 8.

    Returns
    -------
    height, width : int

    Examples
    --------
    >>> shown_size(120, 192, 3), shown_size(120, 192, 6)
    ((120, 192), (192, 120))
    """
    return (width, height) if orientation >= _SIDEWAYS else (height, width)


def turn(pixels: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Turn stored pixels upright.

    Parameters
    ----------
    pixels : (H, W) or (H, W, channels) array
        Of an image or a mask.
    orientation : int
        1 to 8.

    Returns
    -------
    array
        (H, W[, channels]), or (W, H[, channels]) for orientations from 5 on, in C order.

    Raises
    ------
    MtfastError
        If it is no orientation.

    Examples
    --------
    >>> turn(np.array([[1, 2, 3], [4, 5, 6]]), 6)
    array([[4, 1],
           [5, 2],
           [6, 3]])
    """
    orientation = as_integer("orientation", orientation, least=1, most=8)
    if orientation == 1:
        return np.ascontiguousarray(pixels)
    cells = _cells(pixels)
    if orientation >= _SIDEWAYS:
        cells = cells.T
    if orientation in (2, 3, 6, 7):
        cells = cells[:, ::-1]
    if orientation in (3, 4, 7, 8):
        cells = cells[::-1]
    turned = np.ascontiguousarray(cells)
    return turned.view(pixels.dtype).reshape(*turned.shape, *pixels.shape[2:])


def _cells(pixels: NDArray[Any]) -> NDArray[Any]:
    """View each pixel as one value: numpy then copies a turned RGB image three times as fast."""
    if pixels.ndim == 2:
        return pixels
    n_bytes = pixels.shape[2] * pixels.itemsize
    return np.ascontiguousarray(pixels).view(np.dtype((np.void, n_bytes)))[..., 0]
