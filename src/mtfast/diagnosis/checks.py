"""What can be wrong with a dataset: a function for each thing, and the table of them all.

A check is given the table of an annotation file, what was gathered of a split, or that of all
splits, and says where it found something. To add one, write a function, add a line to
:data:`CHECKS`, and its name to docs/doctor.schema.json.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import combinations
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtfast.diagnosis.facts import Instances, SplitFacts
from mtfast.errors import counted
from mtfast.rles import class_overlaps
from mtfast.sources.bad_records import (
    KINDS,
    OF_IMAGE_FILES,
    READ_AS_BOX,
    TOO_LARGE,
    BadRecords,
    Kind,
    advice_on,
)
from mtfast.sources.categories import classes_that_differ
from mtfast.sources.stated import (
    annotation_name,
    area_differs,
    bbox_differs,
    describe_area,
    describe_bbox,
)
from mtfast.sources.variants import is_n_shot, taken_from, without_classes
from mtfast.table import RunTable

__all__ = ["CHECKS", "MOST_EXAMPLES", "Check", "Found", "Scope", "Severity"]

Int64 = NDArray[np.int64]

MOST_EXAMPLES = 3
# Instance masks are mostly stored in a byte.
MOST_INSTANCES = 255
MOST_CATEGORIES = 65535

Severity = Literal["error", "warning", "note"]

Scope = Literal["records", "file", "painted file", "split", "dataset"]
"""What a check is given: what was wrong with records of each annotation file, its table, that of
the file that semantic masks are painted from, the facts of each split, or those of all splits."""


class Found(NamedTuple):
    """What a check found.

    Attributes
    ----------
    places : sequence
        Where: names or ids, each once.
    examples : tuple of str
        Some of it in words.
    n_pixels : int
        The pixels concerned, if it is about pixels.
    """

    places: Sequence[Hashable] = ()
    examples: tuple[str, ...] = ()
    n_pixels: int = 0


class Check(NamedTuple):
    """Something that may be wrong.

    Attributes
    ----------
    name : str
    severity : {"error", "warning", "note"}
        Errors make training or evaluation wrong, warnings probably do; notes are good to know.
    scope : str
        What ``find`` is given; see :data:`Scope`.
    find : callable
        Returns what it :class:`Found`.
    advice : str
        What was expected; what to do.
    """

    name: str
    severity: Severity
    scope: Scope
    find: Callable[[Any], Found]
    advice: str


# Checks of an annotation file.


def annotation_id_0(table: RunTable) -> Found:
    """COCOeval writes 0 where a detection has no match."""
    return _annotations(table, table.instance_ids == 0)


def large_category(table: RunTable) -> Found:
    """A semantic mask has at most 16 bits a pixel."""
    ids = table.category_ids
    return _annotations(table, (ids < 0) | (ids > MOST_CATEGORIES), _with_class)


def mostly_crowds(table: RunTable) -> Found:
    """Some tools write every RLE as a crowd, and training code drops crowds."""
    if 2 * np.count_nonzero(table.iscrowd) <= table.n_instances:
        return Found()
    return _annotations(table, table.iscrowd != 0)


def empty_mask(table: RunTable) -> Found:
    """An instance without pixels has no box."""
    return _annotations(table, table.area() == 0)


def tiny_masks(table: RunTable) -> Found:
    """Polygons in shares of the image's size, from 0 to 1, are masks of a pixel in its corner."""
    ends = table.bbox()[:, :2] + table.bbox()[:, 2:]
    in_corner = (ends <= 1).all(1) & (table.area() > 0)
    return _annotations(table, in_corner if 2 * in_corner.sum() > in_corner.size else in_corner[:0])


def annotation_twice(table: RunTable) -> Found:
    """One object counts twice."""
    image, area = table.image_of_instance, table.area()
    told = (image, table.category_ids, table.iscrowd, area, table.bbox(), np.arange(area.size))
    keys = np.column_stack(told)
    keys = keys[np.lexsort(keys.T[::-1])].astype(np.int64)
    alike = (keys[1:, :-1] == keys[:-1, :-1]).all(1)
    group = np.concatenate([[0], np.cumsum(~alike)])
    several = np.flatnonzero(np.bincount(group)[group] > 1)
    first: dict[tuple[int, bytes], int] = {}
    pairs = []
    for g, k in zip(group[several].tolist(), keys[several, -1].tolist(), strict=True):
        before = first.setdefault((g, table.text(k)), k)
        if before != k and area[k]:
            pairs.append((before, k))
    ids = table.instance_ids
    words = [f"{annotation_name(table, a)} and {ids[b]}" for a, b in pairs[:MOST_EXAMPLES]]
    return Found([(int(ids[a]), int(ids[b])) for a, b in pairs], tuple(words))


