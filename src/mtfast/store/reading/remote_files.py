"""The files of a store in a bucket or on a web server.

::

    metadata        one request for all of them, when the store is opened
    columns         those of a group side by side, when the first of them is read
    shards          opened by one request for the end of the file: its index, and all of a file that
                    is small, as those of masks, of a crop index and of RLE texts are
    image files     one request for a file; of a window's ranges, at most two

What is small stays in memory up to HELD_BYTES; beyond that, what was used longest ago is dropped,
and ranges of those files are read instead. Image files are kept only between fetch_ahead and the
read, or in a folder (:mod:`mtfast.remote.disk_cache`).
"""

from __future__ import annotations

import itertools
import logging
import os
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from threading import Lock
from typing import Any

from mtfast.addresses import Address
from mtfast.errors import RemoteError, StoreError
from mtfast.remote import objects_at
from mtfast.remote.disk_cache import CacheOptions, DiskCache
from mtfast.remote.objects import Stat
from mtfast.store import schema
from mtfast.store.reading.files import SMALL_FILE, explain_zarr
from mtfast.store.reading.held_ranges import HeldRange, HeldRanges

__all__ = ["N_REQUESTS", "RemoteFile", "RemoteFiles", "merged"]

logger = logging.getLogger(__name__)

N_REQUESTS = 32
"""Requests that one opened store makes side by side, at most."""

HELD_BYTES = 256 << 20
"""Small files that one opened store keeps in memory, at most."""

AHEAD_BYTES = 256 << 20
"""Image files that were fetched ahead, or of which ranges are being read, at most."""

OPEN_FILES = 1 << 16
"""Files of which one opened store remembers sizes, at most."""

GAP = 1 << 20
"""Ranges of one file with fewer bytes between them are read with one request: as many bytes as
come while a request waits for its answer (20 ms at 50 MB/s)."""

MOST_AHEAD = 4
"""Files of each column that are read together with others, at most: 2**20 values."""

LOOK_AGAIN = 5.0
"""Seconds between looks at whether the store is still the same one."""

_FILE = "zarr.json"


class RemoteFile:
    """A file of a store elsewhere. See :class:`mtfast.store.reading.files.StoreFile`."""

    __slots__ = ("_files", "_key", "identity", "size")

    is_remote = True

    def __init__(self, files: RemoteFiles, key: str, stat: Stat) -> None:
        self._files, self._key = files, key
        self.size = stat.n_bytes
        self.identity: Hashable = stat

    def read(self, start: int, length: int) -> bytes:
        """Read a range of bytes; StoreError if the file ends sooner."""
        stop = start + length
        for held in (self._files.small, self._files.ahead):
            found = held.find(self._key, start, stop)
            if found is not None:
                return found.part(start, stop)
        return self._read(start, length)

    def _read(self, start: int, length: int) -> bytes:
        if start + length > self.size:
            raise StoreError(
                f"{self._files.where(self._key)} ends at byte {self.size}; expected "
                f"{start + length} bytes; run 'mtfast check' on the store"
            )
        data, stat = self._files.fetch(self._key, start, length)
        if stat != self.identity:
            raise self._files.replaced()
        return data

    def read_into(
        self, start: int, ranges: Iterable[tuple[int, int, int]], out: memoryview
    ) -> None:
        """Read ranges of bytes into a buffer, with at most two requests."""
        ranges = list(ranges)
        self.hold([(start + first, start + first + length) for first, length, _ in ranges])
        for first, length, place in ranges:
            out[place : place + length] = self.read(start + first, length)

    def hold(self, ranges: Sequence[tuple[int, int]]) -> None:
        """Read ranges (start, stop), with at most two requests, so that they are in memory."""
        small, ahead = self._files.small, self._files.ahead
        missing = [
            (start, stop)
            for start, stop in ranges
            if start < stop
            and small.find(self._key, start, stop) is None
            and ahead.find(self._key, start, stop) is None
        ]
        helds = [HeldRange(start, stop) for start, stop in merged(missing)]
        for held in helds:
            ahead.add(self._key, held)
        others = [self._files.soon(self._fill, held) for held in helds[1:]]
        for held in helds[:1]:
            self._fill(held)
        for other in others:
            other.result()

    def _fill(self, held: HeldRange) -> None:
        try:
            held.fill(self._read(held.start, held.stop - held.start))
        except BaseException as error:
            # Whoever waits gets it; whoever comes later asks again.
            self._files.ahead.drop(self._key, held)
            held.fail(error)
            raise

    def fetch_ahead(self, start: int, length: int) -> None:
        """Read a range into memory, unless that is full of what is still to be used."""
        # One range, so that no thread of the pool waits for another.
        if self._files.ahead.has_room(length):
            self.hold([(start, start + length)])


