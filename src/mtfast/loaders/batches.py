"""How a batch travels from a worker process: all of its arrays in one tensor.

Torch spends a file descriptor, and a message back and forth, on each tensor that a worker sends,
which takes as long as reading half a sample. So the arrays of all samples are concatenated, key by
key, into one buffer, and what users get are views of it, made in their own process.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from mtfast.loaders.reader import TrainingSample
from mtfast.painting.instance_targets import InstanceTargets

__all__ = ["PackedBatch", "SampleDict", "channels_first", "pack_batch", "unpack_batch"]

SampleDict: TypeAlias = dict[str, Any]
"""One sample as plain tensors, see :mod:`mtfast.loaders.forms`."""

_INSTANCES = InstanceTargets._fields
# Where an array of any type may begin.
_ALIGNMENT = 8


class PackedBatch(NamedTuple):
    """Samples of one size in one buffer.

    Attributes
    ----------
    data : (n_bytes,) uint8
        The arrays one after another, each in C order.
    layout : list of (key, type, shape, first byte)
        Of each array in ``data``.
    names : list of str
        Of each sample's image.
    n_instances : list of int, or None
        Of each sample; None without instances.
    """

    data: torch.Tensor
    layout: list[tuple[str, torch.dtype, tuple[int, ...], int]]
    names: list[str]
    n_instances: list[int] | None

    def arrays(self) -> dict[str, torch.Tensor]:
        """Return views of the arrays by key: the first axis counts samples, or all instances."""
        views = {}
        for key, dtype, shape, start in self.layout:
            n_bytes = dtype.itemsize * math.prod(shape)
            views[key] = self.data[start : start + n_bytes].view(dtype).view(shape)
        return views


def pack_batch(samples: Sequence[TrainingSample]) -> PackedBatch:
    """Copy samples into one buffer.

    Parameters
    ----------
    samples : sequence of TrainingSample
        At least one; all of one size, and with the same targets.

    Returns
    -------
    PackedBatch
        With ``index`` (B,) and ``view`` (B, 8) int64; ``image`` (B, h, w, 3) uint8; ``semantic``
        (B, h, w) uint8 or uint16; and the arrays of all samples' instances, concatenated.

    Examples
    --------
    >>> from mtfast.loaders.views import View
    >>> sample = TrainingSample(7, "a.jpg", View(0, 0, 2, 3, 2, 3), np.zeros((2, 3, 3), np.uint8))
    >>> batch = pack_batch([sample, sample])
    >>> {key: tuple(array.shape) for key, array in batch.arrays().items()}
    {'index': (2,), 'view': (2, 8), 'image': (2, 2, 3, 3)}
    """
    pieces = _pieces_by_key(samples)
    layout = []
    end = 0
    for key, arrays in pieces.items():
        first = arrays[0]
        shape = (sum(map(len, arrays)), *first.shape[1:])
        layout.append((key, torch.from_numpy(np.empty(0, first.dtype)).dtype, shape, end))
        n_bytes = first.dtype.itemsize * math.prod(shape)
        end += -(-n_bytes // _ALIGNMENT) * _ALIGNMENT
    targets = [sample.instances for sample in samples if sample.instances is not None]
    batch = PackedBatch(
        torch.empty(end, dtype=torch.uint8),
        layout,
        [sample.name for sample in samples],
        [len(target.ids) for target in targets] if targets else None,
    )
    for key, out in batch.arrays().items():
        np.concatenate(pieces[key], out=out.numpy(), casting="no")
    return batch


def _pieces_by_key(samples: Sequence[TrainingSample]) -> dict[str, list[NDArray[Any]]]:
    """List for each key the arrays that are concatenated."""
    pieces = {
        "index": [np.array([sample.index for sample in samples], np.int64)],
        "view": [np.array([sample.view for sample in samples], np.int64)],
    }
    for key in ("image", "semantic"):
        if getattr(samples[0], key) is not None:
            pieces[key] = [getattr(sample, key)[np.newaxis] for sample in samples]
    if samples[0].instances is not None:
        for key in _INSTANCES:
            pieces[key] = [getattr(sample.instances, key) for sample in samples]
    return pieces


def unpack_batch(batch: PackedBatch) -> list[SampleDict]:
    """Return the samples of a batch as views of its buffer.

    Parameters
    ----------
    batch : PackedBatch

    Returns
    -------
    list of dict
        See :mod:`mtfast.loaders.forms`.

    Examples
    --------
    >>> from mtfast.loaders.views import View
    >>> sample = TrainingSample(7, "a.jpg", View(0, 0, 2, 3, 2, 3), np.zeros((2, 3, 3), np.uint8))
    >>> (unpacked,) = unpack_batch(pack_batch([sample]))
    >>> unpacked["name"], unpacked["image"].shape
    ('a.jpg', torch.Size([3, 2, 3]))
    """
    arrays = batch.arrays()
    columns: dict[str, Iterator[Any]] = {
        "index": iter(arrays["index"].tolist()),
        "name": iter(batch.names),
        "view": iter(arrays["view"]),
    }
    if "image" in arrays:
        columns["image"] = iter(channels_first(arrays["image"]))
    if "semantic" in arrays:
        columns["semantic"] = iter(arrays["semantic"])
    if batch.n_instances is not None:
        for key in _INSTANCES:
            columns[key] = iter(arrays[key].split(batch.n_instances))
    rows = zip(*columns.values(), strict=True)
    return [dict(zip(columns, row, strict=True)) for row in rows]


def channels_first(images: torch.Tensor) -> torch.Tensor:
    """Move the channels of images forward, as torch's layers want them.

    Parameters
    ----------
    images : (B, h, w, 3) tensor

    Returns
    -------
    (B, 3, h, w) tensor
        A view; in torch's words its memory format is ``channels_last``.

    Examples
    --------
    >>> channels_first(torch.zeros(8, 40, 60, 3)).shape
    torch.Size([8, 3, 40, 60])
    """
    return images.permute(0, 3, 1, 2)
