"""Which instance shows where several overlap: the order in which they are painted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from mtfast.errors import MtfastError, RLEError, one_of
from mtfast.rles import Rles, first_overlap
from mtfast.table import RunTable

__all__ = ["OVERLAPS", "PAINT_ORDERS", "Overlap", "paint_order", "paint_rank"]

Overlap = Literal["last", "first", "largest", "smallest", "error"]
OVERLAPS: tuple[Overlap, ...] = get_args(Overlap)
PAINT_ORDERS: tuple[Overlap, ...] = ("last", "first", "largest", "smallest")
"""All but "error", which refuses masks that overlap."""

Int64 = NDArray[np.int64]


def paint_rank(
    overlap: str, n: int, area: Callable[[], Int64], overlapping: Callable[[], str | None]
) -> Int64:
    """Rank n masks so that painting them in ascending, stable order gives the overlap.

    Parameters
    ----------
    overlap : {"last", "first", "largest", "smallest", "error"}
        Which mask shows where several overlap; of equally large ones the last.
    n : int
        Number of masks.
    area : callable
        Measures the masks, (n,) int64; called only if areas matter.
    overlapping : callable
        Names two masks that overlap, None if none do; called only for "error".

    Returns
    -------
    (n,) int64

    Raises
    ------
    MtfastError
        If ``overlap`` is none of these, or masks overlap that must not.

    Examples
    --------
    >>> paint_rank("smallest", 3, lambda: np.array([5, 7, 6]), lambda: None)
    array([-5, -7, -6])
    """
    one_of("overlap", overlap, OVERLAPS)
    if overlap == "first":
        return -np.arange(n)
    if overlap == "largest":
        return area()
    if overlap == "smallest":
        return -area()
    if overlap == "error" and (found := overlapping()):
        raise MtfastError(
            f"{found} overlap; expected masks that share no pixel; correct them, or say which of "
            f"them shows: 'last', 'first', 'largest' or 'smallest'"
        )
    return np.arange(n)


def paint_order(table: RunTable, overlap: str) -> RunTable:
    """Return the table with the instances of every image in the order in which to paint them.

    Parameters
    ----------
    table : RunTable
    overlap : {"last", "first", "largest", "smallest", "error"}
        Which instance shows where several of an image overlap; of equally large ones the last in
        the file.

    Returns
    -------
    RunTable

    Raises
    ------
    MtfastError
        If ``overlap`` is "error" and two instances of an image share a pixel; they are named.
    RLEError
        If a text does not tile its frame; found only where areas or overlaps are measured.

    Examples
    --------
    >>> table = mtfast.open("graphene.zarr")["train"].table("annotations_with_class_200")
    >>> paint_order(table, "largest").n_instances
    35
    """
    rank = paint_rank(overlap, table.n_instances, table.area, lambda: _overlapping(table))
    if overlap in ("last", "error"):
        return table
    return table[np.lexsort((rank, table.image_of_instance))]


def _overlapping(table: RunTable) -> str | None:
    """Name two instances of an image that share a pixel."""
    try:
        pair = first_overlap(Rles.of_table(table), table.image_offsets)
    except RLEError:
        # The table names the annotation.
        table.check()
        raise
    if pair is None:
        return None
    a, b = (int(table.instance_ids[k]) for k in pair)
    image = int(table.image_of_instance[pair[0]])
    return f"annotations {a} and {b} of image {str(table.names[image])!r}"
