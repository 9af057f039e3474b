"""Sizes and windows of images, checked in one place."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import Any, NamedTuple

from mtfast.errors import MtfastError, shown

__all__ = ["Window", "check_size", "check_window"]


class Window(NamedTuple):
    """First row and column, height and width, in pixels."""

    y: int
    x: int
    height: int
    width: int


def check_size(size: Any, what: str = "a size") -> tuple[int, int]:
    """Make a height and a width of what was given.

    Parameters
    ----------
    size : int or (height, width)
        Integers of any type, numpy's too, but no floats; one integer is the side of a square.
    what : str
        What a message calls it.

    Returns
    -------
    tuple of int
        Both at least 1.

    Raises
    ------
    MtfastError
        If it is neither one nor two integers, or if one is below 1.

    Examples
    --------
    >>> import numpy as np
    >>> check_size(128), check_size(np.array([480, 640]))
    ((128, 128), (480, 640))
    >>> check_size((128.0, 128), "crop")        # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    mtfast.errors.MtfastError: crop is (128.0, 128); expected one side or (height, width) in ...
    """
    try:
        sides = [operator.index(size)] * 2
    except TypeError:
        sides = _integers(size)
    if len(sides) != 2 or min(sides) < 1:
        raise MtfastError(
            f"{what} is {shown(size)}; expected one side or (height, width) in pixels, integers of "
            f"at least 1; correct it"
        )
    return sides[0], sides[1]


def check_window(window: Iterable[Any], height: int, width: int) -> Window:
    """Make a window of four integers.

    Parameters
    ----------
    window : (y, x, height, width)
        Integers of any type, numpy's too, but no floats.
    height, width : int
        Of the image that the window is to be inside of.

    Returns
    -------
    Window

    Raises
    ------
    MtfastError
        If they are not four integers, if the window has no pixel, or if it leaves the image.

    Examples
    --------
    >>> check_window((0, 8, 128, 128), 480, 640)
    Window(y=0, x=8, height=128, width=128)
    """
    found = _integers(window)
    if len(found) != 4:
        raise MtfastError(
            f"a window {shown(window)}; expected four integers; give y, x, height and width"
        )
    y, x, h, w = found
    if min(y, x) < 0 or min(h, w) < 1 or y + h > height or x + w > width:
        raise MtfastError(
            f"a window of {h} x {w} pixels from row {y}, column {x} on; expected at least one, "
            f"inside an image of {height} x {width}; move it or change its size"
        )
    return Window(y, x, h, w)


def _integers(values: Iterable[Any]) -> list[int]:
    """Return the values as integers; none at all if one of them is none."""
    try:
        return [operator.index(value) for value in values]
    except TypeError:
        return []
