"""Windows that are read from the disk for each batch, where a set is larger than the memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mtfast.arguments import Window
from mtfast.gpu.files import Files
from mtfast.jpeg.device import CodedImage
from mtfast.kernels.device import window_table as fields
from mtfast.loaders.gpu.members import Members
from mtfast.loaders.gpu.memory import room_for_indexes
from mtfast.store.reading.coded_windows import CodedWindows
from mtfast.store.reading.gpu_windows import read_window

__all__ = ["WindowFiles"]

Int64 = NDArray[np.int64]


class WindowFiles:
    """Reads the coded data of windows; the checksums of what is read are compared.

    Parameters
    ----------
    members : Members
    images : (n_images, FIELDS) int64
        As :func:`mtfast.loaders.gpu.coded_set.blank_images` returns them.
    device : torch.device
        To which the windows will be copied.
    """

    def __init__(self, members: Members, images: Int64, device: torch.device) -> None:
        self._members, self._images = members, images
        self._is_pinned = device.type == "cuda"
        splits = [reader.split for reader in members.readers]
        self._windows = CodedWindows(splits, members.members, members.indices, room_for_indexes())

    def read(
        self, positions: Int64, views: Int64
    ) -> tuple[Int64, dict[str, NDArray[Any]], torch.Tensor]:
        """Read the windows of a batch.

        Parameters
        ----------
        positions : (n,) int64
            Of the images.
        views : (n, 8) int64

        Returns
        -------
        images : (n, FIELDS) int64
            A row for each window.
        arrays : dict of str to array
            As those of :class:`mtfast.gpu.files.CodedFiles`, but for the words, on the host.
        words : int32 tensor
            On the host, in pinned memory if there is a GPU.

        Raises
        ------
        StoreError
            If the store is damaged.
        """
        images = self._images[positions]
        windows = _clipped(views, images)
        files = Files(images)
        is_cut = self._windows.find(positions)
        whole = [
            (number, self._read_whole(int(positions[number]), Window(*windows[number].tolist())))
            for number in np.flatnonzero(~is_cut).tolist()
        ]
        words = self._read_cut(files, np.flatnonzero(is_cut), positions, windows, whole)
        for number, image in whole:
            if image is not None:
                start, end = files.add(number, image)
                words.numpy()[start:end] = image.words.view(np.int32)
        return images, files.arrays(), words

    def _read_cut(
        self,
        files: Files,
        numbers: Int64,
        positions: Int64,
        windows: Int64,
        others: list[tuple[int, CodedImage | None]],
    ) -> torch.Tensor:
        """Read the windows of images with an index; leave room for the words of others."""
        room = sum(len(image.words) for _, image in others if image is not None)
        if not numbers.size:
            return self._memory(room)
        words = torch.empty(0, dtype=torch.int32, device="cpu")

        def words_of(n: int) -> NDArray[np.uint32]:
            nonlocal words
            words = self._memory(n + room)
            found: NDArray[np.int32] = words.numpy()[:n]
            return found.view(np.uint32)

        images = positions[numbers]
        planned, coded = self._windows.read(images, windows[numbers], words_of)
        indexes = self._windows.indexes
        tables = [indexes.tables[image] for image in images.tolist()]
        files.add_windows(numbers, indexes.heads[images], tables, planned, coded)
        return words

    def _memory(self, n_words: int) -> torch.Tensor:
        return torch.empty(n_words, dtype=torch.int32, device="cpu", pin_memory=self._is_pinned)

    def _read_whole(self, position: int, window: Window) -> CodedImage | None:
        """Read an image without an index; None if kernels cannot decode it."""
        reader, index = self._members.find(position)
        return read_window(reader.split, index, window)

    def close(self) -> None:
        """End the threads; the next batch starts new ones."""
        self._windows.close()


def _clipped(views: Int64, images: Int64) -> Int64:
    """Return the parts of views that are inside of their images: (y, x, height, width) of each."""
    sizes = images[:, [fields.FRAME_HEIGHT, fields.FRAME_WIDTH]]
    starts = np.maximum(views[:, :2], 0)
    stops = np.minimum(views[:, :2] + views[:, 2:4], sizes)
    return np.concatenate([starts, stops - starts], axis=1)
