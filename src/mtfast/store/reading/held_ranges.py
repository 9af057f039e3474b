"""Ranges of files that were read or are being read, in memory, up to a number of bytes."""

from __future__ import annotations

import time
from collections import OrderedDict
from concurrent.futures import Future
from threading import Lock

__all__ = ["HeldRange", "HeldRanges"]

FORGOTTEN = 60.0
"""Seconds after which a range that nobody has read from is taken for one that nobody wants."""


class HeldRange:
    """A range of a file that has been read, or is being read by some thread.

    Attributes
    ----------
    start, stop : int
        In bytes.
    is_used : bool
        Whether somebody has read from it.
    """

    __slots__ = ("_answer", "_data", "_since", "is_used", "start", "stop")

    def __init__(self, start: int, stop: int) -> None:
        self.start, self.stop = start, stop
        self.is_used = False
        self._since = time.monotonic()
        self._data: bytes | None = None
        self._answer: Future[bytes] = Future()

    @property
    def is_read(self) -> bool:
        """Whether its bytes are there."""
        return self._data is not None

    @property
    def is_waiting(self) -> bool:
        """Whether somebody is still to read from it, who has not had very long to do so."""
        return not self.is_used and time.monotonic() < self._since + FORGOTTEN

    def part(self, start: int, stop: int) -> bytes:
        """Wait for the bytes start .. stop - 1 of the file; raise what reading them raised."""
        # Not from the future, once it is there: a fork may have come while another thread held it.
        data = self._answer.result() if self._data is None else self._data
        self.is_used = True
        return data if len(data) == stop - start else data[start - self.start : stop - self.start]

    def fill(self, data: bytes) -> None:
        """Hand out its bytes."""
        self._data = data
        self._answer.set_result(data)

    def fail(self, error: BaseException) -> None:
        """Hand out an error instead."""
        self._answer.set_exception(error)


class HeldRanges:
    """Ranges of files by the names of these, up to a limit.

    Beyond it, those are dropped first from which somebody has read, the longest ago first.

    Parameters
    ----------
    n_bytes : int
        Of all ranges together.

    Examples
    --------
    >>> held = HeldRanges(100)
    >>> held.add("a", HeldRange(10, 60))
    >>> held.find("a", 20, 30).start, held.find("a", 20, 70)
    (10, None)
    >>> held.add("b", HeldRange(0, 60))
    >>> held.find("a", 20, 30) is None
    True
    """

    def __init__(self, n_bytes: int) -> None:
        self._limit, self._n_bytes = n_bytes, 0
        self._ranges: OrderedDict[tuple[str, HeldRange], None] = OrderedDict()
        self._of_file: dict[str, list[HeldRange]] = {}
        self._lock = Lock()

    def find(self, file: str, start: int, stop: int) -> HeldRange | None:
        """Return a range that has the bytes start .. stop - 1 of a file, if there is one.

        Parameters
        ----------
        file : str
        start, stop : int

        Returns
        -------
        HeldRange or None
        """
        if file not in self._of_file:
            return None
        with self._lock:
            for held in self._of_file.get(file, ()):
                if held.start <= start and stop <= held.stop:
                    self._ranges.move_to_end((file, held))
                    return held
        return None

    def add(self, file: str, held: HeldRange) -> None:
        """Hold a range.

        Parameters
        ----------
        file : str
        held : HeldRange
        """
        with self._lock:
            self._ranges[file, held] = None
            self._of_file.setdefault(file, []).append(held)
            self._n_bytes += held.stop - held.start
            while self._n_bytes > self._limit and len(self._ranges) > 1:
                used = (key for key in self._ranges if key[1].is_used)
                self._drop(*next(used, None) or next(iter(self._ranges)))

    def has_room(self, n_bytes: int) -> bool:
        """Return whether more fits beside the ranges from which nobody has read yet.

        Parameters
        ----------
        n_bytes : int

        Returns
        -------
        bool
        """
        with self._lock:
            if self._n_bytes + n_bytes <= self._limit:
                return True
            waiting = sum(h.stop - h.start for _, h in self._ranges if h.is_waiting)
        return waiting + n_bytes <= self._limit

    def drop(self, file: str, held: HeldRange) -> None:
        """Forget a range, if it is held.

        Parameters
        ----------
        file : str
        held : HeldRange
        """
        with self._lock:
            if (file, held) in self._ranges:
                self._drop(file, held)

    def _drop(self, file: str, held: HeldRange) -> None:
        del self._ranges[file, held]
        self._n_bytes -= held.stop - held.start
        others = self._of_file[file]
        others.remove(held)
        if not others:
            del self._of_file[file]

    def copy(self) -> HeldRanges:
        """Return those that are read, for a forked process, whose parent's threads it lacks."""
        copied = HeldRanges(self._limit)
        for file, held in list(self._ranges):
            if held.is_read:
                copied.add(file, held)
        return copied
