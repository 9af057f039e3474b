"""JPEG files side by side in one memory, as kernels read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from mtfast.jpeg.crop_indexes import PlannedReads, UnstuffedWindows
from mtfast.jpeg.device import CodedImage, TableSet
from mtfast.kernels.device import window_table as fields
from mtfast.kernels.files import jpeg_windows

__all__ = ["CodedFiles", "Files"]

Int64 = NDArray[np.int64]


# What windows that were read together have of the plan, and of the heads of their files.
_OF_WINDOW = [fields.FIRST_ROW, fields.FIRST_COLUMN, fields.PER_ROW]
_OF_PLAN = [jpeg_windows.ROW, jpeg_windows.FIRST, jpeg_windows.PER_ROW]
_OF_FILE = [
    fields.STEP,
    fields.N_COLUMNS,
    fields.KIND,
    fields.DOWN,
    fields.ACROSS,
    fields.RESTART,
]
_OF_HEAD = [
    jpeg_windows.STEP,
    jpeg_windows.N_COLUMNS,
    jpeg_windows.KIND,
    jpeg_windows.DOWN,
    jpeg_windows.ACROSS,
    jpeg_windows.RESTART,
]


class CodedFiles(NamedTuple):
    """Files that lie in memory.

    Attributes
    ----------
    images : (n_images * FIELDS,) int64
        What the windows of each image share, see :mod:`mtfast.kernels.device.window_table`; on the
        host. The kind is 0 of an image that is decoded on the CPU.
    row_words : int64
        Where the rows of each image begin, see :func:`mtfast.kernels.device.plan.place_windows`.
    are_copied : bool
        Whether the words lie in the host's memory, from which those of a window are copied.
    arrays : dict of str to tensor
        ``words``, ``bits``, ``dcs``, ``tables`` and ``long_codes``, see
        :func:`mtfast.kernels.device.jpeg_blocks.decode_stretches`.
    """

    images: Int64
    row_words: Int64
    are_copied: bool
    arrays: dict[str, torch.Tensor]


class Files:
    """Files that are put side by side.

    Parameters
    ----------
    images : (n_images, FIELDS) int64
        Is filled.

    Attributes
    ----------
    n_words : int
        Of the files that were added.
    """

    def __init__(self, images: Int64) -> None:
        self._images = images
        self.n_words = self._n_entries = self._n_rows = 0
        self._bits: list[NDArray[np.uint32]] = []
        self._dcs: list[NDArray[np.int16]] = []
        self._sets: dict[int, int] = {}
        self._tables: list[TableSet] = []
        self._long_starts = [0]
        self._row_words: list[Int64] = []

    def add(self, position: int, image: CodedImage) -> tuple[int, int]:
        """Add the file of an image.

        Parameters
        ----------
        position : int
            Row of the image.
        image : CodedImage

        Returns
        -------
        start, end : int
            Where its words are.
        """
        row = self._images[position]
        start, end = self.n_words, self.n_words + len(image.words)
        row[fields.WORDS], row[fields.WORDS_END] = start, end
        self.n_words = end
        row[fields.ROWS_AT] = self._n_rows
        self._row_words.append(image.bits[:: image.per_row].astype(np.int64) >> 5)
        self._n_rows += len(self._row_words[-1])
        row[fields.ENTRIES] = self._n_entries
        self._n_entries += len(image.bits)
        self._bits.append(image.bits)
        self._dcs.append(image.dcs.reshape(-1))
        number = self._number_of(image.tables)
        row[fields.TABLES], row[fields.LONG_CODES] = number, self._long_starts[number]
        row[fields.STEP], row[fields.PER_ROW], row[fields.CHECKED] = image.step, image.per_row, 1
        row[fields.FIRST_ROW], row[fields.FIRST_COLUMN] = image.first_row, image.first_column
        row[fields.N_COLUMNS], row[fields.RESTART] = image.n_columns, image.restart
        row[fields.KIND] = image.kind
        row[fields.DOWN], row[fields.ACROSS] = image.down, image.across
        return start, end

    def add_windows(
        self,
        positions: Int64,
        heads: Int64,
        tables: Sequence[TableSet],
        planned: PlannedReads,
        coded: UnstuffedWindows,
    ) -> tuple[int, int]:
        """Add windows of files that were read together.

        Parameters
        ----------
        positions : (n,) int64
            Rows of the windows.
        heads : (n, HEAD_FIELDS) int64
            Of their files, see :mod:`mtfast.kernels.files.jpeg_windows`.
        tables : sequence of TableSet
            Of their files.
        planned : PlannedReads
        coded : UnstuffedWindows

        Returns
        -------
        start, end : int
            Where their words are.
        """
        numbers = np.array([self._number_of(one) for one in tables], np.int64)
        plans, rows = planned.windows[:-1], np.zeros((len(positions), fields.FIELDS), np.int64)
        start = self.n_words
        rows[:, fields.WORDS] = start + plans[:, jpeg_windows.WORDS_AT]
        rows[:, fields.WORDS_END] = rows[:, fields.WORDS] + coded.n_words
        rows[:, fields.ENTRIES] = self._n_entries + plans[:, jpeg_windows.BITS_AT]
        rows[:, _OF_WINDOW] = plans[:, _OF_PLAN]
        rows[:, _OF_FILE] = heads[:, _OF_HEAD]
        rows[:, fields.TABLES], rows[:, fields.CHECKED] = numbers, 1
        rows[:, fields.LONG_CODES] = np.array(self._long_starts)[numbers]
        # The fields of the image itself are 0 in these rows, and these are 0 in its own.
        self._images[positions] += rows
        self.n_words += len(coded.words)
        self._n_entries += len(coded.bits)
        self._bits.append(coded.bits)
        self._dcs.append(coded.dcs)
        return start, self.n_words

    def _number_of(self, tables: TableSet) -> int:
        # Equal tables are one object, as long as the set keeps it.
        number = self._sets.get(id(tables))
        if number is None:
            number = self._sets[id(tables)] = len(self._tables)
            self._tables.append(tables)
            self._long_starts.append(self._long_starts[-1] + len(tables.long_codes))
        return number

    def row_words(self) -> Int64:
        """Return where the rows of the images begin."""
        return _joined(self._row_words, np.int64)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays that the kernels read, but for the words."""
        return {
            "bits": _joined(self._bits, np.uint32).view(np.int32),
            "dcs": _joined(self._dcs, np.int16),
            "tables": _joined([t.lookup for t in self._tables], np.uint16).view(np.int16),
            "long_codes": _joined([t.long_codes for t in self._tables], np.uint16).view(np.int16),
        }


def _joined(arrays: list[NDArray[Any]], dtype: Any) -> NDArray[Any]:
    return np.concatenate(arrays) if arrays else np.zeros(0, dtype)
