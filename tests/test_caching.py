"""Properties that are computed once, by any number of threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from mtfast.caching import cached_property


class Squares:
    def __init__(self, side, before=lambda: None):
        self.side = side
        self.before = before
        self.n_computed = 0

    @cached_property
    def area(self) -> list[int]:
        """Pixels of the square."""
        self.n_computed += 1
        self.before()
        return [self.side**2]


def test_is_computed_once():
    square = Squares(3)
    assert "area" not in square.__dict__
    assert square.area == [9]
    assert square.area is square.__dict__["area"] is square.area
    assert square.n_computed == 1
    del square.area
    assert square.area == [9]
    assert square.n_computed == 2


def test_of_the_class():
    assert isinstance(Squares.area, cached_property)
    assert Squares.area.__doc__ == "Pixels of the square."


def test_errors_are_not_kept():
    def fail():
        raise ValueError("no pixels")

    square = Squares(3, fail)
    for _ in range(2):
        with pytest.raises(ValueError, match="no pixels"):
            square.area
    square.before = lambda: None
    assert square.area == [9]


def test_threads_compute_at_once():
    """Each waits for the other while it computes; they get on only if no lock is held."""
    both = Barrier(2, timeout=30)
    squares = [Squares(2, both.wait), Squares(3, both.wait)]
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(lambda s: s.area, squares)) == [[4], [9]]


def test_threads_get_one_value():
    both = Barrier(2, timeout=30)
    square = Squares(3, both.wait)
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(lambda s: s.area, [square, square])
    assert first is second is square.area
    assert square.n_computed == 2


def test_one_property_has_one_name():
    with pytest.raises((TypeError, RuntimeError)):
        type("Two", (), dict.fromkeys(("a", "b"), cached_property(lambda self: 1)))
    bare = cached_property(lambda self: 1)
    with pytest.raises(TypeError, match="without a name"):
        bare.__get__(Squares(1), Squares)
