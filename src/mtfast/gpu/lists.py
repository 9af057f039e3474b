"""COCO RLE -> frames and measures on a device: runs are copied to it, which are a few kilobytes."""

from __future__ import annotations

import warnings
from typing import Any, TypeAlias, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from mtfast.errors import one_of
from mtfast.gpu.operations import operations_for
from mtfast.gpu.places import Lists
from mtfast.kernels.device.change_words import MAX_PIXELS
from mtfast.kernels.device.toggle_lists import SENTINEL
from mtfast.mask.arguments import common_size
from mtfast.mask.dicts import Masks, rles_of
from mtfast.mask.measures import (
    OtherSize,
    overlaps_of_boxes,
    pairs_of_one_size,
    warning_of_sizes,
)
from mtfast.rles import Rles
from mtfast.rles.arguments import integer_per_mask
from mtfast.rles.batch import ToggleLists, common_height, toggles_of

__all__ = ["area", "bbox", "decode", "iou"]

Device: TypeAlias = torch.device | str


def decode(rles: Masks | Rles, device: Device = "cuda") -> torch.Tensor:
    """Decode masks of one size on a device.

    Parameters
    ----------
    rles : list of n dicts, RunTable or Rles
    device : torch.device or str

    Returns
    -------
    (n, height, width) uint8 tensor, C order
        0 and 1.

    Raises
    ------
    RLEError
        If a mask is malformed.
    MtfastError
        If sizes differ.

    Examples
    --------
    >>> decode([{"size": [2, 2], "counts": b"22"}], "cpu")
    tensor([[[0, 1],
             [0, 1]]], dtype=torch.uint8)
    """
    batch = _batch(rles)
    height, width = common_size(batch)
    lists = _uploaded(toggles_of(batch, "rles"), device)
    if not lists.n * height * width:
        return torch.zeros((lists.n, height, width), dtype=torch.uint8, device=device)
    operations = operations_for(lists.toggles.device, height * width)
    frames: torch.Tensor = operations.frames_of_lists(lists, height, width)
    return frames


def area(rles: Masks | Rles, device: Device = "cuda") -> torch.Tensor:
    """Count the foreground pixels of masks.

    Parameters
    ----------
    rles : list of n dicts, RunTable or Rles
    device : torch.device or str

    Returns
    -------
    (n,) int64 tensor

    Raises
    ------
    RLEError
        If a mask is malformed.

    Examples
    --------
    >>> area([{"size": [2, 2], "counts": b"22"}], "cpu")
    tensor([2])
    """
    return _facts(toggles_of(_batch(rles), "rles"), device)[:, 0].contiguous()


def bbox(rles: Masks | Rles, device: Device = "cuda") -> torch.Tensor:
    """Measure the smallest box around each mask; zeros for an empty one.

    Parameters
    ----------
    rles : list of n dicts, RunTable or Rles
    device : torch.device or str

    Returns
    -------
    (n, 4) float64 tensor
        x, y, width and height in pixels, as :func:`mtfast.mask.toBbox` has them.

    Raises
    ------
    RLEError
        If a mask is malformed.

    Examples
    --------
    >>> bbox([{"size": [2, 2], "counts": b"22"}], "cpu")
    tensor([[1., 0., 1., 2.]], dtype=torch.float64)
    """
    facts = _facts(toggles_of(_batch(rles), "rles"), device)
    n_pixels, left, top, right, bottom = facts.unbind(1)
    boxes = torch.stack([left, top, right - left, bottom - top], 1)
    return torch.where(n_pixels[:, None] > 0, boxes, 0).to(torch.float64)


