"""The files in a zip, which is not unpacked.

Each file is read with one read of the zip, its local header and its data together, and is compared
with the CRC-32 that the zip has of it.
"""

from __future__ import annotations

import bz2
from collections.abc import Callable, Collection
from functools import lru_cache
from io import BufferedReader, BytesIO
from pathlib import Path
from threading import Lock
from typing import BinaryIO, NamedTuple

from mtfast.addresses import Address
from mtfast.errors import SourceError
from mtfast.limits import max_unpacked_bytes
from mtfast.sources.files import too_long
from mtfast.sources.trees.ranges import Ranges, RangesFile, ranges_of
from mtfast.sources.trees.zip_directory import LOCAL, decode_name, read_directory

__all__ = ["ZipContents"]

_STORED, _DEFLATED, _BZIP2 = 0, 8, 12
_METHODS = {6: "Implode", 9: "Deflate64", 14: "LZMA", 93: "Zstandard", 95: "XZ", 98: "PPMd"}
_ENCRYPTED, _DESCRIBED = 1 << 0, 1 << 3
# Between local header and data; zip64, times and owners take 60 bytes.
_EXTRA = 256
# Longer files are not held in memory where they are stored as they are.
_MOST_HELD = 1 << 26
_BLOCK = 1 << 24


class _Entry(NamedTuple):
    """What the central directory says of a file, see :class:`Directory`."""

    path: str
    start: int
    stop: int
    packed: int
    size: int
    crc: int
    method: int
    flags: int


