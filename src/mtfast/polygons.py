"""Polygons -> COCO RLE text, many at a time."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from itertools import chain, pairwise
from numbers import Real

import numpy as np
from numpy.typing import NDArray

from mtfast.errors import MtfastError
from mtfast.runs import offsets_of

__all__ = ["as_float", "cut_texts", "rasterise"]

Int64 = NDArray[np.int64]

MAX_COORDINATE = 2**20
# Columns that the edges of one mask may pass, each time: a second or two of work.
MAX_CROSSINGS = 2**24
# Places of as many of the largest frames can be told apart in 64 bits.
MAX_RINGS = 2**20
# Toggles of the polygons that are rasterised in one call; bounds its memory.
_BATCH = 2**20


def rasterise(
    masks: Sequence[Sequence[Sequence[float]]],
    sizes: Sequence[tuple[int, int]],
    where: Callable[[int], str],
    error: type[MtfastError] = MtfastError,
) -> list[str]:
    """COCO RLE text of the union of the rings of each mask.

    Parameters
    ----------
    masks : sequence of n lists of rings
        A ring is [x, y, x, y, …]; an odd number at its end is ignored, as pycocotools does.
    sizes : sequence of n (height, width)
    where : callable
        Names the k-th mask, for messages.
    error : class
        Of what is raised for coordinates that are not finite, or absurd.

    Notes
    -----
    Source: ``rleFrPoly`` in maskApi.c of pycocotools; equal to it byte for byte.
    """
    from mtfast.kernels import coco_string, polygon

    if not masks:
        return []
    heights, widths = np.array(list(chain.from_iterable(sizes)), np.int64).reshape(-1, 2).T.copy()
    rings = list(chain.from_iterable(masks))
    points = _flat(rings)
    ring_offsets = offsets_of(list(map(len, rings)))
    mask_offsets = offsets_of(list(map(len, masks)))
    shortest = int(np.argmin(np.diff(ring_offsets)))
    if len(rings[shortest]) < 2:
        mask = int(np.searchsorted(mask_offsets, shortest, side="right")) - 1
        raise error(
            f"{where(mask)} has a polygon without a point; expected [x, y, x, y, ...]; "
            f"correct or remove it"
        )
    # Not a number is not small either.
    if not np.abs(points).max() <= MAX_COORDINATE:
        at = int(np.argmin(np.abs(points) <= MAX_COORDINATE))
        mask = int(np.searchsorted(ring_offsets[mask_offsets], at, side="right")) - 1
        raise error(
            f"{where(mask)} has a polygon with the coordinate {points[at]}; "
            f"expected finite ones of at most 2**20; correct or remove it"
        )
    crossings = np.empty(len(masks), np.int64)
    polygon.count_crossings(points, ring_offsets, mask_offsets, widths, crossings)
    if crossings.max() > MAX_CROSSINGS:
        mask = int(np.argmax(crossings))
        raise error(
            f"{where(mask)} has polygons whose edges pass {crossings[mask]} columns of "
            f"pixels; expected at most 2**24; correct or remove it"
        )
    n_rings = np.diff(mask_offsets)
    if n_rings.max() > MAX_RINGS:
        mask = int(np.argmax(n_rings))
        raise error(
            f"{where(mask)} has {n_rings[mask]} polygons; expected at most 2**20; "
            f"merge masks of fewer"
        )
    rooms = crossings + 2 * n_rings + 2

    texts: list[str] = []
    ends = np.cumsum(rooms)
    while (start := len(texts)) < len(masks):
        room = ends[start] - rooms[start] + _BATCH
        stop = max(start + 1, int(np.searchsorted(ends, room, side="right")))
        here = slice(start, stop)
        toggles = np.empty(int(rooms[here].sum()), np.int64)
        ring_ends = np.empty(int(n_rings[here].sum()), np.int64)
        n = polygon.outline_rings(
            points,
            ring_offsets,
            mask_offsets[start],
            np.repeat(heights[here], n_rings[here]),
            np.repeat(widths[here], n_rings[here]),
            toggles,
            ring_ends,
        )
        toggles[:n].sort()
        text = np.empty(coco_string.MAX_CHARACTERS * toggles.size, np.uint8)
        offsets = np.empty(stop - start + 1, np.int64)
        polygon.encode_rings(
            toggles,
            ring_ends,
            mask_offsets[start : stop + 1],
            heights[here],
            widths[here],
            np.empty(3 * int(rooms[here].max()), np.int64),
            text,
            offsets,
        )
        texts += cut_texts(text, offsets)
    return texts


def _flat(rings: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    """Join the numbers of all rings; TypeError for what is no number."""
    flat = list(chain.from_iterable(rings))
    try:
        # Half the time that numpy takes for a list.
        return np.frombuffer(struct.pack(f"{len(flat)}d", *flat))
    except struct.error:
        if not all(isinstance(number, Real) for number in flat):
            raise TypeError("a ring of something else than numbers") from None
        return np.array(list(map(as_float, flat)))


def as_float(number: float) -> float:
    """Return infinity for a whole number that no float can hold."""
    try:
        return float(number)
    except OverflowError:
        return math.inf


def cut_texts(text: NDArray[np.uint8], offsets: Int64) -> list[str]:
    """Cut a flat array of ASCII text into its pieces."""
    whole = text[: offsets[-1]].tobytes().decode("ascii")
    return [whole[start:stop] for start, stop in pairwise(offsets.tolist())]
