"""Form "dicts": a batch is a list of dicts, whose pixels may differ in size."""

from __future__ import annotations

from typing import Any

from mtfast.loaders.batches import SampleDict
from mtfast.loaders.forms.form import Form, sample_size

__all__ = ["FORM", "convert"]


def convert(sample: SampleDict) -> SampleDict:
    """Add the size to a sample.

    Parameters
    ----------
    sample : dict
        See :mod:`mtfast.loaders.forms`.

    Returns
    -------
    dict
        With ``canvas_size``, height and width.

    Examples
    --------
    >>> import torch
    >>> convert({"image": torch.zeros(3, 4, 6)})["canvas_size"]
    (4, 6)
    """
    return sample | {"canvas_size": sample_size(sample)}


def _holds(sample: Any) -> bool:
    return isinstance(sample, dict) and "canvas_size" in sample


FORM = Form(convert, list, _holds)