def iou(
    dt: Masks | Rles,
    gt: Masks | Rles,
    iscrowd: ArrayLike | None = None,
    device: Device = "cuda",
    other_size: OtherSize = "warn",
) -> torch.Tensor:
    """Intersection over union of every detection with every mask of the ground truth.

    Parameters
    ----------
    dt, gt : lists of m and n dicts, RunTables or Rles
    iscrowd : (n,) int or bool, optional
        Where it is not zero, the area of the detection takes the place of the union.
    device : torch.device or str
    other_size : {"warn", "error"}
        What becomes of two masks whose frames differ in size, as in :func:`mtfast.mask.iou`: with
        "warn" a warning names the first such pair, and the result is -1 where their boxes overlap,
        and 0 elsewhere.

    Returns
    -------
    (m, n) float64 tensor
        Equal to :func:`mtfast.mask.iou` bit for bit; of no masks on either side a tensor without
        elements, where that function returns [].

    Raises
    ------
    RLEError
        If a mask is malformed.
    MtfastError
        If there is not one iscrowd for each mask of the ground truth, or sizes differ with "error".

    Warns
    -----
    UserWarning
        If sizes differ.

    Examples
    --------
    >>> a, b = {"size": [1, 6], "counts": b"132"}, {"size": [1, 6], "counts": b"231"}
    >>> iou([a], [b], [0], "cpu")                       # .###.. and ..###.
    tensor([[0.5000]], dtype=torch.float64)
    """
    one_of("other_size", other_size, get_args(OtherSize))
    first, second = _batch(dt), _batch(gt)
    if iscrowd is None:
        iscrowd = np.zeros(second.n, np.uint8)
    crowd = integer_per_mask("iscrowd", iscrowd, second.n) != 0
    if not first.n or not second.n:
        return torch.zeros((first.n, second.n), dtype=torch.float64, device=device)
    message = warning_of_sizes(first, second)
    if message is None or other_size == "error":
        return _iou_of_one_size(first, second, crowd, device)
    out = _iou_by_sizes(first, second, crowd, device)
    # Of the line that has called.
    warnings.warn(message, stacklevel=2)
    return out


def _iou_of_one_size(dt: Rles, gt: Rles, crowd: NDArray[np.bool_], device: Device) -> torch.Tensor:
    first, second = toggles_of(dt, "dt"), toggles_of(gt, "gt")
    common_height(dt=first, gt=second)
    n_pixels = _largest(first)
    a, b = _uploaded(first, device), _uploaded(second, device)
    operations = operations_for(a.toggles.device, n_pixels)
    of_dt, of_gt = (operations.facts_of_lists(lists)[:, 0] for lists in (a, b))
    common = operations.common_areas(a, b, n_pixels)
    of_both = of_dt[:, None] + of_gt - common
    union = torch.where(_to(crowd, device), of_dt[:, None], of_both)
    return torch.where(common > 0, common.to(torch.float64) / union.to(torch.float64), 0.0)


def _iou_by_sizes(dt: Rles, gt: Rles, crowd: NDArray[np.bool_], device: Device) -> torch.Tensor:
    """Compare the masks of each size with each other, and the boxes of the others."""
    out = _to(overlaps_of_boxes(dt, gt), device)
    for d, g in pairs_of_one_size(dt, gt):
        found = _iou_of_one_size(dt.taken(d), gt.taken(g), crowd[g], device)
        out[_to(d, device)[:, None], _to(g, device)] = found
    return out


def _facts(lists: ToggleLists, device: Device) -> torch.Tensor:
    if not lists.n:
        return torch.zeros((0, 5), dtype=torch.int64, device=device)
    uploaded = _uploaded(lists, device)
    operations = operations_for(uploaded.toggles.device, _largest(lists))
    facts: torch.Tensor = operations.facts_of_lists(uploaded)
    return facts


def _batch(rles: Masks | Rles) -> Rles:
    return rles if isinstance(rles, Rles) else rles_of(rles)


def _largest(lists: ToggleLists) -> int:
    return int((lists.heights * lists.widths).max(initial=0))


def _uploaded(lists: ToggleLists, device: Device) -> Lists:
    # Half the bytes to copy, for nearly all frames.
    is_narrow = _largest(lists) <= MAX_PIXELS
    dtype = np.int32 if is_narrow else np.int64
    toggles = lists.toggles[: lists.offsets[-1]]
    if is_narrow:
        toggles = np.minimum(toggles, SENTINEL)
    return Lists(
        _to(toggles.astype(dtype), device),
        _to(lists.offsets, device),
        _to(np.maximum(lists.heights, 1).astype(dtype), device),
        lists.n,
    )


def _to(column: Any, device: Device) -> torch.Tensor:
    return torch.from_numpy(np.array(column)).to(device, non_blocking=True)
