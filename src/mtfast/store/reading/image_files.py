"""Image files as they were converted, whole or ranges of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mtfast.errors import StoreError
from mtfast.store.file_frames import chunk_range, unframe
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
                f"{longest}), as the columns of the split have it; convert the set again"
            )
        self._where = files.where(key)
        self._lengths, self._sums = lengths, sums
        self._rows = None if is_sharded(stored) else ZarrRows(files, key)
        if self._rows is None:
            self._chunks = ShardedChunks(files, stored, verify)
            (self._piece,) = self._chunks.chunk

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
        expected = int(self._sums[image]) if n <= self._piece else None
        parts = []
        for number, start in enumerate(range(0, n, self._piece)):
            stop = min(n - start, self._piece)
            first, last = chunk_range(0, stop)
            parts.append(unframe(self._chunks.read(image, number, expected)[first:last], 0, stop))
        return parts[0] if len(parts) == 1 else b"".join(parts)

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
        if self._rows is not None or n > self._piece:
            data = self.read(image)
            return b"".join([data[start:stop] for start, stop in ranges])
        file, begin, length = self._chunks.place(image)
        parts = []
        for start, stop in ranges:
            if start < stop:
                first, last = chunk_range(start, stop)
                if last > length:
                    raise StoreError(
                        f"image {image} in {self._where} has {length} bytes; expected {last}; "
                        f"convert the set again"
                    )
                parts.append(unframe(file.read(begin + first, last - first), start, stop))
        return b"".join(parts)

    def fetch_ahead(self, image: int) -> None:
        """Start to fetch a file that will be read soon, if that is possible.

        Parameters
        ----------
        image : int
        """
        if self._rows is None:
            self._chunks.fetch_ahead(image)
