"""Label Studio: its exports as JSON and as JSON-MIN.

::

    project.json                     with images beside it, in images/, or in --image-folder
    NAME/ project.json images/       one split; files called as splits are are splits: val.json

A task may have several annotations. Those that were cancelled are left out; of the others the
variant ``annotations`` has the one that is marked as ground truth, otherwise the newest. Where
several people have annotated, there is a variant for each, ``annotator_ID``, with the newest of
that person. Predictions are not read. A task that nobody has annotated is left out and counted; an
annotation without regions says that there is nothing.

Classes are numbered in the order of ``labels.txt`` where there is one, otherwise by name over all
splits and annotators. Uploads are called ``0a1b2c3d-NAME.jpg``; the prefix is dropped only if
there is a ``NAME.jpg``, as UUIDs begin like that, too.

Source: ``label_studio_sdk/converter/converter.py``.
"""

from __future__ import annotations

import base64
import binascii
import logging
import posixpath
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

from mtfast.errors import SourceError
from mtfast.image_files import shown_size
from mtfast.limits import check_pixels
from mtfast.sources.bad_records import TOO_MANY_PIXELS, Ledger
from mtfast.sources.coco.any_json import load_json
from mtfast.sources.coco.names import is_json, split_named
from mtfast.sources.coco.peek import peek
from mtfast.sources.coco.stream import BAD_INPUT, BOM
from mtfast.sources.drawn.label_studio_regions import (
    ALPHA_OVER,
    NULL,
    NoMask,
    Value,
    mask_of_region,
)
from mtfast.sources.drawn.source import DrawnSource
from mtfast.sources.drawn.table import (
    DrawnImage,
    Instance,
    Region,
    listed_labels,
    number_labels,
)
from mtfast.sources.files import FileTree
from mtfast.sources.image_folder import ImageFolder
from mtfast.sources.image_size import read_size
from mtfast.sources.source import Orientation
from mtfast.sources.split_names import in_order

__all__ = ["FORMAT", "LabelStudio", "find_label_studio", "open_label_studio"]

logger = logging.getLogger(__name__)

FORMAT = "a Label Studio export"
"""As :func:`mtfast.sources.coco.peek.peek` calls it."""

BY_RULE = "annotations"

# What the values of regions have.
_PLACES = {"points", "x", "rle", "imageDataURL"}
_UPLOAD = re.compile(r"[0-9a-f]{8}-(?=.)")
_IMAGE = re.compile(r"\.(jpe?g|png|tiff?|bmp|webp)(\W|$)", re.IGNORECASE)
_DEPTH = 3


class _Task(msgspec.Struct):
    """A task; as JSON-MIN has it, with one annotation and its fields all together."""

    id: int | str | None = None
    data: dict[str, msgspec.Raw] | None = None
    annotations: list[msgspec.Raw] | None = None
    completions: list[msgspec.Raw] | None = None
    predictions: list[msgspec.Raw] | None = None
    file_upload: str | None = None
    annotation_id: int | str | None = None
    annotator: msgspec.Raw = NULL
    created_at: int | float | str | None = None
    updated_at: int | float | str | None = None


class _Annotation(msgspec.Struct):
    result: list[msgspec.Raw] | None = None
    id: int | str | None = None
    completed_by: msgspec.Raw = NULL
    was_cancelled: bool | None = None
    skipped: bool | None = None
    ground_truth: bool | None = None
    created_at: int | float | str | None = None
    updated_at: int | float | str | None = None


class _Result(msgspec.Struct):
    value: msgspec.Raw = NULL
    id: int | str | None = None
    type: str | None = None
    to_name: str | None = None
    item_index: int | None = None
    original_width: float | None = None
    original_height: float | None = None
    image_rotation: float | None = None


class _Who(msgspec.Struct):
    """Of a task, who has annotated it."""

    annotations: list[_Annotation] | None = None
    completions: list[_Annotation] | None = None
    annotator: msgspec.Raw = NULL


class _Drawn(NamedTuple):
    """An annotation of a task: who made it and when, and its regions."""

    annotator: str
    is_truth: bool
    when: str
    is_cancelled: bool
    results: list[_Result | str]
    first_id: int


_TASKS = msgspec.json.Decoder(list[msgspec.Raw])
_WHO = msgspec.json.Decoder(list[_Who])
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_TASK = msgspec.json.Decoder(_Task)
_ANNOTATION = msgspec.json.Decoder(_Annotation)
_RESULT = msgspec.json.Decoder(_Result)
_VALUE = msgspec.json.Decoder(Value)


