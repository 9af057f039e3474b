"""Work that is under way: the jobs of a run, and the place where they write."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from mtfast.addresses import Address
from mtfast.errors import MtfastError
from mtfast.parallel import Scheduler, run_jobs
from mtfast.work.records import FileSum, Made, Plan

__all__ = ["Place", "Work", "say_what_is_kept"]

logger = logging.getLogger(__name__)

Job = TypeVar("Job")


class Place(Protocol):
    """Where jobs write. It is sent with each of them, to other machines as well."""

    def write(self, key: str, parts: Iterable[bytes | memoryview]) -> FileSum:
        """Write a file, whole or not at all.

        Parameters
        ----------
        key : str
        parts : iterable of bytes or memoryview
            Consumed one by one.

        Returns
        -------
        FileSum

        Raises
        ------
        StoreError, RemoteError
            If it cannot be written.
        """

    def expect_here(self) -> None:
        """Refuse to work where the place is not: a worker of a cluster may share no disk.

        Raises
        ------
        MtfastError
        """

    def recover(self, files: Mapping[str, FileSum]) -> bool:
        """Take over files of an earlier run, if all of them are as they were recorded.

        Parameters
        ----------
        files : mapping
            Key -> what was recorded.

        Returns
        -------
        bool
            Whether all are there now.
        """

    def note(self, key: str, made: Made) -> None:
        """Record a job where it was done, if that is how this place keeps records.

        Parameters
        ----------
        key : str
            Of the job.
        made : Made
        """


PlaceT = TypeVar("PlaceT", bound=Place)


@dataclass
class Work(ABC, Generic[PlaceT]):
    """Work that is under way, by this run alone.

    Attributes
    ----------
    place : Place
        Where its jobs write.
    plan : Plan
    before : dict
        Key of a job that an earlier run has done -> what it made.
    done : set of str
        Keys of the jobs that are done.
    n_there : int
        How many of them an earlier run had done.
    """

    place: PlaceT
    plan: Plan
    before: dict[str, Made]
    done: set[str] = field(default_factory=set)
    n_there: int = 0

    @property
    @abstractmethod
    def content(self) -> Path:
        """A folder of this machine, for what is made by no job."""

    def expect_room(self, n_bytes: int, what: str) -> None:
        """Refuse more than the disk takes, if jobs write to one.

        Parameters
        ----------
        n_bytes : int
            What they write at least.
        what : str
            What it is, for the message.

        Raises
        ------
        StoreError
        """

    @abstractmethod
    def save_plan(self, plan: Plan) -> None:
        """Replace the plan that the next run is compared with.

        Parameters
        ----------
        plan : Plan
        """

    def record(self, key: str, made: Made) -> None:
        """Note that a job is done, so that the next run need not do it.

        Parameters
        ----------
        key : str
            Of the job.
        made : Made
        """
        self.done.add(key)
        self.n_there += made.was_there

    def log_what_was_there(self, target: Path | Address) -> None:
        """Log how much of what is whole now an earlier run had made.

        Parameters
        ----------
        target : Path or Address
        """
        if self.n_there:
            logger.warning(
                "%s: %d of %d parts had been made by a run that was stopped",
                target,
                self.n_there,
                len(self.done),
            )

    def keep(self) -> None:
        """Note that something is done which the next run finds by itself."""
        self.done.add("")

    def expect_changes(self, names: Iterable[str], advised: tuple[str, ...] = ()) -> None:
        """Let the next run go on although some inputs have changed, which are to be mended.

        Parameters
        ----------
        names : iterable of str
            Inputs of the plan that no job which is done has read.
        advised : tuple of str
            Options of the plan that may be others in the next run, which then begins again.
        """
        inputs = self.plan.inputs | dict.fromkeys(names)
        self.save_plan(msgspec.structs.replace(self.plan, inputs=inputs, advised=advised))

    @contextmanager
    def run_jobs(
        self,
        function: Callable[[Job], Made],
        jobs: Sequence[Job],
        keys: Sequence[str],
        name: str,
        scheduler: Scheduler = "threads",
        workers: int | None = None,
        *,
        title: Callable[[int], str] | None = None,
    ) -> Iterator[Iterator[tuple[int, Any]]]:
        """Do those jobs that no earlier run has done; see :func:`mtfast.parallel.run_jobs`.

        Parameters
        ----------
        function : callable
            Makes files in the place.
        jobs : sequence
        keys : sequence of str
            What each job is called, in every run.
        name, scheduler, workers, title
            As there; by default the keys are titles.

        Yields
        ------
        iterator of (int, result)
            Also of those that were done before.
        """
        resume = partial(_resume, function, self.place)
        named = [(key, job, self.before.get(key)) for key, job in zip(keys, jobs, strict=True)]
        title = title or keys.__getitem__
        with run_jobs(resume, named, name, scheduler, workers, title) as results:
            yield self._recorded(results, keys)

    def _recorded(
        self, results: Iterator[tuple[int, Made]], keys: Sequence[str]
    ) -> Iterator[tuple[int, Any]]:
        for number, made in results:
            self.record(keys[number], made)
            yield number, made.result


def say_what_is_kept(stopped: BaseException, place: str) -> None:
    """Let an error that stops a run say where what is done is kept.

    Parameters
    ----------
    stopped : BaseException
        Left as it is, unless it is an error of mtfast or a Ctrl-C.
    place : str
        Such as "in /data/.set.partial-1".
    """
    kept = f"what is done is kept {place}; run the same again to go on"
    if isinstance(stopped, MtfastError):
        stopped.args = (f"{stopped}; {kept}",)
    elif isinstance(stopped, KeyboardInterrupt):
        stopped.args = (kept,)


def _resume(
    function: Callable[[Job], Made], place: Place, named: tuple[str, Job, Made | None]
) -> Made:
    key, job, before = named
    place.expect_here()
    if before is not None and place.recover(before.files):
        return before._replace(was_there=True)
    made = function(job)
    place.note(key, made)
    return made
