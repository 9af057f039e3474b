"""Checks of the arguments of :mod:`mtfast.mask`, which may be of several kinds each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mtfast.errors import MtfastError
from mtfast.mask.dicts import Mask, Masks, rles_of
from mtfast.mask.validation import check_texts
from mtfast.rles import Rles
from mtfast.rles.polygons import as_float
from mtfast.table import RunTable, one_size

__all__ = [
    "are_masks",
    "as_boxes",
    "common_size",
    "is_on_device",
    "is_ring",
    "new_frame",
    "one_mask",
]


def one_mask(rle: Mask) -> Mask:
    """Return the argument if it is one mask.

    Parameters
    ----------
    rle : dict

    Returns
    -------
    dict

    Raises
    ------
    MtfastError
        If it is a list, or anything else.
    """
    if not isinstance(rle, Mapping):
        raise MtfastError(
            f"a {type(rle).__name__}; expected one RLE dict; call it for each mask of a list"
        )
    return rle


def common_size(rles: Rles) -> tuple[int, int]:
    """Return the size that all masks share; (0, 0) for none.

    Parameters
    ----------
    rles : Rles

    Returns
    -------
    (height, width)

    Raises
    ------
    MtfastError
        If sizes differ.
    """
    return one_size(rles.heights, rles.widths, "RLE {}".format)


def is_on_device(given: Any) -> bool:
    """Return whether an argument is a tensor or an array whose memory the CPU cannot read.

    Parameters
    ----------
    given : object
        No library is imported to look at it.

    Returns
    -------
    bool
    """
    if type(given).__module__.partition(".")[0] == "torch":
        return getattr(getattr(given, "device", None), "type", "cpu") != "cpu"
    return hasattr(given, "__cuda_array_interface__")


def new_frame(
    shape: tuple[int, ...],
    dtype: DTypeLike,
    order: Literal["F", "C"],
    masks: Mask | Masks,
    is_clear: bool = False,
) -> NDArray[Any]:
    """Make a frame for masks.

    Parameters
    ----------
    shape : tuple of int
    dtype : dtype
    order : {"F", "C"}
    masks : dict, or list of dicts, or RunTable
        What will be painted: malformed masks may state any size, and are named first.
    is_clear : bool
        Whether all pixels are to be 0.

    Returns
    -------
    array

    Raises
    ------
    RLEError
        If there is no memory for it, and a mask is malformed.
    MtfastError
        If there is no memory for it.
    """
    try:
        return np.zeros(shape, dtype, order) if is_clear else np.empty(shape, dtype, order)
    except (MemoryError, ValueError) as error:
        check_texts(rles_of(masks))
        raise MtfastError(
            f"{' x '.join(map(str, shape))} pixels; expected them to fit into memory; "
            f"crop the masks, or decode fewer at a time"
        ) from error


def as_boxes(given: Any, name: str) -> NDArray[np.float64] | None:
    """Return an argument that is boxes or masks as boxes, or None if it is masks.

    Parameters
    ----------
    given : (n, 4) array, list of n boxes, list of dicts, or RunTable
    name : str
        Of the argument, for the message.

    Returns
    -------
    (n, 4) float64, or None

    Raises
    ------
    MtfastError
        If it is none of these, or a box is not finite.
    """
    if isinstance(given, RunTable):
        return None
    if isinstance(given, np.ndarray):
        boxes = given[np.newaxis] if given.ndim == 1 and given.size == 4 else given
        if boxes.size and (boxes.ndim != 2 or boxes.shape[1] != 4):
            raise MtfastError(
                f"{name} has shape {given.shape}; expected (n, 4) boxes; give masks as dicts"
            )
        if boxes.dtype.kind not in "uif":
            raise MtfastError(
                f"{name} has dtype {boxes.dtype}; expected numbers; give masks as dicts"
            )
        return _finite(name, boxes.reshape(-1, 4).astype(np.float64))
    if not isinstance(given, Sequence) or isinstance(given, str | bytes):
        raise MtfastError(
            f"{name} is a {type(given).__name__}; expected a list of masks or boxes; make it one"
        )
    if are_masks(given):
        return None
    if not all(is_ring(item) and len(item) == 4 for item in given):
        raise MtfastError(
            f"{name} holds neither dicts only nor boxes only; expected one kind; sort them"
        )
    return _finite(name, np.array([[as_float(v) for v in item] for item in given], np.float64))


def are_masks(items: Sequence[Any]) -> bool:
    """Return whether all items are mappings.

    Parameters
    ----------
    items : sequence

    Returns
    -------
    bool
    """
    kinds = set(map(type, items))
    return kinds == {dict} or all(issubclass(kind, Mapping) for kind in kinds)


def is_ring(item: Any) -> bool:
    """Return whether an item is a list of numbers: a polygon, or a box.

    Parameters
    ----------
    item : object

    Returns
    -------
    bool
    """
    if isinstance(item, np.ndarray):
        return item.ndim == 1 and item.dtype.kind in "uif"
    if not isinstance(item, Sequence) or isinstance(item, str):
        return False
    return all(isinstance(number, int | float | np.integer | np.floating) for number in item)


def _finite(name: str, boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    if not np.isfinite(boxes).all():
        k = int(np.argmin(np.isfinite(boxes).all(axis=1)))
        raise MtfastError(
            f"{name} {k} is the box {boxes[k].tolist()}; expected finite numbers; "
            f"correct or remove it"
        )
    return boxes
