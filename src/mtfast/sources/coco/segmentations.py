"""The "segmentation" of COCO annotations, in any of its forms -> COCO RLE text.

==================  =======================================  =============================
compressed RLE      ``{"size": [h, w], "counts": "04L4…"}``  kept
uncompressed RLE    ``{"size": [h, w], "counts": [0, 4…]}``  encoded
polygons            ``[[x, y, x, y, x, y…], …]``             rasterised, their union
boxes               ``[[x, y, width, height], …]``           as the polygons of their corners
==================  =======================================  =============================

Source: ``COCO.annToRLE`` and ``frPyObjects`` of pycocotools.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Annotated, Any

import msgspec
import numpy as np

from mtfast.errors import RLEError, SourceError
from mtfast.ragged import offsets_of
from mtfast.rles.polygons import cut_texts, rasterise
from mtfast.rles.rasterizers import Rasterizer
from mtfast.table import MAX_PIXELS

__all__ = ["Rings", "Rle", "texts_of"]

Run = Annotated[int, msgspec.Meta(ge=0, le=MAX_PIXELS)]
Rings = list[list[float]]

_BOX = 4


class Rle(msgspec.Struct, gc=False):
    """A "segmentation" that is an RLE."""

    size: tuple[int, int]
    counts: str | list[Run]


def texts_of(
    segmentations: Sequence[Rle | Rings | None],
    sizes: list[tuple[int, int]],
    where: Callable[[int], str],
    boxes: list[int] | None = None,
    rasterizer: Rasterizer = "pycocotools",
) -> list[str]:
    """Return the COCO RLE text of each segmentation.

    Parameters
    ----------
    segmentations : sequence of Rle, list of rings, or None
    sizes : list of (height, width)
        The frame of each.
    where : callable
        Called with i, returns the name of the i-th of them for messages.
    boxes : list of int, optional
        The index of each that was read as boxes is appended.
    rasterizer : {"pycocotools", "pil", "cv2"}
        Whose pixels polygons become.

    Returns
    -------
    list of str
        ASCII. The text of a compressed RLE is the given one, whose runs are not checked here.

    Raises
    ------
    SourceError
        If one is missing, is not of the size of its image, or has unusable coordinates.
    RLEError
        If the runs of an uncompressed RLE do not tile its frame.
    """
    # Nearly every mask is a compressed RLE: list comprehensions are the fast path for those.
    texts: list[Any] = [s.counts if type(s) is Rle else s for s in segmentations]
    if sizes != [s.size if type(s) is Rle else None for s in segmentations]:
        _expect_sizes(segmentations, sizes, where)
    others = [i for i, text in enumerate(texts) if type(text) is not str]
    if others:
        runs = {i: texts[i] for i in others if type(segmentations[i]) is Rle}
        rings = {i: _as_polygons(texts[i], where(i)) for i in others if i not in runs}
        for i, text in zip(runs, _encode(runs, sizes, where), strict=True):
            texts[i] = text
        if boxes is not None:
            boxes += [i for i in rings if len(texts[i][0]) == _BOX]
        keys = list(rings)
        made = rasterise(
            list(rings.values()),
            [sizes[i] for i in keys],
            lambda k: where(keys[k]),
            SourceError,
            rasterizer,
        )
        for i, text in zip(keys, made, strict=True):
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
    from mtfast.kernels.rle import coco_string

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
    return cut_texts(text, offsets)


def _as_polygons(rings: Rings | None, where: str) -> Rings:
    """Turn boxes into polygons; check that there are points."""
    if not rings:
        raise SourceError(
            f"{where} has {'no' if rings is None else 'an empty'} segmentation; "
            f"expected an RLE or polygons; add them or remove the annotation"
        )
    if len(rings[0]) == _BOX:
        if any(len(ring) != _BOX for ring in rings):
            raise SourceError(
                f"{where} mixes boxes and polygons; expected boxes of 4 numbers or polygons of "
                f"at least 6; correct or remove the annotation"
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
