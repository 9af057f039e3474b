"""Masks as zlib streams: the codes of mtfast.kernels.files.zlib_stream, and what goes around them.

The description of the codes is that of "dynamic Huffman codes", BTYPE 2. The code of a copy of 258
bytes has one bit; n other symbols share the other half, so that with ``2**k >= n`` some have k and
the rest k + 1 bits. Hence only four lengths occur, with 0 for symbols that do not, and each is
described by two bits.

Source: RFC 1951, section 3.2.7; PNG specification, third edition.
"""

from __future__ import annotations

import struct
import zlib
from functools import lru_cache
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtfast.painting.encode import MaskRowRuns, cut_at

__all__ = ["PngFiles", "ZlibStreams"]

# The smallest length that each symbol from 257 on copies, and how many bits follow that add to it.
_LENGTHS = [3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99]
_LENGTHS += [115, 131, 163, 195, 227, 258]
_EXTRA_BITS = [0] * 8 + [k for k in (1, 2, 3, 4, 5) for _ in range(4)] + [0]
_END, _FIRST_COPY, _FULL_COPY = 256, 257, 285
# The order in which a stream names the lengths of the codes that describe its codes.
_ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]

_ZLIB_HEADER = 0x0178
# Of libdeflate: beyond it, masks of many runs take twice as long for a few percent.
_LEVEL = 4


class Codes(NamedTuple):
    """What a stream begins with, and the codes as the kernel takes them."""

    head: NDArray[np.uint8]
    head_bits: int
    codes: NDArray[np.int64]


