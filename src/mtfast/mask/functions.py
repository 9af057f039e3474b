"""The functions of :mod:`mtfast.mask`: arguments are checked, a kernel runs, dicts come out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from mtfast import rles as operations
from mtfast.errors import MtfastError, shown
from mtfast.mask.arguments import (
    are_masks,
    as_boxes,
    as_given,
    as_labels,
    checked,
    common_size,
    corners,
    expect_one,
    expect_rings,
    from_rings,
    is_number,
    label_dtype,
    new_frame,
    places_room,
    refuse,
)
from mtfast.mask.dicts import RLE, Mask, Masks, dicts_of, rle_of, rles_of
from mtfast.mask.monkey_patch import Adopted, adopt, restore
from mtfast.painting.frame import LARGEST, check_out
from mtfast.painting.order import Overlap, find_overlap, paint_rank
from mtfast.rles.batch import as_array, one_of
from mtfast.rles.label_map import scan_labels
from mtfast.rles.pixels import decode_mask, encode_mask
from mtfast.table import RunTable, gather_texts

__all__ = [
    "area",
    "boundary",
    "components",
    "crop",
    "decode",
    "encode",
    "erode",
    "flip",
    "frPyObjects",
    "from_label_map",
    "install",
    "iou",
    "merge",
    "pad",
    "rot90",
    "toBbox",
    "to_label_map",
    "to_uncompressed",
    "uninstall",
    "validate",
]


# A new frame with fewer characters of text than this stays clear for the most part.
PIXELS_A_CHARACTER = 4096


def encode(bimask: NDArray[Any]) -> RLE | list[RLE]:
    """Encode a binary mask, or many; any value but 0 is foreground.

    Parameters
    ----------
    bimask : (height, width) or (height, width, n) integer or bool
        Any memory order.

    Returns
    -------
    dict, or list of n dicts for a three-dimensional array

    Raises
    ------
    MtfastError
        If it is no such array.

    Examples
    --------
    >>> encode(np.array([[0, 1], [0, 7]]))
    {'size': [2, 2], 'counts': b'22'}

    Notes
    -----
    ``pycocotools.mask.encode`` takes uint8 in Fortran order only, and values of 0 and 1 only.
    """
    pixels = as_array("bimask", bimask)
    if pixels.ndim == 2:
        text, size = encode_mask(pixels)
        return {"size": list(size), "counts": text}
    if pixels.ndim != 3:
        raise MtfastError(
            f"a mask of shape {pixels.shape}; expected (height, width) or (height, width, n); "
            f"pass one mask, or a stack of them along the last axis"
        )
    encoded = (encode_mask(pixels[:, :, k]) for k in range(pixels.shape[2]))
    return [{"size": list(size), "counts": text} for text, size in encoded]


def decode(
    rleObjs: Mask | Masks,  # noqa: N803 - pycocotools' name
    order: Literal["F", "C"] = "F",
    out: NDArray[Any] | None = None,
    value: int = 1,
) -> NDArray[Any]:
    """Decode a mask, or many of one size.

    Parameters
    ----------
    rleObjs : dict, or list of n dicts, or RunTable
    order : {"F", "C"}
        Memory order of the result. A list makes (height, width, n) in "F" and (n, height, width)
        in "C" order, so that every mask is in one piece.
    out : array of the result's shape and memory order, uint8, uint16 or uint32, optional
        Overwritten whole.
    value : int
        Of foreground pixels.

    Returns
    -------
    (height, width), (height, width, n) or (n, height, width) uint8

    Raises
    ------
    RLEError
        If a mask is malformed.
    MtfastError
        If sizes differ or ``out`` does not fit.

    Examples
    --------
    >>> decode({"size": [2, 2], "counts": b"22"})
    array([[0, 1],
           [0, 1]], dtype=uint8)
    """
    one_of("order", order, ("F", "C"))
    if isinstance(rleObjs, Mapping):
        text, height, width = rle_of(rleObjs)
        n, ends = 1, [0, text.size]
        shape: tuple[int, ...] = (height, width)
    else:
        rles = rles_of(rleObjs)
        height, width = common_size(rles)
        text, n, ends = rles.text, rles.n, rles.offsets.tolist()
        shape = (n, height, width) if order == "C" else (height, width, n)
    is_clear = out is None and text.size * PIXELS_A_CHARACTER < math.prod(shape)
    if out is None:
        # New memory comes zeroed from the system, page by page as it is touched.
        out = new_frame(shape, np.uint8, order, rleObjs, is_clear)
    else:
        check_out(out, shape, LARGEST, order)
        if n > 1:
            checked(rles)
    largest = LARGEST[out.dtype]
    if not isinstance(value, int | np.integer) or not 0 <= value <= largest:
        raise MtfastError(
            f"value {shown(value)} for {out.dtype}; expected 0 to {largest}; pass a wider out"
        )
    frames = [out] if out.ndim == 2 else out if order == "C" else np.moveaxis(out, -1, 0)
    for k in range(n):
        if not decode_mask(text, ends[k], ends[k + 1], frames[k], value, order, is_clear):
            refuse(rles_of(rleObjs), k)
    return out


def area(rleObjs: Mask | Masks) -> Any:  # noqa: N803
    """Count foreground pixels, exactly.

    Parameters
    ----------
    rleObjs : dict, or list of n dicts, or RunTable

    Returns
    -------
    int64, or (n,) int64 for a list

    Raises
    ------
    RLEError
        If a mask is malformed.

    Examples
    --------
    >>> area([{"size": [2, 2], "counts": b"22"}])
    array([2])
    """
    from mtfast.kernels.rle import measure

    single = isinstance(rleObjs, Mapping)
    rles = rles_of(rleObjs)
    out = np.empty(rles.n, np.int64)
    bad = measure.areas(
        rles.text,
        rles.offsets,
        np.arange(rles.n + 1),
        rles.heights * rles.widths,
        places_room(rles),
        out,
    )
    if bad >= 0:
        refuse(rles, bad)
    return out[0] if single else out


def toBbox(rleObjs: Mask | Masks) -> NDArray[np.float64]:  # noqa: N802, N803
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
    from mtfast.kernels.rle import measure

    single = isinstance(rleObjs, Mapping)
    rles = rles_of(rleObjs)
    out = np.empty((rles.n, 4), np.float64)
    bad = measure.bboxes(
        rles.text,
        rles.offsets,
        np.arange(rles.n + 1),
        rles.heights,
        rles.widths,
        places_room(rles),
        out.reshape(-1),
    )
    if bad >= 0:
        refuse(rles, bad)
    return out[0] if single else out


def iou(dt: Any, gt: Any, pyiscrowd: ArrayLike) -> Any:
    """Intersection over union of every detection with every mask, or box, of the ground truth.

    Parameters
    ----------
    dt, gt : lists of m and n dicts, or RunTables; or boxes, (m, 4) and (n, 4)
        Both of one kind. Boxes are [x, y, width, height].
    pyiscrowd : (n,) int or bool
        Where it is not zero, the area of the detection takes the place of the union.

    Returns
    -------
    (m, n) float64, or [] if either side is empty

    Raises
    ------
    RLEError
        If a mask is malformed.
    MtfastError
        If sizes, kinds or lengths do not match.

    Examples
    --------
    >>> a, b = {"size": [1, 6], "counts": b"132"}, {"size": [1, 6], "counts": b"231"}
    >>> iou([a], [b], [0])
    array([[0.5]])
    """
    boxes = [as_boxes(dt, "dt"), as_boxes(gt, "gt")]
    if len(dt) == 0 or len(gt) == 0:
        return []
    if boxes[0] is not None and boxes[1] is not None:
        return operations.bbox_iou(boxes[0], boxes[1], pyiscrowd)
    if boxes[0] is not None or boxes[1] is not None:
        raise MtfastError(
            "masks on one side and boxes on the other; expected one kind on both; "
            "convert masks with toBbox, or boxes with frPyObjects"
        )
    return operations.iou(rles_of(dt), rles_of(gt), pyiscrowd)


def merge(rleObjs: Masks, intersect: bool | int = 0) -> RLE:  # noqa: N803
    """Merge masks of one size into one: their union, or their intersection.

    Parameters
    ----------
    rleObjs : list of dicts, or RunTable
    intersect : bool
        Any value but 0 means the intersection.

    Returns
    -------
    dict
        Of no masks, the mask without pixels, as in pycocotools.

    Raises
    ------
    RLEError
        If a mask is malformed.
    MtfastError
        If sizes differ.

    Examples
    --------
    >>> a, b = {"size": [1, 6], "counts": b"132"}, {"size": [1, 6], "counts": b"231"}
    >>> merge([a, b]), merge([a, b], intersect=True)
    ({'size': [1, 6], 'counts': b'141'}, {'size': [1, 6], 'counts': b'222'})
    """
    return dicts_of(operations.merge(rles_of(rleObjs), intersect))[0]


def frPyObjects(pyobj: Any, h: int, w: int) -> Any:  # noqa: N802
    """Make masks of polygons, boxes or uncompressed RLE.

    Parameters
    ----------
    pyobj : one of
        list of polygons, each [x, y, x, y, …] of more than 4 numbers; an array (n, 4) or list of
        boxes [x, y, width, height]; a list of dicts with counts; or a single one of these.
    h, w : int
        Size of the frame; dicts have their own.

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
    if isinstance(pyobj, Mapping):
        return dicts_of(checked(rles_of(pyobj)))[0]
    if isinstance(pyobj, np.ndarray):
        if pyobj.ndim != 2 or pyobj.shape[1] != 4 or pyobj.dtype.kind not in "uif":
            raise MtfastError(
                f"an array of shape {pyobj.shape}, {pyobj.dtype}; expected (n, 4) boxes; "
                f"give polygons as a list of lists"
            )
        return from_rings([corners(box) for box in pyobj], h, w)
    if not isinstance(pyobj, Sequence) or isinstance(pyobj, str | bytes):
        raise MtfastError(
            f"a {type(pyobj).__name__}; expected polygons, boxes or dicts with counts; "
            f"give them as a list"
        )
    if not pyobj:
        return []
    if are_masks(pyobj):
        return dicts_of(checked(rles_of(pyobj)))
    if all(is_number(item) for item in pyobj):
        ring = corners(pyobj) if len(pyobj) == 4 else list(pyobj)
        return from_rings([ring], h, w)[0]
    if set(map(type, pyobj)) != {list} or len(pyobj[0]) == 4:
        expect_rings(pyobj)
    try:
        boxes = len(pyobj[0]) == 4
        return from_rings([corners(ring) for ring in pyobj] if boxes else pyobj, h, w)
    except TypeError:
        expect_rings(pyobj)
        raise


