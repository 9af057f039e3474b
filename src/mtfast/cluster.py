"""The workers of a Dask scheduler, on this machine or on others: :mod:`mtfast.parallel` uses them.

A task goes to the scheduler as one compressed string of bytes; nothing else is sent to a worker.
A worker that is lost takes no work with it: Dask runs its tasks again elsewhere, each as often as
``distributed.scheduler.allowed-failures`` says.
"""

from __future__ import annotations

import logging
import pickle
import platform
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from contextlib import suppress
from functools import cache, partial
from importlib.util import find_spec
from typing import Any, Protocol, Self, runtime_checkable
from uuid import uuid4

from mtfast.errors import MtfastError, counted, shown
from mtfast.version import installed_version

__all__ = ["Cluster", "DaskClient", "Scheduler", "check_cluster", "expect_answer", "is_address"]

logger = logging.getLogger(__name__)

SCHEMES = ("tcp://", "tls://")
# Tasks in the window for each thread: one that runs, and one that is ready when it is done.
AHEAD = 2
CONNECT_SECONDS = 10.0
# How long a cluster may be without workers. A new one starts in seconds.
WORKERLESS_SECONDS = 30.0
POLL_SECONDS = 1.0


@runtime_checkable
class DaskClient(Protocol):
    """What is used of a ``distributed.Client``, whose package is imported only with a cluster."""

    status: str
    scheduler: Any

    @property
    def asynchronous(self) -> bool:
        """Whether its methods return awaitables."""

    def submit(self, *args: Any, **kwargs: Any) -> Any:
        """Send a task, and return its future."""

    def cancel(self, *args: Any, **kwargs: Any) -> Any:
        """Take back tasks that do not run yet."""

    def gather(self, *args: Any, **kwargs: Any) -> Any:
        """Fetch what tasks have returned."""

    def sync(self, *args: Any, **kwargs: Any) -> Any:
        """Wait for an awaitable."""

    def nthreads(self, *args: Any, **kwargs: Any) -> Any:
        """Return the number of threads of each worker."""

    def close(self, *args: Any, **kwargs: Any) -> Any:
        """Leave the scheduler."""


Scheduler = str | DaskClient
"""Where jobs run: "threads", "processes", "sync", the address of a Dask scheduler
("tcp://HOST:PORT", "tls://HOST:PORT"), or a ``distributed.Client``."""


def is_address(scheduler: object) -> bool:
    """Whether this is the address of a Dask scheduler.

    Parameters
    ----------
    scheduler : object

    Returns
    -------
    bool

    Examples
    --------
    >>> is_address("tcp://10.0.0.1:8786"), is_address("threads")
    (True, False)
    """
    return isinstance(scheduler, str) and scheduler.startswith(SCHEMES)


def check_cluster(scheduler: Scheduler) -> None:
    """Raise MtfastError unless this is a scheduler's address or a client that can be used.

    Parameters
    ----------
    scheduler : str or distributed.Client

    Raises
    ------
    MtfastError
        If it is neither, ``distributed`` is not installed, or the client is closed or asynchronous.
    """
    if isinstance(scheduler, DaskClient):
        _check_client(scheduler)
    elif not is_address(scheduler):
        raise MtfastError(
            f"scheduler {shown(scheduler)}; expected threads, processes, sync, tcp://HOST:PORT, "
            f"tls://HOST:PORT or, in Python, a distributed.Client; pick one"
        )
    elif find_spec("distributed") is None:
        raise MtfastError(
            "a Dask scheduler's address, but no 'distributed'; expected it to be installed; "
            "run: pip install 'mtfast[distributed]'"
        )


def expect_answer(address: str) -> None:
    """Raise MtfastError unless a scheduler answers at an address.

    Parameters
    ----------
    address : str

    Raises
    ------
    MtfastError
        If none does within some seconds, or certificates are missing.
    """
    _connect(address).close()


