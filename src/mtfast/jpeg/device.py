"""A JPEG file as the kernels of a GPU read it: words, entries, and tables.

See :mod:`mtfast.kernels.device.jpeg_blocks`. What the kernels cannot decode is decoded on the CPU.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtfast.arguments import Window
from mtfast.errors import MtfastError
from mtfast.jpeg.checks import n_checked
from mtfast.jpeg.crop import Read, read_header, read_rows
from mtfast.jpeg.huffman import CodeTable, code_lengths
from mtfast.jpeg.index import N_COMPONENTS, CropIndex, walk_scan
from mtfast.jpeg.layout import CannotCutError, Layout, read_layout
from mtfast.kernels.device import window_table
from mtfast.kernels.device.jpeg_blocks import FAST, FAST_BITS, LONG, LONG_BITS, NATURAL, QUANTA

__all__ = [
    "CodedHead",
    "CodedImage",
    "TableSet",
    "read_coded",
    "read_coded_head",
    "read_coded_window",
]

_LONGEST = 16
# Where coefficient k of the file is in its block, along the diagonals: ITU-T T.81, figure A.6.
_PLACES = sorted(
    range(64), key=lambda i: (i // 8 + i % 8, (i // 8, i % 8)[(i // 8 + i % 8 + 1) % 2])
)
# Entries count the bits of the coded data with 32 bits.
_MOST_BYTES = 2**29
# Decoders upsample the chroma of narrower images without mixing.
_LEAST_CHROMA = 3


class TableSet(NamedTuple):
    """The tables of a file.

    Attributes
    ----------
    lookup : (TABLE_SET,) uint16
    long_codes : (n * 64,) uint16
        The entries that those of ``lookup`` with the mark LONG lead to.
    """

    lookup: NDArray[np.uint16]
    long_codes: NDArray[np.uint16]


class CodedImage(NamedTuple):
    """An image whose stretches can be decoded side by side.

    Attributes
    ----------
    words : (n,) uint32
        The scan without stuffing and markers; the first byte of a word is its highest.
    bits : (n_entries,) uint32
        Where the MCU before each entry ends; there is one every ``step`` MCUs of a row, and one at
        the end of the last row.
    dcs : (n_entries, 3) int16
        The DCs of the MCU before each entry.
    step : int
    per_row, first_row, first_column : int
        Entries of a row of MCUs; the row of the first one, and which of its row it is.
    kind, down, across : int
        See :mod:`mtfast.kernels.device.window_table`.
    height, width, n_rows, n_columns, restart : int
        As those of :class:`mtfast.jpeg.layout.Layout`.
    tables : TableSet
        Equal files share one.
    """

    words: NDArray[np.uint32]
    bits: NDArray[np.uint32]
    dcs: NDArray[np.int16]
    step: int
    per_row: int
    first_row: int
    first_column: int
    kind: int
    down: int
    across: int
    height: int
    width: int
    n_rows: int
    n_columns: int
    restart: int
    tables: TableSet


class CodedHead(NamedTuple):
    """What all windows of a file share.

    Attributes
    ----------
    entries : CropIndex
        With as many entries as the file has, and with checksums.
    kind, down, across : int
        See :mod:`mtfast.kernels.device.window_table`.
    height, width, mcu_height, mcu_width, n_rows, n_columns, restart : int
        As those of :class:`mtfast.jpeg.layout.Layout`.
    tables : TableSet
        Equal files share one.
    """

    entries: CropIndex
    height: int
    width: int
    kind: int
    down: int
    across: int
    mcu_height: int
    mcu_width: int
    n_rows: int
    n_columns: int
    restart: int
    tables: TableSet


def read_coded_head(read: Read, index: CropIndex) -> CodedHead:
    """Read the header of a JPEG file, of which windows will be decoded by kernels.

    Parameters
    ----------
    read, index
        As for :func:`mtfast.jpeg.crop.cut_window`; the index must have checksums.

    Returns
    -------
    CodedHead

    Raises
    ------
    CannotCutError, DamagedFileError, MtfastError
        As :func:`read_coded_window`.
    """
    layout = read_header(read, index)
    n = layout.n_entries(index.step)
    sums = None if index.sums is None else index.sums[: n_checked(n)]
    return CodedHead(
        CropIndex(index.step, index.positions[:n], index.dcs[:, :n], sums),
        layout.height,
        layout.width,
        *_kind_of(layout),
        layout.mcu_height,
        layout.mcu_width,
        layout.n_rows,
        layout.n_columns,
        layout.restart,
        _tables_of(layout),
    )


def read_coded(data: bytes, step: int) -> CodedImage:
    """Prepare a JPEG file for the kernels; every code of it is walked over, and thereby checked.

    Parameters
    ----------
    data : bytes
        The file.
    step : int
        MCUs from one entry of a row to the next, at least 1.

    Returns
    -------
    CodedImage

    Raises
    ------
    CannotCutError
        If the kernels do not decode files of this kind; the text says why.
    MtfastError
        If the file is damaged.

    Examples
    --------
    >>> import imagecodecs
    >>> data = imagecodecs.jpeg8_encode(np.zeros((120, 200, 3), np.uint8), subsampling="420")
    >>> image = read_coded(data, step=4)
    >>> image.bits.shape, image.n_rows, image.n_columns
    ((33,), 8, 13)
    """
    layout = read_layout(data)
    kind = _kind_of(layout)
    walk = walk_scan(data, step, layout)
    if walk.n_bytes >= _MOST_BYTES:
        raise CannotCutError(
            f"a JPEG with {walk.n_bytes:,} bytes of coded data; expected fewer than "
            f"{_MOST_BYTES:,}, to decode it on a GPU; decode it on the CPU"
        )
    n_words = -(-walk.n_bytes // 4)
    words = walk.plain[: 4 * n_words].view(">u4").astype(np.uint32)
    entries = walk.positions.astype(np.uint32), np.ascontiguousarray(walk.dcs.T)
    place = step, layout.entries_in_row(step), 0, 0
    return _coded_image(layout, kind, words, entries, place)


def read_coded_window(read: Read, index: CropIndex, window: Window) -> CodedImage:
    """Prepare a window of a JPEG file for the kernels, of the bytes that hold it.

    Parameters
    ----------
    read, index, window
        As for :func:`mtfast.jpeg.crop.cut_window`.

    Returns
    -------
    CodedImage
        Its entries are those of the index that the window needs, and one at the end of each row.

    Raises
    ------
    CannotCutError
        If the kernels do not decode files of this kind; the text says why.
    DamagedFileError
        If the index has checksums and the bytes that are read do not match them.
    MtfastError
        If the window has no pixel or leaves the image, or the index does not fit the file.
    """
    from mtfast.kernels.files import jpeg_rows, jpeg_scan

    rows = read_rows(read, index, window)
    kind = _kind_of(rows.layout)
    positions = np.ascontiguousarray(rows.positions).reshape(-1)
    n_rows, per_row = rows.positions.shape
    longest = int((rows.positions[:, -1] - rows.positions[:, 0]).max() >> 3) + 2
    words = np.empty(rows.data.size // 4 + n_rows * (1 + -(-longest // 4)), np.uint32)
    bits = np.empty(positions.size, np.uint32)
    n_words = jpeg_rows.unstuff_rows(
        rows.data,
        positions,
        per_row,
        np.empty(longest + jpeg_scan.MARGIN, np.uint8),
        np.empty(longest // 2 + 2, np.int64),
        words,
        bits,
    )
    if n_words < 0:
        raise MtfastError(
            f"a window with {jpeg_scan.STATUSES[n_words]}; expected sound codes; "
            f"fetch the image again"
        )
    entries = bits, np.ascontiguousarray(rows.dcs.reshape(-1, N_COMPONENTS))
    place = index.step, per_row, rows.first_row, rows.first_column
    return _coded_image(rows.layout, kind, words[:n_words], entries, place)


def _coded_image(
    layout: Layout,
    kind: tuple[int, int, int],
    words: NDArray[np.uint32],
    entries: tuple[NDArray[np.uint32], NDArray[np.int16]],
    place: tuple[int, int, int, int],
) -> CodedImage:
    return CodedImage(
        words,
        *entries,
        *place,
        *kind,
        layout.height,
        layout.width,
        layout.n_rows,
        layout.n_columns,
        layout.restart,
        _tables_of(layout),
    )


def _tables_of(layout: Layout) -> TableSet:
    return _table_set(layout.codes.tables, layout.chosen, layout.quanta.tobytes())


def _kind_of(layout: Layout) -> tuple[int, int, int]:
    """Return the kind of an image, and its luma samples down and across for each chroma sample."""
    if len(layout.components) == 1:
        return window_table.KIND_GREY, 1, 1
    luma, *chroma = layout.components
    if any((c.down, c.across) != (1, 1) for c in chroma) or max(luma.down, luma.across) > 2:
        raise CannotCutError(
            f"a JPEG with {luma.across} x {luma.down} luma samples for each of the chroma; "
            f"expected 1 or 2 each way, to decode it on a GPU; decode it on the CPU"
        )
    if layout.chosen[1] != layout.chosen[2]:
        raise CannotCutError(
            "a JPEG with three pairs of Huffman tables; expected two, to decode it on a GPU; "
            "decode it on the CPU"
        )
    if luma.across > 1 and -(-layout.width // 2) < _LEAST_CHROMA:
        raise CannotCutError(
            f"a JPEG of {layout.width} columns with subsampled chroma; expected at least 5, to "
            f"decode it on a GPU; decode it on the CPU"
        )
    kind = window_table.KIND_RGB if layout.is_rgb else window_table.KIND_YCC
    return kind, luma.down, luma.across


@lru_cache(maxsize=64)
def _table_set(
    tables: tuple[tuple[int, CodeTable], ...], chosen: tuple[tuple[int, int], ...], quanta: bytes
) -> TableSet:
    by_number = dict(tables)
    luma, chroma = chosen[0], chosen[-1]
    lookup: list[NDArray[np.uint16]] = []
    long_codes: list[NDArray[np.uint16]] = []
    for number in (luma[0], chroma[0], luma[1], chroma[1]):
        fast, longer = _lookup(by_number[number], len(long_codes))
        lookup.append(fast)
        long_codes += longer
    factors = np.zeros(NATURAL - QUANTA, np.uint16)
    given = np.frombuffer(quanta, np.uint16)
    factors[: given.size] = given
    places = np.array(_PLACES, np.uint16)
    return TableSet(
        np.concatenate([*lookup, factors, places]),
        np.concatenate([np.zeros(0, np.uint16), *long_codes]),
    )


def _lookup(table: CodeTable, n_before: int) -> tuple[NDArray[np.uint16], list[NDArray[np.uint16]]]:
    """Make the lookup of a table, and of the codes that are too long for it."""
    whole = np.zeros(1 << _LONGEST, np.uint16)
    symbols = np.frombuffer(table.symbols, np.uint8)
    at = 0
    for length, symbol in zip(code_lengths(table).tolist(), symbols.tolist(), strict=True):
        size = 1 << (_LONGEST - length)
        whole[at : at + size] = length << 8 | symbol
        at += size
    by_prefix = whole.reshape(FAST, 1 << LONG_BITS)
    fast = by_prefix[:, 0].copy()
    prefixes = np.flatnonzero((by_prefix >> 8 > FAST_BITS).any(axis=1))
    fast[prefixes] = LONG | (n_before + np.arange(prefixes.size))
    return fast, list(by_prefix[prefixes])
