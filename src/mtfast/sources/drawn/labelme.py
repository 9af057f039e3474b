"""labelme: a JSON file for each image, beside it or anywhere in the folder.

::

    NAME/            1.json 1.jpg 2.json 2.jpg            one split, "train"
    NAME/train/      1.json 1.jpg      NAME/val/ …        a split for each such folder
    NAME/json/       1.json            NAME/images/ 1.jpg as the files' imagePath says

Shapes of one label and one ``group_id`` are one instance. Classes are numbered in the order of
``labels.txt`` where there is one, otherwise by name over all splits, so that a number means the
same in each. ``__ignore__`` and ``_background_`` are no classes: what is labelled so is left out
and counted. An image without a file is left out and counted, too: it may show what nobody has
drawn yet. A file without shapes says that there is nothing.

Shapes lie on the image as it is shown, turned by its EXIF orientation.

Source: ``labelme/_label_file.py``.
"""

from __future__ import annotations

import base64
import binascii
import logging
import os
import posixpath
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, NamedTuple, TypeVar

import msgspec

from mtfast.addresses import Address
from mtfast.caching import cached_property
from mtfast.errors import SourceError
from mtfast.image_files import shown_size
from mtfast.limits import check_pixels, max_file_bytes
from mtfast.paths import base_name, stem_of
from mtfast.sources.bad_records import (
    TOO_MANY_PIXELS,
    BadRecords,
    Ledger,
)
from mtfast.sources.coco.any_json import load_json
from mtfast.sources.coco.names import split_named
from mtfast.sources.coco.parse import Id
from mtfast.sources.coco.peek import peek
from mtfast.sources.coco.stream import BAD_INPUT, BOM
from mtfast.sources.drawn.labelme_shapes import WITHOUT_MASK, mask_of_shape
from mtfast.sources.drawn.source import DrawnSource
from mtfast.sources.drawn.table import (
    DrawnImage,
    Instance,
    Region,
    listed_labels,
    number_labels,
)
from mtfast.sources.files import FileTree
from mtfast.sources.foreign import BESIDE_IMAGES
from mtfast.sources.image_folder import FilePlace, ImageFolder
from mtfast.sources.image_size import read_size
from mtfast.sources.source import Orientation
from mtfast.sources.split_names import in_order

__all__ = ["CROWD", "FORMAT", "Labelme", "find_labelme", "open_labelme"]

T = TypeVar("T")

logger = logging.getLogger(__name__)

FORMAT = "a labelme file"
"""As :func:`mtfast.sources.coco.peek.peek` calls it."""

NO_CLASSES = ("__ignore__", "_background_")
CROWD = "iscrowd"
"""The flag of crowds, as :mod:`mtfast.interchange.labelme` writes it: labelme itself has none."""

# How deep a set is looked through, and how many files of a folder are opened to see what they are.
_DEPTH = 4
_MOST_OF_FOLDER = 8
_DRIVE = re.compile(r"[A-Za-z]:")
_ENDINGS = ((b"\xff\xd8", ".jpg"), (b"\x89PNG", ".png"), (b"II", ".tif"), (b"MM", ".tif"))


class _Shape(msgspec.Struct):
    label: str
    points: list[tuple[float, float]]
    shape_type: str | None = None
    group_id: Id | None = None
    mask: str | None = None
    description: str | None = None
    flags: dict[str, Any] | None = None


class _File(msgspec.Struct, rename="camel"):
    shapes: list[_Shape]
    image_path: str | None = None
    image_height: int | None = None
    image_width: int | None = None
    flags: dict[str, Any] | None = None


class _Label(msgspec.Struct, gc=False):
    label: str


class _Labels(msgspec.Struct):
    shapes: list[_Label]


class _Image(msgspec.Struct, rename="camel"):
    image_data: str | None = None


_FILE = msgspec.json.Decoder(_File)
_LABELS = msgspec.json.Decoder(_Labels)
_IMAGE = msgspec.json.Decoder(_Image)


class _Found(NamedTuple):
    """The content of a JSON file: shapes with their numbers, and those that are malformed."""

    file: _File
    shapes: list[tuple[int, _Shape]]
    malformed: list[tuple[int, str]]