class ZipContents:
    """Everything in a zip of this machine, a bucket or a web server.

    Parameters
    ----------
    location : Path or Address
        Absolute.
    stamp : int or str, optional
        What its was when it was opened first: another one by now is refused.

    Raises
    ------
    FileNotFoundError
        If there is none at an address.
    SourceError
        If it is no zip, is cut off, or has changed.
    RemoteError
    """

    lists = True

    def __init__(self, location: Path | Address, stamp: int | str | None = None) -> None:
        self.location = location
        self._ranges: Ranges = ranges_of(location)
        self._stamp = self._ranges.stamp
        if stamp not in (None, self._stamp):
            raise SourceError(
                f"{location} has changed; expected it as it was when the dataset was opened; open "
                f"the dataset again"
            )
        self._directory = read_directory(self._ranges)
        # Of long files, which were compared with their checksums.
        self._compared: set[int] = set()
        self._comparing = Lock()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ZipContents):
            return NotImplemented
        return (self.location, self._stamp) == (other.location, other._stamp)

    def __hash__(self) -> int:
        return hash((self.location, self._stamp))

    def __reduce__(self) -> tuple[Callable[..., ZipContents], tuple[Path | Address, int | str]]:
        return _opened, (self.location, self._stamp)

    def __repr__(self) -> str:
        return f"<zip {self.location}>"

    @property
    def is_far(self) -> bool:
        """Whether each read is a request."""
        return not self._ranges.is_near

    @property
    def name(self) -> str:
        """The name of the zip without its ending."""
        name = self.location.name
        return name[: -len(".zip")] if name.lower().endswith(".zip") else name

    def listing(self, folder: str) -> dict[str, bool] | None:
        """List a folder: names, and whether each is a folder; None if there is no such folder."""
        names = self._directory.folders.get(folder)
        return None if names is None else {name: number < 0 for name, number in names.items()}

    def has(self, path: str) -> bool:
        """Whether there is such a file."""
        return self._directory.find(path) >= 0

    def stamp(self, path: str) -> list[int | str]:
        """Return the bytes of a file and its CRC-32; FileNotFoundError if there is none."""
        number = self._number(path)
        return [int(self._directory.sizes[number]), int(self._directory.crcs[number])]

    def look_at(self, paths: Collection[str]) -> None:
        """Do nothing: the directory says all."""

    def open(self, path: str) -> BinaryIO:
        """Open a file, that has been compared with its checksum."""
        number = self._number(path)
        entry = self._entry(number, path)
        if entry.method != _STORED or entry.size <= _MOST_HELD:
            return BytesIO(self._unpack(entry, self._packed(entry)))
        data_at = self._data_at(entry)
        with self._comparing:
            if number not in self._compared:
                self._compare(entry, data_at)
                self._compared.add(number)
        return BufferedReader(RangesFile(self._ranges, data_at, entry.size))

    def whole(self, path: str) -> BinaryIO:
        """Open a file of which all is read."""
        return self.open(path)

    def read(self, path: str, most: int) -> bytes:
        """Read a file whole that may have so many bytes."""
        entry = self._entry(self._number(path), path)
        if entry.size > most:
            raise too_long(path, entry.size, most)
        return self._unpack(entry, self._packed(entry))

    def _number(self, path: str) -> int:
        number = self._directory.find(path)
        if number < 0:
            raise FileNotFoundError(path)
        return number

    def _entry(self, number: int, path: str) -> _Entry:
        of = self._directory
        columns = (of.starts, of.stops, of.packed, of.sizes, of.crcs, of.methods, of.flags)
        entry = _Entry(path, *(int(column[number]) for column in columns))
        if number in of.twice:
            raise self._bad(path, "is there several times, with different contents", "once")
        if entry.flags & _ENCRYPTED:
            raise self._bad(path, "is encrypted", "files that are not")
        if entry.method not in (_STORED, _DEFLATED, _BZIP2):
            method = _METHODS.get(entry.method, f"method {entry.method}")
            raise self._bad(path, f"is packed with {method}", "Deflate, or files as they are")
        if entry.method == _STORED and entry.size != entry.packed:
            raise self._damaged(path, "its sizes contradict each other")
        most = max_unpacked_bytes(entry.packed)
        if entry.method != _STORED and entry.size > most:
            raise self._bad(path, f"has {entry.size:,} bytes unpacked", f"at most {most:,}")
        return entry

    def _packed(self, entry: _Entry) -> bytes | memoryview:
        """Read the data of a file, with its local header at once where a read is a request."""
        if self._ranges.is_near and entry.packed > _EXTRA:
            return self._ranges.read(self._data_at(entry), entry.packed)
        length = LOCAL.size + len(entry.path.encode()) + _EXTRA + entry.packed
        data = self._ranges.read(entry.start, min(length, entry.stop - entry.start))
        begin = self._data_offset(entry, data)
        if (missing := begin + entry.packed - len(data)) > 0:
            data += self._ranges.read(entry.start + len(data), missing)
        return memoryview(data)[begin : begin + entry.packed]

    def _data_at(self, entry: _Entry) -> int:
        length = LOCAL.size + len(entry.path.encode()) + _EXTRA
        data = self._ranges.read(entry.start, min(length, entry.stop - entry.start))
        return entry.start + self._data_offset(entry, data)

    def _data_offset(self, entry: _Entry, data: bytes) -> int:
        """Compare a local header with the directory; return where the data begin after it."""
        sign, flags, method, crc, packed, size, n_name, n_extra = LOCAL.unpack_from(data)
        if sign != b"PK\x03\x04":
            raise self._damaged(entry.path, "nothing is where the directory says that it is")
        # What follows the data says the rest then; sizes beyond 32 bits are further on.
        known = [(method, entry.method)]
        if not flags & _DESCRIBED:
            known += [(crc, entry.crc)]
            known += [
                (stated, found)
                for stated, found in ((packed, entry.packed), (size, entry.size))
                if stated != 0xFFFFFFFF
            ]
        name = decode_name(data[LOCAL.size : LOCAL.size + n_name], flags, True)
        begin: int = LOCAL.size + n_name + n_extra
        same_name = _plain(name) == _plain(entry.path)
        if any(stated != found for stated, found in known) or not same_name:
            raise self._damaged(entry.path, "what stands before it is of another file")
        if entry.start + begin + entry.packed > entry.stop:
            raise self._damaged(entry.path, "it reaches into the next file")
        return begin

    def _unpack(self, entry: _Entry, packed: bytes | memoryview) -> bytes:
        try:
            content = _unpacked(packed, entry)
        except (RuntimeError, OSError, EOFError) as error:
            raise self._damaged(entry.path, f"it cannot be unpacked ({error})") from error
        if len(content) != entry.size or _crc32(content) != entry.crc:
            raise self._damaged(entry.path, "it does not have the checksum that is stated")
        return content

    def _compare(self, entry: _Entry, data_at: int) -> None:
        crc = 0
        for start in range(0, entry.size, _BLOCK):
            length = min(_BLOCK, entry.size - start)
            crc = _crc32(self._ranges.read(data_at + start, length), crc)
        if crc != entry.crc:
            raise self._damaged(entry.path, "it does not have the checksum that is stated")

    def _damaged(self, path: str, why: str) -> SourceError:
        return SourceError(
            f"{self.location / path} is damaged: {why}; expected it as it was packed; download the "
            f"zip again"
        )

    def _bad(self, path: str, what: str, expected: str) -> SourceError:
        return SourceError(
            f"{self.location / path} {what}; expected {expected}; unpack the zip, or pack it again "
            f"without that"
        )


@lru_cache(maxsize=8)
def _opened(location: Path | Address, stamp: int | str) -> ZipContents:
    """Open a zip once in each process that is sent it."""
    return ZipContents(location, stamp)


def _unpacked(packed: bytes | memoryview, entry: _Entry) -> bytes:
    """Unpack a file, and not a byte more than it should have but one that tells so."""
    if entry.method == _STORED:
        return bytes(packed)
    if entry.method == _BZIP2:
        return bz2.BZ2Decompressor().decompress(packed, entry.size + 1)
    if not entry.size:
        return b""
    import imagecodecs

    # libdeflate: 1.4 times as fast as zlib on JPEG files.
    return bytes(imagecodecs.deflate_decode(packed, out=entry.size, raw=True))


def _crc32(data: bytes, value: int = 0) -> int:
    import imagecodecs

    # 28 GB/s, of which zlib makes 4.
    return int(imagecodecs.deflate_crc32(data, value))


def _plain(name: str) -> str:
    return "/".join(p for p in name.replace("\\", "/").split("/") if p not in ("", "."))
