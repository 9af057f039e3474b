"""Runs independent jobs with Dask: on threads, on processes, one by one, or on a cluster.

The only module that imports Dask.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, nullcontext
from functools import partial
from importlib.util import find_spec
from itertools import islice
from multiprocessing import get_context
from typing import Any, TypeVar

from mtfast.errors import MtfastError

__all__ = ["check_scheduler", "run_jobs", "worker_processes"]

Job = TypeVar("Job")
Result = TypeVar("Result")
T = TypeVar("T")

LOCAL = ("threads", "processes", "sync")
# Jobs that Dask knows of at a time on this machine: it takes 16 KB for each.
AT_ONCE = 256
# Jobs that wait at each worker of a cluster, so that none runs dry and few are in memory.
AHEAD = 2
CONNECT_SECONDS = 10.0


def check_scheduler(scheduler: str) -> None:
    """Raise MtfastError unless jobs can be run on this scheduler."""
    if scheduler not in LOCAL and not scheduler.startswith("tcp://"):
        raise MtfastError(
            f"scheduler {scheduler!r}; expected threads, processes, sync or tcp://HOST:PORT; "
            f"pick one"
        )
    if scheduler not in LOCAL and find_spec("distributed") is None:
        raise MtfastError(
            "a Dask scheduler's address, but no 'distributed'; expected it to be installed; "
            "run: pip install 'mtfast[distributed]'"
        )


def run_jobs(
    function: Callable[[Job], Result],
    jobs: Sequence[Job],
    on_result: Callable[[int, Result], None],
    scheduler: str = "threads",
    workers: int | None = None,
) -> None:
    """Call a function for every job, and on_result(number, result) here as each one is done.

    Parameters
    ----------
    function : callable
        At module level, so that it can be sent to other processes.
    jobs : sequence
    on_result : callable
    scheduler : str
        "threads", "processes", "sync" or "tcp://HOST:PORT".
    workers : int, optional
        Processes, by default as many as there are cores; or threads, by default twice as many.

    Raises
    ------
    MtfastError, OSError
        The first that a job raised. No job runs any more when this returns or raises.
    """
    if workers is not None and workers < 1:
        raise MtfastError(f"{workers} workers; expected at least 1; leave it out for all cores")
    check_scheduler(scheduler)
    if scheduler in LOCAL:
        _run_locally(function, jobs, on_result, scheduler, workers)
    else:
        _run_on_cluster(function, jobs, on_result, scheduler)


def _guarded(function: Callable[[Job], Result], number: int, job: Job) -> tuple[int, Any]:
    """Return an error as a value: Dask would wrap it in a traceback of the other process."""
    try:
        return number, function(job)
    except (MtfastError, OSError) as error:
        return number, error


def _deliver(on_result: Callable[[int, Any], None], number: int, result: Any) -> None:
    if isinstance(result, Exception):
        raise result
    on_result(number, result)


def _run_locally(
    function: Callable[[Job], Result],
    jobs: Sequence[Job],
    on_result: Callable[[int, Result], None],
    scheduler: str,
    workers: int | None,
) -> None:
    import dask
    from dask.base import named_schedulers
    from dask.callbacks import Callback
    from dask.system import CPU_COUNT

    def posttask(key: Any, result: Any, dsk: Any, state: Any, worker: Any) -> None:
        _deliver(on_result, *result)

    # By its name Dask would look for a cluster first, and import distributed for that: 0.3 s.
    get = named_schedulers[scheduler]
    # A pool of our own: leaving it waits for the jobs that are under way, so that nobody writes
    # behind the back of whoever cleans up after an error.
    # Threads wait for the disk for much of their time.
    default = 2 * CPU_COUNT if scheduler == "threads" else CPU_COUNT
    with _pool(scheduler, min(workers or default, max(len(jobs), 1))) as pool:
        options = {} if pool is None else {"pool": pool}
        try:
            for first in range(0, len(jobs), AT_ONCE):
                calls = [
                    partial(_guarded, function, number, job)
                    for number, job in enumerate(jobs[first : first + AT_ONCE], first)
                ]
                tasks = [
                    dask.delayed(call, pure=False, traverse=False)(
                        dask_key_name=f"job-{number:08d}"
                    )
                    for number, call in enumerate(calls, first)
                ]
                with Callback(posttask=posttask):
                    dask.compute(*tasks, scheduler=get, optimize_graph=False, **options)
        except BrokenProcessPool as error:
            raise MtfastError(
                "a worker process ended before its work; expected it to live, and memory enough "
                "for it; use fewer workers, or threads"
            ) from error


def _pool(scheduler: str, workers: int) -> Any:
    if scheduler == "sync":
        return nullcontext()
    return ThreadPoolExecutor(workers) if scheduler == "threads" else worker_processes(workers)


def _run_on_cluster(
    function: Callable[[Job], Result],
    jobs: Sequence[Job],
    on_result: Callable[[int, Result], None],
    address: str,
) -> None:
    from distributed import Client, as_completed, wait

    try:
        client = Client(address, timeout=CONNECT_SECONDS)
    except (OSError, TimeoutError, ValueError) as error:
        raise MtfastError(
            f"no Dask scheduler answers at {address}; expected one within {CONNECT_SECONDS:g} s; "
            f"check the address"
        ) from error
    with client:
        threads = sum(client.nthreads().values())
        if not threads:
            raise MtfastError(
                f"the Dask scheduler at {address} has no workers; expected at least one; "
                f"start one with: dask worker {address}"
            )
        waiting = iter(enumerate(jobs))
        running = as_completed()
        pending: set[Any] = set()

        def submit_next() -> None:
            for number, job in islice(waiting, 1):
                future = client.submit(partial(_guarded, function, number, job), pure=False)
                pending.add(future)
                running.add(future)

        try:
            for _ in range(AHEAD * threads):
                submit_next()
            for future in running:
                pending.discard(future)
                _deliver(on_result, *future.result())
                submit_next()
        finally:
            # After an error the jobs that were given out still run: let them come to their end.
            wait(list(pending))


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
