"""The place of a new store: refused, made, or replaced when the new store is complete."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mtfast.addresses import Address
from mtfast.atomic import check_new_folder, move
from mtfast.errors import StoreError
from mtfast.store.reading.files import LocalFiles
from mtfast.store.reading.metadata import read_attributes
from mtfast.store.schema import replaced_path
from mtfast.work.folder import WorkFolder, working
from mtfast.work.folder_state import is_free, is_moving, remove_remains
from mtfast.work.records import Plan

__all__ = ["FolderTarget", "refuse_inside_store", "refuse_others"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FolderTarget:
    """A place on a disk. See :class:`mtfast.store.writing.target.StoreTarget`.

    Attributes
    ----------
    path : Path
        Absolute, and no symbolic link.
    """

    path: Path

    def refuse_existing(self, overwrite: bool) -> None:
        """Refuse a place that is taken, or that cannot be written to."""
        _refuse_existing(self.path, overwrite)
        if not self.path.exists():
            check_new_folder(self.path, StoreError)

    def writing(self, plan: Plan, overwrite: bool) -> AbstractContextManager[WorkFolder]:
        """Fill the work folder of a store, which then takes its place or that of an older one."""
        return _writing(self.path, plan, overwrite)


def _refuse_existing(target: Path, overwrite: bool) -> None:
    """Refuse a place where something is, unless it is a store and may be replaced."""
    refuse_inside_store(target)
    aside = replaced_path(target)
    if not target.exists() and not target.is_symlink():
        if aside.exists() and not overwrite:
            raise StoreError(
                f"{aside} is a store whose replacement was cut short; expected no such "
                f"folder; rename it to {target.name}, or pass overwrite=True to replace it"
            )
        return
    if target.is_dir() and (is_free(target) or is_moving(target)):
        return
    attributes = _attributes(target) if target.is_dir() else {}
    if "mtfast_format" not in attributes:
        raise StoreError(
            f"{target} exists and is no mtfast store; expected a new path; choose another"
        )
    if not overwrite:
        remove_remains(target)
        kind = "a complete store" if attributes.get("complete") else "an incomplete store"
        raise StoreError(
            f"{target} exists and is {kind}; expected a new path; "
            f"choose another or pass overwrite=True"
        )
    # Systems put hidden files into folders.
    shown = [path.name for path in target.iterdir() if path.name[0] != "."]
    refuse_others(target, shown, attributes.get("splits"))


def refuse_others(place: Path | Address, names: Iterable[str], splits: object) -> None:
    """Refuse a place with something beside a store: all is removed where that is replaced.

    Parameters
    ----------
    place : Path or Address
        For the message.
    names : iterable of str
        What is there.
    splits : list of str
        Folders of the store; anything else, from a damaged one, is none.

    Raises
    ------
    StoreError
    """
    own = {"zarr.json", *(splits if isinstance(splits, list) else ())}
    others = sorted(name for name in names if name not in own)
    if others:
        raise StoreError(
            f"{place} has {others[0]} beside a store or unfinished work; expected nothing else, as "
            f"a store that is replaced is removed with all that is below it; move {others[0]} or "
            f"choose another place"
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
def _writing(target: Path, plan: Plan, overwrite: bool) -> Iterator[WorkFolder]:
    check = partial(_refuse_existing, target, overwrite)
    with working(target, plan, check, afresh=overwrite, error=StoreError) as work:
        yield work
        # What has appeared meanwhile is left alone.
        check()
        _put(work, target)


def _put(work: WorkFolder, target: Path) -> None:
    aside = replaced_path(target)
    if _is_store(target):
        shutil.rmtree(aside, ignore_errors=True)
        move(target, aside)
        logger.info("%s is replaced; until the new store has its place it is %s", target, aside)
    try:
        work.put(target, last="zarr.json")
    except BaseException:
        if _is_store(aside) and not target.exists():
            move(aside, target)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _is_store(path: Path) -> bool:
    return "mtfast_format" in _attributes(path)


def _attributes(target: Path) -> dict[str, Any]:
    try:
        return read_attributes(LocalFiles(target))
    except StoreError:
        return {}
