"""COCO mask dicts <-> a batch of texts in flat arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate, chain
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from mtfast.errors import MtfastError, RLEError, shown
from mtfast.rles import Rles
from mtfast.table import MAX_PIXELS, RunTable

__all__ = [
    "RLE",
    "Boxes",
    "Mask",
    "Masks",
    "UncompressedRLE",
    "checked_size",
    "dicts_of",
    "like_given",
    "rle_of",
    "rles_of",
]


class RLE(TypedDict):
    """A mask as it is returned: a plain dict.

    Attributes
    ----------
    size : list of int
        [height, width]
    counts : bytes
        COCO's compressed text.
    """

    size: list[int]
    counts: bytes


class UncompressedRLE(TypedDict):
    """A mask with its runs as numbers: a plain dict.

    Attributes
    ----------
    size : list of int
        [height, width]
    counts : list of int
        Run lengths, background first.
    """

    size: list[int]
    counts: list[int]


Mask = Mapping[str, object]
"""A mask as it is given: counts may also be str, or a list of run lengths."""

Masks = Sequence[Mask] | RunTable

Boxes = Sequence[Sequence[float]] | NDArray[np.integer[Any] | np.floating[Any]]
"""(n, 4) x, y, width and height."""

# Floats below this are exact, and fit into int64.
_EXACT = 2.0**53

# Frames of two sides up to this have no more than MAX_PIXELS.
_USUAL_SIDE = 2**20


def rles_of(masks: Mask | Masks, first: int = 0) -> Rles:
    """Bring masks into flat arrays; their texts are not decoded yet.

    Parameters
    ----------
    masks : dict, or list of dicts, or RunTable
    first : int
        Number of the first mask, for messages.

    Returns
    -------
    Rles

    Raises
    ------
    RLEError
        If one is not a dict with a size and counts, its size is not two whole numbers, or its
        uncompressed counts do not add up to its size; the message says which one.
    MtfastError
        If it is no list of masks at all.

    Examples
    --------
    >>> rles_of([{"size": [1, 7], "counts": [1, 2, 4]}]).texts()
    [b'124']
    """
    if isinstance(masks, RunTable):
        return Rles.of_table(masks)
    given = [masks] if isinstance(masks, Mapping) else masks
    rles = _usual(given)
    if rles is None:
        texts, sizes = _one_by_one(given, first)
        rles = Rles.of(texts, sizes)
    return rles


def _usual(masks: Any) -> Rles | None:
    """Read the usual list: dicts with text, and sizes of two small integers; None if it is another.

    Types are compared exactly: arrays have bytes to join and a length too, and True is an integer.
    """
    try:
        texts = [mask["counts"] for mask in masks]
        pairs = [mask["size"] for mask in masks]
        sides = list(chain.from_iterable(pairs))
        kinds = set(map(type, texts))
        if kinds not in ({bytes}, {str}) or set(map(type, sides)) != {int}:
            return None
        # Masks of one image have one size, and equal lists are of one type and length.
        alike = pairs.count(pairs[0]) == len(texts)
        for pair in pairs[:1] if alike else pairs:
            if type(pair) not in (list, tuple) or len(pair) != 2:
                return None
        joined = "".join(texts).encode("ascii") if kinds == {str} else b"".join(texts)
    except (TypeError, LookupError, ValueError):
        return None
    if len(sides) != 2 * len(texts) or min(sides) < 0 or max(sides) > _USUAL_SIDE:
        return None
    n = len(texts)
    offsets = np.fromiter(accumulate(map(len, texts), initial=0), np.int64, n + 1)
    heights = np.full(n, sides[0]) if alike else np.array(sides[::2])
    widths = np.full(n, sides[1]) if alike else np.array(sides[1::2])
    return Rles(np.frombuffer(joined, np.uint8), offsets, heights, widths)


def rle_of(mask: Mask) -> tuple[NDArray[np.uint8], int, int]:
    """Bring one mask into an array; its text is not decoded yet.

    Parameters
    ----------
    mask : dict

    Returns
    -------
    text : (n_bytes,) uint8
    height, width : int

    Raises
    ------
    RLEError
        As :func:`rles_of`.
    """
    text, size = mask.get("counts"), mask.get("size")
    if type(text) is bytes and type(size) is list and len(size) == 2:
        height, width = size
        if type(height) is type(width) is int and 0 <= height <= _USUAL_SIDE >= width >= 0:
            return np.frombuffer(text, np.uint8), height, width
    rles = rles_of(mask)
    return rles.text, int(rles.heights[0]), int(rles.widths[0])


def dicts_of(rles: Rles) -> list[RLE]:
    """Return a batch as a list of dicts.

    Parameters
    ----------
    rles : Rles

    Returns
    -------
    list of dicts
    """
    return [
        {"size": [height, width], "counts": text}
        for (height, width), text in zip(rles.sizes(), rles.texts(), strict=True)
    ]


def like_given(given: Mask | Masks, result: Rles) -> RLE | list[RLE]:
    """Return a result as the argument was given: one dict for one dict, else a list.

    Parameters
    ----------
    given : dict, or list of dicts, or RunTable
    result : Rles

    Returns
    -------
    dict, or list of dicts
    """
    made = dicts_of(result)
    return made[0] if isinstance(given, Mapping) else made


def checked_size(name: str, size: Any, error: type[MtfastError] = RLEError) -> tuple[int, int]:
    """Return a stated size if it is one.

    Parameters
    ----------
    name : str
        Of what has the size, for the message.
    size : (height, width)
        List, tuple or array of two whole numbers: integers, floats like 480.0, or arrays of no
        dimension that hold one.
    error : class
        Of what is raised.

    Returns
    -------
    (height, width)

    Raises
    ------
    RLEError, or the given class
        If they are not two whole numbers, negative, or of more than 2**40 pixels in all.
    """
    # Sets have no order, and the two bytes of b"22" are numbers.
    sides = [*map(_whole, size)] if isinstance(size, list | tuple) or _is_row(size) else []
    if len(sides) == 2 and None not in sides:
        height, width = sides
        if min(height, width) >= 0 and max(height, width, height * width) <= MAX_PIXELS:
            return height, width
    raise error(
        f"{name} has size {shown(size)}; expected [height, width] in whole pixels, at most "
        f"2**40 in all; correct its size"
    )


def _is_row(size: Any) -> bool:
    return isinstance(size, np.ndarray) and size.ndim == 1


def _whole(number: Any) -> Any:
    """Return a whole number as an int, or None for what is none; True is none."""
    if isinstance(number, np.ndarray) and number.ndim == 0:
        number = number[()]
    if isinstance(number, int | np.integer) and not isinstance(number, bool):
        return int(number)
    is_float = isinstance(number, float | np.floating)
    return int(number) if is_float and float(number).is_integer() else None


def _one_by_one(masks: Any, first: int) -> tuple[list[bytes], list[tuple[int, int]]]:
    """Read masks with counts of any accepted type, and name the first that is not a mask."""
    if isinstance(masks, str | bytes) or not isinstance(masks, Sequence):
        raise MtfastError(
            f"a {type(masks).__name__} of masks; expected a list of RLE dicts; put them in a list"
        )
    texts, sizes = [], []
    for k, mask in enumerate(masks):
        number = first + k
        if not isinstance(mask, Mapping):
            raise RLEError(
                f"RLE {number} is a {type(mask).__name__}; expected a dict with size and counts; "
                f"convert it with frPyObjects"
            )
        for key in ("size", "counts"):
            if key not in mask:
                raise RLEError(
                    f"RLE {number} has no {key}; expected a dict with size and counts; add it"
                )
        sizes.append(checked_size(f"RLE {number}", mask["size"]))
        texts.append(_text(number, mask["counts"], *sizes[-1]))
    return texts, sizes


def _text(number: int, counts: Any, height: int, width: int) -> bytes:
    if isinstance(counts, bytes | bytearray | memoryview):
        return bytes(counts)
    if isinstance(counts, str):
        try:
            return counts.encode("ascii")
        except UnicodeEncodeError:
            raise RLEError(
                f"RLE {number} has counts with characters that are not ASCII; expected COCO's "
                f"compressed text; correct or remove it"
            ) from None
    return _compressed(number, counts, height, width)


def _compressed(number: int, counts: Any, height: int, width: int) -> bytes:
    """Encode uncompressed counts as text."""
    from mtfast.kernels.rle import coco_string

    expected = f"expected text, or run lengths that add up to {height} x {width} pixels"
    try:
        lengths = np.asarray(counts)
    except (ValueError, OverflowError):
        lengths = np.empty((0, 0))
    if lengths.dtype.kind == "f" and (np.abs(lengths) < _EXACT).all():
        rounded = lengths.astype(np.int64)
        lengths = rounded if (rounded == lengths).all() else lengths
    if lengths.ndim != 1 or (lengths.dtype.kind not in "ui" and lengths.size):
        raise RLEError(
            f"RLE {number} has counts that are neither text nor whole numbers; {expected}; "
            f"correct or remove it"
        )
    total = sum(map(int, lengths.tolist()))
    if lengths.min(initial=0) < 0 or total != height * width:
        raise RLEError(
            f"RLE {number} has runs that add up to {total}, of at least {lengths.min(initial=0)}; "
            f"{expected}; correct or remove it"
        )
    text = np.empty(coco_string.MAX_CHARACTERS * lengths.size, np.uint8)
    n = coco_string.encode_counts(lengths.astype(np.int64), 0, lengths.size, text, 0)
    return text[:n].tobytes()
