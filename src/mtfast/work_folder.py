"""Long work on a folder, which goes on where it was stopped. See :mod:`mtfast.work`.

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
import logging
import os
import platform
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from mtfast.addresses import Address
from mtfast.atomic import (
    PARTIAL,
    check_new_folder,
    check_room,
    explain_errors,
    locked,
    move,
    new_file,
    sync_tree,
    write_file,
)
from mtfast.errors import MtfastError, StoreError
from mtfast.paths import is_name, open_regular
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
    "FolderPlace",
    "WorkFolder",
    "expect_shared",
    "has_work",
    "is_free",
    "is_moving",
    "refuse_taken",
    "remove_remains",
    "sum_of_file",
    "unfinished",
    "working",
    "write_parts",
]

logger = logging.getLogger(__name__)

_BLOCK = 1 << 20
# A folder that is not empty, or a file, is where a folder is to be moved.
_TAKEN = {errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR, errno.EACCES}

_PLAN, _DONE, _CONTENT, _MOVING = "plan.json", "done.jsonl", "content", "moving.json"
_FINISHED = "finished"


class FolderPlace(NamedTuple):
    """Where a run writes, and where the files of earlier runs are. See :class:`Place`.

    Attributes
    ----------
    content : Path
    before : tuple of Path
    """

    content: Path
    before: tuple[Path, ...]

    def write(self, key: str, parts: Iterable[bytes | memoryview]) -> FileSum:
        """Write a file into the content; its folder has to be there."""
        return write_parts(self.content / key, parts)

    def expect_here(self) -> None:
        """Refuse to work on a machine that does not see the run's folder."""
        expect_shared(self.content.parent)

    def note(self, key: str, made: Made) -> None:
        """Do nothing: done.jsonl is written by one process, that of the run."""

    def recover(self, files: Mapping[str, FileSum]) -> bool:
        """Take over files of an earlier run, if all of them are as they were recorded."""
        found = {name: self._find(name, wanted) for name, wanted in files.items()}
        for name, path in found.items():
            if path is None:
                return False
            # A folder is not made here: a job of a dead run would make its path anew.
            path.replace(self.content / name)
        return True

    def _find(self, name: str, wanted: FileSum) -> Path | None:
        for folder in (self.content, *self.before):
            path = folder / name
            # Records that another has written lead nowhere else.
            if not path.resolve().is_relative_to(folder.resolve()):
                return None
            right_size = path.is_file() and path.stat().st_size == wanted.n_bytes
            if right_size and sum_of_file(path) == wanted:
                return path
        return None


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
            check_room(self.folder, n_bytes, what, StoreError)

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
            self._move_up(target, last)
            return
        try:
            move(self.content, target)
        except OSError as error:
            if error.errno in _TAKEN and target.exists():
                raise _taken(target) from error
            raise

    def _move_up(self, target: Path, last: str) -> None:
        found = [path.name for path in self.content.iterdir()]
        names = sorted(found, key=lambda name: (name == last, name))
        if not is_free(target):
            raise _taken(target)
        write_file(self.folder / _MOVING, msgspec.json.encode(names))
        _finish_moving(self.folder, target)


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
        passed --overwrite. None for callers who have no such option.
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
    place = target if inside else _place(target)
    check_new_folder(place, error, target)
    with explain_errors(target, place, error):
        place.mkdir(parents=True, exist_ok=True)
        # Beside the target, whether it is there yet or not, if that can be.
        beside = os.access(target.parent, os.W_OK)
        with locked(target, target.parent if beside else place):
            _finish_what_was_moving(target, place)
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
            if work.n_there:
                logger.warning(
                    "%s: %d of %d parts had been made by a run that was stopped",
                    target,
                    work.n_there,
                    len(work.done),
                )


def _stop(work: WorkFolder, stopped: BaseException) -> None:
    """Keep what is done, and say so; keep nothing of a run that has done nothing."""
    if not work.done and not work.place.before:
        shutil.rmtree(work.folder, ignore_errors=True)
        return
    kept = f"what is done is kept in {work.folder}; run the same again to go on"
    if isinstance(stopped, MtfastError):
        stopped.args = (f"{stopped}; {kept}",)
    elif isinstance(stopped, KeyboardInterrupt):
        stopped.args = (kept,)


def _take_up(
    target: Path, place: Path, plan: Plan, afresh: bool | None, error: type[MtfastError]
) -> WorkFolder:
    """Make the folder of this run out of that of a dead one, or a new one."""
    ours = place / f"{_prefix(target)}{secrets.token_hex(4)}"
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
                other = "remove that folder" if afresh is None else "pass --overwrite"
                raise error(
                    f"{folder} is unfinished work on {target} {reason}; expected the same as "
                    f"before, to go on with it; run it as before, or {other} to begin again"
                )
        shutil.rmtree(folder)
    ours.mkdir()
    (ours / _CONTENT).mkdir()
    # One that is cut short counts as none.
    (ours / _PLAN).write_bytes(text)
    place_of_jobs = FolderPlace(ours / _CONTENT, ())
    return WorkFolder(folder=ours, place=place_of_jobs, plan=plan, before={})


def _go_on(folder: Path, plan: Plan, error: type[MtfastError]) -> WorkFolder:
    """Set aside what is there, so that only files that prove whole come into the content."""
    before = sorted(path for path in folder.glob("before-*") if not path.is_symlink())
    content = folder / _CONTENT
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
    lines = _read(path).splitlines() if path.exists() else []
    return dict(record for record in map(read_record, lines) if record is not None)


def _read_plan(folder: Path) -> Plan | None:
    """Return the plan of unfinished work; None if its run was killed before it had written one."""
    try:
        return plan_of(_read(folder / _PLAN))
    except OSError:
        return None


