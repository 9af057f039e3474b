"""Files and folders of formats that are not read: their names, and what to do with them.

JSON files are told by their content, see :mod:`mtfast.sources.coco.foreign`.
"""

from __future__ import annotations

from mtfast.sources.files import FileTree

__all__ = ["name_file", "name_folder"]

_COCO = "export it as COCO"
# What a file is, by the end of its name.
_FILES = (
    ((".yaml", ".yml"), "a YAML file, as of a YOLO dataset", _COCO),
    ((".xml",), "an XML file, as of CVAT or Pascal VOC", _COCO),
    ((".geojson", ".ndjson", ".jsonl"), "GeoJSON or JSON lines", _COCO),
    ((".csv", ".tsv", ".txt"), "a table or a text", _COCO),
    (
        (".zip", ".tar", ".gz", ".tgz", ".7z", ".rar"),
        "an archive",
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
    >>> name_file("data.yaml")
    ('a YAML file, as of a YOLO dataset', 'export it as COCO')
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
    for folder in ("", *(f"{name}/" for name in files.folders())):
        if _any(files, f"{folder}labels", ".txt") or any(
            _any(files, f"{folder}labels/{split}", ".txt")
            for split in files.folders(f"{folder}labels")
        ):
            return _of(files, "YOLO labels", f"{folder}labels/")
        for ending, sign, what in _SIGNS:
            file = _any(files, folder, ending)
            if file and sign in _start(files, f"{folder}{file}"):
                return _of(files, what, f"{folder}{file}")
    return None


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


def _of(files: FileTree, what: str, place: str) -> str:
    return (
        f"{files.root.name} holds {what} ({place}); expected COCO JSON, MaskTerial's layout, or "
        f"images alone; {_COCO}, or give the path of a folder of images alone"
    )
