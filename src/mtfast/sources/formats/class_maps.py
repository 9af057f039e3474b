"""Label PNGs whose values or colours are classes, with a table of these.

::

    images/a.jpg      masks/a.png                   classes.txt, .csv or .json     splits as folders
    JPEGImages/a.jpg  SegmentationClass/a.png       labelmap.txt, as CVAT writes   ImageSets/…/*.txt
                      SegmentationObject/a.png      VOC's twenty classes if none
    train/a.jpg       train/a_mask.png              train/_classes.csv             Roboflow

Where objects have a map of their own (``SegmentationObject/`` or ``instance_masks/``), each is an
instance, of the class that most of its pixels have. Otherwise each connected part of a class is
one, and pixels that share no more than a corner are connected. A class with ``isthing`` 0 in its
table is one instance. 0 is background and 255 is unknown, unless they are listed as classes.

Source: http://host.robots.ox.ac.uk/pascal/VOC/voc2012/htmldoc/, CVAT's "Segmentation mask" format.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtfast.errors import SourceError
from mtfast.limits import MAX_LIST_BYTES, max_file_bytes
from mtfast.paths import base_name, stem_of
from mtfast.rles import Rles
from mtfast.rles.label_map import scan_labels
from mtfast.rles.morphology import components
from mtfast.sources.bad_records import Ledger
from mtfast.sources.coco.peek import has_coco
from mtfast.sources.files import FileTree
from mtfast.sources.formats.as_coco import AsCoco, CocoText, each_in_order
from mtfast.sources.formats.class_table import ClassTable, find_table, has_table, packed
from mtfast.sources.formats.panoptic import decode_ids
from mtfast.sources.image_folder import ImageFolder
from mtfast.sources.label_png import MASKS as INSTANCE_MASKS
from mtfast.sources.label_png import by_stem, decode_labels
from mtfast.sources.split_names import in_order

__all__ = ["ClassMaps", "find_class_maps", "find_listed_maps"]

logger = logging.getLogger(__name__)

_IMAGES = ("images", "JPEGImages", "imgs")
_CLASSES = (
    "SegmentationClass",
    "masks",
    "semantic_masks",
    "labels",
    "annotations",
    "mask",
    "segmentation",
    "segmentations",
)
_OBJECTS = ("SegmentationObject", INSTANCE_MASKS)
_LISTS = "ImageSets/Segmentation"
_SUFFIX = "_mask"
# What stands for no class unless it is listed: black, white, and VOC's outline of objects.
_NO_NUMBERS = {0, 255}
_NO_COLOURS = {packed(0, 0, 0), packed(255, 255, 255), packed(224, 224, 192)}
# Where a PNG says what its pixels are.
_COLOUR_TYPE = 25
_RGB, _PALETTE, _RGBA = 2, 3, 6
# fmt: off
_VOC = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair",
    "cow", "diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa",
    "train", "tvmonitor",
)
# fmt: on


class _Place(NamedTuple):
    """Where the files of a split are; "" for what it has not."""

    images: str
    classes: str
    objects: str
    listed: str = ""


class _Trio(NamedTuple):
    """An image, its class map and its object map; "" for what is not there."""

    image: str
    classes: str
    objects: str


class _ClassMap(NamedTuple):
    """A decoded PNG, what its values stand for, and which of them stand for nothing."""

    pixels: NDArray[Any]
    classes: Mapping[int, int]
    nothing: set[int]


class _Read(NamedTuple):
    """What was read of an image, or what is wrong."""

    trio: _Trio
    size: tuple[int, int] = (0, 0)
    instances: Sequence[tuple[int, str]] = ()
    strange: str = ""
    unknown: str = ""
    mixed: Sequence[str] = ()
    classless: Sequence[str] = ()
    fault: str = ""
    kind: str = "unreadable mask"


@dataclass(frozen=True, repr=False)
class ClassMaps(AsCoco):
    """Images and label PNGs of classes; see :class:`mtfast.sources.Source`.

    Attributes
    ----------
    found : dict
        Where the files of each split are, in :attr:`files`.
    table_folders : tuple of str
        Where the table of classes is looked for.
    """

    found: dict[str, _Place]
    table_folders: tuple[str, ...] = ("",)
    kind: ClassVar[str] = "class_maps"

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits, "train" and "test" before others."""
        return tuple(self.found)

    def image_names(self, split: str) -> tuple[str, ...] | None:
        """List the image files of a split; see :meth:`mtfast.sources.Source.image_names`."""
        names = super().image_names(split)
        place = self.found[split]
        if not names or not place.listed:
            return None if names is None else tuple(n for n in names if not _is_mask(place, n))
        listed = _listed_stems(self.files, place.listed, {*map(stem_of, names)})
        wanted = {*listed.values()}
        return tuple(name for name in names if stem_of(name) in wanted)

    def _annotations_at(self, split: str, variant: str) -> str:
        return self.found[split].classes or self.files.name

    def _image_folder(self, split: str) -> ImageFolder:
        return ImageFolder(self.files, self.found[split].images)

    def _table(self) -> ClassTable:
        table = find_table(self.files, self.table_folders)
        return table or ClassTable(dict(enumerate(_VOC)), {})

    def _write(self, split: str, file: str, text: CocoText, ledger: Ledger) -> None:
        ledger.expected = "label PNGs of classes that the table lists, beside their images"
        table = self._table()
        mixed: list[str] = []
        unknown: list[tuple[str, str]] = []

        def read(trio: _Trio) -> _Read:
            return _read(self.files, trio, table)

        for found in each_in_order(read, self._trios(split, ledger)):
            name = found.trio.image or found.trio.classes.rpartition("/")[2]
            if found.fault:
                ledger.keep(found.kind, found.trio.classes, found.fault)
                continue
            image = text.image(name, *found.size)
            for class_, counts in found.instances:
                text.annotation(image, class_, {"size": found.size, "counts": counts})
            if found.strange:
                ledger.keep("pixels of no class", found.trio.classes, found.strange)
            if found.unknown:
                unknown.append((found.trio.classes, found.unknown))
            mixed += found.mixed
            for words in found.classless:
                ledger.keep("annotation without category", words, words)
        # Beside classes they are unknown; alone they are foreground, as of masks of one class.
        for path, words in [] if text.n else unknown:
            ledger.keep("pixels of no class", path, words)
        ledger.say("object of several classes", mixed, mixed)
        text.finish(table.categories)

    def _trios(self, split: str, ledger: Ledger) -> list[_Trio]:
        place = self.found[split]
        images = by_stem(self.image_names(split) or (), place.images or self.files.name)
        classes = _masks_by_stem(self.files, place.classes, place)
        objects = _masks_by_stem(self.files, place.objects, place) if place.objects else {}
        if place.listed:
            known = classes.keys() | images.keys()
            listed = _listed_stems(self.files, place.listed, known)
            gone = [line for line, stem in listed.items() if stem not in known]
            words = [f"{line!r} of {place.listed}" for line in gone]
            ledger.say("images of a split missing", gone, words)
            wanted = {*listed.values()}
            classes = {stem: name for stem, name in classes.items() if stem in wanted}
        if images:
            lost = [name for stem, name in images.items() if stem not in classes]
            ledger.say("image without mask", lost, map(repr, lost))
        trios = []
        for stem, path in classes.items():
            if images and stem not in images:
                ledger.keep("mask without image", path, repr(path))
            elif place.objects and stem not in objects:
                ledger.keep("unreadable mask", path, f"{path} has no map in {place.objects}/")
            else:
                trios.append(_Trio(images.get(stem, ""), path, objects.get(stem, "")))
        return trios


