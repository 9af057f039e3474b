"""YOLO's labels: a text file for each image, and Ultralytics' ``data.yaml``.

::

    data.yaml                  names of classes, folders of train, val and test
    images/train/STEM.jpg      labels/train/STEM.txt          Ultralytics
    train/images/STEM.jpg      train/labels/STEM.txt          Roboflow
    images/STEM.jpg            labels/STEM.txt, classes.txt   Label Studio

The label file of an image is where "images" is "labels" in its path, or beside it. Class k becomes
category k + 1, as 0 is background. An image without label file has no instances.

Source: https://docs.ultralytics.com/datasets/segment/ and ``img2label_paths`` of ultralytics.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple

from mtfast.addresses import Address
from mtfast.errors import SourceError
from mtfast.limits import MAX_LIST_BYTES
from mtfast.sources.bad_records import WITHOUT_FILE, Ledger
from mtfast.sources.coco.peek import has_coco
from mtfast.sources.files import FileTree
from mtfast.sources.formats.as_coco import AsCoco, CocoText, each_in_order, read_shown_size
from mtfast.sources.formats.yolo_labels import (
    IMAGES,
    LABELS,
    NO_OUTLINE,
    Shape,
    labels_of,
    read_labels,
)
from mtfast.sources.formats.yolo_yaml import (
    DataYaml,
    is_yaml,
    looks_like_yolo,
    place_in,
    read_yaml,
)
from mtfast.sources.image_folder import ImageFolder
from mtfast.sources.source import Orientation
from mtfast.sources.split_names import in_order
from mtfast.table import Category

__all__ = ["Yolo", "find_yolo", "open_yolo"]

logger = logging.getLogger(__name__)

_CLASSES = ("classes.txt", "labels.txt", "obj.names")
_DATA_YAML = ("data.yaml", "data.yml", "dataset.yaml", "dataset.yml")
_SPLITS = ("train", "val", "test")
# Folders within each other; a link may lead back to one of them.
_DEEPEST = 8
_MOST_YAML = 8
_EXPECTED = (
    "lines of a class and the outline of an object, at least three points, x and y in turn as "
    "shares of the image's size"
)


class _Place(NamedTuple):
    """An image: how it is called, where it is, and where its labels are."""

    name: str
    path: str
    labels: str


class _Labelled(NamedTuple):
    """What was read of an image: its size and shapes, or what is wrong."""

    place: _Place
    size: tuple[int, int] = (0, 0)
    shapes: list[Shape] | None = None
    fault: str = ""
    words: str = ""


@dataclass(frozen=True, repr=False)
class Yolo(AsCoco):
    """Images and YOLO's label files; see :class:`mtfast.sources.Source`.

    Attributes
    ----------
    found : dict
        The places of each split in :attr:`files`: folders of images, and texts that list images.
    names : tuple of (int, str), or None
        Classes as the file of names numbers them; None if there is no such file.
    file : str
        The YAML file that was opened, in :attr:`files`; empty if a folder was.
    missing : tuple of str
        What the YAML file names and is not there, in words.
    """

    found: dict[str, tuple[str, ...]]
    names: tuple[tuple[int, str], ...] | None = None
    file: str = ""
    missing: tuple[str, ...] = ()
    kind: ClassVar[str] = "yolo"
    drawn_on: ClassVar[Orientation | None] = "shown"

    @property
    def path(self) -> Path | Address:
        """Absolute path of the file or folder."""
        return self.files.location / self.file

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.files.name

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits, "train" and "test" before others."""
        return tuple(self.found)

    def image_names(self, split: str) -> tuple[str, ...] | None:
        """List the image files of a split; see :meth:`mtfast.sources.Source.image_names`."""
        self._expect_split(split)
        places = self._places(split)
        if any(map(_is_list, self.found[split])):
            places = [place for place in places if self.files.exists(place.path)]
        return tuple(sorted(place.name for place in places))

    def _annotations_at(self, split: str, variant: str) -> str:
        first = self.found[split][0]
        return first if _is_list(first) else labels_of(first)

    def _image_folder(self, split: str) -> ImageFolder:
        return ImageFolder(self.files, self._base(split))

    def _base(self, split: str) -> str:
        """Return the folder that names of images are relative to."""
        places = self.found[split]
        return places[0] if len(places) == 1 and not _is_list(places[0]) else ""

    def _places(self, split: str) -> list[_Place]:
        base = self._base(split)
        paths: dict[str, None] = {}
        for place in self.found[split]:
            found = self._listed(place) if _is_list(place) else _images_below(self.files, place)
            paths |= dict.fromkeys(found)
        cut = len(base) + 1 if base else 0
        return [_Place(path[cut:], path, labels_of(path, ".txt")) for path in paths]

    def _listed(self, file: str) -> Iterator[str]:
        """Find the images that a text lists, one a line."""
        text = self.files.read(file, MAX_LIST_BYTES).decode("utf-8-sig", "replace")
        folder = file.rpartition("/")[0]
        for line in filter(None, map(str.strip, text.splitlines())):
            # What is nowhere is left as it is written, to be counted.
            yield place_in(self.files, line, [folder, ""], is_file=True) or line

    def _write(self, split: str, file: str, text: CocoText, ledger: Ledger) -> None:
        ledger.expected = _EXPECTED
        classes = dict(self.names or ())
        places = self._places(split)
        without: list[str] = []
        beyond: list[str] = []
        for found in each_in_order(self._read_labels, places):
            if found.fault:
                ledger.keep(found.fault, found.place.name, found.words)
                continue
            image = text.image(found.place.name, *found.size)
            if found.shapes is None:
                without.append(found.place.name)
            for shape in found.shapes or ():
                where = f"{found.place.labels} line {shape.line}"
                if self._keeps(shape, where, classes, ledger):
                    text.annotation(image, shape.class_ + 1, [shape.ring])
                    beyond += [where] * shape.is_beyond
        ledger.say("outline beyond the image", beyond, beyond)
        ledger.say("image without annotations", without, map(repr, without))
        self._count_lost(split, places, ledger)
        if split == self.splits[0]:
            ledger.say("images of a split missing", self.missing, self.missing)
        text.finish([Category(id_ + 1, name) for id_, name in sorted(classes.items())])

    def _keeps(self, shape: Shape, where: str, classes: dict[int, str], ledger: Ledger) -> bool:
        """Whether a shape becomes an annotation; its class is one of those then."""
        words = f"{where}: {shape.words}"
        if shape.fault and not ledger.keep(
            shape.fault, where, words, can_repair=shape.fault == NO_OUTLINE
        ):
            return False
        if shape.class_ not in classes:
            if self.names is not None and not ledger.keep(
                "category not listed", where, f"{where}: class {shape.class_}"
            ):
                return False
            classes[shape.class_] = str(shape.class_)
        return True

    def _read_labels(self, place: _Place) -> _Labelled:
        try:
            size = read_shown_size(self.files, place.path)
        except FileNotFoundError:
            return _Labelled(place, fault=WITHOUT_FILE, words=repr(place.name))
        except SourceError as error:
            return _Labelled(place, fault="unreadable image", words=str(error).partition(";")[0])
        try:
            text = self.files.read(place.labels, MAX_LIST_BYTES).decode("utf-8-sig")
        except FileNotFoundError:
            return _Labelled(place, size)
        except (SourceError, UnicodeDecodeError) as error:
            words = f"{place.labels}: {str(error).partition(';')[0]}"
            return _Labelled(place, fault="malformed record", words=words)
        return _Labelled(place, size, read_labels(text, *size))

    def _count_lost(self, split: str, places: Iterable[_Place], ledger: Ledger) -> None:
        """Count the label files of a folder whose images are not there."""
        known = {place.labels for place in places}
        for folder in self.found[split]:
            if _is_list(folder):
                continue
            labels = labels_of(folder)
            for path in _files_below(self.files, labels, (".txt",)):
                if path not in known and path.rpartition("/")[2] not in _CLASSES:
                    ledger.keep("annotation without image", path, path)


