"""Masks from polygons, boxes and lists of run lengths, and back to run lengths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, overload

import numpy as np

from mtfast.errors import MtfastError, shown
from mtfast.mask import few
from mtfast.mask.arguments import are_masks, is_ring
from mtfast.mask.dicts import (
    RLE,
    Boxes,
    Mask,
    Masks,
    UncompressedRLE,
    checked_size,
    dicts_of,
    rles_of,
)
from mtfast.mask.validation import check_texts, scratch_for
from mtfast.rles.polygons import as_float, rasterise

__all__ = ["frPyObjects", "to_uncompressed"]

# Rings for which the GIL is held: for a third of a millisecond.
_AT_A_TIME = 128


@overload
def frPyObjects(pyobj: Mask | Sequence[float], h: int, w: int) -> RLE: ...


@overload
def frPyObjects(pyobj: Sequence[Mask] | Boxes, h: int, w: int) -> list[RLE]: ...


def frPyObjects(
    pyobj: Mask | Sequence[float] | Sequence[Mask] | Boxes, h: int, w: int
) -> RLE | list[RLE]:
    """Make masks of polygons, boxes or uncompressed RLE.

    Parameters
    ----------
    pyobj : one of
        list of polygons, each [x, y, x, y, …] of more than 4 numbers; an array (n, 4) or list of
        boxes [x, y, width, height]; a list of dicts with counts; or a single one of these.
    h, w : int
        Size of the frame; floats like 480.0 will do. Dicts have their own.

    Returns
    -------
    list of dicts, or one dict for a single object

    Raises
    ------
    RLEError
        If the counts of a dict do not tile its frame.
    MtfastError
        If coordinates are not finite, or it is none of these.

    Examples
    --------
    >>> frPyObjects([[1, 1, 4, 1, 4, 3, 1, 3]], 4, 5)
    [{'size': [4, 5], 'counts': b'5220003'}]

    Notes
    -----
    Byte for byte as pycocotools. Integer vertices are corners of pixels there: a box of [1, 6] in
    a row covers the pixels 1 to 5.
    """
    if type(pyobj) is list and (short := _few_rings(pyobj, h, w)):
        return short
    if type(pyobj) is dict and (counted := _few_counts(pyobj)):
        return counted
    return _of_any_kind(pyobj, h, w)


def _of_any_kind(pyobj: Any, h: int, w: int) -> RLE | list[RLE]:
    if isinstance(pyobj, np.ndarray):
        if pyobj.ndim != 2 or pyobj.shape[1] != 4 or pyobj.dtype.kind not in "uif":
            raise MtfastError(
                f"an array of shape {pyobj.shape}, {pyobj.dtype}; expected (n, 4) boxes; "
                f"give polygons as a list of lists"
            )
        corners = [_ring(*box) for box in pyobj.tolist()]
        return _few_rings(corners, h, w) or _masks_of_rings(corners, h, w)
    if isinstance(pyobj, Mapping):
        return dicts_of(check_texts(rles_of(pyobj)))[0]
    if not isinstance(pyobj, Sequence) or isinstance(pyobj, str | bytes):
        raise MtfastError(
            f"a {type(pyobj).__name__}; expected polygons, boxes or dicts with counts; "
            f"give them as a list"
        )
    if not pyobj:
        return []
    if are_masks(pyobj):
        return dicts_of(check_texts(rles_of(pyobj)))
    if is_ring(pyobj):
        return _masks_of_rings([_corners(pyobj) if len(pyobj) == 4 else list(pyobj)], h, w)[0]
    if set(map(type, pyobj)) != {list} or len(pyobj[0]) == 4:
        _expect_rings(pyobj)
    try:
        rings = _corners_of_all(pyobj) if len(pyobj[0]) == 4 else pyobj
        return _masks_of_rings(rings, h, w)
    except TypeError:
        _expect_rings(pyobj)
        raise


@overload
def to_uncompressed(rleObjs: Mask) -> UncompressedRLE: ...


@overload
def to_uncompressed(rleObjs: Masks) -> list[UncompressedRLE]: ...


def to_uncompressed(rleObjs: Mask | Masks) -> UncompressedRLE | list[UncompressedRLE]:
    """Return masks with their counts as lists of run lengths, background first.

    Parameters
    ----------
    rleObjs : dict, or list of dicts, or RunTable

    Returns
    -------
    dict, or list of dicts

    Raises
    ------
    RLEError
        If a mask is malformed.

    Examples
    --------
    >>> to_uncompressed({"size": [2, 2], "counts": b"22"})
    {'size': [2, 2], 'counts': [2, 2]}
    """
    from mtfast.kernels.rle import coco_string

    rles = check_texts(rles_of(rleObjs))
    scratch = scratch_for(rles)
    ends = rles.offsets.tolist()
    found: list[UncompressedRLE] = []
    for k, (height, width) in enumerate(rles.sizes()):
        n = coco_string.decode_places(rles.text, ends[k], ends[k + 1], height * width, scratch)
        counts = np.diff(scratch[:n], prepend=0)
        found.append({"size": [height, width], "counts": counts.tolist()})
    return found[0] if isinstance(rleObjs, Mapping) else found


def _few_counts(mask: dict[str, Any]) -> RLE | None:
    """Compress the counts of a mask, or return None if it is not as simple as most are."""
    size, counts = mask.get("size"), mask.get("counts")
    if type(size) is not list or type(counts) is not list or len(size) != 2:
        return None
    text = few.compressed(counts, *size)
    return {"size": [*size], "counts": text} if text else None


def _few_rings(rings: list[Any], h: int, w: int) -> list[RLE] | None:
    """Rasterise one mask for each ring, or return None if one is not as simple as most are."""
    found: list[RLE] = []
    for start in range(0, len(rings), _AT_A_TIME):
        some = rings[start : start + _AT_A_TIME]
        offsets = np.empty(len(some) + 1, np.int64)
        text = few.outlined(some, h, w, offsets)
        if not text:
            return None
        ends = pairwise(offsets.tolist())
        found += [{"size": [h, w], "counts": text[first:stop]} for first, stop in ends]
    return found


def _expect_rings(items: Sequence[Any]) -> None:
    """Raise MtfastError for the first item that is no list of numbers."""
    for k, item in enumerate(items):
        if not is_ring(item):
            raise MtfastError(
                f"object {k} is {shown(item)}; expected all polygons, all boxes or all dicts with "
                f"counts; sort them by kind"
            )


def _corners_of_all(boxes: Sequence[Sequence[float]]) -> list[list[float]]:
    """Return the rings of boxes, if they are not polygons of which the first has two points."""
    for k, box in enumerate(boxes):
        if len(box) != 4:
            raise MtfastError(
                f"object 0 has 4 numbers, which is a box or a polygon of two points, and object "
                f"{k} has {len(box)}; expected boxes only, or polygons of three points and more; "
                f"remove the polygons of two points"
            )
    return [_corners(box) for box in boxes]


def _corners(box: Sequence[float]) -> list[float]:
    """Return the ring of a box [x, y, width, height]."""
    # Sums of numpy's integers may wrap around.
    return _ring(*map(as_float, box))


def _ring(x: float, y: float, width: float, height: float) -> list[float]:
    return [x, y, x, y + height, x + width, y + height, x + width, y]


def _masks_of_rings(rings: Sequence[Sequence[float]], h: int, w: int) -> list[RLE]:
    """Rasterise one mask for each ring."""
    size = checked_size("frPyObjects", (h, w), MtfastError)
    texts = rasterise([[ring] for ring in rings], [size] * len(rings), "object {}".format)
    return [{"size": [*size], "counts": text.encode()} for text in texts]
