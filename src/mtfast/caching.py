"""Properties that are computed once, without a lock.

In Python 3.11 ``functools.cached_property`` holds one lock for all objects of a class while it
computes, so that threads that decode different images wait for each other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Self, TypeVar, overload

__all__ = ["cached_property"]

Value = TypeVar("Value")


class cached_property(Generic[Value]):  # noqa: N801 - named as the one of functools
    """A property that is computed when it is first read and then kept in the object's ``__dict__``.

    Threads that read it for the first time at once may each compute it; all get the value of the
    one that ends first. An error is not kept. ``del`` makes it be computed again.

    Parameters
    ----------
    compute : callable
        The method that it decorates.

    Examples
    --------
    >>> class Image:
    ...     @cached_property
    ...     def pixels(self):
    ...         print("decoding")
    ...         return [1, 2]
    >>> image = Image()
    >>> image.pixels
    decoding
    [1, 2]
    >>> image.pixels
    [1, 2]

    Notes
    -----
    Source: ``functools.cached_property`` of Python 3.12 and later.
    """

    def __init__(self, compute: Callable[[Any], Value]) -> None:
        self._compute = compute
        self._name: str | None = None
        self.__doc__ = compute.__doc__
        self.__module__ = compute.__module__

    def __set_name__(self, owner: type, name: str) -> None:
        if self._name not in (None, name):
            raise TypeError(f"one cached_property has two names, {self._name!r} and {name!r}")
        self._name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...

    @overload
    def __get__(self, instance: object, owner: type) -> Value: ...

    def __get__(self, instance: object | None, owner: type) -> Self | Value:
        # Read only where the object has no entry of the name: what is kept is found before it.
        if instance is None:
            return self
        if self._name is None:
            raise TypeError("a cached_property without a name; expected a decorated method")
        value: Value = instance.__dict__.setdefault(self._name, self._compute(instance))
        return value
