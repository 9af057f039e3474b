"""The files in a bucket: a folder of it is listed once."""

from __future__ import annotations

from collections.abc import Callable, Collection
from functools import lru_cache
from io import BufferedReader, BytesIO
from secrets import token_hex
from threading import RLock
from typing import BinaryIO

from mtfast.addresses import Address
from mtfast.limits import MAX_JSON_BYTES
from mtfast.remote import Stat, objects_at
from mtfast.sources.files import too_long
from mtfast.sources.trees.ranges import RangesFile, RemoteRanges

__all__ = ["BucketContents"]


class BucketContents:
    """Everything in a bucket, as it is when a folder is listed first.

    Parameters
    ----------
    location : Address
        Of the bucket.
    token : str, optional
        Equal for those that may share what they have listed; by default another each time.
    """

    lists = is_far = True

    def __init__(self, location: Address, token: str = "") -> None:
        self.location = location
        self._objects = objects_at(location)
        self._token = token or token_hex(8)
        self._lock = RLock()
        self._files: dict[str, dict[str, Stat]] = {}
        self._folders: dict[str, list[str]] = {}

    def __reduce__(self) -> tuple[Callable[..., BucketContents], tuple[Address, str]]:
        return _opened, (self.location, self._token)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, BucketContents):
            return NotImplemented
        return (self.location, self._token) == (other.location, other._token)

    def __hash__(self) -> int:
        return hash((self.location, self._token))

    def __repr__(self) -> str:
        return f"<files of {self.location}>"

    @property
    def name(self) -> str:
        """Name of the bucket."""
        return self.location.name

    def listing(self, folder: str) -> dict[str, bool] | None:
        """List a folder: names, and whether each is a folder; None if there is no such folder."""
        files = self._listed(folder)
        found = dict.fromkeys(self._folders[folder], True) | dict.fromkeys(files, False)
        return found or None

    def has(self, path: str) -> bool:
        """Whether there is such a file."""
        folder, _, name = path.rpartition("/")
        return name in self._listed(folder)

    def stamp(self, path: str) -> list[int | str]:
        """Return the bytes of a file and its entity tag; FileNotFoundError if there is none."""
        return list(self._stat(path))

    def look_at(self, paths: Collection[str]) -> None:
        """Do nothing: a listing says all."""

    def open(self, path: str) -> BinaryIO:
        """Open a file of which some ranges are read; FileNotFoundError if there is none."""
        ranges = RemoteRanges(self._objects, path, self._stat(path))
        return BufferedReader(RangesFile(ranges, 0, ranges.n_bytes))

    def whole(self, path: str) -> BinaryIO:
        """Read a file of which all is read, with one request."""
        return BytesIO(self.read(path, MAX_JSON_BYTES))

    def read(self, path: str, most: int) -> bytes:
        """Read a file with one request; FileNotFoundError if there is none."""
        if (n_bytes := self._stat(path).n_bytes) > most:
            raise too_long(path, n_bytes, most)
        return self._objects.read(path)

    def _stat(self, path: str) -> Stat:
        folder, _, name = path.rpartition("/")
        found = self._listed(folder).get(name)
        if found is None:
            raise FileNotFoundError(path)
        return found

    def _listed(self, folder: str) -> dict[str, Stat]:
        with self._lock:
            if folder not in self._files:
                files, self._folders[folder] = self._objects.list(folder)
                self._files[folder] = dict(files)
            return self._files[folder]


@lru_cache(maxsize=8)
def _opened(location: Address, token: str) -> BucketContents:
    """List a bucket once in each process that is sent it."""
    return BucketContents(location, token)