@dataclass(frozen=True, repr=False)
class LabelStudio(DrawnSource):
    """Exports of Label Studio; see :class:`mtfast.sources.Source`.

    Attributes
    ----------
    found : dict
        The files of each split.
    annotators : dict
        Who has annotated each split, where they are several.
    images : FileTree
        The folder of the images.
    file : str
        The file that was opened; empty if a folder was.
    """

    found: dict[str, tuple[str, ...]]
    annotators: dict[str, tuple[str, ...]]
    images: FileTree
    file: str = ""
    kind: ClassVar[str] = "label_studio"
    tool: ClassVar[str] = "Label Studio"
    takes_image_folder: ClassVar[bool] = True
    drawn_on: ClassVar[Orientation | None] = "shown"

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits, "train" and "test" before others."""
        return tuple(self.found)

    @property
    def choices(self) -> dict[str, str | int]:
        """How masks were made; see :attr:`mtfast.sources.Source.choices`."""
        return {**super().choices, "alpha_over": ALPHA_OVER}

    def image_names(self, split: str) -> tuple[str, ...]:
        """List the image files of all splits; see :meth:`mtfast.sources.Source.image_names`."""
        self._expect_split(split)
        return tuple(sorted(_images_below(self.images)))

    def _variants(self, split: str) -> tuple[str, ...]:
        return (BY_RULE, *(f"annotator_{name}" for name in self.annotators[split]))

    def _annotations_at(self, split: str, variant: str) -> str:
        file = self.found[split][0]
        return file if variant == BY_RULE else f"{file}, {variant}"

    def _image_folder(self, split: str) -> ImageFolder:
        return ImageFolder(self.images)

    def _others(self) -> dict[str, object]:
        return {"info": self.choices}

    def _drawn(self, split: str, file: str, ledger: Ledger) -> list[DrawnImage]:
        wanted = file.rpartition(", annotator_")[2] if ", annotator_" in file else ""
        reader = _Reader(self, split, wanted, ledger)
        for path in self.found[split]:
            for place, task in _tasks(self.files, path):
                reader.add(place, task)
        return reader.drawn()

    def _numbers(self) -> tuple[dict[str, int], list[str]]:
        used: set[str] = set()
        for paths in self.found.values():
            for path in paths:
                for _, task in _tasks(self.files, path):
                    used.update(_labels_of(task))
        listed = listed_labels(self.files, ("",))
        return number_labels(sorted(used), listed), listed


class _Reader:
    """Puts the tasks of a split together: which image each is of, and what is drawn on it."""

    def __init__(self, source: LabelStudio, split: str, wanted: str, ledger: Ledger) -> None:
        self._source = source
        self._split = split
        self._wanted = wanted
        self._ledger = ledger
        self._names = _Names(_images_below(source.images))
        self._candidates: dict[str, list[tuple[str, _Drawn]]] = {}
        self._paths: dict[str, str] = {}
        self._n_results = 0
        self._said: dict[str, list[tuple[str, str]]] = {}

    def add(self, place: str, raw: msgspec.Raw) -> None:
        """Take a task."""
        try:
            task = _TASK.decode(raw)
            given = _image_of(raw, task)
            drawn = [self._annotation(found) for found in _annotations_of(raw, task)]
        except BAD_INPUT as error:
            self._ledger.keep("malformed record", place, f"{place}: {error}")
            return
        if not given:
            self._ledger.keep("file name missing", place, place)
            return
        for k in range(len(task.predictions or ()) if not self._wanted else 0):
            self._say("prediction", f"{place}, prediction {k}", place)
        name = self._names.find(given)
        path = _path_of(given)
        if drawn and (other := self._paths.setdefault(name, path)) != path:
            # Whose file it is cannot be told: one of a folder, or one that was uploaded twice.
            words = f"{place}: both {path} and {other} would be {name}"
            self._ledger.keep("file of several images", place, words)
            return
        self._candidates.setdefault(name, []).extend((place, one) for one in drawn)

    def drawn(self) -> list[DrawnImage]:
        """Choose an annotation of each image, and return what is drawn in it."""
        images = [self._image(name, some) for name, some in self._candidates.items()]
        for kind, places in self._said.items():
            self._ledger.say(kind, [p for p, _ in places], [words for _, words in places])
        return [image for image in images if image is not None]

    def _annotation(self, found: _Annotation) -> _Drawn:
        results: list[_Result | str] = []
        for raw in found.result or ():
            try:
                result = _RESULT.decode(raw)
            except BAD_INPUT as error:
                results.append(str(error))
                continue
            # Relations alone have none.
            has_value = result.type == "relation" or not _begins(result.value, b"n")
            results.append(result if has_value else "it has no value")
        first, self._n_results = self._n_results + 1, self._n_results + len(results)
        return _Drawn(
            _name_of(found.completed_by),
            bool(found.ground_truth),
            str(found.updated_at or found.created_at or ""),
            bool(found.was_cancelled or found.skipped),
            results,
            first,
        )

    def _image(self, name: str, candidates: list[tuple[str, _Drawn]]) -> DrawnImage | None:
        for place, one in candidates:
            if one.is_cancelled and not self._wanted:
                self._say("cancelled annotation", f"{place} {one.first_id}", place)
        there = [(place, one) for place, one in candidates if not one.is_cancelled]
        if self._wanted:
            there = [(place, one) for place, one in there if one.annotator == self._wanted]
        if not there:
            self._say("image that nobody has annotated", name, repr(name))
            return None
        place, chosen = max(there, key=lambda pair: (pair[1].is_truth, pair[1].when))
        for other, one in there:
            if one is not chosen:
                words = f"{other}, by {one.annotator or 'somebody'}"
                self._say("annotation that is not chosen", f"{other} {one.first_id}", words)
        if targets := _targets_of(chosen.results)[1:]:
            words = f"{place}, also on {', '.join(targets)}"
            self._ledger.keep("regions on several images", place, words)
            return None
        size = self._size(place, name, chosen)
        if size is None:
            return None
        return DrawnImage(name, size, list(self._instances(place, chosen, size)), {})

    def _say(self, kind: str, place: str, words: str) -> None:
        self._said.setdefault(kind, []).append((place, words))

    def _size(self, place: str, name: str, chosen: _Drawn) -> tuple[int, int] | None:
        """Return the size that most regions state, or that of the image as it is shown."""
        stated = Counter(size for one in chosen.results if (size := _size_of(one)))
        if not stated:
            return self._measure(place, name)
        ((height, width), _), *_ = stated.most_common()
        try:
            check_pixels(f"image {name!r}", height, width, SourceError)
        except SourceError:
            self._ledger.keep(TOO_MANY_PIXELS, name, f"{name}: {height} x {width}")
            return None
        return height, width

    def _measure(self, place: str, name: str) -> tuple[int, int] | None:
        """Look up the size of an image on which nothing is drawn: its task does not state it."""
        try:
            found = read_size(self._source.read_image(self._split, name), name)
        except SourceError as error:
            words = f"{place}, {str(error).partition(';')[0]}"
            self._ledger.keep("image size missing", name, words, can_repair=False)
            return None
        return shown_size(found.height, found.width, found.orientation)

    def _instances(self, place: str, chosen: _Drawn, size: tuple[int, int]) -> Iterator[Instance]:
        labels = _labels_by_region(chosen.results)
        seen: set[int | str] = set()
        for k, result in enumerate(chosen.results):
            where, words = f"{place}, region {k}", f"region {k} of {place}"
            if isinstance(result, str):
                self._ledger.keep("malformed record", where, f"{words}: {result}")
                continue
            if result.type == "relation":
                continue
            label = labels[k]
            # Control tags apart from labels write a result for each, of one id.
            if result.id and result.id in seen:
                continue
            mask = self._mask(result, size, where, words)
            if mask is None:
                continue
            if not label:
                self._ledger.keep("region without a label", where, words)
                continue
            if result.id:
                seen.add(result.id)
            if len(label) > 1:
                self._say("region of several labels", where, f"{words}: {', '.join(label)}")
            yield Instance(chosen.first_id + k, label[0], [Region(mask, where, words)], {})

    def _mask(
        self, result: _Result, size: tuple[int, int], where: str, words: str
    ) -> list[list[float]] | bytes | None:
        """Return what a region covers; None, which is said, if that is nothing."""
        keep = self._ledger.keep
        stated = _size_of(result)
        try:
            value = _VALUE.decode(result.value)
            if stated is not None and stated != size:
                raise SourceError(f"it is of an image of {stated[0]} x {stated[1]}")
            mask = mask_of_region(value, size)
        except NoMask:
            self._say("shape without a mask", where, words)
            return None
        except (SourceError, *BAD_INPUT) as error:
            keep("malformed segmentation", where, f"{words}: {str(error).partition(';')[0]}")
            return None
        if mask is not None and (result.image_rotation or 0) % 360:
            keep("region on a turned image", where, f"{words}: {result.image_rotation:g} degrees")
            return None
        return mask


class _Names:
    """Finds the image files that tasks are of."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = frozenset(names)
        self._by_base: dict[str, list[str]] = {}
        for name in names:
            self._by_base.setdefault(posixpath.basename(name), []).append(name)

    def find(self, given: str) -> str:
        """Return the name of an image file by what a task calls it.

        Parameters
        ----------
        given : str
            An address, a path, or the name of an upload.

        Returns
        -------
        str
            Its longest tail that is there; its last part if none is.
        """
        parts = [part for part in _path_of(given).split("/") if part not in ("", ".", "..")]
        for k in range(len(parts)):
            if (tail := "/".join(parts[k:])) in self._names:
                return tail
        last = parts[-1] if parts else given
        for base in (last, _UPLOAD.sub("", last, count=1)):
            if len(found := self._by_base.get(base, [])) == 1:
                return found[0]
        return last


