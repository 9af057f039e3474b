"""Windows that are read from the disk for each batch, where a set is larger than the memory."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtfast.arguments import Window
from mtfast.gpu.files import Files
from mtfast.jpeg.device import CodedImage
from mtfast.loaders.reader import Reader
from mtfast.store.reading.gpu_windows import read_window

__all__ = ["WindowFiles"]

Int64 = NDArray[np.int64]

_MOST_THREADS = 8


class WindowFiles:
    """Reads the coded data of windows; the checksums of what is read are compared.

    Parameters
    ----------
    reader : Reader
    images : (n_images, FIELDS) int64
        As :func:`mtfast.loaders.gpu.coded_set.blank_images` returns them.
    """

    def __init__(self, reader: Reader, images: Int64) -> None:
        self._reader, self._images = reader, images
        self._pool: ThreadPoolExecutor | None = None

    def read(self, positions: Int64, views: Int64) -> tuple[Int64, dict[str, NDArray[Any]]]:
        """Read the windows of a batch.

        Parameters
        ----------
        positions : (n,) int64
            Of the images in the set.
        views : (n, 8) int64

        Returns
        -------
        images : (n, FIELDS) int64
            A row for each window.
        arrays : dict of str to array
            As those of :class:`mtfast.gpu.files.CodedFiles`, on the host.

        Raises
        ------
        StoreError
            If the store is damaged.
        """
        images = self._images[positions]
        files = Files(images)
        words = []
        if self._pool is None:
            n_threads = min(os.cpu_count() or 1, _MOST_THREADS)
            self._pool = ThreadPoolExecutor(n_threads, "mtfast-windows")
        coded = self._pool.map(self._read_one, positions.tolist(), views[:, :4].tolist())
        for number, image in enumerate(coded):
            if image is not None:
                files.add(number, image)
                words.append(image.words)
        joined = np.concatenate(words) if words else np.zeros(0, np.uint32)
        return images, files.arrays() | {"words": joined.view(np.int32)}

    def _read_one(self, position: int, view: list[int]) -> CodedImage | None:
        split, index = self._reader.split, int(self._reader.indices[position])
        y, x, h, w = view
        height, width = split.size(index)
        top, left = max(y, 0), max(x, 0)
        window = Window(top, left, min(y + h, height) - top, min(x + w, width) - left)
        return read_window(split, index, window)

    def close(self) -> None:
        """End the threads; the next batch starts new ones."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=True, cancel_futures=True)
