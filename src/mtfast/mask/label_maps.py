"""Masks of one frame <-> a label map, which holds one label for each pixel."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

from mtfast.errors import MtfastError, shown
from mtfast.mask.arguments import common_size, new_frame
from mtfast.mask.dicts import RLE, Masks, dicts_of, rles_of
from mtfast.mask.measures import exact_areas
from mtfast.mask.validation import check_texts, refuse
from mtfast.painting.frame import LARGEST, check_out
from mtfast.painting.overlap import Overlap, paint_rank
from mtfast.ragged import gather_texts
from mtfast.rles import first_overlap
from mtfast.rles.arguments import as_array, integer_per_mask
from mtfast.rles.label_map import scan_labels

__all__ = ["from_label_map", "to_label_map"]


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
        overlap.
    dtype : optional
        Of the map, by default the narrowest of the three that holds the labels. Ignored if ``out``
        is given.

    Returns
    -------
    (height, width) uint8, uint16 or uint32

    Raises
    ------
    RLEError
        If a mask is malformed.
    MtfastError
        If sizes differ, a label does not fit, ``out`` does not, or masks overlap that must not.

    Examples
    --------
    >>> a, b = {"size": [1, 6], "counts": b"132"}, {"size": [1, 6], "counts": b"231"}
    >>> to_label_map([a, b], labels=[5, 300])        # .###.. and ..###.
    array([[  0,   5, 300, 300, 300,   0]], dtype=uint16)
    """
    from mtfast.kernels.frames import paint

    masks = rles_of(rles)
    size = common_size(masks)
    if labels is None:
        values = np.arange(1, masks.n + 1)
    else:
        values = integer_per_mask("labels", labels, masks.n).astype(np.int64)
    if out is not None:
        check_out(out, size, LARGEST)
    wanted = _label_dtype(values.tolist(), dtype if out is None else out.dtype)
    if out is None:
        out = new_frame(size, wanted, "C", rles)
    one_image = np.array([0, masks.n])

    def overlapping() -> str | None:
        pair = first_overlap(check_texts(masks), one_image)
        return None if pair is None else f"masks {pair[0]} and {pair[1]} of the list"

    rank = paint_rank(overlap, masks.n, lambda: exact_areas(masks), overlapping)
    if overlap != "last":
        order = np.argsort(rank, kind="stable")
        text, offsets = gather_texts(masks.text, masks.offsets, order)
        masks, values = masks._replace(text=text, offsets=offsets), values[order]
    bad = paint.paint_images(
        masks.text,
        masks.offsets,
        one_image,
        np.ascontiguousarray(values),
        size[0],
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
    labels, rles = scan_labels(as_array("label_map", label_map), background)
    return labels, dicts_of(rles)


def _label_dtype(values: list[int], dtype: DTypeLike | None) -> np.dtype[Any]:
    """Return the dtype of a map of these labels: the one asked for, or the narrowest."""
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
