"""The annotation files of several sets as one file, in which no two things share an id."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from mtfast.errors import MtfastError, SourceError, shown
from mtfast.sources.coco.records import Records, edited, fields_of
from mtfast.sources.variants import has_classes

__all__ = [
    "Shift",
    "category_names",
    "is_one_class",
    "match_categories",
    "merge_files",
    "shifts_of",
]

MAX_ID = 2**63 - 1


class Shift(NamedTuple):
    """What is added to the image and annotation ids of a set."""

    image: int
    annotation: int


def shifts_of(sets: Sequence[Sequence[Records]]) -> list[Shift]:
    """Choose shifts that put the ids of each set above those of the sets before it.

    Parameters
    ----------
    sets : sequence of sequences of Records
        The files of each set, which share ids.

    Returns
    -------
    list of Shift
        One for each set; that of the first is 0.

    Raises
    ------
    MtfastError
        If an id would not fit into 64 bits.
    """
    shifts: list[Shift] = []
    tops = Shift(0, 0)
    for files in sets:
        images = _bounds([records.image_keys.ids for records in files])
        annotations = _bounds([records.annotation_keys.ids for records in files])
        lows, highs = zip(images, annotations, strict=True)
        # Ids that start at 1 continue where those of the sets before end.
        lifts = [top + 1 - min(1, low) for top, low in zip(tops, lows, strict=True)]
        shift = Shift(*lifts) if shifts else Shift(0, 0)
        tops = Shift(*map(sum, zip(highs, shift, strict=True)))
        if max(tops) > MAX_ID:
            raise MtfastError(
                f"ids up to {max(tops)} after renumbering; expected at most {MAX_ID}; "
                f"give the annotations and images of these sets smaller ids first"
            )
        shifts.append(shift)
    return shifts


def match_categories(sets: Sequence[dict[int, str]]) -> list[dict[int, int]]:
    """Give the categories of several sets common ids; categories of one name get one id.

    Parameters
    ----------
    sets : sequence of dict
        For each set, the names of its categories by their ids.

    Returns
    -------
    list of dict
        For each set, the common ids by its own ones; those of the first set do not change.

    Examples
    --------
    >>> match_categories([{1: "1 layer", 2: "2 layers"}, {1: "2 layers", 2: "bulk", 7: "tape"}])
    [{1: 1, 2: 2}, {1: 2, 2: 3, 7: 7}]
    """
    common: dict[tuple[str, int], int] = {}
    matched = []
    for names in sets:
        ids = {}
        for number, (id_, name) in enumerate(names.items()):
            # Two categories of one set stay two, even if they have one name.
            key = (name, list(names.values())[:number].count(name))
            taken = common.values()
            if key not in common:
                common[key] = max(taken) + 1 if id_ in taken else id_
            ids[id_] = common[key]
        matched.append(ids)
    return matched


def category_names(records: Records) -> dict[int, str]:
    """Return the names of the categories of a file by their ids.

    Parameters
    ----------
    records : Records

    Returns
    -------
    dict
        A category without a name is called by its id.
    """
    fields = [fields_of(category) for category in records.categories]
    return {field["id"]: str(field.get("name") or field["id"]) for field in fields}


def is_one_class(variant: str, files: Sequence[Records]) -> bool:
    """Whether files are class-agnostic, so that their only categories mean the same.

    Parameters
    ----------
    variant : str
    files : sequence of Records
        The files of that variant in several sets.

    Returns
    -------
    bool
    """
    return not has_classes(variant) and all(len(records.categories) == 1 for records in files)


def merge_files(
    variant: str,
    files: Sequence[Records],
    shifts: Sequence[Shift],
    matched: Sequence[dict[int, int]],
) -> bytes:
    """Merge the files of a variant, one of each set.

    Parameters
    ----------
    variant : str
    files : sequence of Records
    shifts : sequence of Shift
        As :func:`shifts_of` chose them, one for each file.
    matched : sequence of dict
        As :func:`match_categories` returns them, one for each file.

    Returns
    -------
    bytes
        The text of the new file. Values other than images, annotations, categories and licenses
        are those of the first file that has them.

    Raises
    ------
    SourceError
        If annotations are of a category that their file does not list.
    """
    if is_one_class(variant, files):
        (first,) = category_names(files[0])
        matched = [dict.fromkeys(category_names(records), first) for records in files]
    categories: dict[int, msgspec.Raw] = {}
    for records, ids in zip(files, matched, strict=True):
        for old, category in zip(category_names(records), records.categories, strict=True):
            new = category if ids[old] == old else edited(category, id=ids[old])
            categories.setdefault(ids[old], new)
    licenses, lifts = _merge_licenses(files)
    values: dict[str, Any] = {
        "images": list(chain.from_iterable(map(_images, files, shifts, lifts))),
        "annotations": list(chain.from_iterable(map(_annotations, files, shifts, matched))),
        "categories": list(categories.values()),
    }
    if licenses:
        values["licenses"] = licenses
    for records in files[1:]:
        values |= {k: v for k, v in records.fields.items() if k not in files[0].fields | values}
    return files[0].encode(**values)


def _images(records: Records, shift: Shift, lift: int) -> list[msgspec.Raw]:
    if not shift.image and not lift:
        return records.images
    images = []
    for id_, image in zip(records.image_keys.ids.tolist(), records.images, strict=True):
        license_ = fields_of(image).get("license") if lift else None
        more = {"license": license_ + lift} if isinstance(license_, int) else {}
        images.append(edited(image, id=id_ + shift.image, **more))
    return images


def _annotations(records: Records, shift: Shift, ids: dict[int, int]) -> list[msgspec.Raw]:
    keys = records.annotation_keys
    unlisted = set(np.unique(keys.category_ids).tolist()) - ids.keys()
    if unlisted:
        raise SourceError(
            f"{records.file}: annotations of category {min(unlisted)}, which is not listed; "
            f"expected every category with its name, by which those of several sets are matched; "
            f"add it to the categories"
        )
    if not any(shift) and all(old == new for old, new in ids.items()):
        return records.annotations
    image_ids = (keys.image_ids + shift.image).tolist()
    new_ids = (keys.ids + shift.annotation).tolist()
    category_ids = [ids[c] for c in keys.category_ids.tolist()]
    return [
        edited(record, id=id_, image_id=image_id, category_id=category_id)
        for record, id_, image_id, category_id in zip(
            records.annotations, new_ids, image_ids, category_ids, strict=True
        )
    ]


def _merge_licenses(files: Sequence[Records]) -> tuple[list[Any], list[int]]:
    """Return all licenses, and what is added to their ids in each file.

    The list is empty if all files that have licenses have the same ones.
    """
    lists = [_licenses(records) for records in files]
    if all(some == lists[0] or not some for some in lists):
        return [], [0] * len(files)
    merged: list[Any] = []
    lifts = []
    for some in lists:
        low = min((one["id"] for one in some), default=1)
        # As in shifts_of: ids may start at 0.
        lift = max(one["id"] for one in merged) + 1 - min(1, low) if merged else 0
        merged += [one | {"id": one["id"] + lift} for one in some]
        lifts.append(lift)
    return merged, lifts


def _licenses(records: Records) -> list[dict[str, Any]]:
    licenses = msgspec.json.decode(records.fields.get("licenses", b"[]"))
    if isinstance(licenses, list) and all(
        isinstance(one, dict) and isinstance(one.get("id"), int) for one in licenses
    ):
        return licenses
    raise SourceError(
        f"{records.file}: licenses {shown(licenses)}; expected a list of licenses with an id each; "
        f"correct or remove them"
    )


def _bounds(ids: Sequence[NDArray[np.int64]]) -> tuple[int, int]:
    some = [column for column in ids if column.size]
    if not some:
        return 1, 0
    return min(int(column.min()) for column in some), max(int(column.max()) for column in some)
