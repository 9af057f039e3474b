"""RunTable -> compressed semantic masks, written straight from runs where these are few."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mtfast.errors import MtfastError
from mtfast.painting.paint import semantic
from mtfast.ragged import stretches
from mtfast.table import RunTable

__all__ = [
    "MAX_RUNS",
    "ZSTD_LEVEL",
    "MaskEncoder",
    "MaskRowRuns",
    "ZstdFrames",
    "cut_at",
    "encode_masks",
]

Size = tuple[int, int]

ZSTD_LEVEL = 1
"""Level of masks that are painted and compressed; low, as they are written by the thousand."""

MAX_RUNS = 4096
"""A mask of an image with more row runs than this is painted and compressed."""
# Frames from runs always decode twice as fast, but grow by eight bytes for each run: at this limit
# one has 33 KB rather than 13, and is no longer several times as fast to write.

# Runs that one call of the kernel may write, besides the capacity that it needs for one image more.
_BATCH_RUNS = 1 << 14


class MaskRowRuns(NamedTuple):
    """Row runs of the semantic masks of some images of one size.

    Made by :mod:`mtfast.kernels.operations.row_runs`.

    Attributes
    ----------
    starts, stops, values : (n_runs,) int64
        Pixels start .. stop - 1 of the row-major frame have the value; the runs of an image ascend
        and are disjoint, and all other pixels are 0.
    ends : (n_images,) int64
        Where the runs of each image end; those of the first start at 0.
    size : (height, width)
        Of the frames.
    """

    starts: NDArray[np.int64]
    stops: NDArray[np.int64]
    values: NDArray[np.int64]
    ends: NDArray[np.int64]
    size: tuple[int, int]


class MaskEncoder(Protocol):
    """A file format of single masks: both methods write bytes that decode to the same pixels."""

    def encode_runs(self, runs: MaskRowRuns) -> list[bytes]:
        """Encode uint8 masks of one or more images, given as runs.

        Parameters
        ----------
        runs : MaskRowRuns

        Returns
        -------
        list of n_images bytes
        """
        ...

    def encode_pixels(self, mask: NDArray[Any]) -> bytes:
        """Encode one mask.

        Parameters
        ----------
        mask : (height, width) uint8 or uint16, C order

        Returns
        -------
        bytes
        """
        ...


class ZstdFrames:
    """The chunks of a store: one zstd frame for each mask; see :class:`MaskEncoder`.

    Notes
    -----
    Source: RFC 8878. Frames from runs are RLE blocks, one byte repeated.
    """

    def encode_runs(self, runs: MaskRowRuns) -> list[bytes]:
        """Write the RLE blocks of each mask.

        Parameters
        ----------
        runs : MaskRowRuns

        Returns
        -------
        list of n_images bytes
        """
        from mtfast.kernels.files import zstd_frame

        n_images, n_pixels = len(runs.ends), runs.size[0] * runs.size[1]
        capacity = zstd_frame.frame_capacity(0, n_pixels) * n_images
        out = np.empty(capacity + zstd_frame.frame_capacity(len(runs.starts), 0), np.uint8)
        ends = np.empty(n_images, np.int64)
        zstd_frame.write_frames(*runs[:4], n_pixels, out, ends)
        return cut_at(out, ends)

    def encode_pixels(self, mask: NDArray[Any]) -> bytes:
        """Compress the pixels.

        Parameters
        ----------
        mask : (height, width) uint8 or uint16, C order

        Returns
        -------
        bytes
        """
        import imagecodecs

        encoded: bytes = imagecodecs.zstd_encode(mask, level=ZSTD_LEVEL)
        return encoded


def encode_masks(
    table: RunTable,
    dtype: DTypeLike,
    encoder: MaskEncoder | None = None,
    canvas: Size | None = None,
) -> Iterator[bytes]:
    r"""Encode the semantic mask of every image.

    Each decodes to the pixels of :func:`mtfast.painting.paint.semantic`. Masks of uint8 are written
    straight from their runs. Those with more than MAX_RUNS runs are painted and compressed, and so
    are masks of uint16, which have no runs of one byte.

    Parameters
    ----------
    table : RunTable
    dtype : uint8 or uint16
    encoder : MaskEncoder, optional
        By default :class:`ZstdFrames`.
    canvas : (height, width), optional
        Of the encoded masks, in pixels: below and to the right of an image they are 0. By default
        each has the size of its image.

    Yields
    ------
    bytes

    Raises
    ------
    RLEError, MtfastError
        As :func:`mtfast.painting.paint.semantic` does, or if an image is larger than the canvas;
        masks of earlier images may have been yielded by then.

    Examples
    --------
    >>> import imagecodecs
    >>> table = RunTable.of_texts((1, 6), [[b"132", b"231"]], [1, 2])    # .###.. ..###.
    >>> [imagecodecs.zstd_decode(chunk) for chunk in encode_masks(table, np.uint8)]
    [b'\x00\x01\x02\x02\x02\x00']
    """
    encoder = encoder or ZstdFrames()
    reader = _RunReader(table) if np.dtype(dtype) == np.uint8 else None
    for start, stop in stretches(table.heights, table.widths):
        size = int(table.heights[start]), int(table.widths[start])
        frame = _check_canvas(canvas or size, size)
        image = start
        while image < stop:
            runs = reader.read(image, stop, size, frame) if reader else None
            if runs and len(runs.ends):
                chunks = encoder.encode_runs(runs)
            else:
                chunks = [encoder.encode_pixels(_paint(table, image, size, frame, dtype))]
            yield from chunks
            image += len(chunks)


def _check_canvas(canvas: Size, size: Size) -> Size:
    if size[0] > canvas[0] or size[1] > canvas[1]:
        raise MtfastError(
            f"an image of {size[0]} x {size[1]} on a canvas of {canvas[0]} x {canvas[1]}; expected "
            f"a canvas as large as the images; make it larger"
        )
    return canvas


def cut_at(data: NDArray[np.uint8], ends: NDArray[np.int64]) -> list[bytes]:
    """Cut consecutive pieces out of an array.

    Parameters
    ----------
    data : (n_bytes,) uint8
    ends : (n,) int64
        Where each piece ends; the first one starts at 0.

    Returns
    -------
    list of n bytes

    Examples
    --------
    >>> cut_at(np.frombuffer(b"abcde", np.uint8), np.array([2, 5]))
    [b'ab', b'cde']
    """
    return [data[a:b].tobytes() for a, b in pairwise([0, *ends.tolist()])]


class _RunReader:
    """Turns the texts of a table into row runs, of many images in each call; holds the scratch."""

    def __init__(self, table: RunTable) -> None:
        from mtfast.kernels.operations import row_runs

        self._table = table
        longest, height = table.scratch().size, int(table.heights.max(initial=0))
        self._scratch = np.empty(row_runs.scratch_size(longest, height, MAX_RUNS), np.int64)
        self._runs = np.empty((3, _BATCH_RUNS + 2 * MAX_RUNS), np.int64)
        self._ends = np.empty(table.n_images, np.int64)

    def read(self, first: int, stop: int, size: Size, canvas: Size) -> MaskRowRuns:
        """Return the runs of image ``first`` and some up to ``stop``; none if it must be painted.

        The next call overwrites them.
        """
        from mtfast.kernels.operations import row_runs

        table = self._table
        n = row_runs.runs_of_images(
            table.rle,
            table.rle_offsets,
            table.image_offsets[: stop + 1],
            table.category_ids,
            first,
            *size,
            MAX_RUNS,
            self._scratch,
            self._runs.reshape(-1),
            self._ends,
        )
        ends = self._ends[:n]
        starts, stops, values = self._runs[:, : ends[-1] if n else 0]
        if size[1] < canvas[1]:
            # A run ends with its row, so that it moves with it.
            padding = starts // size[1] * (canvas[1] - size[1])
            starts += padding
            stops += padding
        return MaskRowRuns(starts, stops, values, ends, canvas)


def _paint(table: RunTable, image: int, size: Size, canvas: Size, dtype: DTypeLike) -> NDArray[Any]:
    """Paint the mask of one image into the upper left corner of a canvas."""
    frame: NDArray[Any] = np.empty((1, *size), dtype)
    try:
        semantic(table.image(image), out=frame)
    except MtfastError:
        # semantic() of the whole table would have raised for a bad RLE of any image first.
        table.check()
        raise
    pixels: NDArray[Any] = frame[0]
    if size != canvas:
        pixels = np.zeros(canvas, dtype)
        pixels[: size[0], : size[1]] = frame[0]
    return pixels
