"""Areas, boxes and overlap of masks: measured from their runs, without a pixel being made."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import Literal, Never, cast, get_args, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtfast import rles as operations
from mtfast.errors import MtfastError, one_of
from mtfast.mask import few
from mtfast.mask.arguments import as_boxes
from mtfast.mask.dicts import Boxes, Mask, Masks, rles_of
from mtfast.mask.validation import refuse, scratch_for
from mtfast.rles import Rles
from mtfast.rles.arguments import integer_per_mask
from mtfast.table import RunTable

__all__ = [
    "OtherSize",
    "area",
    "exact_areas",
    "iou",
    "overlaps_of_boxes",
    "pairs_of_one_size",
    "toBbox",
    "warning_of_sizes",
]

OtherSize = Literal["warn", "error"]

# To name the type instead takes 0.03 us more.
_UINT32 = np.dtype(np.uint32)

Area = np.uint32 | np.uint64

# The largest area that an unsigned integer of 32 bits holds.
_MOST_PIXELS = 2**32 - 1


@overload
def area(rleObjs: Mask) -> Area: ...


@overload
def area(rleObjs: Masks) -> NDArray[Area]: ...


def area(rleObjs: Mask | Masks) -> Area | NDArray[Area]:
    """Count the foreground pixels of masks, exactly.

    Parameters
    ----------
    rleObjs : dict, or list of n dicts, or RunTable

    Returns
    -------
    uint32, or (n,) uint32 for a list
        As in pycocotools; uint64 if one of the frames has 2**32 pixels or more.

    Raises
    ------
    RLEError
        If a mask is malformed.

    Examples
    --------
    >>> area([{"size": [2, 2], "counts": b"22"}])
    array([2], dtype=uint32)
    """
    kind = type(rleObjs)
    if kind is dict:
        found: Area | Literal[False] = few.area(rleObjs)
        if found is not False:
            return found
    elif kind is list:
        short = np.empty(len(rleObjs), _UINT32)
        if few.areas(rleObjs, short):
            return short
    rles = rles_of(rleObjs)
    is_wide = (rles.heights * rles.widths).max(initial=0) > _MOST_PIXELS
    out: NDArray[Area] = exact_areas(rles).astype(np.uint64 if is_wide else np.uint32)
    return cast("Area", out[0]) if isinstance(rleObjs, Mapping) else out


def exact_areas(rles: Rles) -> NDArray[np.int64]:
    """Count the foreground pixels of a batch of masks.

    Parameters
    ----------
    rles : Rles

    Returns
    -------
    (n,) int64

    Raises
    ------
    RLEError
        If a mask is malformed.
    """
    from mtfast.kernels.rle import measure

    out = np.empty(rles.n, np.int64)
    bad = measure.areas(
        rles.text,
        rles.offsets,
        np.arange(rles.n + 1),
        rles.heights * rles.widths,
        scratch_for(rles),
        out,
    )
    if bad >= 0:
        refuse(rles, bad)
    return out


def toBbox(rleObjs: Mask | Masks) -> NDArray[np.float64]:
    """Measure the smallest box around each mask; zeros for an empty one.

    Parameters
    ----------
    rleObjs : dict, or list of n dicts, or RunTable

    Returns
    -------
    (4,) or (n, 4) float64
        x, y, width and height in pixels. A run that goes on in the next column makes the box as
        high as the frame, as in pycocotools.

    Raises
    ------
    RLEError
        If a mask is malformed.

    Examples
    --------
    >>> toBbox({"size": [2, 2], "counts": b"22"})
    array([1., 0., 1., 2.])
    """
    kind = type(rleObjs)
    if kind is dict:
        box = np.empty(4)
        if few.boxes(rleObjs, box):
            return box
    elif kind is list:
        boxes = np.empty((len(rleObjs), 4))
        if few.boxes(rleObjs, boxes):
            return boxes
    out = _exact_boxes(rles_of(rleObjs))
    return out[0] if isinstance(rleObjs, Mapping) else out


def _exact_boxes(rles: Rles) -> NDArray[np.float64]:
    from mtfast.kernels.rle import measure

    out = np.empty((rles.n, 4), np.float64)
    bad = measure.bboxes(
        rles.text,
        rles.offsets,
        np.arange(rles.n + 1),
        rles.heights,
        rles.widths,
        scratch_for(rles),
        out.reshape(-1),
    )
    if bad >= 0:
        refuse(rles, bad)
    return out


def iou(
    dt: Masks | Boxes, gt: Masks | Boxes, pyiscrowd: ArrayLike, other_size: OtherSize = "warn"
) -> NDArray[np.float64] | list[Never]:
    """Intersection over union of every detection with every mask, or box, of the ground truth.

    Parameters
    ----------
    dt, gt : lists of m and n dicts, or RunTables; or boxes, (m, 4) and (n, 4)
        Both of one kind. Boxes are [x, y, width, height].
    pyiscrowd : (n,) int or bool
        Where it is not zero, the area of the detection takes the place of the union.
    other_size : {"warn", "error"}
        What becomes of two masks whose frames differ in size. "warn" names the first such pair in a
        warning; as in pycocotools, the result is -1 where their boxes overlap, and 0 elsewhere.

    Returns
    -------
    (m, n) float64, or [] if either side is empty

    Raises
    ------
    RLEError
        If a mask is malformed.
    MtfastError
        If kinds or lengths do not match, or sizes with "error".

    Warns
    -----
    UserWarning
        If sizes do not match.

    Examples
    --------
    >>> a, b = {"size": [1, 6], "counts": b"132"}, {"size": [1, 6], "counts": b"231"}
    >>> iou([a], [b], [0])                       # .###.. and ..###.
    array([[0.5]])
    """
    if other_size != "warn":
        one_of("other_size", other_size, get_args(OtherSize))
    short = _few_ious(dt, gt, pyiscrowd)
    if short is not None:
        return short
    boxes = [as_boxes(dt, "dt"), as_boxes(gt, "gt")]
    if _is_empty(dt) or _is_empty(gt):
        return []
    if boxes[0] is not None and boxes[1] is not None:
        return operations.bbox_iou(boxes[0], boxes[1], pyiscrowd)
    if boxes[0] is not None or boxes[1] is not None:
        raise MtfastError(
            "masks on one side and boxes on the other; expected one kind on both; "
            "convert masks with toBbox, or boxes with frPyObjects"
        )
    first, second = rles_of(cast("Masks", dt)), rles_of(cast("Masks", gt))
    if other_size == "warn" and (message := warning_of_sizes(first, second)):
        out = _iou_by_sizes(first, second, pyiscrowd)
        # Of the line that has called.
        warnings.warn(message, stacklevel=2)
        return out
    return operations.iou(first, second, pyiscrowd)


def _few_ious(
    dt: Masks | Boxes, gt: Masks | Boxes, iscrowd: ArrayLike
) -> NDArray[np.float64] | None:
    """Compare masks or boxes, or return None if they are not as simple as most are."""
    for side in (dt, gt):
        if type(side) is not list and (type(side) is not np.ndarray or side.ndim != 2):
            return None
    crowd = iscrowd.tolist() if isinstance(iscrowd, np.ndarray) else iscrowd
    out = np.empty((len(dt), len(gt)))
    are_dicts = type(dt) is list and dt and type(dt[0]) is dict
    compare = few.overlaps if are_dicts else few.box_overlaps
    return out if compare(dt, gt, crowd, out) else None


def warning_of_sizes(dt: Rles, gt: Rles) -> str | None:
    """Describe the first detection and mask whose frames differ in size, and count all such.

    Parameters
    ----------
    dt, gt : Rles
        With at least one mask each.

    Returns
    -------
    str
        A warning; None if all frames have one size.
    """
    height, width = dt.heights[0], dt.widths[0]
    if all((side.heights == height).all() and (side.widths == width).all() for side in (dt, gt)):
        return None
    differ = (dt.heights[:, None] != gt.heights) | (dt.widths[:, None] != gt.widths)
    n = np.count_nonzero(differ)
    d, g = divmod(int(differ.argmax()), gt.n)
    more = f", and {n - 1} more pairs differ" if n > 1 else ""
    return (
        f"dt[{d}] has {dt.heights[d]} x {dt.widths[d]} pixels and gt[{g}] {gt.heights[g]} x "
        f"{gt.widths[g]}{more}: iou is -1 where the boxes of such masks overlap; expected masks of "
        f"one image; correct their sizes"
    )


def _iou_by_sizes(dt: Rles, gt: Rles, iscrowd: ArrayLike) -> NDArray[np.float64]:
    """Compare the masks of each size with each other, and the boxes of the others."""
    out = overlaps_of_boxes(dt, gt)
    crowd = integer_per_mask("iscrowd", iscrowd, gt.n)
    for d, g in pairs_of_one_size(dt, gt):
        out[np.ix_(d, g)] = operations.iou(dt.taken(d), gt.taken(g), crowd[g])
    return out


def overlaps_of_boxes(dt: Rles, gt: Rles) -> NDArray[np.float64]:
    """Compare the boxes of masks.

    Parameters
    ----------
    dt, gt : Rles
        Of m and n masks.

    Returns
    -------
    (m, n) float64
        -1 where the boxes overlap, and 0 elsewhere.

    Raises
    ------
    RLEError
        If a mask is malformed.
    """
    return np.where(operations.bbox_iou(_exact_boxes(dt), _exact_boxes(gt)) > 0, -1.0, 0.0)


def pairs_of_one_size(dt: Rles, gt: Rles) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Find the masks of each size that both sides have.

    Parameters
    ----------
    dt, gt : Rles

    Yields
    ------
    (k,) and (l,) int64
        Indices of the detections of a size, and of the masks of it.
    """
    for height, width in {*dt.sizes()} & {*gt.sizes()}:
        d, g = (
            np.flatnonzero((side.heights == height) & (side.widths == width)) for side in (dt, gt)
        )
        yield d, g


def _is_empty(side: Masks | Boxes) -> bool:
    # The length of a table is its number of images.
    n = side.n_instances if isinstance(side, RunTable) else len(side)
    return n == 0