@dataclass(frozen=True, repr=False)
class Labelme(DrawnSource):
    """labelme's JSON files; see :class:`mtfast.sources.Source`.

    Attributes
    ----------
    found : dict
        The folders of JSON files of each split.
    bases : dict
        The folder that the names of images of each split are relative to.
    file : str
        The file that was opened; empty if a folder was.
    """

    found: dict[str, tuple[str, ...]]
    bases: dict[str, str]
    file: str = ""
    kind: ClassVar[str] = "labelme"
    tool: ClassVar[str] = "labelme"
    drawn_on: ClassVar[Orientation | None] = "shown"

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits, "train" and "test" before others."""
        return tuple(self.found)

    def image_names(self, split: str) -> tuple[str, ...]:
        """List the image files of a split; see :meth:`mtfast.sources.Source.image_names`."""
        self._expect_split(split)
        base = self.bases[split]
        folders = ("",) if self.file else _below(self.files, base)
        names = (
            _inside(folder, name).removeprefix(f"{base}/")
            for folder in folders
            for name in ImageFolder(self.files, folder).names() or ()
        )
        return tuple(sorted(names))

    def matched(self, split: str, names: Sequence[str]) -> tuple[BadRecords, ...]:
        """Leave out images inside JSON files; see :meth:`mtfast.sources.Source.matched`."""
        found = self.find_places(split, names)
        inside = {n for n, place in found.items() if isinstance(place.files, EmbeddedImages)}
        return super().matched(split, [name for name in names if name not in inside])

    def _annotations_at(self, split: str, variant: str) -> str:
        return self.file or _common(self.found[split]) or self.name

    def _image_folder(self, split: str) -> ImageFolder:
        return ImageFolder(self.files, self.bases[split])

    def _image_places(self, split: str, name: str) -> Sequence[FilePlace]:
        """Look up a name in the folder of the split, in that of the set, and in a JSON file."""
        places = super()._image_places(split, name)
        inside = EmbeddedImages(self.files)
        stem = posixpath.splitext(_inside(self.bases[split], name))[0]
        return [*places, FilePlace(self.files, name), FilePlace(inside, f"{stem}.json")]

    def _looked_for(self, split: str) -> str:
        return f"{super()._looked_for(split)}, as the path given is that of images and JSON files"

    def _json_files(self, split: str) -> list[str]:
        if self.file:
            return [self.file]
        return [_inside(f, name) for f in self.found[split] for name in _jsons(self.files, f)]

    def _drawn(self, split: str, file: str, ledger: Ledger) -> list[DrawnImage]:
        reader = _Reader(self, split, ledger)
        files = self._json_files(split)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            for path, found in zip(files, pool.map(self._decode, files), strict=True):
                reader.add(path, found)
        return reader.drawn()

    def _decode(self, path: str) -> _Found | str:
        """Decode a file; return what is wrong with it if it cannot be read at all."""
        try:
            data = self.files.read(path, max_file_bytes()).removeprefix(BOM)
        except (SourceError, FileNotFoundError) as error:
            return str(error).partition(";")[0]
        try:
            file = _FILE.decode(data)
        except BAD_INPUT:
            return _decode_odd(load_json(data))
        return _Found(file, list(enumerate(file.shapes)), [])

    def _numbers(self) -> tuple[dict[str, int], list[str]]:
        of_splits = [folder for folders in self.found.values() for folder in folders]
        folders = dict.fromkeys(("", *self.bases.values(), *of_splits))
        listed = listed_labels(self.files, folders, NO_CLASSES)
        files = [path for split in self.splits for path in self._json_files(split)]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            drawn = {label for some in pool.map(self._labels_of, files) for label in some}
        return number_labels(sorted(drawn - {*NO_CLASSES}), listed), listed

    def _labels_of(self, path: str) -> list[str]:
        """Labels in a file; none where it cannot be read, which is said where it is wanted."""
        try:
            data = self.files.read(path, max_file_bytes()).removeprefix(BOM)
        except (SourceError, FileNotFoundError):
            return []
        try:
            return [shape.label.strip() for shape in _LABELS.decode(data).shapes]
        except BAD_INPUT:
            found = _decode_odd(load_json(data))
        shapes = [] if isinstance(found, str) else found.shapes
        return [shape.label.strip() for _, shape in shapes]


class _Reader:
    """Puts the files of a split together: which image each is of, and what is drawn on it."""

    def __init__(self, source: Labelme, split: str, ledger: Ledger) -> None:
        self._source = source
        self._split = split
        self._ledger = ledger
        self._base = source.bases[split]
        self._names: dict[str, frozenset[str]] = {}
        self._images: dict[str, DrawnImage] = {}
        self._n_instances = 0
        self._others: list[str] = []
        self._maskless: list[tuple[str, str]] = []
        self._no_classes: list[tuple[str, str]] = []
        self._embedded: list[str] = []

    def add(self, path: str, found: _Found | str) -> None:
        """Take the content of a file."""
        if isinstance(found, str):
            if found:
                self._ledger.keep("malformed record", path, f"{path}: {found}")
            else:
                self._others.append(path)
            return
        name = self._name_of(path, found.file)
        size = self._size_of(path, name, found.file)
        if size is None:
            return
        instances = list(self._instances(path, found, size))
        if other := self._images.get(name):
            if self._ledger.keep("file name twice", path, f"{path} is of {name}, too"):
                self._images[name] = other._replace(instances=other.instances + instances)
            return
        keys = {"flags": found.file.flags} if found.file.flags else {}
        self._images[name] = DrawnImage(name, size, instances, keys)

    def drawn(self) -> list[DrawnImage]:
        """Return the images, and say what else was found."""
        say = self._ledger.say
        say("JSON file of another format", self._others, self._others)
        say("shape without a mask", self._maskless, [words for _, words in self._maskless])
        say("label that is no class", self._no_classes, [words for _, words in self._no_classes])
        say("image inside its JSON file", self._embedded, map(repr, self._embedded))
        if not self._source.file:
            lost = [name for name in self._all_names if name not in self._images]
            say("image without annotation file", lost, map(repr, lost))
        return list(self._images.values())

    def _instances(self, path: str, found: _Found, size: tuple[int, int]) -> Iterator[Instance]:
        for number, fault in found.malformed:
            words = f"shape {number} of {path}"
            self._ledger.keep("malformed record", (path, number), f"{words}: {fault}")
        groups: dict[Any, list[tuple[int, _Shape]]] = {}
        for number, shape in found.shapes:
            label = shape.label.strip()
            words = f"shape {number} of {path}, {label!r}"
            if label in NO_CLASSES:
                self._no_classes.append((f"{path} {number}", words))
            elif shape.shape_type == WITHOUT_MASK:
                self._maskless.append((f"{path} {number}", f"{words}, of type {WITHOUT_MASK}"))
            else:
                key = number if shape.group_id is None else (label, shape.group_id)
                groups.setdefault(key, []).append((number, shape))
        for members in groups.values():
            self._n_instances += 1
            drawn = (self._region(path, number, shape, size) for number, shape in members)
            regions = [region for region in drawn if region]
            first = members[0][1]
            label, iscrowd = first.label.strip(), any(_is_crowd(shape) for _, shape in members)
            yield Instance(self._n_instances, label, regions, _keys_of(first), iscrowd)

    def _region(
        self, path: str, number: int, shape: _Shape, size: tuple[int, int]
    ) -> Region | None:
        kind = shape.shape_type or "polygon"
        place, words = f"{path} {number}", f"shape {number} of {path}"
        if kind == "polygon" and len(shape.points) < 3:
            self._ledger.keep("polygon of two points alone", place, words)
            return None
        try:
            rasterizer = self._source.rasterizer
            mask = mask_of_shape(kind, shape.points, shape.mask, size, rasterizer)
        except SourceError as error:
            reason = str(error).partition(";")[0]
            self._ledger.keep("malformed segmentation", place, f"{words}: {reason}")
            return None
        return Region(mask, place, words)

    def _size_of(self, path: str, name: str, file: _File) -> tuple[int, int] | None:
        """Return the size that a file states, or that of its image as it is shown."""
        ledger, height, width = self._ledger, file.image_height or 0, file.image_width or 0
        if min(height, width) < 1:
            measured = self._measure(name)
            is_kept = ledger.keep("image size missing", path, path, measured is not None)
            if measured is None or not is_kept:
                return None
            height, width = measured
        try:
            check_pixels(f"image {name!r}", height, width, SourceError)
        except SourceError:
            ledger.keep(TOO_MANY_PIXELS, path, f"{path}: {height} x {width}")
            return None
        return height, width

    def _measure(self, name: str) -> tuple[int, int] | None:
        try:
            found = read_size(self._source.read_image(self._split, name), name)
        except SourceError:
            return None
        return shown_size(found.height, found.width, found.orientation)

    def _name_of(self, path: str, file: _File) -> str:
        """Return the name of the image that a JSON file is of, relative to the split's folder."""
        folder = posixpath.dirname(path)
        given = (file.image_path or "").replace("\\", "/")
        stem = stem_of(base_name(path))
        wanted = posixpath.normpath(posixpath.join(folder, given))
        is_inside = bool(given) and not given.startswith("/") and not _DRIVE.match(given)
        is_inside = is_inside and not wanted.startswith("..")
        beside = _inside(folder, base_name(given)) if given else ""
        for there in (wanted if is_inside else "", beside):
            if there and self._is_there(there):
                return self._relative(there)
        of_stem = [name for name in self._listing(folder) if stem_of(name) == stem]
        if len(of_stem) == 1:
            return self._relative(_inside(folder, of_stem[0]))
        if elsewhere := self._elsewhere(base_name(given)):
            return elsewhere
        if ending := _ending_of(EmbeddedImages(self._source.files), path):
            name = self._relative(_inside(folder, stem + ending))
            self._embedded.append(name)
            return name
        return self._relative(wanted if is_inside else beside or f"{stem}.jpg")

    def _elsewhere(self, base: str) -> str | None:
        """Find the only image of a name in any folder, or in those called as the split."""
        found = [name for name in self._all_names if base_name(name) == base]
        of_split = [name for name in found if self._split in name.split("/")]
        return next((only[0] for only in (found, of_split) if len(only) == 1), None)

    @cached_property
    def _all_names(self) -> tuple[str, ...]:
        return self._source.image_names(self._split)

    def _relative(self, path: str) -> str:
        return path.removeprefix(f"{self._base}/") if self._base else path

    def _is_there(self, path: str) -> bool:
        return base_name(path) in self._listing(posixpath.dirname(path))

    def _listing(self, folder: str) -> frozenset[str]:
        """Names of the image files in a folder."""
        if folder not in self._names:
            names = ImageFolder(self._source.files, folder).names()
            self._names[folder] = frozenset(names or ())
        return self._names[folder]