def classes_of_one_name(table: RunTable) -> Found:
    """Networks learn them as different classes; capitals and spaces make no other name."""
    alike: dict[str, dict[str, list[str]]] = {}
    for category in table.categories:
        same = alike.setdefault(" ".join(category.name.casefold().split()), {})
        same.setdefault(category.name, []).append(str(category.id))
    words = {
        key: ", ".join(f"{name!r}: {', '.join(ids)}" for name, ids in names.items())
        for key, names in alike.items()
        if sum(map(len, names.values())) > 1
    }
    return _named(words, words.values())


def no_annotations(table: RunTable) -> Found:
    """Everything is background."""
    return _named(["all"], [counted(table.n_images, "image")]) if not table.n_instances else Found()


def area_disagrees(table: RunTable) -> Found:
    """Evaluation sorts instances by the area that the file states."""
    return _annotations(table, area_differs(table), describe_area)


def bbox_disagrees(table: RunTable) -> Found:
    """Detectors learn the box that the file states."""
    return _annotations(table, bbox_differs(table), describe_bbox)


def many_instances(table: RunTable) -> Found:
    """An 8-bit mask of instance numbers can hold 255 of them."""
    n = np.diff(table.image_offsets)
    names = table.names[n > MOST_INSTANCES].tolist()
    counts = n[n > MOST_INSTANCES].tolist()
    return _named(names, [f"{name}: {k} instances" for name, k in zip(names, counts, strict=True)])


def overlaps(table: RunTable) -> Found:
    """Which of two classes a pixel gets depends on the order of painting."""
    first, second, n_pixels = class_overlaps(table)
    ids, classes = table.instance_ids, table.category_ids
    words = [
        f"{annotation_name(table, a)} (class {classes[a]}) and {ids[b]} (class {classes[b]}) "
        f"share {n:,} px"
        for a, b, n in zip(first[:MOST_EXAMPLES], second, n_pixels, strict=False)
    ]
    pairs = list(zip(ids[first].tolist(), ids[second].tolist(), strict=True))
    return Found(pairs, tuple(words), int(n_pixels.sum()))


# Checks of a split.


def unreadable_annotations(split: SplitFacts) -> Found:
    """The content of a file that cannot be read is not checked."""
    return _named(split.unreadable, split.unreadable.values())


def ids_disagree(split: SplitFacts) -> Found:
    """Files whose annotations share ids are joined by them.

    A class-agnostic file and the one with classes have the same annotations; an n-shot subset has
    some of those of the file that it was taken from.
    """
    places: list[Hashable] = []
    examples: list[str] = []
    for variant, mine in split.instances.items():
        pairs = [(taken_from(variant), False)] if is_n_shot(variant) else []
        pairs += [(without_classes(variant), True)]
        for other, all_of_it in pairs:
            if other == variant or other not in split.instances:
                continue
            ids = _ids_that_differ(mine, split.instances[other], all_of_it).tolist()
            places += ids
            examples += [
                f"annotation {i} differs in {variant} and {other}" for i in ids[:MOST_EXAMPLES]
            ]
    return _named(places, examples)


def sizes_differ(split: SplitFacts) -> Found:
    """Masks that are not of the size of their image do not fit what it shows.

    Masks may have been drawn on the image as stored, or turned as its EXIF orientation says.
    """
    words = {}
    for name, sizes in split.sizes.items():
        file = split.images.get(name)
        stated = " and ".join(f"{h} x {w}" for h, w in sorted(sizes))
        if file is not None and file.size is not None and sizes not in ({file.size}, {file.shown}):
            words[name] = f"{name}: {stated} in annotations, {file.size[0]} x {file.size[1]} pixels"
            if file.orientation > 1 and file.shown is not None:
                h, w = file.shown
                words[name] += f", {h} x {w} by its EXIF orientation {file.orientation}"
        elif len(sizes) > 1:
            words[name] = f"{name}: {stated}"
    return _named(words, words.values())


def turned_images(split: SplitFacts) -> Found:
    """The size of the annotations says whether masks lie on the turned image."""
    words = {}
    for name, file in split.images.items():
        if file.orientation != 1 and file.size != file.shown:
            fits = "as shown" if split.sizes[name] == {file.shown} else "as stored"
            words[name] = f"{name}: orientation {file.orientation}, masks fit the image {fits}"
    return _named(words, words.values())


