"""BMP files, through Pillow: 1 to 32 bits, palettes, bit fields, run lengths.

Source: the page "Bitmap Storage" of Microsoft's GDI documentation.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from mtfast.image_files.header import (
    ImageHeader,
    check_density,
    check_page,
    check_size,
    cut_off,
    decoding,
)

if TYPE_CHECKING:
    from PIL.BmpImagePlugin import BmpImageFile

__all__ = ["decode", "read_header", "recognises"]

_WHAT = "a BMP image"
# Lengths of the headers that follow the first 14 bytes, in all versions.
_HEADERS = {12, 16, 40, 52, 56, 64, 108, 124}
# Of run lengths: four bytes skip up to 255 rows and as many columns.
_MOST_PIXELS_A_BYTE = 2**14


def recognises(data: bytes) -> bool:
    """Return whether a file begins as a BMP image does.

    Parameters
    ----------
    data : bytes

    Returns
    -------
    bool

    Examples
    --------
    >>> recognises(b"BM" + bytes(12) + bytes([40, 0, 0, 0])), recognises(b"BMW: 12 images")
    (True, False)
    """
    return data[:2] == b"BM" and int.from_bytes(data[14:18], "little") in _HEADERS


def read_header(data: bytes, page: int | None = None) -> ImageHeader:
    """Read the header of a BMP file.

    Parameters
    ----------
    data : bytes
        The whole file.
    page : int, optional
        Only 0.

    Returns
    -------
    ImageHeader

    Raises
    ------
    MtfastError
        If the file is cut off or damaged, or holds a JPEG or PNG for a printer.

    Examples
    --------
    >>> import imagecodecs
    >>> read_header(imagecodecs.bmp_encode(np.zeros((120, 192, 3), np.uint8))).shape
    (120, 192, 3)
    """
    check_page(_WHAT, page, 1)
    image = _open(data)
    width, height = image.size
    return ImageHeader("bmp", height, width, has_alpha=image.mode == "RGBA")


def decode(data: bytes, header: ImageHeader, out: NDArray[Any]) -> None:
    """Decode a BMP file.

    Parameters
    ----------
    data : bytes
    header : ImageHeader
        Of this file.
    out : (H, W, 3) uint8
        Is overwritten.

    Raises
    ------
    MtfastError
        If the data does not decode.

    Examples
    --------
    >>> import imagecodecs
    >>> data = imagecodecs.bmp_encode(np.full((8, 8, 3), 60, np.uint8))
    >>> out = np.empty((8, 8, 3), np.uint8)
    >>> decode(data, read_header(data), out)
    >>> out[3, 4].tolist()
    [60, 60, 60]
    """
    image = _open(data)
    with decoding(_WHAT):
        out[...] = np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def _open(data: bytes) -> BmpImageFile:
    """Open a file whose bytes hold the pixels that its header claims.

    Pillow's plugin is called itself: Image.open warns of sizes that are checked here.
    """
    from PIL.BmpImagePlugin import BmpImageFile

    with decoding(_WHAT):
        image = BmpImageFile(io.BytesIO(data))
        width, height = image.size
        check_size(_WHAT, height, width)
        tile = image.tile[0]
    if tile.codec_name == "raw":
        stop = tile.offset + height * cast("tuple[str, int, int]", tile.args)[1]
        if stop > len(data):
            raise cut_off(_WHAT, len(data), f"{stop:,} of them")
    else:
        check_density(_WHAT, height * width, len(data) - tile.offset, _MOST_PIXELS_A_BYTE)
    return image
