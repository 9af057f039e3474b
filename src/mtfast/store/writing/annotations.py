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
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtfast.ragged import as_strings, gather_texts, offsets_of
from mtfast.table import RunTable

__all__ = ["SharedAnnotations", "VariantTable", "align", "share"]

Int64 = NDArray[np.int64]

# Instances whose keys are made together.
_BLOCK = 1 << 16


class VariantTable(NamedTuple):
    """An annotation file: the name of the variant, the path in its dataset, what it says."""

    variant: str
    file: str
    table: RunTable


class _File(NamedTuple):
    """What an annotation file says of each of its images, and of its instances by their numbers."""

    variant: str
    file: str
    categories: str
    images: Int64
    image_ids: Int64
    entries_per_image: Int64
    instances: Int64
    category_ids: Int64
    positions: Int64


class _Instances(NamedTuple):
    """The instances that one annotation file has and none before it."""

    image: Int64
    id: Int64
    iscrowd: NDArray[np.uint8]
    area: NDArray[np.float64]
    bbox: NDArray[np.float64]
    rle: NDArray[np.uint8]
    n_bytes: Int64


@dataclass(frozen=True)
class SharedAnnotations:
    """The annotation files of a split, each instance held once; see :func:`share`.

    Attributes
    ----------
    images : dict
        Name of each image that is listed -> its number, by the first file that lists it.
    """

    images: dict[str, int]
    _files: list[_File]
    _instances: list[_Instances]

    def instance_columns(self, names: Sequence[str]) -> dict[str, NDArray[Any]]:
        """Return what is stored of instances.

        Parameters
        ----------
        names : sequence of str
            The images of the split, in its order; others that are listed are left out.

        Returns
        -------
        dict of arrays
            The columns of :data:`mtfast.store.schema.INSTANCES`;
            :mod:`mtfast.store.reading.annotations` reads them.
        """
        image, by_image = self._order(self._index(names))
        columns = {name: self._gather(name) for name in ("id", "iscrowd", "area", "bbox")}
        rle, rle_offsets = self._gather("rle"), offsets_of(self._gather("n_bytes"))
        if not np.array_equal(by_image, np.arange(image.size)):
            image = image[by_image]
            columns = {name: column[by_image] for name, column in columns.items()}
            rle, rle_offsets = gather_texts(rle, rle_offsets, by_image)
        image_offsets = offsets_of(np.bincount(image, minlength=len(names)))
        return {
            "image": image,
            **columns,
            "rle": rle,
            "rle_offsets": rle_offsets,
            "rle_crc32c": text_sums(rle, rle_offsets, image_offsets),
        }

    def variant_columns(self, names: Sequence[str]) -> dict[str, NDArray[Any]]:
        """Return what is stored of annotation files.

        Parameters
        ----------
        names : sequence of str
            As for :meth:`instance_columns`.

        Returns
        -------
        dict of arrays
            The columns of :data:`mtfast.store.schema.VARIANTS`.
        """
        index = self._index(names)
        image, by_image = self._order(index)
        place = np.full(image.size, -1)
        place[by_image] = np.arange(by_image.size)
        files = [_with_images(file, index) for file in self._files]
        return {
            "name": as_strings([file.variant for file in files]),
            "file": as_strings([file.file for file in files]),
            "categories": as_strings([file.categories for file in files]),
            "row_offsets": offsets_of([file.images.size for file in files]),
            "image": index[_concatenate([file.images for file in files])],
            "image_id": _concatenate([file.image_ids for file in files]),
            "entry_offsets": offsets_of(_concatenate([file.entries_per_image for file in files])),
            "instance": place[_concatenate([file.instances for file in files])],
            "category_id": _concatenate([file.category_ids for file in files]),
            "position": _concatenate([file.positions for file in files]),
        }

    def _index(self, names: Sequence[str]) -> Int64:
        """Return the place of each listed image in the split; -1 if it is left out."""
        index = np.full(len(self.images), -1)
        index[[self.images[name] for name in names]] = np.arange(len(names))
        return index

    def _order(self, index: Int64) -> tuple[Int64, Int64]:
        """Return the image of each instance, and the instances in the order of images."""
        image = index[self._gather("image")]
        by_image = np.argsort(image, kind="stable")
        # Those of images that are left out come first.
        return image, by_image[np.count_nonzero(image < 0) :]

    def _gather(self, column: str) -> NDArray[Any]:
        return _concatenate([getattr(new, column) for new in self._instances])


