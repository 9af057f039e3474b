"""Kind of an image file -> the module that reads it; what all kinds have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtfast.errors import MtfastError
from mtfast.image_files import bmp, jpeg, png, tiff, webp
from mtfast.image_files.header import ImageHeader
from mtfast.image_files.others import name_kind

__all__ = ["KINDS", "decode", "read_header"]


class _Reader(NamedTuple):
    """How files of a kind are told from others, and read."""

    recognises: Callable[[bytes], bool]
    read_header: Callable[[bytes, int | None], ImageHeader]
    decode: Callable[[bytes, ImageHeader, NDArray[Any]], None]


_READERS = {
    "jpeg": _Reader(jpeg.recognises, jpeg.read_header, jpeg.decode),
    "png": _Reader(png.recognises, png.read_header, png.decode),
    "tiff": _Reader(tiff.recognises, tiff.read_header, tiff.decode),
    "webp": _Reader(webp.recognises, webp.read_header, webp.decode),
    "bmp": _Reader(bmp.recognises, bmp.read_header, bmp.decode),
}

KINDS = tuple(_READERS)
"""The kinds of image files that are read."""


def read_header(data: bytes, page: int | None = None) -> ImageHeader:
    """Read the header of an image file, without decoding a pixel.

    Parameters
    ----------
    data : bytes
        The whole file, of any of KINDS, which is told by its first bytes.
    page : int, optional
        The page of a TIFF, from 0 on. A file of several pages needs it: which of them a mask was
        drawn on is not for a reader to guess.

    Returns
    -------
    ImageHeader

    Raises
    ------
    MtfastError
        If the file is of another kind, is cut off or damaged, or has no such page.

    Examples
    --------
    >>> import imagecodecs
    >>> read_header(imagecodecs.png_encode(np.zeros((120, 192, 4), np.uint8))).has_alpha
    True
    """
    return _reader(data).read_header(data, page)


def decode(data: bytes, out: NDArray[Any] | None = None, page: int | None = None) -> NDArray[Any]:
    """Decode an image file to pixels as stored, not turned.

    Parameters
    ----------
    data : bytes
        The whole file, of any of KINDS.
    out : array, optional
        Takes the pixels; of the shape and the type that the header says. Fastest in C order.
    page : int, optional
        The page of a TIFF, see :func:`read_header`.

    Returns
    -------
    array
        ``out`` if given, else a new one in C order: (H, W, 3) uint8 for files of up to 8 bits, grey
        as three equal channels; (H, W) or (H, W, 3) uint16 for others. Alpha is left out. 8-bit
        pixels are those of Pillow's ``convert("RGB")``.

    Raises
    ------
    MtfastError
        If the file cannot be read, see :func:`read_header`, or ``out`` does not fit.

    Examples
    --------
    >>> import imagecodecs
    >>> decode(imagecodecs.png_encode(np.full((1, 2), 7, np.uint8))).tolist()
    [[[7, 7, 7], [7, 7, 7]]]
    """
    reader = _reader(data)
    header = reader.read_header(data, page)
    if out is None:
        out = np.empty(header.shape, header.dtype)
    else:
        _check_out(out, header)
    if out.flags.c_contiguous:
        reader.decode(data, header, out)
    else:
        pixels = np.empty(header.shape, header.dtype)
        reader.decode(data, header, pixels)
        out[...] = pixels
    return out


def _reader(data: bytes) -> _Reader:
    for reader in _READERS.values():
        if reader.recognises(data):
            return reader
    found, advice = name_kind(data)
    raise MtfastError(f"{found}; expected a JPEG, PNG, TIFF, WebP or BMP image; {advice}")


def _check_out(out: NDArray[Any], header: ImageHeader) -> None:
    if out.shape != header.shape or out.dtype != header.dtype or not out.flags.writeable:
        state = "" if out.flags.writeable else ", read-only"
        raise MtfastError(
            f"out is {out.shape} {out.dtype}{state}; expected a writeable array "
            f"{header.shape} {header.dtype} for this image; make one of that shape and type"
        )
