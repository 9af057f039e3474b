"""Files and folders of formats that are not read: their names, and what to do with them.

JSON files are told by their content, see :mod:`mtfast.sources.coco.foreign`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from mtfast.sources.coco.foreign import PANOPTIC, SA1B, foreign_message
from mtfast.sources.coco.names import is_json
from mtfast.sources.coco.peek import COCO, peek
from mtfast.sources.files import FileTree
from mtfast.sources.image_folder import ImageFolder
from mtfast.sources.known import dataset_wanted

__all__ = ["BESIDE_IMAGES", "name_file", "name_folder"]

_COCO = "export it as COCO, or write such a file (docs/how-to/convert.md)"
# What a file is, by the end of its name.
_FILES = (
    ((".yaml", ".yml"), "a YAML file that names no images and classes as YOLO's do", _COCO),
    ((".xml",), "an XML file, as of CVAT or Pascal VOC", _COCO),
    ((".geojson", ".ndjson", ".jsonl"), "GeoJSON or JSON lines", _COCO),
    ((".csv", ".tsv", ".txt"), "a table or a text", _COCO),
    (
        (".tar", ".gz", ".tgz", ".7z", ".rar"),
        "an archive that is no zip",
        "unpack it, and give the path of its folder",
    ),
    (
        (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp"),
        "an image",
        "give the path of its folder",
    ),
)


def name_file(name: str) -> tuple[str, str]:
    """Say what a file is that is no JSON file.

    Parameters
    ----------
    name : str

    Returns
    -------
    found, advice : str

    Examples
    --------
    >>> name_file("data.yaml")  # doctest: +NORMALIZE_WHITESPACE
    ("a YAML file that names no images and classes as YOLO's do",
     'export it as COCO, or write such a file (docs/how-to/convert.md)')
    """
    for endings, found, advice in _FILES:
        if name.lower().endswith(endings):
            return found, advice
    return "a file that does not end in .json", "check the path"


def name_folder(files: FileTree) -> str | None:
    """Say of which other format a folder is.

    Parameters
    ----------
    files : FileTree

    Returns
    -------
    str or None
        The message of an error; None if nothing tells it.
    """
    folders = list(_folders(files))
    for folder in folders:
        if "labels/" in folder and _any(files, folder, ".txt"):
            return _of_yolo(files, f"{folder[: folder.index('labels/')]}labels/")
        for ending, sign, what in _SIGNS:
            file = _any(files, folder, ending)
            if file and sign in _start(files, f"{folder}{file}"):
                return _of(files, what, f"{folder}{file}")
    for path in islice(_json_files(files, folders), _MOST_JSON):
        name = peek(files, path)
        if name == COCO:
            return _of_coco(files, path)
        if name in _OF_IMAGES:
            return foreign_message(name, f"{files.name}/{path}")
    return None


def _folders(files: FileTree) -> Iterator[str]:
    """Folders in which annotations may be, "" or with a slash at the end."""
    yield ""
    for name in files.folders():
        yield f"{name}/"
        for inner in files.folders(name):
            if {name.lower(), inner.lower()} & BESIDE_IMAGES:
                yield f"{name}/{inner}/"
                yield from (
                    f"{name}/{inner}/{deeper}/" for deeper in files.folders(f"{name}/{inner}")
                )


def _json_files(files: FileTree, folders: Iterable[str]) -> Iterator[str]:
    """A few JSON files of each folder that is called as one of annotations or holds images."""
    for folder in folders:
        names = [name for name in files.names(folder) or () if is_json(name)]
        is_named = not BESIDE_IMAGES.isdisjoint(folder.lower().split("/"))
        if names and (is_named or ImageFolder(files, folder.rstrip("/")).names()):
            yield from (f"{folder}{name}" for name in names[:_MOST_OF_FOLDER])


BESIDE_IMAGES = {"labels", "annotations", "annotation", "json", "jsons", "ann", "labelme", "coco"}
"""What folders of annotations are called."""

# Files that are opened to see what they are.
_MOST_JSON = 32
_MOST_OF_FOLDER = 8

_OF_IMAGES = {
    "a VGG Image Annotator (VIA) project",
    "a Label Studio export",
    "a createML file",
    SA1B,
    PANOPTIC,
    "a Supervisely annotation",
    "a Labelbox export",
    "a backup of a CVAT task",
    "a Datumaro dataset",
}
"""Formats that say what images show; results and notebooks may lie beside any images."""


# Microscopes write XML and YAML of their own beside images: a word tells annotations.
_SIGNS = (
    (".yaml", b"names:", "a YOLO dataset"),
    (".yml", b"names:", "a YOLO dataset"),
    (".xml", b"<annotations", "a CVAT export"),
    (".xml", b"<annotation>", "Pascal VOC annotations"),
    (".geojson", b"", "GeoJSON"),
)


def _start(files: FileTree, path: str) -> bytes:
    with files.open(path) as file:
        return file.read(4096)


def _any(files: FileTree, folder: str, ending: str) -> str | None:
    names = files.names(folder) or ()
    return next((name for name in names if name.lower().endswith(ending)), None)


def _of_coco(files: FileTree, path: str) -> str:
    root = files.location
    return (
        f"{root} holds images, and COCO where none is looked for ({path}); expected it beside "
        f"the folder of its images or in annotations/; give its path, with image_folder=… if the "
        f"images are elsewhere, or several as train=a.json val=b.json"
    )


def _of_yolo(files: FileTree, place: str) -> str:
    return (
        f"{files.name} holds YOLO labels ({place}) and not their images; expected these in "
        f"images/ beside it, as labels are shares of their size; put them there, or give the path "
        f"of the folder of both"
    )


def _of(files: FileTree, what: str, place: str) -> str:
    return (
        f"{files.name} holds {what} ({place}); expected {dataset_wanted()}; {_COCO}, or give the "
        f"path of a folder of images alone"
    )
