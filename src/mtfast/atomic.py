"""Files and folders that appear whole or not at all: the only place that syncs, renames and locks.

One policy for all of them. The bytes go to a temporary name in the same folder, ``.partial-TOKEN``
with the ending of the final one; they are put on the disk; the file is renamed; the folder, which
holds the names, is put on the disk too. On any error, Ctrl-C included, the temporary file is
removed. What a killed process leaves behind has a name that starts with :data:`PARTIAL`.
"""

from __future__ import annotations

import ctypes
import errno
import os
import secrets
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from mtfast.errors import MtfastError, StoreError, counted
from mtfast.paths import refuse_link, target_path

__all__ = [
    "PARTIAL",
    "check_new_file",
    "check_new_folder",
    "check_room",
    "explain_errors",
    "locked",
    "move",
    "new_file",
    "sync_tree",
    "write_file",
]

PARTIAL = ".partial-"
"""What the names of unfinished files and folders start with."""

# What only a write can run into; other errors may as well come from a read.
_WRITE_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}


@contextmanager
def new_file(out: str | os.PathLike[str], error: type[MtfastError] = MtfastError) -> Iterator[Path]:
    """Make a file that takes its name, or replaces another, when the block ends without an error.

    Parameters
    ----------
    out : path
        A symbolic link is followed, not replaced.
    error : type
        What an OSError becomes.

    Yields
    ------
    Path
        Where to write the bytes: a name in the same folder with the ending of ``out``. The file
        must be closed when the block ends.

    Raises
    ------
    MtfastError
        Or ``error``, for an OSError in the block; what was there stays.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     with new_file(Path(folder) / "note.txt") as partial:
    ...         _ = partial.write_text("whole")
    ...         before = [path.suffix for path in Path(folder).iterdir()]
    ...     before, os.listdir(folder)
    (['.txt'], ['note.txt'])
    """
    out = Path(out)
    target = target_path(out) if out.is_symlink() else out
    partial = _partial(target, out.suffix)
    try:
        with explain_errors(out, partial, error):
            yield partial
            _sync(partial)
            move(partial, target)
    except BaseException:
        _remove(partial)
        raise


def check_new_file(out: str | os.PathLike[str], error: type[MtfastError] = MtfastError) -> None:
    """Raise before the work what :func:`new_file` would raise after it.

    Parameters
    ----------
    out : path
    error : type
        What to raise.

    Raises
    ------
    MtfastError
        Or ``error``: if it is a folder, its folder is missing, or no file can be made there.
    """
    target = target_path(out)
    if target.is_dir():
        raise error(f"{out} is a folder; expected the name of a file; choose another")
    if not target.parent.is_dir():
        raise error(
            f"{out} cannot be written: {target.parent} is no folder; expected one that is there; "
            f"make it first or choose another place"
        )
    _try(target, error, out)


def check_new_folder(
    place: Path, error: type[MtfastError] = MtfastError, out: Path | None = None
) -> None:
    """Refuse before the work a folder that cannot be made or written to; parents may be missing.

    Parameters
    ----------
    place : Path
        Absolute.
    error : type
        What to raise.
    out : Path, optional
        What is to be made there, for the message; by default ``place``.

    Raises
    ------
    MtfastError
        Or ``error``.
    """
    target = out or place
    there = next(path for path in (place, *place.parents) if path.exists())
    if not there.is_dir():
        raise error(
            f"{target} cannot be made: {there} is a file; expected a folder or a new name; "
            f"choose another place"
        )
    _try(there / target.name, error, target)


def _try(target: Path, error: type[MtfastError], out: str | os.PathLike[str]) -> None:
    """Make a file beside the target, and remove it."""
    partial = _partial(target, "")
    with explain_errors(Path(out), partial, error):
        partial.touch(exist_ok=False)
        partial.unlink()


def check_room(
    folder: Path, n_bytes: int, what: str, error: type[MtfastError] = MtfastError
) -> None:
    """Refuse to begin what the disk has no room for.

    Parameters
    ----------
    folder : Path
        Where it is to be written.
    n_bytes : int
        What it takes at least.
    what : str
        What it is, for the message.
    error : type
        What to raise.

    Raises
    ------
    MtfastError
        Or ``error``.
    """
    disk = shutil.disk_usage(folder)
    # Some network disks tell no size at all.
    if disk.total and n_bytes > disk.free:
        raise error(
            f"{what} take {_size(n_bytes)}, {_size(n_bytes - disk.free)} more than are free in "
            f"{folder}; expected room for all; make room or choose another disk"
        )


def _size(n_bytes: int) -> str:
    """Return a size in the unit in which it is not 0.0."""
    if n_bytes < 10**5:
        return counted(n_bytes, "byte")
    return f"{n_bytes / 1e6:,.1f} MB" if n_bytes < 10**9 else f"{n_bytes / 1e9:,.1f} GB"