def _path_of(given: str) -> str:
    """Return the path in what a task calls its image."""
    parts = urlsplit(given.replace("\\", "/"))
    query = parse_qs(parts.query)
    if "d" in query:
        return query["d"][0]
    if "fileuri" in query:
        try:
            return _path_of(base64.b64decode(query["fileuri"][0]).decode())
        except (binascii.Error, UnicodeDecodeError, ValueError):
            return ""
    # A "#" or "?" may stand in a name that is no address.
    return (
        unquote(parts.path)
        if parts.scheme or given.startswith("/data/")
        else given.replace("\\", "/")
    )


def _tasks(files: FileTree, path: str) -> Iterator[tuple[str, msgspec.Raw]]:
    """Tasks of a file, each with its name for messages."""
    data = files.read(path).removeprefix(BOM)
    try:
        tasks = _TASKS.decode(data)
    except BAD_INPUT as error:
        found = load_json(data)
        if not isinstance(found, list):
            raise SourceError(
                f"{path} is no Label Studio export ({error}); expected a list of tasks; export the "
                f"project again as JSON"
            ) from error
        tasks = [_encoded(task) for task in found]
    for number, task in enumerate(tasks):
        yield f"task {number} of {path}", task


def _encoded(task: Any) -> msgspec.Raw:
    """Return a task as JSON: NaN becomes null, and a task that cannot be JSON becomes none."""
    try:
        return msgspec.Raw(msgspec.json.encode(task))
    except (ValueError, OverflowError, RecursionError):
        return NULL


