"""The images and runs of a set as kernels read them: files side by side, in one memory."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from mtfast.errors import MtfastError, StoreError
from mtfast.jpeg.device import CodedImage, TableSet, read_coded
from mtfast.jpeg.layout import CannotCutError
from mtfast.kernels.device import window_table as fields
from mtfast.loaders.gpu.memory import Memory
from mtfast.loaders.reader import Reader
from mtfast.rles.batch import Rles, toggles_of

__all__ = ["CodedSet", "SetRuns", "read_files", "read_runs"]

logger = logging.getLogger(__name__)

Int64 = NDArray[np.int64]

# Files that are prepared beside the one that is copied.
_AHEAD = 8


class SetRuns(NamedTuple):
    """The instances of a set, image after image, in the order in which they are painted.

    Attributes
    ----------
    toggles : uint32 tensor
        Where runs begin and end in their frames, column by column; as many on as off.
    starts : (n + 1,) int64 tensor
        Where the toggles of each instance begin.
    numbers : (n,) int32 tensor
        Of their classes.
    ids : (n,) int64 tensor
        Of their annotations.
    boxes : (4 * n,) int64
        [left, top, width, height], on the host.
    shown : (n,) uint8
        Whether an instance is one of the targets, on the host.
    offsets : (n_images + 1,) int64
        Where the instances of each image begin, on the host.
    """

    toggles: torch.Tensor
    starts: torch.Tensor
    numbers: torch.Tensor
    ids: torch.Tensor
    boxes: Int64
    shown: NDArray[np.uint8]
    offsets: Int64


class CodedSet(NamedTuple):
    """A set whose files and runs lie in memory.

    Attributes
    ----------
    images : (n_images * FIELDS,) int64
        What the windows of each image share, see :mod:`mtfast.kernels.device.window_table`; on the
        host. The kind is 0 of an image that is decoded on the CPU.
    row_words : int64
        Where the rows of each image begin, see :func:`mtfast.kernels.device.plan.place_windows`.
    are_copied : bool
        Whether the words lie in the host's memory, from which those of a window are copied.
    words, bits, dcs, tables, long_codes : tensors
        See :func:`mtfast.kernels.device.jpeg_blocks.decode_stretches`.
    runs : SetRuns
    """

    images: Int64
    row_words: Int64
    are_copied: bool
    words: torch.Tensor
    bits: torch.Tensor
    dcs: torch.Tensor
    tables: torch.Tensor
    long_codes: torch.Tensor
    runs: SetRuns


def read_runs(reader: Reader, device: torch.device) -> SetRuns:
    """Read the instances of a set.

    Parameters
    ----------
    reader : Reader
    device : torch.device

    Returns
    -------
    SetRuns

    Raises
    ------
    MtfastError
        If a frame has more pixels than 32 bits can count.
    StoreError, RLEError
        If the store is damaged.
    """
    table = reader.with_class_numbers(reader.split.table(reader.variant))
    largest = int((table.heights * table.widths).max(initial=0))
    if largest >= 2**31:
        raise MtfastError(
            f"an image of {largest:,} pixels; expected fewer than 2,147,483,648, to paint its "
            f"masks on a GPU; use mtfast.loaders.torch.Loader"
        )
    lists = toggles_of(Rles.of_table(table), "runs")
    n = table.n_instances
    # The toggles of every instance end with a sentinel.
    toggles = np.delete(lists.toggles[: lists.offsets[-1]], lists.offsets[1:] - 1)
    starts = lists.offsets[: n + 1] - np.arange(n + 1)
    shown = np.ones(n, np.uint8)
    if reader.crowds == "ignore":
        shown[table.iscrowd != 0] = 0
    return SetRuns(
        _to(toggles.astype(np.uint32).view(np.int32), device),
        _to(starts, device),
        _to(table.category_ids.astype(np.int32), device),
        _to(table.instance_ids.astype(np.int64), device),
        table.bbox().astype(np.int64).reshape(-1),
        shown,
        table.image_offsets.astype(np.int64),
    )


def _to(array: NDArray[Any], device: torch.device) -> torch.Tensor:
    return torch.from_numpy(np.array(array)).to(device)


def read_files(reader: Reader, memory: Memory, step: int) -> CodedSet:
    """Read the files and runs of a set; the checksum of each file is compared once.

    Parameters
    ----------
    reader : Reader
    memory : Memory
        Where the words are to lie.
    step : int
        MCUs from one entry of a row to the next.

    Returns
    -------
    CodedSet

    Raises
    ------
    StoreError
        If the store is damaged.
    """
    runs = read_runs(reader, memory.device)
    images = np.zeros((len(reader), fields.FIELDS), np.int64)
    images[:, fields.FRAME_HEIGHT] = reader.split.heights[reader.indices]
    images[:, fields.FRAME_WIDTH] = reader.split.widths[reader.indices]
    images[:, fields.INSTANCES] = runs.offsets[:-1]
    images[:, fields.INSTANCES_END] = runs.offsets[1:]
    files = _Files(reader, images, memory)
    if reader.images:
        for position, image in _coded(reader, step):
            files.add(position, image)
    return files.finished(runs)


def _coded(reader: Reader, step: int) -> Iterator[tuple[int, CodedImage]]:
    """Prepare the files that kernels can decode, a few of them at a time."""
    n_threads = min(os.cpu_count() or 1, _AHEAD)
    with ThreadPoolExecutor(n_threads, "mtfast-files") as pool:
        waiting: list[tuple[int, Future[CodedImage | None]]] = []
        try:
            for position in range(len(reader)):
                waiting.append((position, pool.submit(partial(_read_one, reader, step), position)))
                if len(waiting) > 2 * n_threads:
                    yield from _taken(waiting.pop(0))
            while waiting:
                yield from _taken(waiting.pop(0))
        finally:
            for _, future in waiting:
                future.cancel()


def _taken(one: tuple[int, Future[CodedImage | None]]) -> Iterator[tuple[int, CodedImage]]:
    image = one[1].result()
    if image is not None:
        yield one[0], image


def _read_one(reader: Reader, step: int, position: int) -> CodedImage | None:
    index = int(reader.indices[position])
    split = reader.split
    if split.kinds[index] != "jpeg" or split.orientations[index] != 1:
        return None
    data = split.image_bytes(index)
    try:
        image = read_coded(data, step)
    except CannotCutError as error:
        logger.debug("image %d is decoded on the CPU: %s", index, error)
        return None
    except MtfastError as error:
        raise StoreError(
            f"image {index} of split {reader.split_name} of {reader.store} is {error}; "
            f"run 'mtfast check' on the store"
        ) from error
    if (image.height, image.width) != split.size(index):
        raise StoreError(
            f"image {index} of split {reader.split_name} of {reader.store} has {image.height} x "
            f"{image.width} pixels; expected {' x '.join(map(str, split.size(index)))}; "
            f"run 'mtfast check' on the store"
        )
    return image


class _Files:
    """Files that are put side by side."""

    def __init__(self, reader: Reader, images: Int64, memory: Memory) -> None:
        self._images, self._memory = images, memory
        self._reader = reader
        n_bytes = int(reader.split.file_sizes[reader.indices].sum()) if reader.images else 0
        # Scans are shorter than their files; each ends with a whole word.
        self._words = memory.words(n_bytes // 4 + len(reader))
        self._bits: list[NDArray[np.uint32]] = []
        self._dcs: list[NDArray[np.int16]] = []
        self._n_words = self._n_entries = 0
        self._sets: dict[int, int] = {}
        self._tables: list[TableSet] = []
        self._long_starts = [0]
        self._row_words: list[Int64] = []
        self._n_rows = 0

    def add(self, position: int, image: CodedImage) -> None:
        """Add the file of an image."""
        row = self._images[position]
        n_words = len(image.words)
        row[fields.WORDS], row[fields.WORDS_END] = self._n_words, self._n_words + n_words
        self._words[self._n_words : self._n_words + n_words].copy_(
            torch.from_numpy(image.words.view(np.int32))
        )
        self._n_words += n_words
        row[fields.ROWS_AT] = self._n_rows
        in_row = -(-image.n_columns // image.step)
        self._row_words.append(image.bits[::in_row].astype(np.int64) >> 5)
        self._n_rows += image.n_rows + 1
        row[fields.ENTRIES] = self._n_entries
        self._n_entries += len(image.bits)
        self._bits.append(image.bits)
        self._dcs.append(image.dcs.reshape(-1))
        number = self._number_of(image.tables)
        row[fields.TABLES], row[fields.LONG_CODES] = number, self._long_starts[number]
        row[fields.STEP], row[fields.CHECKED] = image.step, 1
        row[fields.PER_ROW] = in_row
        row[fields.N_COLUMNS], row[fields.RESTART] = image.n_columns, image.restart
        row[fields.KIND], row[fields.DOWN], row[fields.ACROSS] = (
            image.kind,
            image.down,
            image.across,
        )

    def _number_of(self, tables: TableSet) -> int:
        # Equal tables are one object, as long as the set keeps it.
        number = self._sets.get(id(tables))
        if number is None:
            number = self._sets[id(tables)] = len(self._tables)
            self._tables.append(tables)
            self._long_starts.append(self._long_starts[-1] + len(tables.long_codes))
        return number

    def finished(self, runs: SetRuns) -> CodedSet:
        """Return the set."""
        device = self._memory.device
        on_cpu = int(np.count_nonzero(self._images[:, fields.KIND] == 0))
        if self._reader.images:
            logger.info(
                "%s images of %s bytes are decoded on %s, %s of other kinds on the CPU",
                f"{len(self._images) - on_cpu:,}",
                f"{4 * self._n_words:,}",
                device,
                f"{on_cpu:,}",
            )
        lookups = [tables.lookup for tables in self._tables]
        long_codes = [tables.long_codes for tables in self._tables]
        return CodedSet(
            self._images.reshape(-1),
            _joined(self._row_words, np.int64),
            self._memory.kind == "host",
            self._words,
            _to(_joined(self._bits, np.uint32).view(np.int32), device),
            _to(_joined(self._dcs, np.int16), device),
            _to(_joined(lookups, np.uint16).view(np.int16), device),
            _to(_joined(long_codes, np.uint16).view(np.int16), device),
            runs,
        )


def _joined(arrays: list[NDArray[Any]], dtype: Any) -> NDArray[Any]:
    return np.concatenate(arrays) if arrays else np.zeros(0, dtype)
