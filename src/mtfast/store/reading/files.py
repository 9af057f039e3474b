"""The files of an opened store: metadata, and descriptors that threads and forks share."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from mtfast.errors import StoreError

__all__ = ["File", "Files", "Metadata", "read_metadata"]

OPEN_FILES = 256
"""Shard files that one opened store keeps open at most."""

Metadata = dict[str, Any]


def read_metadata(path: Path) -> Metadata:
    """Read the ``zarr.json`` of an array or group."""
    file = path / "zarr.json"
    try:
        metadata = msgspec.json.decode(file.read_bytes())
    except FileNotFoundError:
        raise StoreError(
            f"no {file.name} in {path}; expected a Zarr v3 store; check the path"
        ) from None
    except msgspec.DecodeError as error:
        raise StoreError(
            f"{file} is damaged ({error}); expected JSON; convert the set again"
        ) from error
    except OSError as error:
        raise StoreError(f"{file} cannot be read: {error.strerror}; check its rights") from error
    if not isinstance(metadata, dict):
        raise StoreError(f"{file} holds no object; expected Zarr metadata; convert the set again")
    return metadata


class File:
    """An open file that closes itself, and what tells whether it is still the same."""

    __slots__ = ("descriptor", "identity", "size")

    def __init__(self, path: str) -> None:
        self.descriptor = -1
        try:
            self.descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        except OSError as error:
            raise StoreError(
                f"{path} cannot be opened: {error.strerror}; expected a file of the store; "
                f"convert the set again"
            ) from error
        status = os.fstat(self.descriptor)
        self.size = status.st_size
        self.identity = (status.st_ino, status.st_mtime_ns, status.st_size)

    def __del__(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)

    def read(self, start: int, length: int, path: str) -> bytes:
        """Read a range of bytes; StoreError, which names the path, where the file ends sooner."""
        data = os.pread(self.descriptor, length, start)
        while len(data) < length:
            more = os.pread(self.descriptor, length - len(data), start + len(data))
            if not more:
                raise StoreError(
                    f"{path} ends at byte {start + len(data)}; expected {start + length} bytes; "
                    f"convert the set again"
                )
            data += more
        return data


class Files:
    """The open files of a store: opened when first read, the least used closed beyond a limit.

    ``marker`` is a file of the store that is new if the store is. Descriptors are read with
    ``pread`` only, so threads and forked children share them safely; a pickled store opens its own.
    """

    def __init__(self, marker: Path) -> None:
        identity = _identify(marker)

        def open_(path: str) -> File:
            # Another store in the same place has other names and offsets than those already read.
            if _identify(marker) != identity:
                raise StoreError(
                    f"{marker.parent} has been replaced since it was opened; expected it to stay; "
                    f"open the store again"
                )
            return File(path)

        self.open: Callable[[str], File] = lru_cache(OPEN_FILES)(open_)


def _identify(file: Path) -> tuple[int, int]:
    try:
        status = file.stat()
    except OSError:
        return 0, 0
    return status.st_ino, status.st_mtime_ns