def write_file(
    out: str | os.PathLike[str], data: bytes, error: type[MtfastError] = MtfastError
) -> None:
    """Write a file of the given bytes, whole or not at all; see :func:`new_file`.

    Parameters
    ----------
    out : path
    data : bytes
    error : type
        What an OSError becomes.

    Raises
    ------
    MtfastError
        Or ``error``, if it cannot be written; what was there stays.
    """
    with new_file(out, error) as partial:
        partial.write_bytes(data)


def move(source: Path, target: Path) -> None:
    """Rename a file or folder within one disk, and put both folders' names on the disk.

    Parameters
    ----------
    source, target : Path
        A file replaces a file; a folder takes a new name.

    Raises
    ------
    OSError
        If it cannot be renamed; it keeps its old name.
    """
    source.replace(target)
    for folder in {source.parent, target.parent}:
        _sync(folder)


def sync_tree(folder: Path) -> None:
    """Put all files of a folder, and of those in it, on the disk, with their names.

    Parameters
    ----------
    folder : Path
    """
    inside = (Path(at, name) for at, _, names in os.walk(folder) for name in ("", *names))
    _sync_all(inside, folder)


@contextmanager
def locked(target: Path, folder: Path | None = None) -> Iterator[None]:
    """Keep other runs, in this process or another, away from a place while the block runs.

    The lock is the file ``.NAME.lock``, which is removed at the end. The system frees the lock of a
    process that dies.

    Parameters
    ----------
    target : Path
        Need not exist.
    folder : Path, optional
        Where the lock is; by default beside the target.

    Raises
    ------
    StoreError
        At once, if another run holds the lock.
    """
    from filelock import FileLock, Timeout

    path = (folder or target.parent) / f".{target.name}.lock"
    # Which filelock would empty.
    refuse_link(path, StoreError)
    lock = FileLock(path, timeout=0)
    with explain_errors(target, path.parent, StoreError):
        # Where no file can be made, some versions of filelock only say that time is out. It is not
        # the lock's own file: where the system has no locks, one that is there is one that is held.
        probe = _partial(path, "")
        probe.touch()
        probe.unlink()
    try:
        lock.acquire()
    except Timeout:
        raise StoreError(
            f"{target} is being written by another run; expected to be alone; "
            f"wait for it or choose another path"
        ) from None
    try:
        yield
    finally:
        # Before it is freed: filelock takes no lock on a file that has been removed meanwhile.
        # Windows removes no file that is open; there filelock does so itself.
        with suppress(PermissionError):
            path.unlink(missing_ok=True)
        lock.release()


@contextmanager
def explain_errors(out: Path, partial: Path, error: type[MtfastError]) -> Iterator[None]:
    """Turn an OSError of the block into one line that says what could not be read or written.

    Parameters
    ----------
    out : Path
        What is being made, as the user calls it.
    partial : Path
        Where it is being made. Errors about files elsewhere are about what is read.
    error : type
        What to raise.

    Raises
    ------
    MtfastError
        Or ``error``.
    """
    try:
        yield
    except OSError as found:
        raise error(_explain(found, out, partial)) from found


def _explain(found: OSError, out: Path, partial: Path) -> str:
    reason = found.strerror or found
    names = (found.filename, found.filename2)
    about = [Path(os.fsdecode(n)).absolute() for n in names if isinstance(n, str | bytes)]
    if found.errno in _WRITE_ERRORS or any(
        path.is_relative_to(ours) or ours.is_relative_to(path)
        for path in about
        for ours in (out.absolute(), partial.absolute())
    ):
        return (
            f"{out} cannot be written: {reason}; expected a folder with room and the right to "
            f"write; make room or choose another place"
        )
    if about:
        return (
            f"{about[0]} cannot be read: {reason}; expected a file with the right to read; "
            f"check the file and its disk"
        )
    return (
        f"{out} is not finished: {reason}, in a read or a write; expected its files and those it "
        f"is made from to be readable; check their disks"
    )


def _partial(target: Path, ending: str) -> Path:
    """Return a name in the same folder that no other thread, process or machine uses."""
    return target.with_name(f"{PARTIAL}{secrets.token_hex(4)}{ending}")


def _remove(path: Path) -> None:
    """Remove what is unfinished, if it is there; the error that led here says more than another."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def _sync(path: Path) -> None:
    """Put the bytes of a file, or the names in a folder, on the disk."""
    flags = os.O_RDONLY
    if sys.platform == "win32":
        if path.is_dir():
            return  # Windows cannot open folders, and keeps their names itself.
        flags = os.O_RDWR
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_all(paths: Iterable[Path], folder: Path) -> None:
    """Put many files on the disk: the whole disk at once where the system can, else one by one."""
    syncfs = _syncfs()
    if syncfs is None:
        for path in paths:
            _sync(path)
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        if syncfs(descriptor):
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), str(folder))
    finally:
        os.close(descriptor)


@cache
def _syncfs() -> Callable[[int], int] | None:
    """Return Linux's system call that syncs one file system; Python has none for it."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        call: Callable[[int], int] = ctypes.CDLL(None, use_errno=True).syncfs
    except (OSError, AttributeError):
        return None
    return call
