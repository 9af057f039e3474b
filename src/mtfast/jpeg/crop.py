"""A window of a JPEG file -> a small JPEG with the same pixels.

The window grows to whole MCUs. Where chroma is subsampled, decoders mix its neighbouring samples:
there a window that ends between two MCUs grows by one more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtfast.errors import MtfastError
from mtfast.jpeg.header import EOI
from mtfast.jpeg.index import CropIndex
from mtfast.jpeg.layout import read_layout
from mtfast.window import Window, check_window

__all__ = ["Read", "SmallJpeg", "cut_window"]

_BLOCK = 8
# Ranges with no more bytes between them are read as one: asking costs as much as a page.
_GAP = 4096
# Bits that a stretch may grow by: three codes of DCs, in bytes, with some to spare.
_GROWTH = 16
# The fast path of libjpeg-turbo stops as many bytes before the end as ten blocks may have.
_PADDING = bytes([0xFF, EOI]) + bytes(5120)

Read = Callable[[Sequence[tuple[int, int]]], bytes]
"""Reads ranges of bytes of a file, (start, stop) each, one after another."""


class SmallJpeg(NamedTuple):
    """A JPEG file in which the window begins at (y, x); its whole size is (height, width)."""

    data: NDArray[np.uint8]
    y: int
    x: int
    height: int
    width: int


class _Span(NamedTuple):
    """MCUs begin .. end - 1 of a row or column, and the pixels start .. stop - 1 they hold."""

    begin: int
    end: int
    start: int
    stop: int


def cut_window(read: Read, index: CropIndex, window: Window) -> SmallJpeg | None:
    """Make a JPEG of a window, from the bytes of the file that hold it.

    Parameters
    ----------
    read : callable
        Is called for the header, then for the coded data.
    index : CropIndex
        More entries may follow those of the file.
    window : Window

    Returns
    -------
    SmallJpeg
        None if the coded data cannot be written anew, and the image has to be decoded whole.

    Raises
    ------
    MtfastError
        If the window has no pixel or leaves the image, or the index does not fit the file.
    """
    from mtfast.kernels.files import jpeg_crop, jpeg_scan

    layout = _layout(read([(0, int(index.positions[0]) >> 3)]))
    y, x, height, width = check_window(window, layout.height, layout.width)
    if len(index.positions) < layout.n_entries(index.step):
        raise MtfastError(
            f"a crop index of {len(index.positions)} entries; expected "
            f"{layout.n_entries(index.step)}; make it again"
        )
    down = _span(y, height, layout.mcu_height, layout.n_rows, layout.height)
    across = _span(x, width, layout.mcu_width, layout.n_columns, layout.width)
    # Entries to begin at, to walk to the end of the window from, and to have read enough at.
    in_row = layout.entries_in_row(index.step)
    at_end = across.end == layout.n_columns
    first = across.begin // index.step
    known = in_row if at_end else across.end // index.step
    last = in_row if at_end else -(-across.end // index.step)
    entries = in_row * np.arange(down.begin, down.end)
    chosen = index.positions[entries[:, None] + [first, known, last]]
    if np.any(np.diff(chosen.reshape(-1)) < 0):
        raise MtfastError("a crop index that descends; expected ascending bits; make it again")
    starts, middles, stops = chosen.T
    ranges, places = _merged(starts >> 3, (stops + 7) >> 3)
    data = np.frombuffer(read(ranges), np.uint8)
    if data.size < sum(stop - start for start, stop in ranges):
        raise MtfastError(
            "a file that is shorter than its crop index; expected the same file; make it again"
        )

    rows = np.empty((len(entries), jpeg_crop.ROW_FIELDS), np.int64)
    shift = places - (starts >> 3) << 3
    rows[:, 0], rows[:, 1], rows[:, 2] = starts + shift, middles + shift, stops + shift
    rows[:, 3:6] = index.dcs[:, entries + first].T
    rows[:, 6:9] = index.dcs[:, entries + known].T
    header = layout.header(down.stop - down.start, across.stop - across.start)
    n_stretches = len(rows) * (across.end - across.begin if layout.restart else 1)
    room = data.size + _GROWTH * n_stretches
    out = np.empty(len(header) + 2 * room + len(_PADDING) + 8, np.uint8)
    out[: len(header)] = np.frombuffer(header, np.uint8)
    longest = int((stops - starts).max() >> 3) + 2
    end = jpeg_crop.crop_scan(
        data,
        rows.reshape(-1),
        down.begin,
        layout.n_columns,
        first * index.step,
        min(known * index.step, layout.n_columns),
        across.begin,
        across.end,
        layout.restart,
        layout.blocks,
        layout.codes.lookup,
        layout.dc_codes,
        np.empty(jpeg_crop.N_SCRATCH + 4, np.int64),
        np.empty(longest + jpeg_scan.MARGIN, np.uint8),
        np.empty(room + 8, np.uint8),
        out,
        len(header),
    )
    if end < 0:
        return None
    out[end : end + len(_PADDING)] = np.frombuffer(_PADDING, np.uint8)
    return SmallJpeg(
        out[: end + len(_PADDING)],
        y - down.start,
        x - across.start,
        down.stop - down.start,
        across.stop - across.start,
    )


# Most files of a set have the same header.
_layout = lru_cache(maxsize=16)(read_layout)


def _span(start: int, size: int, mcu: int, n: int, whole: int) -> _Span:
    """Find the MCUs that the pixels start .. start + size - 1 need, along one side."""
    stop = start + size
    begin, end = start // mcu, -(-stop // mcu)
    if mcu > _BLOCK:
        begin -= start % mcu == 0
        end += stop % mcu == 0
        # Decoders mix no samples of an image that has only two, as the last MCU may.
        begin = max(0, min(begin, n - 2))
        end = min(end, n)
    return _Span(begin, end, begin * mcu, min(end * mcu, whole))


def _merged(
    starts: NDArray[np.int64], stops: NDArray[np.int64]
) -> tuple[list[tuple[int, int]], NDArray[np.int64]]:
    """Merge ranges that nearly touch; also return where each begins once they are read."""
    ranges: list[tuple[int, int]] = []
    places = []
    n_before = 0
    for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
        if ranges and start <= ranges[-1][1] + _GAP:
            ranges[-1] = ranges[-1][0], max(stop, ranges[-1][1])
        else:
            n_before += ranges[-1][1] - ranges[-1][0] if ranges else 0
            ranges.append((start, stop))
        places.append(n_before + start - ranges[-1][0])
    return ranges, np.array(places, np.int64)