def unclear_orientation(split: SplitFacts) -> Found:
    """An image of the same size when it is turned does not say on which of both masks lie."""
    if split.frame is not None:
        return Found()
    words = {
        name: f"{name}: orientation {file.orientation}"
        for name, file in split.images.items()
        if file.orientation != 1 and file.size is not None and file.size == file.shown
    }
    return _named(words, words.values())


def other_spellings(split: SplitFacts) -> Found:
    """Other tools may not find such files."""
    return _of_kind("file of another spelling")(split.matched)


def pages_of_stacks(split: SplitFacts) -> Found:
    """Other tools may read the first page for each of them."""
    return _of_kind("page of a TIFF stack")(split.matched)


def several_sizes(split: SplitFacts) -> Found:
    """Batches hold images of one size."""
    sizes = sorted({size for sizes in split.sizes.values() for size in sizes})
    return _named(sizes if len(sizes) > 1 else [], [f"{h} x {w}" for h, w in sizes])


def no_image_files(split: SplitFacts) -> Found:
    """Training needs images, and convert refuses a set without them unless told so."""
    are_wanted = split.has_images and bool(split.sizes)
    are_missing = split.image_files is None and not split.images
    return _named([split.name] if are_wanted and are_missing else [])


def images_without_file(split: SplitFacts) -> Found:
    """Training code opens every image that the annotations list."""
    if not split.has_images or (split.image_files is None and not split.images):
        return Found()
    return _named([name for name in split.sizes if name not in split.images])


def files_without_image(split: SplitFacts) -> Found:
    """Files that no annotation file lists are never used."""
    used = {*split.paths.values(), *split.shared}
    files = split.image_files or {}
    return _named(
        [name for name, path in files.items() if path not in used and name not in split.left_out]
    )


def unreadable_images(split: SplitFacts) -> Found:
    """Decoders fill missing pixels with grey, or fail in the middle of an epoch."""
    faults = {name: file.fault for name, file in split.images.items() if file.fault}
    faults |= split.lost
    return _named(faults, faults.values())


def identical_images(split: SplitFacts) -> Found:
    """Duplicates of an image count twice."""
    groups = _by_digest(split).values()
    names = [name for group in groups for name in group[1:]]
    return _named(names, [" = ".join(group) for group in groups if len(group) > 1])


# Checks of all splits together.


def identical_across(splits: Sequence[SplitFacts]) -> Found:
    """An image that a model has trained on does not test it."""
    words = {}
    for a, b in combinations(splits, 2):
        first, second = _by_digest(a), _by_digest(b)
        for digest in first.keys() & second.keys():
            x, y = first[digest][0], second[digest][0]
            words[a.name, x, b.name, y] = f"{a.name} {x} = {b.name} {y}"
    places = sorted(words)
    return _named(places, [words[place] for place in places])


def classes_differ(splits: Sequence[SplitFacts]) -> Found:
    """A model is tested with another class than it has learned."""
    found = classes_that_differ({split.name: split.classes for split in splits})
    words = [
        f"class {id_} is {', '.join(f'{name!r} in {split}' for split, name in names)}"
        for id_, names in found.items()
    ]
    return _named(list(found), words)


def runs_in_both(splits: Sequence[SplitFacts]) -> Found:
    """Images of one exfoliation run look alike: a test on them is too easy."""
    shared = {
        name: f"{name} in {a.name} and {b.name}"
        for a, b in combinations(splits, 2)
        for name in a.sets
        if name in b.sets
    }
    return _named(shared, shared.values())


# Checks of records.


def _of_kind(kind: str) -> Callable[[Sequence[BadRecords]], Found]:
    def find(found: Sequence[BadRecords]) -> Found:
        of_kind = [bad for bad in found if bad.kind == kind]
        places = [place for bad in of_kind for place in bad.places]
        return _named(places, [example for bad in of_kind for example in bad.examples])

    return find


def _check_of(kind: Kind) -> Check:
    """Make the check for bad records of a kind."""
    zero = ", or map the class to a free number with mapping=…" * (kind.name == "category id 0")
    advice = f"expected records as the format describes them; correct them{zero}, or convert: "
    return Check(kind.name, "error", "records", _of_kind(kind.name), advice + advice_on([kind]))


# Helpers.


def _annotations(
    table: RunTable,
    where: NDArray[Any],
    describe: Callable[[RunTable, int], str] | None = None,
) -> Found:
    bad = np.flatnonzero(where) if where.dtype == bool else where
    words = tuple((describe or annotation_name)(table, k) for k in bad[:MOST_EXAMPLES].tolist())
    return Found(table.instance_ids[bad].tolist(), words)


