"""Long work in object storage, which goes on where it was stopped. See :mod:`mtfast.work.jobs`.

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
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from mtfast.addresses import Address
from mtfast.atomic import explain_errors
from mtfast.errors import RemoteError, StoreError, counted
from mtfast.parallel import map_threads
from mtfast.work.bucket_place import BucketPlace, opened
from mtfast.work.bucket_state import (
    FOLDER,
    THREADS,
    Run,
    claim,
    clear,
    is_as_written,
    is_there,
    read_done,
    read_plan,
    read_run,
    remove,
    write_plan,
)
from mtfast.work.jobs import Work, say_what_is_kept
from mtfast.work.records import FileSum, Made, Plan, difference, first_that_differs

__all__ = ["BucketWork", "working_at"]

logger = logging.getLogger(__name__)


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
        write_plan(self.place.objects, self.place.at_work, plan)

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
        sent = map_threads(self._send, list(paths.items()), THREADS)
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
            if stat is None or not (
                is_as_written(stat, wanted) or self.place.has(key, wanted, stat)
            ):
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
            remove(work.place.objects, work.place.objects.walk(FOLDER))
    except RemoteError as error:
        logger.warning("%s is whole; what is left in %s: %s", address, FOLDER, error)
    work.log_what_was_there(address)


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
            remove(objects, objects.walk(FOLDER))
    if has_done:
        say_what_is_kept(stopped, f"below {address / FOLDER}")


def _take_up(address: Address, plan: Plan, last: str, afresh: bool, folder: Path) -> BucketWork:
    """Become the run that is at work: go on with what there is, or begin."""
    token = secrets.token_hex(4)
    objects = opened(address, token)
    found, stamp = read_run(objects)
    there = read_plan(objects, found) if found else None
    # What is whole has only not been tidied up.
    whole = is_there(objects, last)
    # As it is read, with lists for tuples.
    wanted = msgspec.json.decode(msgspec.json.encode(plan), type=Plan)
    unfinished = there if found and not found.clearing and not whole else None
    if found and unfinished and _is_same(address, unfinished, wanted, afresh):
        run = Run(found.work, token)
        claim(address, objects, run, stamp)
        before = read_done(objects, run)
    else:
        run, before = Run(token, token), {}
        if whole or there or (found and found.clearing):
            stamp = claim(address, objects, Run(token, token, clearing=True), stamp)
            clear(objects, last)
        write_plan(objects, run, plan)
        claim(address, objects, run, stamp)
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
            f"before, to go on with it; run it as before, or pass overwrite=True to begin again"
        )
    return not reason
