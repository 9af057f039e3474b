"""What ids and other numbers of records mean, however a file spells them."""

from __future__ import annotations

import math
from collections.abc import Container, Iterable
from typing import Any, NamedTuple

__all__ = ["FreeNumbers", "Id", "id_of", "is_int64", "is_number", "numbers_of", "whole"]

_LARGEST = 2**63 - 1


class Id(NamedTuple):
    """An id as it is in the file.

    Attributes
    ----------
    kind : str
        What is wrong with it; "" if nothing is.
    key : object
        What it is compared by: a number, a text, or None where it is missing.
    """

    kind: str
    key: Any


def id_of(value: Any) -> Id | None:
    """Make sense of an id.

    Parameters
    ----------
    value : object
        As it is in a file.

    Returns
    -------
    Id or None
        None if it is none.

    Examples
    --------
    >>> id_of(7), id_of(7.0).kind, id_of([7])
    (Id(kind='', key=7), 'whole number with a decimal point', None)
    """
    if value is None:
        return Id("id missing", None)
    if isinstance(value, str):
        return Id("id of text", value)
    if isinstance(value, float) and value.is_integer():
        inner = id_of(int(value))
        return inner and Id(inner.kind or "whole number with a decimal point", inner.key)
    if isinstance(value, int) and not isinstance(value, bool):
        return Id("" if -_LARGEST - 1 <= value <= _LARGEST else "id beyond 64 bits", value)
    return None


def numbers_of(records: Iterable[Any]) -> set[int | None]:
    """Return the numbers that ids of records stand for.

    Parameters
    ----------
    records : iterable of object
        As they are in a file.

    Returns
    -------
    set of int or None
        Numbers written as whole floats, too. None is there for ids that are no numbers.
    """
    return {_number_of(record.get("id")) for record in records if isinstance(record, dict)}


def _number_of(value: Any) -> int | None:
    found = id_of(value)
    return int(found.key) if found and is_int64(found.key) else None


class FreeNumbers:
    """Free numbers, counted from 1, for records whose ids are none."""

    def __init__(self, taken: Container[int | None]) -> None:
        self._taken = taken
        self._last = 0

    def next(self) -> int:
        """Return the next one that no record has."""
        self._last += 1
        while self._last in self._taken:
            self._last += 1
        return self._last


def is_int64(key: Any) -> bool:
    """Return whether a value is an integer of 64 bits.

    Parameters
    ----------
    key : object

    Returns
    -------
    bool
    """
    return isinstance(key, int) and -_LARGEST - 1 <= key <= _LARGEST


def whole(value: Any) -> int | None:
    """Return a number as an integer, where nothing is lost by it.

    Parameters
    ----------
    value : object

    Returns
    -------
    int or None
        None if it is no whole number of 64 bits.

    Examples
    --------
    >>> whole(7.0), whole(7.5), whole("7")
    (7, None, None)
    """
    return int(value) if is_number(value) and value == int(value) else None


def is_number(value: Any) -> bool:
    """Return whether a value is a finite number that fits into 64 bits.

    Parameters
    ----------
    value : object

    Returns
    -------
    bool
    """
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool) and is_int64(value)
