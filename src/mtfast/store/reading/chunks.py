"""Chunks of arrays of one row an image, read straight from their shards, without zarr.

The index of a shard is read once, when the shard is first touched; after that a chunk is one
``pread``. Every chunk is followed by its CRC-32C, which is compared unless the store was opened
without checks.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtfast.errors import StoreError
from mtfast.store.file_frames import CHECKSUM_BYTES, decoded_bytes, is_whole, sum_of
from mtfast.store.reading.files import StoreFile, StoreFiles, explain_zarr
from mtfast.store.reading.metadata import StoredArray
from mtfast.store.shard import MISSING, index_bytes, read_index

__all__ = ["ShardedChunks", "ZarrRows", "is_sharded"]

logger = logging.getLogger(__name__)

INDEX_BYTES = 64 << 20
"""Indexes of shards that are kept of one array, at most."""

CODECS = ("bytes", "zstd", "crc32c")


def is_sharded(stored: StoredArray) -> bool:
    """Return whether an array is in the form that convert writes, and can be read in place.

    Parameters
    ----------
    stored : StoredArray

    Returns
    -------
    bool
    """
    return (
        stored.codecs == CODECS
        and bool(stored.inner)
        and stored.inner[0] == 1
        and all(
            shard == -(-side // chunk) * chunk
            for side, shard, chunk in zip(
                stored.shape[1:], stored.chunk[1:], stored.inner[1:], strict=True
            )
        )
    )


class ShardedChunks:
    """The chunks of an array: some of each image, in row-major order.

    Parameters
    ----------
    files : StoreFiles
    stored : StoredArray
        For which :func:`is_sharded` holds.
    verify : bool
        Whether checksums are compared.
    tail : int, optional
        Bytes at the end of a shard that are read when it is opened elsewhere; by default its index.

    Attributes
    ----------
    shape : tuple of int
        Of the array.
    chunk : tuple of int
        Of a chunk of one image.
    n_chunks : int
        Of an image.
    slots : int
        Images in a full shard.
    dtype : numpy dtype
    """

    def __init__(
        self,
        files: StoreFiles,
        stored: StoredArray,
        verify: bool = True,
        tail: int | None = None,
    ) -> None:
        import imagecodecs

        self.shape = stored.shape
        self.dtype = stored.dtype
        self.chunk = stored.inner[1:]
        self.n_chunks = 1
        for shard, chunk in zip(stored.chunk[1:], self.chunk, strict=True):
            self.n_chunks *= shard // chunk
        self.verify = verify
        self.slots = stored.chunk[0]
        self._n_index = self.slots * self.n_chunks
        self._tail = index_bytes(self._n_index) if tail is None else tail
        # Bound here: reading a mask takes so little that the look-up would show.
        self._decode = imagecodecs.zstd_decode
        self._files = files
        self._key = stored.key
        self._indexes: dict[int, tuple[Hashable, NDArray[np.uint64]]] = {}
        self._prefix, self._suffix = stored.file_name.split("{}")

    def _shard(self, shard: int) -> tuple[StoreFile, NDArray[np.uint64]]:
        key = f"{self._prefix}{shard}{self._suffix}"
        file = self._files.open(key, self._tail)
        known = self._indexes.get(shard)
        if known is None:
            length = index_bytes(self._n_index)
            where = self._files.where(key)
            if file.size < length:
                raise StoreError(
                    f"{where} has {file.size} bytes; expected an index of {length} at its end; "
                    f"run 'mtfast check' on the store"
                )
            index = read_index(file.read(file.size - length, length), where)
            known = self._indexes[shard] = (file.identity, index)
            if len(self._indexes) > INDEX_BYTES // length + 1:
                # A list, as other threads add to it.
                self._indexes.pop(list(self._indexes)[0], None)  # noqa: RUF015
        if known[0] != file.identity:
            raise StoreError(
                f"{self._files.where(key)} has changed since the store was opened; expected it to "
                f"stay; open the store again"
            )
        return file, known[1]

    def presence(self, shard: int) -> NDArray[np.bool_]:
        """Return which chunks a shard has.

        Parameters
        ----------
        shard : int

        Returns
        -------
        (n_images, n_chunks) bool
            Of a full shard, also in the last one.

        Raises
        ------
        StoreError
            If it is missing, or its index is damaged.
        """
        _, index = self._shard(shard)
        there: NDArray[np.bool_] = index[:, 0] != MISSING
        return there.reshape(self.slots, self.n_chunks)

    def place(self, image: int, chunk: int = 0) -> tuple[StoreFile, int, int]:
        """Return where a chunk is.

        Parameters
        ----------
        image, chunk : int

        Returns
        -------
        file : StoreFile
        start, length : int
            In bytes; the last four are the checksum.

        Raises
        ------
        StoreError
            If it is not there.
        """
        shard, slot = divmod(image, self.slots)
        file, index = self._shard(shard)
        start, length = index[slot * self.n_chunks + chunk].tolist()
        if start == MISSING or start + length > file.size or length < CHECKSUM_BYTES:
            raise StoreError(
                f"{self._files.where(f'{self._prefix}{shard}{self._suffix}')} holds no chunk for "
                f"image {image}; expected one for every image; run 'mtfast check' on the store"
            )
        return file, start, length

    def read(self, image: int, chunk: int = 0, expected: int | None = None) -> bytes:
        """Return the stored bytes of a chunk.

        Parameters
        ----------
        image, chunk : int
        expected : int, optional
            Its checksum, as the columns of the store have it.

        Returns
        -------
        bytes
            The zstd frame and its checksum.

        Raises
        ------
        StoreError
            If it is not there, or a checksum does not match.
        """
        file, start, length = self.place(image, chunk)
        data = file.read(start, length)
        if self.verify and not (is_whole(data) and expected in (None, sum_of([data]))):
            raise self._changed(image)
        return data

    def read_several(self, image: int, chunks: Iterable[int], expected: int) -> Iterator[bytes]:
        """Read all chunks that an image has.

        Parameters
        ----------
        image : int
        chunks : iterable of int
        expected : int
            Checksum of them all, as the columns of the store have it. It is compared after the last
            chunk: what is made of the chunks is valid once the iterator has ended.

        Yields
        ------
        bytes
            As :meth:`read`.

        Raises
        ------
        StoreError
            As :meth:`read`.
        """
        sums = []
        if self._files.is_remote:
            chunks = list(chunks)
            self.hold(image, chunks)
        for chunk in chunks:
            data = self.read(image, chunk)
            sums.append(data[-CHECKSUM_BYTES:])
            yield data
        if self.verify and sum_of(sums) != expected:
            raise self._changed(image)

    def hold(self, image: int, chunks: Sequence[int]) -> None:
        """Read chunks of an image that are read next into memory together.

        Parameters
        ----------
        image : int
        chunks : sequence of int

        Raises
        ------
        StoreError
            As :meth:`place`, or if they cannot be read.
        """
        places = [self.place(image, chunk) for chunk in chunks]
        if places:
            places[0][0].hold([(start, start + length) for _, start, length in places])

    def expect_sum(self, image: int, n_chunks: int, expected: int) -> None:
        """Compare the stored checksums of an image's chunks, of which not all is read.

        Parameters
        ----------
        image : int
        n_chunks : int
            It has the first so many.
        expected : int
            Checksum of them all, as the columns of the store have it.

        Raises
        ------
        StoreError
            If it is another one.
        """
        if not self.verify:
            return
        ends = []
        for chunk in range(n_chunks):
            file, start, length = self.place(image, chunk)
            ends.append(file.read(start + length - CHECKSUM_BYTES, CHECKSUM_BYTES))
        if sum_of(ends) != expected:
            raise self._changed(image)

    def decode(self, image: int, chunk: int = 0, out: Any = None, expected: Any = None) -> Any:
        """Decode a chunk.

        Parameters
        ----------
        image, chunk : int
        out : array of the chunk's shape, optional
            Takes the values; in C order.
        expected : int, optional
            As for :meth:`read`.

        Returns
        -------
        array
            ``out`` if given.

        Raises
        ------
        StoreError
            As :meth:`read`, or if it does not decode.
        """
        return self.unpack(image, self.read(image, chunk, expected), out)

    def unpack(self, image: int, data: bytes, out: Any = None) -> Any:
        """Decode what :meth:`read` returned.

        Parameters
        ----------
        image : int
            For messages.
        data : bytes
        out : array of the chunk's shape, optional
            As for :meth:`decode`.

        Returns
        -------
        array
            ``out`` if given.

        Raises
        ------
        StoreError
            If it does not decode.
        """
        if out is None:
            out = self._room(image, data)
        flat = out.reshape(-1).view(np.uint8)
        try:
            whole = len(self._decode(data[:-CHECKSUM_BYTES], out=flat)) == flat.size
        except (ValueError, RuntimeError, MemoryError) as error:
            raise self.damaged(image, str(error)) from error
        if not whole:
            raise self.damaged(image, "another size than the array's")
        return out

    def expect_size(self, image: int, data: bytes) -> None:
        """Compare the size that a frame claims with that of a chunk, before memory is taken.

        Parameters
        ----------
        image : int
            For messages.
        data : bytes
            As from :meth:`read`.

        Raises
        ------
        StoreError
            If it is another one.
        """
        n_bytes = math.prod(self.chunk) * self.dtype.itemsize
        claimed = decoded_bytes(data)
        if claimed not in (None, n_bytes):
            raise self.damaged(image, f"{claimed} bytes instead of {n_bytes}")

    def _room(self, image: int, data: bytes) -> NDArray[Any]:
        self.expect_size(image, data)
        try:
            return np.empty(self.chunk, self.dtype)
        except (ValueError, MemoryError) as error:
            raise self.damaged(image, str(error)) from error

    def _changed(self, image: int) -> StoreError:
        return StoreError(
            f"image {image} in {self._files.where(self._key)} is damaged: its checksum does not "
            f"match; expected the bytes that were written; run 'mtfast check' on the store"
        )

    def fetch_ahead(self, image: int, n_chunks: int) -> None:
        """Fetch the first chunks of an image, which will be read soon.

        Parameters
        ----------
        image, n_chunks : int
        """
        self._files.soon(self._fetch, image, n_chunks)

    def _fetch(self, image: int, n_chunks: int) -> None:
        file, start, _ = self.place(image)
        # They are stored one after another.
        _, last, length = self.place(image, n_chunks - 1)
        if last >= start:
            file.fetch_ahead(start, last + length - start)

    def damaged(self, image: int, reason: str) -> StoreError:
        """Return an error that names an image.

        Parameters
        ----------
        image : int
        reason : str

        Returns
        -------
        StoreError
        """
        return StoreError(
            f"image {image} in {self._files.where(self._key)} does not decode ({reason}); expected "
            f"{' x '.join(map(str, self.chunk))} {self.dtype.name}; run 'mtfast check' on the store"
        )


class ZarrRows:
    """Rows of an array in any form that zarr reads, through zarr.

    Parameters
    ----------
    files : StoreFiles
    key : str
    """

    def __init__(self, files: StoreFiles, key: str) -> None:
        logger.warning(
            "%s: read through zarr, which is slower: its codecs or chunks are not those of convert",
            files.where(key),
        )
        self._array = files.open_with_zarr(key)
        self._where = files.where(key)
        self.shape = tuple(self._array.shape)
        self.dtype = np.dtype(self._array.dtype)

    def read(self, image: int, *sides: int) -> NDArray[Any]:
        """Return the values of an image up to an end along each other dimension.

        Parameters
        ----------
        image : int
        *sides : int

        Returns
        -------
        array
            In C order.
        """
        with explain_zarr(self._where):
            return np.ascontiguousarray(self._array[(image, *(slice(0, side) for side in sides))])
