"""Which mask shows where several overlap."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mtfast.errors import MtfastError, shown

__all__ = ["Overlap", "paint_rank"]

Overlap = Literal["last", "first", "largest", "smallest"]


def paint_rank(overlap: str, n: int, area: Callable[[], NDArray[np.int64]]) -> NDArray[np.int64]:
    """Rank n masks so that painting them in ascending, stable order gives the overlap.

    ``area`` measures them, if it matters.
    """
    ranks: dict[str, Callable[[], NDArray[np.int64]]] = {
        "last": lambda: np.arange(n),
        "first": lambda: -np.arange(n),
        "largest": area,
        "smallest": lambda: -area(),
    }
    if not isinstance(overlap, str) or overlap not in ranks:
        raise MtfastError(
            f"overlap {shown(overlap)}; expected 'last', 'first', 'largest' or 'smallest'; pick one"
        )
    return ranks[overlap]()
