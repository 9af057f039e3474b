"""The place where a store goes: left alone, made anew, or replaced once the new one is whole."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mtfast.errors import StoreError
from mtfast.store.reading.files import read_metadata
from mtfast.store.schema import replaced_path

__all__ = ["refuse_existing", "refuse_inside_store", "replacing", "writing"]


def refuse_existing(target: Path, overwrite: bool) -> None:
    """Leave alone what is there, unless it is a store and may be replaced."""
    refuse_inside_store(target)
    aside = replaced_path(target)
    if not target.exists() and not target.is_symlink():
        if aside.exists() and not overwrite:
            raise StoreError(
                f"{aside} is a store whose replacement was cut short; expected nothing of the "
                f"kind; rename it to {target.name}, or pass --overwrite to replace it"
            )
        return
    if _is_empty(target):
        return
    attributes = _attributes(target) if target.is_dir() else {}
    if "mtfast_format" not in attributes:
        raise StoreError(
            f"{target} exists and is no mtfast store; expected a new path; choose another"
        )
    if not overwrite:
        kind = "a complete store" if attributes.get("complete") else "an incomplete store"
        raise StoreError(
            f"{target} exists and is {kind}; expected a new path; "
            f"choose another or pass --overwrite"
        )


def refuse_inside_store(target: Path) -> None:
    """Write nothing between the files of a store."""
    for parent in target.parents:
        if (parent / "zarr.json").exists():
            raise StoreError(
                f"{target} lies in {parent}, which is a Zarr store; expected a place outside of "
                f"any; choose another path"
            )


@contextmanager
def replacing(target: Path) -> Iterator[None]:
    """Make an empty folder for a store; on an error remove it and put the old store back."""
    aside = replaced_path(target)
    with writing(target):
        if target.exists():
            _set_aside(target, aside)
        target.mkdir()
        try:
            yield
        except BaseException:
            shutil.rmtree(target, ignore_errors=True)
            if aside.exists():
                aside.replace(target)
            raise
        shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """Be alone with a place while it is written; a system error becomes a StoreError."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _locked(target):
            yield
    except OSError as error:
        raise StoreError(
            f"{target} cannot be written: {error.strerror or error}; "
            f"expected a folder with room and the right to write; "
            f"make room or choose another place"
        ) from error


def _set_aside(target: Path, aside: Path) -> None:
    if _is_empty(target):
        target.rmdir()
    elif aside.exists() and not _attributes(target).get("complete"):
        # A conversion was killed while it replaced a store: that one is the last whole one.
        shutil.rmtree(target)
    else:
        shutil.rmtree(aside, ignore_errors=True)
        target.replace(aside)


@contextmanager
def _locked(target: Path) -> Iterator[None]:
    """Keep others off a place; the lock of a process that dies is free again."""
    if sys.platform == "win32":
        yield
        return
    import fcntl

    path = target.with_name(f".{target.name}.lock")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StoreError(
                f"{target} is being written by another run; expected to be alone; "
                f"wait for it or choose another path"
            ) from None
        try:
            yield
        finally:
            path.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def _is_empty(target: Path) -> bool:
    return target.is_dir() and not any(target.iterdir())


def _attributes(target: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = read_metadata(target).get("attributes", {})
    except StoreError:
        return {}
    return found
