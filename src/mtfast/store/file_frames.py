"""Image files as chunks of a byte array: zstd frames that hold them verbatim.

A chunk has the bytes of a file and zeros up to the longest file of the array. Both stand in a zstd
frame, so that every Zarr reader decodes it, but the bytes of the file are not compressed: they can
be read in place, also a range of them::

    frame header   block header  up to 128 KiB   block header  …   header, 0     crc32c
    14 bytes       3 bytes       of the file     3 bytes           RLE blocks    4 bytes

Byte ``o`` of the file is byte ``14 + o + 3 * (o // 131072 + 1)`` of the chunk. Source: RFC 8878,
sections 3.1.1.1 and 3.1.1.2; the checksum is that of Zarr's codec ``crc32c``.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from mtfast.errors import MtfastError

__all__ = [
    "CHECKSUM_BYTES",
    "ChunkRanges",
    "Piece",
    "chunk_range",
    "chunk_ranges",
    "decoded_bytes",
    "extend_checksum",
    "frame",
    "frame_bytes",
    "framed_bytes",
    "is_whole",
    "seal",
    "seal_pieces",
    "sum_of",
    "unframe",
]

CHECKSUM_BYTES = 4
_HEADER_BYTES = 14
_BLOCK = 1 << 17
_BLOCK_HEADER_BYTES = 3
# No dictionary, no checksum of zstd's, eight bytes of content size; a window of 2**(10 + 7) bytes.
_HEADER = struct.Struct("<IBBQ")
_MAGIC, _DESCRIPTOR, _WINDOW = 0xFD2FB528, 0xC0, 7 << 3
_LAST, _RAW, _RLE = 1, 0 << 1, 1 << 1
_KIND = 3 << 1
# The CRC-32C of anything that is followed by its own CRC-32C.
_RESIDUE = 0x48674BC7


Piece = bytes | memoryview
"""Bytes of a chunk. Those of a file are views of it: joining them would copy each file twice."""


def frame(data: Piece, n_bytes: int) -> list[Piece]:
    r"""Make the zstd frame of a file, in pieces.

    Parameters
    ----------
    data : bytes or memoryview
        The file.
    n_bytes : int
        What the frame decodes to: the file, and zeros after it.

    Returns
    -------
    list of bytes or memoryviews
        What the frame is when they are joined.

    Examples
    --------
    >>> import imagecodecs
    >>> imagecodecs.zstd_decode(b"".join(frame(b"abc", 5)))
    b'abc\x00\x00'
    """
    pieces: list[Piece] = [_HEADER.pack(_MAGIC, _DESCRIPTOR, _WINDOW, n_bytes)]
    # Slices of bytes would be copies: 1.4 ms for a file of 1.2 MB, and 0.1 without.
    view = memoryview(data)
    for start in range(0, len(view), _BLOCK):
        block = view[start : start + _BLOCK]
        last = _LAST if start + len(block) == n_bytes else 0
        pieces += [_block_header(len(block), _RAW | last), block]
    left = n_bytes - len(view)
    while left:
        n = min(left, _BLOCK)
        left -= n
        pieces += [_block_header(n, _RLE | (0 if left else _LAST)), b"\0"]
    if not n_bytes:
        pieces.append(_block_header(0, _RAW | _LAST))
    return pieces


def _block_header(n: int, kind: int) -> bytes:
    return (n << 3 | kind).to_bytes(_BLOCK_HEADER_BYTES, "little")


def chunk_range(start: int, stop: int) -> tuple[int, int]:
    """Return where bytes start .. stop - 1 of a file are in its chunk.

    Parameters
    ----------
    start, stop : int
        Of at least one byte.

    Returns
    -------
    first, last : int
        The bytes, and the headers of blocks between them.

    Examples
    --------
    >>> chunk_range(0, 10), chunk_range(131071, 131073)
    ((17, 27), (131088, 131093))
    """
    return _place(start), _place(stop - 1) + 1


def _place(byte: int) -> int:
    return _HEADER_BYTES + byte + _BLOCK_HEADER_BYTES * (byte // _BLOCK + 1)


class ChunkRanges(NamedTuple):
    """Where ranges of a file are in its chunks, (n,) int64 each: bytes of the file only.

    Attributes
    ----------
    number : int64
        Which of the ranges each is a part of.
    chunk, first, length : int64
        The chunk, its byte at which the part begins, and bytes.
    at : int64
        Which byte of the file its first one is.
    """

    number: NDArray[np.int64]
    chunk: NDArray[np.int64]
    first: NDArray[np.int64]
    length: NDArray[np.int64]
    at: NDArray[np.int64]


def chunk_ranges(
    starts: NDArray[np.int64], stops: NDArray[np.int64], pieces: NDArray[np.int64]
) -> ChunkRanges:
    """Find many ranges of files in their chunks, without the headers of blocks between them.

    Parameters
    ----------
    starts, stops : (n,) int64
        Of at least one byte each.
    pieces : (n,) int64
        Bytes of each file in one chunk.

    Returns
    -------
    ChunkRanges
        In the order of the ranges.

    Examples
    --------
    >>> starts, stops = np.array([131071, 5]), np.array([131073, 9])
    >>> found = chunk_ranges(starts, stops, np.array([1 << 22, 1 << 22]))
    >>> found.number.tolist(), found.first.tolist(), found.length.tolist()
    ([0, 0, 1], [131088, 131092, 22], [1, 1, 4])
    """
    number, at = np.arange(len(starts)), starts
    parts = []
    while len(number):
        chunk, inside = np.divmod(at, pieces[number])
        n = np.minimum(_BLOCK - inside % _BLOCK, pieces[number] - inside)
        n = np.minimum(n, stops[number] - at)
        first = _HEADER_BYTES + inside + _BLOCK_HEADER_BYTES * (inside // _BLOCK + 1)
        parts.append((number, chunk, first, n, at))
        at = at + n
        is_left = at < stops[number]
        number, at = number[is_left], at[is_left]
    columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
    order = np.argsort(columns[0], kind="stable")
    return ChunkRanges(*(column[order] for column in columns))


def unframe(data: bytes, start: int, stop: int) -> bytes:
    """Return bytes of a file without the headers of blocks between them.

    Parameters
    ----------
    data : bytes
        What is in the chunk at :func:`chunk_range` of the bytes.
    start, stop : int

    Returns
    -------
    bytes

    Examples
    --------
    >>> chunk = b"".join(frame(bytes(200_000) + b"abc", 300_000))
    >>> first, last = chunk_range(131_000, 200_003)
    >>> unframe(chunk[first:last], 131_000, 200_003) == bytes(69_000) + b"abc"
    True
    """
    if start // _BLOCK == (stop - 1) // _BLOCK:
        return data
    view = memoryview(data)
    pieces, at, byte = [], 0, start
    while byte < stop:
        n = min(_BLOCK - byte % _BLOCK, stop - byte)
        pieces.append(view[at : at + n])
        at += n + _BLOCK_HEADER_BYTES
        byte += n
    return b"".join(pieces)


def frame_bytes(n: int, n_bytes: int) -> int:
    """Return the length of the frame of a file.

    Parameters
    ----------
    n : int
        Bytes of the file.
    n_bytes : int
        What the frame decodes to, as for :func:`frame`.

    Returns
    -------
    int

    Examples
    --------
    >>> frame_bytes(200_000, 300_000) == sum(map(len, frame(bytes(200_000), 300_000)))
    True
    """
    n_raw, n_zeros = -(-n // _BLOCK), -(-(n_bytes - n) // _BLOCK)
    blocks = n + _BLOCK_HEADER_BYTES * n_raw + (_BLOCK_HEADER_BYTES + 1) * n_zeros
    return _HEADER_BYTES + (blocks if n_bytes else _BLOCK_HEADER_BYTES)


def framed_bytes(chunk: bytes) -> int:
    """Return how many bytes of a file a frame holds.

    Parameters
    ----------
    chunk : bytes
        As :func:`frame` makes it, joined, and anything after it.

    Returns
    -------
    int

    Examples
    --------
    >>> framed_bytes(b"".join(frame(bytes(200_000), 300_000)))
    200000
    """
    at, n = _HEADER_BYTES, 0
    while at + _BLOCK_HEADER_BYTES <= len(chunk):
        header = int.from_bytes(chunk[at : at + _BLOCK_HEADER_BYTES], "little")
        if header & _KIND != _RAW:
            break
        length = header >> 3
        n += length
        at += _BLOCK_HEADER_BYTES + length
        if header & _LAST:
            break
    return n


def decoded_bytes(chunk: bytes) -> int | None:
    """Return what a zstd frame says that it decodes to.

    Parameters
    ----------
    chunk : bytes
        A frame, and anything after it.

    Returns
    -------
    int or None
        Bytes; None if it does not say, or is no frame.

    Examples
    --------
    >>> import imagecodecs
    >>> decoded_bytes(imagecodecs.zstd_encode(bytes(1000))), decoded_bytes(b"abc")
    (1000, None)
    """
    if len(chunk) < 6 or int.from_bytes(chunk[:4], "little") != _MAGIC:
        return None
    descriptor = chunk[4]
    is_single = descriptor >> 5 & 1
    length = (is_single, 2, 4, 8)[descriptor >> 6]
    if not length:
        return None
    at = 5 + (not is_single) + (0, 1, 2, 4)[descriptor & 3]
    found = int.from_bytes(chunk[at : at + length], "little")
    return found + 256 if length == 2 else found


def seal(chunk: bytes) -> bytes:
    """Append the checksum of a chunk.

    Parameters
    ----------
    chunk : bytes

    Returns
    -------
    bytes

    Examples
    --------
    >>> is_whole(seal(b"abc")), is_whole(seal(b"abc")[:-1] + b"!")
    (True, False)
    """
    checksum: int = google_crc32c.value(chunk)
    return chunk + checksum.to_bytes(CHECKSUM_BYTES, "little")


def seal_pieces(pieces: Sequence[Piece]) -> list[Piece]:
    """Append the checksum of a chunk that is in pieces.

    Parameters
    ----------
    pieces : sequence of bytes or memoryviews

    Returns
    -------
    list of bytes or memoryviews
        The last one is the checksum.

    Examples
    --------
    >>> b"".join(seal_pieces([b"a", b"bc"])) == seal(b"abc")
    True
    """
    checksum = 0
    for piece in pieces:
        checksum = extend_checksum(checksum, piece)
    return [*pieces, checksum.to_bytes(CHECKSUM_BYTES, "little")]


def extend_checksum(checksum: int, piece: Piece) -> int:
    """Return the CRC-32C of some bytes and those after them.

    Parameters
    ----------
    checksum : int
        Of the bytes before; 0 for none.
    piece : bytes or memoryview

    Returns
    -------
    int

    Examples
    --------
    >>> extend_checksum(extend_checksum(0, b"1234"), memoryview(b"56789"))
    3808858755
    """
    # Of views, google_crc32c reads those of numpy.
    return int(google_crc32c.extend(checksum, np.frombuffer(piece, np.uint8)))


def is_whole(chunk: bytes) -> bool:
    """Return whether a chunk is followed by its checksum.

    Parameters
    ----------
    chunk : bytes

    Returns
    -------
    bool
    """
    return len(chunk) >= CHECKSUM_BYTES and google_crc32c.value(chunk) == _RESIDUE


def sum_of(chunks: Sequence[bytes]) -> int:
    """Return the checksum that the columns of a store keep of an image's chunks.

    Parameters
    ----------
    chunks : sequence of bytes
        Sealed.

    Returns
    -------
    int
        That of the chunk; of several, the CRC-32C of their checksums one after another.

    Raises
    ------
    MtfastError
        If there is no chunk.
    """
    if not chunks:
        raise MtfastError("an image of no chunks; expected at least one")
    sums = [chunk[-CHECKSUM_BYTES:] for chunk in chunks]
    if len(sums) == 1:
        return int.from_bytes(sums[0], "little")
    return int(google_crc32c.value(b"".join(sums)))
