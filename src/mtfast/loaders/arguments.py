"""Arguments of the loaders, checked where they are given."""

from __future__ import annotations

import math
import operator
from numbers import Real
from typing import Any

import numpy as np

from mtfast.errors import MtfastError, shown

__all__ = ["as_integer", "check_factors", "check_flag", "check_share"]


def as_integer(name: str, value: Any, least: int) -> int:
    """Return an integer of any type, a numpy integer too, as an int.

    Parameters
    ----------
    name : str
        Of the argument, for the message.
    value : object
    least : int
        The smallest integer that is accepted.

    Returns
    -------
    int

    Raises
    ------
    MtfastError
        If it is not an integer, or too small.

    Examples
    --------
    >>> as_integer("seed", np.int64(3), least=0)
    3
    >>> as_integer("batch_size", 2.0, least=1)
    Traceback (most recent call last):
    mtfast.errors.MtfastError: batch_size is 2.0; expected an integer of at least 1; correct it
    """
    try:
        number = operator.index(value)
    except TypeError:
        number = least - 1
    _expect(number >= least, name, value, f"an integer of at least {least}")
    return number


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


def _expect(valid: bool, name: str, value: Any, expected: str) -> None:
    if not valid:
        raise MtfastError(f"{name} is {shown(value)}; expected {expected}; correct it")
