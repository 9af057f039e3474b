"""Semantic masks of images of any size."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtfast.errors import StoreError
from mtfast.store.file_frames import CHECKSUM_BYTES
from mtfast.store.mask_grid import MaskGrid
from mtfast.store.reading.chunks import ShardedChunks, ZarrRows, is_sharded
from mtfast.store.reading.files import SMALL_FILE, StoreFiles
from mtfast.store.reading.metadata import read_array

__all__ = ["MaskReader"]


class MaskReader:
    """Reads the masks of a split.

    Parameters
    ----------
    files : StoreFiles
    key : str
        Of the array.
    sums : (n_images,) uint32
        Checksum of each image's chunks.
    verify : bool
        Whether checksums are compared.

    Attributes
    ----------
    shape : (n_images, height, width)
        Of the array, which reaches as far as the largest image.
    chunk : (height, width)
        Of a chunk, in pixels.
    dtype : uint8 or uint16
    """

    def __init__(self, files: StoreFiles, key: str, sums: NDArray[np.uint32], verify: bool) -> None:
        stored = read_array(files, key)
        if len(stored.shape) != 3 or stored.shape[0] != len(sums):
            raise StoreError(
                f"{files.where(key)} has shape {stored.shape}; expected ({len(sums)}, height, "
                f"width); run 'mtfast check' on the store"
            )
        self.shape = stored.shape
        self._sums = sums
        self._rows: ZarrRows | None = None
        if is_sharded(stored):
            self._chunks = ShardedChunks(files, stored, verify, SMALL_FILE)
            self.dtype: np.dtype[Any] = self._chunks.dtype
            height, width = self._chunks.chunk
            self._grid = MaskGrid(*stored.shape[1:], (height, width))
            self.chunk = self._grid.chunk
        else:
            self.chunk = stored.shape[1], stored.shape[2]
            self._rows = ZarrRows(files, key)
            self.dtype = self._rows.dtype

    def read(
        self, image: int, size: tuple[int, int], out: NDArray[Any] | None = None
    ) -> NDArray[Any]:
        """Decode the mask of an image.

        Parameters
        ----------
        image : int
        size : (height, width)
            Of the image.
        out : (height, width) array, optional
            Takes the pixels; of :attr:`dtype`, in C order.

        Returns
        -------
        (height, width) array
            In C order: ``out`` if given.

        Raises
        ------
        StoreError
            If it is missing or damaged.
        """
        if self._rows is not None:
            pixels = self._rows.read(image, *size)
            if out is None:
                return pixels
            out[...] = pixels
            return out
        expected = int(self._sums[image])
        if size == self._grid.chunk:
            whole: NDArray[Any] = self._chunks.decode(image, 0, out, expected)
            return whole
        down, across = self._grid.chunk
        if 0 < size[0] <= down and 0 < size[1] <= across:
            data = self._chunks.read(image, 0, expected)
            if out is None:
                self._chunks.expect_size(image, data)
                out = np.empty(size, self.dtype)
            self._read_corner(image, data, out)
            return out
        # The index of the shard has room for all chunks, so there are not too many.
        self._chunks.place(image)
        windows = {k: window for k, window in enumerate(self._grid.windows(*size)) if window}
        chunks = self._chunks.read_several(image, windows, expected)
        found = out
        for data, (y, x, h, w) in zip(chunks, windows.values(), strict=True):
            if found is None:
                self._chunks.expect_size(image, data)
                found = np.empty(size, self.dtype)
            self._read_corner(image, data, found[y : y + h, x : x + w])
        if found is None:
            raise self._chunks.damaged(image, "no pixels")
        return found

    def _read_corner(self, image: int, data: bytes, out: NDArray[Any]) -> None:
        """Decode the part of a chunk that shows the image."""
        from mtfast.kernels.files.zstd_corner import read_corner

        if out.dtype == np.uint8:
            frame = np.frombuffer(data, np.uint8)[:-CHECKSUM_BYTES]
            corner = out if out.flags.c_contiguous else np.empty(out.shape, out.dtype)
            if read_corner(frame, *self._grid.chunk, out.shape[1], corner.reshape(-1)):
                if corner is not out:
                    out[...] = corner
                return
        # Compressed masks, or damage, which zstd finds.
        out[...] = self._chunks.unpack(image, data)[: out.shape[0], : out.shape[1]]