def _named(places: Iterable[Hashable], examples: Iterable[str] | None = None) -> Found:
    places = list(places)
    words = map(str, places) if examples is None else examples
    return Found(places, tuple(words)[:MOST_EXAMPLES])


def _with_class(table: RunTable, instance: int) -> str:
    return f"{annotation_name(table, instance)} of class {table.category_ids[instance]}"


def _by_digest(split: SplitFacts) -> dict[bytes, list[str]]:
    groups: dict[bytes, list[str]] = {}
    for name, file in split.images.items():
        if not file.fault:
            groups.setdefault(file.digest, []).append(name)
    return groups


def _ids_that_differ(mine: Instances, other: Instances, all_of_it: bool) -> Int64:
    """Ids that stand for different annotations in two files, or that the second one lacks.

    With ``all_of_it`` also those that the first one lacks; classes are not compared then.
    """
    place, there = _look_up(mine.ids, other.ids)
    same = there.copy()
    same[there] = mine.marks[there] == other.marks[place[there]]
    if all_of_it:
        _, here = _look_up(other.ids, mine.ids)
        return np.concatenate([mine.ids[~same], other.ids[~here]])
    same[there] &= mine.category_ids[there] == other.category_ids[place[there]]
    return mine.ids[~same]


def _look_up(ids: Int64, among: Int64) -> tuple[Int64, NDArray[np.bool_]]:
    """Index of each id among ascending ones, and whether it is there."""
    place = np.searchsorted(among, ids)
    there = place < among.size
    there[there] = among[place[there]] == ids[there]
    return place, there


_OF_RECORDS = [k for k in KINDS.values() if k.is_bad and k.name not in (*OF_IMAGE_FILES, TOO_LARGE)]

# fmt: off
_LEFT_OUT = {
    "image without annotation file":
        "the image is left out, as it may show instances or not; label it, or save a file without "
        "shapes if it shows none",
    "image that nobody has annotated":
        "the image is left out, as it may show instances or not; annotate it, or submit an "
        "annotation without regions if it shows none",
    "JSON file of another format":
        "the file is left out; expected one for each image; move it elsewhere if it says more",
    "shape without a mask":
        "it is left out, as points and open lines have no area; draw outlines or masks",
    "label that is no class":
        "it is left out: __ignore__ and _background_ are no classes; use another label",
    "image inside its JSON file":
        "it is read from there; expected image files, which are read faster; put them beside",
    "cancelled annotation": "it is left out; expected one that was submitted; annotate the image",
    "annotation that is not chosen":
        "of several the one marked as ground truth is read, otherwise the newest; choose that of "
        "one person with variant=…",
    "prediction": "it is not read: nobody has checked it; accept it as an annotation",
    "region of several labels": "the first label is its class; expected one; remove the others",
}
# fmt: on
"""What is worth a note of what people have drawn, and what to do."""

