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
from mtfast.ragged import offsets_of
from mtfast.rles.rasterizers import Rasterizer, draw_rings

__all__ = ["as_float", "cut_texts", "rasterise"]

Int64 = NDArray[np.int64]

# Toggles of the polygons that one call rasterises; bounds its memory.
_BATCH = 2**20


def rasterise(
    masks: Sequence[Sequence[Sequence[float]]],
    sizes: Sequence[tuple[int, int]],
    where: Callable[[int], str],
    error: type[MtfastError] = MtfastError,
    rasterizer: Rasterizer = "pycocotools",
) -> list[str]:
    """Rasterise polygons: each mask is the union of its rings.

    Parameters
    ----------
    masks : sequence of n lists of rings
        A ring is [x, y, x, y, …]; an odd number at its end is ignored, as pycocotools does.
    sizes : sequence of n (height, width)
    where : callable
        Names the k-th mask, for messages.
    error : class
        Of what is raised.
    rasterizer : {"pycocotools", "pil", "cv2"}
        Whose pixels they become; see :mod:`mtfast.rles.rasterizers`.

    Returns
    -------
    list of n str
        COCO's compressed text of each mask.

    Raises
    ------
    MtfastError, or the given class
        If a coordinate is not finite or beyond 2**20, or a ring has no point.
    TypeError
        If a ring holds something else than numbers.

    Examples
    --------
    >>> rasterise([[[1, 1, 4, 1, 4, 3, 1, 3]]], [(4, 5)], "mask {}".format)
    ['5220003']

    Notes
    -----
    Source: ``rleFrPoly`` in maskApi.c of pycocotools; equal to it byte for byte.
    """
    from mtfast.kernels.operations import polygon

    if not masks:
        return []
    heights, widths = np.array(list(chain.from_iterable(sizes)), np.int64).reshape(-1, 2).T.copy()
    rings = list(chain.from_iterable(masks))
    points = _flat(rings)
    ring_offsets = offsets_of(list(map(len, rings)))
    mask_offsets = offsets_of(list(map(len, masks)))
    capacities = np.empty(len(masks), np.int64)
    total = polygon.count_toggles(points, ring_offsets, mask_offsets, widths, capacities)
    if total < 0:
        first, last = mask_offsets[~total : ~total + 2].tolist()
        raise error(f"{where(~total)} has {_reason(rings[first:last])}")
    if rasterizer != "pycocotools":
        pairs = zip(masks, sizes, strict=True)
        return [draw_rings(mask, size, rasterizer).decode() for mask, size in pairs]
    if total <= _BATCH:
        return _encode(points, ring_offsets, mask_offsets, heights, widths, capacities)
    texts: list[str] = []
    ends = np.cumsum(capacities)
    while (start := len(texts)) < len(masks):
        most = ends[start] - capacities[start] + _BATCH
        stop = max(start + 1, int(np.searchsorted(ends, most, side="right")))
        here = slice(start, stop)
        texts += _encode(
            points,
            ring_offsets,
            mask_offsets[start : stop + 1],
            heights[here],
            widths[here],
            capacities[here],
        )
    return texts


def _encode(
    points: NDArray[np.float64],
    ring_offsets: Int64,
    mask_offsets: Int64,
    heights: Int64,
    widths: Int64,
    capacities: Int64,
) -> list[str]:
    from mtfast.kernels.operations import polygon
    from mtfast.kernels.rle import coco_string

    toggles = np.empty(int(capacities.sum()), np.int64)
    ends = np.empty(int(mask_offsets[-1] - mask_offsets[0]), np.int64)
    n = polygon.outline_rings(points, ring_offsets, mask_offsets, heights, widths, toggles, ends)
    toggles[:n].sort()
    text = np.empty(coco_string.MAX_CHARACTERS * toggles.size, np.uint8)
    offsets = np.empty(capacities.size + 1, np.int64)
    scratch = np.empty(3 * int(capacities.max()), np.int64)
    polygon.encode_rings(toggles, ends, mask_offsets, heights, widths, scratch, text, offsets)
    return cut_texts(text, offsets)


def _reason(rings: Sequence[Sequence[float]]) -> str:
    """Describe what is wrong with the rings of a mask, for an error message."""
    from mtfast.kernels.operations import polygon

    if len(rings) > polygon.MAX_RINGS:
        return f"{len(rings)} polygons; expected at most 2**20; merge masks of fewer"
    if min(map(len, rings)) < 2:
        return "a polygon without a point; expected [x, y, x, y, ...]; correct or remove it"
    for number in map(as_float, chain.from_iterable(rings)):
        if not abs(number) <= polygon.MAX_COORDINATE:
            return (
                f"a polygon with the coordinate {number}; "
                f"expected finite ones of at most 2**20; correct or remove it"
            )
    return (
        "polygons whose edges pass too many columns of pixels; expected at most 2**24; "
        "correct or remove it"
    )


def _flat(rings: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    """Join the numbers of all rings; TypeError for what is no number."""
    flat = list(chain.from_iterable(rings))
    try:
        # Takes half the time of numpy.array on a list.
        return np.frombuffer(struct.pack(f"{len(flat)}d", *flat))
    except struct.error:
        if not all(isinstance(number, Real) for number in flat):
            raise TypeError("a ring holds something that is not a number") from None
        return np.array(list(map(as_float, flat)))


def as_float(number: float) -> float:
    """Return a number as a float; infinity for an integer that no float can hold.

    Parameters
    ----------
    number : int or float

    Returns
    -------
    float

    Examples
    --------
    >>> as_float(3), as_float(10**400)
    (3.0, inf)
    """
    try:
        return float(number)
    except OverflowError:
        return math.inf


def cut_texts(text: NDArray[np.uint8], offsets: Int64) -> list[str]:
    """Cut a flat array of ASCII text into strings.

    Parameters
    ----------
    text : (n_bytes,) uint8
    offsets : (n + 1,) int64
        String k is text[offsets[k]:offsets[k + 1]].

    Returns
    -------
    list of n str

    Examples
    --------
    >>> cut_texts(np.frombuffer(b"132231", np.uint8), np.array([0, 3, 6]))
    ['132', '231']
    """
    whole = text[: offsets[-1]].tobytes().decode("ascii")
    return [whole[start:stop] for start, stop in pairwise(offsets.tolist())]
