"""Buffers for batches that are made once and used again.

Fresh memory costs more than what is written into it: the system maps and zeroes it page by page.
Handing over a batch of 32 windows of 512 x 512 takes 50 ms of a worker process in fresh memory and
3 ms in memory that was used before.
"""

from __future__ import annotations

import mmap
import os
import weakref
from collections import deque
from collections.abc import Callable
from multiprocessing import get_context
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Slots", "shared_memory"]


class Slots:
    """Equal pieces of one memory. Its pages are not there until something is written into them.

    Parameters
    ----------
    n : int
    n_bytes : int
        Of each slot.
    shared : bool
        Whether processes that are started afterwards share the memory, forked and spawned ones.

    Examples
    --------
    >>> slots = Slots(2, 100, shared=False)
    >>> number = slots.take()
    >>> slots.buffer(number).shape
    (4096,)
    >>> lent = slots.lend(number, 3)
    >>> slots.take(), slots.take()
    (1, None)
    >>> del lent
    >>> slots.take()
    0

    Notes
    -----
    It pickles only while processes are being started, and without knowing which slots are free:
    that is the business of the process that made it.
    """

    def __init__(self, n: int, n_bytes: int, shared: bool) -> None:
        self._n = n
        # Whole pages, so that slots share none.
        self.n_bytes = -(-max(n_bytes, 1) // mmap.PAGESIZE) * mmap.PAGESIZE
        size = n * self.n_bytes
        self._memory: Any = shared_memory(size) if shared else _own_memory(size)
        self._free = deque(range(n))
        # Those that nobody holds any more, and whether a device may still be copying them.
        self._left: deque[tuple[int, Callable[[], bool]]] = deque()
        self._mark: Callable[[], Callable[[], bool]] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_free": deque(), "_left": deque(), "_mark": None}

    def take(self) -> int | None:
        """Take a free slot, if there is one.

        Returns
        -------
        int or None
        """
        while self._left:
            number, is_copied = left = self._left.popleft()
            if not is_copied():
                self._left.appendleft(left)
                break
            self._free.append(number)
        try:
            return self._free.popleft()
        except IndexError:
            return None

    def give_back(self, number: int) -> None:
        """Return a slot that was taken and not lent.

        Parameters
        ----------
        number : int
        """
        self._free.append(number)

    def buffer(self, number: int) -> NDArray[np.uint8]:
        """Return the memory of a slot.

        Parameters
        ----------
        number : int

        Returns
        -------
        (n_bytes,) uint8
        """
        return np.frombuffer(self._memory, np.uint8, self.n_bytes, number * self.n_bytes)

    def lend(self, number: int, n_bytes: int) -> NDArray[np.uint8]:
        """Return the beginning of a slot, which is free again when nobody holds it any more.

        Parameters
        ----------
        number : int
        n_bytes : int

        Returns
        -------
        (n_bytes,) uint8
            Tensors made of it hold it, and their views too. Views that numpy makes do not.
        """
        lent = np.frombuffer(self._memory, np.uint8, n_bytes, number * self.n_bytes)
        weakref.finalize(lent, self._take_back, number).atexit = False
        return lent

    def _take_back(self, number: int) -> None:
        if self._mark is None:
            self._free.append(number)
        else:
            self._left.append((number, self._mark()))

    def wait_for(self, mark: Callable[[], Callable[[], bool]]) -> None:
        """Keep slots that were lent until a device has copied them too.

        Parameters
        ----------
        mark : callable
            Called when nobody holds a slot any more. What it returns says whether all copies that
            were begun until then are done.
        """
        self._mark = mark

    def when_freed(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Call a function just before the memory goes, when nobody holds any of it.

        Parameters
        ----------
        function : callable
        *arguments
        """
        weakref.finalize(self._memory, function, *arguments).atexit = False

    @property
    def all_bytes(self) -> NDArray[np.uint8]:
        """The memory of all slots, (n * n_bytes,) uint8."""
        return np.frombuffer(self._memory, np.uint8)


def shared_memory(n_bytes: int) -> Any:
    """Make memory that processes share which are started afterwards, forked and spawned ones.

    Parameters
    ----------
    n_bytes : int

    Returns
    -------
    buffer
        Of zeros. It has no name, and is gone with the last process that has it. It pickles only
        while a process is being started.

    Examples
    --------
    >>> np.frombuffer(shared_memory(8), np.uint8).sum()
    np.uint64(0)
    """
    if hasattr(os, "memfd_create"):
        return _Memory.of_size(n_bytes)
    return get_context("spawn").RawArray("B", n_bytes)


def _own_memory(n_bytes: int) -> Any:
    try:
        return np.empty(n_bytes, np.uint8)
    except MemoryError:
        # More than the machine has, though little of it may ever be written to.
        return shared_memory(n_bytes)


class _Memory(mmap.mmap):
    """Memory behind a file descriptor: not limited by /dev/shm, which is 64 MB in containers."""

    descriptor: int

    @classmethod
    def of_size(cls, n_bytes: int) -> _Memory:
        descriptor = os.memfd_create("mtfast-slots")
        os.ftruncate(descriptor, n_bytes)
        return cls.of_descriptor(descriptor, n_bytes)

    @classmethod
    def of_descriptor(cls, descriptor: int, n_bytes: int) -> _Memory:
        memory = cls(descriptor, n_bytes)
        memory.descriptor = descriptor
        weakref.finalize(memory, os.close, descriptor)
        return memory

    def __reduce__(self) -> tuple[Any, ...]:
        from multiprocessing.reduction import DupFd

        return _memory_of, (DupFd(self.descriptor), len(self))


def _memory_of(descriptor: Any, n_bytes: int) -> _Memory:
    return _Memory.of_descriptor(descriptor.detach(), n_bytes)
