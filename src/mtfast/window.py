"""A window of an image."""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import Any, NamedTuple

from mtfast.errors import MtfastError, shown

__all__ = ["Window", "check_window"]


class Window(NamedTuple):
    """First row and column, height and width, in pixels."""

    y: int
    x: int
    height: int
    width: int


def check_window(window: Iterable[Any], height: int, width: int) -> Window:
    """Make a window of four integers.

    Raises
    ------
    MtfastError
        If they are none, if it has no pixel, or if it leaves an image of height x width.
    """
    try:
        y, x, h, w = map(operator.index, window)
    except (TypeError, ValueError):
        raise MtfastError(
            f"a window {shown(window)}; expected four integers; give y, x, height and width"
        ) from None
    if min(y, x) < 0 or min(h, w) < 1 or y + h > height or x + w > width:
        raise MtfastError(
            f"a window of {h} x {w} pixels from row {y}, column {x} on; expected at least one, "
            f"inside an image of {height} x {width}; move it or change its size"
        )
    return Window(y, x, h, w)
