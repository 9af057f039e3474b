"""Set operations, morphology and geometric transforms: masks in, masks out.

Where masks are transformed one by one, a dict is returned for a dict, and a list for a list or a
RunTable. The functions of the same names in :mod:`mtfast.rles` do the work.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal, overload

import numpy as np

from mtfast import rles as operations
from mtfast.mask import few
from mtfast.mask.arguments import one_mask
from mtfast.mask.dicts import RLE, Mask, Masks, dicts_of, like_given, rles_of

__all__ = ["boundary", "components", "crop", "erode", "flip", "merge", "pad", "rot90"]


def merge(rleObjs: Masks, intersect: bool | int = 0) -> RLE:
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
    >>> merge([a, b]), merge([a, b], intersect=True)        # .###.. and ..###.
    ({'size': [1, 6], 'counts': b'141'}, {'size': [1, 6], 'counts': b'222'})
    """
    if type(rleObjs) is list:
        text = few.merged(rleObjs, bool(intersect))
        if text:
            return {"size": [*rleObjs[0]["size"]], "counts": text}
    return dicts_of(operations.merge(rles_of(rleObjs), intersect))[0]


def components(rle: Mask, connectivity: Literal[4, 8] = 4) -> list[RLE]:
    """Split a mask into its connected components, ordered by first pixel in column-major order.

    Parameters
    ----------
    rle : dict
    connectivity : 4 or 8
        Whether pixels that share no more than a corner are connected (8) or not (4).

    Returns
    -------
    list of dicts
        Empty for an empty mask.

    Raises
    ------
    RLEError
        If the mask is malformed.
    MtfastError
        If it is a list, or the connectivity is neither 4 nor 8.

    Examples
    --------
    >>> components({"size": [1, 6], "counts": b"0122"})     # #..## and a last .
    [{'size': [1, 6], 'counts': b'015'}, {'size': [1, 6], 'counts': b'33'}]
    """
    return dicts_of(operations.components(rles_of(one_mask(rle)), connectivity).rles)


@overload
def erode(
    rleObjs: Mask,
    n: int = ...,
    connectivity: Literal[4, 8] = ...,
    border: Literal[0, 1] = ...,
) -> RLE: ...


@overload
def erode(
    rleObjs: Masks,
    n: int = ...,
    connectivity: Literal[4, 8] = ...,
    border: Literal[0, 1] = ...,
) -> list[RLE]: ...


def erode(
    rleObjs: Mask | Masks,
    n: int = 1,
    connectivity: Literal[4, 8] = 8,
    border: Literal[0, 1] = 0,
) -> RLE | list[RLE]:
    """Take n layers of pixels off masks.

    Parameters
    ----------
    rleObjs : dict, or list of dicts, or RunTable
    n : int
        How often each mask is eroded.
    connectivity : 4 or 8
        Whether a pixel goes if one of its four neighbours is background, or one of its eight.
    border : 0 or 1
        What the pixels outside the frame are: with 0 masks are eroded from the edges of the frame
        as well.

    Returns
    -------
    dict, or list of dicts

    Raises
    ------
    RLEError
        If a mask is malformed.
    MtfastError
        If n is negative, or connectivity or border is none of the above.

    Examples
    --------
    >>> import numpy as np
    >>> from mtfast.mask import decode, encode, erode
    >>> full = encode(np.ones((3, 4), np.uint8))
    >>> decode(erode(full))
    array([[0, 0, 0, 0],
           [0, 1, 1, 0],
           [0, 0, 0, 0]], dtype=uint8)
    """
    return like_given(rleObjs, operations.erode(rles_of(rleObjs), n, connectivity, border))


@overload
def boundary(
    rleObjs: Mask,
    width: int = ...,
    *,
    ratio: float | None = ...,
    connectivity: Literal[4, 8] = ...,
) -> RLE: ...


@overload
def boundary(
    rleObjs: Masks,
    width: int = ...,
    *,
    ratio: float | None = ...,
    connectivity: Literal[4, 8] = ...,
) -> list[RLE]: ...


def boundary(
    rleObjs: Mask | Masks,
    width: int = 1,
    *,
    ratio: float | None = None,
    connectivity: Literal[4, 8] = 8,
) -> RLE | list[RLE]:
    """Keep the pixels of masks that erosion takes away.

    Parameters
    ----------
    rleObjs : dict, or list of dicts, or RunTable
    width : int
        Pixels from the outline inwards.
    ratio : float, optional
        The width as a fraction of the frame's diagonal; boundary IoU takes 0.02.
    connectivity : 4 or 8
        As in :func:`erode`.

    Returns
    -------
    dict, or list of dicts

    Raises
    ------
    RLEError
        If a mask is malformed.
    MtfastError
        If the width or ratio is negative, or the connectivity is neither 4 nor 8.

    Examples
    --------
    >>> import numpy as np
    >>> from mtfast.mask import boundary, decode, encode
    >>> full = encode(np.ones((3, 4), np.uint8))
    >>> decode(boundary(full))
    array([[1, 1, 1, 1],
           [1, 0, 0, 1],
           [1, 1, 1, 1]], dtype=uint8)
    """
    kept = operations.boundary(rles_of(rleObjs), width, ratio=ratio, connectivity=connectivity)
    return like_given(rleObjs, kept)


@overload
def crop(rleObjs: Mask, y: int, x: int, h: int, w: int) -> RLE: ...


