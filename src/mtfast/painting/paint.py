"""Painting: RunTable -> semantic masks as pixels."""

from __future__ import annotations

from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from mtfast.errors import MtfastError
from mtfast.painting.frame import LARGEST, check_out
from mtfast.painting.overlap import Overlap, paint_order
from mtfast.table import RunTable

__all__ = ["semantic", "semantic_dtype"]

_DTYPES = (np.dtype(np.uint8), np.dtype(np.uint16))


def semantic_dtype(category_ids: NDArray[np.int64]) -> np.dtype[Any]:
    """Return uint8 if every category id fits into it, else uint16.

    Parameters
    ----------
    category_ids : (n,) int64

    Returns
    -------
    dtype

    Raises
    ------
    MtfastError
        If an id is negative or above 65535.

    Examples
    --------
    >>> semantic_dtype(np.array([1, 300]))
    dtype('uint16')
    """
    low, high = category_ids.min(initial=0), category_ids.max(initial=0)
    if low < 0 or high > 65535:
        raise MtfastError(
            f"category id {low if low < 0 else high}; expected 0 to 65535 for a semantic mask; "
            f"renumber the categories"
        )
    return np.dtype(np.uint8 if high <= 255 else np.uint16)


@overload
def semantic(table: RunTable, out: NDArray[Any], overlap: Overlap = ...) -> NDArray[Any]: ...
@overload
def semantic(
    table: RunTable, out: None = ..., overlap: Overlap = ...
) -> NDArray[Any] | list[NDArray[Any]]: ...
def semantic(
    table: RunTable, out: NDArray[Any] | None = None, overlap: Overlap = "last"
) -> NDArray[Any] | list[NDArray[Any]]:
    """Paint the category ids of all instances, one frame for each image; background is 0.

    Parameters
    ----------
    table : RunTable
    out : (n_images, height, width) uint8 or uint16, C order, optional
        Overwritten whole; made if not given. Its images must all have one size then.
    overlap : {"last", "first", "largest", "smallest", "error"}
        Which instance shows where several overlap: the last or first in file order, or the one
        with the largest or smallest area (of equal ones the last in file order). "error" refuses
        instances that do.

    Returns
    -------
    (n_images, height, width) uint8, or uint16 if a category id is above 255
        Of images of several sizes a list of n_images arrays (height, width) of one type.

    Raises
    ------
    RLEError
        If an RLE does not tile its frame; nothing has been painted then.
    MtfastError
        If the sizes differ and ``out`` is given, it does not fit, an id does not fit into it, or
        instances overlap that must not.

    Examples
    --------
    >>> import mtfast
    >>> table = mtfast.RunTable.of_texts((1, 6), [[b"132", b"231"]], [1, 2])    # .###.. ..###.
    >>> mtfast.semantic(table)
    array([[[0, 1, 2, 2, 2, 0]]], dtype=uint8)
    >>> mtfast.semantic(table, overlap="first")
    array([[[0, 1, 1, 1, 2, 0]]], dtype=uint8)

    Notes
    -----
    Painting in annotation order with later instances on top is what the MaskTerial tools do.
    """
    from mtfast.kernels.frames import paint

    if out is None and not table.has_one_size:
        return _of_several_sizes(table, overlap)
    height, width = table.common_size()
    shape = (table.n_images, height, width)
    if out is None:
        out = np.empty(shape, semantic_dtype(table.category_ids))
    else:
        check_out(out, shape, _DTYPES)
    table = paint_order(table, overlap)
    if table.n_images > 1:
        table.check()
        in_one_image = np.diff(table.image_offsets).max()
        bytes_in_one_image = np.diff(table.rle_offsets[table.image_offsets]).max()
    else:
        in_one_image, bytes_in_one_image = table.n_instances, table.rle.size
    bad = paint.paint_images(
        table.rle,
        table.rle_offsets,
        table.image_offsets,
        table.category_ids,
        height,
        LARGEST[out.dtype],
        np.empty(bytes_in_one_image, np.int64),
        np.empty(in_one_image, np.int64),
        out.reshape(-1),
    )
    if bad >= 0:
        table.check()
        raise MtfastError(
            f"annotation {table.instance_ids[bad]} has category id {table.category_ids[bad]}; "
            f"expected 0 to {LARGEST[out.dtype]} for {out.dtype}; "
            f"renumber the categories or pass a uint16 array"
        )
    return out


def _of_several_sizes(table: RunTable, overlap: Overlap) -> list[NDArray[Any]]:
    dtype = semantic_dtype(table.category_ids)
    table.check()
    masks = []
    for image in map(table.image, range(table.n_images)):
        size = int(image.heights[0]), int(image.widths[0])
        masks.append(semantic(image, np.empty((1, *size), dtype), overlap)[0])
    return masks
