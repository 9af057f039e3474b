"""Long work in object storage, which goes on where it was stopped. See :mod:`mtfast.work`.

::

    TARGET/
        train/semantic/c.0.0.0      what jobs make has its place at once: nothing can be renamed
        zarr.json                   what opens as a whole; written last
        .mtfast/                    removed at the end
            run.json                which run is at work, and on what
            WORK/plan.json          what is made, how and from what
            WORK/done/train/0       a job that is done: its result, its objects and their stamps

There are no locks. WORK is a token of the work, which stays while runs go on with it; RUN, in
run.json, one of the run that began last. Whoever writes asks for its turn first, and stops if
another run has begun. Two conditions of the storage close the gap between question and write. What
is new is created only if nothing is there. What is there is replaced only if it is what was looked
at before the question: of those that ask later, one has begun later.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import BinaryIO

import msgspec

from mtfast.addresses import Address
from mtfast.atomic import explain_errors
from mtfast.errors import MtfastError, RemoteError, StoreError, counted
from mtfast.parallel import map_threads
from mtfast.remote import Objects, Stat, objects_at
from mtfast.work import (
    DAMAGED,
    FileSum,
    Made,
    Plan,
    Work,
    difference,
    first_that_differs,
    plan_of,
    read_record,
    record_of,
)

__all__ = [
    "FOLDER",
    "RUN",
    "BucketPlace",
    "BucketWork",
    "is_unfinished",
    "plan_at",
    "refusal_of_unfinished",
    "remove_remains",
    "working_at",
]

logger = logging.getLogger(__name__)

FOLDER = ".mtfast"
"""Where the objects of unfinished work are, below what is made."""

RUN = f"{FOLDER}/run.json"
"""What says which run is at work."""

# Up to this a shard is made in memory and sent with one request, which may have a condition. Images
# of 1.2 MB make shards of 77 MB.
_IN_MEMORY = 256 << 20
# Small objects wait for answers, not for the processor.
_THREADS = 16
# Others write to the same key between a look at it and a write to it: a dead run does so once.
_TRIES = 4


class _Run(msgspec.Struct, frozen=True):
    """Which run is at work.

    ``clearing`` says that it has not begun yet: it removes what was there.
    """

    work: str
    run: str
    clearing: bool = False

    @property
    def folder(self) -> str:
        return f"{FOLDER}/{self.work}"


@dataclass(frozen=True)
class BucketPlace:
    """Where jobs of a run write objects: at their final keys. See :class:`mtfast.work.Place`.

    Attributes
    ----------
    address : Address
        Of what is made.
    at_work : _Run
        The run that the jobs are of.
    """

    address: Address
    at_work: _Run

    @property
    def objects(self) -> Objects:
        """The storage, opened once for a run in each process."""
        return _opened(self.address, self.at_work.run)

    def write(self, key: str, parts: Iterable[bytes | memoryview]) -> FileSum:
        """Write an object with one request, or beyond 256 MiB in parts, from a temporary file."""
        with _gathered(parts) as (data, found):
            self.expect_turn()
            return self.put(key, data, found)

    def put(self, key: str, data: bytes | BinaryIO, found: FileSum) -> FileSum:
        """Write an object, unless it is there with the same bytes.

        Parameters
        ----------
        key : str
        data : bytes or file
        found : FileSum
            Of the data.

        Returns
        -------
        FileSum
            With the stamp of the object.

        Raises
        ------
        StoreError
            If another run has begun meanwhile.
        RemoteError
        """
        if not isinstance(data, bytes):
            # Storage takes no condition for what is sent in parts.
            return found._replace(stamp=self.objects.write(key, data).stamp)
        for _ in range(_TRIES):
            with suppress(FileExistsError):
                return found._replace(stamp=self.objects.write(key, data, new=True).stamp)
            # By a dead run, or by a request of ours of which the answer was lost.
            with suppress(FileNotFoundError, FileExistsError):
                there = self.objects.stat(key)
                if self.has(key, found, there):
                    return found._replace(stamp=there.stamp)
                self.expect_turn()
                made = self.objects.write(key, data, over=there.stamp)
                return found._replace(stamp=made.stamp)
        raise _not_alone(self.address)

    def has(self, key: str, wanted: FileSum, there: Stat) -> bool:
        """Whether an object has these bytes; it is read for that.

        Parameters
        ----------
        key : str
        wanted : FileSum
        there : Stat
            Of the object.

        Returns
        -------
        bool
        """
        if there.n_bytes != wanted.n_bytes:
            return False
        return FileSum.of(self.objects.read(key))[:2] == wanted[:2]

    def has_turn(self) -> bool:
        """Whether no other run has begun since, and this one has not ended."""
        try:
            now = msgspec.json.decode(self.objects.read(RUN), type=_Run)
        except (FileNotFoundError, *DAMAGED):
            return False
        return now.run == self.at_work.run

    def expect_turn(self) -> None:
        """Raise StoreError if another run has begun since, or this one has ended."""
        if not self.has_turn():
            raise _not_alone(self.address)

    def expect_here(self) -> None:
        """Do nothing: an address is the same everywhere."""

    def recover(self, files: Mapping[str, FileSum]) -> bool:
        """Take over objects: jobs of which some have changed were left out when the run began."""
        return True

    def note(self, key: str, made: Made) -> None:
        """Record a job: nothing of it is lost if only the process that has started it dies."""
        self.objects.write(f"{self.at_work.folder}/done/{key}", record_of(key, made))


@lru_cache(4)
def _opened(address: Address, run: str) -> Objects:
    return objects_at(address)


@contextmanager
def _gathered(parts: Iterable[bytes | memoryview]) -> Iterator[tuple[bytes | BinaryIO, FileSum]]:
    """Make a file of its parts: in memory, or if it is long in a temporary file."""
    found = FileSum(0, 0)
    memory = BytesIO()
    rest = iter(parts)
    for part in rest:
        memory.write(part)
        found = found.then(part)
        if found.n_bytes > _IN_MEMORY:
            break
    else:
        # Shares the memory.
        yield memory.getvalue(), found
        return
    with TemporaryFile(prefix="mtfast-") as file:
        file.write(memory.getbuffer())
        memory = BytesIO()
        for part in rest:
            file.write(part)
            found = found.then(part)
        file.seek(0)
        yield file, found


@dataclass(kw_only=True)
class BucketWork(Work[BucketPlace]):
    """Work on what is below an address; see :func:`working_at`.

    Attributes
    ----------
    folder : Path
        A temporary folder of this machine.
    files : dict
        Key -> what was written by jobs that are done.
    """

    folder: Path
    files: dict[str, FileSum] = field(default_factory=dict)

    @property
    def content(self) -> Path:
        """A temporary folder, of which the files are sent by :meth:`put`."""
        return self.folder

    def record(self, key: str, made: Made) -> None:
        """Note that a job is done; its record is there already."""
        super().record(key, made)
        self.files |= made.files

    def save_plan(self, plan: Plan) -> None:
        """Replace the plan that the next run is compared with."""
        self.place.expect_turn()
        _write_plan(self.place.objects, self.place.at_work, plan)

    def put(self, last: str) -> None:
        """Send the files of the content, look at all that was written, and send one file last.

        Parameters
        ----------
        last : str
            The file of the content without which nobody takes the target for whole.

        Raises
        ------
        StoreError
            If an object is not as it was written, or another run has begun.
        RemoteError
        """
        paths = {path.relative_to(self.folder).as_posix(): path for path in _files(self.folder)}
        end = paths.pop(last)
        self.place.expect_turn()
        sent = map_threads(self._send, list(paths.items()), _THREADS)
        self._expect_whole(self.files | dict(sent))
        self.place.expect_turn()
        self._send((last, end))

    def _send(self, file: tuple[str, Path]) -> tuple[str, FileSum]:
        key, path = file
        data = path.read_bytes()
        return key, self.place.put(key, data, FileSum.of(data))

    def _expect_whole(self, files: Mapping[str, FileSum]) -> None:
        there = dict(self.place.objects.walk())
        for key, wanted in files.items():
            stat = there.get(key)
            # The stamp tells that it is what was sent. Where it does not, the bytes may.
            if stat is None or not (_is(stat, wanted) or self.place.has(key, wanted, stat)):
                raise StoreError(
                    f"{self.place.address / key} is not as it was written; expected nobody else "
                    f"to write there; run the same again, which writes it anew"
                )
        foreign = [k for k in there.keys() - files.keys() if not k.startswith(f"{FOLDER}/")]
        if foreign:
            logger.warning(
                "%s: %s not of this store, such as %s, and %s left alone",
                self.place.address,
                counted(len(foreign), "object is", "objects are"),
                min(foreign),
                "is" if len(foreign) == 1 else "are",
            )


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def _is(there: Stat, wanted: FileSum) -> bool:
    return bool(wanted.stamp) and there == (wanted.n_bytes, wanted.stamp)


@contextmanager
def working_at(
    address: Address,
    plan: Plan,
    check: Callable[[], object],
    *,
    last: str,
    afresh: bool = False,
) -> Iterator[BucketWork]:
    """Fill what is below an address, from where an earlier run was stopped.

    When the block ends, what is made is completed, and the objects of the work are removed. If it
    ends with an error, what is done stays, and the error says so; if nothing is done, nothing does.

    Parameters
    ----------
    address : Address
    plan : Plan
    check : callable
        Raises if the target may not be written to.
    last : str
        The object without which nobody takes the target for whole.
    afresh : bool
        Whether what is there may be replaced: a whole one, or unfinished work with another plan.

    Yields
    ------
    BucketWork

    Raises
    ------
    StoreError
        If another run begins at this moment, or unfinished work has another plan.
    RemoteError
        If the storage does not answer or refuses.
    """
    check()
    with TemporaryDirectory(prefix="mtfast-") as folder:
        work = _take_up(address, plan, last, afresh, Path(folder))
        try:
            with explain_errors(work.folder, work.folder, StoreError):
                yield work
                work.put(last)
        except BaseException as stopped:
            _stop(work, stopped)
            raise
    try:
        if work.place.has_turn():
            _remove(work.place.objects, work.place.objects.walk(FOLDER))
    except RemoteError as error:
        logger.warning("%s is whole; what is left in %s: %s", address, FOLDER, error)
    if work.n_there:
        logger.warning(
            "%s: %d of %d parts had been made by a run that was stopped",
            address,
            work.n_there,
            len(work.done),
        )


def _stop(work: BucketWork, stopped: BaseException) -> None:
    """Keep what is done, and say so; keep nothing of a run that has done nothing.

    Jobs may have ended of which nobody has asked for the results: their objects have their places.
    Without the record of the work they would be taken for what is of no store.
    """
    address, objects = work.place.address, work.place.objects
    # What led here says more than another error.
    has_done = bool(work.done or work.before)
    with suppress(RemoteError):
        if not work.place.has_turn():
            # What is there is the work of another run by now.
            return
        has_done = has_done or any(not key.startswith(f"{FOLDER}/") for key, _ in objects.walk())
        if not has_done:
            _remove(objects, objects.walk(FOLDER))
    if not has_done:
        return
    kept = f"what is done is kept below {address / FOLDER}; run the same again to go on"
    if isinstance(stopped, MtfastError):
        stopped.args = (f"{stopped}; {kept}",)
    elif isinstance(stopped, KeyboardInterrupt):
        stopped.args = (kept,)


def _take_up(address: Address, plan: Plan, last: str, afresh: bool, folder: Path) -> BucketWork:
    """Become the run that is at work: go on with what there is, or begin."""
    token = secrets.token_hex(4)
    objects = _opened(address, token)
    found, stamp = _read_run(objects)
    there = _read_plan(objects, found) if found else None
    # What is whole has only not been tidied up.
    whole = _is_there(objects, last)
    # As it is read, with lists for tuples.
    wanted = msgspec.json.decode(msgspec.json.encode(plan), type=Plan)
    unfinished = there if found and not found.clearing and not whole else None
    if found and unfinished and _is_same(address, unfinished, wanted, afresh):
        run = _Run(found.work, token)
        _claim(address, objects, run, stamp)
        before = _read_done(objects, run)
    else:
        run, before = _Run(token, token), {}
        if whole or there or (found and found.clearing):
            stamp = _claim(address, objects, _Run(token, token, clearing=True), stamp)
            _clear(objects, last)
        _write_plan(objects, run, plan)
        _claim(address, objects, run, stamp)
    work = BucketWork(place=BucketPlace(address, run), plan=plan, before=before, folder=folder)
    if before:
        work.save_plan(plan)
    return work


def _is_same(address: Address, there: Plan, wanted: Plan, afresh: bool) -> bool:
    """Whether unfinished work has this plan; refuse that with another one."""
    reason = difference(there, wanted)
    changed = first_that_differs(there.options, wanted.options)
    if reason and not afresh and changed not in there.advised:
        raise StoreError(
            f"{address / FOLDER} is unfinished work on {address} {reason}; expected the same as "
            f"before, to go on with it; run it as before, or pass --overwrite to begin again"
        )
    return not reason


def _claim(address: Address, objects: Objects, run: _Run, stamp: str | None) -> str:
    """Say that this run is at work, unless another has said so since it was looked."""
    text = msgspec.json.encode(run)
    try:
        return objects.write(RUN, text, new=stamp is None, over=stamp).stamp
    except (FileExistsError, FileNotFoundError) as error:
        now, stamp = _read_run(objects)
        # A request of ours of which the answer was lost.
        if now == run and stamp is not None:
            return stamp
        raise _not_alone(address) from error


def _not_alone(address: Address) -> StoreError:
    return StoreError(
        f"{address} is being written by another run, which has begun since; expected to be alone; "
        f"wait for it or choose another address"
    )


def _read_run(objects: Objects) -> tuple[_Run | None, str | None]:
    """Return which run is at work, and the stamp of the object that says so."""
    try:
        stamp = objects.stat(RUN).stamp
        text = objects.read(RUN)
    except FileNotFoundError:
        return None, None
    try:
        return msgspec.json.decode(text, type=_Run), stamp
    except DAMAGED:
        return None, stamp


def _read_plan(objects: Objects, run: _Run) -> Plan | None:
    try:
        return plan_of(objects.read(f"{run.folder}/plan.json"))
    except FileNotFoundError:
        return None


def _write_plan(objects: Objects, run: _Run, plan: Plan) -> None:
    objects.write(f"{run.folder}/plan.json", msgspec.json.encode(plan))


def _is_there(objects: Objects, key: str) -> bool:
    try:
        objects.stat(key)
    except FileNotFoundError:
        return False
    return True


def _read_done(objects: Objects, run: _Run) -> dict[str, Made]:
    """Return the jobs that are done and of which all objects are as they were written."""
    there = dict(objects.walk())
    keys = [key for key in there if key.startswith(f"{run.folder}/done/")]
    records = [read_record(text) for text in map_threads(objects.read, keys, _THREADS)]
    return {
        key: made
        for key, made in filter(None, records)
        if all(name in there and _is(there[name], found) for name, found in made.files.items())
    }


def _clear(objects: Objects, last: str) -> None:
    """Remove what was there, first what makes it a whole."""
    objects.delete([last])
    _remove(objects, objects.walk(), but=(RUN,))


def _remove(objects: Objects, found: Iterable[tuple[str, Stat]], but: Sequence[str] = ()) -> None:
    """Remove objects; what says which run is at work goes last."""
    keys = sorted((key for key, _ in found), key=lambda key: key == RUN)
    ends = [key for key in keys if key == RUN and key not in but]
    objects.delete([key for key in keys if key not in (RUN, *but)])
    objects.delete(ends)


def remove_remains(objects: Objects) -> None:
    """Remove the objects of work that is whole and was not tidied up.

    Parameters
    ----------
    objects : Objects
        Below which something whole is.
    """
    found, _ = _read_run(objects)
    # Another run may be about to replace it.
    if found is None or not found.clearing:
        _remove(objects, objects.walk(FOLDER))


def plan_at(objects: Objects) -> tuple[bool, Plan | None]:
    """Return whether there is unfinished work, and its plan.

    Parameters
    ----------
    objects : Objects

    Returns
    -------
    is_begun : bool
    plan : Plan or None
        None if it cannot be read, or if the run was stopped while it removed what was there.
    """
    found, stamp = _read_run(objects)
    plan = _read_plan(objects, found) if found and not found.clearing else None
    return stamp is not None, plan


def is_unfinished(objects: Objects, last: str) -> bool:
    """Return whether a run is at work there, or was stopped.

    Parameters
    ----------
    objects : Objects
    last : str
        The object without which nobody takes what is there for whole.

    Returns
    -------
    bool
    """
    return _is_there(objects, RUN) and not _is_there(objects, last)


def refusal_of_unfinished(address: object) -> str:
    """Return the message for unfinished work that was given where a dataset or store is wanted.

    Parameters
    ----------
    address : object
        Of the target, for the message.

    Returns
    -------
    str
    """
    return (
        f"{address} is unfinished, its conversion was stopped or is still at work; expected a "
        f"complete store; run what began it again"
    )
