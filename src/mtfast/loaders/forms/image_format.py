"""The order of the channels of images."""

from __future__ import annotations

from typing import Any

from mtfast.errors import MtfastError, one_of
from mtfast.loaders.batches import SampleDict
from mtfast.loaders.forms.registry import FORMS

__all__ = ["IMAGE_FORMATS", "check_image_format", "to_image_format"]

IMAGE_FORMATS = ("RGB", "BGR")


def check_image_format(form: str, image_format: Any) -> str:
    """Refuse an order of channels that does not exist, or that nobody has chosen.

    Parameters
    ----------
    form : str
        One of :data:`mtfast.loaders.forms.FORMS`.
    image_format : {"RGB", "BGR"} or None
        None is RGB, but for the forms of which some models want the one and some the other.

    Returns
    -------
    str
        "RGB" or "BGR".

    Raises
    ------
    MtfastError
        If it is something else, or None where it has to be chosen.

    Examples
    --------
    >>> check_image_format("tensors", None), check_image_format("detectron2", "BGR")
    ('RGB', 'BGR')
    """
    if image_format is None:
        if FORMS[form].needs_image_format:
            raise MtfastError(
                f'form {form!r} without image_format; expected "BGR", as in the defaults of '
                f'detectron2 and the configs of MaskTerial, or "RGB", as in the configs of '
                f"Mask2Former; give what INPUT.FORMAT of the model's config says"
            )
        return "RGB"
    one_of("image_format", image_format, IMAGE_FORMATS)
    return str(image_format)


def to_image_format(sample: SampleDict, image_format: str) -> SampleDict:
    """Put the channels of a sample in another order.

    Parameters
    ----------
    sample : dict
        As plain tensors; its image is RGB.
    image_format : {"RGB", "BGR"}

    Returns
    -------
    dict
        The same dict if there is nothing to do.

    Examples
    --------
    >>> import torch
    >>> sample = {"image": torch.tensor([[[1]], [[2]], [[3]]])}
    >>> to_image_format(sample, "BGR")["image"].flatten()
    tensor([3, 2, 1])
    """
    if image_format == "RGB" or "image" not in sample:
        return sample
    return sample | {"image": sample["image"].flip(0)}
