"""Who reads batches ahead: this process, threads, or processes; all take turns in one set of slots.

Torch's own worker processes send each batch in fresh memory, serve one iterator at a time and stop
at the end of an epoch. Here a batch is read into a slot (:mod:`mtfast.loaders.slots`), any number
of iterators send their batches to the same workers, and the next epochs are read ahead as well.
"""

from __future__ import annotations

import itertools
import os
import signal
import threading
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import (
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
)
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_all_start_methods, get_context, parent_process
from multiprocessing.connection import wait
from multiprocessing.util import Finalize, get_temp_dir
from pickle import PicklingError
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from mtfast.arguments import as_integer
from mtfast.errors import MtfastError, no_such, shown
from mtfast.loaders.batches import PackedBatch
from mtfast.loaders.sampler import SampleKey
from mtfast.loaders.slots import Slots

__all__ = ["Pending", "Team", "Workers", "checked_start_method"]

ReadBatch: TypeAlias = Callable[[Sequence[SampleKey], NDArray[np.uint8] | None], PackedBatch]
"""Reads the samples of a batch, into a buffer if it is large enough. Pickles."""

FetchBatch: TypeAlias = Callable[[Sequence[SampleKey]], None]
"""Starts to fetch the samples of a batch, and returns at once. Pickles."""

_Given: TypeAlias = tuple[ReadBatch, Slots, FetchBatch | None]


class Workers(NamedTuple):
    """How many workers, and of which kind.

    Attributes
    ----------
    n : int
        0: batches are read where they are taken.
    are_threads : bool
    """

    n: int
    are_threads: bool

    @classmethod
    def of(cls, workers: Any, num_workers: Any = None) -> Workers:
        """Read the arguments of a loader.

        Parameters
        ----------
        workers : int or str
            Number of processes, or "threads:N".
        num_workers : int or str, optional
            The same under the name that PyTorch uses.

        Returns
        -------
        Workers

        Raises
        ------
        MtfastError
            If both are given and differ, or they make no sense.

        Examples
        --------
        >>> Workers.of(2), Workers.of("threads:4")
        (Workers(n=2, are_threads=False), Workers(n=4, are_threads=True))
        """
        if num_workers is not None:
            if workers not in (0, num_workers):
                raise MtfastError(
                    f"workers is {shown(workers)} and num_workers {shown(num_workers)}; expected "
                    f"one of them; leave out the other one"
                )
            workers = num_workers
        if isinstance(workers, str):
            kind, _, n = workers.partition(":")
            if kind != "threads" or not n.isdecimal() or int(n) < 1:
                raise MtfastError(
                    f"workers is {shown(workers)}; expected a number of processes, or threads as "
                    f"'threads:4'; correct it"
                )
            return cls(int(n), True)
        return cls(as_integer("workers", workers, 0), False)

    def __str__(self) -> str:
        if not self.n:
            return "this process"
        return f"{self.n} {'threads' if self.are_threads else 'worker processes'}"


class Pending:
    """A batch that is being read."""

    def __init__(self, future: Future[Any], slots: Slots, slot: int | None) -> None:
        self._future = future
        self._slots = slots
        self._slot = slot

    def result(self) -> PackedBatch:
        """Wait for the batch.

        Returns
        -------
        PackedBatch
            Its slot is free again when nobody holds its tensors.

        Raises
        ------
        MtfastError
            If a worker process ended, or the workers were closed.
        """
        try:
            batch: PackedBatch = self._future.result()
        except (BrokenProcessPool, EOFError, ConnectionError) as error:
            raise _process_ended() from error
        except CancelledError:
            raise _closed() from None
        slot, self._slot = self._slot, None
        if slot is None:
            return batch
        if isinstance(batch.data, int):
            return batch._replace(data=torch.from_numpy(self._slots.lend(slot, batch.data)))
        self._slots.give_back(slot)
        return batch

    def drop(self) -> None:
        """Forget the batch; its slot is free when its worker is done with it."""
        slot, self._slot = self._slot, None
        self._future.cancel()
        if slot is not None:
            self._future.add_done_callback(lambda _: self._slots.give_back(slot))


def checked_start_method(method: str | None) -> str | None:
    """Return how processes are started, if this Python knows it.

    Parameters
    ----------
    method : str or None

    Returns
    -------
    str or None

    Raises
    ------
    MtfastError
        If it does not.

    Examples
    --------
    >>> checked_start_method("spawn")
    'spawn'
    """
    known = get_all_start_methods()
    if method is not None and method not in known:
        raise MtfastError(no_such("start_method", str(method), known, "this Python"))
    return method


def _process_ended() -> MtfastError:
    return MtfastError(
        "a worker process ended while it read a batch; expected memory enough for it and, in a "
        "script, `if __name__ == '__main__':` around the training; use fewer workers"
    )


def _closed() -> MtfastError:
    return MtfastError(
        "an iteration whose workers were closed, by close() or as one of them failed; expected "
        "none that goes on after that; begin another one"
    )