def to_label_map(
    rles: Masks,
    labels: ArrayLike | None = None,
    out: NDArray[Any] | None = None,
    overlap: Overlap = "last",
    dtype: DTypeLike | None = None,
) -> NDArray[Any]:
    """Paint masks of one size into one map of labels; background is 0.

    Parameters
    ----------
    rles : list of n dicts, or RunTable
    labels : (n,) int, optional
        By default 1 .. n.
    out : (height, width) uint8, uint16 or uint32, C order, optional
        Overwritten whole.
    overlap : {"last", "first", "largest", "smallest", "error"}
        Which mask shows where several overlap; of equal ones the last. "error" refuses masks that
        do.
    dtype : optional
        Of the map, by default the narrowest of the three that holds the labels.

    Returns
    -------
    (height, width) uint8, uint16 or uint32

    Raises
    ------
    RLEError
        If a mask is malformed.
    MtfastError
        If sizes differ, a label does not fit, or ``out`` does not; and if masks overlap that must
        not.

    Examples
    --------
    >>> a, b = {"size": [1, 6], "counts": b"132"}, {"size": [1, 6], "counts": b"231"}
    >>> to_label_map([a, b], labels=[5, 300])
    array([[  0,   5, 300, 300, 300,   0]], dtype=uint16)
    """
    from mtfast.kernels.frames import paint

    masks = rles_of(rles)
    height, width = common_size(masks)
    values = np.arange(1, masks.n + 1) if labels is None else as_labels(labels, masks.n)
    if out is not None:
        check_out(out, (height, width), LARGEST)
    wanted = label_dtype(values.tolist(), dtype if out is None else out.dtype)
    if out is None:
        out = new_frame((height, width), wanted, "C", rles)

    def overlapping() -> str | None:
        one_image = np.array([0, masks.n])
        pair = find_overlap(masks.text, masks.offsets, one_image, masks.heights, masks.widths)
        return None if pair is None else f"masks {pair[0]} and {pair[1]} of the list"

    rank = paint_rank(overlap, masks.n, lambda: area(rles), overlapping)
    if overlap != "last":
        order = np.argsort(rank, kind="stable")
        text, offsets = gather_texts(masks.text, masks.offsets, order)
        masks, values = masks._replace(text=text, offsets=offsets), values[order]
    bad = paint.paint_images(
        masks.text,
        masks.offsets,
        np.array([0, masks.n]),
        np.ascontiguousarray(values),
        height,
        LARGEST[wanted],
        np.empty(masks.text.size, np.int64),
        np.empty(masks.n, np.int64),
        out.reshape(-1),
    )
    if bad >= 0:
        refuse(masks, bad)
    return out


