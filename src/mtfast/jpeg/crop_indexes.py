"""The crop indexes of many files in flat arrays, in which kernels look up windows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtfast.jpeg.checks import EVERY
from mtfast.jpeg.crop import GAP
from mtfast.jpeg.device import CodedHead, TableSet
from mtfast.jpeg.index import N_COMPONENTS
from mtfast.kernels.files import jpeg_scan, jpeg_windows

__all__ = ["CropIndexes", "PlannedReads", "UnstuffedWindows"]

Int64 = NDArray[np.int64]
Load = Callable[[Int64], Sequence[CodedHead | None]]

# Of an entry: its position, DCs, and half of a checksum that is kept for every other one.
_ENTRY_BYTES = 4 + 2 * N_COMPONENTS + 4


class PlannedReads(NamedTuple):
    """What is read of some windows, one window after another.

    Attributes
    ----------
    windows : (n + 1, PLAN_FIELDS) int64
        See :mod:`mtfast.kernels.files.jpeg_windows`; the last row is where all ends.
    stretches : (STRETCH_FIELDS, n_stretches) int64
        One for each row of MCUs.
    ranges : (RANGE_FIELDS, n_ranges) int64
        Of bytes of the files.
    longest : int
        Bytes of the longest stretch.
    """

    windows: Int64
    stretches: Int64
    ranges: Int64
    longest: int

    @property
    def places(self) -> Int64:
        """Where the bytes of each window begin, and those of the last one end; (n + 1,) int64."""
        return self.windows[:, jpeg_windows.PLACE]


class UnstuffedWindows(NamedTuple):
    """Windows as the kernels of a GPU read them: memory for all, see :class:`CodedImage`.

    Attributes
    ----------
    words : uint32
        Between those of two windows a few may be left over.
    bits : uint32
        From the first word of the window on.
    dcs : int16
    n_words : (n,) int64
        Of each window; negative ones are keys of :data:`mtfast.kernels.files.jpeg_scan.STATUSES`.
    """

    words: NDArray[np.uint32]
    bits: NDArray[np.uint32]
    dcs: NDArray[np.int16]
    n_words: Int64


class CropIndexes:
    """The crop indexes of images, added as long as there is room; then all are forgotten.

    Parameters
    ----------
    n_images : int
    n_bytes : int
        Memory for them; the system gives it when it is written to.

    Attributes
    ----------
    heads : (n_images, HEAD_FIELDS) int64
        Of each image that is there, see :mod:`mtfast.kernels.files.jpeg_windows`.
    tables : dict of int to TableSet
    """

    def __init__(self, n_images: int, n_bytes: int) -> None:
        self.heads = np.zeros((n_images, jpeg_windows.HEAD_FIELDS), np.int64)
        self.tables: dict[int, TableSet] = {}
        # Each once, by its bytes: files that are optimised one by one all have their own.
        self._distinct: dict[bytes, TableSet] = {}
        self._n_of_tables = 0
        # Images that windows cannot be read of; they are remembered for good.
        self._is_uncut = np.zeros(n_images, bool)
        self._reserve(n_bytes // _ENTRY_BYTES)

    def _reserve(self, n: int) -> None:
        self._positions = np.empty(n, np.uint32)
        self._dcs = np.empty((n, N_COMPONENTS), np.int16)
        # As many as positions, so that one place serves both; the system gives what is used.
        self._sums = np.empty(n, np.uint32)
        self._n_entries = 0

    def find(self, images: Int64, load: Load) -> NDArray[np.bool_]:
        """Make sure that the indexes of some images are there.

        Parameters
        ----------
        images : (n,) int64
        load : callable
            Takes images, (n,) int64, and returns a head for each, with checksums in its index; or
            None where windows cannot be read.

        Returns
        -------
        (n,) bool
            Whether windows of each can be read.
        """
        wanted = np.unique(images[~self._is_uncut[images]])
        is_there = self.heads[wanted, jpeg_windows.N_ENTRIES] > 0
        missing = wanted[~is_there]
        heads = load(missing) if missing.size else []
        n = _n_entries(heads)
        if self._n_entries + self._n_of_tables + n > self._positions.size:
            missing = np.concatenate([missing, wanted[is_there]])
            heads = [*heads, *load(wanted[is_there])]
            self._clear(_n_entries(heads))
        for image, head in zip(missing.tolist(), heads, strict=True):
            self._add(image, head)
        return ~self._is_uncut[images]

    def _clear(self, needed: int) -> None:
        """Forget all images; make more room where a batch needs it."""
        self.heads[:] = 0
        self.tables.clear()
        self._distinct.clear()
        self._n_entries = self._n_of_tables = 0
        if needed > self._positions.size:
            self._reserve(needed)

    def _add(self, image: int, head: CodedHead | None) -> None:
        if head is None:
            self._is_uncut[image] = True
            return
        index, at = head.entries, self._n_entries
        n = self._n_entries = at + index.positions.size
        self._positions[at:n] = index.positions
        self._dcs[at:n] = index.dcs.T
        if index.sums is not None:
            self._sums[at : at + index.sums.size] = index.sums
        in_row = -(-head.n_columns // index.step)
        size = head.mcu_height, head.mcu_width, head.n_rows, head.n_columns
        kind = head.kind, head.down, head.across, head.restart
        self.heads[image] = (at, n - at, index.step, in_row, *size, *kind)
        key = b"".join(part.tobytes() for part in head.tables)
        if key not in self._distinct:
            # In entries, of which there is room for so many.
            self._n_of_tables += -(-2 * len(key) // _ENTRY_BYTES)
        self.tables[image] = self._distinct.setdefault(key, head.tables)

    def plan(self, images: Int64, windows: Int64) -> PlannedReads:
        """Plan what is read of windows.

        Parameters
        ----------
        images : (n,) int64
            That are there; at least one.
        windows : (n, 4) int64
            First row and column, height and width; inside of the images.

        Returns
        -------
        PlannedReads
        """
        n, heads = len(images), self.heads[images]
        # One more than its pixels need at each end.
        most = int((windows[:, 2] // heads[:, jpeg_windows.MCU_HEIGHT] + 4).sum())
        plans = np.empty((n + 1, jpeg_windows.PLAN_FIELDS), np.int64)
        stretches = np.empty((jpeg_windows.STRETCH_FIELDS, most), np.int64)
        ranges = np.empty((jpeg_windows.RANGE_FIELDS, most), np.int64)
        totals = np.empty(jpeg_windows.PLAN_TOTALS, np.int64)
        jpeg_windows.plan_windows(
            self.heads.reshape(-1), images, windows.reshape(-1), self._positions, self._sums,
            EVERY, GAP, plans.reshape(-1), stretches.reshape(-1), ranges.reshape(-1), totals,
        )  # fmt: skip
        n_stretches, n_ranges = totals[:2].tolist()
        longest = int(totals[jpeg_windows.LONGEST])
        # Copied, as kernels take what is contiguous.
        return PlannedReads(
            plans, stretches[:, :n_stretches].copy(), ranges[:, :n_ranges].copy(), longest
        )

    def unstuff(
        self,
        planned: PlannedReads,
        start: int,
        stop: int,
        data: NDArray[np.uint8],
        out: UnstuffedWindows,
    ) -> None:
        """Copy what was read of the windows start .. stop - 1 to where kernels read it.

        Parameters
        ----------
        planned : PlannedReads
        start, stop : int
        data : (n_bytes,) uint8
        out : UnstuffedWindows
        """
        at = planned.windows[start : stop + 1, jpeg_windows.BITS_AT]
        longest = planned.longest
        jpeg_windows.unstuff_windows(
            data, start, stop, planned.windows.reshape(-1), planned.stretches.reshape(-1),
            self._positions, self._dcs.reshape(-1), np.empty(int(np.diff(at).max()), np.int64),
            np.empty(longest + jpeg_scan.MARGIN, np.uint8), np.empty(longest // 2 + 2, np.int64),
            out.words, out.bits, out.dcs, out.n_words,
        )  # fmt: skip


def _n_entries(heads: Sequence[CodedHead | None]) -> int:
    return sum(head.entries.positions.size for head in heads if head is not None)
