"""Where the files of an opened store are read from.

Everything that is read of a store (metadata, columns, RLE text, shards, crop index) is read through
:class:`StoreFiles`, so that another transport, such as HTTP or S3, is one more class with these
methods. What a file is called is its key: its path below the store, with "/" between folders.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

from mtfast.errors import StoreError
from mtfast.paths import open_regular
from mtfast.regular_file import RegularFile

__all__ = ["SMALL_FILE", "LocalFile", "LocalFiles", "StoreFile", "StoreFiles", "explain_zarr"]

SMALL_FILE = 1 << 22
"""Files elsewhere with no more bytes are read whole when they are opened, and kept in memory."""

OPEN_FILES = 256
"""Shard files that one opened store keeps open at most."""

MAX_READ = 1 << 31
"""Bytes of a file that is read whole, at most: of metadata, or a chunk of a column."""


class StoreFile(Protocol):
    """An open file of a store, of which ranges are read by any number of threads."""

    @property
    def size(self) -> int:
        """Number of bytes."""

    @property
    def identity(self) -> Hashable:
        """What changes when the file is replaced by another of the same name."""

    def read(self, start: int, length: int) -> bytes:
        """Read a range of bytes.

        Parameters
        ----------
        start, length : int
            In bytes.

        Returns
        -------
        bytes
            All of the range.

        Raises
        ------
        StoreError
            If the file ends sooner or cannot be read.
        """

    def read_into(
        self, start: int, ranges: Iterable[tuple[int, int, int]], out: memoryview
    ) -> None:
        """Read ranges of bytes into a buffer.

        Parameters
        ----------
        start : int
        ranges : iterable of (first, length, place)
            In bytes; ``first`` counts from ``start`` on, the place is that of this byte in ``out``.
        out : memoryview
            Of bytes.

        Raises
        ------
        StoreError
            As :meth:`read`.
        """

    def hold(self, ranges: Sequence[tuple[int, int]]) -> None:
        """Read ranges that are read next into memory together, where requests cost time.

        Parameters
        ----------
        ranges : sequence of (start, stop)
            In bytes.
        """

    def fetch_ahead(self, start: int, length: int) -> None:
        """Fetch a range that will be read soon, if that is possible.

        Parameters
        ----------
        start, length : int
            In bytes.
        """


class StoreFiles(Protocol):
    """Read access to the files of a store."""

    @property
    def is_remote(self) -> bool:
        """Whether each read is a request that waits for an answer."""

    @property
    def keeps_files(self) -> bool:
        """Whether image files are best read whole, as they are kept for the next time."""

    def soon(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function that requests what will be read soon, without waiting where it would.

        Parameters
        ----------
        function : callable
        *arguments : object
        """

    @property
    def nodes(self) -> Mapping[str, Any] | None:
        """Key of each group and array -> its metadata, as they were checked; None if they were not.

        Without them the ``zarr.json`` of an array is read.
        """

    def where(self, key: str) -> str:
        """Return where a file is, for messages.

        Parameters
        ----------
        key : str
            Of a file or folder.

        Returns
        -------
        str
        """

    def exists(self, key: str) -> bool:
        """Return whether there is such a file.

        Parameters
        ----------
        key : str

        Returns
        -------
        bool
        """

    def read(self, key: str) -> bytes:
        """Read a whole file.

        Parameters
        ----------
        key : str

        Returns
        -------
        bytes

        Raises
        ------
        StoreError
            If it is not there or cannot be read, or the store is another one by now.
        """

    def open(self, key: str, tail: int = SMALL_FILE) -> StoreFile:
        """Open a file of which ranges are read; an open one is returned again.

        Parameters
        ----------
        key : str
        tail : int
            Bytes at its end that are read with the request that opens it, if it takes one.

        Returns
        -------
        StoreFile

        Raises
        ------
        StoreError
            As :meth:`read`.
        """

    def open_with_zarr(self, key: str) -> Any:
        """Open an array in a form that only zarr reads.

        Parameters
        ----------
        key : str
            Of the array.

        Returns
        -------
        zarr.Array
            Read only.
        """