# fmt: off
CHECKS: tuple[Check, ...] = (
    Check("unreadable file", "error", "split", unreadable_annotations,
          "expected a file that can be read; correct it or get a whole copy, then run the checks "
          "of its content"),
    Check("annotation id 0", "error", "file", annotation_id_0,
          "expected ids other than 0, which means no match to COCOeval; give it another id"),
    *map(_check_of, _OF_RECORDS),
    Check("unused category 0", "note", "records", _of_kind("unused category 0"),
          "0 is background in masks; the class is left out, as no annotation uses it"),
    Check("image without mask", "note", "records", _of_kind("image without mask"),
          "the image is left out, as it may show instances or not; add a mask, all 0 if it shows "
          "none"),
    *(Check(kind, "note", "records", _of_kind(kind), advice) for kind, advice in _LEFT_OUT.items()),
    Check("image without annotations", "note", "records", _of_kind("image without annotations"),
          "images to predict on, or without objects: their masks are empty; add the annotation "
          "file if there is one"),
    Check("images of a split missing", "warning", "records", _of_kind("images of a split missing"),
          "expected every place that the file of the set names; what is not there is left out; put "
          "it there, correct its path, or remove it from the file"),
    Check("outline beyond the image", "note", "records", _of_kind("outline beyond the image"),
          "masks end at the edge of their image; where points lie far outside, the size of the "
          "image may be another one"),
    Check("object of several classes", "warning", "records", _of_kind("object of several classes"),
          "expected one class in all pixels of an object; it has the one of most of them; correct "
          "one of the two masks"),
    Check("iscrowd", "note", "records", _of_kind("iscrowd"),
          "evaluation needs crowds as they are, and training code leaves them out; if they are "
          "single flakes, as in masks that CVAT writes, train on them with crowds='keep'"),
    Check(READ_AS_BOX, "warning", "records", _of_kind(READ_AS_BOX),
          "expected polygons of at least three points: four numbers are x, y, width and height, as "
          "pycocotools has it; look at the masks, and correct those that were meant as two points"),
    Check(TOO_LARGE, "error", "file", large_category,
          "expected class numbers of 16 bits, as semantic masks hold them; map the class to a free "
          "number with mapping=…"),
    Check("mostly crowds", "warning", "file", mostly_crowds,
          "expected crowds to be few, as training code drops them; some tools write every RLE as a "
          "crowd: export again as polygons, or mark single instances as such"),
    Check("empty mask", "warning", "file", empty_mask,
          "expected at least one pixel; remove the annotation"),
    Check("mask in the corner", "warning", "file", tiny_masks,
          "expected coordinates in pixels, not shares of the size, which are masks of a pixel; "
          "multiply them by width and height"),
    Check("annotation twice", "warning", "file", annotation_twice,
          "expected every object once in an image; remove one of them"),
    Check("classes of one name", "warning", "painted file", classes_of_one_name,
          "expected a name of its own for each class, whatever its capitals and spaces; map one to "
          "the other with mapping=…, or rename it"),
    Check("no annotations", "note", "painted file", no_annotations,
          "expected instances to train on, as all masks are empty; choose another file with "
          "variant=…"),
    Check("area disagrees", "warning", "file", area_disagrees,
          "expected the area of the mask, as evaluation groups instances by it; correct the area"),
    Check("bbox disagrees", "warning", "file", bbox_disagrees,
          "expected the box of the mask, as detectors learn it; correct the bbox"),
    Check("over 255 instances", "warning", "file", many_instances,
          "expected at most 255 instances in an image, beyond which 8-bit instance masks wrap "
          "around; write instance masks of 16 bits"),
    Check("classes overlap", "note", "painted file", overlaps,
          "a semantic mask has one class for each pixel; choose by overlap=… which instance shows, "
          "by default the last"),
    Check("ids disagree", "warning", "split", ids_disagree,
          "expected the same annotation under one id in all files; derive the files again from "
          "one, or do not join them by annotation id"),
    Check("sizes disagree", "error", "split", sizes_differ,
          "expected the size of the image file in all annotation files; correct the size, or get "
          "the image that the masks were drawn on"),
    Check("EXIF orientation unclear", "error", "split", unclear_orientation,
          "expected upright images, or sizes that say on which image masks lie; look at some, then "
          "convert with orientation='stored' or orientation='shown'"),
    Check("EXIF orientation", "note", "split", turned_images,
          "images are read in the orientation that masks fit; other tools may turn them or not"),
    Check("several sizes", "note", "split", several_sizes,
          "a store holds them as they are; train on windows of one size"),
    Check("no image files", "error", "split", no_image_files,
          "expected a folder of images; add it, name that of a COCO file with image_folder=…, "
          "or check and convert a set that has none by design with images='none'"),
    Check("image without file", "error", "split", images_without_file,
          "expected a file for every image; add it, name the folder of a COCO file's images with "
          "image_folder=…, or convert with bad='skip', which leaves the image out, or with "
          "images='none'"),
    Check("file of another spelling", "note", "split", other_spellings,
          "the file is found by its slashes, the end of its path, Unicode form or case; other "
          "tools may not find it"),
    Check("page of a TIFF stack", "note", "split", pages_of_stacks,
          "a store holds each page as a file of its own; other tools may not find it"),
    Check("file without image", "note", "split", files_without_image,
          "the file is not used here; keep it if another annotation file lists it"),
    Check("unreadable image", "error", "split", unreadable_images,
          "expected an image file that decodes, as decoders fill missing pixels with grey or fail; "
          "replace it by a whole copy, or convert with bad='skip', which leaves the image out"),
    Check("identical images", "warning", "split", identical_images,
          "expected every image once, as duplicates count twice; keep one of them"),
    Check("classes of splits disagree", "error", "dataset", classes_differ,
          "expected a number to mean the same class in all splits; number the classes alike where "
          "they were exported"),
    Check("identical across splits", "error", "dataset", identical_across,
          "expected every image in one split, as training images do not test a model; list it in "
          "one of them alone"),
    Check("run in two splits", "error", "dataset", runs_in_both,
          "expected the images of an exfoliation run in one split, as they look alike; move them "
          "to one"),
)
# fmt: on
"""All checks; findings of one severity are reported in this order."""
