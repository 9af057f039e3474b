"""Where the files of a dataset are read from.

Sources reach their files through :class:`Files` alone, so that another place to read from (an
archive, a web address) is one more class with these methods.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Protocol

from mtfast.errors import SourceError

__all__ = ["Files", "Folder"]


class Files(Protocol):
    """Read access to a tree of files.

    Paths are relative to the root, with "/" between folders; "" is the root itself. Names that
    start with a dot (".DS_Store", and the "._x.jpg" that macOS leaves behind) do not exist.
    """

    @property
    def root(self) -> Path:
        """What the paths are relative to."""

    def names(self, folder: str = "") -> list[str] | None:
        """Sorted names of the files in a folder; None if there is no such folder."""

    def folders(self, folder: str = "") -> list[str]:
        """Sorted names of the folders in a folder; none if there is no such folder."""

    def exists(self, path: str) -> bool:
        """Whether there is such a file."""

    def open(self, path: str) -> BinaryIO:
        """Open a file to read it piece by piece, from any place; raises what :meth:`read` does."""

    def read(self, path: str) -> bytes:
        """Contents of a file.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        SourceError
            If it cannot be read.
        """


@dataclass(frozen=True)
class Folder:
    """The files below a local folder; nothing outside it can be reached.

    Examples
    --------
    >>> Folder(Path("Graphene")).names("train_images")               # doctest: +SKIP
    ['0a1b.jpg', '2c3d.jpg']
    """

    root: Path

    def names(self, folder: str = "") -> list[str] | None:
        """Sorted names of the files in a folder; None if there is no such folder."""
        entries = self._entries(folder)
        if entries is None:
            return None
        return sorted(name for name, is_folder in entries if not is_folder)

    def folders(self, folder: str = "") -> list[str]:
        """Sorted names of the folders in a folder; none if there is no such folder."""
        return sorted(name for name, is_folder in self._entries(folder) or () if is_folder)

    def exists(self, path: str) -> bool:
        """Whether there is such a file."""
        try:
            return self._locate(path).is_file()
        except (OSError, ValueError):
            return False

    def read(self, path: str) -> bytes:
        """Contents of a file; FileNotFoundError if there is none, SourceError if unreadable."""
        with self.open(path) as file:
            return file.read()

    def open(self, path: str) -> BinaryIO:
        """Open a file; FileNotFoundError if there is none, SourceError if unreadable."""
        try:
            return self._locate(path).open("rb")
        except (FileNotFoundError, NotADirectoryError) as error:
            raise FileNotFoundError(path) from error
        except (OSError, ValueError) as error:
            raise self._unreadable(path, error) from error

    def _entries(self, folder: str) -> list[tuple[str, bool]] | None:
        try:
            with os.scandir(self._locate(folder)) as entries:
                return [(e.name, e.is_dir()) for e in entries if not e.name.startswith(".")]
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise self._unreadable(folder, error) from error

    def _locate(self, path: str) -> Path:
        parts = PurePosixPath(path).parts
        if ".." in parts or "/" in parts:
            raise FileNotFoundError(path)
        return self.root.joinpath(*parts)

    def _unreadable(self, path: str, error: Exception) -> SourceError:
        reason = getattr(error, "strerror", None) or error
        return SourceError(
            f"{path or self.root} cannot be read ({reason}); "
            f"expected a readable {'file' if path else 'folder'}; check the path and permissions"
        )
