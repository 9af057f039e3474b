"""Form "tensors": a batch is one dict of stacked tensors."""

from __future__ import annotations

from typing import Any

import torch

from mtfast.errors import MtfastError
from mtfast.loaders.batches import PackedBatch, SampleDict, channels_first, check_keys, unpack_batch
from mtfast.loaders.forms.form import Form

__all__ = ["FORM", "convert", "stack", "stack_packed"]

# The keys with one array for a whole batch, which the samples of a batch have in one size.
_STACKED = ("view", "semantic", "image")
_NUMBERS = ("index", "member")


def convert(sample: SampleDict) -> SampleDict:
    """Leave a sample as it is.

    Parameters
    ----------
    sample : dict
        See :mod:`mtfast.loaders.forms`.

    Returns
    -------
    dict
        The same.

    Examples
    --------
    >>> convert({"index": 3})
    {'index': 3}
    """
    return sample


def stack(samples: list[SampleDict]) -> SampleDict:
    """Make a batch of samples, copying their pixels.

    Parameters
    ----------
    samples : list of dict
        At least one; with the same keys, and images of one size and type.

    Returns
    -------
    dict
        ``index`` and, in a mixture, ``member`` (B,), ``view`` (B, 8), ``semantic`` (B, h, w), and
        ``image`` (B, 3, h, w) in the memory format channels_last; the other keys have a list with
        an element a sample.

    Raises
    ------
    MtfastError
        If samples differ in keys, size or type.

    Examples
    --------
    >>> sample = {"index": 7, "name": "a.jpg", "image": torch.zeros(3, 2, 3)}
    >>> batch = stack([sample, sample])
    >>> batch["index"], batch["name"], batch["image"].shape
    (tensor([7, 7]), ['a.jpg', 'a.jpg'], torch.Size([2, 3, 2, 3]))
    """
    check_keys(samples)
    batch: dict[str, Any] = {key: [sample[key] for sample in samples] for key in samples[0]}
    for key in _STACKED:
        if key in batch:
            _check_alike(key, batch[key])
            batch[key] = _stacked_image(batch[key]) if key == "image" else torch.stack(batch[key])
    return batch | {key: torch.tensor(batch[key]) for key in _NUMBERS if key in batch}


def _stacked_image(images: list[torch.Tensor]) -> torch.Tensor:
    return channels_first(torch.stack([image.permute(1, 2, 0) for image in images]))


def _check_alike(key: str, tensors: list[torch.Tensor]) -> None:
    for tensor in tensors:
        if (tensor.shape, tensor.dtype) != (tensors[0].shape, tensors[0].dtype):
            found = [f"{tuple(t.shape)} {str(t.dtype)[6:]}" for t in (tensors[0], tensor)]
            deep = torch.uint16 in (tensor.dtype, tensors[0].dtype)
            advice = "intensity= for 8 bits" if deep else "crop=, resize in the transform"
            raise MtfastError(
                f"a batch with {key} {found[0]} and {key} {found[1]}; expected one size and type; "
                f'give {advice}, or take form="dicts"'
            )


def stack_packed(batch: PackedBatch) -> SampleDict:
    """Make the batch of :func:`stack` of packed samples, without copying anything.

    Parameters
    ----------
    batch : PackedBatch

    Returns
    -------
    dict
        Its tensors are views of the packed batch.
    """
    samples = unpack_batch(batch)
    arrays = batch.arrays()
    for key in _STACKED:
        if key in samples[0] and key not in arrays:
            _check_alike(key, [sample[key] for sample in samples])
    stacked: SampleDict = {
        key: arrays[key] for key in (*_NUMBERS, "view", "semantic") if key in arrays
    }
    if "image" in arrays:
        stacked["image"] = channels_first(arrays["image"])
    return {key: [sample[key] for sample in samples] for key in samples[0]} | stacked


def _holds(sample: Any) -> bool:
    return isinstance(sample, dict) and "view" in sample


FORM = Form(convert, stack, _holds)