@dataclass(frozen=True)
class EmbeddedImages(FileTree):
    """The images that labelme has put into its JSON files, under the names of these.

    Parameters
    ----------
    files : FileTree
        Of the JSON files.
    """

    files: FileTree

    @property
    def location(self) -> Path | Address:
        """What a user gives to open it."""
        return self.files.location

    @property
    def parent(self) -> FileTree | None:
        """The tree of the folder that this one is in."""
        return None if self.files.parent is None else EmbeddedImages(self.files.parent)

    def _entries(self, folder: str) -> list[tuple[str, bool]] | None:
        return None

    def _below(self, folder: str) -> FileTree:
        return EmbeddedImages(self.files.below(folder))

    def _exists(self, path: str) -> bool:
        return bool(_ending_of(self, path))

    def _changed(self, folder: str) -> int | None:
        return self.files.changed(folder)

    def _stamp(self, path: str) -> list[int | str]:
        # The file that an image is in is longer, and changes when the image does.
        with self._open(path) as stream:
            return [stream.seek(0, os.SEEK_END), *self.files.stamp(path)[1:]]

    def _open(self, path: str) -> BinaryIO:
        text = self.files.read(path, max_file_bytes()).removeprefix(BOM)
        try:
            data = base64.b64decode(_IMAGE.decode(text).image_data or "", validate=True)
        except (*BAD_INPUT, binascii.Error, ValueError) as error:
            raise SourceError(
                f"{path} holds an image that cannot be read ({error}); expected base64 as "
                f"imageData; put the image file beside it"
            ) from error
        if not data:
            raise FileNotFoundError(path)
        return BytesIO(data)


