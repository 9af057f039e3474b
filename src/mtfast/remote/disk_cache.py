"""What was read of objects elsewhere, kept in a folder of this machine.

::

    FOLDER/<store>/<range>      store: a hash of its address and of the ETag of its metadata
                                range: a hash of the key, the first byte and the length

Each file has a checksum, and gets its name when it is whole: any number of processes use one
folder. What was used longest ago is removed beyond a limit. Where the disk is full, or the folder
cannot be written to, nothing is kept.
"""

from __future__ import annotations

import hashlib
import logging
import os
import struct
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import google_crc32c

from mtfast.remote.objects import Stat

__all__ = ["CacheOptions", "DiskCache"]

logger = logging.getLogger(__name__)

# A mark, the checksum of all that follows, the size of the object, the length of its stamp.
_HEAD = struct.Struct("<4sIQI")
_MARK = b"mtf1"
# The folder is looked through each time that a process has written this part of the limit.
_PART = 32
# Down to this part of the limit, so that it is not looked through with each file.
_LEFT = 0.9
# Of what was written and never got its name.
_UNFINISHED = ".part-"


class CacheOptions(NamedTuple):
    """Where what was read is kept, and how much of it.

    Attributes
    ----------
    folder : Path
        Absolute.
    n_bytes : int
    """

    folder: Path
    n_bytes: int


class DiskCache:
    """Ranges of the objects of one store.

    Parameters
    ----------
    options : CacheOptions
    identity : str
        Of the store: what changes when it is replaced.
    """

    def __init__(self, options: CacheOptions, identity: str) -> None:
        self._options = options
        self._folder = options.folder / _hash(identity)
        self._since = options.n_bytes
        self._is_off = False

    def find(self, name: str) -> tuple[bytes, Stat] | None:
        """Return a range, unless it is not there or damaged.

        Parameters
        ----------
        name : str

        Returns
        -------
        data : bytes
        stat : Stat
            Of the object.
        """
        path = self._folder / _hash(name)
        try:
            data = path.read_bytes()
            os.utime(path)
        except OSError:
            return None
        found = _unpacked(data)
        if found is None:
            logger.warning("%s is damaged and is read again", path)
            with suppress(OSError):
                path.unlink()
        return found

    def keep(self, name: str, data: bytes, stat: Stat) -> None:
        """Keep a range.

        Parameters
        ----------
        name : str
        data : bytes
        stat : Stat
            Of the object.
        """
        if self._is_off or len(data) > self._options.n_bytes // 2:
            return
        stamp = stat.stamp.encode()
        rest = stat.n_bytes.to_bytes(8, "little") + len(stamp).to_bytes(4, "little") + stamp
        crc = google_crc32c.extend(google_crc32c.value(rest), data)
        try:
            self._make_room(len(data))
            self._write(self._folder / _hash(name), _MARK + crc.to_bytes(4, "little") + rest, data)
        except OSError as error:
            self._is_off = True
            logger.warning(
                "%s: nothing more is kept there: %s", self._options.folder, error.strerror
            )

    def _write(self, path: Path, head: bytes, data: bytes) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        descriptor, partial = tempfile.mkstemp(prefix=_UNFINISHED, dir=self._folder)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(head)
                file.write(data)
            # Not synced: what a crash damages is read again.
            Path(partial).replace(path)
        except BaseException:
            with suppress(OSError):
                Path(partial).unlink()
            raise

    def _make_room(self, n_bytes: int) -> None:
        """Look through the folder now and then, and remove what was used longest ago."""
        self._since += n_bytes
        if self._since * _PART < self._options.n_bytes:
            return
        self._since = 0
        files = sorted(_files_of(self._options.folder))
        total = sum(size for _, size, _ in files) + n_bytes
        if total <= self._options.n_bytes:
            return
        for _, size, path in files:
            if total <= _LEFT * self._options.n_bytes:
                break
            with suppress(OSError):
                Path(path).unlink()
            total -= size


def _files_of(folder: Path) -> list[tuple[int, int, str]]:
    """Return when each file of a cache was used last, its bytes and its path."""
    found = []
    for store in os.scandir(folder) if folder.is_dir() else ():
        if not store.is_dir(follow_symlinks=False):
            continue
        for file in os.scandir(store):
            # Another process may have removed it by now.
            with suppress(OSError):
                status = file.stat(follow_symlinks=False)
                found.append((status.st_mtime_ns, status.st_size, file.path))
    return found


def _unpacked(data: bytes) -> tuple[bytes, Stat] | None:
    if len(data) < _HEAD.size:
        return None
    mark, crc, n_bytes, n_stamp = _HEAD.unpack_from(data)
    if mark != _MARK or google_crc32c.value(data[8:]) != crc:
        return None
    stamp = data[_HEAD.size : _HEAD.size + n_stamp].decode()
    return data[_HEAD.size + n_stamp :], Stat(n_bytes, stamp)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
