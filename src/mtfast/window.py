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


def check_size(size: Iterable[Any], what: str = "a size") -> tuple[int, int]:
    """Make a height and a width of two integers.

    Parameters
    ----------
    size : (height, width)
        Integers of any type, numpy's too; floats are refused.
    what : str
        What the message calls it.

    Returns
    -------
    tuple of int
        Both at least 1.

    Raises
    ------
    MtfastError
        If they are no two integers, or one is below 1.

    Examples
    --------
    >>> import numpy as np
    >>> check_size(np.array([480, 640]))
    (480, 640)
    >>> check_size((128.0, 128))
    Traceback (most recent call last):
        ...
    mtfast.errors.MtfastError: a size (128.0, 128); expected two integers; give height and width
    """
    height, width = _integers(size, 2, what, "two integers; give height and width")
    if min(height, width) < 1:
        raise MtfastError(
            f"{what} of {height} x {width} pixels; expected at least 1 x 1; make it larger"
        )
    return height, width


def check_window(window: Iterable[Any], height: int, width: int) -> Window:
    """Make a window of four integers.

    Parameters
    ----------
    window : (y, x, height, width)
        Integers of any type, numpy's too; floats are refused.
    height, width : int
        Of the image that it lies in.

    Returns
    -------
    Window

    Raises
    ------
    MtfastError
        If they are no four integers, if the window has no pixel, or if it leaves the image.

    Examples
    --------
    >>> check_window((0, 8, 128, 128), 480, 640)
    Window(y=0, x=8, height=128, width=128)
    """
    wanted = "four integers; give y, x, height and width"
    y, x, h, w = _integers(window, 4, "a window", wanted)
    if min(y, x) < 0 or min(h, w) < 1 or y + h > height or x + w > width:
        raise MtfastError(
            f"a window of {h} x {w} pixels from row {y}, column {x} on; expected at least one, "
            f"inside an image of {height} x {width}; move it or change its size"
        )
    return Window(y, x, h, w)


def _integers(values: Iterable[Any], n: int, what: str, wanted: str) -> list[int]:
    """Return n integers, or say that they are none."""
    try:
        found = [operator.index(value) for value in values]
    except TypeError:
        found = []
    if len(found) != n:
        raise MtfastError(f"{what} {shown(values)}; expected {wanted}")
    return found
