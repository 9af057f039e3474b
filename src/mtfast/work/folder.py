"""Long work on a folder, which goes on where it was stopped. See :mod:`mtfast.work.jobs`.

::

    .NAME.partial-RUN/      beside TARGET; inside of it if TARGET is an empty folder
        plan.json           what is made, how and from what: a run with another plan is refused
        done.jsonl          a line for each job that is done: its result, its files' checksums, and
                            a checksum of the line
        content/            what takes the place of TARGET when it is whole
        before-0/           what an earlier run had in content/; a job takes its files from here if
                            they have the checksums that were recorded

RUN is a token of the run that is at work. The next run renames the folder. So a job of a dead run
that still goes on, in a process that was frozen or on another machine, has no path to write to.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from mtfast.atomic import (
    PARTIAL,
    check_new_folder,
    check_room,
    explain_errors,
    locked,
    move,
    sync_tree,
    write_file,
)
from mtfast.errors import MtfastError, StoreError
from mtfast.work.folder_place import FolderPlace
from mtfast.work.folder_state import (
    CONTENT,
    finish_what_was_moving,
    has_appeared,
    move_up,
    place_of,
    prefix_of,
    read_file,
    unfinished,
)
from mtfast.work.jobs import Work, say_what_is_kept
from mtfast.work.records import (
    Made,
    Plan,
    difference,
    first_that_differs,
    plan_of,
    read_record,
    record_of,
)

__all__ = ["WorkFolder", "working"]

# A folder that is not empty, or a file, is where a folder is to be moved.
_TAKEN = {errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR, errno.EACCES}

_PLAN, _DONE = "plan.json", "done.jsonl"
_FINISHED = "finished"


@dataclass(kw_only=True)
class WorkFolder(Work[FolderPlace]):
    """A folder that is being filled; see :func:`working`.

    Attributes
    ----------
    folder : Path
        All of it.
    """

    folder: Path
    _lines: Any = field(default=None, repr=False)

    @property
    def content(self) -> Path:
        """The folder that takes the target's place."""
        return self.place.content

    def expect_room(self, n_bytes: int, what: str) -> None:
        """Refuse more than the disk takes; a run that goes on has written some already."""
        if not self.before:
            check_room(self.folder.parent, n_bytes, what, StoreError)

    def record(self, key: str, made: Made) -> None:
        """Note that a job is done, so that the next run need not do it."""
        self._lines.write(record_of(key, made) + b"\n")
        super().record(key, made)

    def save_plan(self, plan: Plan) -> None:
        """Replace the plan that the next run is compared with."""
        write_file(self.folder / _PLAN, msgspec.json.encode(plan))

    def sync(self) -> None:
        """Put the content on the disk, when all jobs are done.

        A worker that was killed has left the file that it was writing. Another has done its job.
        """
        for path in self.content.rglob(f"{PARTIAL}*"):
            path.unlink()
        sync_tree(self.content)

    def put(self, target: Path, last: str) -> None:
        """Give the content its place, when it is on the disk.

        Parameters
        ----------
        target : Path
            There must be nothing, or an empty folder.
        last : str
            The file or folder in it without which nobody takes the target for whole.

        Raises
        ------
        MtfastError
            If something has appeared there meanwhile.
        OSError
        """
        self.sync()
        if self.folder.parent == target:
            move_up(self.folder, target, last)
            return
        try:
            move(self.content, target)
        except OSError as error:
            if error.errno in _TAKEN and target.exists():
                raise has_appeared(target) from error
            raise


