"""Masks painted over pixels that are there already."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtfast.errors import MtfastError, shown
from mtfast.mask.arguments import common_size
from mtfast.mask.dicts import Mask, Masks, rles_of
from mtfast.rles.arguments import as_array
from mtfast.rles.batch import toggles_of

__all__ = ["paint"]

# Pixels are copied as the unsigned integers of their size.
_UNSIGNED = {np.dtype(t).itemsize: np.dtype(t) for t in (np.uint8, np.uint16, np.uint32, np.uint64)}


def paint(rleObjs: Mask | Masks, frame: NDArray[Any], values: ArrayLike) -> NDArray[Any]:
    """Paint masks into an image or a map, and leave the pixels around them as they are.

    Parameters
    ----------
    rleObjs : dict, or list of n dicts, or RunTable
        Masks as large as the frame; later ones are painted over earlier ones.
    frame : (height, width) or (height, width, n_channels) bool, integer or float
        Of any memory order and strides. Painted in place.
    values : number, or array
        One for all masks, or (n,), one for each. With channels: a number, a colour (n_channels,),
        or (n, n_channels), a colour for each mask.

    Returns
    -------
    array
        The frame.

    Raises
    ------
    RLEError
        If a mask is malformed.
    MtfastError
        If the frame is no such array or cannot be written to, sizes differ, or there is not one
        value for each mask that the pixels hold. Nothing is painted then.

    Examples
    --------
    >>> a, b = {"size": [1, 6], "counts": b"132"}, {"size": [1, 6], "counts": b"231"}
    >>> paint([a, b], np.full((1, 6), 9), [5, 7])        # .###.. and ..###.
    array([[9, 5, 7, 7, 7, 9]])
    """
    from mtfast.kernels.frames import paint as kernels

    _check_frame(frame)
    rles = rles_of(rleObjs)
    if not rles.n:
        return frame
    colours = _colours(values, rles.n, frame)
    size = common_size(rles)
    if size != frame.shape[:2]:
        raise MtfastError(
            f"a frame of {frame.shape[0]} x {frame.shape[1]} pixels for masks of {size[0]} x "
            f"{size[1]}; expected one size; crop or pad the masks"
        )
    lists = toggles_of(rles, "rles")
    channels = frame[..., np.newaxis] if frame.ndim == 2 else frame
    as_bits = _UNSIGNED[frame.itemsize]
    for c, column in enumerate(colours.T.copy()):
        bits, pixels = column.view(as_bits), channels[..., c].view(as_bits)
        kernels.paint_over(lists.toggles, lists.offsets, bits, pixels)
    return frame


def _check_frame(frame: Any) -> None:
    if not isinstance(frame, np.ndarray):
        raise MtfastError(
            f"frame is a {type(frame).__name__}; expected a numpy array; make it one with "
            f"numpy.asarray"
        )
    is_kind = frame.dtype.kind in "buif" and frame.itemsize in _UNSIGNED and frame.dtype.isnative
    if frame.ndim in (2, 3) and is_kind and frame.flags.behaved:
        return
    wrong = {"read-only": not frame.flags.writeable, "not aligned": not frame.flags.aligned}
    found = ", ".join([str(frame.dtype), *(what for what, is_so in wrong.items() if is_so)])
    raise MtfastError(
        f"frame has shape {frame.shape}, {found}; expected (height, width) or (height, width, "
        f"n_channels) of integers, floats or bool that can be written to; make a copy of it"
    )


def _colours(values: ArrayLike, n: int, frame: NDArray[Any]) -> NDArray[Any]:
    """Return the value of each mask in each channel, (n, n_channels) of the frame's dtype."""
    given = _numbers(values)
    n_channels = frame.shape[2:]
    shapes = ((), (n, *n_channels), n_channels)
    if given.shape not in shapes:
        expected = " or ".join(str(shape) for shape in shapes[1:] if shape)
        raise MtfastError(
            f"values have shape {given.shape}; expected a number, or numbers of shape {expected}; "
            f"give one for each mask"
        )
    if not _fit(given, frame.dtype):
        raise MtfastError(
            f"values {shown(values)} for pixels of {frame.dtype}; expected numbers that they hold; "
            f"correct them, or convert the frame"
        )
    per_mask = np.broadcast_to(given, (n, *n_channels)).astype(frame.dtype)
    return per_mask.reshape(n, -1)


def _numbers(values: ArrayLike) -> NDArray[Any]:
    given = as_array("values", values)
    if given.dtype.kind == "f" and not isinstance(values, np.ndarray):
        # Integers on both sides of 2**63 become floats, which do not hold them.
        exact = np.asarray(values, object)
        if all(isinstance(v, int | np.integer) and 0 <= v < 2**64 for v in exact.flat):
            return exact.astype(np.uint64)
    return given


def _fit(values: NDArray[Any], dtype: np.dtype[Any]) -> bool:
    """Return whether pixels of a type hold the values, apart from the rounding of floats."""
    if values.dtype.kind not in "buif":
        return False
    if dtype.kind == "f":
        return True
    if values.dtype.kind == "f":
        return False
    low, high = (0, 1) if dtype.kind == "b" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    return low <= int(values.min(initial=0)) and int(values.max(initial=0)) <= high