def _read(files: FileTree, trio: _Trio, table: ClassTable) -> _Read:
    try:
        found = _class_map(files.read(trio.classes, max_file_bytes()), trio.classes, table)
        objects = None
        if trio.objects:
            objects = _pixels(files.read(trio.objects, max_file_bytes()), trio.objects)
    except SourceError as error:
        return _Read(trio, fault=str(error).partition(";")[0])
    except FileNotFoundError as error:
        return _Read(trio, fault=f"{error} is missing")
    height, width = found.pixels.shape
    if objects is not None and objects.shape != found.pixels.shape:
        high, wide = objects.shape
        words = f"{trio.objects} is {high} x {wide}, {trio.classes} {height} x {width}"
        return _Read(trio, fault=words, kind="mask of another size")
    # No pixel is negative: the background may be listed as a class.
    labels, rles = scan_labels(found.pixels, background=-1)
    values = labels.tolist()
    known = found.classes.keys() | found.nothing
    strange = [value for value in values if value not in known]
    unknown = [value for value in values if value and value in found.nothing - found.classes.keys()]
    read = _Read(
        trio,
        (height, width),
        strange=_describe(strange, found, trio.classes),
        unknown=_describe(unknown, found, trio.classes),
    )
    if objects is not None:
        return _of_objects(read, objects, found, table)
    return read._replace(instances=_of_parts(values, rles, found, table))


