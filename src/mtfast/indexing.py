"""What a caller selects -> indices: masks, integers and slices, as numpy reads them."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from numbers import Number
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mtfast.errors import counted, shown

__all__ = ["Selector", "SupportsArray", "integer_of", "is_scalar", "picked", "place_of"]

Int64 = NDArray[np.int64]


class SupportsArray(Protocol):
    """What numpy makes an array of: its own arrays, columns and indices of pandas, tensors."""

    def __array__(self) -> NDArray[Any]:
        """Return the array."""
        ...


Selector = slice | Sequence[int] | SupportsArray
"""A mask with one entry for each of n things, the indices of some of them, or a slice."""


def is_scalar(key: object) -> bool:
    """Return whether a key is one value: a number or a string, of Python or an array library.

    Parameters
    ----------
    key : object

    Returns
    -------
    bool

    Examples
    --------
    >>> is_scalar(np.int64(3)), is_scalar("a.jpg"), is_scalar([3]), is_scalar(slice(3))
    (True, True, False, False)
    """
    return isinstance(key, str | bytes | Number) or getattr(key, "ndim", None) == 0


def integer_of(value: object) -> int | None:
    """Return an integer of any type as Python's own, and None for anything else.

    Parameters
    ----------
    value : object
        A bool is no integer here.

    Returns
    -------
    int or None

    Examples
    --------
    >>> integer_of(np.uint8(3)), integer_of(True), integer_of(3.0)
    (3, None, None)
    """
    try:
        return None if isinstance(value, bool | np.bool_) else operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        return None


def place_of(index: int, n: int, what: str) -> int:
    """Check the index of one thing; negative ones count from the end.

    Parameters
    ----------
    index : int
        Of any integer type, but no bool.
    n : int
        How many there are.
    what : str
        One of them, for messages.

    Returns
    -------
    int
        0 .. n - 1.

    Raises
    ------
    IndexError
        If it is out of range.
    TypeError
        If it is no integer.

    Examples
    --------
    >>> place_of(-1, 4, "image")
    3
    """
    place = integer_of(index)
    if place is None:
        raise TypeError(
            f"{shown(index)} as the index of one {what}; expected an integer; "
            f"give one from 0 to {n - 1}"
        )
    if not -n <= place < n:
        raise IndexError(_beyond(place, n, what))
    return place + n if place < 0 else place


def picked(selector: Selector, n: int, what: str) -> Int64:
    """Turn a selection of some of n things into their indices.

    Parameters
    ----------
    selector : (n,) bool, (m,) int, or slice
        Negative integers count from the end.
    n : int
        How many there are.
    what : str
        One of them, for messages.

    Returns
    -------
    (m,) int64
        0 .. n - 1, in the order given.

    Raises
    ------
    IndexError
        If an index is out of range, or a mask has another length.
    TypeError
        If it is neither.

    Examples
    --------
    >>> picked([True, False, True], 3, "image"), picked([2, -3], 3, "image")
    (array([0, 2]), array([2, 0]))
    """
    if isinstance(selector, slice):
        return np.arange(*selector.indices(n))
    array = _one_dimensional(selector, n, what)
    if array.dtype == np.bool_:
        _expect_row_order(selector, n, what)
        if array.size != n:
            raise IndexError(
                f"a mask of {array.size}; expected one of n_{what}s = {n}; "
                f"compare a column that has an entry for each {what}"
            )
        return np.flatnonzero(array)
    if array.dtype.kind not in "iu" and array.size:
        raise TypeError(
            f"a selection of dtype {array.dtype}; expected bool or integers; "
            f"give a mask of n_{what}s = {n}, or indices"
        )
    bad = array[(array < -n) | (array >= n)] if array.size else array
    if bad.size:
        raise IndexError(_beyond(int(bad[0]), n, what))
    indices = array.astype(np.int64)
    return np.where(indices < 0, indices + n, indices)


def _expect_row_order(mask: object, n: int, what: str) -> None:
    """Refuse a mask of pandas whose rows are in another order; pandas itself would align them."""
    index = getattr(mask, "index", None)
    if index is None or callable(index):
        return
    if len(index) == n and not np.array_equal(np.asarray(index), np.arange(n)):
        raise IndexError(
            f"a mask whose index is not 0 to {n - 1} in order; expected the rows as they are in "
            f"the table, one for each {what}; sort it by its index first: mask.sort_index()"
        )


def _one_dimensional(selector: object, n: int, what: str) -> NDArray[Any]:
    try:
        array = np.asarray(selector)
    except ValueError:
        # Lists of several lengths.
        array = np.empty((0, 0))
    if array.ndim != 1:
        raise TypeError(
            f"{shown(selector)} as a selection; expected one dimension; "
            f"give a mask of n_{what}s = {n}, indices, or a slice"
        )
    return array


def _beyond(index: int, n: int, what: str) -> str:
    expected = f"an index from {-n} to {n - 1}" if n else "none, as there is none"
    return f"{what} {index} of {counted(n, what)}; expected {expected}; see n_{what}s"