def _check_client(client: DaskClient) -> None:
    if client.status != "running":
        raise MtfastError(
            f"a Dask client that is {client.status}; expected one that is connected to its "
            f"scheduler; make a new one"
        )
    if client.asynchronous:
        raise MtfastError(
            "an asynchronous Dask client; expected one whose calls wait for their results; make it "
            "without asynchronous=True, and outside of coroutines"
        )


class Cluster:
    """The workers of a Dask scheduler.

    Parameters
    ----------
    scheduler : str or distributed.Client
        A client stays open.

    Raises
    ------
    MtfastError
        If no scheduler answers.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        self._client = _connect(scheduler) if isinstance(scheduler, str) else scheduler
        self._is_ours = isinstance(scheduler, str)
        self._address = scheduler if isinstance(scheduler, str) else scheduler.scheduler.address
        self._run = uuid4().hex
        self._pending: set[Any] = set()
        self._fetched: dict[Any, Any] = {}
        # When workers were last counted, and when there was one.
        self._counted = self._seen = time.monotonic()
        self._threads = self._n_threads()

    def __enter__(self) -> Self:
        logger.info(
            "the Dask scheduler at %s has %s; dashboard: %s",
            self._address,
            counted(self._threads, "thread"),
            getattr(self._client, "dashboard_link", None) or "none",
        )
        if not self._threads:
            logger.warning(
                "the Dask scheduler at %s has no workers; waiting %g s for one",
                self._address,
                WORKERLESS_SECONDS,
            )
        return self

    @property
    def window(self) -> int:
        """How many tasks may be under way: as many as workers take, which come and go."""
        if time.monotonic() - self._counted > POLL_SECONDS:
            self._threads, self._counted = self._n_threads(), time.monotonic()
        # A cluster that adapts itself has no workers before it has tasks.
        return AHEAD * max(self._threads, 1)

    def submit(self, key: str, task: Callable[[], Any]) -> Any:
        """Send a task; its key is unique, as the scheduler shares results by key.

        Parameters
        ----------
        key : str
            What the dashboard shows; it counts tasks whose keys begin with the same words.
        task : callable

        Returns
        -------
        distributed.Future
        """
        if self._is_closed():
            raise self._without_scheduler()
        call = pickle.dumps(_Call(_run_packed, _pack(task), _version()))
        future = self._client.submit(pickle.loads, call, key=f"{key}-{self._run}", pure=False)
        self._pending.add(future)
        return future

    def outcome(self, future: Any) -> Any:
        """Return what a task that is done has returned.

        Parameters
        ----------
        future : distributed.Future

        Returns
        -------
        object

        Raises
        ------
        MtfastError
            If the task killed its workers, the scheduler has gone, or a worker cannot run it.
        """
        from distributed import KilledWorker
        from distributed.comm import CommClosedError

        self._pending.discard(future)
        try:
            return self._fetch(future)
        except KilledWorker as error:
            raise MtfastError(
                f"a task killed every worker of the Dask scheduler at {self._address} that tried "
                f"it, {error.allowed_failures + 1} in all; expected memory enough for it; see the "
                f"workers' logs"
            ) from error
        except (CancelledError, CommClosedError) as error:
            # A connection may break off before the client knows that the scheduler has gone.
            raise self._without_scheduler() from error
        except ModuleNotFoundError as error:
            if not f"{error.name}.".startswith("mtfast."):
                raise
            raise MtfastError(
                f"a worker of the Dask scheduler at {self._address} has no module {error.name}; "
                f"expected mtfast {_version()} on all of them; install it there"
            ) from error

    def _fetch(self, future: Any) -> Any:
        if future not in self._fetched:
            self._fetch_done(future)
        # The outcome is kept by a worker. If that one is lost, another runs the task again.
        while future not in self._fetched:
            try:
                self._fetched[future] = future.result(timeout=WORKERLESS_SECONDS)
            except TimeoutError:
                self.expect_workers()
        self._seen = time.monotonic()
        return self._fetched.pop(future)

    def _fetch_done(self, wanted: Any) -> None:
        """Fetch all outcomes that are there: a round trip for each would bound a large cluster."""
        others = [f for f in self._pending if f.status == "finished" and f not in self._fetched]
        futures = (wanted, *others)
        gather = partial(self._client.gather, futures, errors="skip", asynchronous=True)
        # What is wrong with one is raised when that one is asked for.
        with suppress(CancelledError, OSError):
            found = self._client.sync(gather, callback_timeout=WORKERLESS_SECONDS)
            pairs = zip(futures, found, strict=True)
            self._fetched.update((future, one) for future, one in pairs if one is not None)

    def expect_workers(self) -> None:
        """Raise MtfastError if the scheduler has gone, or has had no workers for some time."""
        if self._is_closed():
            raise self._without_scheduler()
        if self._n_threads():
            self._seen = time.monotonic()
        elif time.monotonic() - self._seen > WORKERLESS_SECONDS:
            raise self._without_workers()

    def __exit__(self, *error: object) -> None:
        try:
            self._wait_for_pending()
        finally:
            self._pending.clear()
            if self._is_ours:
                self._client.close()

    def _wait_for_pending(self) -> None:
        # Cancelling does not wait for tasks that run. So all that were sent are completed.
        for future in self._pending:
            while not (future.done() or self._is_closed()):
                try:
                    future.exception(timeout=POLL_SECONDS)
                except TimeoutError:
                    if not self._n_threads():
                        self._client.cancel(list(self._pending))
                        return

    def _is_closed(self) -> bool:
        # A client closes itself when it cannot reach the scheduler for its timeout.
        return bool(self._client.status == "closed")

    def _n_threads(self) -> int:
        try:
            return sum(self._client.nthreads().values())
        except (OSError, RuntimeError):
            # The scheduler has gone, or the client closes at this moment.
            return 0

    def _without_scheduler(self) -> MtfastError:
        return MtfastError(
            f"the Dask scheduler at {self._address} has gone; expected it to stay until all jobs "
            f"are done; start it again"
        )

    def _without_workers(self) -> MtfastError:
        return MtfastError(
            f"the Dask scheduler at {self._address} has no workers; expected at least one; "
            f"start one with: dask worker {self._address}"
        )


def _connect(address: str) -> DaskClient:
    from distributed import Client

    # One that cannot connect is to be closed too: it would complain when the interpreter ends.
    client, is_tls = Client.__new__(Client), address.startswith("tls://")
    try:
        client.__init__(address, timeout=CONNECT_SECONDS, set_as_default=False)
    except (OSError, TimeoutError, ValueError, TypeError) as error:
        client.close(timeout=POLL_SECONDS)
        if is_tls and isinstance(error, TypeError):
            raise MtfastError(
                f"no certificates for {address}; expected Dask's configuration to name them; set "
                f"ca-file, client.cert and client.key in distributed.comm.tls, or pass a "
                f"distributed.Client that has them"
            ) from error
        raise MtfastError(
            f"no Dask scheduler answers at {address}; expected one within "
            f"{CONNECT_SECONDS:g} s; check the address{' and the certificates' * is_tls}"
        ) from error
    connected: DaskClient = client
    return connected


def _pack(task: Callable[[], Any]) -> bytes:
    # Dask's pickle takes functions of notebooks along. Level 1 takes 0.3 ms to make 43 KB of the
    # annotations of 64 images, 117 KB. The client and the scheduler keep the last 1,000 messages
    # of each connection.
    from distributed.protocol.pickle import dumps
    from imagecodecs import zstd_encode

    return bytes(zstd_encode(dumps(task), level=1))


class _Call:
    """A call that is made where it is unpickled.

    A worker that cannot unpickle a function ends. As bytes that :func:`pickle.loads` takes it is a
    task that fails.
    """

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self._made = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self._made


def _run_packed(packed: bytes, version: str) -> Any:
    """Run a task, on a worker."""
    from imagecodecs import zstd_decode

    if _version() != version:
        raise MtfastError(
            f"the worker on {platform.node()} has mtfast {_version()}, and the client {version}; "
            f"expected one version; install the same on both"
        )
    return pickle.loads(zstd_decode(packed))()  # noqa: S301 - the client's own bytes


# Which reads and parses a file.
_version = cache(installed_version)
