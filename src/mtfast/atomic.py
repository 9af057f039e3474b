"""New folders and files that appear when they are whole, or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mtfast.errors import MtfastError

__all__ = ["new_file", "new_folder"]


@contextmanager
def new_folder(out: str | os.PathLike[str]) -> Iterator[Path]:
    """Make a folder whose content takes its place when the block ends without an error.

    Parameters
    ----------
    out : path
        A new name, or an empty folder, which stays the same folder.

    Yields
    ------
    Path
        An empty folder on the same disk, to be filled.

    Raises
    ------
    MtfastError
        If ``out`` is not empty, or for an OSError in the block; nothing is left behind then.

    Examples
    --------
    >>> with new_folder("set") as folder:                            # doctest: +SKIP
    ...     (folder / "note.txt").write_text("made whole")
    """
    out = Path(out)
    place = out.resolve()
    partial = _make_partial(out, place)
    try:
        yield partial
        if partial.parent == place:
            # Annotations go last: until then nothing takes the folder for a set.
            for child in sorted(partial.iterdir(), reverse=True):
                child.rename(place / child.name)
            partial.rmdir()
        else:
            partial.rename(place)
    except BaseException as error:
        shutil.rmtree(partial, ignore_errors=True)
        if isinstance(error, OSError):
            raise MtfastError(
                f"{out} cannot be written: {error.strerror or error}; expected a folder with room "
                f"and the right to write; make room or choose another place"
            ) from error
        raise


def _make_partial(out: Path, place: Path) -> Path:
    """Make the folder that is filled: inside an empty one, else beside the new one."""
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise MtfastError(
            f"{out} is not empty; expected an empty folder or a new name; "
            "choose another folder or remove this one"
        )
    partial = place.with_name(f".{place.name}.partial-{os.getpid()}")
    if place.exists():
        partial = place / partial.name
    try:
        partial.mkdir(parents=True)
    except OSError as error:
        raise MtfastError(
            f"{partial.parent} cannot be written to ({error.strerror}); expected a folder of "
            "yours; choose another one"
        ) from error
    return partial


@contextmanager
def new_file(out: str | os.PathLike[str]) -> Iterator[Path]:
    """Make a file that takes its place, also another's, when the block ends without an error.

    Yields
    ------
    Path
        Where to write it, with the ending of ``out``.

    Raises
    ------
    MtfastError
        For an OSError in the block; what was there stays then.
    """
    out = Path(out)
    partial = out.with_name(f".partial-{os.getpid()}-{out.name}")
    try:
        yield partial
        partial.replace(out)
    except BaseException as error:
        partial.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise MtfastError(
                f"{out} cannot be written: {error.strerror or error}; expected a folder with the "
                f"right to write; choose another place"
            ) from error
        raise
