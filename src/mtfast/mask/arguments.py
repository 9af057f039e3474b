"""What the functions of :mod:`mtfast.mask` are given, checked and brought into one form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NoReturn

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from mtfast.errors import MtfastError, RLEError, shown
from mtfast.mask.dicts import RLE, Mask, Masks, dicts_of, frame_size, rles_of
from mtfast.painting.frame import LARGEST
from mtfast.rles import Rles
from mtfast.rles.batch import as_array
from mtfast.rles.polygons import as_float, rasterise
from mtfast.table import RunTable, explain


def expect_one(rle: Mask) -> Mask:
    """Return what is one mask; MtfastError if it is a list."""
    if not isinstance(rle, Mapping):
        raise MtfastError(
            f"a {type(rle).__name__}; expected one RLE dict; call it for each mask of a list"
        )
    return rle


def as_given(given: Mask | Masks, result: Rles) -> Any:
    """Return one dict for one dict, a list for a list."""
    made = dicts_of(result)
    return made[0] if isinstance(given, Mapping) else made


def checked(rles: Rles, first: int = 0) -> Rles:
    """Return the masks if every text tiles its frame; RLEError for the first that does not."""
    from mtfast.kernels.rle import coco_string

    bad = coco_string.check_strings(
        rles.text,
        rles.offsets,
        np.arange(rles.n + 1),
        rles.heights * rles.widths,
        places_room(rles),
    )
    if bad >= 0:
        refuse(rles, bad, first)
    return rles


def refuse(rles: Rles, k: int, first: int = 0) -> NoReturn:
    """Raise the RLEError that says what is wrong with mask k."""
    text = rles.text[rles.offsets[k] : rles.offsets[k + 1]].tobytes()
    reason = explain(text, int(rles.heights[k]), int(rles.widths[k]))
    raise RLEError(f"RLE {first + k}: {reason}")


def places_room(rles: Rles) -> NDArray[np.int64]:
    """Make scratch for the places of any one mask."""
    return np.empty(int(np.diff(rles.offsets).max(initial=0)), np.int64)


def common_size(rles: Rles) -> tuple[int, int]:
    """Return the height and width that all masks share; MtfastError if they differ."""
    heights, widths = set(rles.heights.tolist()), set(rles.widths.tolist())
    if len(heights) == len(widths) == 1:
        return heights.pop(), widths.pop()
    if not rles.n:
        return 0, 0
    differs = (rles.heights != rles.heights[0]) | (rles.widths != rles.widths[0])
    k = int(np.argmax(differs))
    raise MtfastError(
        f"RLE {k} is {rles.heights[k]} x {rles.widths[k]} pixels and RLE 0 is "
        f"{rles.heights[0]} x {rles.widths[0]}; expected one size; sort them by size"
    )


def new_frame(
    shape: tuple[int, ...],
    dtype: DTypeLike,
    order: Literal["F", "C"],
    masks: Mask | Masks,
    is_clear: bool = False,
) -> NDArray[Any]:
    """Make a frame for masks, zeroed if is_clear; MtfastError if there is no memory for it."""
    try:
        return np.zeros(shape, dtype, order) if is_clear else np.empty(shape, dtype, order)
    except (MemoryError, ValueError) as error:
        # Malformed masks may state any size.
        checked(rles_of(masks))
        raise MtfastError(
            f"{' x '.join(map(str, shape))} pixels; expected them to fit into memory; "
            f"crop the masks, or decode fewer at a time"
        ) from error


def as_labels(labels: ArrayLike, n: int) -> NDArray[np.int64]:
    """Return one label for each of n masks."""
    values = as_array("labels", labels)
    if values.shape != (n,) or (values.dtype.kind not in "bui" and n):
        raise MtfastError(
            f"labels of shape {values.shape}, {values.dtype}; expected ({n},) whole numbers; "
            f"give one for each mask"
        )
    return values.astype(np.int64)


def label_dtype(values: list[int], dtype: DTypeLike | None) -> np.dtype[Any]:
    """Return the type of a map of these labels: the one asked for, or the narrowest."""
    low, high = min(values, default=0), max(values, default=0)
    fitting = [t for t, largest in LARGEST.items() if high <= largest]
    if dtype is not None:
        try:
            asked = np.dtype(dtype)
        except (TypeError, ValueError, SyntaxError):
            raise MtfastError(
                f"dtype {shown(dtype)}; expected uint8, uint16 or uint32; pick one"
            ) from None
        fitting = [t for t in fitting if t == asked]
    if low < 0 or not fitting:
        raise MtfastError(
            f"labels from {low} to {high}{f' for {asked}' if dtype is not None else ''}; "
            f"expected 0 up to what uint8, uint16 or uint32 holds; renumber them or widen the map"
        )
    return fitting[0]


def as_boxes(given: Any, name: str) -> NDArray[np.float64] | None:
    """Return boxes (n, 4) if these are boxes, None if they are masks."""
    if isinstance(given, RunTable):
        return None
    if isinstance(given, np.ndarray):
        boxes = given[np.newaxis] if given.ndim == 1 and given.size == 4 else given
        if boxes.size and (boxes.ndim != 2 or boxes.shape[1] != 4):
            raise MtfastError(
                f"{name} of shape {given.shape}; expected (n, 4) boxes; give masks as dicts"
            )
        if boxes.dtype.kind not in "uif":
            raise MtfastError(f"{name} of {boxes.dtype}; expected numbers; give masks as dicts")
        return _finite(name, boxes.reshape(-1, 4).astype(np.float64))
    if not isinstance(given, Sequence) or isinstance(given, str | bytes):
        raise MtfastError(
            f"{name} is a {type(given).__name__}; expected a list of masks or boxes; make it one"
        )
    if are_masks(given):
        return None
    if not all(_is_ring(item) and len(item) == 4 for item in given):
        raise MtfastError(
            f"{name} holds neither dicts only nor boxes only; expected one kind; sort them"
        )
    return _finite(name, np.array([[as_float(v) for v in item] for item in given], np.float64))


def _finite(name: str, boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    if not np.isfinite(boxes).all():
        k = int(np.argmin(np.isfinite(boxes).all(axis=1)))
        raise MtfastError(
            f"{name} {k} is the box {boxes[k].tolist()}; expected finite numbers; "
            f"correct or remove it"
        )
    return boxes


def are_masks(items: Sequence[Any]) -> bool:
    """Say whether all items are dicts, or like them."""
    kinds = set(map(type, items))
    return kinds == {dict} or all(issubclass(kind, Mapping) for kind in kinds)


def is_number(item: Any) -> bool:
    """Say whether it is a whole number or a float, of Python or numpy."""
    return isinstance(item, int | float | np.integer | np.floating)


def _is_ring(item: Any) -> bool:
    if isinstance(item, np.ndarray):
        return item.ndim == 1 and item.dtype.kind in "uif"
    return isinstance(item, Sequence) and not isinstance(item, str) and all(map(is_number, item))


def expect_rings(items: Sequence[Any]) -> None:
    """Raise MtfastError for the first item that is no list of numbers."""
    for k, item in enumerate(items):
        if not _is_ring(item):
            raise MtfastError(
                f"object {k} is {shown(item)}; expected all polygons, all boxes or all dicts with "
                f"counts; sort them by kind"
            )


def corners(box: Sequence[float]) -> list[float]:
    """Return the ring of a box [x, y, width, height]."""
    if len(box) != 4:
        raise MtfastError(
            f"a box of {len(box)} numbers; expected [x, y, width, height]; correct it"
        )
    # Sums of numpy's integers may wrap around.
    x, y, w, h = map(as_float, box)
    return [x, y, x, y + h, x + w, y + h, x + w, y]


def from_rings(rings: Sequence[Sequence[float]], h: int, w: int) -> list[RLE]:
    """Rasterise one mask of each ring."""
    size = frame_size("frPyObjects", (h, w), MtfastError)
    texts = rasterise([[ring] for ring in rings], [size] * len(rings), "object {}".format)
    return [{"size": [*size], "counts": text.encode()} for text in texts]
