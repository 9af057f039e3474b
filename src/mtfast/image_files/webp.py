"""WebP files: lossy and lossless, one image each.

A file is a RIFF container of chunks: an image in VP8 (lossy) or VP8L (lossless), before which VP8X
states the size and what else there is. Source: RFC 9649.
"""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from mtfast.errors import MtfastError
from mtfast.image_files.exif import read_orientation
from mtfast.image_files.header import ImageHeader, check_page, check_size, cut_off, decoding

__all__ = ["decode", "find_exif", "read_header", "recognises"]

_WHAT = "a WebP image"
_ALPHA, _ANIMATION = 0x10, 0x02
# Of a side. A lossless image of one colour takes 38 bytes whatever its size.
_MOST = 16383


def recognises(data: bytes) -> bool:
    """Return whether a file begins as a WebP image does.

    Parameters
    ----------
    data : bytes

    Returns
    -------
    bool

    Examples
    --------
    >>> recognises(b"RIFF....WEBPVP8 ")
    True
    """
    return data[:4] == b"RIFF" and data[8:12] == b"WEBP"


def read_header(data: bytes, page: int | None = None) -> ImageHeader:
    """Read the header of a WebP file.

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
        If the file is cut off or damaged, or is an animation.

    Examples
    --------
    >>> import imagecodecs, numpy as np
    >>> read_header(imagecodecs.webp_encode(np.zeros((120, 192, 3), np.uint8))).shape
    (120, 192, 3)
    """
    check_page(_WHAT, page, 1)
    chunks = _find_chunks(data)
    name, content = next(iter(chunks.items()))
    height, width, has_alpha = _read_first(name, data[content])
    check_size(_WHAT, height, width)
    if max(height, width) > _MOST:
        raise MtfastError(
            f"a WebP image of {height} x {width} pixels; expected at most {_MOST} a side; "
            f"copy the file again or remove it"
        )
    exif = chunks.get(b"EXIF")
    orientation = read_orientation(data[exif]) if exif else 1
    return ImageHeader("webp", height, width, orientation=orientation, has_alpha=has_alpha)


def decode(data: bytes, header: ImageHeader, out: NDArray[Any]) -> None:
    """Decode a WebP file straight into an array.

    Parameters
    ----------
    data : bytes
    header : ImageHeader
        Of this file.
    out : (H, W, 3) uint8
        Is overwritten, in C order.

    Raises
    ------
    MtfastError
        If the data does not decode.

    Examples
    --------
    >>> import imagecodecs, numpy as np
    >>> data = imagecodecs.webp_encode(np.full((8, 8, 3), 60, np.uint8), lossless=True)
    >>> out = np.empty((8, 8, 3), np.uint8)
    >>> decode(data, read_header(data), out)
    >>> out[3, 4].tolist()
    [60, 60, 60]
    """
    import imagecodecs

    with decoding(_WHAT):
        imagecodecs.webp_decode(data, hasalpha=False, out=out)


def find_exif(data: bytes) -> slice | None:
    """Find the EXIF data of a WebP file.

    Parameters
    ----------
    data : bytes

    Returns
    -------
    slice or None
        Its bytes in the file.
    """
    return _find_chunks(data).get(b"EXIF")


def _find_chunks(data: bytes) -> dict[bytes, slice]:
    """Return where the contents of the chunks are by name; the first of a name counts."""
    stop = 8 + int.from_bytes(data[4:8], "little")
    if stop > len(data) or stop < 20:
        raise cut_off(_WHAT, len(data), f"{stop:,} of them")
    chunks: dict[bytes, slice] = {}
    at = 12
    while at + 8 <= stop:
        n = int.from_bytes(data[at + 4 : at + 8], "little")
        if at + 8 + n > stop:
            raise cut_off(_WHAT, len(data), "whole chunks")
        chunks.setdefault(data[at : at + 4], slice(at + 8, at + 8 + n))
        at += 8 + n + n % 2
    return chunks


def _read_first(name: bytes, content: bytes) -> tuple[int, int, bool]:
    """Return the height, the width and whether there is alpha, from the first chunk."""
    if name == b"VP8X" and len(content) >= 10:
        if content[0] & _ANIMATION:
            raise MtfastError(
                "an animated WebP file; expected one image; save each frame as a file"
            )
        width, height = (int.from_bytes(content[k : k + 3], "little") + 1 for k in (4, 7))
        return height, width, bool(content[0] & _ALPHA)
    if name == b"VP8 " and content[3:6] == b"\x9d\x01\x2a" and len(content) >= 10:
        width, height = (int.from_bytes(content[k : k + 2], "little") & 0x3FFF for k in (6, 8))
        return height, width, False
    if name == b"VP8L" and content[:1] == b"/" and len(content) >= 5:
        bits = int.from_bytes(content[1:5], "little")
        return (bits >> 14 & 0x3FFF) + 1, (bits & 0x3FFF) + 1, bool(bits >> 28 & 1)
    raise MtfastError(
        f"a WebP image that begins with {name!r}; expected a frame of VP8, VP8L or VP8X; "
        f"copy the file again or remove it"
    )
