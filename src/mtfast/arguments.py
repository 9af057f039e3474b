"""Arguments that callers give, checked in one place: integers, shares, flags, sizes, windows."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterable
from numbers import Real
from typing import Any, Literal, NamedTuple

import numpy as np

from mtfast.errors import MtfastError, shown

__all__ = [
    "ImagesOption",
    "Window",
    "as_integer",
    "check_factors",
    "check_flag",
    "check_share",
    "check_size",
    "check_window",
    "wants_images",
]

ImagesOption = bool | Literal["keep", "none"]
"""How a caller says whether image files are part of what is made or read."""


class Window(NamedTuple):
    """First row and column, height and width, in pixels."""

    y: int
    x: int
    height: int
    width: int


def as_integer(name: str, value: Any, least: int | None = None, most: int | None = None) -> int:
    """Return an integer of any type, a numpy integer too, as an int.

    Parameters
    ----------
    name : str
        Of the argument, for the message.
    value : object
    least, most : int, optional
        The smallest and the largest integer that are accepted.

    Returns
    -------
    int

    Raises
    ------
    MtfastError
        If it is not an integer, is a bool, or is out of bounds.

    Examples
    --------
    >>> as_integer("seed", np.int64(3), least=0)
    3
    >>> as_integer("batch_size", 2.0, least=1)
    Traceback (most recent call last):
    mtfast.errors.MtfastError: batch_size is 2.0; expected an integer of at least 1; correct it
    """
    number = _integer(value)
    if (
        number is None
        or (least is not None and number < least)
        or (most is not None and number > most)
    ):
        raise _wrong(name, value, f"an integer{_bounds(least, most)}")
    return number


def _bounds(least: int | None, most: int | None) -> str:
    if least is not None and most is not None:
        return f" from {least} to {most}"
    return "" if least is None else f" of at least {least}"


def check_share(name: str, value: Any) -> None:
    """Refuse what is not a number from 0 to 1.

    Parameters
    ----------
    name : str
        Of the argument, for the message.
    value : object

    Raises
    ------
    MtfastError
        If it is anything else.

    Examples
    --------
    >>> check_share("near", 0.5)
    """
    valid = isinstance(value, Real) and 0 <= float(value) <= 1
    _expect(valid, name, value, "a share, a number from 0 to 1")


def check_factors(name: str, value: Any) -> None:
    """Refuse what is not a pair of factors, the lower one first.

    Parameters
    ----------
    name : str
        Of the argument, for the message.
    value : object

    Raises
    ------
    MtfastError
        If it is anything but two finite numbers above 0, in ascending order.

    Examples
    --------
    >>> check_factors("scale", (0.8, 1.25))
    """
    try:
        low, high = value
        numbers = isinstance(low, Real) and isinstance(high, Real)
        valid = numbers and 0 < float(low) <= float(high) < math.inf
    except (TypeError, ValueError):
        valid = False
    _expect(valid, name, value, "(low, high), two factors above 0")


def check_flag(name: str, value: Any) -> None:
    """Refuse what is not a bool.

    Parameters
    ----------
    name : str
        Of the argument, for the message.
    value : object

    Raises
    ------
    MtfastError
        If it is anything else.

    Examples
    --------
    >>> check_flag("mirror", True)
    """
    _expect(isinstance(value, bool | np.bool_), name, value, "True or False")


def wants_images(value: Any) -> bool:
    """Return whether image files are part of what is made or read.

    Parameters
    ----------
    value : bool, "keep" or "none"
        The command line's words are accepted as well; "jpeg" is an older one for "keep".

    Returns
    -------
    bool

    Raises
    ------
    MtfastError
        If it is anything else.

    Examples
    --------
    >>> wants_images("none"), wants_images(True)
    (False, True)
    """
    words = {"keep": True, "jpeg": True, "none": False}
    if isinstance(value, str) and value in words:
        return words[value]
    _expect(isinstance(value, bool | np.bool_), "images", value, "True or False, 'keep' or 'none'")
    return bool(value)


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
    side = _integer(size)
    sides = _integers(size) if side is None else [side, side]
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


def _integer(value: Any) -> int | None:
    """Return the value as an int; None if it is no integer."""
    if isinstance(value, bool | np.bool_):
        return None
    try:
        return operator.index(value)
    except TypeError:
        return None


def _integers(values: Iterable[Any]) -> list[int]:
    """Return the values as integers; none at all if one of them is none."""
    try:
        found = [_integer(value) for value in values]
    except TypeError:
        return []
    return [number for number in found if number is not None] if None not in found else []


def _expect(valid: bool, name: str, value: Any, expected: str) -> None:
    if not valid:
        raise _wrong(name, value, expected)


def _wrong(name: str, value: Any, expected: str) -> MtfastError:
    return MtfastError(f"{name} is {shown(value)}; expected {expected}; correct it")
