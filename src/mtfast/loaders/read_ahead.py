"""Bytes of images that will be read soon, requested while other images are being decoded."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from queue import SimpleQueue
from threading import Event, Thread
from typing import Protocol, TypeVar

from mtfast.errors import MtfastError
from mtfast.loaders.sampler import SampleKey

__all__ = ["Batch", "read_ahead"]


class Batch(Protocol):
    """What is read ahead: anything that knows the samples of a batch."""

    @property
    def keys(self) -> list[SampleKey]:
        """The samples."""


B = TypeVar("B", bound=Batch)


def read_ahead(
    batches: Iterable[B], n_samples: int, fetch: Callable[[int], None]
) -> Generator[B, None, None]:
    """Pass batches on, while a thread requests the samples of those that come next.

    Parameters
    ----------
    batches : iterable
        Each has ``keys``, a list of SampleKey.
    n_samples : int
        How many samples the thread is ahead of what has been passed on, rounded up to whole
        batches.
    fetch : callable
        Called in the thread with each position. An error ends the thread and is not raised here:
        whoever reads the sample meets it again.

    Yields
    ------
    batch
        The batches, unchanged and in their order.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> batches = [SimpleNamespace(keys=[SampleKey(0, k)]) for k in (4, 2)]
    >>> requested = []
    >>> list(read_ahead(batches, 1, requested.append)) == batches
    True

    Notes
    -----
    The thread ends with the iterator: closing that waits for a single call of ``fetch``.
    """
    positions: SimpleQueue[int | None] = SimpleQueue()
    stopped = Event()
    thread = Thread(
        target=_fetch_all, args=(positions, stopped, fetch), name="mtfast-read-ahead", daemon=True
    )
    thread.start()
    try:
        waiting: deque[B] = deque()
        n_waiting = 0
        for batch in batches:
            waiting.append(batch)
            n_waiting += len(batch.keys)
            for key in batch.keys:
                positions.put(key.position)
            while n_waiting - len(waiting[0].keys) >= n_samples:
                n_waiting -= len(waiting[0].keys)
                yield waiting.popleft()
        yield from waiting
    finally:
        stopped.set()
        positions.put(None)
        thread.join()


def _fetch_all(
    positions: SimpleQueue[int | None], stopped: Event, fetch: Callable[[int], None]
) -> None:
    while (position := positions.get()) is not None and not stopped.is_set():
        try:
            fetch(position)
        except (MtfastError, OSError):
            return
