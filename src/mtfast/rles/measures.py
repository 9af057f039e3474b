"""How much masks, or boxes, overlap, and how much they cover."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtfast.errors import MtfastError
from mtfast.rles.arguments import as_array, integer_per_mask
from mtfast.rles.batch import Int64, Rles, ToggleLists, allocate, common_height, toggles_of
from mtfast.table import RunTable

__all__ = ["SharedPixels", "bbox_iou", "class_overlaps", "first_overlap", "iou", "union_areas"]


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
    Equal to ``pycocotools.mask.iou`` bit for bit, except for masks with runs of length 0:
    pycocotools ignores what follows such a run.
    """
    from mtfast.kernels.operations import iou as kernels

    crowd = _crowd(iscrowd, gt.n)
    first, second = toggles_of(dt, "dt"), toggles_of(gt, "gt")
    height = common_height(dt=first, gt=second)
    out = np.empty((first.n, second.n))
    kernels.ious(
        first.toggles,
        first.offsets,
        second.toggles,
        second.offsets,
        height,
        crowd,
        np.empty(kernels.N_FACTS * first.n, np.int64),
        np.empty(kernels.N_FACTS * second.n, np.int64),
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
    """Pairs of instances that overlap.

    Attributes
    ----------
    first, second : (n_pairs,) int64
        Indices of the instances in their table, in ascending order.
    n_pixels : (n_pairs,) int64
        How many pixels they share.
    """

    first: Int64
    second: Int64
    n_pixels: Int64


# Lists of toggles take eight times the memory of their texts, so not all of a set are made at once.
IMAGES_AT_A_TIME = 256


def class_overlaps(table: RunTable) -> SharedPixels:
    """Find all pairs of instances of an image that overlap and have different categories.

    Parameters
    ----------
    table : RunTable

    Returns
    -------
    SharedPixels
        In ascending order.

    Raises
    ------
    RLEError
        If a text does not tile its frame.

    Examples
    --------
    >>> table = RunTable.of_texts((1, 6), [[b"132", b"231"]], [1, 2])     # .###.. and ..###.
    >>> class_overlaps(table)
    SharedPixels(first=array([0]), second=array([1]), n_pixels=array([2]))
    """
    pieces = [np.empty((3, 0), np.int64)]
    for start in range(0, table.n_images, IMAGES_AT_A_TIME):
        part = table.images(slice(start, start + IMAGES_AT_A_TIME))
        lists = toggles_of(Rles.of_table(part), "table")
        pairs = _overlaps(lists, part.image_offsets, part.heights, part.category_ids, lists.n)
        pairs[:2] += table.image_offsets[start]
        pieces.append(pairs)
    return SharedPixels(*np.concatenate(pieces, axis=1))


def first_overlap(rles: Rles, offsets: Int64) -> tuple[int, int] | None:
    """Find two masks of one group that share a pixel.

    Parameters
    ----------
    rles : Rles
        The masks of a group have one size.
    offsets : (n_groups + 1,) int64
        Group g has the masks offsets[g] .. offsets[g + 1] - 1.

    Returns
    -------
    (int, int), or None
        Indices of the first mask that overlaps a later one, and of the first that it overlaps.

    Raises
    ------
    RLEError
        If a text does not tile its frame.

    Examples
    --------
    >>> three = Rles.of([b"015", b"132", b"231"], [(1, 6)] * 3)     # #....., .###.. and ..###.
    >>> first_overlap(three, np.array([0, 3]))
    (1, 2)
    >>> first_overlap(three, np.array([0, 2, 3]))
    """
    lists = toggles_of(rles, "rles")
    if not lists.n:
        return None
    heights = lists.heights[np.minimum(offsets[:-1], lists.n - 1)]
    pairs = _overlaps(lists, offsets, heights, np.arange(lists.n), 1)
    return (int(pairs[0, 0]), int(pairs[1, 0])) if pairs.size else None


def _overlaps(
    lists: ToggleLists, offsets: Int64, heights: Int64, labels: Int64, capacity: int
) -> Int64:
    """Find the pairs of a group that overlap and differ in their labels, (3, n_pairs).

    ``capacity`` is a guess at how many there are.
    """
    from mtfast.kernels.operations import iou as kernels

    facts = np.empty(kernels.N_FACTS * lists.n, np.int64)
    while True:
        pairs = np.empty((3, capacity), np.int64)
        n = kernels.overlaps(lists.toggles, lists.offsets, offsets, heights, labels, facts, *pairs)
        if n <= capacity:
            return pairs[:, :n]
        capacity = n


def union_areas(rles: Rles, offsets: Int64) -> Int64:
    """Measure the union of each group of masks, for instance the masks of each image.

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

    lists = toggles_of(rles, "rles")
    other = allocate(lists.toggles.size)
    areas = np.zeros(len(offsets) - 1, np.int64)
    for group, (first, stop) in enumerate(pairwise(np.asarray(offsets).tolist())):
        if first == stop:
            continue
        # Of the group alone, so that the kernel may overwrite them.
        starts = lists.offsets[first : stop + 1] - lists.offsets[first]
        toggles = lists.toggles[lists.offsets[first] :][: starts[-1]]
        if stop - first > 1 and kernels.unite_all(toggles, starts, other):
            toggles = other
        ends = toggles[: starts[1] - 1]
        areas[group] = (ends[1::2] - ends[::2]).sum()
    return areas


def _crowd(iscrowd: ArrayLike | None, n: int) -> NDArray[np.uint8]:
    if iscrowd is None:
        return np.zeros(n, np.uint8)
    nonzero: NDArray[np.uint8] = np.not_equal(integer_per_mask("iscrowd", iscrowd, n), 0).view(
        np.uint8
    )
    return nonzero


def _boxes(boxes: ArrayLike, name: str) -> NDArray[np.float64]:
    array = np.ascontiguousarray(as_array(name, boxes), np.float64)
    if array.size == 0:
        return array.reshape(0, 4)
    if array.ndim != 2 or array.shape[1] != 4:
        raise MtfastError(
            f"{name} has shape {array.shape}; expected (n, 4); give boxes as [x, y, width, height]"
        )
    return array
