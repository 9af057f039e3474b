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
from mtfast.gpu.files import CodedFiles, Files
from mtfast.jpeg.device import CodedImage, read_coded
from mtfast.jpeg.layout import CannotCutError
from mtfast.kernels.device import window_table as fields
from mtfast.loaders.gpu.members import Members
from mtfast.loaders.gpu.memory import Memory
from mtfast.loaders.reader import Reader
from mtfast.ragged import offsets_of
from mtfast.rles.batch import Rles, toggles_of
from mtfast.table import RunTable

__all__ = ["SetRuns", "blank_images", "read_files", "read_runs", "runs_of"]

logger = logging.getLogger(__name__)

Int64 = NDArray[np.int64]

# Files that are prepared beside the one that is copied.
_AHEAD = 8


class SetRuns(NamedTuple):
    """The instances of all images, image after image, in the order in which they are painted.

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


def read_runs(members: Members, device: torch.device) -> SetRuns:
    """Read the instances of a set, or of several.

    Parameters
    ----------
    members : Members
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
    parts = [_runs_of_set(reader) for reader in members.readers]
    return SetRuns(
        _to(_joined([part.toggles for part in parts]), device),
        _to(_joined_offsets([part.starts for part in parts]), device),
        _to(_joined([part.numbers for part in parts]), device),
        _to(_joined([part.ids for part in parts]), device),
        _joined([part.boxes for part in parts]),
        _joined([part.shown for part in parts]),
        _joined_offsets([part.offsets for part in parts]),
    )


class _Runs(NamedTuple):
    """What :class:`SetRuns` has of one set, all on the host."""

    toggles: NDArray[np.int32]
    starts: Int64
    numbers: NDArray[np.int32]
    ids: Int64
    boxes: Int64
    shown: NDArray[np.uint8]
    offsets: Int64


def _runs_of_set(reader: Reader) -> _Runs:
    table = reader.with_class_numbers(reader.split.table(reader.variant))
    largest = int((table.heights * table.widths).max(initial=0))
    if largest >= 2**31:
        raise MtfastError(
            f"an image of {largest:,} pixels; expected fewer than 2,147,483,648, to paint its "
            f"masks on a GPU; use mtfast.loaders.torch.Loader"
        )
    shown = np.ones(table.n_instances, np.uint8)
    if reader.crowds == "ignore":
        shown[table.iscrowd != 0] = 0
    return _Runs(
        *runs_of(table),
        table.category_ids.astype(np.int32),
        table.instance_ids.astype(np.int64),
        table.bbox().astype(np.int64).reshape(-1),
        shown,
        table.image_offsets.astype(np.int64),
    )


def _joined(arrays: list[NDArray[Any]]) -> NDArray[Any]:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


def _joined_offsets(offsets: list[Int64]) -> Int64:
    """Join offsets, each of which begin with 0."""
    return offsets_of(_joined([np.diff(each) for each in offsets]))


def runs_of(table: RunTable) -> tuple[NDArray[np.int32], Int64]:
    """List where the runs of instances begin and end.

    Parameters
    ----------
    table : RunTable
        Of frames below 2**31 pixels.

    Returns
    -------
    toggles : int32
        Column by column of a frame; as many on as off.
    starts : (n + 1,) int64
        Where the toggles of each instance begin.

    Raises
    ------
    RLEError
        If a text does not tile its frame.
    """
    lists = toggles_of(Rles.of_table(table), "runs")
    # The toggles of every instance end with a sentinel.
    toggles = np.delete(lists.toggles[: lists.offsets[-1]], lists.offsets[1:] - 1)
    return toggles.astype(np.int32), lists.offsets - np.arange(lists.n + 1)


def _to(array: NDArray[Any], device: torch.device) -> torch.Tensor:
    return torch.from_numpy(np.array(array)).to(device)


def blank_images(members: Members, runs: SetRuns) -> Int64:
    """Return the rows of all images without their files.

    Parameters
    ----------
    members : Members
    runs : SetRuns

    Returns
    -------
    (n_images, FIELDS) int64
    """
    images = np.zeros((len(members), fields.FIELDS), np.int64)
    for field, side in ((fields.FRAME_HEIGHT, "heights"), (fields.FRAME_WIDTH, "widths")):
        images[:, field] = _joined([getattr(r.split, side)[r.indices] for r in members.readers])
    images[:, fields.INSTANCES] = runs.offsets[:-1]
    images[:, fields.INSTANCES_END] = runs.offsets[1:]
    return images


def read_files(members: Members, images: Int64, memory: Memory, step: int) -> CodedFiles:
    """Read all files; the checksum of each is compared once.

    Parameters
    ----------
    members : Members
    images : (n_images, FIELDS) int64
        As :func:`blank_images` returns them; they are filled.
    memory : Memory
        Where the words are to lie.
    step : int
        MCUs from one entry of a row to the next.

    Returns
    -------
    CodedFiles

    Raises
    ------
    StoreError
        If the store is damaged.
    """
    has_images = members.readers[0].images
    # Scans are shorter than their files; each ends with a whole word.
    words = memory.words(members.n_file_bytes // 4 + len(members))
    files = Files(images)
    if has_images:
        for position, image in _coded(members, step):
            start, end = files.add(position, image)
            words[start:end].copy_(torch.from_numpy(image.words.view(np.int32)))
        _log_kinds(images, files.n_words, memory.device)
    arrays = {key: _to(array, memory.device) for key, array in files.arrays().items()}
    return CodedFiles(
        images.reshape(-1), files.row_words(), memory.kind == "host", arrays | {"words": words}
    )


def _log_kinds(images: Int64, n_words: int, device: torch.device) -> None:
    on_cpu = int(np.count_nonzero(images[:, fields.KIND] == 0))
    logger.info(
        "%s images of %s bytes are decoded on %s, %s of other kinds on the CPU",
        f"{len(images) - on_cpu:,}",
        f"{4 * n_words:,}",
        device,
        f"{on_cpu:,}",
    )


def _coded(members: Members, step: int) -> Iterator[tuple[int, CodedImage]]:
    """Prepare the files that kernels can decode, a few of them at a time."""
    n_threads = min(os.cpu_count() or 1, _AHEAD)
    with ThreadPoolExecutor(n_threads, "mtfast-files") as pool:
        waiting: list[tuple[int, Future[CodedImage | None]]] = []
        try:
            for position in range(len(members)):
                waiting.append((position, pool.submit(partial(_read_one, members, step), position)))
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


def _read_one(members: Members, step: int, position: int) -> CodedImage | None:
    reader, index = members.find(position)
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
            f"{members.where(position)} is {error}; run 'mtfast check' on the store"
        ) from error
    if (image.height, image.width) != split.size(index):
        raise StoreError(
            f"{members.where(position)} has {image.height} x {image.width} pixels; expected "
            f"{' x '.join(map(str, split.size(index)))}; run 'mtfast check' on the store"
        )
    return image
