"""PNG files: all bit depths and colour types, interlaced or not.

A file is a signature and chunks, each of a length, a name of four letters, that many bytes and a
checksum. Source: ISO/IEC 15948.
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

from numpy.typing import NDArray

from mtfast.errors import MtfastError
from mtfast.image_files.exif import read_orientation
from mtfast.image_files.header import (
    UINT8,
    UINT16,
    ImageHeader,
    check_density,
    check_page,
    check_size,
    cut_off,
    decoding,
)
from mtfast.image_files.pixels import fill

__all__ = ["decode", "find_exif", "read_header", "recognises"]

_WHAT = "a PNG image"
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_GREY, _RGB, _PALETTE, _GREY_ALPHA, _RGBA = 0, 2, 3, 4, 6
_CHANNELS = {_GREY: 1, _RGB: 3, _PALETTE: 1, _GREY_ALPHA: 2, _RGBA: 4}
_DEPTHS = {_GREY: (1, 2, 4, 8, 16), _PALETTE: (1, 2, 4, 8)}
# What deflate can do: 258 bytes for two bits.
_MOST_BYTES_A_BYTE = 1032


class _Chunk(NamedTuple):
    """Its name, where its bytes begin, and where the next chunk does."""

    name: bytes
    start: int
    stop: int


class _Fields(NamedTuple):
    """The chunk IHDR."""

    width: int
    height: int
    depth: int
    colour: int
    compression: int
    filters: int
    interlace: int


def recognises(data: bytes) -> bool:
    """Return whether a file begins as a PNG image does.

    Parameters
    ----------
    data : bytes

    Returns
    -------
    bool

    Examples
    --------
    >>> recognises(bytes.fromhex("89504e470d0a1a0a"))
    True
    """
    return data[:8] == _SIGNATURE


def read_header(data: bytes, page: int | None = None) -> ImageHeader:
    """Read the header of a PNG file, and walk its chunks to the last one.

    Parameters
    ----------
    data : bytes
        The whole file; bytes after its last chunk are ignored.
    page : int, optional
        Only 0.

    Returns
    -------
    ImageHeader

    Raises
    ------
    MtfastError
        If the file is cut off or damaged.

    Examples
    --------
    >>> import imagecodecs, numpy as np
    >>> header = read_header(imagecodecs.png_encode(np.zeros((120, 192), np.uint16)))
    >>> header.shape, header.dtype
    ((120, 192), dtype('uint16'))
    """
    check_page(_WHAT, page, 1)
    chunks = _read_chunks(data)
    fields = _read_fields(data, chunks[0])
    n_stored = sum(c.stop - 12 - c.start + 8 for c in chunks if c.name == b"IDAT")
    _check_fields(fields, n_stored)
    names = {c.name: c for c in chunks}
    exif = find_exif(data)
    is_deep = fields.depth == 16
    return ImageHeader(
        "png",
        fields.height,
        fields.width,
        UINT16 if is_deep else UINT8,
        1 if is_deep and fields.colour in (_GREY, _GREY_ALPHA) else 3,
        read_orientation(data[exif]) if exif else 1,
        fields.colour in (_GREY_ALPHA, _RGBA) or b"tRNS" in names,
    )


def decode(data: bytes, header: ImageHeader, out: NDArray[Any]) -> None:
    """Decode a PNG file, straight into an array if it has the same channels.

    Parameters
    ----------
    data : bytes
    header : ImageHeader
        Of this file.
    out : array
        Of the header's shape and type, in C order; is overwritten.

    Raises
    ------
    MtfastError
        If the data does not decode.

    Examples
    --------
    >>> import imagecodecs, numpy as np
    >>> data = imagecodecs.png_encode(np.full((8, 8), 60, np.uint8))
    >>> out = np.empty((8, 8, 3), np.uint8)
    >>> decode(data, read_header(data), out)
    >>> out[3, 4].tolist()
    [60, 60, 60]
    """
    import imagecodecs

    chunks = _read_chunks(data)
    fields = _read_fields(data, chunks[0])
    bare = _read_critical(data, chunks)
    with decoding(_WHAT):
        if fields.colour in (_RGB, _PALETTE) or (fields.colour == _GREY and out.ndim == 2):
            imagecodecs.png_decode(bare, out=out)
        else:
            fill(out, imagecodecs.png_decode(bare))


def find_exif(data: bytes) -> slice | None:
    """Find the EXIF data of a PNG file.

    Parameters
    ----------
    data : bytes

    Returns
    -------
    slice or None
        Its bytes in the file, between the name of a chunk and its checksum.
    """
    found = [c for c in _read_chunks(data) if c.name == b"eXIf"]
    return slice(found[-1].start, found[-1].stop - 4) if found else None


def _read_chunks(data: bytes) -> list[_Chunk]:
    chunks: list[_Chunk] = []
    at = len(_SIGNATURE)
    while not chunks or chunks[-1].name != b"IEND":
        start = at + 8
        stop = start + int.from_bytes(data[at : at + 4], "big") + 4
        if stop > len(data) or start > len(data):
            raise cut_off(_WHAT, len(data), "chunks up to one called IEND")
        chunks.append(_Chunk(data[at + 4 : start], start, stop))
        at = stop
    return chunks


def _read_fields(data: bytes, first: _Chunk) -> _Fields:
    if first.name != b"IHDR" or first.stop - first.start != 17:
        raise MtfastError(
            "a PNG image without its header; expected a chunk IHDR of 13 bytes at its start; "
            "save it as an ordinary PNG"
        )
    return _Fields(*struct.unpack_from(">IIBBBBB", data, first.start))


def _check_fields(fields: _Fields, n_stored: int) -> None:
    """Refuse a header that is damaged, or that claims more than the chunks IDAT can hold."""
    check_size(_WHAT, fields.height, fields.width)
    if fields.colour not in _CHANNELS or fields.depth not in _DEPTHS.get(fields.colour, (8, 16)):
        raise MtfastError(
            f"a PNG image of colour type {fields.colour} with {fields.depth} bits; expected a pair "
            f"that PNG knows; copy the file again"
        )
    row = -(-fields.width * fields.depth * _CHANNELS[fields.colour] // 8)
    check_density(_WHAT, row * fields.height, n_stored, _MOST_BYTES_A_BYTE)


def _read_critical(data: bytes, chunks: list[_Chunk]) -> bytes:
    """Return a file of the critical chunks, whose names begin with a capital letter.

    libpng prints warnings about others on standard error, and adds alpha to an image with tRNS. It
    also prints what it finds in damaged data, so checksums are compared before: 0.1 ms for 5 MB.
    """
    import imagecodecs

    view = memoryview(data)
    kept = [c for c in chunks if c.name[:1].isupper()]
    for chunk in kept:
        stated = int.from_bytes(data[chunk.stop - 4 : chunk.stop], "big")
        if imagecodecs.deflate_crc32(view[chunk.start - 4 : chunk.stop - 4]) != stated:
            raise MtfastError(
                f"a PNG image with damage after byte {chunk.start:,}; expected data that fit their "
                f"checksum; copy the file again or remove it"
            )
    if len(kept) == len(chunks):
        return data
    return _SIGNATURE + b"".join([view[c.start - 8 : c.stop] for c in kept])
