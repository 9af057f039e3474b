"""A page of a TIFF stack -> a file of its own, without decoding a pixel.

The tags that say what the pixels are, and the strips or tiles as they are compressed, are copied.
Tags about the stack are left out: a reader that finds ImageJ's ``images=40`` looks for the others.
Source: TIFF 6.0; tag numbers as in its section 8.
"""

from __future__ import annotations

import struct
from typing import BinaryIO, NamedTuple

from mtfast.errors import MtfastError
from mtfast.image_files.header import check_page, cut_off
from mtfast.image_files.tiff_directories import (
    Directory,
    Layout,
    check_parts,
    read_directories,
    read_layout,
)
from mtfast.limits import max_file_bytes

__all__ = ["cut_page"]

_WHAT = "a TIFF"
_OFFSETS, _COUNTS = {273: 279, 324: 325}, {279, 325}
_SUB_DIRECTORIES = 330
# fmt: off
_KEPT = frozenset({
    254,                      # subfile type
    256, 257, 258, 259, 262,  # size, bits, compression, photometric
    266, 274, 277, 278, 284,  # fill order, orientation, samples, rows a strip, planes
    292, 293, 317,            # fax options, predictor
    320, 322, 323,            # palette, tile size
    332, 336, 338, 339,       # inks, dot range, extra samples, sample format
    347, 529, 530, 531, 532,  # JPEG tables, YCbCr
    32997,                    # depth
    33421, 33422, 50706,      # raw photographs, so that they are told from others
    *_OFFSETS, *_COUNTS,
})
# fmt: on
# Bytes of a value by its type, and the formats of integers.
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 16: 8, 17: 8}
_INTEGERS = {3: "H", 4: "I", 16: "Q"}
_LONG = 4


class _Tag(NamedTuple):
    code: int
    type: int
    n: int
    value: bytes