def _ending_of(images: EmbeddedImages, path: str) -> str:
    """Return the ending that the image inside a JSON file would have; empty if there is none."""
    try:
        with images.open(path) as stream:
            start = stream.read(4)
    except (FileNotFoundError, SourceError):
        return ""
    return next((ending for magic, ending in _ENDINGS if start.startswith(magic)), ".jpg")


# Texts may hold halves of characters, and numbers be of any length.
_NOT_SO = (msgspec.ValidationError, ValueError, OverflowError)


def _typed(content: Any, kind: type[T]) -> T:
    found = msgspec.convert(content, kind)
    # Halves of characters come through, and can be written nowhere.
    msgspec.json.encode(found)
    return found


def _decode_odd(content: Any) -> _Found | str:
    """Decode the shapes of a file one by one; an empty text means another format."""
    if content is None:
        return "no JSON"
    if not isinstance(content, dict) or "shapes" not in content:
        return ""
    shapes = content["shapes"]
    if not isinstance(shapes, list):
        return f"its shapes are of type {type(shapes).__name__}"
    try:
        file = _typed({**content, "shapes": []}, _File)
    except _NOT_SO as error:
        return str(error)
    sound, malformed = [], []
    for number, shape in enumerate(shapes):
        try:
            sound.append((number, _typed(shape, _Shape)))
        except _NOT_SO as error:
            malformed.append((number, str(error)))
    return _Found(file, sound, malformed)


