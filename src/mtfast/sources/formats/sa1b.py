"""Segment Anything's SA-1B: beside each image a JSON file with its masks, which have no classes.

::

    sa_000020/sa_223750.jpg   sa_000020/sa_223750.json      a folder is a split, called as it is
    {"image": {"image_id", "width", "height", "file_name"},
     "annotations": [{"id", "segmentation": {"size", "counts"}, "bbox", "area", "predicted_iou",
                      "stability_score", "point_coords", "crop_box"}]}

The real set has 11 million images, 11,000 a folder: one split at a time is in memory.

Source: https://ai.meta.com/datasets/segment-anything-downloads/, "Annotations format".
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple

import msgspec

from mtfast.addresses import Address
from mtfast.errors import SourceError
from mtfast.limits import MAX_LIST_BYTES
from mtfast.sources.bad_records import Ledger
from mtfast.sources.coco.peek import SA1B, peek
from mtfast.sources.coco.stream import BAD_INPUT
from mtfast.sources.files import FileTree
from mtfast.sources.formats.as_coco import AsCoco, CocoText, each_in_order
from mtfast.sources.image_folder import ImageFolder
from mtfast.sources.split_names import in_order
from mtfast.table import Category

__all__ = ["Sa1b", "find_sa1b", "find_sa1b_folders", "open_sa1b"]

logger = logging.getLogger(__name__)

_MASK = Category(1, "mask")
_FOLDERS = ("", "annotations")
_MOST_LOOKS = 3


class _Image(msgspec.Struct, gc=False):
    image_id: int
    width: int
    height: int
    file_name: str


class _File(msgspec.Struct, gc=False):
    image: _Image
    annotations: list[msgspec.Raw]


class _Read(NamedTuple):
    """What was read of a file: its image and the text of its annotations, or what is wrong."""

    name: str
    image: _Image | None
    annotations: list[bytes]
    fault: str = ""


_DECODER = msgspec.json.Decoder(_File)


@dataclass(frozen=True, repr=False)
class Sa1b(AsCoco):
    """Images with a JSON file each; see :class:`mtfast.sources.Source`.

    Attributes
    ----------
    found : dict
        The folder of each split, in :attr:`files`.
    file : str
        The one file that was opened, in :attr:`files`; empty if a folder was.
    """

    found: dict[str, str]
    file: str = ""
    kind: ClassVar[str] = "sa1b"
    has_classes: ClassVar[bool] = False

    @property
    def path(self) -> Path | Address:
        """Absolute path of the file or folder."""
        return self.files.location / self.file

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits, "train" and "test" before others."""
        return tuple(self.found)

    def _annotations_at(self, split: str, variant: str) -> str:
        return self.file or self.found[split] or self.files.name

    def _image_folder(self, split: str) -> ImageFolder:
        folder = self.found[split]
        beside = ImageFolder(self.files, folder)
        if beside.names() or folder not in _FOLDERS:
            return beside
        return ImageFolder(self.files, "images")

    def _write(self, split: str, file: str, text: CocoText, ledger: Ledger) -> None:
        folder = self.found[split]
        names = [self.file] if self.file else _json_files(self.files, folder)
        paths = [f"{folder}/{name}" if folder else name for name in names]
        for found in each_in_order(self._read_file, paths):
            if found.image is None:
                ledger.keep("malformed record", found.name, f"{found.name}: {found.fault}")
                continue
            image = found.image
            sides = {"height": image.height, "width": image.width}
            text.record_of_image({"id": image.image_id, "file_name": image.file_name} | sides)
            for record in found.annotations:
                text.record(record)
        text.finish([_MASK])

    def _read_file(self, path: str) -> _Read:
        try:
            content = _DECODER.decode(self.files.read(path, MAX_LIST_BYTES))
        except (SourceError, *BAD_INPUT) as error:
            return _Read(path, None, [], str(error).partition(";")[0])
        except FileNotFoundError:
            return _Read(path, None, [], "missing")
        start = b'{"image_id":%d,"category_id":%d' % (content.image.image_id, _MASK.id)
        return _Read(path, content.image, [_joined(start, bytes(r)) for r in content.annotations])


def _joined(start: bytes, record: bytes) -> bytes:
    """Return a record with more values, unless it is none."""
    inside = record[1:].lstrip()
    if record[:1] != b"{" or inside[:1] == b"}":
        return record
    return b"%b,%b" % (start, inside)


def find_sa1b(files: FileTree) -> Sa1b | None:
    """Find files of SA-1B in a folder.

    Parameters
    ----------
    files : FileTree

    Returns
    -------
    Sa1b or None
        None if there are none.
    """
    alone = next((folder for folder in _FOLDERS if _holds(files, folder)), None)
    return None if alone is None else Sa1b(files, {"train": alone})


def find_sa1b_folders(files: FileTree) -> Sa1b | None:
    """Find files of SA-1B in the folders of a folder, each of which is a split.

    Parameters
    ----------
    files : FileTree

    Returns
    -------
    Sa1b or None
        None if there are none.
    """
    found = {folder: folder for folder in files.folders() if _holds(files, folder)}
    if not found:
        return None
    logger.info("%s has SA-1B's files: %s", files.name, ", ".join(found))
    return Sa1b(files, in_order(found))


def open_sa1b(files: FileTree, file: str) -> Sa1b:
    """Open one file of SA-1B.

    Parameters
    ----------
    files : FileTree
    file : str

    Returns
    -------
    Sa1b
    """
    return Sa1b(files, {"train": ""}, file)


def _holds(files: FileTree, folder: str) -> bool:
    """Whether one of the first JSON files of a folder is one of SA-1B."""
    names = _json_files(files, folder)[:_MOST_LOOKS]
    return any(peek(files, f"{folder}/{name}" if folder else name) == SA1B for name in names)


def _json_files(files: FileTree, folder: str) -> list[str]:
    return [name for name in files.names(folder) or () if name.lower().endswith(".json")]
