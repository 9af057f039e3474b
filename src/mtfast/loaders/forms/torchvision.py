"""Form "torchvision": what the detection models of torchvision take, as plain tensors.

Their ``forward`` documents it: https://pytorch.org/vision/stable/models/mask_rcnn.html
"""

from __future__ import annotations

from typing import Any

import torch

from mtfast.loaders.batches import SampleDict
from mtfast.loaders.forms.form import Form, added_tensors, without_empty_instances

__all__ = ["FORM", "collate_pairs", "convert", "is_pair"]


def convert(sample: SampleDict) -> tuple[torch.Tensor | None, SampleDict]:
    """Make the image and the target of a detection model.

    Parameters
    ----------
    sample : dict
        See :mod:`mtfast.loaders.forms`.

    Returns
    -------
    image : (3, h, w) float32 or None
        From 0 to 1; as it is if it is not of integers, as after a transform.
    target : dict
        ``image_id`` int, the index of the image; ``boxes`` (n, 4) float32, [left, top, right,
        bottom]; ``labels`` (n,) int64, from 1 on, as 0 is the background; ``masks`` (n, h, w)
        uint8; ``area`` (n,) float32; ``iscrowd`` (n,) int64, all 0; and ``semantic`` if it was
        asked for. Instances of which a transform has left nothing are dropped, as the models
        refuse boxes without an area.

    Examples
    --------
    >>> white = torch.full((3, 2, 2), 255, dtype=torch.uint8)
    >>> image, target = convert({"index": 3, "image": white})
    >>> image.max(), target
    (tensor(1.), {'image_id': 3})
    """
    target: dict[str, Any] = {"image_id": sample["index"]}
    if "masks" in sample:
        sample = without_empty_instances(sample)
        target["boxes"] = sample["boxes"].float()
        target["labels"] = sample["labels"]
        target["masks"] = sample["masks"].to(torch.uint8)
        target["area"] = sample["areas"].float()
        target["iscrowd"] = torch.zeros_like(sample["labels"])
    if "semantic" in sample:
        target["semantic"] = sample["semantic"]
    return _as_float(sample.get("image")), target | added_tensors(sample)


def _as_float(image: torch.Tensor | None) -> torch.Tensor | None:
    if image is None or image.is_floating_point():
        return image
    return image.to(torch.float32) / torch.iinfo(image.dtype).max


def collate_pairs(samples: list[tuple[Any, Any]]) -> tuple[list[Any], list[Any]]:
    """Make a batch of pairs.

    Parameters
    ----------
    samples : list of (image, target)

    Returns
    -------
    images, targets : list

    Examples
    --------
    >>> collate_pairs([("a", 1), ("b", 2)])
    (['a', 'b'], [1, 2])
    """
    return [image for image, _ in samples], [target for _, target in samples]


def is_pair(sample: Any) -> bool:
    """Say whether a sample is an image and a target.

    Parameters
    ----------
    sample : object

    Returns
    -------
    bool

    Examples
    --------
    >>> is_pair((None, {}))
    True
    """
    return isinstance(sample, tuple) and len(sample) == 2 and isinstance(sample[1], dict)


FORM = Form(convert, collate_pairs, is_pair)
