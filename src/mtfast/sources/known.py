"""The formats that are read, as messages call them: each is named here once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

__all__ = ["KNOWN", "Known", "dataset_wanted", "file_wanted"]


class Known(NamedTuple):
    """A format: what people call it, and which one file of it can be given; "" where none can."""

    name: str
    file: str = ""


_JSON = "JSON"

KNOWN = {
    "maskterial": Known("MaskTerial"),
    "coco": Known("COCO", _JSON),
    "coco_results": Known("COCO results", _JSON),
    "coco_panoptic": Known("COCO panoptic", _JSON),
    "labelme": Known("labelme", _JSON),
    "label_studio": Known("Label Studio", _JSON),
    "sa1b": Known("SA-1B", _JSON),
    "yolo": Known("YOLO", "data.yaml"),
    "label_png": Known("label PNGs"),
    "class_maps": Known("maps of classes"),
    "images": Known("images alone"),
}
"""By the name of the layout, :attr:`mtfast.sources.Source.kind`."""


def file_wanted() -> str:
    """Name the files that can be given for a dataset.

    Returns
    -------
    str

    Examples
    --------
    >>> file_wanted()  # doctest: +NORMALIZE_WHITESPACE
    "a JSON file of COCO, COCO results, COCO panoptic, labelme, Label Studio or SA-1B, or YOLO's
    data.yaml"
    """
    of_json = _either([known.name for known in KNOWN.values() if known.file == _JSON])
    others = [f"{k.name}'s {k.file}" for k in KNOWN.values() if k.file not in ("", _JSON)]
    return ", or ".join([f"a JSON file of {of_json}", *others])


def dataset_wanted() -> str:
    """Name what a folder may hold.

    Returns
    -------
    str

    Examples
    --------
    >>> dataset_wanted()  # doctest: +NORMALIZE_WHITESPACE
    'a dataset of MaskTerial, COCO, COCO results, COCO panoptic, labelme, Label Studio, SA-1B, YOLO,
    label PNGs, maps of classes or images alone'
    """
    return f"a dataset of {_either([known.name for known in KNOWN.values()])}"


def _either(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"
