"""The annotation files of a split, as :mod:`mtfast.store.writing.annotations` has stored them.

The columns of the instances are small (some fifty bytes each) and read whole when they are first
needed, those of a variant as far as it goes; the RLE text, most of the bytes, is read in place for
the instances that are asked for. What is used as an index is checked when it is read.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sized
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtfast.errors import StoreError
from mtfast.store import schema
from mtfast.store.reading.columns import StoredColumn, TextArray, read_column
from mtfast.store.reading.files import Files
from mtfast.table import Category, RunTable, offsets_of

__all__ = ["Annotations"]

Int64 = NDArray[np.int64]


class _Variant(NamedTuple):
    """What an annotation file lists: rows (its images) and entries (its annotations).

    Attributes
    ----------
    images, image_ids : (n_rows,) int64
        Index of each image in the split, and its id in the file.
    row_of_image : (n_images,) int64
        Row of each image of the split; -1 if it has none.
    entry_offsets : (n_rows + 1,) int64
        The entries of row r are entry_offsets[r] .. entry_offsets[r + 1] - 1.
    instances, category_ids, positions : (n_entries,) int64
        Instance in the pool, category and place in the file of each annotation.
    categories : tuple of Category
    """

    images: Int64
    row_of_image: Int64
    image_ids: Int64
    entry_offsets: Int64
    instances: Int64
    category_ids: Int64
    positions: Int64
    categories: tuple[Category, ...]


class Annotations:
    """Every variant of the annotations of a split.

    Parameters
    ----------
    path : Path
        Folder of the split.
    files : Files
    names : (n_images,) str
        File names of the images of the split.
    size : (height, width)
    """

    def __init__(
        self, path: Path, files: Files, names: NDArray[Any], size: tuple[int, int]
    ) -> None:
        self._path = path
        self._names = names
        self._size = size
        self._text = TextArray(path / "instances" / "rle", files)
        self._folder = path / "variants"
        self._read: dict[str, _Variant] = {}

    @cached_property
    def variants(self) -> dict[str, int]:
        """Name of each variant -> its number."""
        return {name: v for v, name in enumerate(read_column(self._folder / "name").tolist())}

    def of_image(self, image: int, variant: str) -> RunTable:
        """Return the instances of one image; StoreError if the variant does not list it."""
        found = self._variant(variant)
        row = int(found.row_of_image[image])
        if row < 0:
            raise StoreError(
                f"image {str(self._names[image])!r} is not in variant {variant!r}; "
                f"expected one of the {found.images.size} that are; "
                f"see images_of({variant!r})"
            )
        return self._unpack(found, row, row + 1)

    def lists(self, image: int, variant: str) -> bool:
        """Whether a variant lists an image, with instances or without."""
        return bool(self._variant(variant).row_of_image[image] >= 0)

    def table(self, variant: str) -> RunTable:
        """Return the whole table of a variant."""
        found = self._variant(variant)
        return self._unpack(found, 0, found.images.size)

    def images_of(self, variant: str) -> Int64:
        """Indices of the images that a variant lists, in its order."""
        return self._variant(variant).images

    def categories_of(self, variant: str) -> tuple[Category, ...]:
        """Return the categories of a variant."""
        return self._variant(variant).categories

    def _unpack(self, variant: _Variant, first: int, last: int) -> RunTable:
        """Put the rows first .. last - 1 of a variant together again."""
        pool = self._pool
        begin, end = variant.entry_offsets[[first, last]].tolist()
        pooled = variant.instances[begin:end]
        starts, stops = pool["rle_offsets"][pooled], pool["rle_offsets"][pooled + 1]
        if begin == end:
            text = b""
        else:
            # The instances of an image lie side by side in the pool: one read fetches them all.
            low, high = int(starts.min()), int(stops.max())
            text = self._text(low, high)
            if not np.array_equal(starts[1:], stops[:-1]):
                spans = zip((starts - low).tolist(), (stops - low).tolist(), strict=True)
                text = b"".join(text[a:b] for a, b in spans)
        image = variant.images[first:last]
        columns: dict[str, Any] = {
            "names": self._names[image],
            "image_ids": variant.image_ids[first:last],
            "heights": np.full(image.size, self._size[0]),
            "widths": np.full(image.size, self._size[1]),
            "image_offsets": variant.entry_offsets[first : last + 1] - begin,
            "instance_ids": pool["id"][pooled],
            "category_ids": variant.category_ids[begin:end],
            "iscrowd": pool["iscrowd"][pooled],
            "positions": variant.positions[begin:end],
            "stated_area": pool["area"][pooled],
            "stated_bbox": pool["bbox"][pooled],
            "rle": np.frombuffer(text, np.uint8),
            "rle_offsets": offsets_of(stops - starts),
        }
        for column in columns.values():
            column.flags.writeable = False
        return RunTable.unchecked(**columns, categories=variant.categories)

    def _variant(self, name: str) -> _Variant:
        if name not in self._read:
            self._read[name] = self._read_variant(self._number(name))
        return self._read[name]

    def _number(self, variant: str) -> int:
        number = self.variants.get(variant)
        if number is None:
            near = difflib.get_close_matches(variant, self.variants, 3) or list(self.variants)[:5]
            raise StoreError(
                f"no variant {variant!r} in {self._path}; expected one such as {', '.join(near)}; "
                f"see the split's variants"
            )
        return number

    def _read_variant(self, v: int) -> _Variant:
        """Read the rows and entries of a variant, and no others."""
        columns, folder = self._columns, self._folder
        first, last = self._row_offsets[v : v + 2].tolist()
        images = columns["image"].read(first, last)
        _expect_below(folder / "image", images, self._names.size)
        offsets = columns["entry_offsets"].read(first, last + 1)
        _expect_offsets(folder / "entry_offsets", offsets, len(columns["instance"]))
        begin, end = offsets[[0, -1]].tolist()
        instances = columns["instance"].read(begin, end)
        _expect_below(folder / "instance", instances, len(self._pool["id"]))
        row_of_image = np.full(self._names.size, -1)
        row_of_image[images] = np.arange(images.size)
        return _Variant(
            images=images,
            row_of_image=row_of_image,
            image_ids=columns["image_id"].read(first, last),
            entry_offsets=offsets - begin,
            instances=instances,
            category_ids=columns["category_id"].read(begin, end),
            positions=columns["position"].read(begin, end),
            categories=self._categories[v],
        )

    @cached_property
    def _columns(self) -> dict[str, StoredColumn]:
        columns = {name: StoredColumn(self._folder / name) for name in schema.VARIANTS}
        n_variants, n_rows, n_entries = (len(columns[c]) for c in ("name", "image", "instance"))
        expected = {"row_offsets": n_variants + 1, "categories": n_variants}
        expected |= {"image_id": n_rows, "entry_offsets": n_rows + 1}
        expected |= {"category_id": n_entries, "position": n_entries}
        _expect_lengths(self._folder, columns, expected)
        return columns

    @cached_property
    def _row_offsets(self) -> Int64:
        offsets: Int64 = self._columns["row_offsets"].read()
        _expect_offsets(self._folder / "row_offsets", offsets, len(self._columns["image"]))
        return offsets

    @cached_property
    def _pool(self) -> dict[str, NDArray[Any]]:
        folder = self._path / "instances"
        columns = {
            name: read_column(folder / name)
            for name, column in schema.INSTANCES.items()
            if column.compressed
        }
        n = len(columns["id"])
        expected = dict.fromkeys(("iscrowd", "area", "bbox"), n) | {"rle_offsets": n + 1}
        _expect_lengths(folder, columns, expected)
        _expect_offsets(folder / "rle_offsets", columns["rle_offsets"], self._text.size)
        return columns

    @cached_property
    def _categories(self) -> list[tuple[Category, ...]]:
        texts = self._columns["categories"].read().tolist()
        known = {text: _read_categories(text) for text in set(texts)}
        return [known[text] for text in texts]


def _read_categories(text: str) -> tuple[Category, ...]:
    """Read the categories of a variant from their stored form, a JSON list of [id, name]."""
    try:
        return tuple(Category(int(number), str(name)) for number, name in json.loads(text))
    except (ValueError, TypeError) as error:
        raise StoreError(
            f"a variant with categories {text!r}; expected a JSON list of [id, name]; "
            f"convert the set again"
        ) from error


def _expect_offsets(path: Path, offsets: Int64, total: int) -> None:
    if offsets[0] < 0 or offsets[-1] > total or np.any(np.diff(offsets) < 0):
        raise StoreError(
            f"{path} is damaged; expected ascending offsets from 0 to {total}; "
            f"convert the set again"
        )


def _expect_below(path: Path, indices: Int64, n: int) -> None:
    if indices.size and (indices.min() < 0 or indices.max() >= n):
        raise StoreError(
            f"{path} is damaged; expected indices from 0 to {n - 1}; convert the set again"
        )


def _expect_lengths(folder: Path, columns: Mapping[str, Sized], lengths: dict[str, int]) -> None:
    for name, length in lengths.items():
        if len(columns[name]) != length:
            raise StoreError(
                f"{folder / name} has {len(columns[name])} entries; expected {length}; "
                f"convert the set again"
            )
