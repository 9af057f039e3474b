"""RunTable -> compressed semantic masks, written straight from runs where these are few."""

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
    "MaskEncoder",
    "MaskRowRuns",
    "ZstdFrames",
    "cut_at",
    "encode_masks",
]

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
    table: RunTable, dtype: DTypeLike, encoder: MaskEncoder | None = None
) -> Iterator[bytes]:
    r"""Encode the semantic mask of every image.

    Each decodes to the pixels of :func:`mtfast.painting.paint.semantic`. Masks of uint8 are written
    straight from their runs. Those with more than MAX_RUNS runs are painted and compressed, and so
    are masks of uint16, which have no runs of one byte.

    Parameters
    ----------
    table : RunTable
        Its images must all have one size.
    dtype : uint8 or uint16
    encoder : MaskEncoder, optional
        By default :class:`ZstdFrames`.

    Yields
    ------
    bytes

    Raises
    ------
    RLEError, MtfastError
        As :func:`mtfast.painting.paint.semantic` does; masks of earlier images may have been
        yielded by then.

    Examples
    --------
    >>> import imagecodecs
    >>> table = RunTable.of_texts((1, 6), [[b"132", b"231"]], [1, 2])    # .###.. ..###.
    >>> [imagecodecs.zstd_decode(chunk) for chunk in encode_masks(table, np.uint8)]
    [b'\x00\x01\x02\x02\x02\x00']
    """
    encoder = encoder or ZstdFrames()
    size = table.common_size()
    reader = _RunReader(table, size) if np.dtype(dtype) == np.uint8 else None
    frame: NDArray[Any] | None = None
    image = 0
    while image < table.n_images:
        runs = reader.read(image) if reader else None
        if runs and len(runs.ends):
            chunks = encoder.encode_runs(runs)
        else:
            frame = np.empty((1, *size), dtype) if frame is None else frame
            _paint(table, image, frame)
            chunks = [encoder.encode_pixels(frame[0])]
        yield from chunks
        image += len(chunks)


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

    def __init__(self, table: RunTable, size: tuple[int, int]) -> None:
        from mtfast.kernels.operations import row_runs

        self._table = table
        self._size = size
        self._scratch = np.empty(
            row_runs.scratch_size(table.scratch().size, size[0], MAX_RUNS), np.int64
        )
        self._runs = np.empty((3, _BATCH_RUNS + 2 * MAX_RUNS), np.int64)
        self._ends = np.empty(table.n_images, np.int64)

    def read(self, first: int) -> MaskRowRuns:
        """Return the runs of image ``first`` and some after it; of none if it must be painted.

        The next call overwrites them.
        """
        from mtfast.kernels.operations import row_runs

        table = self._table
        n = row_runs.runs_of_images(
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
        return MaskRowRuns(starts, stops, values, ends, self._size)


def _paint(table: RunTable, image: int, frame: NDArray[Any]) -> None:
    """Paint the mask of one image into a frame (1, height, width)."""
    try:
        semantic(table[image], out=frame)
    except MtfastError:
        # semantic() of the whole table would have raised for a bad RLE of any image first.
        table.check()
        raise
