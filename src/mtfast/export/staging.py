"""Where masks are until all of a run are whole, and whether those of an earlier run are right.

A file of an earlier run counts only if it has the very bytes that this run makes: making them again
takes 50 us an image, and no checksum, date or ending tells as much.
"""

from __future__ import annotations

import filecmp
import os
import shutil
from pathlib import Path
from typing import NamedTuple

from mtfast.atomic import sync_tree
from mtfast.errors import StoreError
from mtfast.paths import open_regular, refuse_link
from mtfast.work.folder_place import FolderPlace

__all__ = ["Stage", "move_into", "refuse_links"]


class Stage(NamedTuple):
    """The folder of the masks, and the work folder of a run that adds to it.

    Attributes
    ----------
    out : Path or None
        Of the masks; None if those that are there are replaced as a whole.
    place : FolderPlace
        Where files are until then, and where earlier runs have left theirs.
    """

    out: Path | None
    place: FolderPlace

    def put(self, name: str, data: bytes) -> bool:
        """Write a file, unless it is there with the same bytes.

        Parameters
        ----------
        name : str
            Its path in the folder of the masks. Its own folder must be staged.
        data : bytes

        Returns
        -------
        bool
            Whether it was written.
        """
        staged = self.place.content / name
        if self.out is not None and _has(self.out / name, data):
            return False
        for folder in self.place.before:
            if _has(folder / name, data):
                (folder / name).replace(staged)
                return False
        staged.write_bytes(data)
        return True

    def drop_if_there(self, name: str) -> bool:
        """Remove a staged file if the masks have it already.

        Parameters
        ----------
        name : str

        Returns
        -------
        bool
            Whether they have.
        """
        staged = self.place.content / name
        there = self.out and self.out / name
        if not there or not there.is_file() or not filecmp.cmp(staged, there, shallow=False):
            return False
        staged.unlink()
        return True


def refuse_links(content: Path, out: Path) -> None:
    """Refuse symbolic links where staged files and folders are to be: they may lead elsewhere.

    Parameters
    ----------
    content, out : Path
        What is staged, and the folder of the masks.

    Raises
    ------
    StoreError
    """
    for folder, folders, files in os.walk(content):
        into = out / Path(folder).relative_to(content)
        for name in (*folders, *files):
            refuse_link(into / name, StoreError)


def move_into(content: Path, out: Path, last: str) -> None:
    """Move what is staged to the masks, file over file, when it is on the disk.

    Parameters
    ----------
    content, out : Path
        Two folders on one disk; nothing is left in the first.
    last : str
        The file that says that the others are whole.

    Raises
    ------
    OSError
    """
    sync_tree(content)
    _merge(content, out, last)
    sync_tree(out)


def _merge(folder: Path, into: Path, last: str = "") -> None:
    for path in sorted(folder.iterdir(), key=lambda path: path.name == last):
        target = into / path.name
        if path.is_dir() and target.is_dir():
            _merge(path, target)
            path.rmdir()
        elif target.is_file() and filecmp.cmp(path, target, shallow=False):
            path.unlink()
        else:
            if target.is_dir():
                shutil.rmtree(target)
            path.replace(target)


def _has(path: Path, data: bytes) -> bool:
    try:
        with os.fdopen(open_regular(path), "rb", buffering=0) as file:
            # One byte more shows a file that goes on.
            return file.read(len(data) + 1) == data
    except OSError:
        return False
