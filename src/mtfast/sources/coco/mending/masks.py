"""Segmentations of annotations, mended: RLE, polygons however they are nested, boxes for none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np

from mtfast.errors import MtfastError
from mtfast.ragged import offsets_of
from mtfast.sources.bad_records import Ledger
from mtfast.sources.coco.mending.ids import is_number, whole
from mtfast.sources.coco.mending.listed import Record
from mtfast.sources.coco.segmentations import Rings, Rle, texts_of
from mtfast.table import explain

__all__ = ["is_measure", "mended_segmentation", "unreadable"]

_POINT = 2
_BOX = 4
_TRIANGLE = 6


def mended_segmentation(
    record: Record, size: tuple[int, int], place: Any, words: str, ledger: Ledger
) -> Record | Rings | None:
    """Return the mask of an annotation as one RLE or as rings.

    Parameters
    ----------
    record : dict
    size : (height, width)
        Of its image.
    place : object
        Which annotation it is, for counting.
    words : str
        The same in words.
    ledger : Ledger

    Returns
    -------
    dict, list of rings or None
        None if it is left out.
    """
    found = record.get("segmentation")
    if isinstance(found, list) and len(found) == 1 and isinstance(found[0], dict):
        if not ledger.keep("RLE in a list", place, words):
            return None
        found = found[0]
    if isinstance(found, dict):
        return _rle(found, size, place, words, ledger)
    if not (found is None or isinstance(found, list)):
        ledger.keep("malformed segmentation", place, f"{words}: {type(found).__name__}")
        return None
    rings = _Ringed.of(found or [])
    if rings is None:
        ledger.keep("malformed segmentation", place, f"{words} has no numbers in it")
        return None
    if not rings.rings:
        return _rectangle(record, place, words, ledger)
    for kind in rings.kinds:
        if not ledger.keep(kind, place, words):
            return None
    return rings.rings


def _rle(
    found: Record, size: tuple[int, int], place: Any, words: str, ledger: Ledger
) -> Record | None:
    size_given = found.get("size")
    stated: list[Any] = size_given if isinstance(size_given, list) else []
    sides = [whole(side) for side in stated]
    if len(sides) != 2 or None in sides or not isinstance(found.get("counts"), str | list):
        ledger.keep("malformed segmentation", place, f"{words} has an RLE without size or counts")
        return None
    if tuple(sides) != size:
        said = f"{words} has an RLE of size {sides}, its image {list(size)}"
        ledger.keep("RLE of another size", place, said)
        return None
    if any(isinstance(side, float) for side in stated):
        kind = "whole number with a decimal point"
        if not ledger.keep(kind, (place, "size"), f"{words} has an RLE of size {stated}"):
            return None
    return found | {"size": sides}


def _rectangle(record: Record, place: Any, words: str, ledger: Ledger) -> Rings | None:
    box = record.get("bbox")
    if not box or not is_measure(box, "bbox") or min(box[2:]) <= 0:
        ledger.keep("no segmentation and no box", place, words)
        return None
    if not ledger.keep("no segmentation", place, words):
        return None
    x, y, w, h = box
    return [[x, y, x, y + h, x + w, y + h, x + w, y]]


def unreadable(
    segmentations: list[Any], sizes: list[tuple[int, int]], words: list[str]
) -> list[str]:
    """Say what is wrong with each mask.

    Parameters
    ----------
    segmentations : list of n objects
        As :func:`mended_segmentation` returns them.
    sizes : list of n (height, width)
        Of their frames.
    words : list of n str
        Whose masks they are.

    Returns
    -------
    list of n str
        Empty where nothing is.
    """
    try:
        found = msgspec.convert(segmentations, list[Rle | Rings], strict=True)
        texts = [text.encode() for text in texts_of(found, sizes, words.__getitem__)]
    except (MtfastError, msgspec.ValidationError, UnicodeEncodeError) as error:
        n = len(segmentations)
        if n == 1:
            return [str(error).partition(";")[0].removeprefix(f"{words[0]} has ")]
        # The one that is at fault is looked for by halves.
        halves = slice(n // 2), slice(n // 2, n)
        return [
            reason
            for half in halves
            for reason in unreadable(segmentations[half], sizes[half], words[half])
        ]
    return list(_untiled(texts, sizes))


def _untiled(texts: Sequence[bytes], sizes: Sequence[tuple[int, int]]) -> Iterator[str]:
    """Say of each text why its runs do not fill their frame; empty where they do."""
    from mtfast.kernels.rle import measure

    start = 0
    while start < len(texts):
        here = texts[start:]
        offsets = offsets_of([len(text) for text in here])
        pixels = np.array([h * w for h, w in sizes[start:]], np.int64)
        scratch = np.empty(max(map(len, here)), np.int64)
        out = np.empty(len(here), np.int64)
        text = np.frombuffer(b"".join(here), np.uint8)
        bad = measure.areas(text, offsets, np.arange(len(here) + 1), pixels, scratch, out)
        yield from [""] * (len(here) if bad < 0 else bad)
        if bad < 0:
            return
        yield explain(here[bad], *sizes[start + bad]).partition(";")[0]
        start += bad + 1


class _Ringed(NamedTuple):
    """Polygons as rings, and what was wrong with how they were nested."""

    rings: Rings
    kinds: tuple[str, ...]

    @classmethod
    def of(cls, found: list[Any]) -> _Ringed | None:
        """Make sense of nested lists of numbers; None if there is something else in them."""
        depth = _depth(found)
        if depth < 0:
            return None
        rings = [ring for ring in _rings(found) if ring]
        kinds = []
        if depth == 1 and rings:
            kinds.append("flat polygon")
        elif depth > 2 or (depth == 2 and _is_points(found)):
            kinds.append("polygon nested too deep")
        boxes = depth == 2 and all(len(ring) == _BOX for ring in rings)
        if boxes and not kinds:
            return cls(rings, ())
        real = [ring for ring in rings if len(ring) >= _TRIANGLE]
        if len(real) < len(rings) and real:
            kinds.append("polygon of two points")
        return cls(real, tuple(kinds))


def _depth(found: Any) -> int:
    """How deep lists are nested; -1 if there is something else than numbers in them."""
    if not isinstance(found, list):
        return 0 if is_number(found) else -1
    depths = [_depth(inner) for inner in found]
    if not depths:
        return 1
    if min(depths) < 0 or (0 in depths and max(depths) > 0):
        return -1
    return 1 + max(depths)


def _is_points(found: list[Any]) -> bool:
    """Whether a polygon is a list of pairs."""
    return len(found) > _POINT and all(
        isinstance(point, list) and len(point) == 2 and not isinstance(point[0], list)
        for point in found
    )


def _rings(found: list[Any]) -> list[list[float]]:
    if not found:
        return []
    if not isinstance(found[0], list):
        return [found]
    if _is_points(found):
        return [[side for point in found for side in point]]
    return [ring for inner in found for ring in _rings(inner)]


def is_measure(value: Any, key: str) -> bool:
    """Return whether a value is an area, or a box, or none.

    Parameters
    ----------
    value : object
    key : {"area", "bbox"}

    Returns
    -------
    bool

    Examples
    --------
    >>> is_measure(3.5, "area"), is_measure([0, 0, 2, 2], "bbox"), is_measure("3", "area")
    (True, True, False)
    """
    if value is None:
        return True
    if key == "area":
        return is_number(value)
    return isinstance(value, list) and len(value) in (0, 4) and all(map(is_number, value))
