"""What can be wrong with a dataset: one function for each thing, which says where it is so.

There are checks of an annotation file (its table), of a split (what was gathered of its annotation
and image files) and of all splits together. :data:`mtfast.diagnosis.diagnose.CHECKS` lists them.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtfast.rles import class_overlaps
from mtfast.sources.stated import (
    annotation_name,
    area_differs,
    bbox_differs,
    describe_area,
    describe_bbox,
)
from mtfast.sources.variants import is_n_shot, taken_from, without_classes
from mtfast.table import RunTable

__all__ = ["Found", "ImageFile", "Instances", "SplitFacts"]

Int64 = NDArray[np.int64]

MOST_EXAMPLES = 3
# Instance masks are mostly stored in a byte.
MOST_INSTANCES = 255


class Found(NamedTuple):
    """What a check found: where (names or ids, each once), examples in words, pixels if any."""

    places: Sequence[Hashable] = ()
    examples: tuple[str, ...] = ()
    n_pixels: int = 0


class ImageFile(NamedTuple):
    """What the file of an image is: its size, or what is wrong with it, and a digest of it all."""

    size: tuple[int, int] | None
    fault: str
    digest: bytes


class Instances(NamedTuple):
    """The instances of an annotation file by ascending id: a hash of image and mask, the class."""

    ids: Int64
    marks: Int64
    category_ids: Int64


@dataclass
class SplitFacts:
    """What is gathered of a split while its files are read.

    ``unreadable`` has a message for each file of annotations or meta data that cannot be read,
    ``sizes`` those that the annotation files state for each image, ``images`` the files of images
    by the names that the annotations have for them, ``image_files`` all of them (None without a
    folder of images).
    """

    name: str
    unreadable: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, set[tuple[int, int]]] = field(default_factory=dict)
    instances: dict[str, Instances] = field(default_factory=dict)
    image_files: tuple[str, ...] | None = None
    images: dict[str, ImageFile] = field(default_factory=dict)
    sets: tuple[str, ...] = ()


# Checks of an annotation file.


def annotation_id_0(table: RunTable) -> Found:
    """COCOeval writes 0 where a detection has no match."""
    return _annotations(table, table.instance_ids == 0)


def category_id_0(table: RunTable) -> Found:
    """In a semantic mask 0 is background."""
    return _annotations(table, table.category_ids == 0)


def category_not_listed(table: RunTable) -> Found:
    """Training code numbers the classes by the list of categories."""
    known = [0, *(category.id for category in table.categories)]
    return _annotations(table, ~np.isin(table.category_ids, known), _with_class)


def crowd(table: RunTable) -> Found:
    """Training code drops annotations that are marked as crowds."""
    return _annotations(table, table.iscrowd != 0)


def empty_mask(table: RunTable) -> Found:
    """An instance without pixels has no box."""
    return _annotations(table, table.area() == 0)


def area_disagrees(table: RunTable) -> Found:
    """Evaluation sorts instances by the area that the file states."""
    return _annotations(table, area_differs(table), describe_area)


def bbox_disagrees(table: RunTable) -> Found:
    """Detectors learn the box that the file states."""
    return _annotations(table, bbox_differs(table), describe_bbox)


def many_instances(table: RunTable) -> Found:
    """A mask of instance numbers in a byte has room for 255."""
    n = np.diff(table.image_offsets)
    names = table.names[n > MOST_INSTANCES].tolist()
    counts = n[n > MOST_INSTANCES].tolist()
    return _named(names, [f"{name}: {k} instances" for name, k in zip(names, counts, strict=True)])


def overlaps(table: RunTable) -> Found:
    """Which of two classes a pixel gets depends on who paints."""
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
    """A file that cannot be read is not looked at any further."""
    return _named(split.unreadable, split.unreadable.values())


def ids_disagree(split: SplitFacts) -> Found:
    """Files that share the ids of their annotations are joined by them.

    A class-agnostic file and the one with classes have the same annotations, and an n-shot subset
    has some of the file that it was taken from.
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
            examples += [f"annotation {i} of {variant} and {other}" for i in ids[:MOST_EXAMPLES]]
    return _named(places, examples)