@overload
def crop(rleObjs: Masks, y: int, x: int, h: int, w: int) -> list[RLE]: ...


def crop(rleObjs: Mask | Masks, y: int, x: int, h: int, w: int) -> RLE | list[RLE]:
    """Cut one window out of masks.

    Parameters
    ----------
    rleObjs : dict, or list of dicts, or RunTable
    y, x, h, w : int
        First row and column, height and width of the window, which must be inside every frame.

    Returns
    -------
    dict, or list of dicts
        Masks of h x w pixels; also those with no pixel in the window.

    Raises
    ------
    RLEError
        If a mask is malformed.
    MtfastError
        If the window leaves a frame.

    Examples
    --------
    >>> import numpy as np
    >>> from mtfast.mask import crop, decode, encode
    >>> decode(crop(encode(np.eye(4, dtype=np.uint8)), 1, 0, 2, 4))
    array([[0, 1, 0, 0],
           [0, 0, 1, 0]], dtype=uint8)
    """
    kind = type(rleObjs)
    if kind is list or kind is dict:
        short = _few_windows(rleObjs, y, x, h, w)
        if short:
            return short if kind is list else short[0]
    return like_given(rleObjs, operations.crop(rles_of(rleObjs), y, x, h, w)[0])


def _few_windows(masks: Mask | Masks, y: int, x: int, h: int, w: int) -> list[RLE] | None:
    """Cut a window out of masks, or return None if one is not as simple as most are."""
    offsets = np.empty(2 if type(masks) is dict else len(masks) + 1, np.int64)
    text = few.cropped(masks, y, x, h, w, offsets)
    if not text:
        return None
    return [
        {"size": [h, w], "counts": text[start:stop]} for start, stop in pairwise(offsets.tolist())
    ]


@overload
def pad(
    rleObjs: Mask,
    top: int,
    bottom: int,
    left: int,
    right: int,
    value: Literal[0, 1] = ...,
) -> RLE: ...


@overload
def pad(
    rleObjs: Masks,
    top: int,
    bottom: int,
    left: int,
    right: int,
    value: Literal[0, 1] = ...,
) -> list[RLE]: ...


def pad(
    rleObjs: Mask | Masks,
    top: int,
    bottom: int,
    left: int,
    right: int,
    value: Literal[0, 1] = 0,
) -> RLE | list[RLE]:
    """Add rows and columns around masks.

    Parameters
    ----------
    rleObjs : dict, or list of dicts, or RunTable
    top, bottom, left, right : int
        How many rows or columns to add on each side, 0 or more.
    value : 0 or 1
        Background or foreground.

    Returns
    -------
    dict, or list of dicts

    Raises
    ------
    RLEError
        If a mask is malformed.
    MtfastError
        If a number is negative, or a frame would have more than 2**40 pixels.

    Examples
    --------
    >>> import numpy as np
    >>> from mtfast.mask import decode, encode, pad
    >>> decode(pad(encode(np.ones((1, 2), np.uint8)), 1, 0, 0, 2))
    array([[0, 0, 0, 0],
           [1, 1, 0, 0]], dtype=uint8)
    """
    return like_given(rleObjs, operations.pad(rles_of(rleObjs), top, bottom, left, right, value))


@overload
def flip(rleObjs: Mask, axis: Literal["horizontal", "vertical"]) -> RLE: ...


@overload
def flip(rleObjs: Masks, axis: Literal["horizontal", "vertical"]) -> list[RLE]: ...


def flip(rleObjs: Mask | Masks, axis: Literal["horizontal", "vertical"]) -> RLE | list[RLE]:
    """Mirror masks.

    Parameters
    ----------
    rleObjs : dict, or list of dicts, or RunTable
    axis : {"horizontal", "vertical"}
        "horizontal" swaps left and right, "vertical" swaps top and bottom.

    Returns
    -------
    dict, or list of dicts

    Raises
    ------
    RLEError
        If a mask is malformed.
    MtfastError
        If the axis is neither.

    Examples
    --------
    >>> import numpy as np
    >>> from mtfast.mask import decode, encode, flip
    >>> decode(flip(encode(np.array([[1, 1, 0], [1, 0, 0]])), "horizontal"))
    array([[0, 1, 1],
           [0, 0, 1]], dtype=uint8)
    """
    return like_given(rleObjs, operations.flip(rles_of(rleObjs), axis))


@overload
def rot90(rleObjs: Mask, k: int = ...) -> RLE: ...


@overload
def rot90(rleObjs: Masks, k: int = ...) -> list[RLE]: ...


def rot90(rleObjs: Mask | Masks, k: int = 1) -> RLE | list[RLE]:
    """Turn masks by k quarter turns counterclockwise, as ``numpy.rot90`` does.

    Parameters
    ----------
    rleObjs : dict, or list of dicts, or RunTable
    k : int
        Negative numbers turn clockwise.

    Returns
    -------
    dict, or list of dicts

    Raises
    ------
    RLEError
        If a mask is malformed.
    MtfastError
        If k is not an integer.

    Examples
    --------
    >>> import numpy as np
    >>> from mtfast.mask import decode, encode, rot90
    >>> decode(rot90(encode(np.array([[1, 1, 0], [1, 0, 0]]))))
    array([[0, 0],
           [1, 0],
           [1, 1]], dtype=uint8)
    """
    return like_given(rleObjs, operations.rot90(rles_of(rleObjs), k))
