"""Long work that goes on where it was stopped: its plan, what its jobs make, which are done.

Where it is kept: :mod:`mtfast.work_folder` on a disk, :mod:`mtfast.work_bucket` in object storage.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

import google_crc32c
import msgspec
import numpy as np

from mtfast.parallel import Scheduler, run_jobs
from mtfast.version import installed_version

__all__ = [
    "DAMAGED",
    "FileSum",
    "Made",
    "Place",
    "Plan",
    "Work",
    "difference",
    "first_that_differs",
    "plan_of",
    "read_record",
    "record_of",
]

Job = TypeVar("Job")

DAMAGED = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for bytes that are not what they should be."""


class FileSum(NamedTuple):
    """What tells whether a file is still as it was written.

    Attributes
    ----------
    n_bytes : int
    crc32c : int
        Of its bytes.
    stamp : str
        What object storage calls this version of it; "" for a file on a disk.
    """

    n_bytes: int
    crc32c: int
    stamp: str = ""

    @classmethod
    def of(cls, data: bytes) -> FileSum:
        """Return that of a file with these bytes.

        Parameters
        ----------
        data : bytes

        Returns
        -------
        FileSum

        Examples
        --------
        >>> FileSum.of(b"123456789")
        FileSum(n_bytes=9, crc32c=3808858755, stamp='')
        """
        return cls(len(data), google_crc32c.value(data))

    def then(self, part: bytes | memoryview) -> FileSum:
        """Return that of a file which goes on with these bytes.

        Parameters
        ----------
        part : bytes or memoryview

        Returns
        -------
        FileSum

        Examples
        --------
        >>> FileSum.of(b"1234").then(memoryview(b"56789")) == FileSum.of(b"123456789")
        True
        """
        # Of views, google_crc32c reads those of numpy.
        crc = google_crc32c.extend(self.crc32c, np.frombuffer(part, np.uint8))
        return FileSum(self.n_bytes + len(part), int(crc))


_Job = tuple[str, Any, dict[str, FileSum]]


class Made(NamedTuple):
    """What a job has made.

    Attributes
    ----------
    result : object
        Of JSON types.
    files : dict of str to FileSum
        The files that it wrote, by their keys: their paths in what is made, with "/".
    was_there : bool
        Whether an earlier run had made them.
    """

    result: Any
    files: dict[str, FileSum]
    was_there: bool = False


class Plan(msgspec.Struct, frozen=True):
    """What a run makes, and from what. Values are of JSON types.

    Attributes
    ----------
    command : str
        Such as "convert".
    options : dict
        Those that decide what is written; not workers and the like.
    inputs : dict
        File or other name -> what changes when its content does.
    version : str
        Of mtfast.
    advised : tuple of str
        Options that its error has advised to change: with others all begins again.
    """

    command: str
    options: dict[str, Any]
    inputs: dict[str, Any]
    version: str = msgspec.field(default_factory=installed_version)
    advised: tuple[str, ...] = ()


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


class _Record(msgspec.Struct):
    """A job that is done; ``crc32c`` is that of the text of ``job``: key, result and files."""

    crc32c: int
    job: msgspec.Raw


def record_of(key: str, made: Made) -> bytes:
    """Return the record of a job that is done: JSON, on one line.

    Parameters
    ----------
    key : str
        Of the job.
    made : Made

    Returns
    -------
    bytes
    """
    job = msgspec.json.encode([key, made.result, made.files])
    return msgspec.json.encode(_Record(google_crc32c.value(job), msgspec.Raw(job)))


def read_record(text: bytes) -> tuple[str, Made] | None:
    """Read the record of a job.

    Parameters
    ----------
    text : bytes

    Returns
    -------
    (key, Made) or None
        None if it is damaged or was cut short.

    Examples
    --------
    >>> key, made = read_record(record_of("train/0", Made(4, {"a": FileSum(1, 2)})))
    >>> key, made.result, list(made.files)
    ('train/0', 4, ['a'])
    """
    try:
        record = msgspec.json.decode(text, type=_Record)
        if google_crc32c.value(bytes(record.job)) != record.crc32c:
            return None
        key, result, files = msgspec.json.decode(record.job, type=_Job)
    except DAMAGED:
        return None
    return key, Made(result, files)


def plan_of(text: bytes) -> Plan | None:
    """Read a plan; one that is damaged or was cut short is none.

    Parameters
    ----------
    text : bytes
        JSON.

    Returns
    -------
    Plan or None
    """
    try:
        return msgspec.json.decode(text, type=Plan)
    except DAMAGED:
        return None


def difference(there: Plan, wanted: Plan) -> str:
    """Say what in a plan is not as in another one.

    Parameters
    ----------
    there : Plan
        Of the unfinished work, as it was read.
    wanted : Plan
        Of this run, as it is read.

    Returns
    -------
    str
        Such as "with shard 64, not 32"; nothing if they are equal.

    Examples
    --------
    >>> difference(Plan("convert", {"shard": 64}, {}), Plan("convert", {"shard": 32}, {}))
    'with shard 64, not 32'
    """
    if there.command != wanted.command:
        return f"by mtfast {there.command}"
    if there.version != wanted.version:
        return f"by version {there.version}, not {wanted.version}"
    if name := first_that_differs(there.options, wanted.options):
        before, now = _shown(there.options.get(name)), _shown(wanted.options.get(name))
        return f"with {name} {before}, not {now}"
    expected = [name for name, value in there.inputs.items() if value is None]
    if name := first_that_differs(there.inputs, wanted.inputs | dict.fromkeys(expected)):
        return f"from {name}, which has changed since"
    return ""


def first_that_differs(there: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """Return the first name with another value in each of the two; "" if there is none.

    Parameters
    ----------
    there, wanted : mapping

    Returns
    -------
    str
    """
    names = dict.fromkeys([*there, *wanted])
    return next((name for name in names if there.get(name) != wanted.get(name)), "")


def _shown(value: Any) -> str:
    return "unset" if value in (None, [], {}) else msgspec.json.encode(value).decode()
