"""What has arrived of a file, and a record of it, in a folder beside the file's place.

::

    .NAME.partial-download/
      content          as long as the file that is to be, with holes where nothing has arrived
      arrived.jsonl    what file it is; then a line [start, stop] for each stretch that was written

A line is added after its bytes are written, so a run that is killed at any moment leaves lines that
are true. Losing power may lose bytes that have a line: the checksum of the whole shows that.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterable
from pathlib import Path

import msgspec

from mtfast.atomic import PARTIAL, new_file, write_file
from mtfast.paths import refuse_link

__all__ = ["Origin", "Partial", "merged", "missing"]

Span = tuple[int, int]


class Origin(msgspec.Struct, frozen=True):
    """Which file it is, and whether it is still the same one.

    Attributes
    ----------
    n_bytes : int
    checksum : str
        As the record states it, or "".
    stamp : str
        ETag or Last-Modified of the server, or "".
    """

    n_bytes: int
    checksum: str = ""
    stamp: str = ""

    def differs(self, other: Origin) -> bool:
        """Return whether anything that both know is different.

        Parameters
        ----------
        other : Origin

        Returns
        -------
        bool

        Examples
        --------
        >>> Origin(9, "md5:a", '"1"').differs(Origin(9, "", '"1"'))
        False
        """
        return any(a != b for a, b in zip(_facts(self), _facts(other), strict=True) if a and b)


def _facts(origin: Origin) -> tuple[int, str, str]:
    return origin.n_bytes, origin.checksum, origin.stamp


class Partial:
    """The bytes of a file that have arrived; several threads may write.

    Parameters
    ----------
    target : Path
        What the file is to be called. A lock on it must be held.
    origin : Origin
    """

    def __init__(self, target: Path, origin: Origin) -> None:
        self.target, self.origin = target, origin
        self.folder = folder_of(target)
        self.content = self.folder / "content"
        self._lines = self.folder / "arrived.jsonl"
        self._lock = threading.Lock()
        refuse_link(self.folder)
        there = _read_lines(self._lines)
        self.was_other = there is not None and there[0].differs(origin)
        self._spans = [] if there is None or self.was_other else merged(there[1])
        if not self._spans or not _has_bytes(self.content, self._spans[-1][1]):
            self._begin()
        self._note_all()
        self._descriptor = os.open(self.content, os.O_RDWR | getattr(os, "O_BINARY", 0))
        self._notes = open(self._lines, "ab", buffering=0)  # noqa: PTH123, SIM115
        self._is_open = True

    def _begin(self) -> None:
        self._spans = []
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        self.content.touch()

    def _note_all(self) -> None:
        """Write the record anew: a line that was cut off would spoil the next one."""
        lines = [msgspec.json.encode(line) for line in (self.origin, *self._spans)]
        write_file(self._lines, b"\n".join([*lines, b""]))

    def write(self, at: int, data: bytes) -> None:
        """Write bytes to their place; :meth:`note` has to follow.

        Parameters
        ----------
        at : int
        data : bytes

        Raises
        ------
        OSError
            If there is no room.
        """
        with self._lock:
            if not self._is_open:
                return
            os.lseek(self._descriptor, at, os.SEEK_SET)
            view = memoryview(data)
            while view:
                view = view[os.write(self._descriptor, view) :]

    def note(self, start: int, stop: int) -> None:
        """Note that bytes have been written.

        Parameters
        ----------
        start, stop : int
        """
        with self._lock:
            if start < stop and self._is_open:
                self._notes.write(msgspec.json.encode((start, stop)) + b"\n")
                self._spans = merged([*self._spans, (start, stop)])

    @property
    def missing(self) -> list[Span]:
        """The stretches that have not arrived."""
        with self._lock:
            return missing(self._spans, self.origin.n_bytes)

    @property
    def n_arrived(self) -> int:
        """How many bytes have arrived."""
        with self._lock:
            return sum(stop - start for start, stop in self._spans)

    @property
    def n_whole(self) -> int:
        """How many bytes have arrived without a hole from the first on."""
        with self._lock:
            return self._spans[0][1] if self._spans and self._spans[0][0] == 0 else 0

    def restart(self) -> None:
        """Forget what has arrived."""
        with self._lock:
            self._spans = []
            self._notes.close()
            self._note_all()
            self._notes = open(self._lines, "ab", buffering=0)  # noqa: PTH123, SIM115

    def close(self) -> None:
        """Close the files; threads that write later write nothing."""
        with self._lock:
            if self._is_open:
                self._is_open = False
                os.close(self._descriptor)
                self._notes.close()

    def discard(self) -> None:
        """Remove what has arrived."""
        self.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def finish(self) -> None:
        """Put the file on the disk and give it its name."""
        self.close()
        with new_file(self.target) as place:
            self.content.replace(place)
        shutil.rmtree(self.folder, ignore_errors=True)


def folder_of(target: Path) -> Path:
    """Return where what has arrived of a file is kept.

    Parameters
    ----------
    target : Path

    Returns
    -------
    Path
    """
    return target.with_name(f".{target.name}{PARTIAL}download")


def merged(spans: Iterable[Span]) -> list[Span]:
    """Return the same stretches in order, joined where they touch or overlap.

    Parameters
    ----------
    spans : iterable of (start, stop)

    Returns
    -------
    list of (start, stop)

    Examples
    --------
    >>> merged([(5, 9), (0, 2), (2, 4), (6, 7)])
    [(0, 4), (5, 9)]
    """
    found: list[Span] = []
    for start, stop in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(stop, found[-1][1]))
        else:
            found.append((start, stop))
    return found


def missing(spans: Iterable[Span], n_bytes: int) -> list[Span]:
    """Return the stretches between others.

    Parameters
    ----------
    spans : iterable of (start, stop)
        In order, and apart from each other.
    n_bytes : int
        Where the last of them ends.

    Returns
    -------
    list of (start, stop)

    Examples
    --------
    >>> missing([(0, 4), (5, 9)], 12)
    [(4, 5), (9, 12)]
    """
    found, at = [], 0
    for start, stop in spans:
        found.append((at, start))
        at = stop
    return [span for span in [*found, (at, n_bytes)] if span[0] < span[1]]


def _has_bytes(path: Path, n_bytes: int) -> bool:
    return path.is_file() and path.stat().st_size >= n_bytes


def _read_lines(path: Path) -> tuple[Origin, list[Span]] | None:
    """Read a record; None if there is none, or none that begins as one."""
    try:
        first, *lines = path.read_bytes().split(b"\n")
        origin = msgspec.json.decode(first, type=Origin)
    except (FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    spans = [span for line in lines if (span := _read_span(line, origin.n_bytes))]
    return origin, spans


def _read_span(line: bytes, n_bytes: int) -> Span | None:
    try:
        start, stop = msgspec.json.decode(line, type=Span)
    except (msgspec.DecodeError, UnicodeDecodeError):
        # The last line of a run that was killed.
        return None
    return (start, stop) if 0 <= start < stop <= n_bytes else None
