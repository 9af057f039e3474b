"""Masks <-> pixels: pycocotools' ``encode`` and ``decode``, in any memory order."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, NoReturn

import numpy as np
from numpy.typing import NDArray

from mtfast.errors import MtfastError, one_of, shown
from mtfast.mask import few
from mtfast.mask.arguments import common_size, is_on_device, new_frame
from mtfast.mask.dicts import RLE, Mask, Masks, rle_of, rles_of
from mtfast.mask.validation import check_texts, refuse
from mtfast.painting.frame import LARGEST, check_out
from mtfast.rles.arguments import as_array
from mtfast.rles.pixels import decode_mask, encode_mask

__all__ = ["decode", "encode"]

_UINT8 = np.dtype(np.uint8)

# Pixels of a frame that few.decoded fills, and of one that is clear already.
_SMALL = 2**19
_SMALL_CLEAR = 2**23

# A new frame with fewer characters of text per pixel than this stays mostly untouched.
_PIXELS_PER_CHARACTER = 4096


def encode(bimask: NDArray[Any]) -> RLE | list[RLE]:
    """Encode a binary mask, or many; any value but 0 is foreground.

    Parameters
    ----------
    bimask : (height, width) or (height, width, n) integer or bool
        Any memory order. A tensor of a device, or an array that CUDA code can read, is encoded
        where it is: see :func:`mtfast.gpu.encode`, which also takes the masks along the first axis.

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
    short = few.encoded(bimask)
    if short:
        return {"size": [*bimask.shape], "counts": short}
    if is_on_device(bimask):
        return _encode_on_device(bimask)
    pixels = as_array("bimask", bimask)
    if pixels.ndim == 2:
        text, size = encode_mask(pixels)
        return {"size": list(size), "counts": text}
    if pixels.ndim != 3:
        _refuse_shape(pixels.shape)
    encoded = (encode_mask(pixels[:, :, k]) for k in range(pixels.shape[2]))
    return [{"size": list(size), "counts": text} for text, size in encoded]


def _encode_on_device(bimask: Any) -> RLE | list[RLE]:
    import torch

    from mtfast.gpu import encode as encode_tensor

    tensor = bimask if isinstance(bimask, torch.Tensor) else torch.as_tensor(bimask, device="cuda")
    if tensor.ndim == 2:
        return encode_tensor(tensor[None])[0]
    if tensor.ndim != 3:
        _refuse_shape(tuple(tensor.shape))
    return encode_tensor(tensor.permute(2, 0, 1))


def _refuse_shape(shape: tuple[int, ...]) -> NoReturn:
    raise MtfastError(
        f"a mask of shape {shape}; expected (height, width) or (height, width, n); "
        f"pass one mask, or a stack of them along the last axis"
    )


def decode(
    rleObjs: Mask | Masks,
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
        in "C" order, so that every mask is contiguous.
    out : array of the result's shape and memory order, uint8, uint16 or uint32, optional
        Overwritten whole.
    value : int
        Of foreground pixels, at most what the dtype holds.

    Returns
    -------
    (height, width), (height, width, n) or (n, height, width) uint8, or ``out``

    Raises
    ------
    RLEError
        If a mask is malformed.
    MtfastError
        If sizes differ, or ``out`` or the value does not fit.

    Examples
    --------
    >>> decode({"size": [2, 2], "counts": b"22"})
    array([[0, 1],
           [0, 1]], dtype=uint8)
    """
    one_of("order", order, ("F", "C"))
    if type(rleObjs) is dict and order == "F" and out is None and type(value) is int and value == 1:
        short = _few_pixels(rleObjs)
        if short is not None:
            return short
    if isinstance(rleObjs, Mapping):
        text, height, width = rle_of(rleObjs)
        n, ends = 1, [0, text.size]
        shape: tuple[int, ...] = (height, width)
    else:
        rles = rles_of(rleObjs)
        height, width = common_size(rles)
        text, n, ends = rles.text, rles.n, rles.offsets.tolist()
        shape = (n, height, width) if order == "C" else (height, width, n)
    is_clear = out is None and text.size * _PIXELS_PER_CHARACTER < math.prod(shape)
    if out is None:
        # The system zeroes new memory page by page, when it is first touched.
        out = new_frame(shape, np.uint8, order, rleObjs, is_clear)
    else:
        check_out(out, shape, LARGEST, order)
        if n > 1:
            check_texts(rles)
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


def _few_pixels(mask: dict[str, Any]) -> NDArray[np.uint8] | None:
    """Decode a mask in F order, or return None if it is not as simple as most are, or larger."""
    size = mask.get("size")
    if type(size) is not list or len(size) != 2:
        return None
    height, width = size
    if not type(height) is type(width) is int or height < 1 or width < 1:
        return None
    n_pixels = height * width
    if n_pixels <= _SMALL:
        frame = np.empty((height, width), _UINT8, "F")
        return frame if few.decoded(mask, False, frame) else None
    text = mask.get("counts")
    if n_pixels > _SMALL_CLEAR or not isinstance(text, bytes | str):
        return None
    if len(text) * _PIXELS_PER_CHARACTER >= n_pixels:
        return None
    frame = np.zeros((height, width), _UINT8, "F")
    return frame if few.decoded(mask, True, frame) else None