def _read(path: Path) -> bytes:
    with os.fdopen(open_regular(path), "rb") as file:
        return file.read()


def _prefix(target: Path) -> str:
    return f".{target.name}{PARTIAL}"


def _place(target: Path) -> Path:
    """Return where the work folder is: a folder that is there stays the same one."""
    if target.is_dir() and (is_free(target) or is_moving(target)):
        return target
    return target.parent


def unfinished(target: Path) -> list[Path]:
    """List the work folders of runs that are at work or were stopped.

    Parameters
    ----------
    target : Path
        Where their content is to be.

    Returns
    -------
    list of Path
    """
    return [
        path
        for at in (target.parent, target)
        if at.is_dir()
        for path in sorted(at.iterdir())
        if path.name.startswith(_prefix(target)) and path.is_dir() and not path.is_symlink()
    ]


def _finish_what_was_moving(target: Path, place: Path) -> None:
    for folder in _moving(target) if place == target else ():
        _finish_moving(folder, target)
        shutil.rmtree(folder, ignore_errors=True)


def _moving(target: Path) -> list[Path]:
    folders = unfinished(target)
    return [path for path in folders if path.parent == target and (path / _MOVING).exists()]


def _finish_moving(folder: Path, target: Path) -> None:
    content = folder / _CONTENT
    for name in _read_moving(folder):
        if (content / name).exists():
            move(content / name, target / name)


def _read_moving(folder: Path) -> list[str]:
    try:
        names = msgspec.json.decode(_read(folder / _MOVING), type=list[str])
    except DAMAGED:
        names = [""]
    if not all(is_name(name) for name in names):
        raise MtfastError(
            f"{folder / _MOVING} is damaged; expected the names of what a run was moving to "
            f"{folder.parent} when it was stopped; remove {folder} and begin again"
        )
    return names


def is_free(folder: Path) -> bool:
    """Return whether there is nothing in a folder but unfinished work on it.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    bool
    """
    ours = _prefix(folder), f".{folder.name}.lock"
    return all(path.name.startswith(ours) for path in folder.iterdir())


def has_work(folder: Path) -> bool:
    """Return whether there is unfinished work inside of a folder.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    bool
    """
    return any(path.parent == folder for path in unfinished(folder))


def is_moving(target: Path) -> bool:
    """Return whether a run was killed, or is, while it moved what is whole into a folder.

    Parameters
    ----------
    target : Path

    Returns
    -------
    bool
        The next run of :func:`working` finishes that.
    """
    return bool(_moving(target))


def remove_remains(target: Path) -> None:
    """Remove what is left of runs that were killed when their content had its place already.

    Parameters
    ----------
    target : Path
        Which is whole, so that no run will have to go on.

    """
    lock = target.parent / f".{target.name}.lock"
    remains = [path for path in unfinished(target) if not (path / _CONTENT).exists()]
    if not remains and not lock.exists():
        return
    # Another run may be at work.
    with suppress(StoreError), locked(target, target.parent):
        for folder in remains:
            if not (folder / _CONTENT).exists():
                shutil.rmtree(folder)


def refuse_taken(target: Path) -> None:
    """Refuse a place where something is, if it is not an empty folder.

    Parameters
    ----------
    target : Path

    Raises
    ------
    MtfastError
    """
    if target.exists() and not (target.is_dir() and (is_free(target) or is_moving(target))):
        remove_remains(target)
        raise MtfastError(
            f"{target} is not empty; expected an empty folder or a new name; "
            "choose another folder or remove this one"
        )


def expect_shared(path: Path | Address) -> None:
    """Refuse to work on a machine that does not see a file or folder of the run.

    Parameters
    ----------
    path : Path or Address
        An address is the same everywhere.

    Raises
    ------
    MtfastError

    Examples
    --------
    >>> expect_shared(Path.cwd())
    """
    if isinstance(path, Path) and not path.exists():
        raise MtfastError(
            f"{path} is not there on {platform.node()}; expected the workers to share the disks of "
            f"what is read and written with this machine; use such disks, addresses such as "
            f"s3://bucket/set, or threads"
        )


def _taken(target: Path) -> MtfastError:
    return MtfastError(
        f"{target} has appeared meanwhile and is left alone; expected the place to stay free; "
        f"move it away"
    )


def sum_of_file(path: Path) -> FileSum:
    """Compute the checksum of a file.

    Parameters
    ----------
    path : Path

    Returns
    -------
    FileSum

    Raises
    ------
    OSError

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     _ = (Path(folder) / "digits.txt").write_bytes(b"123456789")
    ...     found = sum_of_file(Path(folder) / "digits.txt")
    >>> found.n_bytes, hex(found.crc32c)
    (9, '0xe3069283')
    """
    found = FileSum(0, 0)
    with os.fdopen(open_regular(path), "rb", buffering=0) as file:
        while block := file.read(_BLOCK):
            found = found.then(block)
    return found


def write_parts(path: Path, parts: Iterable[bytes | memoryview]) -> FileSum:
    """Write a file of a store, whole or not at all; see :func:`mtfast.atomic.new_file`.

    Parameters
    ----------
    path : Path
    parts : iterable of bytes or memoryview
        Consumed one by one, so that one is in memory at a time.

    Returns
    -------
    FileSum

    Raises
    ------
    StoreError
        If it cannot be written.
    """
    found = FileSum(0, 0)
    with new_file(path, StoreError) as partial, partial.open("wb", buffering=1 << 20) as file:
        for part in parts:
            file.write(part)
            found = found.then(part)
    return found
