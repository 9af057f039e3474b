"""RunTable -> the bytes of semantic masks, mostly without ever painting one."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mtfast.errors import MtfastError
from mtfast.painting.paint import semantic
from mtfast.table import RunTable

__all__ = [
    "MAX_RUNS",
    "ZSTD_LEVEL",
    "MaskForm",
    "MaskRuns",
    "ZstdFrames",
    "cut_at",
    "encode_masks",
]

ZSTD_LEVEL = 1
"""Of the masks that are painted and compressed: they are written by the thousand."""

MAX_RUNS = 4096
"""Row runs of an image above which its mask is painted and compressed."""
# Frames from runs always decode twice as fast, but grow by eight bytes a run: at this limit one is
# 33 KB rather than 13, and no longer several times as fast to write.

# Runs that one call of the kernel may write, besides the room that it keeps for the next image.
_BATCH_RUNS = 1 << 14


class MaskRuns(NamedTuple):
    """Runs of the semantic masks of some images of one size.

    Made by :mod:`mtfast.kernels.operations.row_runs`.

    Attributes
    ----------
    starts, stops, values : (n_runs,) int64
        Range of pixels and value of each, ascending and disjoint in each image.
    ends : (n_images,) int64
        Where the runs of each image end; those of the first begin at 0.
    size : (height, width)
    """

    starts: NDArray[np.int64]
    stops: NDArray[np.int64]
    values: NDArray[np.int64]
    ends: NDArray[np.int64]
    size: tuple[int, int]


class MaskForm(Protocol):
    """What masks are written as."""

    def from_runs(self, runs: MaskRuns) -> list[bytes]:
        """Encode masks of uint8 that are given as runs."""
        ...

    def from_pixels(self, mask: NDArray[Any]) -> bytes:
        """Encode a mask of uint8 or uint16, (height, width)."""
        ...


class ZstdFrames:
    """The chunks of a store: a zstd frame of each mask."""

    def from_runs(self, runs: MaskRuns) -> list[bytes]:
        """Write zstd's runs of one byte."""
        from mtfast.kernels.files import zstd_frame

        n_images, n_pixels = len(runs.ends), runs.size[0] * runs.size[1]
        capacity = zstd_frame.frame_capacity(0, n_pixels) * n_images
        out = np.empty(capacity + zstd_frame.frame_capacity(len(runs.starts), 0), np.uint8)
        ends = np.empty(n_images, np.int64)
        zstd_frame.write_frames(*runs[:4], n_pixels, out, ends)
        return cut_at(out, ends)

    def from_pixels(self, mask: NDArray[Any]) -> bytes:
        """Compress the pixels."""
        import imagecodecs

        encoded: bytes = imagecodecs.zstd_encode(mask, level=ZSTD_LEVEL)
        return encoded


def encode_masks(
    table: RunTable, dtype: DTypeLike, form: MaskForm | None = None
) -> Iterator[bytes]:
    """Encode the semantic mask of every image.

    Each decodes to the pixels of :func:`mtfast.painting.paint.semantic`. Masks of uint8 are written
    straight from their runs; those of more than MAX_RUNS runs, and of uint16, which are not to be
    expressed as runs of one byte, are painted and compressed.

    Parameters
    ----------
    table : RunTable
        Its images must all have one size.
    dtype : uint8 or uint16
    form : MaskForm, optional
        By default :class:`ZstdFrames`.

    Yields
    ------
    bytes

    Raises
    ------
    RLEError, MtfastError
        As :func:`mtfast.painting.paint.semantic` does; masks of earlier images may have come
        by then.

    Examples
    --------
    >>> for chunk in encode_masks(table, np.uint8):                      # doctest: +SKIP
    ...     file.write(chunk)
    """
    form = form or ZstdFrames()
    size = table.common_size()
    reader = _RunReader(table, size) if np.dtype(dtype) == np.uint8 else None
    frame: NDArray[Any] | None = None
    image = 0
    while image < table.n_images:
        runs = reader.read(image) if reader else None
        if runs and len(runs.ends):
            chunks = form.from_runs(runs)
        else:
            frame = np.empty((1, *size), dtype) if frame is None else frame
            _paint(table, image, frame)
            chunks = [form.from_pixels(frame[0])]
        yield from chunks
        image += len(chunks)


def cut_at(data: NDArray[np.uint8], ends: NDArray[np.int64]) -> list[bytes]:
    """Cut what lies one after another; the first piece begins at 0."""
    return [data[a:b].tobytes() for a, b in pairwise([0, *ends.tolist()])]


class _RunReader:
    """Turns the texts of a table into row runs, of many images a call, with the scratch for it."""

    def __init__(self, table: RunTable, size: tuple[int, int]) -> None:
        from mtfast.kernels.operations import row_runs

        self._table = table
        self._size = size
        self._scratch = np.empty(
            row_runs.scratch_size(table.scratch().size, size[0], MAX_RUNS), np.int64
        )
        self._runs = np.empty((3, _BATCH_RUNS + 2 * MAX_RUNS), np.int64)
        self._ends = np.empty(table.n_images, np.int64)

    def read(self, first: int) -> MaskRuns:
        """Return the runs of image ``first`` and of those after it; no ends if it must be painted.

        They are overwritten by the next call.
        """
        from mtfast.kernels.operations import mask_runs

        table = self._table
        n = mask_runs.runs_of_images(
            table.rle,
            table.rle_offsets,
            table.image_offsets,
            table.category_ids,
            first,
            *self._size,
            MAX_RUNS,
            self._scratch,
            self._runs.reshape(-1),
            self._ends,
        )
        ends = self._ends[:n]
        starts, stops, values = self._runs[:, : ends[-1] if n else 0]
        return MaskRuns(starts, stops, values, ends, self._size)


def _paint(table: RunTable, image: int, frame: NDArray[Any]) -> None:
    """Paint the mask of one image into a frame (1, height, width)."""
    try:
        semantic(table[image], out=frame)
    except MtfastError:
        # Painted all at once, the table would have been searched for a bad RLE first.
        table.check()
        raise
