"""Which mask shows where several overlap."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from mtfast.errors import MtfastError, shown
from mtfast.table import MAX_PIXELS, RunTable

__all__ = ["ORDERS", "OVERLAPS", "Overlap", "find_overlap", "paint_order", "paint_rank"]

Overlap = Literal["last", "first", "largest", "smallest", "error"]
OVERLAPS: tuple[str, ...] = get_args(Overlap)
ORDERS: tuple[Overlap, ...] = ("last", "first", "largest", "smallest")
"""Those that are orders of painting."""

Int64 = NDArray[np.int64]


def paint_rank(
    overlap: str, n: int, area: Callable[[], Int64], overlapping: Callable[[], str | None]
) -> Int64:
    """Rank n masks so that painting them in ascending, stable order gives the overlap.

    ``area`` measures them, if it matters; ``overlapping`` says which two overlap, if that does.
    """
    if not isinstance(overlap, str) or overlap not in OVERLAPS:
        raise MtfastError(f"overlap {shown(overlap)}; expected one of {OVERLAPS}; pick one")
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

    Raises
    ------
    MtfastError
        If ``overlap`` is "error" and two instances of an image share a pixel; they are named.
    RLEError
        If a text does not tile its frame, where that has to be known.
    """

    def overlapping() -> str | None:
        n_instances = np.diff(table.image_offsets)
        heights, widths = (np.repeat(side, n_instances) for side in (table.heights, table.widths))
        pair = find_overlap(table.rle, table.rle_offsets, table.image_offsets, heights, widths)
        if pair is None:
            return None
        a, b = (int(table.instance_ids[k]) for k in pair)
        image = int(np.searchsorted(table.image_offsets, pair[0], "right")) - 1
        return f"annotations {a} and {b} of image {str(table.names[image])!r}"

    rank = paint_rank(overlap, table.n_instances, table.area, overlapping)
    if overlap in ("last", "error"):
        return table
    return table.select(np.lexsort((rank, table.image_of_instance)))


def find_overlap(
    text: NDArray[np.uint8],
    offsets: Int64,
    image_offsets: Int64,
    heights: Int64,
    widths: Int64,
) -> tuple[int, int] | None:
    """Find two masks of one image that share a pixel; None if there are none.

    Texts, with their offsets and frames, of n masks; those of image i are ``image_offsets[i]`` ..
    ``image_offsets[i + 1] - 1``. If one of them is malformed that is for others to say.
    """
    from mtfast.kernels.operations import iou
    from mtfast.kernels.rle import toggle_lists

    n = heights.size
    toggles = np.empty(int(offsets[-1] - offsets[0]) + heights.size, np.int64)
    ends = np.empty(heights.size + 1, np.int64)
    if toggle_lists.decode_lists(text, offsets, heights, widths, MAX_PIXELS, toggles, ends) < 0:
        return None
    first, second, n_pixels = np.empty((3, 1), np.int64)
    found = iou.overlaps(
        toggles,
        ends,
        image_offsets,
        heights[np.minimum(image_offsets[:-1], n - 1)] if n else image_offsets[:-1],
        np.arange(n),
        np.empty(iou.FACTS * n, np.int64),
        first,
        second,
        n_pixels,
    )
    return (int(first[0]), int(second[0])) if found else None
