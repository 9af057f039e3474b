"""Storage that obstore does not know, such as ``ftp://`` and ``hdfs://``, through fsspec."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO

from mtfast.addresses import Address, without_secrets
from mtfast.errors import MtfastError, RefusedError, RemoteError
from mtfast.remote.objects import Stat
from mtfast.remote.waiting import watched

__all__ = ["OtherObjects", "is_known"]

# What changes when a file does, by the names that kinds of storage have for it.
_STAMPS = ("ETag", "etag", "mtime", "modified", "LastModified", "last_modified", "created")


def is_known(scheme: str) -> bool:
    """Return whether fsspec is installed and has such a scheme.

    Parameters
    ----------
    scheme : str

    Returns
    -------
    bool
    """
    try:
        from fsspec import available_protocols
    except ImportError:
        return False
    return scheme in available_protocols()


class OtherObjects:
    """See :class:`mtfast.remote.objects.Objects`.

    Parameters
    ----------
    address : Address
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self._opened: Any = None
        self._owner = 0

    def __repr__(self) -> str:
        return f"<objects at {self.address}>"

    def __reduce__(self) -> tuple[Callable[[Address], OtherObjects], tuple[Address]]:
        return OtherObjects, (self.address,)

    @watched
    def stat(self, key: str) -> Stat:
        """Look at an object; FileNotFoundError if there is none."""
        with self._explained(key) as (files, path):
            found = files.info(path)
        if found["type"] != "file":
            raise FileNotFoundError(str(self.address / key))
        return _stat(found)

    @watched
    def read(self, key: str) -> bytes:
        """Read an object whole; FileNotFoundError if there is none."""
        with self._explained(key) as (files, path):
            return bytes(files.cat_file(path))

    @watched
    def read_range(self, key: str, start: int, length: int) -> bytes:
        """Read a range of an object."""
        with self._explained(key) as (files, path):
            data = bytes(files.cat_file(path, start=start, end=start + length))
        if len(data) != length:
            raise RemoteError(
                f"{self.address / key} has sent {len(data)} bytes from byte {start} on; expected "
                f"{length}; it may have been replaced or cut off: open it again"
            )
        return data

    def read_part(
        self, key: str, start: int | None = None, length: int | None = None
    ) -> tuple[bytes, Stat]:
        """Read an object, a range of it or its end, and learn what object it is of."""
        found = self.stat(key)
        if length is None:
            return self.read_range(key, 0, found.n_bytes), found
        if start is None:
            start = max(found.n_bytes - length, 0)
            length = min(length, found.n_bytes)
        return self.read_range(key, start, length), found

    def read_ranges(self, key: str, starts: Sequence[int], lengths: Sequence[int]) -> list[bytes]:
        """Read ranges of an object, one after another."""
        pairs = zip(starts, lengths, strict=True)
        return [self.read_range(key, start, length) for start, length in pairs]

    @watched
    def list(self, key: str = "") -> tuple[list[tuple[str, Stat]], list[str]]:
        """List what is in a folder."""
        try:
            with self._explained(key) as (files, path):
                found = files.ls(path, detail=True)
        except FileNotFoundError:
            return [], []
        # Of a file, some list the file.
        inner = [entry for entry in found if _plain(entry["name"]) != _plain(path)]
        named = [(_plain(entry["name"]).rpartition("/")[2], entry) for entry in inner]
        objects = [(name, _stat(entry)) for name, entry in named if entry["type"] == "file"]
        return sorted(objects), sorted(name for name, entry in named if entry["type"] != "file")

    def walk(self, key: str = "") -> Iterator[tuple[str, Stat]]:
        """Iterate over all objects below a folder."""
        objects, folders = self.list(key)
        slash = f"{key}/" if key else ""
        yield from ((f"{slash}{name}", stat) for name, stat in objects)
        for name in folders:
            yield from self.walk(f"{slash}{name}")

    def write(
        self, key: str, data: bytes | BinaryIO, *, new: bool = False, over: str | None = None
    ) -> Stat:
        """Refuse to write: few of these kinds of storage write whole or not at all."""
        raise MtfastError(
            f"{self.address / key} begins with {self.address.scheme}://, which is read alone; "
            f"expected a path, or an address of s3://, gs:// or az://; write there, and copy it"
        )

    def delete(self, keys: Sequence[str]) -> None:
        """Refuse to delete, as to write."""
        if keys:
            self.write(keys[0], b"")

    @contextmanager
    def _explained(self, key: str) -> Iterator[tuple[Any, str]]:
        """Yield the file system and a path in it; turn its errors into ours."""
        where = self.address / key
        try:
            yield self._file_system(), self._path(key)
        except FileNotFoundError as error:
            raise FileNotFoundError(str(where)) from error
        except PermissionError as error:
            raise RefusedError(
                f"{where} is refused ({_reason(error)}); expected the right to use it; check the "
                f"user and password"
            ) from error
        except ImportError as error:
            raise MtfastError(
                f"{where} needs another package ({_reason(error)}); expected it to be installed; "
                f"install it"
            ) from error
        except (OSError, ValueError, EOFError, RuntimeError) as error:
            raise RemoteError(
                f"{where} cannot be reached ({_reason(error)}); expected storage that answers; "
                f"check the address and the network, then run it again"
            ) from error

    def _file_system(self) -> Any:
        # Each process opens its own.
        if self._owner != os.getpid():
            from fsspec.core import url_to_fs

            self._opened, _ = url_to_fs(self.address.url)
            self._owner = os.getpid()
        return self._opened

    def _path(self, key: str) -> str:
        return str(self._file_system()._strip_protocol((self.address / key).url))


def _stat(entry: Any) -> Stat:
    stamp = next((entry[name] for name in _STAMPS if entry.get(name)), "")
    return Stat(int(entry["size"]), str(stamp))


def _plain(path: str) -> str:
    return path.strip("/")


def _reason(error: Exception) -> str:
    text = without_secrets(" ".join(str(error).split())) or type(error).__name__
    return text if len(text) <= 200 else f"{text[:197]}..."