def _image_of(raw: msgspec.Raw, task: _Task) -> str:
    """Return what a task calls its image; empty if nothing in it may be that."""
    fields = task.data if task.data is not None else _FIELDS.decode(raw)
    texts = {key: msgspec.json.decode(v) for key, v in fields.items() if _begins(v, b'"')}
    named = [texts[key] for key in ("image", "img", "image_url", "url") if key in texts]
    looks_so = [text for text in texts.values() if _IMAGE.search(text)]
    found = [text for text in (*named, *looks_so) if _IMAGE.search(text)] or named
    return found[0] if found else task.file_upload or ""


def _begins(raw: msgspec.Raw, sign: bytes) -> bool:
    return bytes(memoryview(raw)[:1]) == sign


def _annotations_of(raw: msgspec.Raw, task: _Task) -> list[_Annotation]:
    """Return the annotations of a task; JSON-MIN has one, a list of values for each control."""
    if task.data is not None or task.annotations is not None or task.completions is not None:
        found = task.annotations if task.annotations is not None else task.completions
        return [_ANNOTATION.decode(one) for one in found or ()]
    if task.annotation_id in (None, ""):
        return []
    results = [
        result
        for value in _FIELDS.decode(raw).values()
        if _begins(value, b"[")
        for result in _TASKS.decode(value)
        if _begins(result, b"{")
    ]
    return [
        _Annotation(
            [_as_result(result) for result in results],
            completed_by=task.annotator,
            created_at=task.created_at,
            updated_at=task.updated_at,
        )
    ]


def _as_result(value: msgspec.Raw) -> msgspec.Raw:
    """Return a region of JSON-MIN, which is a value with the size in it, as that of an export."""
    fields = _FIELDS.decode(value)
    keys = ("original_width", "original_height", "image_rotation")
    result = {key: fields[key] for key in keys if key in fields}
    return msgspec.Raw(msgspec.json.encode({"value": value, **result}))


def _size_of(result: _Result | str) -> tuple[int, int] | None:
    if isinstance(result, str) or not result.original_height or not result.original_width:
        return None
    sides = result.original_height, result.original_width
    if not all(1 <= side < 2**31 and side == int(side) for side in sides):
        return None
    return int(sides[0]), int(sides[1])


def _targets_of(results: Sequence[_Result | str]) -> list[str]:
    """Name the images of a task that regions are on: its file says not which is which."""
    found: dict[str, None] = {}
    for result in results:
        if not isinstance(result, str) and _keys_in(result.value) & _PLACES:
            page = f" {result.item_index}" if result.item_index is not None else ""
            found[f"{result.to_name or ''}{page}"] = None
    return list(found)


