"""Worker processes that leave Ctrl-C to their parent."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Any, TypeVar

__all__ = ["worker_processes"]

T = TypeVar("T")


def worker_processes(n: int) -> ProcessPoolExecutor:
    """Make a pool of n processes.

    They are spawned: a fork copies locks that other threads hold. Ctrl-C reaches every process of
    a terminal; these do not hear it, at their start no less than later, and the parent stops
    giving out work.
    """
    return _Pool(n, mp_context=get_context("spawn"))


class _Pool(ProcessPoolExecutor):
    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        # Processes are started here, and start with the signals blocked that are blocked now.
        with _without_interrupts():
            return super().submit(fn, *args, **kwargs)


@contextmanager
def _without_interrupts() -> Iterator[None]:
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
