"""Bytes of images that will be read soon, requested while other images are being decoded."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from queue import SimpleQueue
from threading import Event, Thread

from mtfast.errors import MtfastError
from mtfast.loaders.sampler import SampleKey

__all__ = ["read_ahead"]


def read_ahead(
    batches: Iterable[list[SampleKey]], n_samples: int, fetch: Callable[[int], None]
) -> Generator[list[SampleKey], None, None]:
    """Pass batches on, while a thread requests the samples of those that come next.

    Parameters
    ----------
    batches : iterable of lists of SampleKey
    n_samples : int
        How many samples the thread is ahead of what has been passed on, rounded down to whole
        batches.
    fetch : callable
        Called in the thread with each position. An error ends the thread and is not raised here:
        whoever reads the sample meets it again.

    Yields
    ------
    list of SampleKey
        The batches, unchanged and in their order.

    Examples
    --------
    >>> batches = [[SampleKey(0, 4)], [SampleKey(0, 2)]]
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
        waiting: deque[list[SampleKey]] = deque()
        n_waiting = 0
        for batch in batches:
            waiting.append(batch)
            n_waiting += len(batch)
            for key in batch:
                positions.put(key.position)
            while n_waiting > n_samples:
                n_waiting -= len(waiting[0])
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
