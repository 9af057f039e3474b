"""Samples as PyTorch and the libraries around it want them.

Samples travel from a worker process as a *pack*: an array for each kind of thing, those of the
instances one after another with the number of each sample's beside them, and all of it in one
tensor. Each tensor more would be a file descriptor to ask the worker for, which takes as long as
to read half a sample. What a form is made of are views of the pack.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from mtfast.errors import MtfastError
from mtfast.loaders.reader import Item
from mtfast.painting.targets import InstanceTargets

__all__ = ["FORMS", "Form", "Pack", "pack", "unpack"]

Sample = dict[str, Any]
Form = Callable[[list[Sample]], Any]

_INSTANCES = InstanceTargets._fields


class Pack(NamedTuple):
    """Samples of one size, to travel together.

    Attributes
    ----------
    data : (n_bytes,) uint8
        The arrays, one after another.
    places : list of (key, type, shape, first byte)
        Of each array in ``data``.
    names : list of str
        Of each sample's image.
    n_instances : list of int, or None
        Of each sample, where there are instances.
    """

    data: torch.Tensor
    places: list[tuple[str, torch.dtype, tuple[int, ...], int]]
    names: list[str]
    n_instances: list[int] | None

    def arrays(self) -> dict[str, torch.Tensor]:
        """Return views of the arrays by key."""
        found = {}
        for key, dtype, shape, start in self.places:
            n_bytes = dtype.itemsize * math.prod(shape)
            found[key] = self.data[start : start + n_bytes].view(dtype).view(shape)
        return found


def pack(items: Sequence[Item]) -> Pack:
    """Put samples of one size together."""
    arrays: dict[str, list[Any]] = {
        "index": [[item.index for item in items]],
        "view": [np.array([item.view for item in items], np.int64)],
    }
    for key in ("image", "semantic"):
        if getattr(items[0], key) is not None:
            arrays[key] = [getattr(item, key)[np.newaxis] for item in items]
    targets = [item.instances for item in items if item.instances is not None]
    if targets:
        for key in _INSTANCES:
            arrays[key] = [getattr(target, key) for target in targets]
    places = []
    parts = []
    end = 0
    for key, pieces in arrays.items():
        parts.append([np.asarray(piece) for piece in pieces])
        first = parts[-1][0]
        shape = (sum(len(piece) for piece in parts[-1]), *first.shape[1:])
        dtype = torch.from_numpy(np.empty(0, first.dtype)).dtype
        places.append((key, dtype, shape, end))
        # The next begins where any type may.
        end += -(-first.dtype.itemsize * math.prod(shape) // 8) * 8
    data = torch.empty(end, dtype=torch.uint8)
    found = Pack(
        data,
        places,
        [item.name for item in items],
        [len(target.ids) for target in targets] if targets else None,
    )
    for array, pieces in zip(found.arrays().values(), parts, strict=True):
        np.concatenate(pieces, out=array.numpy(), casting="no")
    return found


def unpack(packed: Pack) -> list[Sample]:
    """Take a pack apart: a dict of plain tensors for each sample, see :func:`as_tensors`."""
    arrays = packed.arrays()
    columns: dict[str, Iterator[Any]] = {
        "index": iter(arrays["index"].tolist()),
        "name": iter(packed.names),
        "view": iter(arrays["view"]),
    }
    if "image" in arrays:
        columns["image"] = iter(arrays["image"].permute(0, 3, 1, 2))
    if "semantic" in arrays:
        columns["semantic"] = iter(arrays["semantic"])
    if packed.n_instances is not None:
        for key in _INSTANCES:
            columns[key] = iter(arrays[key].split(packed.n_instances))
    rows = zip(*columns.values(), strict=True)
    return [dict(zip(columns, row, strict=True)) for row in rows]


def as_tensors(samples: list[Sample]) -> list[Sample]:
    """Leave samples as dicts of plain tensors.

    ``image`` (3, h, w) uint8 RGB; ``semantic`` (h, w) uint8, or uint16 in a set of more than 255
    classes, numbers of classes from 1 on and 0 for background; ``masks`` (n, h, w) bool; ``boxes``
    (n, 4) float32 [left, top, right, bottom]; ``labels`` (n,) int64, numbers of classes; ``areas``
    and ``ids`` (n,) int64; ``index`` and ``name`` of the image; ``view`` (8,) int64, a
    :class:`mtfast.loaders.views.View`.
    """
    return samples


def as_tv_tensors(samples: list[Sample]) -> list[tuple[Any, Sample]]:
    """Make (image, target) pairs of ``torchvision.tv_tensors``, as its v2 transforms take them."""
    try:
        from torchvision import tv_tensors
    except ImportError:
        raise MtfastError(
            "samples as tv_tensors, but no 'torchvision'; expected it to be installed; "
            "run: pip install torchvision"
        ) from None
    pairs = []
    for sample in samples:
        target = dict(sample)
        image = target.pop("image", None)
        if "semantic" in target:
            target["semantic"] = tv_tensors.Mask(target["semantic"])
        if "masks" in target:
            size = target["masks"].shape[-2:]
            target["masks"] = tv_tensors.Mask(target["masks"])
            target["boxes"] = tv_tensors.BoundingBoxes(
                target["boxes"], format="XYXY", canvas_size=tuple(size)
            )
        pairs.append((None if image is None else tv_tensors.Image(image), target))
    return pairs


def as_detectron2(samples: list[Sample], bit_masks: bool = True) -> list[Sample]:
    """Make the dicts that models of detectron2 take.

    ``image``, ``file_name``, ``image_id`` (index of the image), ``height``, ``width``; ``sem_seg``
    (h, w) int64 with 0 for background and numbers of classes from 1 on, as in the masks of the set;
    ``instances`` with ``gt_boxes``, ``gt_classes`` (from 0 on) and ``gt_masks``, BitMasks.
    """
    return [_detectron2_dict(sample, bit_masks) for sample in samples]


def as_mask2former(samples: list[Sample]) -> list[Sample]:
    """Make the dicts of :func:`as_detectron2` with ``gt_masks`` a bool tensor (n, h, w)."""
    return as_detectron2(samples, bit_masks=False)


def _detectron2_dict(sample: Sample, bit_masks: bool) -> Sample:
    given = {"file_name": sample["name"], "image_id": sample["index"]}
    if "image" in sample:
        given["image"] = sample["image"]
    height, width = _size(sample)
    given |= {"height": height, "width": width}
    if "semantic" in sample:
        given["sem_seg"] = sample["semantic"].long()
    if "masks" in sample:
        try:
            from detectron2.structures import BitMasks, Boxes, Instances
        except ImportError:
            raise MtfastError(
                "instances for detectron2, but no 'detectron2'; expected it to be installed; run: "
                "pip install 'git+https://github.com/facebookresearch/detectron2', or leave "
                '"instances" out of the targets'
            ) from None
        masks = sample["masks"]
        given["instances"] = Instances(
            (height, width),
            gt_boxes=Boxes(sample["boxes"]),
            gt_classes=sample["labels"] - 1,
            gt_masks=BitMasks(masks) if bit_masks else masks,
        )
    return given


def _size(sample: Sample) -> tuple[int, int]:
    """Height and width of a sample, which its view has before it is turned."""
    height, width, _, turns = sample["view"].tolist()[4:]
    return (width, height) if turns % 2 else (height, width)


FORMS: dict[str, Form] = {
    "tensors": as_tensors,
    "tv_tensors": as_tv_tensors,
    "detectron2": as_detectron2,
    "mask2former": as_mask2former,
}


def collate(form: str, packed: Pack) -> Any:
    """Make a batch of a pack.

    "tensors": one dict, image, semantic, view and index stacked, lists of the rest; "tv_tensors": a
    list of images and a list of targets; the others: a list of dicts.
    """
    samples = unpack(packed)
    if form == "tensors":
        arrays = packed.arrays()
        batch = {key: [sample[key] for sample in samples] for key in samples[0]}
        batch |= {k: arrays[k] for k in ("index", "view", "semantic") if k in arrays}
        if "image" in arrays:
            batch["image"] = arrays["image"].permute(0, 3, 1, 2)
        return batch
    made = FORMS[form](samples)
    return tuple(map(list, zip(*made, strict=True))) if form == "tv_tensors" else made