class LocalFile:
    """An open file of this machine, which closes itself. See :class:`StoreFile`."""

    __slots__ = ("_file", "_path", "identity", "size")

    def __init__(self, path: str) -> None:
        self._path = path
        try:
            self._file = RegularFile(path)
        except OSError as error:
            raise _unreadable(path, error) from error
        status = self._file.status
        self.size = status.st_size
        self.identity = (status.st_ino, status.st_mtime_ns, status.st_size)

    def read(self, start: int, length: int) -> bytes:
        """Read a range of bytes; StoreError if the file ends sooner or cannot be read."""
        try:
            data = self._file.read(start, length)
        except OSError as error:
            raise _unreadable(self._path, error) from error
        if len(data) < length:
            raise StoreError(
                f"{self._path} ends at byte {start + len(data)}; expected "
                f"{start + length} bytes; run 'mtfast check' on the store"
            )
        return data

    def read_into(
        self, start: int, ranges: Iterable[tuple[int, int, int]], out: memoryview
    ) -> None:
        """Read ranges of bytes into a buffer; StoreError as for :meth:`read`."""
        preadv = getattr(os, "preadv", None)
        descriptor = self._file.descriptor
        try:
            for first, length, place in ranges:
                part = out[place : place + length]
                if preadv is None or preadv(descriptor, (part,), start + first) < length:
                    part[:] = self.read(start + first, length)
        except OSError as error:
            raise _unreadable(self._path, error) from error

    def hold(self, ranges: Sequence[tuple[int, int]]) -> None:
        """Do nothing: reads of this machine do not wait for each other."""

    def fetch_ahead(self, start: int, length: int) -> None:
        """Ask the system to read a range into its cache."""
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(self._file.descriptor, start, length, os.POSIX_FADV_WILLNEED)


class OpenLocal(Protocol):
    """Opens a file by its key; ``tail`` means nothing on this machine."""

    def __call__(self, key: str, tail: int = 0, /) -> LocalFile: ...


class LocalFiles:
    """The files of a store in a folder of this machine. See :class:`StoreFiles`.

    Shards stay open once they are read, the least used are closed beyond a limit. Descriptors are
    read with ``pread`` where there is a fork, so threads and forked children share them safely; a
    pickled store opens its own.

    Parameters
    ----------
    root : Path
        Folder of the store.
    marker : str
        Key of a file that tells whether it is still the same store: it stays as long as the store.
    nodes : mapping, optional
        Metadata that were checked, see :attr:`StoreFiles.nodes`.
    """

    is_remote = keeps_files = False

    def __init__(
        self, root: Path, marker: str = "zarr.json", nodes: Mapping[str, Any] | None = None
    ) -> None:
        self.root = root
        self.nodes = nodes
        marker = f"{root}{os.sep}{marker}"
        identity = _identify(marker)

        def locate(key: str) -> str:
            # Another store in the same place has other names and offsets than those already read.
            if _identify(marker) != identity:
                raise StoreError(
                    f"{root} has been replaced since it was opened; expected it to stay; "
                    f"open the store again"
                )
            return f"{root}{os.sep}{key}"

        # No reference to self: the last reference to an opened store closes its files.
        self._locate = locate
        self.open: OpenLocal = lru_cache(OPEN_FILES)(lambda key, _=0: LocalFile(locate(key)))

    def soon(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Call a function."""
        function(*arguments)

    def where(self, key: str) -> str:
        """Return the path of a file or folder."""
        return str(self.root / key)

    def exists(self, key: str) -> bool:
        """Whether there is such a file."""
        return (self.root / key).is_file()

    def read(self, key: str) -> bytes:
        """Read a whole file; StoreError if it cannot be read."""
        path = self._locate(key)
        try:
            with os.fdopen(open_regular(path), "rb", buffering=0) as file:
                if os.fstat(file.fileno()).st_size > MAX_READ:
                    raise OSError(errno.EFBIG, f"it has more than {MAX_READ:,} bytes", path)
                return file.read()
        except OSError as error:
            raise _unreadable(path, error) from error

    def open_with_zarr(self, key: str) -> Any:
        """Open an array with zarr, read only; by the metadata that were checked, if they were."""
        import zarr

        path = self._locate(key)
        with explain_zarr(path):
            if self.nodes is None:
                return zarr.open_array(path, mode="r")
            return zarr.open_group(self.root, mode="r", use_consolidated=True)[key]


@contextmanager
def explain_zarr(where: str) -> Iterator[None]:
    """Turn whatever zarr and its codecs raise in a block into an error of the store.

    Parameters
    ----------
    where : str
        What is read, for the message.

    Raises
    ------
    StoreError
    """
    try:
        yield
    except StoreError:
        raise
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise StoreError(
            f"{where} cannot be read by zarr ({reason}); expected an array that it reads; "
            f"run 'mtfast check' on the store"
        ) from error


def _unreadable(path: str, error: OSError) -> StoreError:
    return StoreError(
        f"{path} cannot be read: {error.strerror}; expected a file of the store; check its rights "
        f"and its disk, then run 'mtfast check' on the store"
    )


def _identify(file: str) -> tuple[int, int]:
    try:
        # Half the time of Path.stat; a shard that is closed and opened again pays it each time.
        status = os.stat(file)  # noqa: PTH116
    except OSError:
        return 0, 0
    return status.st_ino, status.st_mtime_ns
