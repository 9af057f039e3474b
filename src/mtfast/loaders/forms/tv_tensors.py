"""Form "tv_tensors": pairs of an Image and a target, as torchvision's v2 transforms take them.

https://pytorch.org/vision/stable/transforms.html
"""

from __future__ import annotations

from typing import Any

import torch

from mtfast.errors import MtfastError, shown
from mtfast.loaders.batches import SampleDict
from mtfast.loaders.forms.form import Form, Transform, import_library, sample_size
from mtfast.loaders.forms.torchvision import collate_pairs, is_pair

__all__ = ["FORM", "convert", "require", "transform_pair"]


def require() -> None:
    """Raise if there is no torchvision that imports.

    Raises
    ------
    MtfastError
    """
    import_library("torchvision", "pip install torch torchvision")


def convert(sample: SampleDict) -> tuple[Any, dict[str, Any]]:
    """Make a pair of tv_tensors.

    Parameters
    ----------
    sample : dict
        See :mod:`mtfast.loaders.forms`.

    Returns
    -------
    image : Image or None
    target : dict
        The other keys; ``semantic`` and ``masks`` are a ``Mask``, ``boxes`` are ``BoundingBoxes``
        in the format XYXY. Semantic masks of uint16 become int32, as torch does not flip uint16.

    Notes
    -----
    Transforms of torchvision that drop boxes drop the same rows of ``masks``, ``labels``, ``areas``
    and ``ids``, and leave ``semantic`` whole, also those that are called after the loader. What
    they do not do is measure ``areas`` again: a ``transform=`` of the dataset has that done.
    """
    from torchvision import tv_tensors

    from mtfast.loaders.forms.tv_classes import Column, SemanticMask, Target

    target = Target(sample)
    image = target.pop("image", None)
    for key in ("view", "labels", "areas", "ids"):
        if key in target:
            target[key] = Column.of(target[key])
    if "semantic" in target:
        semantic = target["semantic"]
        wide = semantic.dtype == torch.uint16
        target["semantic"] = SemanticMask(semantic.to(torch.int32) if wide else semantic)
    if "masks" in target:
        target["masks"] = tv_tensors.Mask(target["masks"])
        target["boxes"] = tv_tensors.BoundingBoxes(
            target["boxes"], format="XYXY", canvas_size=sample_size(sample)
        )
    return None if image is None else tv_tensors.Image(image), target


def transform_pair(sample: SampleDict, transform: Transform) -> SampleDict:
    """Call a transform on the pair of a sample.

    Parameters
    ----------
    sample : dict
        As plain tensors.
    transform : callable
        ``transform(image, target)`` returns such a pair.

    Returns
    -------
    dict
        As plain tensors.

    Raises
    ------
    MtfastError
        If it returns no pair, or boxes in another format.
    """
    from mtfast.loaders.forms.tv_classes import Target, in_step

    made = transform(*convert(sample))
    if not (isinstance(made, list | tuple) and is_pair(tuple(made))):
        raise MtfastError(
            f"a transform returned {shown(made)}; expected the pair of an image and a target; "
            f"return (image, target)"
        )
    image, target = made
    _check_box_format(target.get("boxes"))
    whole = in_step(Target(target)) | ({} if image is None else {"image": image})
    return {key: _as_plain(value) for key, value in whole.items()}


def _check_box_format(boxes: Any) -> None:
    box_format = getattr(boxes, "format", None)
    if box_format is not None and box_format.value != "XYXY":
        raise MtfastError(
            f"a transform returned boxes in the format {box_format.value}; expected XYXY; convert "
            f"them after the loader"
        )


def _as_plain(value: Any) -> Any:
    return value.as_subclass(torch.Tensor) if isinstance(value, torch.Tensor) else value


FORM = Form(convert, collate_pairs, is_pair, require, transform_pair)