def find_yolo(files: FileTree) -> Yolo | None:
    """Find images and YOLO's labels in a folder.

    Parameters
    ----------
    files : FileTree

    Returns
    -------
    Yolo or None
        None if there are none.

    Raises
    ------
    SourceError
        If a YAML file is that of a YOLO set, and its images are not there.
    """
    yamls = [name for name in files.names() or () if is_yaml(name)]
    # A set may come with configurations of other sets and of models.
    yamls = sorted(yamls, key=lambda name: name.lower() not in _DATA_YAML)[:_MOST_YAML]
    for name in yamls:
        if looks_like_yolo(files, name):
            return None if has_coco(files) else _of_yaml(files, name, "")
    found: dict[str, tuple[str, ...]] = {
        "train" if split == "" else split: (folder,)
        for split, folder in _pairs(files)
        if _has_texts(files, labels_of(folder)) and _images_below(files, folder)
    }
    if not found or has_coco(files):
        return None
    for name in yamls:
        if name in _DATA_YAML:
            # It is no such file: this says why, and names would be lost without it.
            read_yaml(files, name)
    logger.info("%s has YOLO labels of %s", files.name, ", ".join(found))
    return Yolo(files, in_order(found), _listed_classes(files))


def open_yolo(files: FileTree, file: str) -> Yolo | None:
    """Open the YAML file of a YOLO set.

    Parameters
    ----------
    files : FileTree
    file : str

    Returns
    -------
    Yolo or None
        None if it is no YAML file.

    Raises
    ------
    SourceError
        If it is that of another thing, or its images are not there.
    """
    return _of_yaml(files, file, file) if is_yaml(file) else None


