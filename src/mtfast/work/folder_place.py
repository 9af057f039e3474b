"""Where jobs of a run write files, and from where they take those of earlier runs."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from mtfast.addresses import Address
from mtfast.atomic import new_file
from mtfast.errors import MtfastError, StoreError
from mtfast.paths import open_regular
from mtfast.work.records import FileSum, Made

__all__ = ["FolderPlace", "expect_shared", "sum_of_file", "write_parts"]

_BLOCK = 1 << 20


class FolderPlace(NamedTuple):
    """A :class:`mtfast.work.jobs.Place` on a disk: where a run writes, and what earlier runs left.

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
