"""Samples and batches as PyTorch and the libraries around it take them.

A format is a function from the samples of a batch, as plain tensors, to what a model is given.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from mtfast.errors import MtfastError, no_such
from mtfast.loaders.batches import PackedBatch, SampleDict, channels_first, unpack_batch

__all__ = [
    "SAMPLE_FORMATS",
    "SampleFormat",
    "as_detectron2",
    "as_mask2former",
    "as_tensors",
    "as_tv_tensors",
    "check_format",
    "collate",
    "format_samples",
]

SampleFormat: TypeAlias = Callable[[list[SampleDict]], list[Any]]
"""What makes the samples of a batch of their plain tensors."""


def as_tensors(samples: list[SampleDict]) -> list[SampleDict]:
    """Leave samples as dicts of plain tensors.

    Parameters
    ----------
    samples : list of dict
        See Notes.

    Returns
    -------
    list of dict
        The same list.

    Notes
    -----
    Each dict has, where they were asked for:

    ============ ================================================================================
    ``index``    int, of the image in its split
    ``name``     str, of the image
    ``view``     (8,) int64, a :class:`mtfast.loaders.views.View`
    ``image``    (3, h, w) uint8, RGB; a view of (h, w, 3) memory
    ``semantic`` (h, w) uint8, or uint16 in a set of more than 255 classes: numbers of classes
                 from 1 on, 0 for background
    ``masks``    (n, h, w) bool
    ``boxes``    (n, 4) float32, [left, top, right, bottom] in pixels, the last two exclusive
    ``labels``   (n,) int64, numbers of classes from 1 on
    ``areas``    (n,) int64, pixels of each mask
    ``ids``      (n,) int64, annotation ids
    ============ ================================================================================
    """
    return samples


def as_tv_tensors(samples: list[SampleDict]) -> list[tuple[Any, SampleDict]]:
    """Make (image, target) pairs of ``torchvision.tv_tensors``, as its v2 transforms take them.

    Parameters
    ----------
    samples : list of dict
        See :func:`as_tensors`.

    Returns
    -------
    list of (Image or None, dict)
        The dict has the other keys; ``semantic`` and ``masks`` are a ``Mask``, ``boxes`` are
        ``BoundingBoxes`` in the format XYXY.

    Raises
    ------
    MtfastError
        If there is no torchvision.
    """
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


def as_detectron2(samples: list[SampleDict]) -> list[SampleDict]:
    """Make the dicts that models of detectron2 take.

    Parameters
    ----------
    samples : list of dict
        See :func:`as_tensors`.

    Returns
    -------
    list of dict
        ``file_name``; ``image_id``, the index of the image; ``height`` and ``width`` of the
        sample; ``image`` (3, h, w) uint8 RGB; ``sem_seg`` (h, w) int64, 0 for background and
        numbers of classes from 1 on; ``instances``, an ``Instances`` with ``gt_boxes``,
        ``gt_classes`` (n,) int64 from 0 on and ``gt_masks``, ``BitMasks``.

    Raises
    ------
    MtfastError
        If there are instances, but no detectron2.
    """
    return [_detectron2_dict(sample, bit_masks=True) for sample in samples]


def as_mask2former(samples: list[SampleDict]) -> list[SampleDict]:
    """Make the dicts of :func:`as_detectron2`, but with plain tensors as masks.

    Parameters
    ----------
    samples : list of dict
        See :func:`as_tensors`.

    Returns
    -------
    list of dict
        Their ``gt_masks`` are (n, h, w) bool.

    Raises
    ------
    MtfastError
        If there are instances, but no detectron2.
    """
    return [_detectron2_dict(sample, bit_masks=False) for sample in samples]


def _detectron2_dict(sample: SampleDict, bit_masks: bool) -> SampleDict:
    height, width = _size(sample)
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
        made["instances"] = _detectron2_instances(sample, (height, width), bit_masks)
    return made


def _detectron2_instances(sample: SampleDict, size: tuple[int, int], bit_masks: bool) -> Any:
    try:
        from detectron2.structures import BitMasks, Boxes, Instances
    except ImportError:
        raise MtfastError(
            "instances for detectron2, but no 'detectron2'; expected it to be installed; run: "
            "pip install 'git+https://github.com/facebookresearch/detectron2', or leave "
            '"instances" out of the targets'
        ) from None
    masks = sample["masks"]
    return Instances(
        size,
        gt_boxes=Boxes(sample["boxes"]),
        gt_classes=sample["labels"] - 1,
        gt_masks=BitMasks(masks) if bit_masks else masks,
    )


def _size(sample: SampleDict) -> tuple[int, int]:
    """Height and width of a sample; those of its view are from before it is turned."""
    height, width, _, turns = sample["view"].tolist()[4:]
    return (width, height) if turns % 2 else (height, width)


SAMPLE_FORMATS: dict[str, SampleFormat] = {
    "tensors": as_tensors,
    "tv_tensors": as_tv_tensors,
    "detectron2": as_detectron2,
    "mask2former": as_mask2former,
}
"""The formats by the names that ``Dataset(form=...)`` takes."""


def check_format(form: str) -> str:
    """Refuse a format that is not there.

    Parameters
    ----------
    form : str

    Returns
    -------
    str
        The same.

    Raises
    ------
    MtfastError
        If it is not one of :data:`SAMPLE_FORMATS`.

    Examples
    --------
    >>> check_format("mask2former")
    'mask2former'
    """
    if not isinstance(form, str) or form not in SAMPLE_FORMATS:
        raise MtfastError(no_such("form", str(form), SAMPLE_FORMATS, "mtfast.loaders"))
    return form


def format_samples(form: str, batch: PackedBatch) -> list[Any]:
    """Return the samples of a batch in a format.

    Parameters
    ----------
    form : str
        One of :data:`SAMPLE_FORMATS`.
    batch : PackedBatch

    Returns
    -------
    list
        An element a sample.
    """
    return SAMPLE_FORMATS[form](unpack_batch(batch))


def collate(form: str, batch: PackedBatch) -> Any:
    """Make of a batch what an iteration of the loader yields.

    Parameters
    ----------
    form : str
        One of :data:`SAMPLE_FORMATS`.
    batch : PackedBatch

    Returns
    -------
    dict, or pair of lists, or list of dict
        "tensors": a dict in which image, semantic, view and index are stacked and the other keys
        have a list; "tv_tensors": a list of images and a list of targets; the others: a list.

    Examples
    --------
    >>> import numpy as np
    >>> from mtfast.loaders.batches import pack_batch
    >>> from mtfast.loaders.reader import TrainingSample
    >>> from mtfast.loaders.views import View
    >>> sample = TrainingSample(7, "a.jpg", View(0, 0, 2, 3, 2, 3), np.zeros((2, 3, 3), np.uint8))
    >>> batch = collate("tensors", pack_batch([sample, sample]))
    >>> batch["name"], batch["image"].shape
    (['a.jpg', 'a.jpg'], torch.Size([2, 3, 2, 3]))
    """
    samples = format_samples(form, batch)
    if form == "tv_tensors":
        return tuple(map(list, zip(*samples, strict=True)))
    if form == "tensors":
        arrays = batch.arrays()
        stacked = {k: v for k, v in arrays.items() if k in ("index", "view", "semantic")}
        if "image" in arrays:
            stacked["image"] = channels_first(arrays["image"])
        return {key: [sample[key] for sample in samples] for key in samples[0]} | stacked
    return samples
