"""What each form implements, and what several of them do."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

import torch

from mtfast.errors import MtfastError
from mtfast.loaders.batches import SampleDict
from mtfast.painting.instance_targets import InstanceTargets

__all__ = [
    "INSTANCE_KEYS",
    "Form",
    "Formatted",
    "Transform",
    "added_tensors",
    "import_library",
    "sample_size",
    "view_size",
    "without_empty_instances",
]

Formatted = dict[str, Any] | Any
"""A sample or a batch in some form: a dict in most, else what its library takes. A type checker
takes it for what the code that uses it says it is."""

Transform = Callable[..., Any]
"""What a user gives as ``transform=``."""

INSTANCE_KEYS = InstanceTargets._fields
"""Columns with a row an instance."""

_OWN_KEYS = {"index", "name", "view", "image", "semantic", *INSTANCE_KEYS}


def _needs_nothing() -> None:
    """Accept any environment."""


def _call_on_dict(sample: SampleDict, transform: Transform) -> Any:
    return transform(dict(sample))


class Form(NamedTuple):
    """A format of samples and batches.

    Attributes
    ----------
    convert : callable
        Makes of a sample as plain tensors what ``dataset[i]`` returns.
    collate : callable
        Makes a batch of a list of converted samples.
    holds : callable
        Whether a converted sample could be of this form.
    require : callable
        Raises MtfastError if a library that the form needs is missing or does not import.
    transform : callable
        Calls a user's transform on a sample as plain tensors, and returns what it made of it, as
        plain tensors too.
    needs_image_format : bool
        Whether users have to say if the models take BGR or RGB.
    """

    convert: Callable[[SampleDict], Any]
    collate: Callable[[list[Any]], Any]
    holds: Callable[[Any], bool]
    require: Callable[[], None] = _needs_nothing
    transform: Callable[[SampleDict, Transform], Any] = _call_on_dict
    needs_image_format: bool = False


def import_library(name: str, install: str) -> ModuleType:
    """Import a library that a form needs.

    Parameters
    ----------
    name : str
        Of the module, with dots.
    install : str
        Command that installs it.

    Returns
    -------
    module

    Raises
    ------
    MtfastError
        If it is missing, or does not import.

    Examples
    --------
    >>> import_library("json.decoder", "").__name__
    'json.decoder'
    """
    library = name.partition(".")[0]
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        # Any other module that is missing is the library's own affair.
        if error.name not in (library, name):
            raise _does_not_import(library, error, install) from error
        raise MtfastError(
            f"samples for {library}, but no {library!r}; expected it to be installed; "
            f"run: {install}"
        ) from None
    except Exception as error:
        # A library built for another PyTorch fails in many ways, with RuntimeError above all.
        raise _does_not_import(library, error, install) from error


def _does_not_import(library: str, error: Exception, install: str) -> MtfastError:
    said = " ".join(str(error).split())
    return MtfastError(
        f"{library} does not import beside torch {torch.__version__} "
        f"({type(error).__name__}: {said}); expected a build for this PyTorch; run: {install}"
    )


def added_tensors(sample: SampleDict) -> SampleDict:
    """Return what a transform has added to a sample.

    Parameters
    ----------
    sample : dict
        As plain tensors.

    Returns
    -------
    dict
        The keys that mtfast does not know.

    Examples
    --------
    >>> added_tensors({"index": 3, "depth": torch.zeros(2)})
    {'depth': tensor([0., 0.])}
    """
    return {key: value for key, value in sample.items() if key not in _OWN_KEYS}


def sample_size(sample: SampleDict) -> tuple[int, int]:
    """Return the size of a sample's pixels.

    Parameters
    ----------
    sample : dict
        As plain tensors.

    Returns
    -------
    height, width : int
        Those of its view where it has no pixels.

    Examples
    --------
    >>> sample_size({"image": torch.zeros(3, 4, 6)})
    (4, 6)
    """
    for key in ("image", "semantic", "masks"):
        if key in sample:
            height, width = sample[key].shape[-2:]
            return int(height), int(width)
    return view_size(sample)


def view_size(sample: SampleDict) -> tuple[int, int]:
    """Return the size that a sample was read with, before any transform.

    Parameters
    ----------
    sample : dict
        As plain tensors.

    Returns
    -------
    height, width : int

    Examples
    --------
    >>> view_size({"view": torch.tensor([0, 0, 8, 12, 4, 6, 0, 1])})    # turned once
    (6, 4)
    """
    height, width, _, turns = sample["view"].tolist()[4:]
    return (width, height) if turns % 2 else (height, width)


def without_empty_instances(sample: SampleDict) -> SampleDict:
    """Drop the instances of which a transform has left nothing.

    Parameters
    ----------
    sample : dict
        As plain tensors, with instances.

    Returns
    -------
    dict
        Each of its instances has pixels, and a box with an area; the same dict if they all had.

    Examples
    --------
    >>> sample = {"boxes": torch.tensor([[0, 0, 2, 2.0], [3, 3, 3, 4]]), "ids": torch.arange(2)}
    >>> sample |= {"masks": torch.ones(2, 4, 4, dtype=torch.bool), "areas": torch.tensor([16, 16])}
    >>> sample |= {"labels": torch.ones(2, dtype=torch.int64)}
    >>> without_empty_instances(sample)["ids"]
    tensor([0])
    """
    boxes = sample["boxes"]
    kept = (boxes[:, 2:] > boxes[:, :2]).all(dim=1) & (sample["areas"] > 0)
    if kept.all():
        return sample
    return sample | {key: sample[key][kept] for key in INSTANCE_KEYS}
