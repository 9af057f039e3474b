"""JSON files that are not COCO: their names, and what to do with them."""

from __future__ import annotations

from typing import Any

from mtfast.sources.known import file_wanted

__all__ = [
    "MASKS",
    "PANOPTIC",
    "READ_ELSEWHERE",
    "RESULTS",
    "SA1B",
    "advice_for_foreign",
    "foreign_message",
    "format_name",
    "name_bytes",
    "name_foreign",
]

RESULTS = "a list of COCO results"
PANOPTIC = "a COCO panoptic file"
SA1B = "a file of Segment Anything (SA-1B), one for each image"
MASKS = "the record of masks that 'mtfast masks' has written"
READ_ELSEWHERE = frozenset({"a labelme file", "a Label Studio export"})
"""Formats that layouts of their own read: no files of a COCO dataset."""

# Found where only a COCO file will do; for others the message lists all that is read.
_WANTS_COCO = {
    RESULTS,
    PANOPTIC,
    SA1B,
    "a COCO file of captions",
    "a COCO file of images without annotations",
    *READ_ELSEWHERE,
}

_SHOWN = "docs/how-to/convert.md"

# fmt: off
_WHAT_TO_DO = {
    RESULTS: "give its path alone, with ground_truth=… for its images and classes",
    PANOPTIC: "give its path alone",
    "a COCO file of captions": "open instances_….json of the same images",
    "a labelme file": "give the path of its folder, or of this file alone",
    "a VGG Image Annotator (VIA) project": "export it from VIA as COCO format",
    "a Label Studio export": "give the path of this file, or of its folder",
    "a createML file": "export it as COCO; createML has boxes alone",
    SA1B: "give its path alone, or that of its folder",
    "GeoJSON": "export it as COCO; its coordinates need not be pixels",
    "a COCO file of images without annotations": "pass the folder of its images",
    "a Supervisely annotation": "export the project as COCO",
    "a Labelbox export": f"write a COCO file; {_SHOWN} shows what is in one",
    "a notebook": "pass an annotation file",
    "a backup of a CVAT task": "export the task from CVAT as COCO 1.0",
    "a Datumaro dataset": "export it as COCO",
    "an empty list": "pass the annotation file",
    MASKS: "give the path of the dataset that they were made from",
}
# fmt: on


def name_foreign(content: Any, file: str) -> str | None:
    """Name the format of a JSON file that is not COCO.

    Parameters
    ----------
    content : object
        Of the file.
    file : str
        Its name, for the message.

    Returns
    -------
    str or None
        The message of an error; None if it is COCO or the format is unknown.

    Examples
    --------
    >>> name_foreign({"shapes": [], "imagePath": "a.jpg"}, "a.json").partition(";")[0]
    'a.json is a labelme file'
    """
    name = format_name(content)
    return None if name is None else foreign_message(name, file)


def foreign_message(name: str, file: str) -> str:
    """Return the message of an error for a file of another format.

    Parameters
    ----------
    name : str
        As :func:`format_name` returns it.
    file : str
        Its name.

    Returns
    -------
    str
    """
    coco = "a COCO JSON file with images, annotations and categories"
    expected = coco if name in _WANTS_COCO else file_wanted()
    return f"{file} is {name}; expected {expected}; {_WHAT_TO_DO[name]}"


def advice_for_foreign(name: str) -> str:
    """Return what to do with a file of another format.

    Parameters
    ----------
    name : str
        As :func:`format_name` returns it.

    Returns
    -------
    str
    """
    return _WHAT_TO_DO[name]


def name_bytes(data: bytes) -> tuple[str, str] | None:
    """Say what the bytes of a file are that are no JSON.

    Parameters
    ----------
    data : bytes

    Returns
    -------
    (found, advice) or None
        None if nothing tells it.

    Examples
    --------
    >>> name_bytes(b"<!doctype html>")
    ('a web page', 'download the file again, as what came was a page')
    """
    text = data[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not text:
        return "empty", "copy or unpack it again"
    if not any(data[:512]):
        return "a file of zeros", "copy it again"
    return next((what for start, what in _STARTS.items() if text.startswith(start)), None)


_STARTS = {
    b"<!doctype html": ("a web page", "download the file again, as what came was a page"),
    b"<html": ("a web page", "download the file again, as what came was a page"),
    b"<": ("XML", "export it as COCO"),
    b"version https://git-lfs": (
        "a Git LFS pointer, not the file",
        "fetch it with 'git lfs pull'",
    ),
    b"pk\3\4": ("a zip archive", "unpack it"),
    b"\x1f\x8b": ("a gzip archive", "call it .json.gz"),
}


def format_name(content: Any) -> str | None:
    """Name the format of the content of a JSON file that is not COCO.

    Parameters
    ----------
    content : object

    Returns
    -------
    str or None
        None if it is COCO or the format is unknown.

    Examples
    --------
    >>> format_name({"shapes": [], "imagePath": "a.jpg"})
    'a labelme file'
    """
    if isinstance(content, list):
        if not content:
            return "an empty list"
        return _name_of_list(content[0]) if isinstance(content[0], dict) else None
    if not isinstance(content, dict):
        return None
    keys = content.keys()
    if {"images", "annotations"} <= keys:
        return _name_of_coco(content["annotations"])
    for needed, name in (
        ({"shapes", "imagePath"}, "a labelme file"),
        # Where the shapes are many, the first bytes of a file have not come to the path.
        ({"version", "flags", "shapes"}, "a labelme file"),
        ({"_via_img_metadata"}, "a VGG Image Annotator (VIA) project"),
        ({"image", "annotations"}, SA1B),
        ({"images", "categories"}, "a COCO file of images without annotations"),
        ({"features", "type"}, "GeoJSON"),
        ({"objects", "size"}, "a Supervisely annotation"),
        ({"cells", "nbformat"}, "a notebook"),
        ({"items", "categories"}, "a Datumaro dataset"),
        ({"settings", "source", "splits", "version"}, MASKS),
    ):
        if needed <= keys:
            return name
    values = list(content.values())
    if values and all(isinstance(v, dict) and {"regions", "filename"} <= v.keys() for v in values):
        return "a VGG Image Annotator (VIA) project"
    return None


def _name_of_coco(annotations: Any) -> str | None:
    records = annotations if isinstance(annotations, list) else []
    first = records[0] if records and isinstance(records[0], dict) else {}
    if "segments_info" in first:
        return PANOPTIC
    if records and all(
        isinstance(r, dict) and "caption" in r and "category_id" not in r for r in records
    ):
        return "a COCO file of captions"
    return None


def _name_of_list(first: dict[str, Any]) -> str | None:
    keys = first.keys()
    if "image_id" in keys and keys & {"score", "category_id"}:
        return RESULTS
    if {"shapes", "tracks"} <= keys:
        return "a backup of a CVAT task"
    if {"type", "geometry"} <= keys:
        return "GeoJSON"
    if "annotation_id" in keys and {"annotator", "lead_time"} & keys:
        return "a Label Studio export"
    if "data" in keys and {"annotations", "predictions", "completions"} & keys:
        return "a Label Studio export"
    # Where the first task is long, its data have not come in the first bytes of a file.
    lists = [value[0] for value in first.values() if isinstance(value, list) and value]
    if any(isinstance(v, dict) and {"original_width", "result"} & v.keys() for v in lists):
        return "a Label Studio export"
    if {"image", "annotations"} <= keys and isinstance(first["annotations"], list):
        return "a createML file"
    if {"Labeled Data", "Label"} <= keys or {"data_row", "projects"} <= keys:
        return "a Labelbox export"
    return None
