"""A file of which ranges of bytes are read, here or elsewhere."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any, Protocol

from mtfast.addresses import Address
from mtfast.errors import SourceError
from mtfast.regular_file import RegularFile
from mtfast.remote import Objects, Stat, objects_at
from mtfast.sources.files import unreadable

__all__ = ["LocalRanges", "Ranges", "RangesFile", "RemoteRanges", "ranges_of"]

# What is read first, and the most that is read at once where one range follows the other.
_FIRST, _MOST = 1 << 16, 1 << 24


class Ranges(Protocol):
    """A file of which ranges are read, by several threads at once and after a fork.

    Attributes
    ----------
    n_bytes : int
    is_near : bool
        Whether two small reads cost less than to copy what one large one has read.
    """

    n_bytes: int
    is_near: bool

    @property
    def location(self) -> Path | Address:
        """Where it is."""

    @property
    def stamp(self) -> int | str:
        """What changes when the file does."""

    def read(self, start: int, length: int) -> bytes:
        """Read a range.

        Parameters
        ----------
        start, length : int
            In bytes.

        Returns
        -------
        bytes
            All of it.

        Raises
        ------
        SourceError
            If the file ends sooner, or cannot be read.
        RemoteError
            If storage elsewhere does not send it.
        """


class LocalRanges:
    """A file of this machine. See :class:`Ranges`.

    Parameters
    ----------
    location : Path
        Absolute.

    Raises
    ------
    SourceError
        If it cannot be opened.
    """

    is_near = True

    def __init__(self, location: Path) -> None:
        self.location = location
        try:
            self._file = RegularFile(location)
        except OSError as error:
            raise unreadable(location, error) from error
        self.n_bytes, self.stamp = self._file.status.st_size, self._file.status.st_mtime_ns

    def read(self, start: int, length: int) -> bytes:
        """Read a range; SourceError if the file ends sooner or cannot be read."""
        try:
            data = self._file.read(start, length)
        except OSError as error:
            raise unreadable(self.location, error) from error
        if len(data) < length:
            raise SourceError(
                f"{self.location} ends at byte {start + len(data):,}; expected "
                f"{start + length:,} bytes; leave it as it is while it is read"
            )
        return data


class RemoteRanges:
    """An object of a bucket, or a file of a web server. See :class:`Ranges`.

    Parameters
    ----------
    objects : Objects
    key : str
        Of the object; "" for the one that the address of the objects names.
    stat : Stat, optional
        What is known of it; by default it is asked for.

    Raises
    ------
    FileNotFoundError
        If there is no such object.
    RemoteError
    """

    is_near = False

    def __init__(self, objects: Objects, key: str = "", stat: Stat | None = None) -> None:
        self._objects, self._key = objects, key
        self.location = objects.address / key
        self.n_bytes, self.stamp = stat or objects.stat(key)
        self._first: Stat | None = None

    def read(self, start: int, length: int) -> bytes:
        """Read a range with one request; SourceError if it is of another object than before."""
        if not length:
            return b""
        data, stat = self._objects.read_part(self._key, start, length)
        # Not the stamp that is known: of a listing some servers make it otherwise.
        first = self._first = self._first or stat
        if stat != first or stat.n_bytes != self.n_bytes:
            raise SourceError(
                f"{self.location} has been replaced since it was opened; expected it to stay; open "
                f"the dataset again"
            )
        return data


def ranges_of(location: Path | Address) -> Ranges:
    """Open a file of which ranges are read.

    Parameters
    ----------
    location : Path or Address

    Returns
    -------
    Ranges

    Raises
    ------
    FileNotFoundError
        If there is no such object at an address.
    SourceError, RemoteError
        If it cannot be read.
    """
    if isinstance(location, Address):
        return RemoteRanges(objects_at(location))
    return LocalRanges(location)


class RangesFile(io.RawIOBase):
    """A range of such a file, as a binary file.

    What is read in one go is read in larger and larger ranges, a few bytes here and there in small
    ones.

    Parameters
    ----------
    ranges : Ranges
    start, length : int
        In bytes.
    """

    def __init__(self, ranges: Ranges, start: int, length: int) -> None:
        super().__init__()
        self._ranges, self._start, self._length = ranges, start, length
        self._at = 0
        self._held, self._held_at = b"", 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the place of the next byte."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place; return it."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._length}[whence]
        if base + offset < 0:
            raise ValueError(f"negative seek position {base + offset}")
        self._at = base + offset
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        """Read so many bytes, or all up to the end."""
        left = max(self._length - self._at, 0)
        size = left if size is None or size < 0 else min(size, left)
        offset = self._at - self._held_at
        if not 0 <= offset <= offset + size <= len(self._held):
            goes_on = offset == len(self._held) > 0 or 0 < offset < len(self._held)
            ahead = min(max(2 * len(self._held), _FIRST), _MOST) if goes_on else _FIRST
            self._held = self._ranges.read(
                self._start + self._at, min(max(size, ahead), left) if size else 0
            )
            self._held_at, offset = self._at, 0
        self._at += size
        return self._held[offset : offset + size]

    def readall(self) -> bytes:
        """Read all up to the end."""
        return self.read()

    def readinto(self, buffer: Any) -> int:
        """Read into a buffer; return how many bytes."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