def from_label_map(
    label_map: NDArray[Any], background: int = 0
) -> tuple[NDArray[np.int64], list[RLE]]:
    """Encode every label of a map, in one pass over its pixels.

    Parameters
    ----------
    label_map : (height, width) integer or bool
        Any memory order.
    background : int
        The label that is no mask.

    Returns
    -------
    labels : (n,) int64
        In ascending order.
    rles : list of n dicts

    Raises
    ------
    MtfastError
        If it is no such array.

    Examples
    --------
    >>> from_label_map(np.array([[0, 7], [5, 7]]))
    (array([5, 7]), [{'size': [2, 2], 'counts': b'112'}, {'size': [2, 2], 'counts': b'22'}])
    """
    pixels = as_array("label_map", label_map)
    found = scan_labels(pixels, background)
    size = list(pixels.shape)
    text, ends = found.rle.tobytes(), found.rle_offsets.tolist()
    return found.labels, [
        {"size": [*size], "counts": text[start:stop]} for start, stop in pairwise(ends)
    ]


def to_uncompressed(rleObjs: Mask | Masks) -> Any:  # noqa: N803
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

    rles = checked(rles_of(rleObjs))
    places = places_room(rles)
    ends = rles.offsets.tolist()
    found = []
    for k, (height, width) in enumerate(rles.sizes()):
        n = coco_string.decode_places(rles.text, ends[k], ends[k + 1], height * width, places)
        counts = np.diff(places[:n], prepend=0)
        found.append({"size": [height, width], "counts": counts.tolist()})
    return found[0] if isinstance(rleObjs, Mapping) else found


