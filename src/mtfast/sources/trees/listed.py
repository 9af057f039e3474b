"""Trees whose folders are listed by something that is opened once: an archive, a server."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Protocol

from mtfast.addresses import Address
from mtfast.sources.files import FileTree

__all__ = ["Contents", "ListedTree", "join"]


class Contents(Protocol):
    """Everything in an archive, a bucket or on a server. It pickles, and can be hashed."""

    @property
    def lists(self) -> bool:
        """Whether folders are listed; otherwise files are looked for one by one."""

    @property
    def is_far(self) -> bool:
        """Whether each read is a request."""

    @property
    def location(self) -> Path | Address:
        """What a user gives to open it."""

    @property
    def name(self) -> str:
        """What a dataset that fills all of it is called."""

    def listing(self, folder: str) -> Mapping[str, bool] | None:
        """List a folder: names, and whether each is a folder; None if there is no such folder."""

    def has(self, path: str) -> bool:
        """Whether there is such a file."""

    def open(self, path: str) -> BinaryIO:
        """Open a file; FileNotFoundError if there is none."""

    def whole(self, path: str) -> BinaryIO:
        """Open a file of which all is read; FileNotFoundError if there is none."""

    def read(self, path: str, most: int) -> bytes:
        """Read a file whole that may have so many bytes; FileNotFoundError if there is none."""

    def stamp(self, path: str) -> list[int | str]:
        """Return its bytes and what changes when it does; FileNotFoundError if there is none."""

    def look_at(self, paths: Collection[str]) -> None:
        """Learn of many files at once what :meth:`has` and :meth:`stamp` are asked next."""


@dataclass(frozen=True)
class ListedTree(FileTree):
    """The files below a folder of an archive, a bucket or a server.

    Parameters
    ----------
    contents : Contents
    base : str
        The folder; "" for all of it.
    """

    contents: Contents
    base: str = ""

    @property
    def lists(self) -> bool:
        """Whether folders are listed; otherwise files are looked for one by one."""
        return self.contents.lists

    @property
    def is_far(self) -> bool:
        """Whether each read is a request, so that several at once take the time of one."""
        return self.contents.is_far

    @property
    def location(self) -> Path | Address:
        """What a user gives to open it."""
        return self.contents.location / self.base

    @property
    def name(self) -> str:
        """Name of the root."""
        return self.base.rpartition("/")[2] or self.contents.name

    @property
    def parent(self) -> ListedTree | None:
        """The tree of the folder that this one is in; None for all of the contents."""
        return replace(self, base=self.base.rpartition("/")[0]) if self.base else None

    def look_at(self, paths: Iterable[str]) -> None:
        """Learn of many files at once what :meth:`exists` and :meth:`stamp` are asked next."""
        self.contents.look_at({join(self.base, path) for path in paths})

    def whole(self, path: str) -> BinaryIO:
        """Open a file of which all is read, some of it more than once."""
        return self.contents.whole(join(self.base, path))

    def _entries(self, folder: str) -> list[tuple[str, bool]] | None:
        found = self.contents.listing(join(self.base, folder))
        return None if found is None else list(found.items())

    def _below(self, folder: str) -> ListedTree:
        return replace(self, base=join(self.base, folder))

    def _exists(self, path: str) -> bool:
        return self.contents.has(join(self.base, path))

    def _changed(self, folder: str) -> int | None:
        # It stays as it was when it was opened.
        return None if self.contents.listing(join(self.base, folder)) is None else 0

    def _open(self, path: str) -> BinaryIO:
        return self.contents.open(join(self.base, path))

    def _read(self, path: str, most: int) -> bytes:
        return self.contents.read(join(self.base, path), most)

    def _stamp(self, path: str) -> list[int | str]:
        return self.contents.stamp(join(self.base, path))


def join(folder: str, path: str) -> str:
    """Return the path of something in a folder, either of which may be "".

    Parameters
    ----------
    folder, path : str

    Returns
    -------
    str
    """
    return f"{folder}/{path}" if folder and path else folder or path
