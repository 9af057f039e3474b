"""Masks on a device as the places where their runs end, and as toggle lists."""

from __future__ import annotations

from typing import NamedTuple

import torch

__all__ = ["Lists", "Places", "running_sums"]


class Places(NamedTuple):
    """A batch of masks as the running sums of their counts.

    Attributes
    ----------
    places : int32 or int64 tensor
        Where the value changes down the columns of a frame, and after each mask its number of
        pixels; see :mod:`mtfast.kernels.device.encode`.
    offsets : (n + 1,) int64 tensor
        The places of mask k are places[offsets[k]:offsets[k + 1]].
    """

    places: torch.Tensor
    offsets: torch.Tensor


class Lists(NamedTuple):
    """A batch of masks as toggle lists; see :mod:`mtfast.kernels.rle.toggle_lists`.

    Attributes
    ----------
    toggles : int32 or int64 tensor
        Where masks begin and end in their column-major frames.
    offsets : (n + 1,) int64 tensor
        The list of mask k is toggles[offsets[k]:offsets[k + 1]]; its last value is a sentinel.
    heights : (n,) tensor
        Of the dtype of the toggles.
    n : int
    """

    toggles: torch.Tensor
    offsets: torch.Tensor
    heights: torch.Tensor
    n: int


def running_sums(lengths: torch.Tensor) -> torch.Tensor:
    """Return 0 and the sums of the first 1, 2 … n lengths.

    Parameters
    ----------
    lengths : (n,) tensor of integers

    Returns
    -------
    (n + 1,) int64 tensor

    Examples
    --------
    >>> running_sums(torch.tensor([2, 0, 5]))
    tensor([0, 2, 2, 7])
    """
    sums = torch.zeros(lengths.numel() + 1, dtype=torch.int64, device=lengths.device)
    torch.cumsum(lengths, 0, dtype=torch.int64, out=sums[1:])
    return sums