def _class_map(data: bytes, path: str, table: ClassTable) -> _ClassMap:
    pixels = _pixels(data, path)
    colours = table.colours
    if data[_COLOUR_TYPE] in (_RGB, _RGBA):
        # Without colours in the table, grey stands for its number.
        grey = {packed(id_, id_, id_): id_ for id_ in table.names if 0 <= id_ < 256}
        return _ClassMap(pixels, colours or grey, _NO_COLOURS)
    if data[_COLOUR_TYPE] == _PALETTE and colours:
        palette = _palette(data)
        classes = {k: colours[colour] for k, colour in enumerate(palette) if colour in colours}
        nothing = {k for k, colour in enumerate(palette) if colour in _NO_COLOURS}
        return _ClassMap(pixels, classes, nothing)
    return _ClassMap(pixels, {id_: id_ for id_ in table.names if id_ >= 0}, _NO_NUMBERS)


def _pixels(data: bytes, path: str) -> NDArray[Any]:
    """Decode a PNG to one number for each pixel; colours are packed."""
    is_coloured = data[_COLOUR_TYPE : _COLOUR_TYPE + 1] in (bytes([_RGB]), bytes([_RGBA]))
    return decode_ids(data, path) if is_coloured else decode_labels(data, path)


def _palette(data: bytes) -> list[int]:
    """Read the colours of a PNG whose pixels have been decoded."""
    from PIL.PngImagePlugin import PngImageFile

    with PngImageFile(BytesIO(data)) as image:
        channels = image.getpalette() or []
    return [packed(*channels[k : k + 3]) for k in range(0, len(channels) - 2, 3)]


def _describe(strange: list[int], found: _ClassMap, path: str) -> str:
    """Say which values stand for nothing; "" if there are none. A photograph has many of them."""
    if not strange:
        return ""
    value = strange[0]
    more = f" and {len(strange) - 1:,} more" if len(strange) > 1 else ""
    if found.nothing is not _NO_COLOURS:
        return f"value {value}{more} in {path}"
    return f"colour {value & 255},{value >> 8 & 255},{value >> 16}{more} in {path}"


def _of_parts(
    values: list[int], rles: Rles, found: _ClassMap, table: ClassTable
) -> list[tuple[int, str]]:
    """Make an instance of each connected part of a thing, and of each stuff."""
    instances: list[tuple[int, str]] = []
    ids = [found.classes.get(value, -1) for value in values]
    for place, id_ in enumerate(ids):
        if table.has(id_):
            mask = rles.taken(np.array([place]))
            parts = mask if id_ in table.stuff else components(mask, 8).rles
            instances += [(id_, text.decode()) for text in parts.texts()]
    return instances


