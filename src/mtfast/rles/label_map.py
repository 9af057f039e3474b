"""Label map -> COCO RLE of every label, in one pass over the pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtfast.errors import MtfastError, shown
from mtfast.rles.batch import Rles, rles_of_toggles

__all__ = ["scan_labels"]


# One change for each pixel of a flake's outline: a few thousand in an image, rarely more.
_CHANGES = 1 << 14


def scan_labels(label_map: NDArray[Any], background: int = 0) -> tuple[NDArray[np.int64], Rles]:
    """Encode every label of a label map as COCO RLE, in one pass over the map.

    Parameters
    ----------
    label_map : (height, width) integer or bool
        Any memory order.
    background : int
        The label that is no instance.

    Returns
    -------
    labels : (n,) int64
        In ascending order.
    rles : Rles
        One mask for each label.

    Raises
    ------
    MtfastError
        If the map is not a two-dimensional array of integers.

    Examples
    --------
    >>> import numpy as np
    >>> labels, rles = scan_labels(np.array([[0, 7], [5, 7]]))
    >>> labels, rles.texts()
    (array([5, 7]), [b'112', b'22'])

    Notes
    -----
    Equal to ``pycocotools.mask.encode(label_map == label)`` for each label.
    """
    pixels, height, width = _in_memory_order(_integers(label_map), background)
    places, values = _changes(pixels, height, width, background)
    labels, starts, stops = _runs(places, values, height, width, background)
    present, owners = np.unique(labels, return_inverse=True)
    owners = owners.astype(np.int64, copy=False)
    return present, _masks(owners, starts, stops, label_map.shape, present.size)


def _integers(label_map: NDArray[Any]) -> NDArray[Any]:
    """Return a label map with one of the dtypes that kernels take."""
    if label_map.ndim != 2 or label_map.dtype.kind not in "bui":
        raise MtfastError(
            f"a label map of shape {label_map.shape}, {label_map.dtype}; "
            f"expected (height, width) of integers; pass one image of labels"
        )
    if label_map.dtype == np.bool_:
        return label_map.view(np.uint8)
    if label_map.dtype in (np.uint8, np.uint16):
        return label_map
    if label_map.dtype == np.uint64 and label_map.size and label_map.max() >= 2**63:
        raise MtfastError(
            f"label {label_map.max()}; expected labels below 2**63; renumber the labels"
        )
    return label_map.astype(np.int64)


def _in_memory_order(label_map: NDArray[Any], background: int) -> tuple[NDArray[Any], int, int]:
    """Return the pixels in memory order, and the height and width that make them row-major.

    A map in column-major order is one column as high as the map has pixels.
    """
    if not isinstance(background, int | np.integer) or not -(2**63) <= background < 2**63:
        raise MtfastError(
            f"background {shown(background)}; expected a whole number below 2**63; pass a label"
        )
    if label_map.flags.f_contiguous:
        return label_map.T.reshape(-1), label_map.size, 1
    height, width = label_map.shape
    return np.ascontiguousarray(label_map).reshape(-1), height, width


def _changes(
    pixels: NDArray[Any], height: int, width: int, background: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where labels change down the columns, and what they change to."""
    from mtfast.kernels.frames.label_map import column_changes

    capacity = _CHANGES
    while True:
        places, values = np.empty(capacity, np.int64), np.empty(capacity, np.int64)
        n = column_changes(pixels, height, width, background, places, values)
        if n <= capacity:
            return places[:n], values[:n]
        capacity *= 16


def _runs(
    places: NDArray[np.int64],
    values: NDArray[np.int64],
    height: int,
    width: int,
    background: int,
) -> NDArray[np.int64]:
    """Return the label of each run, its first place and the place after its last, (3, n_runs)."""
    from mtfast.kernels.frames.label_map import runs_of_changes

    runs = np.empty((3, places.size), np.int64)
    scratch = np.empty(width + 1, np.int64)
    n = runs_of_changes(places, values, height, width, background, scratch, *runs)
    return runs[:, :n]


def _masks(
    owners: NDArray[np.int64],
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    size: tuple[int, int],
    n_masks: int,
) -> Rles:
    """Encode runs, each of which belongs to one of n masks."""
    from mtfast.kernels.frames.label_map import lists_of_runs

    toggles = np.empty(2 * starts.size + n_masks, np.int64)
    offsets = np.empty(n_masks + 1, np.int64)
    lists_of_runs(owners, starts, stops, np.empty(n_masks, np.int64), toggles, offsets)
    sides = np.empty((2, n_masks), np.int64)
    sides.T[:] = size
    return rles_of_toggles(toggles, offsets, *sides)
