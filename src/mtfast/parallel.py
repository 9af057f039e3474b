"""Runs independent jobs: with Dask on threads, on processes, one by one, or on a cluster.

::

    jobs --> tasks of one or more jobs --> window of tasks under way --> results, as they come

The window slides: whenever a task is done the next one starts, so a slow job delays no other. The
only module that imports Dask, beside :mod:`mtfast.cluster`. What is over in a moment needs no
window, and :func:`map_threads` no Dask, which takes 0.2 s to import.
"""

from __future__ import annotations

import os
import signal
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from functools import partial
from importlib import import_module
from multiprocessing import get_context, parent_process
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, NamedTuple, Protocol, Self, TypeVar

from mtfast.cluster import (
    AHEAD,
    POLL_SECONDS,
    Cluster,
    Scheduler,
    check_cluster,
    expect_answer,
    is_address,
)
from mtfast.errors import MtfastError

__all__ = ["Scheduler", "check_scheduler", "map_threads", "n_cores", "run_jobs", "worker_processes"]

Job = TypeVar("Job")
Result = TypeVar("Result")
T = TypeVar("T")

# The `get` of these modules runs a graph on this machine.
LOCAL = {"threads": "dask.threaded", "processes": "dask.multiprocessing", "sync": "dask"}
# A task costs 0.2 ms on a thread and 1.5 ms on a process (2 cores, Dask 2026.8), so short jobs
# share one.
TASK_SECONDS = 0.05
# Bounds the jobs and results that are in memory.
MOST_PER_TASK = 64
# Items that a thread of `map_threads` takes at once: a hand-over costs 12 us (Python 3.11).
MOST_AT_ONCE = 16


