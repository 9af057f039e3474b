"""The forms by name."""

from __future__ import annotations

from typing import Any

from mtfast.errors import MtfastError, no_such, one_of, shown
from mtfast.loaders.batches import PackedBatch, unpack_batch
from mtfast.loaders.forms import detectron2, dicts, mask2former, tensors, torchvision, tv_tensors
from mtfast.loaders.forms.form import Form, Formatted

__all__ = ["FORMS", "check_form", "check_image_format", "collate", "format_batch"]

FORMS: dict[str, Form] = {
    "tensors": tensors.FORM,
    "dicts": dicts.FORM,
    "tv_tensors": tv_tensors.FORM,
    "torchvision": torchvision.FORM,
    "detectron2": detectron2.FORM,
    "mask2former": mask2former.FORM,
}
"""The forms by the names that ``Dataset(form=...)`` takes."""


def check_form(form: Any) -> str:
    """Refuse a form that is unknown, or whose library is missing.

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
        If it is not one of :data:`FORMS`, or a library that it needs does not import.

    Examples
    --------
    >>> check_form("dicts")
    'dicts'
    """
    if not isinstance(form, str) or form not in FORMS:
        raise MtfastError(no_such("form", str(form), FORMS, "mtfast.loaders"))
    FORMS[form].require()
    return form


def check_image_format(form: str, image_format: Any) -> str:
    """Refuse an order of channels that does not exist, or that nobody has chosen.

    Parameters
    ----------
    form : str
        One of :data:`FORMS`.
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
    one_of("image_format", image_format, ("RGB", "BGR"))
    return str(image_format)


def format_batch(form: str, batch: PackedBatch) -> Any:
    """Make of a packed batch what an iteration of the loader yields.

    Parameters
    ----------
    form : str
        One of :data:`FORMS`.
    batch : PackedBatch

    Returns
    -------
    dict, pair of lists, or list
        What the form's ``collate`` makes of the converted samples; in the form "tensors" they are
        views of the packed batch, and nothing is copied.

    Examples
    --------
    >>> import numpy as np
    >>> from mtfast.loaders.batches import pack_batch
    >>> from mtfast.loaders.reader import TrainingSample
    >>> from mtfast.loaders.views import View
    >>> sample = TrainingSample(7, "a.jpg", View(0, 0, 2, 3, 2, 3), np.zeros((2, 3, 3), np.uint8))
    >>> batch = format_batch("tensors", pack_batch([sample, sample]))
    >>> batch["name"], batch["image"].shape
    (['a.jpg', 'a.jpg'], torch.Size([2, 3, 2, 3]))
    """
    if form == "tensors":
        return tensors.stack_packed(batch)
    return FORMS[form].collate([FORMS[form].convert(sample) for sample in unpack_batch(batch)])


def collate(samples: list[Formatted]) -> Formatted:
    """Make a batch of samples of any form, as ``collate_fn`` of PyTorch's own DataLoader.

    Parameters
    ----------
    samples : list
        At least one; what a :class:`mtfast.loaders.torch.Dataset` returns.

    Returns
    -------
    dict, pair of lists, or list
        What a :class:`mtfast.loaders.torch.Loader` yields in that form.

    Raises
    ------
    MtfastError
        If they are samples of no form, or cannot be stacked.

    Examples
    --------
    >>> collate([(None, {"image_id": 3}), (None, {"image_id": 5})])
    ([None, None], [{'image_id': 3}, {'image_id': 5}])
    """
    # "tensors" is asked last, as a transform may have added any key to its dicts.
    for form in reversed(FORMS.values()):
        if samples and all(map(form.holds, samples)):
            return form.collate(samples)
    raise MtfastError(
        f"a batch of {shown(samples)}; expected samples of an mtfast.loaders.torch.Dataset; "
        f"collate other samples with a function of your own"
    )
