"""A window of a JPEG file -> a small JPEG with the same pixels.

The window is extended to whole MCUs. Where chroma is subsampled, decoders mix neighbouring samples,
so a window whose edge lies between two MCUs is extended by one more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from mtfast.arguments import Window, check_window
from mtfast.errors import MtfastError
from mtfast.jpeg.checks import CHANGED, checked, first_changed, sums_around
from mtfast.jpeg.header import EOI
from mtfast.jpeg.index import CropIndex
from mtfast.jpeg.layout import CannotCutError, Layout, read_layout

__all__ = [
    "GAP",
    "CodedRows",
    "DamagedFileError",
    "Read",
    "SmallJpeg",
    "cut_window",
    "read_header",
    "read_rows",
]

_BLOCK = 8
# Ranges with no more bytes between them are read as one: a call costs as much as a page.
GAP = 4096
# Bytes that a stretch may get longer by: three DC codes of 27 bits at most, and some to spare.
_LONGER = 16
# The fast path of libjpeg-turbo stops as many bytes before the end as ten blocks may have.
_PADDING = np.frombuffer(bytes([0xFF, EOI]) + bytes(5120), np.uint8)

Read = Callable[[Sequence[tuple[int, int]]], bytes]
"""Reads ranges of bytes of a file, (start, stop) each, and joins them."""


class DamagedFileError(MtfastError):
    """The bytes of a file are not those of which its crop index was made."""


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


class _Columns(NamedTuple):
    """Columns of MCUs: A and L, see :mod:`mtfast.kernels.files.jpeg_crop`, and entries of a row.

    Decoding begins at the entry ``first``, which is A. The entry ``known`` is L, the last one in
    the window. The stretch that is read ends at the entry ``last``, which is Z.
    """

    first: int
    known: int
    last: int


class _Stretches(NamedTuple):
    """Coded data of the rows of a window, and what the kernel needs to know of each."""

    data: NDArray[np.uint8]
    rows: NDArray[np.int64]
    longest: int
    shifts: NDArray[np.int64]


class CodedRows(NamedTuple):
    """Coded data of the rows of MCUs of a window, as the file has it.

    Attributes
    ----------
    layout : Layout
        Of the file.
    first_row : int
        The first row of MCUs.
    first_column : int
        Which entry of each row is its first one here.
    data : (n_bytes,) uint8
    positions : (n_rows, n) int64
        Where the MCU before each entry ends, in bits of ``data``; the last entry of a row is the
        end of its stretch.
    dcs : (n_rows, n, 3) int16
        The DCs of the MCU before each entry.
    """

    layout: Layout
    first_row: int
    first_column: int
    data: NDArray[np.uint8]
    positions: NDArray[np.int64]
    dcs: NDArray[np.int16]


def cut_window(read: Read, index: CropIndex, window: Window) -> SmallJpeg:
    """Make a JPEG of a window, from the bytes of the file that hold it.

    Parameters
    ----------
    read : callable
        Is called for the header, then for the coded data.
    index : CropIndex
        Of the file; entries after its own are ignored.
    window : Window

    Returns
    -------
    SmallJpeg

    Raises
    ------
    CannotCutError
        If the coded data cannot be cut here, and the image has to be decoded whole.
    DamagedFileError
        If the index has checksums and the bytes that are read do not match them.
    MtfastError
        If the window has no pixel or leaves the image, or the index does not fit the file.

    Examples
    --------
    >>> import imagecodecs
    >>> from mtfast.jpeg.index import build_index
    >>> pixels = np.arange(120 * 200, dtype=np.uint8).reshape(120, 200)
    >>> file = imagecodecs.jpeg8_encode(pixels)
    >>> read = lambda ranges: b"".join(file[start:stop] for start, stop in ranges)
    >>> small = cut_window(read, build_index(file, step=4), Window(50, 60, 30, 40))
    >>> small.y, small.x, small.height, small.width
    (2, 4, 32, 48)
    """
    layout = read_header(read, index)
    y, x, height, width = check_window(window, layout.height, layout.width)
    down = _span(y, height, layout.mcu_height, layout.n_rows, layout.height)
    across = _span(x, width, layout.mcu_width, layout.n_columns, layout.width)
    columns = _columns(index.step, layout, across)
    stretches = _read_stretches(read, index, layout, down, columns)
    header = layout.header(down.stop - down.start, across.stop - across.start)
    data = _write(header, stretches, layout, index.step, down, across, columns)
    return SmallJpeg(
        data,
        y - down.start,
        x - across.start,
        down.stop - down.start,
        across.stop - across.start,
    )


def read_rows(read: Read, index: CropIndex, window: Window) -> CodedRows:
    """Read the coded data of a window, for a decoder that begins at any entry.

    Parameters
    ----------
    read, index, window
        As for :func:`cut_window`, which raises the same errors.

    Returns
    -------
    CodedRows
    """
    layout = read_header(read, index)
    y, x, height, width = check_window(window, layout.height, layout.width)
    down = _span(y, height, layout.mcu_height, layout.n_rows, layout.height)
    across = _span(x, width, layout.mcu_width, layout.n_columns, layout.width)
    columns = _columns(index.step, layout, across)
    stretches = _read_stretches(read, index, layout, down, columns)
    rows = layout.entries_in_row(index.step) * np.arange(down.begin, down.end)
    entries = rows[:, None] + np.arange(columns.first, columns.last + 1)
    return CodedRows(
        layout,
        down.begin,
        columns.first,
        stretches.data,
        index.positions[entries] + stretches.shifts[:, None],
        np.moveaxis(index.dcs[:, entries], 0, 2),
    )


# Most files of a set have the same header.
_layout = lru_cache(maxsize=16)(read_layout)


def read_header(read: Read, index: CropIndex) -> Layout:
    """Read the header of a file, and make sure that its index has enough entries.

    Parameters
    ----------
    read, index
        As for :func:`cut_window`, which raises the same errors.

    Returns
    -------
    Layout
    """
    step, positions, dcs, _ = index
    n = min(positions.size, dcs.shape[-1])
    if step < 1 or n == 0:
        raise MtfastError(
            f"a crop index of {n} entries, one every {step} MCUs; expected at least one of each; "
            f"make it again"
        )
    header = read([(0, int(positions[0]) >> 3)])
    sums = index.sums
    if sums is not None and google_crc32c.value(header) != sums[0]:
        raise DamagedFileError("a header that is not the one that was indexed")
    layout = _layout(header)
    if n < layout.n_entries(step):
        raise MtfastError(
            f"a crop index of {n} entries; expected {layout.n_entries(step)}; make it again"
        )
    return layout


def _span(start: int, size: int, mcu: int, n: int, whole: int) -> _Span:
    """Find the MCUs that the pixels start .. start + size - 1 need, along one side."""
    stop = start + size
    begin, end = start // mcu, -(-stop // mcu)
    if mcu > _BLOCK:
        begin -= start % mcu == 0
        end += stop % mcu == 0
        # An image of two samples is decoded without mixing, as the last MCU alone may be.
        begin = max(0, min(begin, n - 2))
        end = min(end, n)
    return _Span(begin, end, begin * mcu, min(end * mcu, whole))


def _columns(step: int, layout: Layout, across: _Span) -> _Columns:
    """Choose the entries of a row."""
    in_row = layout.entries_in_row(step)
    if across.end == layout.n_columns:
        # The first entry of the next row is the end of this one.
        return _Columns(across.begin // step, in_row, in_row)
    return _Columns(across.begin // step, across.end // step, -(-across.end // step))


def _read_stretches(
    read: Read, index: CropIndex, layout: Layout, down: _Span, columns: _Columns
) -> _Stretches:
    """Read the stretches A .. Z of all rows."""
    from mtfast.kernels.files import jpeg_crop

    entries = layout.entries_in_row(index.step) * np.arange(down.begin, down.end)
    chosen = index.positions[entries[:, None] + columns]
    checks = None
    starts, stops = chosen[:, 0], chosen[:, 2]
    if index.sums is not None:
        numbers = sums_around(entries, columns.first, columns.last)
        starts, stops = index.positions[checked(numbers, layout.n_entries(index.step))]
        checks = starts, stops, *index.sums[numbers].astype(np.int64)
    in_order = np.column_stack((starts, chosen, stops))
    if any((np.diff(in_order, axis=axis) < 0).any() for axis in (0, 1)):
        raise MtfastError("a crop index that descends; expected ascending bits; make it again")
    ranges, places = _merged(starts >> 3, (stops + 7) >> 3)
    coded = read(ranges)
    if len(coded) < sum(stop - start for start, stop in ranges):
        raise MtfastError(
            "a file that is shorter than its crop index; expected the same file; make it again"
        )
    data = np.frombuffer(coded, np.uint8)
    if checks is not None and first_changed(data, places, *checks) >= 0:
        raise DamagedFileError(CHANGED)
    rows = np.empty((len(entries), jpeg_crop.ROW_FIELDS), np.int64)
    shifts = places - (starts >> 3) << 3
    rows[:, :3] = chosen + shifts[:, None]
    rows[:, 3:6] = index.dcs[:, entries + columns.first].T
    rows[:, 6:9] = index.dcs[:, entries + columns.known].T
    longest = int((chosen[:, 2] - chosen[:, 0]).max() >> 3) + 2
    return _Stretches(data, rows, longest, shifts)


def _merged(
    starts: NDArray[np.int64], stops: NDArray[np.int64]
) -> tuple[list[tuple[int, int]], NDArray[np.int64]]:
    """Merge ranges that nearly touch; also return where each begins once they are read."""
    ranges: list[tuple[int, int]] = []
    places = []
    n_before = 0
    for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
        if ranges and start <= ranges[-1][1] + GAP:
            ranges[-1] = ranges[-1][0], max(stop, ranges[-1][1])
        else:
            n_before += ranges[-1][1] - ranges[-1][0] if ranges else 0
            ranges.append((start, stop))
        places.append(n_before + start - ranges[-1][0])
    return ranges, np.array(places, np.int64)


def _write(
    header: bytes,
    stretches: _Stretches,
    layout: Layout,
    step: int,
    down: _Span,
    across: _Span,
    columns: _Columns,
) -> NDArray[np.uint8]:
    """Write the small JPEG: the header, the scan of the window, and the end marker."""
    from mtfast.kernels.files import jpeg_crop, jpeg_scan

    n_stretches = down.end - down.begin
    if layout.restart:
        # At worst each MCU follows a restart.
        n_stretches *= across.end - across.begin
    capacity = stretches.data.size + _LONGER * n_stretches
    # Stuffing doubles a scan of FF bytes.
    out = np.empty(len(header) + 2 * capacity + 8 + _PADDING.size, np.uint8)
    out[: len(header)] = np.frombuffer(header, np.uint8)
    grid = [
        down.begin,
        layout.n_columns,
        columns.first * step,
        min(columns.known * step, layout.n_columns),
        across.begin,
        across.end,
        layout.restart,
    ]
    end = jpeg_crop.crop_scan(
        stretches.data,
        stretches.rows.reshape(-1),
        np.array(grid, np.int64),
        layout.blocks,
        layout.codes.lookup,
        layout.dc_codes,
        np.empty(jpeg_crop.N_STATE, np.int64),
        np.empty(stretches.longest + jpeg_scan.MARGIN, np.uint8),
        np.empty(capacity + 8, np.uint8),
        out,
        len(header),
    )
    if end < 0:
        raise CannotCutError(
            f"a window with {jpeg_scan.STATUSES[end]}; expected sound codes for all of it; "
            f"decode the image whole"
        )
    out[end : end + _PADDING.size] = _PADDING
    return out[: end + _PADDING.size]
