"""The annotation files of a split -> its instances, each once, and the files as views of them.

The files of a set repeat each other: all hold the same flakes, above another threshold, without
classes or for a few images. An instance is stored once for all files that agree on its image, id,
iscrowd, stated area and box, and text. What remains of a file is a list of rows (the images that it
lists) and, for each row, of entries (number of the instance, class, position in the file)::

    variant 0: rows 0..2     row 0: image 0, entries 0..1     entry 0: instance 0, category 3
    variant 1: rows 2..3     row 1: image 1, entries 1..3     entry 1: instance 4, category 1
                             row 2: image 1, entries 3..4     …
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtfast.ragged import as_strings, gather_texts, offsets_of
from mtfast.table import RunTable

__all__ = ["VariantTable", "align", "pack"]

Int64 = NDArray[np.int64]


def _image_index(table: RunTable, order: Mapping[str, int]) -> Int64:
    """Index in the split of every image of a table."""
    return np.fromiter((order[str(name)] for name in table.names), np.int64, table.n_images)


class VariantTable(NamedTuple):
    """An annotation file: the name of the variant, the path in its dataset, what it says."""

    variant: str
    file: str
    table: RunTable


def pack(
    tables: Sequence[VariantTable], names: Sequence[str]
) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]:
    """Store the instances of all annotation files of a split once.

    Parameters
    ----------
    tables : sequence of VariantTable
    names : sequence of str
        All images of the split, in its order.

    Returns
    -------
    instances, variants : dict of arrays
        The columns that :mod:`mtfast.store.schema` names;
        :mod:`mtfast.store.reading.annotations` reads them.
    """
    order = {name: i for i, name in enumerate(names)}
    shared: dict[bytes, int] = {}  # all that tells instances apart -> number
    pieces: list[tuple[Int64, Int64]] = []  # image of each row, number of each instance
    first_seen: list[tuple[RunTable, Int64, Int64]] = []
    for _, _, table in tables:
        rows = _image_index(table, order)
        image = rows[table.image_of_instance]
        number, new = _number_instances(shared, table, image)
        pieces.append((rows, number))
        first_seen.append((table, new, image))

    image = np.concatenate([im[new] for _, new, im in first_seen] or [np.empty(0, np.int64)])
    by_image = np.argsort(image, kind="stable")
    place = np.empty_like(by_image)
    place[by_image] = np.arange(by_image.size)
    chosen = [(table, new) for table, new, _ in first_seen]
    texts = [gather_texts(table.rle, table.rle_offsets, new) for table, new in chosen]
    rle, rle_offsets = gather_texts(
        _concatenate([text for text, _ in texts]),
        offsets_of(_concatenate([np.diff(offsets) for _, offsets in texts])),
        by_image,
    )
    sums = text_sums(rle, rle_offsets, offsets_of(np.bincount(image, minlength=len(names))))
    instances: dict[str, NDArray[Any]] = {
        "image": image[by_image],
        "id": _gather(chosen, "instance_ids")[by_image],
        "iscrowd": _gather(chosen, "iscrowd")[by_image],
        "area": _gather(chosen, "stated_area")[by_image],
        "bbox": _gather(chosen, "stated_bbox")[by_image].reshape(-1, 4),
        "rle": rle,
        "rle_offsets": rle_offsets,
        "rle_crc32c": sums,
    }
    entries_per_row = [np.diff(table.image_offsets) for _, _, table in tables]
    variants: dict[str, NDArray[Any]] = {
        "name": as_strings([name for name, _, _ in tables]),
        "file": as_strings([file for _, file, _ in tables]),
        "categories": as_strings([_categories_text(table) for _, _, table in tables]),
        "row_offsets": offsets_of([table.n_images for _, _, table in tables]),
        "image": _concatenate([rows for rows, _ in pieces]),
        "image_id": _concatenate([table.image_ids for _, _, table in tables]),
        "entry_offsets": offsets_of(_concatenate(entries_per_row)),
        "instance": place[_concatenate([number for _, number in pieces])],
        "category_id": _concatenate([table.category_ids for _, _, table in tables]),
        "position": _concatenate([table.positions for _, _, table in tables]),
    }
    return instances, variants


def text_sums(rle: NDArray[np.uint8], offsets: Int64, image_offsets: Int64) -> NDArray[np.uint32]:
    """Return the CRC-32C of the texts of each image.

    Parameters
    ----------
    rle : (n_bytes,) uint8
        Texts of all instances, image by image.
    offsets : (n_instances + 1,) int64
        Where they begin and end.
    image_offsets : (n_images + 1,) int64
        Instances image_offsets[i] .. image_offsets[i + 1] - 1 are those of image i.

    Returns
    -------
    (n_images,) uint32
    """
    import google_crc32c

    data = rle.tobytes()
    ends = offsets[image_offsets].tolist()
    return np.array([google_crc32c.value(data[a:b]) for a, b in pairwise(ends)], np.uint32)


def align(table: RunTable, names: Sequence[str], heights: Int64, widths: Int64) -> RunTable:
    """Return a table over exactly the given images; those that it does not list are empty.

    Parameters
    ----------
    table : RunTable
    names : sequence of str
        File names; all of the table's are among them.
    heights, widths : (n,) int64
        Of each of them, in pixels.

    Returns
    -------
    RunTable
        Its images are ``names``, in that order; an image that was not listed has the id -1.
    """
    if len(names) == table.n_images and all(
        a == b for a, b in zip(names, table.names.tolist(), strict=True)
    ):
        return table
    order = {name: i for i, name in enumerate(names)}
    index = _image_index(table, order)
    image = index[table.image_of_instance]
    by_image = np.argsort(image, kind="stable")
    rle, rle_offsets = gather_texts(table.rle, table.rle_offsets, by_image)
    image_ids = np.full(len(names), -1)
    image_ids[index] = table.image_ids
    return RunTable(
        names=as_strings(names),
        image_ids=image_ids,
        heights=heights,
        widths=widths,
        image_offsets=offsets_of(np.bincount(image, minlength=len(names))),
        instance_ids=table.instance_ids[by_image],
        category_ids=table.category_ids[by_image],
        iscrowd=table.iscrowd[by_image],
        positions=table.positions[by_image],
        stated_area=table.stated_area[by_image],
        stated_bbox=table.stated_bbox[by_image],
        rle=rle,
        rle_offsets=rle_offsets,
        categories=table.categories,
    )


def _categories_text(table: RunTable) -> str:
    return json.dumps([[c.id, c.name] for c in table.categories], ensure_ascii=False)


def _number_instances(
    shared: dict[bytes, int], table: RunTable, image: Int64
) -> tuple[Int64, Int64]:
    """Number a table's instances, equal ones alike; return the numbers and which are new."""
    fixed = np.empty((table.n_instances, 8), np.int64)
    fixed[:, 0] = image
    fixed[:, 1] = table.instance_ids
    fixed[:, 2] = table.iscrowd
    fixed[:, 3] = table.stated_area.view(np.int64)
    fixed[:, 4:] = table.stated_bbox.view(np.int64)
    keys = fixed.tobytes()
    rle = table.rle.tobytes()
    offsets = table.rle_offsets.tolist()
    number = np.empty(table.n_instances, np.int64)
    before = len(shared)
    for k in range(table.n_instances):
        key = keys[64 * k : 64 * k + 64] + rle[offsets[k] : offsets[k + 1]]
        number[k] = shared.setdefault(key, len(shared))
    # Numbers are given in ascending order: where the largest so far grows, an instance is new.
    largest = np.maximum.accumulate(np.concatenate([[before - 1], number]))
    return number, np.flatnonzero(np.diff(largest))


def _gather(chosen: Sequence[tuple[RunTable, Int64]], column: str) -> NDArray[Any]:
    return _concatenate([getattr(table, column)[new] for table, new in chosen])


def _concatenate(arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
    return np.concatenate(arrays) if arrays else np.empty(0, np.int64)
