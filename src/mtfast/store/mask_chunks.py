"""RunTable -> the chunks of a store's semantic masks, mostly without ever painting one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mtfast.errors import MtfastError
from mtfast.raster import frame_size, semantic
from mtfast.runs import RunTable
from mtfast.store import schema

__all__ = ["MAX_RUNS", "encode_masks"]

MAX_RUNS = 4096
"""Row runs of an image above which its mask is painted and compressed."""
# Frames from runs always decode twice as fast, but grow by eight bytes a run: at this limit one is
# 33 KB rather than 13, and no longer several times as fast to write.

# What one call of the kernel may fill with frames, besides the room that it keeps for the next.
_BATCH_BYTES = 1 << 18


def encode_masks(table: RunTable, dtype: DTypeLike) -> Iterator[bytes]:
    """Encode the semantic mask of every image as one zstd frame.

    Each decodes to the pixels of :func:`mtfast.raster.semantic`. Masks of uint8 are written
    straight from their runs; those of more than MAX_RUNS runs, and of uint16, which zstd's runs
    of one byte cannot express, are painted and compressed.

    Parameters
    ----------
    table : RunTable
        Its images must all have one size.
    dtype : uint8 or uint16

    Yields
    ------
    bytes

    Raises
    ------
    RLEError, MtfastError
        As :func:`mtfast.raster.semantic` does; frames of earlier images may have come by then.

    Examples
    --------
    >>> for chunk in encode_masks(table, np.uint8):                      # doctest: +SKIP
    ...     file.write(chunk)
    """
    size = frame_size(table)
    writer = _FrameWriter(table, size) if np.dtype(dtype) == np.uint8 else None
    frame: NDArray[Any] | None = None
    image = 0
    while image < table.n_images:
        chunks = writer.write(image) if writer else []
        if not chunks:
            frame = np.empty((1, *size), dtype) if frame is None else frame
            chunks = [_compressed(table, image, frame)]
        yield from chunks
        image += len(chunks)


class _FrameWriter:
    """Writes frames from runs, many a call, with the scratch for it."""

    def __init__(self, table: RunTable, size: tuple[int, int]) -> None:
        from mtfast.kernels import row_runs, zstd_frame

        longest = table.scratch().size
        n_pixels = size[0] * size[1]
        self._table = table
        self._size = size
        self._scratch = np.empty(row_runs.scratch_size(longest, size[0], MAX_RUNS), np.int64)
        self._runs = np.empty(6 * MAX_RUNS, np.int64)
        self._frames = np.empty(
            _BATCH_BYTES + zstd_frame.frame_room(2 * MAX_RUNS, n_pixels), np.uint8
        )
        self._ends = np.empty(table.n_images, np.int64)

    def write(self, first: int) -> list[bytes]:
        """Return the frames of image ``first`` and those after it; none if it must be painted."""
        from mtfast.kernels import zstd_frame

        table = self._table
        n = zstd_frame.encode_images(
            table.rle,
            table.rle_offsets,
            table.image_offsets,
            table.category_ids,
            first,
            *self._size,
            self._scratch,
            self._runs,
            self._frames,
            self._ends,
        )
        ends = self._ends[:n].tolist()
        return [self._frames[a:b].tobytes() for a, b in zip([0, *ends], ends, strict=False)]


def _compressed(table: RunTable, image: int, frame: NDArray[Any]) -> bytes:
    """Paint the mask of one image into a frame (1, height, width) and compress it."""
    import imagecodecs

    try:
        semantic(table[image], out=frame)
    except MtfastError:
        # Painted all at once, the table would have been searched for a bad RLE first.
        table.check()
        raise
    encoded: bytes = imagecodecs.zstd_encode(frame, level=schema.MASK_LEVEL)
    return encoded