@lru_cache
def codes_up_to(largest: int) -> Codes:
    """Make codes for pixels of 0 .. largest."""
    others = [*range(largest + 1), *range(_END, _FULL_COPY)]
    k = (len(others) - 1).bit_length()
    n_short = 2**k - len(others)
    lengths = dict.fromkeys(others[:n_short], k) | dict.fromkeys(others[n_short:], k + 1)
    lengths[_FULL_COPY] = 1
    codes = _canonical(lengths)

    description = _canonical(dict.fromkeys((0, 1, k, k + 1), 2))
    named = 1 + max(_ORDER.index(length) for length in description)
    bits = [(_ZLIB_HEADER, 16), (1, 1), (2, 2), (_FULL_COPY + 1 - 257, 5), (0, 5), (named - 4, 4)]
    bits += [(2 if length in description else 0, 3) for length in _ORDER[:named]]
    # One distance, that of one byte, with a code of one bit.
    bits += [description[lengths.get(symbol, 0)] for symbol in range(_FULL_COPY + 1)]
    bits += [description[1]]
    head, head_bits = 0, 0
    for value, n in bits:
        head |= value << head_bits
        head_bits += n
    # The byte after the last whole one is always there: the stream goes on in it.
    data = head.to_bytes(head_bits // 8 + 1, "little")

    table = [codes.get(symbol, (0, 0)) for symbol in range(_END + 1)]
    table += [(0, 0)] * _LENGTHS[0]
    for length in range(_LENGTHS[0], 259):
        i = max(i for i, least in enumerate(_LENGTHS) if least <= length)
        value, n = codes[_FIRST_COPY + i]
        # The bits of the length that the symbol leaves open, then the distance.
        table.append((value | length - _LENGTHS[i] << n, n + _EXTRA_BITS[i] + 1))
    packed = [value << 5 | n for value, n in table]
    return Codes(np.frombuffer(data, np.uint8), head_bits, np.array(packed, np.int64))


def _canonical(lengths: dict[int, int]) -> dict[int, tuple[int, int]]:
    """Assign codes of the given lengths; returns (bits, first one lowest, and their number)."""
    codes = {}
    code = previous = 0
    for length, symbol in sorted((length, symbol) for symbol, length in lengths.items()):
        code <<= length - previous
        codes[symbol] = int(f"{code:0{length}b}"[::-1], 2), length
        code, previous = code + 1, length
    return codes


class ZlibStreams:
    """The strips of a TIFF file: a zlib stream of each mask, little-endian.

    Parameters
    ----------
    largest : int
        The largest value of any mask.
    """

    row_prefix: ClassVar[int] = 0
    byte_order: ClassVar[Literal["<", ">"]] = "<"

    def __init__(self, largest: int) -> None:
        self.largest = largest

    def encode_runs(self, runs: MaskRowRuns) -> list[bytes]:
        """Encode masks as literals and copies.

        Parameters
        ----------
        runs : MaskRowRuns
            Of uint8 masks.

        Returns
        -------
        list of bytes
            One for each mask.
        """
        from mtfast.kernels.files import zlib_stream

        n_images = len(runs.ends)
        height, width = runs.size
        n_bytes = height * (width + self.row_prefix)
        capacity = n_images * (zlib_stream.stream_capacity(0, n_bytes) + 1)
        out = np.empty(capacity + zlib_stream.stream_capacity(len(runs.starts), 0), np.uint8)
        ends = np.empty(n_images, np.int64)
        codes = codes_up_to(self.largest)
        zlib_stream.write_streams(*runs[:4], height, width, self.row_prefix, *codes, out, ends)
        return cut_at(out, ends)

    def encode_pixels(self, mask: NDArray[Any]) -> bytes:
        """Compress the pixels of a mask.

        Parameters
        ----------
        mask : (height, width) uint8 or uint16, C order

        Returns
        -------
        bytes
        """
        import imagecodecs

        height, width = mask.shape
        rows = np.zeros((height, self.row_prefix + width * mask.itemsize), np.uint8)
        pixels = mask.astype(mask.dtype.newbyteorder(self.byte_order), copy=False)
        rows[:, self.row_prefix :] = pixels.view(np.uint8).reshape(height, -1)
        encoded: bytes = imagecodecs.deflate_encode(rows, level=_LEVEL, raw=False)
        return encoded


class PngFiles(ZlibStreams):
    """Whole PNG files: grey, or with a palette for values 0 .. 255.

    Parameters
    ----------
    largest : int
        The largest value of any mask.
    palette : (n, 3) uint8 RGB, optional
    """

    # Each row begins with the number of its filter; 0 is none.
    row_prefix = 1
    byte_order = ">"
    ending = b"\x00\x00\x00\x00IEND\xaeB`\x82"

    def __init__(self, largest: int, palette: NDArray[np.uint8] | None = None) -> None:
        super().__init__(largest)
        self.palette = palette

    def encode_runs(self, runs: MaskRowRuns) -> list[bytes]:
        """Encode masks as files.

        Parameters
        ----------
        runs : MaskRowRuns
            Of uint8 masks.

        Returns
        -------
        list of bytes
            One for each mask.
        """
        head = self._head(runs.size, 8)
        return [self._file(head, stream) for stream in super().encode_runs(runs)]

    def encode_pixels(self, mask: NDArray[Any]) -> bytes:
        """Encode a mask as a file.

        Parameters
        ----------
        mask : (height, width) uint8 or uint16, C order

        Returns
        -------
        bytes
        """
        height, width = mask.shape
        return self._file(
            self._head((height, width), 8 * mask.itemsize), super().encode_pixels(mask)
        )

    def _head(self, size: tuple[int, int], bit_depth: int) -> bytes:
        colour_type = 0 if self.palette is None else 3
        fields = struct.pack(">IIBBBBB", size[1], size[0], bit_depth, colour_type, 0, 0, 0)
        head = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", fields)
        return head if self.palette is None else head + _chunk(b"PLTE", self.palette.tobytes())

    def _file(self, head: bytes, stream: bytes) -> bytes:
        return head + _chunk(b"IDAT", stream) + self.ending


def _chunk(kind: bytes, data: bytes) -> bytes:
    return b"".join(
        (struct.pack(">I", len(data)), kind, data, struct.pack(">I", zlib.crc32(kind + data)))
    )
