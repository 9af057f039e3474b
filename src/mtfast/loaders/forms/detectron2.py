"""Form "detectron2": the dicts that models of detectron2 take.

https://detectron2.readthedocs.io/en/latest/tutorials/models.html#model-input-format
"""

from __future__ import annotations

from typing import Any

from mtfast.loaders.batches import SampleDict
from mtfast.loaders.forms.form import (
    Form,
    added_tensors,
    import_library,
    sample_size,
    view_size,
    without_empty_instances,
)

__all__ = ["FORM", "convert", "holds", "make_dict", "require"]


def require() -> None:
    """Raise if there is no detectron2 that imports.

    Raises
    ------
    MtfastError
    """
    import_library(
        "detectron2.structures",
        "pip install --no-build-isolation 'git+https://github.com/facebookresearch/detectron2'",
    )


def convert(sample: SampleDict) -> SampleDict:
    """Make what detectron2's own DatasetMapper makes of an image and its annotations.

    Parameters
    ----------
    sample : dict
        See :mod:`mtfast.loaders.forms`.

    Returns
    -------
    dict
        ``file_name``; ``image_id``, the index of the image; ``height`` and ``width`` that the
        sample was read with, to which predictions are resized; ``image`` (3, h, w) uint8, BGR or
        RGB; ``sem_seg`` (h, w) int64, 0 for background and numbers of classes from 1 on;
        ``instances``, an ``Instances`` with ``gt_boxes``, ``gt_classes`` (n,) int64 from 0 on and
        ``gt_masks``, ``BitMasks``. Instances of which a transform has left nothing are dropped.

    Notes
    -----
    Where detectron2's mapper gives the id and the path of the file, this gives the index in the
    split and the name of the image.
    """
    made = make_dict(sample)
    if "instances" in made:
        from detectron2.structures import BitMasks

        made["instances"].gt_masks = BitMasks(made["instances"].gt_masks)
    return made


def make_dict(sample: SampleDict) -> SampleDict:
    """Make the dict of :func:`convert` with plain tensors as masks.

    Parameters
    ----------
    sample : dict
        See :mod:`mtfast.loaders.forms`.

    Returns
    -------
    dict
        Its ``gt_masks`` are (n, h, w) bool.
    """
    height, width = view_size(sample)
    made = {
        "file_name": sample["name"],
        "image_id": sample["index"],
        "height": height,
        "width": width,
    }
    if "image" in sample:
        made["image"] = sample["image"]
    if "semantic" in sample:
        made["sem_seg"] = sample["semantic"].long()
    if "masks" in sample:
        made["instances"] = _instances(without_empty_instances(sample))
    return made | added_tensors(sample)


def _instances(sample: SampleDict) -> Any:
    from detectron2.structures import Boxes, Instances

    return Instances(
        sample_size(sample),
        gt_boxes=Boxes(sample["boxes"]),
        gt_classes=sample["labels"] - 1,
        gt_masks=sample["masks"].bool(),
    )


def holds(sample: Any) -> bool:
    """Say whether a sample is a dict for detectron2.

    Parameters
    ----------
    sample : object

    Returns
    -------
    bool

    Examples
    --------
    >>> holds({"file_name": "a.jpg", "image_id": 3})
    True
    """
    return isinstance(sample, dict) and "file_name" in sample


FORM = Form(convert, list, holds, require, needs_image_format=True)