def _of_objects(read: _Read, objects: NDArray[Any], found: _ClassMap, table: ClassTable) -> _Read:
    """Make an instance of each object, of the class of most of its pixels that have one."""
    labels, rles = scan_labels(objects)
    inside = objects != 0
    values, of_pixel = np.unique(found.pixels[inside], return_inverse=True)
    of_object = np.searchsorted(labels, objects[inside])
    # Objects and values of a picture that is no map are many, their pairs no more than its pixels.
    pairs, n = np.unique(of_object * values.size + of_pixel, return_counts=True)
    owners, places = np.divmod(pairs, values.size)
    ids = np.array([found.classes.get(value, -1) for value in values.tolist()], np.int64)
    known = np.array([table.has(id_) for id_ in ids.tolist()], bool)[places]
    owners, classes, n = owners[known], ids[places[known]], n[known]
    # The class of most pixels comes last of an object, the first of equal ones.
    order = np.lexsort((-classes, n, owners))
    chosen = dict(zip(owners[order].tolist(), classes[order].tolist(), strict=True))
    several = np.bincount(owners, minlength=labels.size) > 1
    # VOC's outlines are an object of no class.
    nothing = _NO_COLOURS if objects.dtype == np.int64 else _NO_NUMBERS
    named = [f"object {label} of {read.trio.objects}" for label in labels.tolist()]
    texts = rles.texts()
    return read._replace(
        instances=[(class_, texts[k].decode()) for k, class_ in sorted(chosen.items())],
        mixed=[named[k] for k in np.flatnonzero(several).tolist()],
        classless=[
            named[k]
            for k, label in enumerate(labels.tolist())
            if k not in chosen and label not in nothing
        ],
    )


def find_class_maps(files: FileTree) -> ClassMaps | None:
    """Find images, label PNGs of classes and their table in a folder.

    Parameters
    ----------
    files : FileTree

    Returns
    -------
    ClassMaps or None
        None if there are none.

    Raises
    ------
    SourceError
        If there is no table of their classes, or it is no such table.
    """
    found = _roboflow(files)
    if found:
        folders = tuple(dict.fromkeys(place.classes for place in found.values()))
        return ClassMaps(files, in_order(found), folders)
    found = dict(_pairs(files))
    if not found:
        return None
    if find_table(files) is None:
        _expect_voc(files, found)
    logger.info("%s has label PNGs of classes: %s", files.name, ", ".join(found))
    return ClassMaps(files, in_order(found))


def find_listed_maps(files: FileTree) -> ClassMaps | None:
    """Find label PNGs of classes as :func:`find_class_maps` does, if there is a table.

    Parameters
    ----------
    files : FileTree

    Returns
    -------
    ClassMaps or None
        None if there is no table of classes, or COCO annotations.
    """
    is_listed = has_table(files) or _roboflow(files)
    return find_class_maps(files) if is_listed and not has_coco(files) else None


def _expect_voc(files: FileTree, found: dict[str, _Place]) -> None:
    """Refuse masks whose classes have no names, unless they are VOC's own."""
    place = next(iter(found.values()))
    if place.classes != "SegmentationClass" or not files.name.upper().startswith("VOC"):
        raise SourceError(
            f"{files.location} holds masks ({place.classes}/) and no table of their classes; "
            f"expected one such as classes.txt, with a name a line; write it "
            f"(docs/how-to/formats.md), call the masks instance_masks/ if their values are "
            f"objects, or give the path of a folder of images alone"
        )


