"""The "segmentation" of COCO annotations, in all three forms -> COCO RLE text.

==================  =======================================  =============================
compressed RLE      ``{"size": [h, w], "counts": "04L4…"}``  taken as it is
uncompressed RLE    ``{"size": [h, w], "counts": [0, 4…]}``  encoded
polygons            ``[[x, y, x, y, x, y…], …]``             rasterised, their union
boxes               ``[[x, y, width, height], …]``           as the polygons of their corners
==================  =======================================  =============================

Source: ``COCO.annToRLE`` and ``frPyObjects`` of pycocotools.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain, pairwise
from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from mtfast.errors import RLEError, SourceError
from mtfast.runs import MAX_PIXELS, offsets_of

__all__ = ["Rings", "Rle", "texts_of"]

Int64 = NDArray[np.int64]
Run = Annotated[int, msgspec.Meta(ge=0, le=MAX_PIXELS)]
Rings = list[list[float]]

MAX_COORDINATE = 2**20
# Columns that the edges of one annotation may pass, each time: a second or two of work.
MAX_CROSSINGS = 2**24
# Toggles of the polygons that are rasterised in one call; bounds its memory.
_BATCH = 2**20


class Rle(msgspec.Struct, gc=False):
    """A "segmentation" that is an RLE."""

    size: tuple[int, int]
    counts: str | list[Run]


def texts_of(
    segmentations: Sequence[Rle | Rings | None],
    sizes: list[tuple[int, int]],
    where: Callable[[int], str],
) -> list[str]:
    """COCO RLE text of each segmentation.

    Parameters
    ----------
    segmentations : sequence of Rle, list of rings, or None
    sizes : list of (height, width)
        The frame of each.
    where : callable
        Names the i-th of them, for messages.

    Returns
    -------
    list of str
        ASCII. The text of a compressed RLE is the given one, which has yet to be checked.

    Raises
    ------
    SourceError
        If one is missing, of another size than its image, or has unusable coordinates.
    RLEError
        If the runs of an uncompressed RLE do not tile its frame.
    """
    # Nearly every mask is a compressed RLE: those take a few quick passes and no branches.
    texts: list[Any] = [s.counts if type(s) is Rle else s for s in segmentations]
    if sizes != [s.size if type(s) is Rle else None for s in segmentations]:
        _expect_sizes(segmentations, sizes, where)
    others = [i for i, text in enumerate(texts) if type(text) is not str]
    if others:
        runs = {i: texts[i] for i in others if type(segmentations[i]) is Rle}
        rings = {i: _as_polygons(texts[i], where(i)) for i in others if i not in runs}
        for i, text in zip(runs, _encode(runs, sizes, where), strict=True):
            texts[i] = text
        for i, text in zip(rings, _rasterise(rings, sizes, where), strict=True):
            texts[i] = text
    if not all(map(str.isascii, texts)):
        i = next(i for i, text in enumerate(texts) if not text.isascii())
        raise RLEError(
            f"{where(i)} has an RLE text with a character outside '0'..'o'; "
            f"expected COCO's compressed RLE; correct or remove the annotation"
        )
    return texts


def _expect_sizes(
    segmentations: Sequence[Rle | Rings | None],
    sizes: list[tuple[int, int]],
    where: Callable[[int], str],
) -> None:
    for i, (segmentation, size) in enumerate(zip(segmentations, sizes, strict=True)):
        if isinstance(segmentation, Rle) and segmentation.size != size:
            raise SourceError(
                f"{where(i)} has an RLE of size {list(segmentation.size)}; expected the height and "
                f"width of its image, {list(size)}; correct the size or the image"
            )


def _encode(
    runs: dict[int, list[int]], sizes: list[tuple[int, int]], where: Callable[[int], str]
) -> list[str]:
    """COCO RLE text of lists of counts."""
    from mtfast.kernels import coco_string

    for i, counts in runs.items():
        height, width = sizes[i]
        if sum(counts) != height * width:
            raise RLEError(
                f"{where(i)} has runs that add up to {sum(counts)} pixels; "
                f"expected {height} x {width} = {height * width}; correct or remove the annotation"
            )
    flat = np.fromiter(chain.from_iterable(runs.values()), np.int64)
    text = np.empty(coco_string.MAX_CHARACTERS * flat.size, np.uint8)
    offsets = np.empty(len(runs) + 1, np.int64)
    coco_string.encode_batch(flat, offsets_of([len(c) for c in runs.values()]), text, offsets)
    return _cut(text, offsets)


def _as_polygons(rings: Rings | None, where: str) -> Rings:
    """Turn boxes into the rings of their corners; check that there are points."""
    if not rings:
        raise SourceError(
            f"{where} has {'no' if rings is None else 'an empty'} segmentation; "
            f"expected an RLE or polygons; add them or remove the annotation"
        )
    if len(rings[0]) == 4:
        if any(len(ring) != 4 for ring in rings):
            raise SourceError(
                f"{where} has a box and a ring that is none; expected boxes of 4 numbers or "
                f"polygons of at least 6; correct or remove the annotation"
            )
        return [[x, y, x, y + h, x + w, y + h, x + w, y] for x, y, w, h in rings]
    shortest = min(map(len, rings))
    # Only the first ring tells boxes from polygons; a later one of two points is an empty mask.
    if len(rings[0]) < 4 or shortest < 2:
        raise SourceError(
            f"{where} has a polygon of {shortest} numbers; "
            f"expected at least 6, x and y in turn; correct or remove the annotation"
        )
    return rings


def _rasterise(
    masks: dict[int, Rings], sizes: list[tuple[int, int]], where: Callable[[int], str]
) -> list[str]:
    """COCO RLE text of the union of the rings of each mask."""
    from mtfast.kernels import coco_string, polygon

    if not masks:
        return []
    keys = list(masks)
    heights, widths = np.array([sizes[i] for i in keys], np.int64).T.copy()
    # An odd number at the end of a ring is ignored, as pycocotools does.
    rings = [ring[: len(ring) // 2 * 2] for mask in masks.values() for ring in mask]
    points = np.fromiter(chain.from_iterable(rings), np.float64)
    ring_offsets = offsets_of([len(ring) for ring in rings])
    mask_offsets = offsets_of([len(mask) for mask in masks.values()])
    starts = ring_offsets[mask_offsets]

    # Not a number is not small either.
    absurd = ~(np.abs(points) <= MAX_COORDINATE)
    if absurd.any():
        at = int(np.argmax(absurd))
        mask = int(np.searchsorted(starts, at, side="right")) - 1
        raise SourceError(
            f"{where(keys[mask])} has a polygon with the coordinate {points[at]}; "
            f"expected finite ones of at most 2**20; correct or remove the annotation"
        )
    crossings = _crossings(points, ring_offsets, starts, widths)
    if crossings.max() > MAX_CROSSINGS:
        mask = int(np.argmax(crossings))
        raise SourceError(
            f"{where(keys[mask])} has polygons whose edges pass {crossings[mask]} columns of "
            f"pixels; expected at most 2**24; correct or remove the annotation"
        )
    rooms = crossings + 2 * np.diff(mask_offsets) + 2

    texts: list[str] = []
    ends = np.cumsum(rooms)
    while (start := len(texts)) < len(keys):
        room = ends[start] - rooms[start] + _BATCH
        stop = max(start + 1, int(np.searchsorted(ends, room, side="right")))
        text = np.empty(coco_string.MAX_CHARACTERS * int(rooms[start:stop].sum()), np.uint8)
        offsets = np.empty(stop - start + 1, np.int64)
        polygon.encode_polygons(
            points,
            ring_offsets,
            mask_offsets[start : stop + 1],
            heights[start:stop],
            widths[start:stop],
            np.empty(4 * int(rooms[start:stop].max()), np.int64),
            text,
            offsets,
        )
        texts += _cut(text, offsets)
    return texts


def _crossings(
    points: NDArray[np.float64], ring_offsets: Int64, starts: Int64, widths: Int64
) -> Int64:
    """At most how many columns the edges of each mask pass, and so how many toggles it has.

    An edge passes the middles of at most dx + 2 columns, and of the frame's no more than there are.
    """
    x = points[0::2]
    following = np.arange(1, x.size + 1)
    following[ring_offsets[1:] // 2 - 1] = ring_offsets[:-1] // 2
    dx = np.abs(x[following] - x)
    passed = np.ceil(np.minimum(dx + 2, np.repeat(widths, np.diff(starts) // 2)))
    return np.add.reduceat(passed.astype(np.int64), starts[:-1] // 2)


def _cut(text: NDArray[np.uint8], offsets: Int64) -> list[str]:
    whole = text[: offsets[-1]].tobytes().decode("ascii")
    return [whole[start:stop] for start, stop in pairwise(offsets.tolist())]
