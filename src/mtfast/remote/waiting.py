"""Requests that take long: a server that has not answered is named, and Ctrl-C ends the wait.

One thread looks at all requests that are under way. It ends when there are none. To fail, a request
that is tried again takes a minute.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import wraps
from typing import Any, ParamSpec, TypeVar

__all__ = ["interruptible", "waiting_for", "watched"]

logger = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")

# A progress bar that stands still for less makes nobody wonder.
QUIET_SECONDS = 8.0
POLLS = 8
# Between two lines about one server: many requests may wait for it at once.
SECONDS_BETWEEN_LINES = 60.0


class _Watch:
    """The requests that are under way, and the thread that looks at them."""

    def __init__(self) -> None:
        # A signal handler or a finalizer may make a request on the thread that holds the lock.
        self._lock = threading.RLock()
        self._pending: dict[object, tuple[str, float]] = {}
        self._told: dict[str, float] = {}
        self._thread: threading.Thread | None = None

    def begin(self, token: object, server: str) -> None:
        """Watch a request until ``end`` is called with the same token."""
        with self._lock:
            self._pending[token] = (server, time.monotonic())
            if self._thread is None:
                self._thread = self._started()

    def _started(self) -> threading.Thread | None:
        thread = threading.Thread(target=self._look, name="mtfast-waiting", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            # At a limit of threads, or while the interpreter ends. Requests work without it.
            logger.debug("requests are not watched: %s", error)
            return None
        return thread

    def end(self, token: object) -> None:
        """Stop watching a request, if Ctrl-C has let it begin at all."""
        with self._lock:
            self._pending.pop(token, None)

    def _look(self) -> None:
        pause = threading.Event()
        while True:
            pause.wait(QUIET_SECONDS / POLLS)
            with self._lock:
                if not self._pending:
                    self._thread = None
                    return
                late = self._late()
            for server, seconds in late.items():
                logger.warning(
                    "no complete answer from %s for %.0f s; still waiting, and trying again",
                    server,
                    seconds,
                )

    def _late(self) -> dict[str, float]:
        """Return the servers to name now, and for how many seconds each has not answered."""
        now, late = time.monotonic(), dict[str, float]()
        for server, began in list(self._pending.values()):
            told = now - self._told.get(server, -SECONDS_BETWEEN_LINES) < SECONDS_BETWEEN_LINES
            if now - began >= QUIET_SECONDS and not told:
                late[server] = max(now - began, late.get(server, 0.0))
        self._told.update(dict.fromkeys(late, now))
        return late


_watch = _Watch()


def _after_fork() -> None:
    global _watch
    # The thread is not there, and another may have held the lock.
    _watch = _Watch()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@contextmanager
def waiting_for(server: object) -> Iterator[None]:
    """Log a warning if the body of a ``with`` block, a request, has no answer for some seconds.

    Parameters
    ----------
    server : Address or str
        What the line calls it.

    Examples
    --------
    >>> with waiting_for("storage.example.org"):
    ...     answer = b"#.#"
    """
    watch, token = _watch, object()
    try:
        watch.begin(token, str(server))
        yield
    finally:
        watch.end(token)


def watched(method: Callable[P, R]) -> Callable[P, R]:
    """Make a method of Objects that says when its storage does not answer.

    Parameters
    ----------
    method : callable
        Of an object with an ``address``.

    Returns
    -------
    callable
    """

    @wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        objects: Any = args[0]
        with waiting_for(objects.address.root):
            return method(*args, **kwargs)

    return call


def interruptible(method: Callable[P, R]) -> Callable[P, R]:
    """Make a method, which only reads, that Ctrl-C ends at once.

    Compiled code that waits for an answer looks at no signals, so in the main thread, which alone
    gets them, another thread waits. After Ctrl-C that one goes on until its request has ended.

    Parameters
    ----------
    method : callable

    Returns
    -------
    callable
    """

    @wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        if threading.current_thread() is not threading.main_thread():
            return method(*args, **kwargs)
        answer: Future[R] = Future()

        def ask() -> None:
            try:
                answer.set_result(method(*args, **kwargs))
            except BaseException as error:
                answer.set_exception(error)

        try:
            threading.Thread(target=ask, name="mtfast-request", daemon=True).start()
        except RuntimeError:
            # The interpreter ends, or there are too many threads.
            return method(*args, **kwargs)
        return answer.result()

    return call
