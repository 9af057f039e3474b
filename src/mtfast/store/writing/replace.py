"""The place of a new store: refused, made, or replaced when the new store is complete."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mtfast.atomic import explain_errors, locked, move
from mtfast.errors import StoreError
from mtfast.store.reading.files import LocalFiles
from mtfast.store.reading.metadata import read_attributes
from mtfast.store.schema import replaced_path

__all__ = ["refuse_existing", "refuse_inside_store", "replacing", "writing"]

logger = logging.getLogger(__name__)


def refuse_existing(target: Path, overwrite: bool) -> None:
    """Refuse a place where something is, unless it is a store and may be replaced.

    Parameters
    ----------
    target : Path
        Absolute.
    overwrite : bool
        Whether a store may be replaced.

    Raises
    ------
    StoreError
        If the place is taken.
    """
    refuse_inside_store(target)
    aside = replaced_path(target)
    if not target.exists() and not target.is_symlink():
        if aside.exists() and not overwrite:
            raise StoreError(
                f"{aside} is a store whose replacement was cut short; expected no such "
                f"folder; rename it to {target.name}, or pass --overwrite to replace it"
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
    """Refuse a place between the files of a store.

    Parameters
    ----------
    target : Path
        Absolute.

    Raises
    ------
    StoreError
        If a folder above it is a Zarr group or array.
    """
    for parent in target.parents:
        if (parent / "zarr.json").exists():
            raise StoreError(
                f"{target} is inside {parent}, which is a Zarr store; expected a place outside of "
                f"any; choose another path"
            )


@contextmanager
def replacing(target: Path) -> Iterator[None]:
    """Make an empty folder for a store; on an error remove it and put the old store back.

    Parameters
    ----------
    target : Path
        As :func:`refuse_existing` has let through.

    Raises
    ------
    StoreError
        As :func:`writing`.
    """
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
                move(aside, target)
            raise
        shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """Be the only run that writes to a place.

    Parameters
    ----------
    target : Path
        Need not exist; the folder that it is in is made.

    Raises
    ------
    StoreError
        If another run writes there, or for an OSError in the block.
    """
    with explain_errors(target, target, StoreError):
        target.parent.mkdir(parents=True, exist_ok=True)
        with locked(target):
            yield


def _set_aside(target: Path, aside: Path) -> None:
    if _is_empty(target):
        target.rmdir()
    elif aside.exists() and not _attributes(target).get("complete"):
        # A conversion was killed while it replaced a store: that one is the last whole one.
        shutil.rmtree(target)
        logger.info("%s is incomplete and is replaced; %s is kept until then", target, aside)
    else:
        shutil.rmtree(aside, ignore_errors=True)
        move(target, aside)
        logger.info("%s is replaced; until the new store is complete it is %s", target, aside)


def _is_empty(target: Path) -> bool:
    return target.is_dir() and not any(target.iterdir())


def _attributes(target: Path) -> dict[str, Any]:
    try:
        return read_attributes(LocalFiles(target))
    except StoreError:
        return {}