class Team:
    """Workers that live until they are closed.

    Parameters
    ----------
    workers : Workers
    read : callable
        Reads a batch; it is sent to each process once.
    slots : Slots
    start_method : str, optional
        How processes are started; by default Python's default on this system.
    fetch : callable, optional
        Starts to fetch samples of a batch. Each worker process then has batches of its own, in
        turns, and fetches those of later ones while it reads: no other one knows them.
    n_turns : int
        How many of its own batches a worker process is ahead with ``fetch``.

    Attributes
    ----------
    looks_ahead : int
        The batch after so many others is the one that the same worker fetches meanwhile; 0 without
        ``fetch``.
    """

    def __init__(
        self,
        workers: Workers,
        read: ReadBatch,
        slots: Slots,
        start_method: str | None,
        fetch: FetchBatch | None = None,
        n_turns: int = 1,
    ) -> None:
        self._slots = slots
        self._owner = os.getpid()
        self._is_closed = False
        self._executors: list[Executor] = []
        self._task: tuple[Any, ...] = (_read_here, read, slots)
        self.looks_ahead = 0
        if workers.are_threads:
            self._executors = [ThreadPoolExecutor(workers.n, "mtfast-loader")]
        elif workers.n:
            given = read, slots, fetch
            self._task = (_read_in_worker,)
            if fetch is None:
                self._executors = [_start_processes(workers.n, given, start_method)]
            else:
                self.looks_ahead = workers.n * n_turns
                self._executors = [
                    _start_processes(1, given, start_method) for _ in range(workers.n)
                ]
        self._turns = itertools.cycle(self._executors)

    @property
    def is_alive(self) -> bool:
        """Whether this process can use it: not if it was forked after the workers were started."""
        return self._owner == os.getpid()

    def submit(self, keys: Sequence[SampleKey], later: Sequence[SampleKey] = ()) -> Pending:
        """Let a batch be read.

        Parameters
        ----------
        keys : sequence of SampleKey
        later : sequence of SampleKey
            Those of the batch after :attr:`looks_ahead` others.

        Returns
        -------
        Pending

        Raises
        ------
        MtfastError
            If a worker process ended, or the workers were closed.
        """
        if self._is_closed:
            raise _closed()
        slot = self._slots.take()
        try:
            # Batches that are read where they are taken have no executor.
            submit: Callable[..., Future[Any]] = next(map(_submit_of, self._turns), _Later)
            more = (later,) if self.looks_ahead else ()
            return Pending(submit(*self._task, keys, slot, *more), self._slots, slot)
        except BrokenProcessPool as error:
            raise _process_ended() from error

    def close(self) -> None:
        """End the workers when they have read what they are reading."""
        if self._executors and self.is_alive:
            self._is_closed = True
            for executor in self._executors:
                executor.shutdown(wait=True, cancel_futures=True)


def _submit_of(executor: Executor) -> Callable[..., Future[Any]]:
    return executor.submit


def _start_processes(n: int, given: _Given, start_method: str | None) -> ProcessPoolExecutor:
    # Batches that fit into no slot are sent through sockets in multiprocessing's temporary folder.
    # Made here, it is this process's to remove, also after workers that were killed.
    get_temp_dir()
    executor = ProcessPoolExecutor(n, get_context(start_method), _start, given)
    try:
        # Starts them all, before this process has other threads.
        executor.submit(_nothing)
    except (PicklingError, AttributeError, TypeError) as error:
        raise MtfastError(
            f"a dataset that cannot be sent to worker processes ({error}); expected a transform "
            f"that pickles; define it with 'def' in a module, or start workers with 'fork'"
        ) from error
    # A process that multiprocessing has started waits for its children before anything else ends
    # them. This has to come before the queues to them are closed, which have priority 10.
    Finalize(executor, _shut_down, (weakref.ref(executor),), exitpriority=20)
    return executor


def _shut_down(executor: weakref.ref[ProcessPoolExecutor]) -> None:
    if (found := executor()) is not None:
        found.shutdown(cancel_futures=True)


class _Later(Future[Any]):
    """A call that is made where its result is asked for."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        super().__init__()
        self._call = function, arguments

    def result(self, timeout: float | None = None) -> Any:
        function, arguments = self._call
        if self.set_running_or_notify_cancel():
            try:
                self.set_result(function(*arguments))
            except BaseException as error:
                self.set_exception(error)
        return super().result(timeout)


def _read_here(
    read: ReadBatch, slots: Slots, keys: Sequence[SampleKey], slot: int | None
) -> PackedBatch:
    if slot is None:
        return read(keys, None)
    buffer = slots.buffer(slot)
    batch = read(keys, buffer)
    # What is in the slot does not travel: only how much it is.
    in_slot = batch.data.data_ptr() == buffer.ctypes.data
    return batch._replace(data=batch.data.numel()) if in_slot else batch


# What a worker process was given when it started.
_given: _Given | None = None


def _start(read: ReadBatch, slots: Slots, fetch: FetchBatch | None) -> None:
    """Prepare a worker process."""
    global _given
    _given = read, slots, fetch
    # A terminal sends Ctrl-C to all its processes; this one ends when its parent says so.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _nothing() -> None:
    """Do nothing."""


def _read_in_worker(
    keys: Sequence[SampleKey], slot: int | None, later: Sequence[SampleKey] = ()
) -> PackedBatch:
    if _given is None:
        raise MtfastError("a worker process that was not prepared; expected one; report this")
    read, slots, fetch = _given
    if fetch is not None:
        fetch(keys)
        fetch(later)
    return _read_here(read, slots, keys, slot)
