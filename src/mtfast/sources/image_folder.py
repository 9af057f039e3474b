"""A folder of images or masks, and where files are looked up that something lists by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mtfast.errors import SourceError
from mtfast.paths import base_name
from mtfast.sources.files import FileTree

__all__ = ["FilePlace", "ImageFolder", "find_first", "read_first"]

_SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp")


class FilePlace(NamedTuple):
    """A file that may be there: a path in a tree."""

    files: FileTree
    path: str


class ImageFolder(NamedTuple):
    """A folder of images or masks: one of a tree, "" for its root."""

    files: FileTree
    folder: str = ""

    def names(self) -> tuple[str, ...] | None:
        """Return the sorted names of the image files; None if there is no such folder."""
        names = self.files.names(self.folder)
        if names is None:
            return None
        return tuple(name for name in names if name.lower().endswith(_SUFFIXES))

    def places(self, name: str) -> list[FilePlace]:
        """Return where a file is looked up that something lists by name.

        Parameters
        ----------
        name : str

        Returns
        -------
        list of FilePlace
            The name as it is, then without the folders in it.
        """
        names = dict.fromkeys((name, base_name(name)))
        return [FilePlace(self.files, f"{self.folder}/{n}" if self.folder else n) for n in names]

    def missing(self, name: str, what: str) -> SourceError:
        """Return the error for a file that is listed and not there.

        Parameters
        ----------
        name : str
        what : str
            What it is: "image" or "mask".

        Returns
        -------
        SourceError
        """
        root = self.files.root.name
        place = f"{self.folder or root}/"
        if self.files.names(self.folder) is None:
            return SourceError(
                f"{what} {name!r} is missing, as is its folder {place} in {root}; "
                f"expected that folder with every {what} in it; "
                f"unpack it from the dataset's archive, or go on without the {what}s"
            )
        return SourceError(
            f"{what} {name!r} is missing in {place}; expected a file for every {what} that is "
            f"listed; put it there, or remove it from the annotations"
        )


def find_first(places: Sequence[FilePlace]) -> str | None:
    """Find the first of several files that is there.

    Parameters
    ----------
    places : sequence of FilePlace

    Returns
    -------
    str or None
        Its absolute path; None if none is there.
    """
    for files, path in places:
        if files.exists(path):
            return str(files.root / path)
    return None


def read_first(places: Sequence[FilePlace]) -> bytes | None:
    """Read the first of several files that is there.

    Parameters
    ----------
    places : sequence of FilePlace

    Returns
    -------
    bytes or None
        None if none is there.

    Raises
    ------
    SourceError
        If it cannot be read.
    """
    for files, path in places:
        try:
            return files.read(path)
        except FileNotFoundError:
            continue
    return None
