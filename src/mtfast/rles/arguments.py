"""Checks of array arguments that operations on masks have in common."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtfast.errors import MtfastError, shown

__all__ = ["as_array", "integer_per_mask"]


def as_array(name: str, given: ArrayLike) -> NDArray[Any]:
    """Return the argument as an array.

    Parameters
    ----------
    name : str
        Of the argument, for the message.
    given : array_like

    Returns
    -------
    array

    Raises
    ------
    MtfastError
        If it is a list of lists of different lengths, or its numbers fit into no dtype.

    Examples
    --------
    >>> as_array("labels", [1, 2])
    array([1, 2])
    """
    try:
        return np.asarray(given)
    except (TypeError, ValueError, OverflowError):
        raise MtfastError(
            f"{name} is {shown(given)}; expected an array, or lists of one length; make it one"
        ) from None


def integer_per_mask(name: str, given: ArrayLike, n: int) -> NDArray[Any]:
    """Return an argument that has one whole number, or bool, for each of n masks.

    Parameters
    ----------
    name : str
        Of the argument, for the message.
    given : (n,) int, bool or float without a fraction
    n : int
        Number of masks.

    Returns
    -------
    (n,) int or bool

    Raises
    ------
    MtfastError
        If the shape is another one, or one of them is no whole number.

    Examples
    --------
    >>> integer_per_mask("iscrowd", [0, 1, 0], 3)
    array([0, 1, 0])
    """
    values = as_array(name, given)
    if values.dtype.kind == "f" and (np.abs(values) < 2.0**53).all():
        rounded = values.astype(np.int64)
        values = rounded if (rounded == values).all() else values
    if values.shape != (n,) or (n and values.dtype.kind not in "bui"):
        raise MtfastError(
            f"{name} has shape {values.shape}, {values.dtype}; expected ({n},) integers; "
            f"give one for each mask"
        )
    return values
