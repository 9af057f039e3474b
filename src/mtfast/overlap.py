"""Which mask shows where several overlap."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mtfast.errors import MtfastError

__all__ = ["Overlap", "paint_rank"]

Overlap = Literal["last", "first", "largest", "smallest"]


def paint_rank(overlap: str, n: int, area: Callable[[], NDArray[np.int64]]) -> NDArray[np.int64]:
    """Rank n masks so that painting them in ascending, stable order gives the overlap.

    ``area`` measures them, if it matters.
    """
    if overlap == "last":
        return np.arange(n)
    if overlap == "first":
        return -np.arange(n)
    if overlap == "largest":
        return area()
    if overlap == "smallest":
        return -area()
    raise MtfastError(
        f"overlap {overlap!r}; expected 'last', 'first', 'largest' or 'smallest'; pick one"
    )