def n_cores() -> int:
    """Return how many cores this process may use.

    Returns
    -------
    int

    Examples
    --------
    >>> n_cores() >= 1
    True
    """
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def map_threads(
    function: Callable[[Job], Result], items: Sequence[Job], workers: int | None = None
) -> list[Result]:
    """Call a function for every item, side by side on threads that end with the call.

    Parameters
    ----------
    function : callable
        Should release the GIL for most of its time.
    items : sequence
    workers : int, optional
        Threads; by default as many as there are cores.

    Returns
    -------
    list
        What the function returned, in the order of the items.

    Raises
    ------
    Exception
        What the function raised for the first item for which it did; items that are not begun by
        then are left out.

    Examples
    --------
    >>> map_threads(len, ["#", "", "###"])
    [1, 0, 3]
    """
    n = min(workers or n_cores(), len(items))
    if n < 2:
        return [*map(function, items)]
    size = min(max(1, len(items) // (4 * n)), MOST_AT_ONCE)
    pieces = [items[start : start + size] for start in range(0, len(items), size)]
    with ThreadPoolExecutor(n, "mtfast-map") as pool:
        done = pool.map(lambda piece: [*map(function, piece)], pieces)
        return [result for results in done for result in results]


def check_scheduler(scheduler: Scheduler) -> None:
    """Raise MtfastError unless jobs can be run on this scheduler, before their input is read.

    At an address a scheduler has to answer.

    Parameters
    ----------
    scheduler : str or distributed.Client
        What runs the work: "threads", "processes", "sync", the address of a Dask scheduler
        ("tcp://HOST:PORT" or "tls://HOST:PORT"), or a client of one.

    Raises
    ------
    MtfastError
        If it is none of these; an address at which none answers, or ``distributed`` is not
        installed; or a client that is closed or asynchronous.

    Examples
    --------
    >>> check_scheduler("threads")
    """
    _check_kind(scheduler)
    if isinstance(scheduler, str) and is_address(scheduler):
        expect_answer(scheduler)


def _check_kind(scheduler: Scheduler) -> None:
    if not (isinstance(scheduler, str) and scheduler in LOCAL):
        check_cluster(scheduler)


@contextmanager
def run_jobs(
    function: Callable[[Job], Result],
    jobs: Sequence[Job],
    name: str = "job",
    scheduler: Scheduler = "threads",
    workers: int | None = None,
    title: Callable[[int], str] = "{:08d}".format,
) -> Iterator[Iterator[tuple[int, Result]]]:
    """Call a function for every job, and iterate over the results in order of completion.

    When the block is left, for whatever reason, no more jobs are started, and those that run are
    waited for. The same happens before an error is raised.

    Parameters
    ----------
    function : callable
        At module level, so that it can be sent to other processes.
    jobs : sequence
        Only the jobs in the window are looked up; a job whose task ran out of time is looked up
        again.
    name : str
        What a job does, such as "write-shard".
    scheduler : str or distributed.Client
        What runs the work: "threads", "processes", "sync", the address of a Dask scheduler
        ("tcp://HOST:PORT" or "tls://HOST:PORT"), or a client of one.
    workers : int, optional
        Processes, by default as many as there are cores; or threads, by default twice as many.
        A cluster has as many as it has.
    title : callable
        Says what the job of an index is about; by default the index. Dask's dashboard calls a task
        NAME-TITLE after its first job.

    Yields
    ------
    iterator of (int, result)
        The index of a job and what the function returned. While nobody asks for results, no
        more tasks are started.

    Raises
    ------
    MtfastError, OSError
        While iterating: the first error of a job; MtfastError also if workers are lost.

    Examples
    --------
    >>> with run_jobs(len, ["#", "", "###"], scheduler="sync") as results:
    ...     list(results)
    [(0, 1), (1, 0), (2, 3)]
    """
    if workers is not None and workers < 1:
        raise MtfastError(f"{workers} workers; expected at least 1; leave it out for all cores")
    _check_kind(scheduler)
    open_pool = partial(_pool, scheduler, workers, len(jobs))
    with closing(_results(function, jobs, open_pool, partial(_key, name, title))) as results:
        yield results


class _Outcome(NamedTuple):
    """The results of the first jobs of a task, and the error of the next one if it failed."""

    results: list[Any]
    error: Exception | None
    seconds: float


class _Pool(Protocol):
    """Where tasks run."""

    @property
    def window(self) -> int:
        """How many tasks may be under way or done without their outcome having been taken."""

    def submit(self, key: str, task: Callable[[], _Outcome]) -> Any:
        """Start a task, or put it in line; return its future."""

    def outcome(self, future: Any) -> _Outcome:
        """Return the outcome of a task that is done."""

    def expect_workers(self) -> None:
        """Raise MtfastError if no task can be completed any more."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None:
        """Start no more tasks, and wait for those that run."""


def _results(
    function: Callable[[Job], Result],
    jobs: Sequence[Job],
    open_pool: Callable[[], _Pool],
    key: Callable[[range], str],
) -> Generator[tuple[int, Result]]:
    """Keep the window full, and yield the results of the tasks that are done."""
    plan = _Plan(len(jobs))
    under_way: dict[Any, range] = {}
    done: SimpleQueue[Any] = SimpleQueue()
    with open_pool() as pool:
        while plan or under_way:
            while plan and len(under_way) < pool.window:
                numbers = plan.take()
                task = partial(_run_task, function, [jobs[number] for number in numbers])
                future = pool.submit(key(numbers), task)
                under_way[future] = numbers
                future.add_done_callback(done.put)
            try:
                # On Windows Ctrl-C does not interrupt a wait that has no timeout.
                future = done.get(timeout=POLL_SECONDS)
            except Empty:
                pool.expect_workers()
                continue
            numbers = under_way.pop(future)
            outcome = pool.outcome(future)
            plan.learn(numbers, outcome)
            yield from zip(numbers, outcome.results, strict=False)
            if outcome.error is not None:
                raise outcome.error


def _key(name: str, title: Callable[[int], str], numbers: range) -> str:
    """Name a task after its jobs."""
    more = f" and {len(numbers) - 1} more" if len(numbers) > 1 else ""
    return f"{name}-{title(numbers[0])}{more}"


def _run_task(function: Callable[[Job], Result], jobs: Sequence[Job]) -> _Outcome:
    """Run jobs one after another until the time of a task is up."""
    results: list[Result] = []
    start = time.perf_counter()
    for job in jobs:
        try:
            results.append(function(job))
        except (MtfastError, OSError) as error:
            # Returned, not raised: Dask would wrap an error that another process raises.
            return _Outcome(results, error, time.perf_counter() - start)
        if time.perf_counter() - start > TASK_SECONDS:
            break
    return _Outcome(results, None, time.perf_counter() - start)


class _Plan:
    """Divides jobs among tasks: as many to each as fitted into the time of the one before."""

    def __init__(self, n_jobs: int) -> None:
        self._left: deque[range] = deque([range(n_jobs)] if n_jobs else [])
        self._size = 1

    def __bool__(self) -> bool:
        return bool(self._left)

    def take(self) -> range:
        """Return the indices of the jobs of the next task."""
        numbers = self._left.popleft()
        if len(numbers) > self._size:
            self._left.appendleft(numbers[self._size :])
        return numbers[: self._size]

    def learn(self, numbers: range, outcome: _Outcome) -> None:
        """Take back the jobs that a task had no time for, and adapt the size of the next ones."""
        n_done = len(outcome.results)
        if n_done < len(numbers):
            self._left.appendleft(numbers[n_done:])
        fitting = n_done * TASK_SECONDS / max(outcome.seconds, 1e-9)
        self._size = max(1, min(int(fitting), 2 * n_done, MOST_PER_TASK))


def _pool(scheduler: Scheduler, workers: int | None, n_jobs: int) -> _Pool:
    if isinstance(scheduler, str) and scheduler in LOCAL:
        return _Local(scheduler, workers, n_jobs)
    return Cluster(scheduler)


class _Local:
    """Dask's schedulers for one machine.

    They return when a whole graph is done. So each task is a graph of its own, and a thread waits
    for it.
    """

    def __init__(self, scheduler: str, workers: int | None, n_jobs: int) -> None:
        from dask.callbacks import Callback
        from dask.system import CPU_COUNT

        # Threads spend much of their time waiting for the disk.
        default = 2 * CPU_COUNT if scheduler == "threads" else CPU_COUNT
        n = min(workers or default, max(n_jobs, 1))
        self.window = 1 if scheduler == "sync" else AHEAD * n
        self._waiters, self._workers = _executors(scheduler, n)
        self._get = partial(
            import_module(LOCAL[scheduler]).get,
            pool=self._workers,
            optimize_graph=False,
            # A call that gets none takes them from a global variable and empties that while it
            # runs, so calls side by side would lose them.
            callbacks=list(Callback.active),
        )

    def submit(self, key: str, task: Callable[[], _Outcome]) -> Future[_Outcome]:
        """Have a thread call Dask's scheduler."""
        from dask import delayed

        graph = delayed(task, pure=False, traverse=False)(dask_key_name=key).__dask_graph__()
        return self._waiters.submit(self._get, graph, key)

    def outcome(self, future: Future[_Outcome]) -> _Outcome:
        """Return the outcome of a task that is done."""
        try:
            return future.result()
        except BrokenProcessPool as error:
            raise MtfastError(
                "a worker process ended before its work; expected memory enough for it and, in a "
                'script, `if __name__ == "__main__":` around the call; use fewer workers'
            ) from error

    def expect_workers(self) -> None:
        """Do nothing: the tasks of a process that died have ended with an error."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for executor in (self._waiters, self._workers):
            executor.shutdown(cancel_futures=True)


def _executors(scheduler: str, n: int) -> tuple[Executor, Executor]:
    """Make the executor that waits for tasks and the one that runs them."""
    from dask.local import SynchronousExecutor

    if scheduler == "sync":
        return SynchronousExecutor(), SynchronousExecutor()
    workers = ThreadPoolExecutor(n) if scheduler == "threads" else worker_processes(n)
    return ThreadPoolExecutor(n), workers


def worker_processes(n: int) -> ProcessPoolExecutor:
    """Make a pool of n processes that ignore Ctrl-C.

    They are spawned, as a fork copies locks that other threads hold. A terminal sends Ctrl-C to
    all its processes; these block the signal from their start, and the parent stops them. They end
    when it does, even if it is killed.

    Parameters
    ----------
    n : int

    Returns
    -------
    ProcessPoolExecutor
    """
    return _Processes(n, mp_context=get_context("spawn"), initializer=_end_with_parent)


def _end_with_parent() -> None:
    """Have a thread of this process end it when its parent has ended.

    A worker waits for the next task at a pipe of which all workers hold both ends, so it is not
    told.
    """
    parent = parent_process()

    def wait_for_its_end() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    Thread(target=wait_for_its_end, daemon=True, name="end-with-parent").start()


class _Processes(ProcessPoolExecutor):
    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        # Processes are started here and inherit the signals that this thread blocks.
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
