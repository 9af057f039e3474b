"""How much masks overlap, and what comes of laying them over each other."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal, NamedTuple, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtfast.errors import MtfastError
from mtfast.rles.batch import Int64, Lists, Rles, as_array, decode, encode, one_of, room
from mtfast.table import RunTable


def iou(dt: Rles, gt: Rles, iscrowd: ArrayLike | None = None) -> NDArray[np.float64]:
    """Intersection over union of each mask of one batch with each mask of another.

    Parameters
    ----------
    dt, gt : Rles
        m detections and n masks of the ground truth, all of one size.
    iscrowd : (n,) int or bool, optional
        Where it is not zero, the area of the detection takes the place of the union.

    Returns
    -------
    (m, n) float64
        0 where two masks share nothing, also where both are empty.

    Raises
    ------
    MtfastError
        If sizes differ, or there is not one iscrowd for each mask of the ground truth.
    RLEError
        If a text does not tile its frame.

    Examples
    --------
    >>> a = Rles.of([b"132"], [(1, 6)])      # .###..
    >>> b = Rles.of([b"231"], [(1, 6)])      # ..###.
    >>> iou(a, b), iou(a, b, [1])
    (array([[0.5]]), array([[0.66666667]]))

    Notes
    -----
    Equal to ``pycocotools.mask.iou`` bit for bit, where that one is right: it loses what follows a
    run of no length.
    """
    from mtfast.kernels.operations import iou as kernels

    crowd = _crowd(iscrowd, gt.n)
    first, second = decode(dt, "dt"), decode(gt, "gt")
    height = _one_size(first, "dt", second, "gt")
    out = np.empty((first.n, second.n))
    kernels.ious(
        first.toggles,
        first.offsets,
        second.toggles,
        second.offsets,
        height,
        crowd,
        np.empty(kernels.FACTS * first.n, np.int64),
        np.empty(kernels.FACTS * second.n, np.int64),
        out.reshape(-1),
    )
    return out


def bbox_iou(dt: ArrayLike, gt: ArrayLike, iscrowd: ArrayLike | None = None) -> NDArray[np.float64]:
    """Intersection over union of each box with each box of another set.

    Parameters
    ----------
    dt, gt : (m, 4) and (n, 4) float
        Boxes [x, y, width, height].
    iscrowd : (n,) int or bool, optional
        Where it is not zero, the area of the detection takes the place of the union.

    Returns
    -------
    (m, n) float64

    Raises
    ------
    MtfastError
        If the arrays are not of that shape.

    Examples
    --------
    >>> bbox_iou([[0, 0, 2, 2]], [[1, 0, 2, 2], [9, 9, 1, 1]])
    array([[0.33333333, 0.        ]])

    Notes
    -----
    Equal to ``pycocotools.mask.iou`` on boxes bit for bit.
    """
    from mtfast.kernels.operations import iou as kernels

    first, second = _boxes(dt, "dt"), _boxes(gt, "gt")
    out = np.empty((len(first), len(second)))
    crowd = _crowd(iscrowd, len(second))
    kernels.bbox_ious(first.reshape(-1), second.reshape(-1), crowd, out.reshape(-1))
    return out


class SharedPixels(NamedTuple):
    """Pairs of instances that overlap: first and second, and how many pixels they share."""

    first: Int64
    second: Int64
    n_pixels: Int64


# Lists of toggles take eight times the memory of their texts: they are not made of a whole set.
IMAGES_AT_A_TIME = 256


def class_overlaps(table: RunTable) -> SharedPixels:
    """Find all pairs of instances of an image that overlap and are of different categories.

    Parameters
    ----------
    table : RunTable

    Returns
    -------
    SharedPixels
        first, second and n_pixels, (n_pairs,) int64 each: the two instances of a pair as indices
        into the table, in ascending order, and the pixels that they share.

    Raises
    ------
    RLEError
        If a text does not tile its frame.

    Examples
    --------
    >>> class_overlaps(src.table("train", "annotations_with_class_300"))     # doctest: +SKIP
    SharedPixels(first=array([3]), second=array([5]), n_pixels=array([17]))
    """
    from mtfast.kernels.operations import iou as kernels

    pieces = [np.empty((3, 0), np.int64)]
    for start in range(0, table.n_images, IMAGES_AT_A_TIME):
        part = table[start : start + IMAGES_AT_A_TIME]
        lists = decode(Rles.of_table(part), "table")
        facts = np.empty(kernels.FACTS * lists.n, np.int64)
        n = capacity = lists.n
        while n >= capacity:
            capacity = n + 1
            pairs = np.empty((3, capacity), np.int64)
            n = kernels.overlaps(
                lists.toggles,
                lists.offsets,
                part.image_offsets,
                part.heights,
                part.category_ids,
                facts,
                *pairs,
            )
        pairs[:2] += table.image_offsets[start]
        pieces.append(pairs[:, :n])
    return SharedPixels(*np.concatenate(pieces, axis=1))


def merge(rles: Rles, intersect: bool | int = False) -> Rles:
    """Merge all masks of a batch into one: their union, or their intersection.

    Parameters
    ----------
    rles : Rles
        Masks of one size. A single one comes back as it is, and of none comes a mask without
        pixels or text, as in pycocotools.
    intersect : bool
        Any value but 0 means the intersection.

    Returns
    -------
    Rles
        One mask.

    Raises
    ------
    MtfastError
        If sizes differ.
    RLEError
        If a text does not tile its frame.

    Examples
    --------
    >>> both = Rles.of([b"132", b"231"], [(1, 6), (1, 6)])      # .###.. and ..###.
    >>> merge(both).texts(), merge(both, intersect=True).texts()
    ([b'141'], [b'222'])
    """
    from mtfast.kernels.operations import boolean as kernels
    from mtfast.kernels.operations import setops

    lists = decode(rles, "rles")
    if lists.n == 0:
        return Rles.of([b""], [(0, 0)])
    if lists.n == 1:
        return rles
    _one_size(lists, "rles", lists, "rles")
    other = room(lists.toggles.size)
    table = setops.AND if intersect else setops.OR
    moved = kernels.fold(lists.toggles, lists.offsets, table, other)
    out = other if moved else lists.toggles
    return encode(out, lists.offsets[:2], lists.heights[:1], lists.widths[:1])


def union_areas(rles: Rles, offsets: Int64) -> Int64:
    """Measure the unions of groups of masks, those of each image for instance.

    Parameters
    ----------
    rles : Rles
        The masks of a group have one size.
    offsets : (n_groups + 1,) int64
        Group g has the masks offsets[g] .. offsets[g + 1] - 1.

    Returns
    -------
    (n_groups,) int64
        Pixels in at least one of the masks of each group.

    Raises
    ------
    RLEError
        If a text does not tile its frame.

    Examples
    --------
    >>> three = Rles.of([b"132", b"231", b"132"], [(1, 6)] * 3)     # .###.., ..###. and .###..
    >>> union_areas(three, np.array([0, 2, 3])).tolist()
    [4, 3]
    """
    from mtfast.kernels.operations import boolean as kernels
    from mtfast.kernels.operations import setops

    lists = decode(rles, "rles")
    other = room(lists.toggles.size)
    areas = np.zeros(len(offsets) - 1, np.int64)
    for group, (first, stop) in enumerate(pairwise(np.asarray(offsets).tolist())):
        if first == stop:
            continue
        # Of the group alone, so that the kernel may overwrite them.
        starts = lists.offsets[first : stop + 1] - lists.offsets[first]
        toggles = lists.toggles[lists.offsets[first] :][: starts[-1]]
        if stop - first > 1 and kernels.fold(toggles, starts, setops.OR, other):
            toggles = other
        ends = toggles[: starts[1] - 1]
        areas[group] = (ends[1::2] - ends[::2]).sum()
    return areas


Operation = Literal["or", "and", "minus", "xor"]


def combine(first: Rles, second: Rles, operation: Operation) -> Rles:
    """Combine each mask of a batch with the one at its place in another.

    Parameters
    ----------
    first, second : Rles
        n masks each, or one of them a single mask, which all of the other are combined with.
    operation : "or", "and", "minus" or "xor"
        "minus" is what the first mask has and the second has not.

    Returns
    -------
    Rles
        n masks.

    Raises
    ------
    MtfastError
        If numbers or sizes differ.
    RLEError
        If a text does not tile its frame.

    Examples
    --------
    >>> a = Rles.of([b"132"], [(1, 6)])      # .###..
    >>> b = Rles.of([b"231"], [(1, 6)])      # ..###.
    >>> [combine(a, b, how).texts() for how in ("minus", "xor")]
    [[b'114'], [b'1120O']]
    """
    from mtfast.kernels.operations import boolean as kernels
    from mtfast.kernels.operations import setops

    tables = {"or": setops.OR, "and": setops.AND, "minus": setops.MINUS, "xor": setops.XOR}
    one_of("operation", operation, tuple(tables))
    a, b = decode(first, "first"), decode(second, "second")
    n = a.n if b.n == 1 else b.n
    if n != a.n and a.n != 1:
        raise MtfastError(
            f"{a.n} masks and {b.n} masks; expected as many of both, or a single one; "
            f"combine masks in pairs"
        )
    i, j = (np.zeros(n, np.int64) if x.n == 1 else np.arange(n) for x in (a, b))
    differ = np.flatnonzero((a.heights[i] != b.heights[j]) | (a.widths[i] != b.widths[j]))
    if differ.size:
        p, q = int(i[differ[0]]), int(j[differ[0]])
        _sizes_differ(f"first[{p}]", a, p, f"second[{q}]", b, q)
    out, offsets = room(sum(x.toggles.size * (n // max(x.n, 1)) for x in (a, b))), room(n + 1)
    kernels.combine_pairs(
        a.toggles, a.offsets[i], b.toggles, b.offsets[j], tables[operation], out, offsets
    )
    return encode(out, offsets, a.heights[i], a.widths[i])


def minus(first: Rles, second: Rles) -> Rles:
    """Leave of each mask what its partner in another batch has not; see :func:`combine`."""
    return combine(first, second, "minus")


def xor(first: Rles, second: Rles) -> Rles:
    """Keep what either a mask or its partner has, but not both; see :func:`combine`."""
    return combine(first, second, "xor")


def _one_size(first: Lists, a: str, second: Lists, b: str) -> int:
    """Check that all masks have one size, and return its height."""
    from mtfast.kernels.rle import toggle_lists

    named = [(lists, name) for lists, name in ((first, a), (second, b)) if lists.n]
    if not named:
        return 0
    model, model_name = named[0]
    height, width = int(model.heights[0]), int(model.widths[0])
    for lists, name in named:
        k = toggle_lists.first_of_other_size(lists.heights, lists.widths, height, width)
        if k >= 0:
            _sizes_differ(f"{model_name}[0]", model, 0, f"{name}[{k}]", lists, k)
    return height


def _sizes_differ(a: str, first: Lists, i: int, b: str, second: Lists, j: int) -> NoReturn:
    raise MtfastError(
        f"{a} has {first.heights[i]} x {first.widths[i]} pixels and {b} "
        f"{second.heights[j]} x {second.widths[j]}; expected one size; combine masks of one image"
    )


def _crowd(iscrowd: ArrayLike | None, n: int) -> NDArray[np.uint8]:
    if iscrowd is None:
        return np.zeros(n, np.uint8)
    crowd = as_array("iscrowd", iscrowd)
    if crowd.shape != (n,) or (n and crowd.dtype.kind not in "bui"):
        raise MtfastError(
            f"iscrowd has shape {crowd.shape}, {crowd.dtype}; expected (n,) = ({n},) of integers; "
            f"give one for each mask of the ground truth"
        )
    nonzero: NDArray[np.uint8] = np.not_equal(crowd, 0).view(np.uint8)
    return nonzero


def _boxes(boxes: ArrayLike, name: str) -> NDArray[np.float64]:
    array = np.ascontiguousarray(boxes, np.float64)
    if array.size == 0:
        return array.reshape(0, 4)
    if array.ndim != 2 or array.shape[1] != 4:
        raise MtfastError(
            f"{name} has shape {array.shape}; expected (n, 4); give boxes as [x, y, width, height]"
        )
    return array
