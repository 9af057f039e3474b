"""TIFF files of compressed masks, written page by page, with what ImageJ reads.

::

    header | description, colour table, ImageJ's metadata | directory, strip | directory, strip | …

Every directory lies before its strip, so that the place of the next one is known when a page is
written: nothing is kept, and nothing is written twice.

What ImageJ does with a compressed stack, as its Opener and TiffDecoder say: it reads a directory
for each page, and shows the pages as one stack only if all have one type, which a colour table
changes. So every page has a table of its own (1.5 KB; Pillow warns of pages that share one), but
only in stacks that ImageJ could hold in memory. Pages stay grey by their photometric
interpretation, so that other readers return the values of the mask. ImageJ shows the labels of
slices of uncompressed stacks only; tifffile and what is built on it reads them here too. ImageJ
itself opens no BigTIFF file, Fiji does through Bio-Formats.

Sources: TIFF, revision 6.0, 1992; BigTIFF, https://www.awaresystems.be/imaging/tiff/bigtiff.html;
ij/io/TiffDecoder.java, TiffEncoder.java and Opener.java of ImageJ, https://github.com/imagej/ImageJ.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from mtfast.pictures.palette import colour_table

__all__ = ["PageInfo", "write_pages"]

# Types of the values of a tag, and their sizes in bytes.
_BYTE, _ASCII, _SHORT, _LONG, _RATIONAL, _LONG8 = 1, 2, 3, 4, 5, 16
_SIZES = {_BYTE: 1, _ASCII: 1, _SHORT: 2, _LONG: 4, _RATIONAL: 8, _LONG8: 8}
_ADOBE_DEFLATE, _MIN_IS_BLACK, _NO_UNIT, _CENTIMETRE = 8, 1, 1, 3
# Bytes of a directory, at most.
_DIRECTORY = 400
_LARGEST_LONG = (1 << 32) - 1
# The last byte that classic TIFF has an offset for.
_LAST_CLASSIC = _LARGEST_LONG
# Bytes of pixels that ImageJ may hold in memory: larger stacks have no colour tables.
_LARGEST_IN_IMAGEJ = 1 << 34


@dataclass(frozen=True)
class PageInfo:
    """What a file says about its masks.

    Attributes
    ----------
    dtype : str
        Of the pixels, "uint8" or "uint16".
    largest : int
        The largest value of any pixel.
    pixel_size : float, optional
        Width of a pixel in micrometres.
    labels : sequence of str, optional
        The name of each page. With them, a file is an ImageJ stack, whose pages must have one size;
        its unit is the micrometre, and that of other files, as TIFF has it, the centimetre.
    """

    dtype: str
    largest: int
    pixel_size: float | None = None
    labels: Sequence[str] | None = None


class _Form(NamedTuple):
    """How classic TIFF or BigTIFF writes a header, numbers of tags and of values, and offsets."""

    header: bytes
    n_tags: str
    n_values: str
    offset: str


_CLASSIC = _Form(b"II*\0", "<H", "I", "<I")
_BIG = _Form(b"II+\0\x08\0\0\0", "<Q", "Q", "<Q")


class _Tag(NamedTuple):
    """A tag: its values, or the offset of those that are elsewhere in the file."""

    code: int
    type: int
    values: bytes
    n_values: int = 0
    offset: int = 0


def write_pages(
    file: Any,
    strips: Iterable[bytes],
    sizes: Sequence[tuple[int, int]],
    info: PageInfo,
    n_bytes: int,
) -> None:
    """Write a TIFF file with one strip on each page; BigTIFF if it takes more than 4 GB.

    Parameters
    ----------
    file : binary file
        Open for writing, empty.
    strips : iterable of bytes
        The zlib stream of each page; its samples of 16 bits are little-endian.
    sizes : sequence of (height, width)
        Of each page, at least one.
    info : PageInfo
    n_bytes : int
        Of all strips together, or more.
    """
    blocks = _blocks(info)
    every = _resolution(info) + _colour_map(info, sizes)
    n_in_page = _DIRECTORY + sum(len(tag.values) for tag in every)
    whole = n_bytes + len(sizes) * n_in_page + sum(len(tag.values) + 1 for tag in blocks)
    form = _CLASSIC if whole <= _LAST_CLASSIC else _BIG
    at = len(form.header) + struct.calcsize(form.offset)
    first = at + sum(_even(len(tag.values)) for tag in blocks)
    file.write(form.header + struct.pack(form.offset, first))
    # Said once, in the first directory.
    once = []
    for tag in blocks:
        n_values = len(tag.values) // _SIZES[tag.type]
        once.append(tag._replace(values=b"", n_values=n_values, offset=at))
        at += file.write(_padded(tag.values))
    last = len(sizes) - 1
    for number, (strip, size) in enumerate(zip(strips, sizes, strict=True)):
        tags = (*every, *once) if number == 0 else every
        directory = _directory(form, size, info.dtype, tags)
        at += file.write(_page(form, directory, strip, at, number == last))


def _page(form: _Form, directory: _Directory, strip: bytes, at: int, is_last: bool) -> bytes:
    """Fill in where the strip lies, how long it is and where the next directory will be."""
    filled = bytearray(directory.data)
    strip_at = at + len(filled)
    end = strip_at + _even(len(strip))
    for place, value in (
        (directory.strip_at, strip_at),
        (directory.strip_bytes, len(strip)),
        (directory.next_at, 0 if is_last else end),
        *((place, at + value_at) for place, value_at in directory.pointers),
    ):
        struct.pack_into(form.offset, filled, place, value)
    return bytes(filled) + _padded(strip)


class _Directory(NamedTuple):
    """A directory with the values that follow it, and what differs from page to page.

    Attributes
    ----------
    data : bytes
    strip_at, strip_bytes, next_at : int
        Where in it the place and length of the strip are, and the place of the next directory.
    pointers : tuple of (int, int)
        Where in it the place of values is, and where in it these are.
    """

    data: bytes
    strip_at: int
    strip_bytes: int
    next_at: int
    pointers: tuple[tuple[int, int], ...]


@lru_cache(maxsize=64)
def _directory(
    form: _Form, size: tuple[int, int], dtype: str, more: tuple[_Tag, ...]
) -> _Directory:
    height, width = size
    offset_type = _LONG8 if form is _BIG else _LONG
    tags = [
        _Tag(256, _LONG, struct.pack("<I", width)),
        _Tag(257, _LONG, struct.pack("<I", height)),
        _Tag(258, _SHORT, struct.pack("<H", 8 * np.dtype(dtype).itemsize)),
        _Tag(259, _SHORT, struct.pack("<H", _ADOBE_DEFLATE)),
        _Tag(262, _SHORT, struct.pack("<H", _MIN_IS_BLACK)),
        _Tag(273, offset_type, struct.pack(form.offset, 0)),
        _Tag(277, _SHORT, struct.pack("<H", 1)),
        _Tag(278, _LONG, struct.pack("<I", height)),
        _Tag(279, offset_type, struct.pack(form.offset, 0)),
        *more,
    ]
    return _packed(form, sorted(tags))


def _packed(form: _Form, tags: Sequence[_Tag]) -> _Directory:
    inline = struct.calcsize(form.offset)
    entry = f"<HH{form.n_values}{inline}s"
    n_bytes = struct.calcsize(form.n_tags) + len(tags) * struct.calcsize(entry) + inline
    data, tail, places, pointers = struct.pack(form.n_tags, len(tags)), b"", {}, []
    for tag in tags:
        n_values = tag.n_values or len(tag.values) // _SIZES[tag.type]
        places[tag.code] = len(data) + struct.calcsize(entry) - inline
        values = tag.values or struct.pack(form.offset, tag.offset)
        if len(values) > inline:
            pointers.append((places[tag.code], n_bytes + len(tail)))
            tail, values = tail + values, b""
        data += struct.pack(entry, tag.code, tag.type, n_values, values)
    whole = data + bytes(inline) + tail
    return _Directory(whole, places[273], places[279], len(data), tuple(pointers))


def _resolution(info: PageInfo) -> tuple[_Tag, ...]:
    """Return the tags of pixels per unit, across and down, and of the unit."""
    if info.pixel_size is None:
        return ()
    unit, micrometres = (_CENTIMETRE, 10**4) if info.labels is None else (_NO_UNIT, 1)
    per_unit = micrometres / Fraction(str(info.pixel_size))
    # Both integers have 32 bits.
    per_unit = per_unit.limit_denominator(max(1, _LARGEST_LONG // (int(per_unit) + 1)))
    values = struct.pack("<II", per_unit.numerator, per_unit.denominator)
    across, down = (_Tag(code, _RATIONAL, values) for code in (282, 283))
    return across, down, _Tag(296, _SHORT, struct.pack("<H", unit))


def _colour_map(info: PageInfo, sizes: Sequence[tuple[int, int]]) -> tuple[_Tag, ...]:
    """Return the tag of the colours of values, of 16 bits: all red, then green, then blue."""
    n_pixels = sum(height * width for height, width in sizes)
    if info.labels is None or info.dtype != "uint8" or n_pixels > _LARGEST_IN_IMAGEJ:
        return ()
    return (_Tag(320, _SHORT, (colour_table(256).T.astype("<u2") * 257).tobytes()),)


def _blocks(info: PageInfo) -> list[_Tag]:
    """Return the tags of an ImageJ stack whose values lie at the beginning of the file."""
    if info.labels is None:
        return []
    luts = colour_table(256).T.tobytes() if info.dtype == "uint8" else b""
    counts, data = _imagej_metadata(info.labels, luts)
    return [
        _Tag(270, _ASCII, _description(info, len(info.labels))),
        _Tag(50838, _LONG, counts),
        _Tag(50839, _BYTE, data),
    ]


def _description(info: PageInfo, n_pages: int) -> bytes:
    lines = ["ImageJ=1.11a", f"images={n_pages}"]
    if n_pages > 1:
        lines += [f"slices={n_pages}", "loop=false"]
    if info.pixel_size is not None:
        # Pages are not above each other: the distance between two of them means nothing.
        lines += ["unit=micron", "spacing=1.0"]
    # The colours of a table are those of the values only if it spans all values.
    lines += ["min=0.0", f"max={255 if info.dtype == 'uint8' else info.largest}.0"]
    return "".join(f"{line}\n" for line in lines).encode() + b"\0"


def _imagej_metadata(labels: Sequence[str], luts: bytes) -> tuple[bytes, bytes]:
    """Return the values of ImageJ's tags 50838 and 50839: lengths, and labels and colours."""
    entries = [label.encode("utf-16-le") for label in labels]
    header = b"JIJI" + struct.pack("<4sI", b"lbal", len(entries))
    if luts:
        entries.append(luts)
        header += struct.pack("<4sI", b"stul", 1)
    counts = np.array([len(header), *map(len, entries)], "<u4")
    return counts.tobytes(), header + b"".join(entries)


def _even(n: int) -> int:
    return n + (n & 1)


def _padded(data: bytes) -> bytes:
    """Make a length even: offsets must be."""
    return data + b"\0" if len(data) & 1 else data