class _Stack:
    """A file of pages: reads stay inside of it, whatever its tags claim."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.n_bytes = stream.seek(0, 2)

    def read(self, at: int, n: int) -> bytes:
        """Read n bytes, fewer at the end of the file."""
        if not 0 <= at <= self.n_bytes:
            return b""
        self._stream.seek(at)
        return self._stream.read(min(n, self.n_bytes - at))

    def read_whole(self, at: int, n: int) -> bytes:
        """Read n bytes; MtfastError if the file does not hold as many."""
        if at < 1 or at + n > self.n_bytes:
            raise cut_off(_WHAT, self.n_bytes, f"{at + n:,} of them")
        return self.read(at, n)


def cut_page(stream: BinaryIO, page: int) -> bytes:
    """Make a file of one page of a TIFF stack.

    Parameters
    ----------
    stream : binary file
        Seekable; only the tables of pages before it and the page itself are read.
    page : int
        From 0 on; reduced copies and masks of other pages do not count.

    Returns
    -------
    bytes
        A TIFF in the byte order of the stack, with the same compressed strips or tiles.

    Raises
    ------
    MtfastError
        If it is no TIFF, has no such page, is cut off, or the page cannot be copied.

    Examples
    --------
    >>> import io, numpy as np, tifffile
    >>> stack = io.BytesIO()
    >>> tifffile.imwrite(stack, np.arange(24, dtype=np.uint16).reshape(3, 2, 4),
    ...     photometric="minisblack")
    >>> tifffile.imread(io.BytesIO(cut_page(stack, 2))).tolist()
    [[16, 17, 18, 19], [20, 21, 22, 23]]
    """
    stack = _Stack(stream)
    start = stack.read(0, 4)
    if start not in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        raise MtfastError(
            f"page {page} of a file that is no TIFF; expected a TIFF, as other files have no "
            f"pages; name the file without a page"
        )
    directories = read_directories(stack.read, stack.n_bytes)
    layout = read_layout(start)
    directory = directories[check_page(_WHAT, page, len(directories))]
    check_parts(stack.read, directory)
    tags = _read_tags(stack, directory, layout)
    parts = _read_parts(stack, tags, layout)
    return _write(tags, parts, layout)


def _read_tags(stack: _Stack, directory: Directory, layout: Layout) -> dict[int, _Tag]:
    raw = stack.read_whole(directory.tags, directory.n_tags * layout.tag.size)
    tags: dict[int, _Tag] = {}
    for code, type_, count, value in layout.tag.iter_unpack(raw):
        if code == _SUB_DIRECTORIES and directory.is_reduced:
            raise _uncopied("a RAW photograph", "develop it to a 16-bit TIFF")
        if code not in _KEPT or type_ not in _SIZES:
            continue
        n = count * _SIZES[type_]
        if n > len(value):
            (at,) = struct.unpack(layout.order + layout.links, value)
            value = stack.read_whole(at, n)
        tags[code] = _Tag(code, type_, count, value[:n])
    return tags


def _read_parts(stack: _Stack, tags: dict[int, _Tag], layout: Layout) -> list[bytes]:
    """Read the strips or tiles of a page."""
    at = next((code for code in _OFFSETS if code in tags), 0)
    if not at or _OFFSETS[at] not in tags:
        raise _uncopied("a TIFF page without strips or tiles", "save it again")
    starts, counts = (_integers(tags[code], layout) for code in (at, _OFFSETS[at]))
    if len(starts) != len(counts) or sum(counts) > min(stack.n_bytes, max_file_bytes()):
        raise _uncopied("a TIFF page whose strips or tiles do not fit its file", "save it again")
    return [stack.read_whole(a, n) for a, n in zip(starts, counts, strict=True)]


def _integers(tag: _Tag, layout: Layout) -> list[int]:
    if tag.type not in _INTEGERS:
        raise _uncopied("a TIFF page with damaged tags", "copy the file again")
    code = f"{layout.order}{tag.n}{_INTEGERS[tag.type]}"
    return [int(value) for value in struct.unpack(code, tag.value)]


def _uncopied(found: str, advice: str) -> MtfastError:
    return MtfastError(f"{found}; expected a page that can be copied to a file; {advice}")


def _write(tags: dict[int, _Tag], parts: list[bytes], layout: Layout) -> bytes:
    """Write a file: header, directory, long values, strips or tiles."""
    order = layout.order
    for code in _OFFSETS:
        if code in tags:
            tags[code] = _Tag(code, _LONG, len(parts), bytes(4 * len(parts)))
            counts = struct.pack(f"{order}{len(parts)}I", *map(len, parts))
            tags[_OFFSETS[code]] = _Tag(_OFFSETS[code], _LONG, len(parts), counts)
    ordered = [_narrowed(tag, layout) for _, tag in sorted(tags.items())]
    values = 8 + 2 + 12 * len(ordered) + 4
    data = values + sum(len(tag.value) + len(tag.value) % 2 for tag in ordered if _is_long(tag))
    starts = [data]
    for part in parts:
        starts.append(starts[-1] + len(part) + len(part) % 2)
    entries, after = [], []
    for tag in ordered:
        value = struct.pack(f"{order}{len(parts)}I", *starts[:-1])
        value = value if tag.code in _OFFSETS else tag.value
        entries.append(struct.pack(f"{order}HHI", *tag[:3]))
        if _is_long(tag):
            entries.append(struct.pack(f"{order}I", values))
            after.append(_padded(value))
            values += len(after[-1])
        else:
            entries.append(value.ljust(4, b"\0"))
    start = b"II*\0" if order == "<" else b"MM\0*"
    header = start + struct.pack(f"{order}IH", 8, len(ordered))
    return b"".join((header, *entries, bytes(4), *after, *map(_padded, parts)))


def _is_long(tag: _Tag) -> bool:
    return len(tag.value) > 4


def _narrowed(tag: _Tag, layout: Layout) -> _Tag:
    """Write integers of 64 bits, which only BigTIFF has, with 32."""
    if _SIZES[tag.type] != 8 or tag.type not in _INTEGERS:
        return tag
    values = _integers(tag, layout)
    if max(values, default=0) >= 1 << 32:
        raise _uncopied("a TIFF page of 4 GB or more", "cut it into tiles")
    return _Tag(tag.code, _LONG, tag.n, struct.pack(f"{layout.order}{tag.n}I", *values))


def _padded(value: bytes) -> bytes:
    """Begin what follows at an even place, as TIFF demands."""
    return value + bytes(len(value) % 2)