@contextmanager
def working(
    target: Path,
    plan: Plan,
    check: Callable[[], object],
    *,
    inside: bool = False,
    afresh: bool | None = None,
    error: type[MtfastError] = MtfastError,
) -> Iterator[WorkFolder]:
    """Fill a folder, as the only run that does, and from where an earlier run was stopped.

    When the block ends, what is left of the work folder is removed. If it ends with an error, what
    is done stays, and the error says so; if nothing is done, nothing stays.

    Parameters
    ----------
    target : Path
        Absolute, and no symbolic link.
    plan : Plan
    check : callable
        Raises if the target may not be written to. Called as soon as this run is the only one, as
        others may have been at work before.
    inside : bool
        Whether the work folder is inside of the target, which may have files already.
    afresh : bool, optional
        Remove unfinished work of another plan instead of refusing to go on: whether the caller
        passed overwrite=True. None for callers who have no such option.
    error : type
        What an OSError becomes.

    Yields
    ------
    WorkFolder

    Raises
    ------
    MtfastError
        If another run is at work there, or unfinished work has another plan.
    """
    place = target if inside else place_of(target)
    check_new_folder(place, error, target)
    with explain_errors(target, place, error):
        place.mkdir(parents=True, exist_ok=True)
        # Beside the target, whether it is there yet or not, if that can be.
        beside = os.access(target.parent, os.W_OK)
        with locked(target, target.parent if beside else place):
            finish_what_was_moving(target, place)
            check()
            work = _take_up(target, place, plan, afresh, error)
            try:
                with (
                    (work.folder / _DONE).open("ab", buffering=0) as work._lines,
                    explain_errors(target, work.folder, error),
                ):
                    yield work
            except BaseException as stopped:
                _stop(work, stopped)
                raise
            # Without content it is no work that could be gone on with: see remove_remains.
            with suppress(FileNotFoundError):
                work.content.rename(work.folder / _FINISHED)
            shutil.rmtree(work.folder, ignore_errors=True)
            work.log_what_was_there(target)


def _stop(work: WorkFolder, stopped: BaseException) -> None:
    """Keep what is done, and say so; keep nothing of a run that has done nothing."""
    if not work.done and not work.place.before:
        shutil.rmtree(work.folder, ignore_errors=True)
        return
    say_what_is_kept(stopped, f"in {work.folder}")


def _take_up(
    target: Path, place: Path, plan: Plan, afresh: bool | None, error: type[MtfastError]
) -> WorkFolder:
    """Make the folder of this run out of that of a dead one, or a new one."""
    ours = place / f"{prefix_of(target)}{secrets.token_hex(4)}"
    text = msgspec.json.encode(plan)
    # As it is read, with lists for tuples.
    wanted = msgspec.json.decode(text, type=Plan)
    for folder in unfinished(target):
        there = _read_plan(folder)
        if there is not None:
            reason = difference(there, wanted)
            if not reason:
                folder.rename(ours)
                return _go_on(ours, plan, error)
            changed = first_that_differs(there.options, wanted.options)
            if not afresh and changed not in there.advised:
                other = "remove that folder" if afresh is None else "pass overwrite=True"
                raise error(
                    f"{folder} is unfinished work on {target} {reason}; expected the same as "
                    f"before, to go on with it; run it as before, or {other} to begin again"
                )
        shutil.rmtree(folder)
    ours.mkdir()
    (ours / CONTENT).mkdir()
    # One that is cut short counts as none.
    (ours / _PLAN).write_bytes(text)
    place_of_jobs = FolderPlace(ours / CONTENT, ())
    return WorkFolder(folder=ours, place=place_of_jobs, plan=plan, before={})


def _go_on(folder: Path, plan: Plan, error: type[MtfastError]) -> WorkFolder:
    """Set aside what is there, so that only files that prove whole come into the content."""
    before = sorted(path for path in folder.glob("before-*") if not path.is_symlink())
    content = folder / CONTENT
    if content.is_symlink():
        content.unlink()
    if content.exists():
        before.append(content.rename(folder / f"before-{len(before)}"))
    write_file(folder / _PLAN, msgspec.json.encode(plan), error)
    content.mkdir()
    done = _read_done(folder / _DONE)
    # Without a line that was cut short; new ones are appended.
    write_file(folder / _DONE, b"".join(record_of(*job) + b"\n" for job in done.items()), error)
    place = FolderPlace(content, tuple(before))
    return WorkFolder(folder=folder, place=place, plan=plan, before=done)


def _read_done(path: Path) -> dict[str, Made]:
    lines = read_file(path).splitlines() if path.exists() else []
    return dict(record for record in map(read_record, lines) if record is not None)


def _read_plan(folder: Path) -> Plan | None:
    """Return the plan of unfinished work; None if its run was killed before it had written one."""
    try:
        return plan_of(read_file(folder / _PLAN))
    except OSError:
        return None