def sizes_differ(split: SplitFacts) -> Found:
    """Masks of another size than their image lie elsewhere than what they show."""
    words = {}
    for name, sizes in split.sizes.items():
        file = split.images.get(name)
        if file is not None and file.size is not None and sizes != {file.size}:
            stated = " and ".join(f"{h} x {w}" for h, w in sorted(sizes))
            words[name] = f"{name}: {stated} in annotations, {file.size[0]} x {file.size[1]} pixels"
        elif len(sizes) > 1:
            words[name] = f"{name}: {' and '.join(f'{h} x {w}' for h, w in sorted(sizes))}"
    return _named(words, words.values())


def several_sizes(split: SplitFacts) -> Found:
    """One array holds images of one size."""
    sizes = sorted({size for sizes in split.sizes.values() for size in sizes})
    return _named(sizes if len(sizes) > 1 else [], [f"{h} x {w}" for h, w in sizes])


def no_image_files(split: SplitFacts) -> Found:
    """A set of labels alone is in order."""
    return _named([split.name] if split.image_files is None and not split.images else [])


def images_without_file(split: SplitFacts) -> Found:
    """Images that annotations list have to be there."""
    if split.image_files is None and not split.images:
        return Found()
    return _named([name for name in split.sizes if name not in split.images])


def files_without_image(split: SplitFacts) -> Found:
    """Files that no annotation file lists are never used."""
    from mtfast.paths import base_name

    used = {base_name(name) for name in split.images}
    return _named([file for file in split.image_files or () if file not in used])


def unreadable_images(split: SplitFacts) -> Found:
    """Decoders make grey pixels of what is missing, or stop in the middle of an epoch."""
    faults = {name: file.fault for name, file in split.images.items() if file.fault}
    return _named(faults, faults.values())


def identical_images(split: SplitFacts) -> Found:
    """An image that is there twice counts twice."""
    groups = _by_digest(split).values()
    names = [name for group in groups for name in group[1:]]
    return _named(names, [" = ".join(group) for group in groups if len(group) > 1])


# Checks of all splits together.


def identical_across(splits: Sequence[SplitFacts]) -> Found:
    """An image that is trained on says nothing in a test."""
    words = {}
    for a, b in combinations(splits, 2):
        first, second = _by_digest(a), _by_digest(b)
        for digest in first.keys() & second.keys():
            x, y = first[digest][0], second[digest][0]
            words[x, y] = f"{a.name} {x} = {b.name} {y}"
    return _named(sorted(words), [words[key] for key in sorted(words)])


def runs_in_both(splits: Sequence[SplitFacts]) -> Found:
    """Images of one exfoliation run look alike: a test on them flatters."""
    shared = {
        name: f"{name} in {a.name} and {b.name}"
        for a, b in combinations(splits, 2)
        for name in a.sets
        if name in b.sets
    }
    return _named(shared, shared.values())


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
    """Ids that mean different masks in two files, or that only one (the first one) has."""
    place, there = _look_up(mine.ids, other.ids)
    same = there.copy()
    same[there] = mine.marks[there] == other.marks[place[there]]
    if all_of_it:
        _, here = _look_up(other.ids, mine.ids)
        return np.concatenate([mine.ids[~same], other.ids[~here]])
    same[there] &= mine.category_ids[there] == other.category_ids[place[there]]
    return mine.ids[~same]


def _look_up(ids: Int64, among: Int64) -> tuple[Int64, NDArray[np.bool_]]:
    """Place of each id among ascending ones, and whether it is there."""
    place = np.searchsorted(among, ids)
    there = place < among.size
    there[there] = among[place[there]] == ids[there]
    return place, there