def _keys_in(value: msgspec.Raw) -> set[str]:
    try:
        return {*_FIELDS.decode(value)}
    except BAD_INPUT:
        return set()


def _labels_in(value: msgspec.Raw) -> list[str]:
    """Labels in a value: what stands under "polygonlabels", "labels" and the like."""
    try:
        fields = _FIELDS.decode(value)
        for key, raw in fields.items():
            if key.endswith("labels"):
                found = msgspec.json.decode(raw, type=list[str])
                return [label.strip() for label in found]
    except BAD_INPUT:
        pass
    return []


def _labels_by_region(results: Sequence[_Result | str]) -> list[list[str]]:
    """Labels of each result: its own, or those of another one of the same id."""
    own = [[] if isinstance(result, str) else _labels_in(result.value) for result in results]
    by_id: dict[int | str, list[str]] = {}
    for result, labels in zip(results, own, strict=True):
        if not isinstance(result, str) and result.id and labels:
            by_id.setdefault(result.id, labels)
    return [
        labels or ([] if isinstance(result, str) or not result.id else by_id.get(result.id, []))
        for result, labels in zip(results, own, strict=True)
    ]


def _labels_of(raw: msgspec.Raw) -> Iterator[str]:
    """All labels in a task; what is malformed is said where it is wanted."""
    try:
        annotations = _annotations_of(raw, _TASK.decode(raw))
    except BAD_INPUT:
        return
    for annotation in annotations:
        for result in annotation.result or ():
            try:
                yield from _labels_in(_RESULT.decode(result).value)[:1]
            except BAD_INPUT:
                continue


def _name_of(raw: msgspec.Raw) -> str:
    """Name who has annotated, as a part of the name of a variant."""
    who: Any = msgspec.json.decode(raw)
    if isinstance(who, Mapping):
        who = who.get("id", who.get("email"))
    return "" if who is None else re.sub(r"[^\w.@-]", "_", str(who))


def _images_below(files: FileTree, folder: str = "", depth: int = _DEPTH) -> list[str]:
    slash = f"{folder}/" if folder else ""
    found = [f"{slash}{name}" for name in ImageFolder(files, folder).names() or ()]
    for name in files.folders(folder) if depth else ():
        found += _images_below(files, f"{slash}{name}", depth - 1)
    return found


def find_label_studio(files: FileTree, images: FileTree | None = None) -> LabelStudio | None:
    """Find exports of Label Studio in a folder.

    Parameters
    ----------
    files : FileTree
    images : FileTree, optional
        The folder of the images.

    Returns
    -------
    LabelStudio or None
        None if there are none.
    """
    names = [name for name in files.names() or () if is_json(name)]
    found: dict[str, tuple[str, ...]] = {}
    for name in names:
        if peek(files, name) == FORMAT:
            split = split_named(name)
            found[split] = (*found.get(split, ()), name)
    if not found:
        return None
    logger.info("%s holds exports of Label Studio of %s", files.name, ", ".join(found))
    return _opened(files, in_order(found), images, "")


def open_label_studio(files: FileTree, name: str, images: FileTree | None = None) -> LabelStudio:
    """Open an export of Label Studio.

    Parameters
    ----------
    files : FileTree
        The folder that it is in.
    name : str
    images : FileTree, optional
        The folder of the images.

    Returns
    -------
    LabelStudio
    """
    return _opened(files, {split_named(name): (name,)}, images, name)


def _opened(
    files: FileTree, found: dict[str, tuple[str, ...]], images: FileTree | None, file: str
) -> LabelStudio:
    if images is None:
        images = files.below("images") if ImageFolder(files, "images").names() else files
    annotators = {
        split: _annotators([who for path in paths for who in _who(files, path)])
        for split, paths in found.items()
    }
    return LabelStudio(files, found, annotators, images, file)


def _who(files: FileTree, path: str) -> Iterator[str]:
    try:
        tasks = _WHO.decode(files.read(path).removeprefix(BOM))
    except BAD_INPUT:
        # What is malformed is said when it is read; who has made the rest is not looked for.
        return
    for task in tasks:
        for one in (*(task.annotations or ()), *(task.completions or ())):
            if not (one.was_cancelled or one.skipped):
                yield _name_of(one.completed_by)
        yield _name_of(task.annotator)


def _annotators(found: Sequence[str]) -> tuple[str, ...]:
    names = sorted({name for name in found if name})
    return tuple(names) if len(names) > 1 else ()