def _is_crowd(shape: _Shape) -> bool:
    return (shape.flags or {}).get(CROWD) is True


def _keys_of(shape: _Shape) -> dict[str, Any]:
    """What annotations as COCO keep of a shape besides its mask."""
    keys = {"description": shape.description, "flags": shape.flags, "group_id": shape.group_id}
    return {key: value for key, value in keys.items() if value not in (None, "", {})}


def find_labelme(files: FileTree) -> Labelme | None:
    """Find labelme's files in a folder, or in folders inside it.

    Parameters
    ----------
    files : FileTree

    Returns
    -------
    Labelme or None
        None if there are none. Folders called as splits are are splits.
    """
    found: dict[str, list[str]] = {}
    first: dict[str, str] = {}
    for folder in filter(partial(_may_hold, files), _below(files, "")):
        names = _jsons(files, folder)[:_MOST_OF_FOLDER]
        here = [name for name in names if peek(files, _inside(folder, name)) == FORMAT]
        if here:
            parts = [part for part in folder.split("/") if split_named("", part) == part]
            found.setdefault(parts[0] if parts else "train", []).append(folder)
            first.setdefault(folder, _inside(folder, here[0]))
    if not found:
        return None
    logger.info("%s holds labelme files of %s", files.name, ", ".join(found))
    splits = in_order({split: tuple(folders) for split, folders in found.items()})
    bases = {split: _base_of(files, folders, first) for split, folders in splits.items()}
    return Labelme(files, splits, bases)


def open_labelme(files: FileTree, name: str) -> Labelme:
    """Open one of labelme's files alone.

    Parameters
    ----------
    files : FileTree
        The folder that it is in.
    name : str

    Returns
    -------
    Labelme
    """
    return Labelme(files, {"train": ("",)}, {"train": ""}, name)


def _may_hold(files: FileTree, folder: str) -> bool:
    """Whether a folder is called as one of annotations or of a split, or holds images."""
    parts = folder.split("/")
    is_named = any(part.lower() in BESIDE_IMAGES or split_named("", part) == part for part in parts)
    return not folder or is_named or bool(ImageFolder(files, folder).names())


def _base_of(files: FileTree, folders: tuple[str, ...], first: dict[str, str]) -> str:
    """Return the folder that JSON files and, by the first of each folder, images are in."""
    used = list(folders)
    for folder in folders:
        data = load_json(files.read(first[folder], max_file_bytes()))
        given = data.get("imagePath") if isinstance(data, dict) else None
        if isinstance(given, str):
            path = posixpath.normpath(posixpath.join(folder, given.replace("\\", "/")))
            used.append(posixpath.dirname(path) if not path.startswith(("..", "/")) else folder)
    base = _common(used)
    while base and not any(ImageFolder(files, inner).names() for inner in _below(files, base)):
        base = posixpath.dirname(base)
    return base


def _common(folders: Sequence[str]) -> str:
    """Return the folder that all of some are in, "" for the root."""
    return posixpath.commonpath(folders) if all(folders) else ""


def _below(files: FileTree, folder: str, depth: int = _DEPTH) -> Iterator[str]:
    """A folder and those inside it."""
    yield folder
    if depth:
        for name in files.folders(folder):
            yield from _below(files, _inside(folder, name), depth - 1)


def _jsons(files: FileTree, folder: str) -> list[str]:
    return [name for name in files.names(folder) or () if name.lower().endswith(".json")]


def _inside(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name
