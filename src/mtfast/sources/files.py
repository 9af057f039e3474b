"""Access to the files of a dataset.

Sources reach their files through a :class:`FileTree` alone, so that another place to read from (an
archive, a web address) is one more subclass.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from mtfast.errors import SourceError

__all__ = ["FileTree", "Folder"]


class FileTree(ABC):
    """Read access to a tree of files.

    Paths are relative to the root, with "/" between folders; "" is the root itself. No path leads
    out of the tree. Names that start with a dot (".DS_Store", and the "._x.jpg" that macOS leaves
    behind) are not listed.
    """

    root: Path
    """What the paths are relative to, absolute."""

    def names(self, folder: str = "") -> list[str] | None:
        """List the files in a folder.

        Parameters
        ----------
        folder : str

        Returns
        -------
        list of str or None
            Sorted names; None if there is no such folder.

        Raises
        ------
        SourceError
            If the folder cannot be read.
        """
        entries = self._entries(_inside(folder))
        if entries is None:
            return None
        return sorted(name for name, is_folder in entries if not is_folder and name[0] != ".")

    def folders(self, folder: str = "") -> list[str]:
        """List the folders in a folder.

        Parameters
        ----------
        folder : str

        Returns
        -------
        list of str
            Sorted names; empty if there is no such folder.

        Raises
        ------
        SourceError
            If the folder cannot be read.
        """
        entries = self._entries(_inside(folder)) or ()
        return sorted(name for name, is_folder in entries if is_folder and name[0] != ".")

    def below(self, folder: str) -> FileTree:
        """Return the tree whose root is a folder of this one.

        Parameters
        ----------
        folder : str

        Returns
        -------
        FileTree
        """
        return self._below(_inside(folder))

    def exists(self, path: str) -> bool:
        """Whether there is such a file.

        Parameters
        ----------
        path : str

        Returns
        -------
        bool
        """
        try:
            return self._exists(_inside(path))
        except FileNotFoundError:
            return False

    def changed(self, folder: str = "") -> int | None:
        """Return a number that changes when files come into a folder or leave it.

        Parameters
        ----------
        folder : str

        Returns
        -------
        int or None
            None if there is no such folder.
        """
        try:
            return self._changed(_inside(folder))
        except FileNotFoundError:
            return None

    def open(self, path: str) -> BinaryIO:
        """Open a file for reading at any offset.

        Parameters
        ----------
        path : str

        Returns
        -------
        binary file

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        SourceError
            If it cannot be read.
        """
        return self._open(_inside(path))

    def read(self, path: str) -> bytes:
        """Read a whole file.

        Parameters
        ----------
        path : str

        Returns
        -------
        bytes

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        SourceError
            If it cannot be read.
        """
        with self.open(path) as file:
            return file.read()

    @abstractmethod
    def _entries(self, folder: str) -> list[tuple[str, bool]] | None:
        """Names in a folder and whether each is a folder; None if there is no such folder."""

    @abstractmethod
    def _below(self, folder: str) -> FileTree: ...

    @abstractmethod
    def _exists(self, path: str) -> bool: ...

    @abstractmethod
    def _changed(self, folder: str) -> int | None: ...

    @abstractmethod
    def _open(self, path: str) -> BinaryIO: ...


@dataclass(frozen=True)
class Folder(FileTree):
    """The files below a local folder.

    Parameters
    ----------
    root : Path
        Absolute.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Path(folder, "0a1b.jpg").touch()
    ...     Folder(Path(folder)).names()
    ['0a1b.jpg']
    """

    root: Path

    def _entries(self, folder: str) -> list[tuple[str, bool]] | None:
        try:
            with os.scandir(self.root / folder) as entries:
                return [(entry.name, entry.is_dir()) for entry in entries]
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise self._unreadable(folder, error) from error

    def _below(self, folder: str) -> FileTree:
        return Folder(self.root / folder)

    def _exists(self, path: str) -> bool:
        try:
            return (self.root / path).is_file()
        except (OSError, ValueError):
            return False

    def _changed(self, folder: str) -> int | None:
        try:
            return (self.root / folder).stat().st_mtime_ns
        except (OSError, ValueError):
            return None

    def _open(self, path: str) -> BinaryIO:
        try:
            return (self.root / path).open("rb")
        except (FileNotFoundError, NotADirectoryError) as error:
            raise FileNotFoundError(path) from error
        except (OSError, ValueError) as error:
            raise self._unreadable(path, error) from error

    def _unreadable(self, path: str, error: Exception) -> SourceError:
        reason = getattr(error, "strerror", None) or error
        return SourceError(
            f"{path or self.root} cannot be read ({reason}); "
            f"expected a readable {'file' if path else 'folder'}; check the path and permissions"
        )


def _inside(path: str) -> str:
    """Return a path of the tree; FileNotFoundError if it leads out of it."""
    parts = PurePosixPath(path).parts
    if ".." in parts or "/" in parts:
        raise FileNotFoundError(path)
    return "/".join(parts)
