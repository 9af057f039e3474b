"""The directories of a TIFF file, one a page, without what they point to.

A directory also describes reduced copies and masks of other pages, which are no pages here.
Source: TIFF 6.0, section 2; BigTIFF.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from mtfast.errors import MtfastError
from mtfast.image_files.exif import FORMATS
from mtfast.image_files.header import cut_off

__all__ = [
    "MAX_PAGES",
    "MAX_PARTS",
    "Directory",
    "Layout",
    "Reader",
    "check_parts",
    "find_value",
    "read_directories",
    "read_layout",
]

Reader = Callable[[int, int], bytes]
"""Reads a number of bytes from a place of the file; fewer at its end."""

MAX_PAGES = 100_000
"""Directories of a file, at most; passing one takes 5 us."""

MAX_PARTS = 1 << 20
"""Strips or tiles of a page, at most; reading about one takes 1 us, and 100 bytes."""

_WHAT = "a TIFF"
_TABLES = (273, 279, 324, 325)
_SUBFILE_TYPE = 254
# Bits of the subfile type.
_REDUCED, _MASK = 1, 4


class Layout(NamedTuple):
    """How the numbers of a file are written.

    ``order`` is that of bytes, as :mod:`struct` has it; ``first`` is where the place of the first
    directory stands, ``counts`` and ``links`` are the formats of counts of tags and of places.
    """

    order: str
    first: int
    counts: str
    links: str

    @property
    def tag(self) -> struct.Struct:
        """A tag: its code, type, number of values, and these or where they are."""
        link = self.links
        return struct.Struct(f"{self.order}HH{link}{struct.calcsize('=' + link)}s")


class Directory(NamedTuple):
    """A directory: its number in the file, where its tags begin and how many there are."""

    number: int
    tags: int
    n_tags: int
    subfile_type: int

    @property
    def is_reduced(self) -> bool:
        """Whether it describes a reduced copy of another page."""
        return bool(self.subfile_type & _REDUCED)


def read_layout(start: bytes) -> Layout:
    """Read how the numbers of a file are written.

    Parameters
    ----------
    start : bytes
        The first four bytes of a TIFF.

    Returns
    -------
    Layout
    """
    order = "<" if start[:1] == b"I" else ">"
    is_big = start[2:4] in (b"+\0", b"\0+")
    return Layout(order, 8, "Q", "Q") if is_big else Layout(order, 4, "H", "I")


def read_directories(read: Reader, n_bytes: int) -> list[Directory]:
    """Walk the directories of a file.

    Parameters
    ----------
    read : callable
    n_bytes : int
        Of the file, for messages.

    Returns
    -------
    list of Directory
        Those of pages, or all of them where none says it is one.

    Raises
    ------
    MtfastError
        If the file ends in the middle of one, has none or too many, or they go round in a circle.
    """
    layout = read_layout(read(0, 4))
    link, count = (struct.Struct(layout.order + code) for code in (layout.links, layout.counts))
    found: list[Directory] = []
    seen: set[int] = set()
    try:
        (at,) = link.unpack(read(layout.first, link.size))
        while at:
            if at in seen:
                raise MtfastError(
                    "a TIFF whose pages go round in a circle; expected a last one; "
                    "copy the file again or remove it"
                )
            if len(seen) == MAX_PAGES:
                raise MtfastError(
                    f"a TIFF of more than {MAX_PAGES:,} pages; expected fewer, as finding one "
                    f"means to pass those before it; split the stack"
                )
            seen.add(at)
            (n,) = count.unpack(read(at, count.size))
            tags = at + count.size
            type_ = _read_subfile_type(read, tags, n, layout)
            found.append(Directory(len(found), tags, n, type_))
            (at,) = link.unpack(read(tags + n * layout.tag.size, link.size))
    # OverflowError: a place beyond 2**63, which a BigTIFF can state.
    except (struct.error, OverflowError) as error:
        raise cut_off(_WHAT, n_bytes, "the tables of all its pages") from error
    if not found:
        raise MtfastError(
            "a TIFF without pages; expected at least one; copy the file again or remove it"
        )
    return [d for d in found if not d.subfile_type & (_REDUCED | _MASK)] or found


def check_parts(read: Reader, directory: Directory) -> None:
    """Refuse a page of too many strips or tiles, before a table of them is read.

    Parameters
    ----------
    read : callable
    directory : Directory
        Of the page.

    Raises
    ------
    MtfastError
    """
    for code, _, n, _ in _tags(read, directory, read_layout(read(0, 4))):
        if code in _TABLES and n > MAX_PARTS:
            raise MtfastError(
                f"a TIFF of {n:,} strips or tiles; expected at most {MAX_PARTS:,}; save it with "
                f"larger ones"
            )


def find_value(read: Reader, directory: Directory, wanted: int) -> tuple[int, str] | None:
    """Find where the value of a tag is that has one integer.

    Parameters
    ----------
    read : callable
    directory : Directory
        Of the page.
    wanted : int
        The code of the tag.

    Returns
    -------
    (at, form) or None
        The byte of the value, and its format, as :mod:`struct` has it; None if there is none.
    """
    layout = read_layout(read(0, 4))
    link = struct.calcsize("=" + layout.links)
    for k, (code, type_, n, _) in enumerate(_tags(read, directory, layout), 1):
        if code == wanted and n == 1 and type_ in FORMATS:
            return directory.tags + k * layout.tag.size - link, layout.order + FORMATS[type_]
    return None


def _tags(read: Reader, directory: Directory, layout: Layout) -> Iterator[tuple[Any, ...]]:
    tag = layout.tag
    raw = read(directory.tags, directory.n_tags * tag.size)
    return tag.iter_unpack(raw[: len(raw) // tag.size * tag.size])


def _read_subfile_type(read: Reader, tags: int, n: int, layout: Layout) -> int:
    """Read the tag with the smallest number of those in use, so it comes first if it is there."""
    if not n:
        return 0
    code, _, _, value = layout.tag.unpack(read(tags, layout.tag.size))
    return int(struct.unpack_from(f"{layout.order}I", value)[0]) if code == _SUBFILE_TYPE else 0
