"""What is at a target on a disk, and beside it: something whole, unfinished work, or nothing."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

import msgspec

from mtfast.atomic import PARTIAL, locked, move, write_file
from mtfast.errors import MtfastError, StoreError
from mtfast.paths import is_name, open_regular
from mtfast.work.records import DAMAGED

__all__ = [
    "CONTENT",
    "finish_what_was_moving",
    "has_appeared",
    "has_work",
    "is_free",
    "is_moving",
    "move_up",
    "place_of",
    "prefix_of",
    "read_file",
    "refuse_taken",
    "remove_remains",
    "unfinished",
]

CONTENT = "content"
"""What a work folder has until it is of no use: the folder that takes the target's place."""

_MOVING = "moving.json"


def prefix_of(target: Path) -> str:
    """Return what the names of work folders begin with.

    Parameters
    ----------
    target : Path

    Returns
    -------
    str
    """
    return f".{target.name}{PARTIAL}"


def place_of(target: Path) -> Path:
    """Return where the work folder is: a folder that is there stays the same one.

    Parameters
    ----------
    target : Path

    Returns
    -------
    Path
        The target or its parent.
    """
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
        if path.name.startswith(prefix_of(target)) and path.is_dir() and not path.is_symlink()
    ]


def is_free(folder: Path) -> bool:
    """Return whether there is nothing in a folder but unfinished work on it.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    bool
    """
    ours = prefix_of(folder), f".{folder.name}.lock"
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
    remains = [path for path in unfinished(target) if not (path / CONTENT).exists()]
    if not remains and not lock.exists():
        return
    # Another run may be at work.
    with suppress(StoreError), locked(target, target.parent):
        for folder in remains:
            if not (folder / CONTENT).exists():
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


def move_up(folder: Path, target: Path, last: str) -> None:
    """Move what is in the content of a work folder into the target that the folder is in.

    Parameters
    ----------
    folder, target : Path
    last : str
        What is moved last: without it nobody takes the target for whole.

    Raises
    ------
    MtfastError
        If something has appeared there meanwhile.
    """
    found = [path.name for path in (folder / CONTENT).iterdir()]
    names = sorted(found, key=lambda name: (name == last, name))
    if not is_free(target):
        raise has_appeared(target)
    write_file(folder / _MOVING, msgspec.json.encode(names))
    _finish_moving(folder, target)


def finish_what_was_moving(target: Path, place: Path) -> None:
    """Finish what runs were stopped in: :func:`move_up`.

    Parameters
    ----------
    target : Path
    place : Path
        Where its work folders are, see :func:`place_of`.

    Raises
    ------
    MtfastError
        If the list of what was moving is damaged.
    """
    for folder in _moving(target) if place == target else ():
        _finish_moving(folder, target)
        shutil.rmtree(folder, ignore_errors=True)


def _moving(target: Path) -> list[Path]:
    folders = unfinished(target)
    return [path for path in folders if path.parent == target and (path / _MOVING).exists()]


def _finish_moving(folder: Path, target: Path) -> None:
    content = folder / CONTENT
    for name in _read_moving(folder):
        if (content / name).exists():
            move(content / name, target / name)


def _read_moving(folder: Path) -> list[str]:
    try:
        names = msgspec.json.decode(read_file(folder / _MOVING), type=list[str])
    except DAMAGED:
        names = [""]
    if not all(is_name(name) for name in names):
        raise MtfastError(
            f"{folder / _MOVING} is damaged; expected the names of what a run was moving to "
            f"{folder.parent} when it was stopped; remove {folder} and begin again"
        )
    return names


def has_appeared(target: Path) -> MtfastError:
    """Return the error for a target where something is by now.

    Parameters
    ----------
    target : Path

    Returns
    -------
    MtfastError
    """
    return MtfastError(
        f"{target} has appeared meanwhile and is left alone; expected the place to stay free; "
        f"move it away"
    )


def read_file(path: Path) -> bytes:
    """Return the bytes of a regular file; others, which may never end, are not opened.

    Parameters
    ----------
    path : Path

    Returns
    -------
    bytes

    Raises
    ------
    OSError
    """
    with os.fdopen(open_regular(path), "rb") as file:
        return file.read()
