"""Access to the files of a dataset.

Sources reach their files through a :class:`FileTree` alone, so that another place to read from (an
archive, a web address) is one more subclass.
"""

from __future__ import annotations

import logging
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from mtfast.addresses import Address
from mtfast.errors import SourceError, counted
from mtfast.limits import MAX_JSON_BYTES
from mtfast.paths import is_reserved, open_regular

__all__ = ["FileTree", "Folder", "expect_length", "too_long", "unreadable"]


logger = logging.getLogger(__name__)


class FileTree(ABC):
    """Read access to a tree of files.

    Paths are relative to the root, with "/" between folders; "" is the root itself. No path leads
    out of the tree. Names that start with a dot (".DS_Store", and the "._x.jpg" that macOS leaves
    behind) are not listed.
    """

    @property
    def lists(self) -> bool:
        """Whether folders are listed; otherwise files are looked for one by one."""
        return True

    @property
    def is_far(self) -> bool:
        """Whether each read is a request, so that several at once take the time of one."""
        return False

    @property
    @abstractmethod
    def location(self) -> Path | Address:
        """What a user gives to open it; paths are absolute."""

    @property
    def name(self) -> str:
        """Name of the root."""
        return self.location.name

    @property
    @abstractmethod
    def parent(self) -> FileTree | None:
        """The tree whose root is the folder that this one is in; None if there is none."""

    def where(self, path: str = "") -> str:
        """Say where a file or folder is, for messages; no two have one place.

        Parameters
        ----------
        path : str

        Returns
        -------
        str
            Such as "/data/Graphene/train_images/a.jpg", whether it is there or not.
        """
        return str(self.location / path)

    def local(self, path: str = "") -> Path | None:
        """Return the path of a file or folder on this machine.

        Parameters
        ----------
        path : str

        Returns
        -------
        Path or None
            Absolute, whether it is there or not; None if files are not reached by paths here.
        """
        return None

    def stamp(self, path: str) -> list[int | str]:
        """Return what changes when a file does, without reading it.

        Parameters
        ----------
        path : str

        Returns
        -------
        list of int or str
            Its bytes, and when it was changed, its checksum or its entity tag.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        """
        return self._stamp(_inside(path))

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

    def walk(self, folder: str = "") -> Iterator[str]:
        """Iterate over all files below a folder, those of each folder in order of their names.

        Parameters
        ----------
        folder : str

        Yields
        ------
        str
            Paths; none if there is no such folder.
        """
        slash = f"{folder}/" if folder else ""
        yield from (f"{slash}{name}" for name in self.names(folder) or ())
        for name in self.folders(folder):
            yield from self.walk(f"{slash}{name}")

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

    def read(self, path: str, most: int = MAX_JSON_BYTES) -> bytes:
        """Read a whole file.

        Parameters
        ----------
        path : str
        most : int, optional
            Bytes that it may have; see :mod:`mtfast.limits`.

        Returns
        -------
        bytes

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        SourceError
            If it cannot be read, or is longer.
        """
        return self._read(_inside(path), most)

    def whole(self, path: str) -> BinaryIO:
        """Open a file of which all is read, some of it more than once.

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
        return self.open(path)

    def look_at(self, paths: Iterable[str]) -> None:  # noqa: B027 - most need not
        """Learn of many files at once what :meth:`exists` and :meth:`stamp` are asked next.

        Parameters
        ----------
        paths : iterable of str
        """

    def _read(self, path: str, most: int) -> bytes:
        with self.open(path) as file:
            expect_length(file, path, most)
            try:
                data = file.read()
            except OSError as error:
                raise unreadable(path, error) from error
        # Some of the system's own files have no length, and nothing to read at the moment.
        return data or b""

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

    @abstractmethod
    def _stamp(self, path: str) -> list[int | str]: ...


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

    @property
    def location(self) -> Path:
        """The folder."""
        return self.root

    @property
    def parent(self) -> Folder | None:
        """The tree of the folder that this one is in; None at the top of the disk."""
        above = self.root.parent
        return None if above == self.root else Folder(above)

    def local(self, path: str = "") -> Path:
        """Return the path of a file or folder, whether it is there or not.

        Parameters
        ----------
        path : str

        Returns
        -------
        Path
        """
        return self.root / path

    def _entries(self, folder: str) -> list[tuple[str, bool]] | None:
        try:
            with os.scandir(self.root / folder) as entries:
                # A link to nothing counts as none.
                found = [
                    (entry.name, entry.is_dir())
                    for entry in entries
                    if not entry.is_symlink() or os.path.exists(entry.path)  # noqa: PTH110
                ]
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise unreadable(folder or self.root, error) from error
        # No JSON, table or store can have the others.
        named = [entry for entry in found if _is_unicode(entry[0])]
        if len(named) < len(found):
            logger.warning(
                "%s has %s whose names are no UTF-8; left out",
                self.root / folder,
                counted(len(found) - len(named), "file"),
            )
        return named

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
            return os.fdopen(open_regular(self.root / path), "rb")
        except (FileNotFoundError, NotADirectoryError) as error:
            raise FileNotFoundError(path) from error
        except (OSError, ValueError) as error:
            raise unreadable(path, error) from error

    def _stamp(self, path: str) -> list[int | str]:
        # Not that of pathlib: there may be many.
        stat = os.stat(self.root / path)  # noqa: PTH116
        return [stat.st_size, stat.st_mtime_ns]


def unreadable(path: str | os.PathLike[str], error: Exception) -> SourceError:
    """Return the error for a file or folder that cannot be read.

    Parameters
    ----------
    path : str or path-like
    error : Exception
        Why.

    Returns
    -------
    SourceError

    Examples
    --------
    >>> str(unreadable("a.jpg", ValueError("embedded null byte"))).partition(";")[0]
    'a.jpg cannot be read (embedded null byte)'
    """
    reason = getattr(error, "strerror", None) or error
    return SourceError(
        f"{path} cannot be read ({reason}); expected a readable file or folder; check the path "
        f"and permissions"
    )


def expect_length(file: BinaryIO, path: str, most: int) -> None:
    """Refuse a file that is too long, before it is read.

    Parameters
    ----------
    file : binary file
        At its beginning, and left there.
    path : str
        For the message.
    most : int
        Bytes that it may have.

    Raises
    ------
    SourceError
    """
    n_bytes = file.seek(0, os.SEEK_END)
    file.seek(0)
    if n_bytes > most:
        raise too_long(path, n_bytes, most)


def too_long(path: str, n_bytes: int, most: int) -> SourceError:
    """Return the error for a file that is longer than what is read.

    Parameters
    ----------
    path : str
    n_bytes, most : int
        Bytes that it has and that it may have.

    Returns
    -------
    SourceError
    """
    return SourceError(
        f"{path} has {n_bytes:,} bytes; expected at most {most:,}; check that it is the right file"
    )


def _is_unicode(name: str) -> bool:
    # Bytes of a name that are no UTF-8 come as halves of characters.
    return name.isascii() or not any("\udc80" <= c <= "\udcff" for c in name)


def _inside(path: str) -> str:
    """Return a path of the tree; FileNotFoundError if it leads out of it."""
    parts = PurePosixPath(path.replace("\\", "/") if sys.platform == "win32" else path).parts
    # Windows has other ways out: drives, streams and devices.
    is_odd = sys.platform == "win32" and any(map(is_reserved, parts))
    if is_odd or ".." in parts or "/" in parts:
        raise FileNotFoundError(path)
    return "/".join(parts)
