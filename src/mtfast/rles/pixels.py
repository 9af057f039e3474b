"""Pixels of one mask <-> one COCO RLE text, about as fast as its frame can be read or filled."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mtfast.errors import MtfastError

__all__ = ["decode_mask", "encode_mask", "encode_part"]

# Enough characters for all but the busiest masks; those are written in a second call.
_TEXT_CAPACITY = 1 << 16


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

    Examples
    --------
    >>> encode_mask(np.array([[0, 1, 1], [1, 1, 0]]))          # .## / ##.
    (b'141', (2, 3))
    """
    from mtfast.kernels.frames import encode
    from mtfast.kernels.rle import toggle_words

    if mask.ndim != 2 or mask.dtype.kind not in "bui":
        raise MtfastError(
            f"a mask of shape {mask.shape}, {mask.dtype}; expected (height, width) of integers "
            f"or bool; compare it with a threshold first"
        )
    height, width = mask.shape
    if mask.itemsize > 1:
        mask = mask != 0
    by_columns = mask.flags.f_contiguous
    if by_columns:
        mask = mask.T
    pixels = np.ascontiguousarray(mask).reshape(-1).view(np.uint8)
    n_places, n_words = encode.scratch_sizes(height, width, by_columns)
    places, words = np.empty(n_places, np.int64), np.empty(n_words, np.uint64)
    text = np.empty(_TEXT_CAPACITY, np.uint8)
    if by_columns:
        n = encode.encode_columns(pixels, places, words, text)
    else:
        n = encode.encode_rows(pixels, height, width, places, words, text)
    if n < 0:
        text = np.empty(toggle_words.text_capacity(-n, pixels.size), np.uint8)
        n = encode.encode_toggles(-n, pixels.size, places, words, text)
    return text[:n].tobytes(), (height, width)


def encode_part(part: NDArray[Any], top: int, left: int, size: tuple[int, int]) -> bytes:
    """Encode a mask whose foreground lies in a part of its frame.

    Parameters
    ----------
    part : (h, w) integer or bool
        Any value but 0 is foreground.
    top, left : int
        Where its first pixel lies in the frame; what leaves the frame is cut off.
    size : (height, width)
        Of the frame.

    Returns
    -------
    bytes
        COCO's compressed text.

    Examples
    --------
    >>> encode_part(np.array([[1, 1], [1, 0]]), 1, 2, (3, 4))
    b'721O0'
    """
    from mtfast.kernels.rle.toggle_lists import SENTINEL
    from mtfast.rles.batch import rles_of_toggles

    height, width = size
    part = part[max(-top, 0) : max(height - top, 0), max(-left, 0) : max(width - left, 0)]
    top, left = max(top, 0), max(left, 0)
    if part.shape == size:
        return encode_mask(part)[0]
    columns = np.zeros((part.shape[1], part.shape[0] + 2), np.bool_)
    columns[:, 1:-1] = part.T != 0
    edges = np.flatnonzero(columns[:, 1:] != columns[:, :-1])
    column, row = np.divmod(edges, part.shape[0] + 1)
    places = (left + column) * height + top + row
    # A run that goes on at the top of the next column.
    goes_on = np.flatnonzero(places[1:] == places[:-1])
    places = np.delete(places, [*goes_on, *(goes_on + 1)]) if goes_on.size else places
    toggles = np.append(places, SENTINEL)
    sides = np.array([height]), np.array([width])
    return rles_of_toggles(toggles, np.array([0, toggles.size]), *sides).text.tobytes()


def decode_mask(
    text: NDArray[np.uint8],
    start: int,
    stop: int,
    frame: NDArray[Any],
    value: int,
    order: Literal["C", "F"],
    is_clear: bool,
) -> bool:
    """Decode ``text[start:stop]`` into a frame, which is overwritten whole.

    Parameters
    ----------
    text : (n,) uint8
    start, stop : int
    frame : (height, width) uint8, uint16 or uint32 in the given memory order, out
    value : int
        Of foreground pixels.
    order : {"C", "F"}
    is_clear : bool
        Whether the frame is all 0 already.

    Returns
    -------
    bool
        False if the runs do not tile the frame; nothing has been painted then.

    Examples
    --------
    >>> frame = np.empty((1, 6), np.uint8)
    >>> decode_mask(np.frombuffer(b"132", np.uint8), 0, 3, frame, 7, "C", is_clear=False)
    True
    >>> frame
    array([[0, 7, 7, 7, 0, 0]], dtype=uint8)
    """
    from mtfast.kernels.frames import decode
    from mtfast.kernels.rle import toggle_words

    height, width = frame.shape
    length = stop - start
    by_columns = order == "F"
    pixels = (frame.T if by_columns else frame).reshape(-1)
    is_narrow = frame.dtype == np.uint8
    if not is_narrow or (length <= toggle_words.BATCH and not by_columns):
        # In column order a mask is one column as high as the frame has pixels.
        rows = pixels.size if by_columns else height
        largest = pixels.size // (decode.SMALL_PART if is_narrow else 1)
        places = np.empty(length, np.int64)
        n = decode.decode_small(text, start, stop, rows, largest, value, is_clear, places, pixels)
        if n != decode.TOO_LARGE:
            return n >= 0
    n_places, n_words = decode.scratch_sizes(length, height, width, by_columns)
    places, words = np.empty(n_places, np.int64), np.empty(n_words, np.uint64)
    if by_columns:
        n = decode.decode_columns(text, start, stop, value, is_clear, places, words, pixels)
    else:
        n = decode.decode_rows(text, start, stop, height, width, value, places, words, pixels)
    return n >= 0
