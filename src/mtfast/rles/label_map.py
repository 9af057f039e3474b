"""Label map -> COCO RLE of every label, in one pass over the pixels."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtfast.errors import MtfastError, shown

__all__ = ["LabelRuns", "scan_labels"]


class LabelRuns(NamedTuple):
    """The masks of a label map: labels in ascending order and one COCO RLE text for each."""

    labels: NDArray[np.int64]
    rle: NDArray[np.uint8]
    rle_offsets: NDArray[np.int64]


def scan_labels(label_map: NDArray[Any], background: int = 0) -> LabelRuns:
    """Encode every label of a label map as COCO RLE, in one pass over the map.

    Parameters
    ----------
    label_map : (height, width) integer or bool
        Any memory order.
    background : int
        The label that is no instance.

    Returns
    -------
    LabelRuns
        labels (n,) int64, rle (n_bytes,) uint8 and rle_offsets (n + 1,) int64; the text of
        labels[k] is rle[rle_offsets[k]:rle_offsets[k + 1]].

    Raises
    ------
    MtfastError
        If the map is not a two-dimensional array of integers.

    Examples
    --------
    >>> import numpy as np
    >>> found = scan_labels(np.array([[0, 7], [5, 7]]))
    >>> found.labels
    array([5, 7])
    >>> found.rle.tobytes()
    b'11222'

    Notes
    -----
    Equal to ``pycocotools.mask.encode(label_map == label)`` for each label.
    """
    from mtfast.kernels.frames.label_map import column_changes, counts_of_runs, runs_of_changes
    from mtfast.kernels.rle import coco_string

    if label_map.ndim != 2 or label_map.dtype.kind not in "bui":
        raise MtfastError(
            f"a label map of shape {label_map.shape}, {label_map.dtype}; "
            f"expected (height, width) of integers; pass one image of labels"
        )
    if not isinstance(background, int | np.integer) or not -(2**63) <= background < 2**63:
        raise MtfastError(
            f"background {shown(background)}; expected a whole number below 2**63; pass a label"
        )
    height, width = label_map.shape
    if label_map.dtype == np.bool_:
        label_map = label_map.view(np.uint8)
    elif label_map.dtype not in (np.uint8, np.uint16):
        if label_map.dtype == np.uint64 and label_map.size and label_map.max() >= 2**63:
            raise MtfastError(
                f"label {label_map.max()}; expected labels below 2**63; renumber the labels"
            )
        label_map = label_map.astype(np.int64)
    if label_map.flags.f_contiguous:
        # In memory it is one column as high as the map has pixels.
        height, width = label_map.size, 1
        label_map = label_map.T
    pixels = np.ascontiguousarray(label_map).reshape(-1)

    # One change for each pixel of a flake's outline: a few thousand in an image, rarely more.
    capacity = 1 << 14
    while True:
        places = np.empty(capacity, np.int64)
        values = np.empty(capacity, np.int64)
        n = column_changes(pixels, height, width, background, places, values)
        if n <= capacity:
            break
        capacity *= 16
    labels, starts, stops = np.empty((3, n), np.int64)
    n_runs = runs_of_changes(
        places[:n],
        values[:n],
        height,
        width,
        background,
        np.empty(width + 1, np.int64),
        labels,
        starts,
        stops,
    )
    present, owners = np.unique(labels[:n_runs], return_inverse=True)
    count_offsets = np.empty(present.size + 1, np.int64)
    counts = np.empty(2 * n_runs + present.size, np.int64)
    n_counts = counts_of_runs(
        owners.astype(np.int64, copy=False),
        starts[:n_runs],
        stops[:n_runs],
        pixels.size,
        np.empty(present.size, np.int64),
        count_offsets,
        counts,
    )
    text = np.empty(coco_string.MAX_CHARACTERS * n_counts, np.uint8)
    rle_offsets = np.empty(present.size + 1, np.int64)
    n_bytes = coco_string.encode_batch(counts, count_offsets, text, rle_offsets)
    return LabelRuns(present, text[:n_bytes].copy(), rle_offsets)
