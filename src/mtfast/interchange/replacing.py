"""The place of an export: refused, or taken by a new one when that is whole.

An export is known by its record, a hidden file. What has none may be anybody's, and stays.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mtfast.addresses import Address
from mtfast.errors import MtfastError
from mtfast.work.folder import WorkFolder
from mtfast.work.folder_state import prefix_of, refuse_taken

__all__ = ["has_to_stay", "put_export", "refuse_other", "refuse_read"]

_RECORD = ".mtfast-export"
_VERSION = 1
# What systems put into folders unasked, of which nobody misses anything.
_OF_SYSTEMS = (".DS_Store", "._", ".directory", ".localized", ".nfs", ".fuse_hidden")


def refuse_other(target: Path, overwrite: bool) -> None:
    """Refuse a place where something is, unless it is an export and may be replaced.

    Parameters
    ----------
    target : Path
    overwrite : bool

    Raises
    ------
    MtfastError
    """
    written = _read(target)
    if written is None:
        refuse_taken(target)
    elif not overwrite:
        raise MtfastError(
            f"{target} exists and is an export; expected an empty folder or a new name; choose "
            f"another or pass overwrite=True"
        )
    elif others := sorted(name for name in _names(target) if name not in written):
        raise MtfastError(
            f"{target} has {others[0]} beside an export; expected nothing else, as an export that "
            f"is replaced is removed with all that is below it; move {others[0]} or choose another "
            f"place"
        )
    elif (worked_on := _worked_on(target)) is not None:
        raise MtfastError(
            f"{target} has {worked_on}; expected an export that nobody has worked on, as one that "
            f"is replaced is removed; move the folder or choose another place"
        )


def refuse_read(target: Path, places: Iterable[Path | Address]) -> None:
    """Refuse to replace an export that holds what the new one is made from.

    Parameters
    ----------
    target : Path
    places : iterable of Path or Address
        Files and folders that are read.

    Raises
    ------
    MtfastError
    """
    for place in places:
        if isinstance(place, Path) and place.resolve().is_relative_to(target):
            raise MtfastError(
                f"{target} holds what is read here, {place}; expected another place, as an export "
                f"that is replaced is removed with all that is below it; choose one"
            )


def has_to_stay(target: Path) -> bool:
    """Return whether the folder of an export cannot be moved, only what is in it.

    Parameters
    ----------
    target : Path

    Returns
    -------
    bool
        So it is with a volume of a container, and where the folder above is another user's.
    """
    is_fixed = target.is_mount() or not os.access(target.parent, os.W_OK)
    return is_fixed and _read(target) is not None


def put_export(work: WorkFolder, target: Path, overwrite: bool) -> None:
    """Give an export its place, or that of the one that is there.

    Parameters
    ----------
    work : WorkFolder
        With the files of the export in its content.
    target : Path
        What has come there since the work began is refused as :func:`refuse_other` does.
    overwrite : bool

    Raises
    ------
    MtfastError, OSError
        If it cannot be put there; the old one is there then, as it was.
    """
    refuse_other(target, overwrite)
    names = sorted(path.name for path in work.content.iterdir())
    # Written last: what is newer was changed by others.
    record = {"version": _VERSION, "holds": names, "n_files": len(_files(work.content, names))}
    (work.content / _RECORD).write_text(json.dumps(record) + "\n", encoding="utf-8")
    last, aside = min(names, default=""), work.folder / "replaced"
    if _read(target) is None:
        work.put(target, last)
        return
    # The old one stays while that takes minutes.
    work.sync()
    # The work folder is inside of a target that has to stay.
    change = _move_content if work.folder.parent == target else Path.rename
    change(target, aside)
    try:
        work.put(target, last)
    except BaseException:
        change(aside, target)
        raise


def _move_content(place: Path, to: Path) -> None:
    """Move all of an export to an empty folder; the one that it was in stays."""
    to.mkdir(exist_ok=True)
    # What is cut short is an export as long as its record is there.
    for name in (*(_read(place) or ()), _RECORD):
        (place / name).rename(to / name)


def _read(target: Path) -> list[str] | None:
    """Return the names of what an export has in its folder; None if there is none."""
    found = _record_of(target)
    holds = found.get("holds")
    if not isinstance(holds, list) or found.get("version") != _VERSION:
        return None
    # A damaged record names nothing that is not in the folder.
    names = _names(target)
    return [name for name in holds if name in names]


def _record_of(target: Path) -> dict[str, Any]:
    try:
        found = json.loads((target / _RECORD).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _worked_on(target: Path) -> str | None:
    """Say what somebody has changed or added in the folders of an export, if anything."""
    files, n_files = _files(target, _read(target) or ()), _record_of(target).get("n_files")
    written = (target / _RECORD).stat().st_mtime_ns
    for path, status in files:
        # What is a dataset's as well stays there.
        if status.st_mtime_ns > written and status.st_nlink == 1:
            return f"{path.relative_to(target)}, which was changed after the export"
    if isinstance(n_files, int) and len(files) > n_files:
        return f"{len(files):,} files and not the {n_files:,} of the export"
    return None


def _files(place: Path, held: Iterable[str]) -> list[tuple[Path, os.stat_result]]:
    """Return the files of an export, in order, of what it holds."""
    paths = [place / name for name in held if not (place / name).is_dir()]
    for name in held:
        paths += (Path(at, file) for at, _, files in os.walk(place / name) for file in files)
    return [(p, p.lstat()) for p in sorted(paths) if not p.name.startswith(_OF_SYSTEMS)]


def _names(target: Path) -> list[str]:
    passed_over = (_RECORD, prefix_of(target), f".{target.name}.lock", *_OF_SYSTEMS)
    return [path.name for path in target.iterdir() if not path.name.startswith(passed_over)]
