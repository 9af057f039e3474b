"""Bytes of images that will be read soon, asked for while others are still being decoded."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from queue import SimpleQueue
from threading import Event, Thread

from mtfast.errors import MtfastError
from mtfast.loaders.order import Pick

__all__ = ["read_ahead"]


def read_ahead(
    batches: Iterable[list[Pick]], n_samples: int, fetch: Callable[[int], None]
) -> Generator[list[Pick], None, None]:
    """Pass batches on, after a thread was told of the places of those that come next.

    Parameters
    ----------
    batches : iterable of lists of Pick
    n_samples : int
        How many samples the thread is ahead of what has been passed on.
    fetch : callable
        Called in the thread with each place. That it fails is left to whoever reads the sample.

    Yields
    ------
    list of Pick

    Notes
    -----
    The thread ends with the iterator: closing that waits for a single call of ``fetch``.
    """
    places: SimpleQueue[int | None] = SimpleQueue()
    stopped = Event()
    thread = Thread(
        target=_fetch_all, args=(places, stopped, fetch), name="mtfast-read-ahead", daemon=True
    )
    thread.start()
    try:
        waiting: deque[list[Pick]] = deque()
        n_waiting = 0
        for batch in batches:
            waiting.append(batch)
            n_waiting += len(batch)
            for pick in batch:
                places.put(pick.place)
            while n_waiting > n_samples:
                n_waiting -= len(waiting[0])
                yield waiting.popleft()
        yield from waiting
    finally:
        stopped.set()
        places.put(None)
        thread.join()


def _fetch_all(
    places: SimpleQueue[int | None], stopped: Event, fetch: Callable[[int], None]
) -> None:
    while (place := places.get()) is not None and not stopped.is_set():
        try:
            fetch(place)
        except (MtfastError, OSError):
            return