def merged(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Merge ranges into one, or into two where most bytes between them are left out by it.

    Parameters
    ----------
    ranges : iterable of (start, stop)

    Returns
    -------
    list of (start, stop)

    Examples
    --------
    >>> merged([(0, 10), (500, 600), (4_000_000, 4_000_100), (4_000_200, 4_000_300)])
    [(0, 600), (4000000, 4000300)]
    """
    found = sorted(ranges)
    if not found:
        return []
    stops = list(itertools.accumulate((stop for _, stop in found), max))
    gaps = [start - stop for (start, _), stop in zip(found[1:], stops, strict=False)]
    widest = max(range(len(gaps)), key=gaps.__getitem__, default=0)
    if not gaps or gaps[widest] < GAP:
        return [(found[0][0], stops[-1])]
    return [(found[0][0], stops[widest]), (found[widest + 1][0], stops[-1])]


class RemoteFiles:
    """The files of a store at an address. See :class:`mtfast.store.reading.files.StoreFiles`.

    Any number of threads share it. A forked process keeps what was read and starts threads of its
    own; a pickled store opens its own.

    Parameters
    ----------
    root : Address
        Of the store.
    cache : CacheOptions, optional
        Where what was read is kept on this machine.
    """

    is_remote = True

    def __init__(self, root: Address, cache: CacheOptions | None = None) -> None:
        self.root = root
        self.nodes: Mapping[str, Any] | None = None
        self.small, self.ahead = HeldRanges(HELD_BYTES), HeldRanges(AHEAD_BYTES)
        self._objects = objects_at(root)
        self._options = cache
        self._cache: DiskCache | None = None
        self._identity: Stat | None = None
        self._files: OrderedDict[str, RemoteFile] = OrderedDict()
        self._columns: dict[str, Future[bytes]] = {}
        self._begun_groups: set[str] = set()
        self._begin()

    def _begin(self) -> None:
        """Make what no other process may share."""
        self._owner = os.getpid()
        self._lock = Lock()
        self._pool: ThreadPoolExecutor | None = None
        self._opening: dict[str, Future[RemoteFile]] = {}
        self._looked = time.monotonic()

    def _here(self) -> None:
        """After a fork, leave the threads and locks of the parent alone."""
        if self._owner != os.getpid():
            self.small, self.ahead = self.small.copy(), self.ahead.copy()
            self._columns = {}
            self._begin()

    @property
    def keeps_files(self) -> bool:
        """Whether image files are kept on this machine, so that they are read whole."""
        return self._cache is not None

    def known(self, nodes: Mapping[str, Any]) -> RemoteFiles:
        """Take metadata that were checked, see :attr:`StoreFiles.nodes`.

        Parameters
        ----------
        nodes : mapping

        Returns
        -------
        RemoteFiles
            Itself.
        """
        self.nodes = nodes
        return self

    def where(self, key: str) -> str:
        """Return the address of a file or folder."""
        return str(self.root / key)

    def exists(self, key: str) -> bool:
        """Whether there is such a file."""
        try:
            self._objects.stat(key)
        except FileNotFoundError:
            return False
        return True

    def replaced(self) -> StoreError:
        """Return the error of a store that is another one by now."""
        return StoreError(
            f"{self.root} has been replaced since it was opened; expected it to stay; "
            f"open the store again"
        )

    def soon(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Call a function in a thread, beside other requests.

        Parameters
        ----------
        function : callable
        *arguments : object

        Returns
        -------
        Future
        """
        self._here()
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(N_REQUESTS, "mtfast-remote")
            return self._pool.submit(function, *arguments)

    def read(self, key: str) -> bytes:
        """Read a whole file; StoreError if it is not there."""
        self._here()
        if key == _FILE:
            return self._read_root()
        self._look()
        self._read_group_ahead(key)
        column = self._columns.pop(key, None)
        return self._read_whole(key) if column is None else column.result()

    def _read_root(self) -> bytes:
        with self._explained(_FILE):
            data, stat = self._objects.read_part(_FILE)
        if self._identity is None:
            self._identity = stat
            self._open_cache(stat)
        elif stat != self._identity:
            raise self.replaced()
        return data

    def _open_cache(self, stat: Stat) -> None:
        if not stat.stamp:
            logger.warning(
                "%s: the server sends neither ETag nor Last-Modified: a store that is replaced is "
                "noticed by its checksums alone%s",
                self.root,
                ", and nothing is cached" if self._options else "",
            )
        elif self._options is not None:
            self._cache = DiskCache(self._options, f"{self.root}\n{stat.n_bytes}\n{stat.stamp}")

    def _read_whole(self, key: str) -> bytes:
        return self.fetch(key, None, None)[0]

    def _read_group_ahead(self, key: str) -> None:
        """Start to read all columns of a group, as those who read one read most."""
        group = key.partition("/c/")[0].rpartition("/")[0]
        if self.nodes is None or group in self._begun_groups:
            return
        groups = groups_beside(group)
        self._begun_groups.update(groups)
        for other in column_files(self, groups):
            self._columns[other] = self.soon(self._read_whole, other)

    def fetch(self, key: str, start: int | None, length: int | None) -> tuple[bytes, Stat]:
        """Read a file, a range or its end, as Objects.read_part does; from the disk if it is kept.

        Parameters
        ----------
        key : str
        start, length : int or None

        Returns
        -------
        data : bytes
        stat : Stat

        Raises
        ------
        StoreError
            If there is no such file.
        RemoteError
            If the storage does not answer.
        """
        self._here()
        name = f"{key}\n{start}\n{length}"
        if self._cache is not None:
            found = self._cache.find(name)
            if found is not None:
                return found
        with self._explained(key):
            data, stat = self._objects.read_part(key, start, length)
        if self._cache is not None:
            self._cache.keep(name, data, stat)
        return data, stat

    @contextmanager
    def _explained(self, key: str) -> Iterator[None]:
        """Turn a missing file into an error of the store."""
        try:
            yield
        except FileNotFoundError:
            if self.is_another():
                raise self.replaced() from None
            raise StoreError(
                f"{self.where(key)} is not there; expected a file of the store; run 'mtfast check' "
                f"on a copy of it, or copy the store there again"
            ) from None

    def open(self, key: str, tail: int = SMALL_FILE) -> RemoteFile:
        """Open a file of which ranges are read; its last bytes are read at once."""
        self._here()
        file = self._files.get(key)
        if file is not None:
            return file
        with self._lock:
            opening = self._opening.get(key)
            is_mine = opening is None
            if opening is None:
                opening = self._opening[key] = Future()
        if is_mine:
            try:
                opening.set_result(self._open(key, tail))
            except BaseException as error:
                opening.set_exception(error)
            finally:
                self._opening.pop(key, None)
        return opening.result()

    def _open(self, key: str, tail: int) -> RemoteFile:
        self._look()
        data, stat = self.fetch(key, None, tail)
        end = HeldRange(stat.n_bytes - len(data), stat.n_bytes)
        end.fill(data)
        file = RemoteFile(self, key, stat)
        # The index of a large file is read once, and then kept as an array.
        held = self.small if tail == SMALL_FILE and len(data) == stat.n_bytes else self.ahead
        held.add(key, end)
        with self._lock:
            self._files[key] = file
            while len(self._files) > OPEN_FILES:
                self._files.popitem(last=False)
        return file

    def _look(self) -> None:
        """Make sure, now and then, that the store is the one that was opened."""
        if time.monotonic() >= self._looked + LOOK_AGAIN:
            self._looked = time.monotonic()
            if self.is_another():
                raise self.replaced()

    def is_another(self) -> bool:
        """Return whether another store is there, or none, since this one was opened."""
        if self._identity is None:
            return False
        try:
            return self._objects.stat(_FILE) != self._identity
        except FileNotFoundError:
            return True
        except RemoteError:
            # A server may refuse HEAD alone; what else is wrong, the read that follows tells.
            return False

    def open_with_zarr(self, key: str) -> Any:
        """Open an array with zarr, read only."""
        import zarr

        from mtfast.store.reading.zarr_store import ObjectsStore

        with explain_zarr(self.where(key)):
            return zarr.open_array(ObjectsStore(self._objects), path=key, mode="r")


def groups_beside(group: str) -> tuple[str, ...]:
    """Return the groups whose columns are read together: of the images, or of the instances.

    Parameters
    ----------
    group : str

    Returns
    -------
    tuple of str

    Examples
    --------
    >>> groups_beside("train/columns"), groups_beside("train/variants")
    (('train', 'train/columns', 'train/crop_index'), ('train/instances', 'train/variants'))
    """
    split = group.partition("/")[0]
    if group in (f"{split}/{name}" for name in ("instances", "variants")):
        return f"{split}/instances", f"{split}/variants"
    return split, f"{split}/{schema.COLUMN_GROUP}", f"{split}/{schema.CROP_GROUP}"


def column_files(files: RemoteFiles, groups: Collection[str]) -> list[str]:
    """Return the first files of all columns of groups.

    Parameters
    ----------
    files : RemoteFiles
        With metadata.
    groups : collection of str
        Their keys.

    Returns
    -------
    list of str
    """
    from mtfast.store.reading.metadata import read_array

    found: list[str] = []
    for key, node in (files.nodes or {}).items():
        if key.rpartition("/")[0] not in groups or node.get("node_type") != "array":
            continue
        stored = read_array(files, key)
        # Neither shards nor what is read in place.
        if stored.has_whole_rows and not stored.inner and len(stored.codecs) > 1:
            n_files = -(-stored.shape[0] // stored.chunk[0])
            found += [stored.file_name.format(number) for number in range(min(n_files, MOST_AHEAD))]
    return found
