"""Windows of many images read at once, as the kernels of a GPU read them.

::

    CropIndexes   --plan-->  stretches of each window, ranges of its file, merged where they touch
    files         --read-->  these ranges, a few windows at a time, by several threads
                  --check->  each stretch with the checksums of the index
                  -------->  words, without stuffing, in memory for the whole batch
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtfast.jpeg.checks import CHANGED, first_changed
from mtfast.jpeg.crop_indexes import CropIndexes, PlannedReads, UnstuffedWindows
from mtfast.jpeg.device import CodedHead
from mtfast.jpeg.index import N_COMPONENTS
from mtfast.kernels.files import jpeg_scan, jpeg_windows
from mtfast.store.file_frames import chunk_ranges
from mtfast.store.reading.remote_files import N_REQUESTS
from mtfast.store.reading.split import Split
from mtfast.store.reading.windows import WindowReader

__all__ = ["CodedWindows", "ReadWindows"]

Int64 = NDArray[np.int64]

_N_THREADS = min(os.cpu_count() or 1, 8)
# Windows are read, checked and copied together up to so many bytes, which stay in the cache.
_BYTES_TOGETHER = 1 << 20


class ReadWindows(NamedTuple):
    """Windows that were read.

    Attributes
    ----------
    planned : PlannedReads
    coded : UnstuffedWindows
    """

    planned: PlannedReads
    coded: UnstuffedWindows


class _Parts(NamedTuple):
    """What is read: parts of chunks, and runs of parts that are in one chunk of one window.

    Attributes
    ----------
    windows : (n_runs,) int64
        Of each run.
    chunks : list of int
        Of each run: which chunk of the file.
    runs : list of int
        Where the parts of each run begin, and where those of the last one end.
    firsts, lengths : list of int
        Bytes of the chunk.
    places : (n_parts,) int64
        Where they are among all that is read.
    """

    windows: Int64
    chunks: list[int]
    runs: list[int]
    firsts: list[int]
    lengths: list[int]
    places: Int64


class CodedWindows:
    """Reads windows of images that have a crop index; all checksums are compared.

    Images are numbered through all splits.

    Parameters
    ----------
    splits : sequence of Split
    members, indices : (n_images,) int64
        The split of each image, and its index there.
    n_bytes : int
        Memory for the crop indexes, which are kept as long as they fit into it.

    Attributes
    ----------
    indexes : CropIndexes
    """

    def __init__(
        self, splits: Sequence[Split], members: Int64, indices: Int64, n_bytes: int
    ) -> None:
        self._splits = list(splits)
        self._members, self._indices = members, indices
        self.indexes = CropIndexes(len(indices), n_bytes)
        is_remote = any(split.store.files.is_remote for split in self._splits)
        self._n_threads = N_REQUESTS if is_remote else _N_THREADS
        self._pool: ThreadPoolExecutor | None = None
        self._scratch = threading.local()

    def find(self, images: Int64) -> NDArray[np.bool_]:
        """Read the crop indexes of images, unless they are kept.

        Parameters
        ----------
        images : (n,) int64

        Returns
        -------
        (n,) bool
            Whether windows of each can be read: it is a JPEG that kernels decode, with an index.

        Raises
        ------
        StoreError
            If an index or a header is damaged.
        """
        return self.indexes.find(images, self._heads)

    def _heads(self, images: Int64) -> list[CodedHead | None]:
        return list(self._threads().map(self._head, images.tolist()))

    def _head(self, image: int) -> CodedHead | None:
        split = self._splits[int(self._members[image])]
        return split.coded_head(int(self._indices[image]))

    def read(
        self, images: Int64, windows: Int64, words_of: Callable[[int], NDArray[np.uint32]]
    ) -> ReadWindows:
        """Read windows.

        Parameters
        ----------
        images : (n,) int64
            That :meth:`find` has just found; at least one.
        windows : (n, 4) int64
            First row and column, height and width; inside of the images.
        words_of : callable
            Takes a number and returns memory for so many words.

        Returns
        -------
        ReadWindows

        Raises
        ------
        StoreError
            If the store is damaged.
        """
        planned = self.indexes.plan(images, windows)
        *_, n_words, n_bits = planned.windows[-1].tolist()
        coded = UnstuffedWindows(
            words_of(n_words),
            np.empty(n_bits, np.uint32),
            np.empty(n_bits * N_COMPONENTS, np.int16),
            np.empty(len(images), np.int64),
        )
        fill = partial(self._fill, images, planned, self._parts(images, planned), coded)
        shares = [
            self._threads().submit(fill, share)
            for share in _shares(planned.places, self._n_threads)
        ]
        # All of them, also where one fails: the next find may move the indexes that they read.
        wait(shares)
        for share in shares:
            share.result()
        return ReadWindows(planned, coded)

    def _parts(self, images: Int64, planned: PlannedReads) -> _Parts:
        """Find the ranges of the plan in the chunks of the files."""
        pieces = np.array([split.window_reader.files.piece for split in self._splits], np.int64)
        n_ranges = np.diff(planned.windows[:, jpeg_windows.RANGES_AT])
        window = np.repeat(np.arange(len(images)), n_ranges)
        begins, ends, places = planned.ranges
        found = chunk_ranges(begins, ends, pieces[self._members[images[window]]])
        window = window[found.number]
        is_new = np.ones(len(window), bool)
        is_new[1:] = (np.diff(window) != 0) | (np.diff(found.chunk) != 0)
        runs = np.flatnonzero(is_new)
        return _Parts(
            window[runs],
            found.chunk[runs].tolist(),
            [*runs.tolist(), len(window)],
            found.first.tolist(),
            found.length.tolist(),
            places[found.number] + found.at - begins[found.number],
        )

    def _fill(
        self,
        images: Int64,
        planned: PlannedReads,
        parts: _Parts,
        coded: UnstuffedWindows,
        share: tuple[int, int],
    ) -> None:
        """Read, check and copy the windows of a share, a few at a time."""
        for start, stop in _groups(planned.places, *share):
            base, end = planned.places[[start, stop]].tolist()
            data = self._memory(end - base)
            self._read_parts(images, parts, start, stop, base, data)
            self._check(images, planned, start, stop, base, data)
            self.indexes.unstuff(planned, start, stop, data, coded)
            if coded.n_words[start:stop].min() < 0:
                bad = start + int(np.flatnonzero(coded.n_words[start:stop] < 0)[0])
                found = jpeg_scan.STATUSES[int(coded.n_words[bad])]
                raise self._reader(images[bad]).damaged(int(self._indices[images[bad]]), found)

    def _read_parts(
        self,
        images: Int64,
        parts: _Parts,
        start: int,
        stop: int,
        base: int,
        data: NDArray[np.uint8],
    ) -> None:
        memory = data.data
        first, last = np.searchsorted(parts.windows, (start, stop)).tolist()
        for run in range(first, last):
            image = images[parts.windows[run]]
            here = slice(*parts.runs[run : run + 2])
            ranges = zip(
                parts.firsts[here],
                parts.lengths[here],
                (parts.places[here] - base).tolist(),
                strict=True,
            )
            self._reader(image).files.read_into(
                int(self._indices[image]), parts.chunks[run], list(ranges), memory
            )

    def _check(
        self,
        images: Int64,
        planned: PlannedReads,
        start: int,
        stop: int,
        base: int,
        data: NDArray[np.uint8],
    ) -> None:
        at = planned.windows[:, jpeg_windows.STRETCHES_AT]
        first, last = at[[start, stop]].tolist()
        here = planned.stretches[:, first:last]
        changed = first_changed(
            data,
            here[jpeg_windows.STRETCH_PLACE] - base,
            here[jpeg_windows.STRETCH_START],
            here[jpeg_windows.STRETCH_STOP],
            here[jpeg_windows.STRETCH_BEFORE],
            here[jpeg_windows.STRETCH_AFTER],
        )
        if changed >= 0:
            window = int(np.searchsorted(at, first + changed, side="right")) - 1
            image = images[window]
            raise self._reader(image).damaged(int(self._indices[image]), CHANGED)

    def _reader(self, image: int) -> WindowReader:
        return self._splits[int(self._members[image])].window_reader

    def _memory(self, n_bytes: int) -> NDArray[np.uint8]:
        """Return memory of this thread, which it uses again."""
        found: NDArray[np.uint8] | None = getattr(self._scratch, "memory", None)
        if found is None or found.size < n_bytes:
            found = self._scratch.memory = np.empty(max(n_bytes, _BYTES_TOGETHER), np.uint8)
        return found[:n_bytes]

    def _threads(self) -> ThreadPoolExecutor:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._n_threads, "mtfast-windows")
        return self._pool

    def close(self) -> None:
        """End the threads; the next batch starts new ones."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=True, cancel_futures=True)


def _shares(places: Int64, n: int) -> list[tuple[int, int]]:
    """Cut windows into n shares of about equally many bytes; those without a window are left out.

    Examples
    --------
    >>> _shares(np.array([0, 10, 20, 90]), 2)
    [(0, 2), (2, 3)]
    """
    targets = np.linspace(places[0], places[-1], n + 1)
    cuts = np.rint(np.interp(targets, places, np.arange(len(places)))).astype(int)
    return list(itertools.pairwise(np.unique(cuts).tolist()))


def _groups(places: Int64, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Cut windows start .. stop - 1 into groups of so few bytes that they stay in the cache."""
    while start < stop:
        most = int(np.searchsorted(places, places[start] + _BYTES_TOGETHER, side="right")) - 1
        end = min(max(most, start + 1), stop)
        yield start, end
        start = end
