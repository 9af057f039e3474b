"""What stands in brackets after a split: numpy's index of one dimension, or names.

::

    train[3]  train[-1]  train[np.int64(3)]          one image
    train["name.jpg"]  train["uuid"]  train[UUID]    one image, by its file name or stem
    train[2:9:2]  train[[1, 3, 1]]  train[areas > 5] several, in the order that is asked for
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from mtfast.errors import shown
from mtfast.indexing import SupportsArray, integer_of, picked, place_of

__all__ = ["ImageKey", "ImageKeys", "is_position", "position_of", "positions_of"]

ImageKey = int | np.integer[Any] | str | UUID
"""One image: its index, where negative ones count from the end; its file name; or its stem."""

ImageKeys = slice | Sequence[int | np.integer[Any]] | list[str] | list[UUID] | NDArray[Any]
"""Several: a slice; a list or an array of indices or names; or a mask of a bool for each image."""


def position_of(key: ImageKey, n: int, find: Callable[[str], int]) -> int:
    """Return the position of one image.

    Parameters
    ----------
    key : int, str or UUID
    n : int
        How many images there are.
    find : callable
        Returns the position of a name, or raises.

    Returns
    -------
    int
        0 .. n - 1.

    Raises
    ------
    IndexError
        If the index is out of range.
    TypeError
        If it is none of these; a bool is no index.

    Examples
    --------
    >>> position_of(-1, 10, {"a.jpg": 4}.__getitem__), position_of("a.jpg", 10, {"a.jpg": 4}.get)
    (9, 4)
    """
    if isinstance(key, str | UUID):
        return find(str(key))
    number = integer_of(key)
    if number is None:
        raise _wrong_type(key, _ONE)
    return place_of(number, n, "image")


def is_position(value: object, n: int) -> bool:
    """Return whether a value is an index of one of n images; a bool is none.

    Parameters
    ----------
    value : object
    n : int

    Returns
    -------
    bool

    Examples
    --------
    >>> is_position(-3, 3), is_position(3, 3), is_position(1.0, 3), is_position(None, 3)
    (True, False, False, False)
    """
    number = integer_of(value)
    return number is not None and -n <= number < n


def positions_of(
    key: ImageKey | ImageKeys, n: int, find: Callable[[str], int]
) -> int | NDArray[np.int64]:
    """Return the position of one image, or those of several.

    Parameters
    ----------
    key : int, str, UUID, slice, list, array
    n : int
        How many images there are.
    find : callable
        Returns the position of a name, or raises.

    Returns
    -------
    int or (k,) int64
        0 .. n - 1 each, as numpy would return them for ``np.arange(n)[key]``.

    Raises
    ------
    IndexError
        If an index is out of range, or a mask is not of n images.
    TypeError
        If it is none of these; a tuple, which numpy takes for several dimensions, neither.

    Examples
    --------
    >>> positions_of(slice(2), 5, int), positions_of([-1, 0, 0], 5, int)
    (array([0, 1]), array([4, 0, 0]))
    """
    if isinstance(key, slice):
        return np.arange(*key.indices(n), dtype=np.int64)
    if isinstance(key, list | range):
        return _of_items(key, n, find)
    if hasattr(key, "__array__") and np.ndim(key):
        return _of_array(key, n, find)
    if not isinstance(key, str | UUID) and integer_of(key) is None:
        raise _wrong_type(key, _SEVERAL)
    return position_of(cast("ImageKey", key), n, find)


def _of_items(items: Sequence[ImageKey], n: int, find: Callable[[str], int]) -> NDArray[np.int64]:
    # numpy would turn a list of numbers and names into one of names.
    kinds = set(map(type, items))
    if all(issubclass(kind, int | np.integer | np.bool_) for kind in kinds):
        found = np.asarray(items if kinds else (), None if kinds else np.int64)
        if found.dtype.kind in "biu":
            return _of_array(found, n, find)
    return np.array([position_of(item, n, find) for item in items], np.int64)


def _of_array(given: SupportsArray, n: int, find: Callable[[str], int]) -> NDArray[np.int64]:
    array = np.asarray(given)
    if array.dtype.kind in "OUT" and array.ndim == 1:
        return np.array([position_of(item, n, find) for item in array.tolist()], np.int64)
    if array.dtype.kind not in "biu":
        raise _wrong_type(array, _SEVERAL)
    # As it was given: pandas may have its rows in another order.
    return picked(given, n, "image")


_ONE = "image(), semantic() and brackets take several"
_SEVERAL = (
    "give several images as a slice, a list or an array of these, or a mask with a bool for each "
    "image"
)


def _wrong_type(key: object, advice: str) -> TypeError:
    return TypeError(
        f"{shown(key)}, of type {type(key).__name__}, for an image; expected an index, a file name "
        f"or a stem; {advice}"
    )
