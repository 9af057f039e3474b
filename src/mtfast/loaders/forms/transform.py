"""Users' own transforms, and the check of what they return."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from mtfast.errors import MtfastError, shown
from mtfast.loaders.batches import SampleDict
from mtfast.loaders.forms.form import INSTANCE_KEYS, Transform
from mtfast.loaders.forms.registry import FORMS

__all__ = ["apply_transform"]

# Where a sample comes from.
_ORIGIN = ("index", "name", "member", "view")

_DIMENSIONS = {
    "image": ("channels", "height", "width"),
    "semantic": ("height", "width"),
    "masks": ("n", "height", "width"),
    "boxes": ("n", "4"),
    "labels": ("n",),
    "areas": ("n",),
    "ids": ("n",),
}


def apply_transform(form: str, sample: SampleDict, transform: Transform) -> SampleDict:
    """Call a user's transform on a sample.

    Parameters
    ----------
    form : str
        One of :data:`mtfast.loaders.forms.FORMS`.
    sample : dict
        As plain tensors.
    transform : callable
        Called on the image and the target of the form "tv_tensors"; for all other forms, on the
        sample. It may change pixels, sizes and types, drop instances, and add tensors under keys
        of its own.

    Returns
    -------
    dict
        As plain tensors, with the keys of the sample, then those that were added. ``areas`` are
        counted again.

    Raises
    ------
    MtfastError
        If the transform returns something else, leaves a key out, or columns of instances that
        differ in length.

    Examples
    --------
    >>> sample = {"index": 3, "name": "a.jpg", "view": torch.zeros(8), "image": torch.ones(3, 2, 2)}
    >>> halved = apply_transform("tensors", sample, lambda s: s | {"image": s["image"] / 2})
    >>> halved["image"].max()
    tensor(0.5000)
    """
    made = FORMS[form].transform(sample, transform)
    if not isinstance(made, Mapping):
        raise MtfastError(
            f"a transform returned {shown(made)}; expected the dict of a sample; return the dict "
            f"that it was given, changed"
        )
    _check_keys(made, sample)
    made = {key: made[key] for key in sample} | dict(made)
    _check_origin(made, sample)
    _check_tensors({key: value for key, value in made.items() if key not in _ORIGIN})
    _check_sizes(made)
    if "areas" in made and "masks" in made:
        made["areas"] = made["masks"].count_nonzero(dim=(1, 2))
    return made


def _check_keys(made: Mapping[str, Any], sample: SampleDict) -> None:
    missing = [key for key in sample if key not in made]
    if missing:
        raise MtfastError(
            f"a transform left out {', '.join(missing)}; expected all keys that it was given; "
            f"return them, or leave what they come from out of targets="
        )
    added = [key for key in (*INSTANCE_KEYS, "member") if key in made and key not in sample]
    if added and set(added) != set(INSTANCE_KEYS):
        raise MtfastError(
            f"a transform added {', '.join(added)}; expected keys that mtfast does not use itself, "
            f"or all of {', '.join(INSTANCE_KEYS)}; choose other names"
        )


def _check_tensors(made: SampleDict) -> None:
    for key, value in made.items():
        if not isinstance(value, torch.Tensor):
            raise MtfastError(
                f"a transform returned {key} as {type(value).__name__}; expected a torch.Tensor; "
                f"make one of it"
            )
        _check_type(key, value.dtype)
        names = _DIMENSIONS.get(key)
        if names and (value.ndim != len(names) or (key == "boxes" and value.shape[1] != 4)):
            raise MtfastError(
                f"a transform returned {key} of shape {tuple(value.shape)}; expected "
                f"({', '.join(names)}); keep the dimensions that it was given"
            )


def _check_type(key: str, dtype: torch.dtype) -> None:
    # Batches are packed by numpy.
    try:
        torch.empty(0, dtype=dtype).numpy()
    except TypeError:
        raise MtfastError(
            f"a transform returned {key} of type {dtype}; expected one that numpy has too, such as "
            f"torch.float16; convert batches after the loader"
        ) from None


def _check_origin(made: SampleDict, sample: SampleDict) -> None:
    for key in [key for key in _ORIGIN if key in sample]:
        if _as_numbers(made[key]) != _as_numbers(sample[key]):
            raise MtfastError(
                f"a transform changed {key}; expected what was read, by which samples are told "
                f"apart; write into keys of your own"
            )


def _as_numbers(value: Any) -> Any:
    return value.tolist() if isinstance(value, torch.Tensor) else value


def _check_sizes(made: SampleDict) -> None:
    """Of the pixels, and of the columns of instances."""
    pixels: SampleDict = {
        k: tuple(made[k].shape[-2:]) for k in ("image", "semantic", "masks") if k in made
    }
    _check_equal(pixels, "size in pixels", "change image, semantic and masks alike")
    counts = {key: len(made[key]) for key in INSTANCE_KEYS if key in made}
    _check_equal(counts, "number of instances", f"drop the same rows of {', '.join(counts)}")


def _check_equal(found: Mapping[str, Any], what: str, advice: str) -> None:
    if len(set(found.values())) > 1:
        listed = ", ".join(f"{value} in {key}" for key, value in found.items())
        raise MtfastError(f"a transform returned {listed}; expected one {what}; {advice}")
