"""One mask <-> one COCO RLE text."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mtfast.errors import MtfastError, RLEError
from mtfast.labelmap import scan_labels
from mtfast.runs import explain

__all__ = ["decode_mask", "encode_mask"]


def encode_mask(mask: NDArray[Any]) -> tuple[bytes, tuple[int, int]]:
    """Encode a mask of any memory order; any value but 0 is foreground.

    Parameters
    ----------
    mask : (height, width) integer or bool

    Returns
    -------
    text : bytes
        COCO's compressed text.
    size : (height, width)

    Raises
    ------
    MtfastError
        If it is no such array.
    """
    if mask.ndim != 2 or mask.dtype.kind not in "bui":
        raise MtfastError(
            f"a mask of shape {mask.shape}, {mask.dtype}; expected (height, width) of integers "
            f"or bool; compare it with a threshold first"
        )
    height, width = mask.shape
    found = scan_labels(mask != 0)
    if found.labels.size:
        return found.rle.tobytes(), (height, width)
    return _background(height * width), (height, width)


def decode_mask(
    text: bytes,
    height: int,
    width: int,
    out: NDArray[Any] | None = None,
    value: int = 1,
    order: Literal["C", "F"] = "F",
) -> NDArray[Any]:
    """Decode a text into a frame, which is overwritten whole.

    Parameters
    ----------
    text : bytes
    height, width : int
    out : (height, width) uint8, uint16 or uint32 in the given memory order, optional
    value : int
        Of foreground pixels.
    order : {"C", "F"}

    Returns
    -------
    (height, width), uint8 unless ``out`` is given

    Raises
    ------
    RLEError
        If the runs do not tile the frame; nothing has been painted then.
    """
    from mtfast.kernels import coco_string, paint

    counts = np.empty(len(text), np.int64)
    data = np.frombuffer(text, np.uint8)
    n = coco_string.decode_counts(data, 0, data.size, height * width, counts)
    if n < 0:
        raise RLEError(explain(text, height, width))
    if out is None:
        out = np.empty((height, width), np.uint8, order=order)
    # In column order a mask is one column as high as the frame has pixels.
    flat, rows = (out.reshape(-1), height) if order == "C" else (out.T.reshape(-1), out.size)
    flat[:] = 0
    paint.paint_counts(counts, n, rows, value, flat)
    return out


def _background(n_pixels: int) -> bytes:
    from mtfast.kernels import coco_string

    text = np.empty(coco_string.MAX_CHARACTERS, np.uint8)
    n = coco_string.encode_counts(np.array([n_pixels]), 0, 1, text, 0)
    return text[:n].tobytes()