def components(rle: Mask, connectivity: Literal[4, 8] = 4) -> list[RLE]:
    """Take a mask apart into its connected components, by their first pixel down the columns.

    Parameters
    ----------
    rle : dict
    connectivity : 4 or 8
        Whether pixels that share no more than a corner are connected (8) or not (4).

    Examples
    --------
    >>> components({"size": [1, 6], "counts": b"0122"})
    [{'size': [1, 6], 'counts': b'015'}, {'size': [1, 6], 'counts': b'33'}]
    """
    return dicts_of(operations.components(rles_of(expect_one(rle)), connectivity).rles)


def erode(
    rleObjs: Mask | Masks,  # noqa: N803
    n: int = 1,
    connectivity: Literal[4, 8] = 8,
    border: Literal[0, 1] = 0,
) -> Any:
    """Take n layers of pixels off masks; see :func:`mtfast.rles.erode`.

    ``border`` says what the pixels outside the frame are: 0 takes masks off its edges as well.
    """
    return as_given(rleObjs, operations.erode(rles_of(rleObjs), n, connectivity, border))


def boundary(
    rleObjs: Mask | Masks,  # noqa: N803
    width: int = 1,
    *,
    ratio: float | None = None,
    connectivity: Literal[4, 8] = 8,
) -> Any:
    """Keep what erosion takes away; see :func:`mtfast.rles.boundary`.

    ``ratio`` gives the width as a part of the frame's diagonal; boundary IoU takes 0.02.
    """
    kept = operations.boundary(rles_of(rleObjs), width, ratio=ratio, connectivity=connectivity)
    return as_given(rleObjs, kept)


