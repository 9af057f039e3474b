"""Requests of forked processes, which a helper process makes for them.

obstore runs its requests on threads of its own (of tokio, in Rust). A forked child has none of
them, and waits for ever where it uses obstore after its parent did. So a child starts a helper,
which is a fresh interpreter, and sends it what it wants::

    child     (number, address, method, arguments)  --pickled, a socket-->  helper: up to N_THREADS
    threads   <--  (number, result or error)                                requests side by side

There is one helper for each process that needs one. It ends when its process does: the socket ends.
"""

from __future__ import annotations

import atexit
import itertools
import logging
import os
import pickle
import signal
import socket
import struct
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import wraps
from typing import Any, ParamSpec, TypeVar, cast

from mtfast.addresses import Address
from mtfast.errors import RemoteError

__all__ = ["forked", "keep_in_forks", "relayed", "serve"]

N_THREADS = 64
_LENGTH = struct.Struct("<Q")

P = ParamSpec("P")
R = TypeVar("R")


def relayed(method: Callable[P, R]) -> Callable[P, R]:
    """Make a method of Objects that works in forked processes too.

    Parameters
    ----------
    method : callable

    Returns
    -------
    callable
        In a forked process its arguments and its result are pickled, files as their bytes,
        iterators as lists.
    """

    @wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        if not forked():
            return method(*args, **kwargs)
        objects: Any = args[0]
        sent = [arg.read() if hasattr(arg, "read") else arg for arg in args[1:]]
        return cast("R", _ask(objects.address, method.__name__, sent, dict(kwargs)))

    return call


def forked() -> bool:
    """Return whether this process was forked from one that may have used obstore."""
    return _is_forked


def keep_in_forks(objects: Any) -> None:
    """Never let forked processes release something: obstore would wait for its threads there.

    Parameters
    ----------
    objects : object
        That takes weak references.
    """
    _alive.add(objects)


class _Helper:
    """The helper of this process."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        # Its own path: the module may be found by what this process has added to it.
        code = (
            f"import sys; sys.path = {sys.path!r}\n"
            f"from mtfast.remote.relay import serve; serve({theirs.fileno()})"
        )
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-c", code],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        self._socket = ours
        self._numbers = itertools.count()
        self._sending = threading.Lock()
        self._waiting: dict[int, Future[Any]] = {}
        self.has_ended = False
        threading.Thread(target=self._receive, name="mtfast-relay", daemon=True).start()

    def ask(self, *request: Any) -> Any:
        answer: Future[Any] = Future()
        number = next(self._numbers)
        message = _packed((number, *request))
        with self._sending:
            self._waiting[number] = answer
            try:
                if self.has_ended:
                    raise OSError
                self._socket.sendall(message)
            except OSError:
                self._waiting.pop(number, None)
                raise _ended() from None
        return answer.result()

    def _receive(self) -> None:
        try:
            with self._socket.makefile("rb") as stream:
                for number, result, error in _messages(stream):
                    answer = self._waiting.pop(number)
                    if error is None:
                        answer.set_result(result)
                    else:
                        answer.set_exception(error)
        finally:
            with self._sending:
                self.has_ended = True
                waiting, self._waiting = self._waiting, {}
            for answer in waiting.values():
                answer.set_exception(_ended())

    def close(self) -> None:
        """Let it end, and wait for that."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self.process.wait()

    def forget(self) -> None:
        """In a child of its process: it is that one's."""
        # A copy of the socket would keep it alive longer than its process.
        os.close(self._socket.detach())
        self.process.returncode = 0


_alive: weakref.WeakSet[Any] = weakref.WeakSet()
_kept: list[Any] = []
_is_forked = False
_helper: _Helper | None = None
_starting = threading.Lock()


def _ask(*request: Any) -> Any:
    global _helper
    with _starting:
        if _helper is None:
            atexit.register(_close)
        if _helper is None or _helper.has_ended:
            _helper = _Helper()
        helper = _helper
    return helper.ask(*request)


def _close() -> None:
    if _helper is not None and not _helper.has_ended:
        _helper.close()


def _after_fork() -> None:
    global _helper, _is_forked, _starting
    # Whoever imported it may have used it.
    _is_forked |= "obstore" in sys.modules
    _kept.extend(_alive)
    _starting = threading.Lock()
    if _helper is not None:
        _helper.forget()
        _helper = None
        atexit.unregister(_close)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _ended() -> RemoteError:
    return RemoteError(
        "the helper process that makes requests for this forked one has ended; expected it to "
        "stay; see whether memory is short, then run it again"
    )


def _packed(message: Any) -> bytes:
    data = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    return _LENGTH.pack(len(data)) + data


def _messages(stream: Any) -> Iterator[Any]:
    """Read messages until the other side ends."""
    try:
        while len(head := stream.read(_LENGTH.size)) == _LENGTH.size:
            (length,) = _LENGTH.unpack(head)
            data = stream.read(length)
            if len(data) < length:
                return
            yield pickle.loads(data)  # noqa: S301 - of the process that started this one
    except (OSError, ValueError):
        return


def serve(descriptor: int) -> None:
    """Make the requests that come through a socket, until it ends. For helper processes.

    Parameters
    ----------
    descriptor : int
    """
    # A terminal sends Ctrl-C to all its processes; this one ends with the one that it helps.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Warnings are those of the process that asks, which knows where to.
    logging.getLogger("mtfast").setLevel(logging.ERROR)
    connection = socket.socket(fileno=descriptor)
    sending = threading.Lock()

    def answer(number: int, address: Address, name: str, args: Any, kwargs: Any) -> None:
        try:
            result, error = _call(address, name, args, kwargs), None
        except BaseException as raised:
            result, error = None, _portable(raised)
        with sending:
            connection.sendall(_packed((number, result, error)))

    pool = ThreadPoolExecutor(N_THREADS, "mtfast-relay")
    with connection.makefile("rb") as stream:
        for request in _messages(stream):
            pool.submit(answer, *request)
    # Not waiting for requests that nobody wants any more.
    os._exit(0)


_opened: dict[Address, Any] = {}


def _call(address: Address, name: str, args: Any, kwargs: Any) -> Any:
    from mtfast.remote.objects import objects_at

    objects = _opened.get(address)
    if objects is None:
        objects = _opened.setdefault(address, objects_at(address))
    result = getattr(objects, name)(*args, **kwargs)
    return list(result) if isinstance(result, Iterator) else result


def _portable(error: BaseException) -> BaseException:
    """Return an error without what it was raised from, or its text if it does not pickle."""
    try:
        made: BaseException = type(error)(*error.args)
        pickle.loads(pickle.dumps(made))  # noqa: S301 - our own bytes
    except Exception:
        # The class decides what it raises. Without an answer the other side would wait for ever.
        what = " ".join(f"{type(error).__name__}: {error}".split())
        made = RemoteError(
            f"a request has failed ({what}); expected an answer; see what is wrong, then run it "
            f"again"
        )
    made.__suppress_context__ = True
    return made
