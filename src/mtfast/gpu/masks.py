"""Masks on a device -> COCO RLE."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from mtfast.errors import MtfastError, shown
from mtfast.gpu.operations import operations_for
from mtfast.gpu.places import Places
from mtfast.mask.dicts import RLE, dicts_of
from mtfast.rles import Rles
from mtfast.table import RunTable

__all__ = ["encode", "encode_rles", "encode_table", "rles_of_places"]


def encode(masks: torch.Tensor, *, threshold: float | None = None) -> list[RLE]:
    """Encode masks where they are; only their text is copied to the host.

    Parameters
    ----------
    masks : (n, height, width) tensor
        On any device. Of integers or bool, any value but 0 is foreground; with a threshold of any
        dtype, floats for instance. C order is read as it lies, anything else is copied first.
    threshold : float, optional
        Pixels above it are foreground, in one pass over the frame. It is rounded to the dtype of
        the masks. What is not a number is background.

    Returns
    -------
    list of n dicts
        Equal to what ``pycocotools.mask.encode`` makes of each.

    Raises
    ------
    MtfastError
        If it is no such tensor.

    Examples
    --------
    >>> encode(torch.tensor([[[0, 1], [0, 7]]]))
    [{'size': [2, 2], 'counts': b'22'}]
    >>> encode(torch.tensor([[[-1.5, 0.5], [0.0, 2.0]]]), threshold=0)
    [{'size': [2, 2], 'counts': b'22'}]

    Notes
    -----
    On a CUDA device with numba-cuda a frame is read once, and the host waits for the device three
    times a call, however many masks there are: give all of them at once.
    """
    return dicts_of(encode_rles(masks, threshold=threshold))


def encode_rles(masks: torch.Tensor, *, threshold: float | None = None) -> Rles:
    """Encode masks as flat arrays of text, without an object for each of them.

    Parameters
    ----------
    masks, threshold
        As in :func:`encode`.

    Returns
    -------
    Rles

    Raises
    ------
    MtfastError
        If it is no such tensor.

    Examples
    --------
    >>> encode_rles(torch.ones((1, 2, 2), dtype=torch.bool)).texts()
    [b'04']
    """
    masks = _as_masks(masks, threshold)
    n, height, width = masks.shape
    if not masks.numel():
        return _without_pixels(n, height, width)
    if threshold is not None:
        threshold = _rounded(threshold, masks.dtype)
        masks = masks.to(_comparable(masks.dtype))
    operations = operations_for(masks.device, height * width)
    step = operations.most_frames(height, width)
    parts = []
    for first in range(0, n, step):
        places = operations.places_of_masks(masks[first : first + step], threshold)
        parts.append(rles_of_places(places, height, width))
    return parts[0] if len(parts) == 1 else _joined(parts)


def encode_table(
    masks: torch.Tensor,
    *,
    threshold: float | None = None,
    category_ids: ArrayLike | None = None,
    image_offsets: Sequence[int] | None = None,
) -> RunTable:
    """Encode masks as a table, the type that all of mtfast works on.

    Parameters
    ----------
    masks, threshold
        As in :func:`encode`.
    category_ids : (n,) int, optional
        By default all 1.
    image_offsets : (n_images + 1,) int, optional
        Image i has the masks image_offsets[i] .. image_offsets[i + 1] - 1; by default one image
        has all.

    Returns
    -------
    RunTable
        Names and ids as in :meth:`RunTable.of_texts`.

    Raises
    ------
    MtfastError
        If it is no such tensor, or the other arguments do not fit it.

    Examples
    --------
    >>> encode_table(torch.eye(3, dtype=torch.uint8).expand(2, 3, 3), image_offsets=[0, 1, 2])
    <RunTable of 2 images, 2 instances, 1 class: class 1 (2)>
    """
    rles = encode_rles(masks, threshold=threshold)
    ends = [0, rles.n] if image_offsets is None else [*map(int, image_offsets)]
    if len(ends) < 1 or ends[0] != 0 or ends[-1] != rles.n or sorted(ends) != ends:
        raise MtfastError(
            f"image_offsets {shown(ends)}; expected ascending numbers from 0 to {rles.n}, the "
            f"number of masks; recompute them"
        )
    texts = rles.texts()
    height, width = (int(side) for side in masks.shape[1:])
    images = [texts[start:stop] for start, stop in pairwise(ends)]
    return RunTable.of_texts((height, width), images, category_ids)


def rles_of_places(places: Places, height: int, width: int) -> Rles:
    """Write masks as text, and copy it to the host.

    Parameters
    ----------
    places : Places
        On any device.
    height, width : int
        Of all masks.

    Returns
    -------
    Rles
    """
    operations = operations_for(places.offsets.device, height * width)
    text, offsets = operations.text_of_places(places, height * width)
    ends = offsets.cpu().numpy()
    return _rles(text[: int(ends[-1])].cpu().numpy(), ends, height, width)


def _rles(text: Any, offsets: Any, height: int, width: int) -> Rles:
    n = len(offsets) - 1
    return Rles(text, offsets, np.full(n, height), np.full(n, width))


def _joined(parts: Sequence[Rles]) -> Rles:
    starts = np.cumsum([0, *(part.offsets[-1] for part in parts[:-1])])
    offsets = [part.offsets[1:] + start for part, start in zip(parts, starts, strict=True)]
    return Rles(
        np.concatenate([part.text for part in parts]),
        np.concatenate([[0], *offsets]),
        np.concatenate([part.heights for part in parts]),
        np.concatenate([part.widths for part in parts]),
    )


def _without_pixels(n: int, height: int, width: int) -> Rles:
    """Return n masks of frames that have no pixels: one count, which is 0."""
    return _rles(np.full(n, ord("0"), np.uint8), np.arange(n + 1), height, width)


def _as_masks(masks: Any, threshold: float | None) -> torch.Tensor:
    if not isinstance(masks, torch.Tensor) or masks.ndim != 3 or masks.is_complex():
        found = tuple(masks.shape) if isinstance(masks, torch.Tensor) else type(masks).__name__
        raise MtfastError(
            f"masks are {found}; expected a tensor of shape (n, height, width); stack them along "
            f"the first axis"
        )
    if threshold is None and masks.is_floating_point():
        raise MtfastError(
            f"masks of {masks.dtype}; expected integers or bool; compare them "
            f"with a threshold, or pass it"
        )
    if threshold is not None and masks.dtype == torch.uint64:
        raise MtfastError(
            "masks of torch.uint64 with a threshold; expected integers below 2**63; convert them"
        )
    return masks.detach().contiguous()


def _rounded(threshold: float, dtype: torch.dtype) -> float:
    if not dtype.is_floating_point:
        return threshold
    return float(torch.tensor(threshold, dtype=dtype, device="cpu"))


def _comparable(dtype: torch.dtype) -> torch.dtype:
    """Return a dtype that holds the same values and that PyTorch compares with numbers."""
    if dtype.is_floating_point and dtype.itemsize == 1:
        return torch.float32
    return {torch.uint16: torch.int32, torch.uint32: torch.int64}.get(dtype, dtype)
