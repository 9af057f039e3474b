"""The place of an export: refused, or taken by a new one when that is whole.

An export is known by its record, a hidden file. What has none may be anybody's, and stays.
"""

from __future__ import annotations

import json
from pathlib import Path

from mtfast.errors import MtfastError
from mtfast.work.folder import WorkFolder
from mtfast.work.folder_state import refuse_taken

__all__ = ["put_export", "refuse_other"]

_RECORD = ".mtfast-export"
_VERSION = 1


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


def put_export(work: WorkFolder, target: Path) -> None:
    """Give an export its place, or that of the one that is there.

    Parameters
    ----------
    work : WorkFolder
        With the files of the export in its content.
    target : Path
        As :func:`refuse_other` lets it pass.

    Raises
    ------
    MtfastError, OSError
        If it cannot be put there; the old one is there then, as it was.
    """
    names = sorted(path.name for path in work.content.iterdir())
    record = {"version": _VERSION, "holds": names}
    (work.content / _RECORD).write_text(json.dumps(record) + "\n", encoding="utf-8")
    last, aside = min(names, default=""), work.folder / "replaced"
    if _read(target) is None:
        work.put(target, last)
        return
    # Where no folder can be made beside the target, the work folder is inside of it.
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
    try:
        found = json.loads((target / _RECORD).read_bytes())
    except (OSError, ValueError):
        return None
    holds = found.get("holds") if isinstance(found, dict) else None
    if not isinstance(holds, list) or found.get("version") != _VERSION:
        return None
    # A damaged record names nothing that is not in the folder.
    names = _names(target)
    return [name for name in holds if name in names]


def _names(target: Path) -> list[str]:
    # Systems put hidden files into folders.
    return [path.name for path in target.iterdir() if path.name[0] != "."]
