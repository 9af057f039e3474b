"""Label maps on a device -> COCO RLE of every label."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from mtfast.errors import MtfastError
from mtfast.gpu.masks import rles_of_places
from mtfast.gpu.operations import operations_for
from mtfast.gpu.places import Places, running_sums
from mtfast.mask.dicts import RLE, dicts_of

__all__ = ["from_label_map"]

Encoded = tuple[NDArray[np.int64], list[RLE]]

# Dtypes that few operations take, and what they are viewed as.
_SIGNED = {torch.uint16: torch.int16, torch.uint32: torch.int32, torch.bool: torch.uint8}


def from_label_map(label_map: torch.Tensor, background: int = 0) -> Encoded | list[Encoded]:
    """Encode every label of a map, or of many maps, where they are.

    Parameters
    ----------
    label_map : (height, width) or (n, height, width) tensor of integers or bool
        On any device.
    background : int
        The label that is no mask.

    Returns
    -------
    labels : (k,) int64 array
        In ascending order.
    rles : list of k dicts
        Equal to ``pycocotools.mask.encode(label_map == label)`` for each. Of many maps: a list of
        such pairs.

    Raises
    ------
    MtfastError
        If it is no such tensor.

    Examples
    --------
    >>> from_label_map(torch.tensor([[0, 7], [5, 7]]))
    (array([5, 7]), [{'size': [2, 2], 'counts': b'112'}, {'size': [2, 2], 'counts': b'22'}])
    """
    maps = _as_maps(label_map)
    encoded = _encode(maps, background) if maps.numel() else [_nothing() for _ in maps]
    return encoded[0] if label_map.ndim == 2 else encoded


def _encode(maps: torch.Tensor, background: int) -> list[Encoded]:
    height, width = maps.shape[1:]
    operations = operations_for(maps.device, height * width)
    step = operations.most_frames(height, width)
    encoded: list[Encoded] = []
    for first in range(0, len(maps), step):
        some = maps[first : first + step]
        runs = _without(_runs_of(some, operations.places_of_labels(some)), background)
        encoded += _encoded_runs(runs, some.shape)
    return encoded


class _Runs(NamedTuple):
    """Runs of one label: first place, place after the last, label and number of the map."""

    start: torch.Tensor
    stop: torch.Tensor
    label: torch.Tensor
    number: torch.Tensor


def _runs_of(maps: torch.Tensor, found: Places) -> _Runs:
    height, width = maps.shape[1:]
    places = found.places.to(torch.int64)
    number = torch.repeat_interleave(found.offsets.diff(), output_size=places.numel())
    is_start = torch.ones_like(places, dtype=torch.bool)
    is_start[found.offsets[1:] - 1] = False
    start, number = places[is_start], number[is_start]
    # After the last change of a map comes its end.
    stop = places[1:][is_start[:-1]]
    at = (number * height + start % height) * width + start // height
    signed = _SIGNED.get(maps.dtype, maps.dtype)
    label = maps.view(signed).reshape(-1)[at].to(torch.int64)
    if maps.dtype in (torch.uint16, torch.uint32):
        label &= 2 ** (8 * maps.itemsize) - 1
    return _Runs(start, stop, label, number)


def _without(runs: _Runs, background: int) -> _Runs:
    is_mask = runs.label != background
    return _Runs(*(column[is_mask] for column in runs))


def _encoded_runs(runs: _Runs, shape: torch.Size) -> list[Encoded]:
    n, height, width = shape
    labels, index = torch.unique(runs.label, return_inverse=True)
    n_labels = max(labels.numel(), 1)
    keys, order = torch.sort(runs.number * n_labels + index, stable=True)
    masks, n_runs = torch.unique_consecutive(keys, return_counts=True)
    if not masks.numel():
        return [_nothing() for _ in range(n)]
    places = _places_of_runs(runs.start[order], runs.stop[order], n_runs, height * width)
    rles = dicts_of(rles_of_places(places, height, width))
    values = labels[masks % n_labels].cpu().numpy()
    ends = np.searchsorted((masks // n_labels).cpu().numpy(), np.arange(n + 1)).tolist()
    return [(values[a:b], rles[a:b]) for a, b in pairwise(ends)]


def _places_of_runs(
    start: torch.Tensor, stop: torch.Tensor, n_runs: torch.Tensor, n_pixels: int
) -> Places:
    """List the places of masks whose runs lie one after another."""
    is_open = stop[torch.cumsum(n_runs, 0) - 1] < n_pixels
    n_places = 2 * n_runs + is_open
    offsets = running_sums(n_places)
    total = 2 * start.numel() + int(is_open.sum())
    # Where no run comes up to the end of the frame, the end is one more place.
    places = torch.full((total,), n_pixels, device=start.device)
    n_ends = torch.cumsum(is_open, 0) - is_open.to(torch.int64)
    before = torch.repeat_interleave(n_ends, n_runs, output_size=start.numel())
    at = 2 * torch.arange(start.numel(), device=start.device) + before
    places[at] = start
    places[at + 1] = stop
    return Places(places.to(torch.int32) if n_pixels < 2**31 else places, offsets)


def _as_maps(label_map: Any) -> torch.Tensor:
    is_tensor = isinstance(label_map, torch.Tensor)
    if (
        not is_tensor
        or label_map.ndim not in (2, 3)
        or label_map.is_floating_point()
        or label_map.is_complex()
        or label_map.dtype == torch.uint64
    ):
        shape = f"of shape {tuple(label_map.shape)}, {label_map.dtype}" if is_tensor else ""
        raise MtfastError(
            f"a label map {shape or type(label_map).__name__}; expected a tensor of integers below "
            f"2**63, (height, width) or (n, height, width); convert it"
        )
    return (label_map[None] if label_map.ndim == 2 else label_map).contiguous()


def _nothing() -> Encoded:
    return np.empty(0, np.int64), []
