"""Image files as they were converted, whole or ranges of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mtfast.errors import StoreError
from mtfast.store.file_frames import CHECKSUM_BYTES, chunk_range, unframe
from mtfast.store.reading.chunks import ShardedChunks, ZarrRows, is_sharded
from mtfast.store.reading.files import StoreFiles
from mtfast.store.reading.metadata import read_array

__all__ = ["FileReader"]


class FileReader:
    """Reads the image files of a split.

    Parameters
    ----------
    files : StoreFiles
    key : str
        Of the array.
    lengths : (n_images,) int64
        Bytes of each file.
    sums : (n_images,) uint32
        Checksum of each file's chunks.
    verify : bool
        Whether checksums are compared.
    """

    def __init__(
        self,
        files: StoreFiles,
        key: str,
        lengths: NDArray[np.int64],
        sums: NDArray[np.uint32],
        verify: bool,
    ) -> None:
        stored = read_array(files, key)
        longest = int(lengths.max(initial=0))
        if len(stored.shape) != 2 or stored.shape[0] != len(lengths) or stored.shape[1] < longest:
            raise StoreError(
                f"{files.where(key)} has shape {stored.shape}; expected ({len(lengths)}, "
                f"{longest}), as the columns of the split have it; run 'mtfast check' on the store"
            )
        if lengths.min(initial=1) < 1:
            raise StoreError(
                f"{files.where(key)} has a file of {lengths.min()} bytes; expected at least one; "
                f"run 'mtfast check' on the store"
            )
        self._where = files.where(key)
        self._files = files
        self._lengths, self._sums = lengths, sums
        self._rows = None if is_sharded(stored) else ZarrRows(files, key)
        if self._rows is None:
            self._chunks = ShardedChunks(files, stored, verify)
            (self._piece,) = self._chunks.chunk

    @property
    def is_sharded(self) -> bool:
        """Whether bytes of files can be read in place."""
        return self._rows is None

    @property
    def piece(self) -> int:
        """Bytes of a file that are in one chunk."""
        return self._piece

    def size(self, image: int) -> int:
        """Return how many bytes a file has.

        Parameters
        ----------
        image : int

        Returns
        -------
        int
        """
        return int(self._lengths[image])

    def read_into(
        self, image: int, number: int, ranges: Sequence[tuple[int, int, int]], out: memoryview
    ) -> None:
        """Read ranges of a chunk of a file into a buffer. Their checksums are not compared.

        Parameters
        ----------
        image, number : int
            The image, and which of its chunks.
        ranges : sequence of (first, length, place)
            Bytes of the chunk, ascending; the place is that of the first one in ``out``.
        out : memoryview
            Of bytes.

        Raises
        ------
        StoreError
            If the chunk is not there, or too short.
        """
        file, start, length = self._chunks.place(image, number)
        first, n, _ = ranges[-1]
        if first + n > length:
            raise self._cut_off(image, length, first + n)
        file.read_into(start, ranges, out)

    def read(self, image: int) -> bytes:
        """Return a file.

        Parameters
        ----------
        image : int

        Returns
        -------
        bytes

        Raises
        ------
        StoreError
            If it is missing or damaged.
        """
        n = int(self._lengths[image])
        if self._rows is not None:
            return self._rows.read(image, n).tobytes()
        n_chunks = -(-n // self._piece)
        chunks = self._chunks.read_several(image, range(n_chunks), int(self._sums[image]))
        parts, missing = [], None
        for number, chunk in enumerate(chunks):
            stop = min(n - number * self._piece, self._piece)
            first, last = chunk_range(0, stop)
            if last > len(chunk):
                # Told only after the checksums, which name the cause of it.
                missing = self._cut_off(image, len(chunk), last)
            else:
                parts.append(unframe(chunk[first:last], 0, stop))
        if missing:
            raise missing
        return parts[0] if n_chunks == 1 else b"".join(parts)

    def ranges(self, image: int, ranges: Sequence[tuple[int, int]]) -> bytes:
        """Return ranges of a file, joined. Their checksums are not compared.

        Parameters
        ----------
        image : int
        ranges : sequence of (start, stop)
            In bytes of the file.

        Returns
        -------
        bytes

        Raises
        ------
        StoreError
            As :meth:`read`, or if a range leaves the file.
        """
        n = int(self._lengths[image])
        if any(not 0 <= start <= stop <= n for start, stop in ranges):
            raise StoreError(
                f"ranges beyond the {n} bytes of image {image} in {self._where}; expected them "
                f"inside; run 'mtfast index --overwrite'"
            )
        if self._rows is not None:
            data = self.read(image)
            return b"".join([data[start:stop] for start, stop in ranges])
        parts = []
        for start, stop in ranges:
            while start < stop:
                number, first = divmod(start, self._piece)
                n = min(stop - start, self._piece - first)
                parts.append(self._part(image, number, first, first + n))
                start += n
        return b"".join(parts)

    def hold(self, image: int, ranges: Sequence[tuple[int, int]]) -> None:
        """Read ranges of a file into memory together, and the checksums of its chunks.

        Where requests cost time, :meth:`ranges` and :meth:`expect_sum` read them from there then.

        Parameters
        ----------
        image : int
        ranges : sequence of (start, stop)
            In bytes of the file; what leaves it is left out.

        Raises
        ------
        StoreError
            As :meth:`read`.
        """
        if self._rows is not None or not self._files.is_remote:
            return
        n = int(self._lengths[image])
        numbers = range(-(-n // self._piece))
        if self._files.keeps_files:
            self._chunks.hold(image, numbers)
            return
        wanted = []
        for number in numbers:
            file, begin, length = self._chunks.place(image, number)
            wanted.append((begin + length - CHECKSUM_BYTES, begin + length))
            base = number * self._piece
            for start, stop in ranges:
                here = max(start - base, 0), min(stop - base, self._piece, n - base)
                if here[0] < here[1]:
                    first, last = chunk_range(*here)
                    wanted.append((begin + first, begin + min(last, length)))
        if wanted:
            file.hold(wanted)

    def _part(self, image: int, number: int, start: int, stop: int) -> bytes:
        """Read bytes start .. stop - 1 of what a chunk has of a file."""
        file, begin, length = self._chunks.place(image, number)
        first, last = chunk_range(start, stop)
        if last > length:
            raise self._cut_off(image, length, last)
        return unframe(file.read(begin + first, last - first), start, stop)

    def expect_sum(self, image: int) -> None:
        """Make sure that a file is the one that was converted, before ranges of it are read.

        Its checksum in the shard is compared with that in the columns, and none of its bytes.

        Parameters
        ----------
        image : int

        Raises
        ------
        StoreError
            If the two differ.
        """
        if self._rows is None:
            n_chunks = -(-int(self._lengths[image]) // self._piece)
            self._chunks.expect_sum(image, n_chunks, int(self._sums[image]))

    def _cut_off(self, image: int, found: int, expected: int) -> StoreError:
        return StoreError(
            f"image {image} in {self._where} has a chunk of {found} bytes; expected at least "
            f"{expected}; run 'mtfast check' on the store"
        )

    def fetch_ahead(self, image: int) -> None:
        """Start to fetch a file that will be read soon, if that is possible.

        Parameters
        ----------
        image : int
        """
        if self._rows is None:
            self._chunks.fetch_ahead(image, -(-int(self._lengths[image]) // self._piece))