def _with_images(file: _File, index: Int64) -> _File:
    """Leave out the images that have no index."""
    kept = index[file.images] >= 0
    if kept.all():
        return file
    entries = np.repeat(kept, file.entries_per_image)
    return file._replace(
        images=file.images[kept],
        image_ids=file.image_ids[kept],
        entries_per_image=file.entries_per_image[kept],
        instances=file.instances[entries],
        category_ids=file.category_ids[entries],
        positions=file.positions[entries],
    )


def share(tables: Iterable[VariantTable], *, is_one: bool = False) -> SharedAnnotations:
    """Hold the instances of all annotation files of a split once.

    Parameters
    ----------
    tables : iterable of VariantTable
        Only one is needed at a time.
    is_one : bool
        Whether there is one alone, so that nothing is compared, which takes 350 bytes an instance.

    Returns
    -------
    SharedAnnotations
    """
    images: dict[str, int] = {}
    numbers: dict[bytes, int] = {}  # all that tells instances apart -> number
    files, instances = [], []
    for variant, file, table in tables:
        listed = [images.setdefault(name, len(images)) for name in table.names.tolist()]
        rows = np.array(listed, np.int64)
        image = rows[table.image_of_instance]
        if is_one:
            number = new = np.arange(table.n_instances)
        else:
            number, new = _number_instances(numbers, table, image)
        instances.append(_chosen(table, image, new))
        files.append(
            _File(
                variant,
                file,
                _categories_text(table),
                rows,
                table.image_ids,
                np.diff(table.image_offsets),
                number,
                table.category_ids,
                table.positions,
            )
        )
    return SharedAnnotations(images, files, instances)


def _chosen(table: RunTable, image: Int64, chosen: Int64) -> _Instances:
    if chosen.size == table.n_instances:
        # All, which are ascending: nothing is copied.
        return _Instances(
            image,
            table.instance_ids,
            table.iscrowd,
            table.stated_area,
            table.stated_bbox,
            table.rle,
            np.diff(table.rle_offsets),
        )
    rle, offsets = gather_texts(table.rle, table.rle_offsets, chosen)
    return _Instances(
        image[chosen],
        table.instance_ids[chosen],
        table.iscrowd[chosen],
        table.stated_area[chosen],
        table.stated_bbox[chosen],
        rle,
        np.diff(offsets),
    )


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

    ends = offsets[image_offsets].tolist()
    sums = (google_crc32c.value(rle[a:b].tobytes()) for a, b in pairwise(ends))
    return np.fromiter(sums, np.uint32, len(ends) - 1)


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
    index = np.array([order[name] for name in table.names.tolist()], np.int64)
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
    before = len(shared)
    keys = chain.from_iterable(
        _keys(table, image, start, min(start + _BLOCK, table.n_instances))
        for start in range(0, table.n_instances, _BLOCK)
    )
    numbers = (shared.setdefault(key, len(shared)) for key in keys)
    number = np.fromiter(numbers, np.int64, table.n_instances)
    # Numbers are given in ascending order: where the largest so far grows, an instance is new.
    largest = np.maximum.accumulate(np.concatenate([[before - 1], number]))
    return number, np.flatnonzero(np.diff(largest))


def _keys(table: RunTable, image: Int64, start: int, stop: int) -> Iterator[bytes]:
    """Yield all that tells instances start .. stop - 1 apart."""
    fixed = np.empty((stop - start, 8), np.int64)
    fixed[:, 0] = image[start:stop]
    fixed[:, 1] = table.instance_ids[start:stop]
    fixed[:, 2] = table.iscrowd[start:stop]
    fixed[:, 3] = table.stated_area[start:stop].view(np.int64)
    fixed[:, 4:] = table.stated_bbox[start:stop].view(np.int64)
    keys = fixed.tobytes()
    offsets = table.rle_offsets[start : stop + 1]
    rle = table.rle[offsets[0] : offsets[-1]].tobytes()
    for k, (a, b) in enumerate(pairwise((offsets - offsets[0]).tolist())):
        yield keys[64 * k : 64 * k + 64] + rle[a:b]


def _concatenate(arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
    if len(arrays) == 1:
        return arrays[0]
    return np.concatenate(arrays) if arrays else np.empty(0, np.int64)