def crop(rleObjs: Mask | Masks, y: int, x: int, h: int, w: int) -> Any:  # noqa: N803
    """Cut one window out of masks; see :func:`mtfast.rles.crop`.

    ``y, x`` is its first row and column; it must lie in the frame.
    """
    return as_given(rleObjs, operations.crop(rles_of(rleObjs), y, x, h, w)[0])


def pad(
    rleObjs: Mask | Masks,  # noqa: N803
    top: int,
    bottom: int,
    left: int,
    right: int,
    value: Literal[0, 1] = 0,
) -> Any:
    """Add rows and columns of background (0) or foreground (1) around masks."""
    return as_given(rleObjs, operations.pad(rles_of(rleObjs), top, bottom, left, right, value))


def flip(rleObjs: Mask | Masks, axis: Literal["horizontal", "vertical"]) -> Any:  # noqa: N803
    """Mirror masks: left and right ("horizontal") or top and bottom ("vertical")."""
    return as_given(rleObjs, operations.flip(rles_of(rleObjs), axis))


def rot90(rleObjs: Mask | Masks, k: int = 1) -> Any:  # noqa: N803
    """Turn masks by k quarter turns, against the clock as ``numpy.rot90`` does."""
    return as_given(rleObjs, operations.rot90(rles_of(rleObjs), k))


def validate(rleObjs: Any) -> list[tuple[int, str]]:  # noqa: N803
    """Report everything that is wrong with a list of masks, instead of the first thing.

    Parameters
    ----------
    rleObjs : anything, a list of dicts if all is well

    Returns
    -------
    list of (number in the list, what is wrong)
        Empty if all are sound.

    Examples
    --------
    >>> sound, short = {"size": [2, 2], "counts": b"22"}, {"size": [2, 2], "counts": b"2"}
    >>> [(number, problem[:37]) for number, problem in validate([sound, short])]
    [(1, 'RLE 1: runs that end before the frame')]
    """
    if isinstance(rleObjs, RunTable):
        rleObjs = [  # noqa: N806
            {"size": [int(height), int(width)], "counts": rleObjs.text(k)}
            for k, (height, width) in enumerate(rles_of(rleObjs).sizes())
        ]
    problems = []
    for k, rle in enumerate([rleObjs] if isinstance(rleObjs, Mapping) else rleObjs):
        try:
            checked(rles_of([rle], first=k), first=k)
        except MtfastError as error:
            problems.append((k, str(error)))
    return problems


def install() -> Adopted:
    """Put these functions into the module ``pycocotools.mask``.

    Everything that calls them through that module runs on mtfast from then on: COCO, COCOeval,
    detectron2 and others, also if they have imported it before. Names that were imported out of it
    (``from pycocotools.mask import decode``) stay what they were.

    Returns
    -------
    context manager
        To uninstall at the end of a ``with`` block; may be left unused.

    Raises
    ------
    MtfastError
        If pycocotools is not installed.

    Examples
    --------
    >>> with mtfast.mask.install():                      # doctest: +SKIP
    ...     COCOeval(gt, dt, "segm").evaluate()
    """
    ours = (encode, decode, area, toBbox, iou, merge, frPyObjects)
    return adopt("pycocotools.mask", {function.__name__: function for function in ours})


def uninstall() -> None:
    """Put the functions of pycocotools back into its module."""
    restore("pycocotools.mask")