def _pairs(files: FileTree) -> Iterator[tuple[str, _Place]]:
    """Find the splits of a folder."""
    names = files.folders()
    images = next((name for name in _IMAGES if name in names), "")
    objects = next((name for name in _OBJECTS if name in names), "")
    for classes in (name for name in _CLASSES if name in names):
        if _pngs(files, classes):
            whole = _Place(images, classes, objects)
            lists = files.names(_LISTS) or () if classes == "SegmentationClass" else ()
            stems = {stem_of(name) for name in lists if name.endswith(".txt")}
            parts = stems - {"trainval"} or stems
            if parts:
                for stem in parts:
                    split = "train" if stem in ("default", "trainval") else stem
                    yield split, whole._replace(listed=f"{_LISTS}/{stem}.txt")
            elif _is_of_images(files, whole):
                yield "train", whole
            return
        splits = [name for name in files.folders(classes) if _pngs(files, f"{classes}/{name}")]
        if splits and images:
            yield from _of_images(
                files,
                {
                    split: _Place(
                        f"{images}/{split}",
                        f"{classes}/{split}",
                        f"{objects}/{split}" if objects else "",
                    )
                    for split in splits
                },
            )
            return
    yield from _of_images(files, dict(_pairs_of_splits(files, names)))


def _of_images(files: FileTree, places: dict[str, _Place]) -> Iterable[tuple[str, _Place]]:
    """All splits if the masks of one have images: what is amiss in others is counted."""
    return places.items() if any(_is_of_images(files, p) for p in places.values()) else ()


def _pairs_of_splits(files: FileTree, names: list[str]) -> Iterator[tuple[str, _Place]]:
    """Find folders of splits that hold images and masks each."""
    for split in names:
        inner = files.folders(split)
        images = next((name for name in _IMAGES if name in inner), "")
        classes = next((name for name in _CLASSES if name in inner), "")
        objects = next((name for name in _OBJECTS if name in inner), "")
        if images and classes:
            place = _Place(
                f"{split}/{images}", f"{split}/{classes}", f"{split}/{objects}" if objects else ""
            )
            if _pngs(files, place.classes):
                yield split, place


def _roboflow(files: FileTree) -> dict[str, _Place]:
    folders = {"": "train"} | {name: name for name in files.folders()}
    return {
        split: _Place(folder, folder, "")
        for folder, split in folders.items()
        if files.exists(f"{folder}/_classes.csv" if folder else "_classes.csv")
        and any(stem_of(name).endswith(_SUFFIX) for name in _pngs(files, folder))
    }


def _is_of_images(files: FileTree, place: _Place) -> bool:
    """Whether masks have the stems of images, or come without any."""
    images = ImageFolder(files, place.images).names() if place.images else ()
    stems = {stem_of(name) for name in images or ()}
    masks = {stem_of(name) for name in _pngs(files, place.classes)}
    return not masks.isdisjoint(stems) if stems else place.classes == "SegmentationClass"


def _pngs(files: FileTree, folder: str) -> list[str]:
    return [name for name in files.names(folder) or () if name.lower().endswith(".png")]


def _is_mask(place: _Place, name: str) -> bool:
    """Whether a file that lies among images is a mask of Roboflow's."""
    return place.images == place.classes and stem_of(name).endswith(_SUFFIX)


def _masks_by_stem(files: FileTree, folder: str, place: _Place) -> dict[str, str]:
    names = _pngs(files, folder)
    if place.images == place.classes:
        names = [name for name in names if _is_mask(place, name)]
    cut = _SUFFIX if place.images == place.classes else ""
    prefix = f"{folder}/" if folder else ""
    return {stem_of(name).removesuffix(cut): f"{prefix}{name}" for name in names}


def _listed_stems(files: FileTree, path: str, there: Collection[str]) -> dict[str, str]:
    """Return the lines of a list, and the stem that each stands for."""
    text = files.read(path, MAX_LIST_BYTES).decode("utf-8-sig", "replace")
    lines = (line.strip() for line in text.splitlines() if line.strip())
    # Names may hold spaces; lists of VOC may have a second column.
    pairs = ((line, base_name(line), base_name(line.split()[0])) for line in lines)
    return {line: whole if whole in there else first for line, whole, first in pairs}
