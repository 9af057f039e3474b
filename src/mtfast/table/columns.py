"""The columns of a RunTable: their names and types, and the check that they fit together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtfast.errors import MtfastError

if TYPE_CHECKING:
    from mtfast.table.run_table import RunTable

__all__ = [
    "DTYPES",
    "MAX_PIXELS",
    "PER_IMAGE",
    "PER_INSTANCE",
    "Category",
    "all_equal",
    "as_column",
    "check_columns",
    "one_size",
]

MAX_PIXELS = 2**40

Int64 = NDArray[np.int64]


class Category(NamedTuple):
    """A class of instances: its id in the annotations and its name."""

    id: int
    name: str


DTYPES: dict[str, Any] = {
    "names": np.dtypes.StringDType(),
    "image_ids": np.int64,
    "heights": np.int64,
    "widths": np.int64,
    "image_offsets": np.int64,
    "instance_ids": np.int64,
    "category_ids": np.int64,
    "iscrowd": np.uint8,
    "positions": np.int64,
    "stated_area": np.float64,
    "stated_bbox": np.float64,
    "rle": np.uint8,
    "rle_offsets": np.int64,
}
PER_IMAGE = ("names", "image_ids", "heights", "widths")
PER_INSTANCE = (
    "instance_ids",
    "category_ids",
    "iscrowd",
    "positions",
    "stated_area",
    "stated_bbox",
)


def as_column(values: object, dtype: Any) -> NDArray[Any]:
    """Return values as a column: contiguous and read-only, copied only where that is necessary.

    Parameters
    ----------
    values : array-like
    dtype : numpy dtype

    Returns
    -------
    array
    """
    column = np.ascontiguousarray(np.asarray(values), dtype=dtype)
    if column.flags.writeable:
        # A view leaves the caller's own array writable.
        column = column.view()
        column.flags.writeable = False
    return column


def check_columns(table: RunTable) -> None:
    """Check the shapes and offsets of a table, and the sizes of its frames.

    Parameters
    ----------
    table : RunTable

    Raises
    ------
    MtfastError
        If the columns do not fit together.
    """
    n_images, n_instances = len(table.image_ids), len(table.instance_ids)
    for name in PER_IMAGE:
        _expect_shape(name, getattr(table, name), (n_images,), "n_images")
    for name in PER_INSTANCE:
        shape = (n_instances, 4) if name == "stated_bbox" else (n_instances,)
        _expect_shape(name, getattr(table, name), shape, "n_instances")
    _expect_offsets("image_offsets", table.image_offsets, n_images, n_instances)
    _expect_offsets("rle_offsets", table.rle_offsets, n_instances, table.rle.size)
    heights, widths = table.heights, table.widths
    if n_images and (
        min(heights.min(), widths.min()) < 0
        or max(heights.max(), widths.max()) > MAX_PIXELS
        or (heights.astype(float) * widths).max() > MAX_PIXELS
    ):
        bad = int(np.argmax(_bad_frame(heights, widths)))
        raise MtfastError(
            f"image {table.names[bad]!r} is {heights[bad]} x {widths[bad]} pixels; "
            f"expected sides of at least 0 and at most 2**40 pixels in all; correct its size"
        )


def _bad_frame(heights: Int64, widths: Int64) -> NDArray[np.bool_]:
    bad: NDArray[np.bool_] = (heights < 0) | (widths < 0)
    return bad | (heights.astype(float) * widths > MAX_PIXELS)


def _expect_shape(name: str, column: NDArray[Any], shape: Sequence[int], length: str) -> None:
    if column.shape != tuple(shape):
        wanted = f"({length}{', 4' if len(shape) == 2 else ''},)".replace("4,)", "4)")
        raise MtfastError(
            f"{name} has shape {column.shape}; expected {wanted} = {tuple(shape)}; "
            f"give every column one entry for each"
        )


def _expect_offsets(name: str, offsets: Int64, n: int, total: int) -> None:
    if offsets.shape != (n + 1,):
        raise MtfastError(
            f"{name} has shape {offsets.shape}; expected (n + 1,) = {(n + 1,)}; "
            f"give one more offset than pieces"
        )
    if offsets[0] != 0 or offsets[-1] != total or np.any(offsets[1:] < offsets[:-1]):
        raise MtfastError(
            f"{name} runs from {offsets[0]} to {offsets[-1]}; expected ascending offsets from 0 "
            f"to {total}; recompute them from the lengths"
        )


def one_size(heights: Int64, widths: Int64, name: Callable[[int], str]) -> tuple[int, int]:
    """Return the size that all frames share; (0, 0) of no frames.

    Parameters
    ----------
    heights, widths : (n,) int64
    name : callable
        Names frame k, for the message.

    Returns
    -------
    (height, width)

    Raises
    ------
    MtfastError
        If sizes differ.

    Examples
    --------
    >>> one_size(np.array([2, 2]), np.array([3, 3]), "frame {}".format)
    (2, 3)
    """
    if not heights.size:
        return 0, 0
    height, width = int(heights[0]), int(widths[0])
    if not (all_equal(heights) and all_equal(widths)):
        k = int(np.argmax((heights != height) | (widths != width)))
        raise MtfastError(
            f"{name(k)} is {heights[k]} x {widths[k]} pixels and {name(0)} is {height} x "
            f"{width}; expected one size; pass those of each size on their own"
        )
    return height, width


def all_equal(values: Int64) -> bool:
    """Return whether all values are the same, as none are.

    Parameters
    ----------
    values : (n,) int64

    Returns
    -------
    bool

    Examples
    --------
    >>> all_equal(np.array([3, 3])), all_equal(np.array([3, 4]))
    (True, False)
    """
    # For few values this takes a fifth of the time of numpy's comparison.
    return values.tobytes() == values[:1].tobytes() * values.size