def _of_yaml(files: FileTree, name: str, opened: str) -> Yolo:
    content = read_yaml(files, name)
    bases = [content.path, ""] if content.path else [""]
    found: dict[str, tuple[str, ...]] = {}
    missing: list[str] = []
    for split in _SPLITS:
        places = {place: place_in(files, place, bases) for place in content.splits.get(split, ())}
        if there := tuple(dict.fromkeys(path for path in places.values() if path is not None)):
            found[split] = there
        missing += [f"{split}: {place!r}" for place, path in places.items() if path is None]
    if not found:
        raise SourceError(_nowhere(files, name, content, bases))
    logger.info("%s is a YOLO set of %s", name, ", ".join(found))
    return Yolo(files, in_order(found), content.names, opened, tuple(missing))


def _nowhere(files: FileTree, name: str, content: DataYaml, bases: list[str]) -> str:
    """Say that no images are where a YAML file says."""
    listed = dict.fromkeys(place for places in content.splits.values() for place in places)
    folders = [place for place in listed if not _is_list(place)]
    if any(place_in(files, labels_of(place), bases) is not None for place in folders):
        return (
            f"{files.location} holds YOLO labels and not their images ({', '.join(listed)}); "
            f"expected these too, as labels are shares of their size; put them there"
        )
    return (
        f"{name} names {', '.join(listed)}, none of which is in {files.location}; expected folders "
        f"of images beside it; put the file into the folder of the set, and give its path"
    )


def _pairs(files: FileTree) -> Iterator[tuple[str, str]]:
    """Splits, "" for the set as a whole, and the folders of images that they may have."""
    yield "", IMAGES
    for split in files.folders(IMAGES):
        yield split, f"{IMAGES}/{split}"
    for split in files.folders():
        yield split, f"{split}/{IMAGES}"


def _has_texts(files: FileTree, folder: str) -> bool:
    names = files.names(folder) or ()
    return any(name.lower().endswith(".txt") and name not in _CLASSES for name in names)


def _listed_classes(files: FileTree) -> tuple[tuple[int, str], ...] | None:
    """Read the names of classes, one a line."""
    for folder in ("", LABELS):
        for name in _CLASSES:
            path = f"{folder}/{name}" if folder else name
            if files.exists(path):
                text = files.read(path, MAX_LIST_BYTES).decode("utf-8-sig", "replace")
                return tuple(enumerate(line.strip() for line in text.strip().splitlines()))
    return None


def _is_list(place: str) -> bool:
    return place.lower().endswith(".txt")


def _images_below(files: FileTree, folder: str) -> list[str]:
    return [
        path
        for inner in _folders_below(files, folder)
        for name in ImageFolder(files, inner).names() or ()
        for path in [f"{inner}/{name}" if inner else name]
    ]


def _files_below(files: FileTree, folder: str, endings: tuple[str, ...]) -> Iterator[str]:
    for inner in _folders_below(files, folder):
        for name in files.names(inner) or ():
            if name.lower().endswith(endings):
                yield f"{inner}/{name}" if inner else name


def _folders_below(files: FileTree, folder: str, depth: int = 0) -> Iterator[str]:
    yield folder
    if depth < _DEEPEST:
        for name in files.folders(folder):
            yield from _folders_below(files, f"{folder}/{name}" if folder else name, depth + 1)
