"""The place where a store goes: left alone, made anew, or replaced once the new one is whole."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mtfast.errors import StoreError
from mtfast.store.arrays import read_metadata
from mtfast.store.schema import replaced_path

__all__ = ["refuse_existing", "replacing"]


def refuse_existing(target: Path, overwrite: bool) -> None:
    """Leave alone what is there, unless it is a store and may be replaced."""
    if not target.exists() and not target.is_symlink():
        return
    ours = target.is_dir() and (not any(target.iterdir()) or "mtfast_format" in _attributes(target))
    if not ours:
        raise StoreError(
            f"{target} exists and is no mtfast store; expected a new path; choose another"
        )
    if not overwrite:
        kind = "a complete store" if _attributes(target).get("complete") else "an incomplete store"
        raise StoreError(
            f"{target} exists and is {kind}; expected a new path; "
            f"choose another or pass --overwrite"
        )


def _attributes(target: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = read_metadata(target).get("attributes", {})
    except StoreError:
        return {}
    return found


@contextmanager
def replacing(target: Path) -> Iterator[None]:
    """Make an empty folder for a store; on an error remove it and put the old store back."""
    aside = replaced_path(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            # With both there, a conversion was killed while it replaced a store: before it was
            # done the one aside is the last whole one, after that the one in its place.
            if aside.exists() and not _attributes(target).get("complete"):
                shutil.rmtree(target)
            else:
                shutil.rmtree(aside, ignore_errors=True)
                target.replace(aside)
        # Of two conversions to one place only one makes the folder, and may remove it again.
        target.mkdir()
        try:
            yield
        except BaseException:
            shutil.rmtree(target, ignore_errors=True)
            if aside.exists():
                aside.replace(target)
            raise
    except OSError as error:
        raise StoreError(
            f"{target} cannot be written: {error.strerror or error}; "
            f"expected a folder with room and the right to write; "
            f"make room or choose another place"
        ) from error
    shutil.rmtree(aside, ignore_errors=True)
