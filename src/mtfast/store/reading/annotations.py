"""The annotation files of a split, as :mod:`mtfast.store.writing.annotations` has stored them.

The columns of the instances are small (some fifty bytes each) and read whole when they are first
needed, those of a variant as far as it goes; the RLE text, most of the bytes, is read in place for
the instances that are asked for. What is used as an index is checked when it is read.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sized
from typing import Any, NamedTuple

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from mtfast.caching import cached_property
from mtfast.errors import StoreError, no_such
from mtfast.ragged import offsets_of
from mtfast.store import schema
from mtfast.store.reading.columns import HeldColumn, StoredColumn, TextArray
from mtfast.store.reading.files import StoreFiles
from mtfast.table import Category, RunTable

__all__ = ["Annotations"]

Int64 = NDArray[np.int64]


class _Variant(NamedTuple):
    """What an annotation file lists: rows (its images) and entries (its annotations).

    Attributes
    ----------
    images, image_ids : (n_rows,) int64
        Index of each image in the split, and its id in the file.
    entry_offsets : (n_rows + 1,) int64
        The entries of row r are entry_offsets[r] .. entry_offsets[r + 1] - 1.
    instances, category_ids, positions : (n_entries,) int64
        Number of the instance, category and place in the file of each annotation.
    categories : tuple of Category
    """

    images: Int64
    image_ids: Int64
    entry_offsets: Int64
    instances: Int64
    category_ids: Int64
    positions: Int64
    categories: tuple[Category, ...]


class _Instances(NamedTuple):
    """All instances of some images that are neighbours in the split, whatever variants list them.

    Attributes
    ----------
    first, first_image : int
        Number of the first instance, and of the first image.
    columns : dict
        Those of ``schema.INSTANCES`` but the text; that of checksums has a value for each image.
    text_offsets : (n_images + 1,) int64
        Image i of them has the text from place i to place i + 1 of ``instances/rle``.
    """

    first: int
    first_image: int
    columns: dict[str, NDArray[Any]]
    text_offsets: Int64


class Annotations:
    """Every variant of the annotations of a split.

    Parameters
    ----------
    files : StoreFiles
    split : str
        Key of the split.
    names : (n_images,) str
        File names of the images of the split.
    sizes : (heights, widths)
        Of the images, (n_images,) int64 each.
    verify : bool
        Whether checksums are compared.
    held : mapping, optional
        Columns that have been read already, by their keys.
    """

    def __init__(
        self,
        files: StoreFiles,
        split: str,
        names: NDArray[Any],
        sizes: tuple[Int64, Int64],
        verify: bool,
        held: Mapping[str, NDArray[Any]] | None = None,
    ) -> None:
        self._files = files
        self._split = split
        self._names = names
        self._heights, self._widths = sizes
        self._verify = verify
        self._held = held or {}
        self._instances_key = f"{split}/instances"
        self._variants_key = f"{split}/variants"
        self._text = TextArray(files, f"{self._instances_key}/rle")
        self._read: dict[str, _Variant] = {}
        self._rows: dict[str, Int64] = {}

    @cached_property
    def variants(self) -> dict[str, int]:
        """Name of each variant -> its number."""
        names = self._column(f"{self._variants_key}/name").read().tolist()
        return {name: v for v, name in enumerate(names)}

    def of_image(self, image: int, variant: str) -> RunTable:
        """Return the instances of one image.

        Parameters
        ----------
        image : int
            Its index in the split.
        variant : str

        Returns
        -------
        RunTable
            Of one image.

        Raises
        ------
        StoreError
            If there is no such variant, it does not list the image, or the columns are damaged.
        """
        found = self._variant(variant)
        row = int(self._row_of_image(variant)[image])
        if row < 0:
            raise StoreError(
                f"image {str(self._names[image])!r} is not in variant {variant!r}; "
                f"expected one of the {found.images.size} that are; "
                f"see images_of({variant!r})"
            )
        return self._unpack(found, row, row + 1, self._instances)

    def lists(self, image: int, variant: str) -> bool:
        """Return whether a variant lists an image, even without instances.

        Parameters
        ----------
        image : int
            Its index in the split.
        variant : str

        Returns
        -------
        bool
        """
        return bool(self._row_of_image(variant)[image] >= 0)

    def table(self, variant: str) -> RunTable:
        """Return the whole table of a variant.

        Parameters
        ----------
        variant : str

        Returns
        -------
        RunTable
            Its images are in the order of the file.
        """
        found = self._variant(variant)
        return self._unpack(found, 0, found.images.size, self._instances)

    def tables(self, variant: str, n_images: int) -> Iterator[RunTable]:
        """Read the table of a variant in parts; nothing of it is kept.

        Parameters
        ----------
        variant : str
        n_images : int
            Images of a part.

        Yields
        ------
        RunTable
            Of the next images of the file.
        """
        number = self._number(variant)
        first, last = self._row_offsets[number : number + 2].tolist()
        for start in range(first, last, n_images):
            part = self._read_rows(number, start, min(start + n_images, last))
            shared = self._instances_of(int(part.images.min()), int(part.images.max()) + 1)
            yield self._unpack(part, 0, part.images.size, shared)

    def images_of(self, variant: str) -> Int64:
        """Return which images a variant lists.

        Parameters
        ----------
        variant : str

        Returns
        -------
        (n,) int64
            Their indices in the split, in the order of the file.
        """
        return self._variant(variant).images

    def labels_of(self, variant: str) -> tuple[Int64, Int64]:
        """Return the categories of all annotations of a variant.

        Parameters
        ----------
        variant : str

        Returns
        -------
        category_ids : (n,) int64
            In the order of the file's images.
        image_offsets : (n_images + 1,) int64
            The annotations of the file's image k are image_offsets[k] .. image_offsets[k + 1] - 1.
        """
        found = self._variant(variant)
        return found.category_ids, found.entry_offsets

    def crowds_of(self, variant: str) -> NDArray[np.bool_]:
        """Return which annotations of a variant are crowds.

        Parameters
        ----------
        variant : str

        Returns
        -------
        (n,) bool
            In the order of :meth:`labels_of`.
        """
        crowds: NDArray[np.bool_] = self._instances.columns["iscrowd"] != 0
        return crowds[self._variant(variant).instances]

    def categories_of(self, variant: str) -> tuple[Category, ...]:
        """Return the categories of a variant.

        Parameters
        ----------
        variant : str

        Returns
        -------
        tuple of Category
        """
        return self._variant(variant).categories

    def texts_of(self, image: int) -> tuple[bytes, Int64]:
        """Return the RLE texts of all instances of an image, whatever variants list them.

        Parameters
        ----------
        image : int
            Its index in the split.

        Returns
        -------
        text : bytes
            One after another.
        offsets : (n + 1,) int64
            Instance k has the text offsets[k] .. offsets[k + 1] - 1.

        Raises
        ------
        StoreError
            If they are damaged.
        """
        start, stop = self.text_range(image)
        text = self._text(start, stop)
        if self._verify:
            self._expect_sum(image, text, self._instances)
        columns = self._instances.columns
        offsets = columns["rle_offsets"]
        first, last = np.searchsorted(columns["image"], [image, image + 1])
        return text, offsets[first : last + 1] - start

    def text_range(self, image: int) -> tuple[int, int]:
        """Return where in ``instances/rle`` the texts of an image are.

        Parameters
        ----------
        image : int

        Returns
        -------
        start, stop : int
            In bytes.
        """
        start, stop = self._instances.text_offsets[image : image + 2].tolist()
        return start, stop

    def _unpack(self, variant: _Variant, first: int, last: int, instances: _Instances) -> RunTable:
        """Put the rows first .. last - 1 of a variant together again."""
        shared = instances.columns
        begin, end = variant.entry_offsets[[first, last]].tolist()
        chosen = variant.instances[begin:end] - instances.first
        starts, stops = shared["rle_offsets"][chosen], shared["rle_offsets"][chosen + 1]
        if begin == end:
            text = b""
        else:
            # The instances of an image are stored side by side: one read fetches them all.
            low, high = int(starts.min()), int(stops.max())
            images = shared["image"][chosen]
            text = self._checked_text(images, low, high, instances)
            if not np.array_equal(starts[1:], stops[:-1]):
                spans = zip((starts - low).tolist(), (stops - low).tolist(), strict=True)
                text = b"".join(text[a:b] for a, b in spans)
        image = variant.images[first:last]
        columns: dict[str, Any] = {
            "names": self._names[image],
            "image_ids": variant.image_ids[first:last],
            "heights": self._heights[image],
            "widths": self._widths[image],
            "image_offsets": variant.entry_offsets[first : last + 1] - begin,
            "instance_ids": shared["id"][chosen],
            "category_ids": variant.category_ids[begin:end],
            "iscrowd": shared["iscrowd"][chosen],
            "positions": variant.positions[begin:end],
            "stated_area": shared["area"][chosen],
            "stated_bbox": shared["bbox"][chosen],
            "rle": np.frombuffer(text, np.uint8),
            "rle_offsets": offsets_of(stops - starts),
        }
        for column in columns.values():
            column.flags.writeable = False
        return RunTable.unchecked(**columns, categories=variant.categories)

    def _checked_text(self, images: Int64, low: int, high: int, instances: _Instances) -> bytes:
        """Read the text low .. high - 1, and compare the checksums of the images it is of."""
        if not self._verify:
            return self._text(low, high)
        offsets = instances.text_offsets
        first = int(images[0])
        start, stop = offsets[first - instances.first_image :][:2].tolist()
        if start <= low and high <= stop:
            # Of one image, as nearly always.
            text = self._text(start, stop)
            self._expect_sum(first, text, instances)
            return text[low - start : high - start]
        images = np.unique(images)
        places = images - instances.first_image
        start, stop = offsets[[places[0], places[-1] + 1]].tolist()
        text = self._text(start, stop)
        bounds = ((offsets[places] - start).tolist(), (offsets[places + 1] - start).tolist())
        for image, a, b in zip(images.tolist(), *bounds, strict=True):
            self._expect_sum(image, text[a:b], instances)
        return text[low - start : high - start]

    def _expect_sum(self, image: int, text: bytes, instances: _Instances) -> None:
        expected = instances.columns["rle_crc32c"][image - instances.first_image]
        if google_crc32c.value(text) != expected:
            raise StoreError(
                f"the masks of image {image} in {self._files.where(self._instances_key)} are "
                f"damaged: their checksum does not match; expected the text that was written; "
                f"run 'mtfast check' on the store"
            )

    def _variant(self, name: str) -> _Variant:
        if name not in self._read:
            number = self._number(name)
            first, last = self._row_offsets[number : number + 2].tolist()
            self._read[name] = self._read_rows(number, first, last)
        return self._read[name]

    def _row_of_image(self, variant: str) -> Int64:
        """Row of each image of the split; -1 if it has none."""
        if variant not in self._rows:
            images = self._variant(variant).images
            rows = np.full(self._names.size, -1)
            rows[images] = np.arange(images.size)
            self._rows[variant] = rows
        return self._rows[variant]

    def _number(self, variant: str) -> int:
        number = self.variants.get(variant)
        if number is None:
            where = self._files.where(self._split)
            raise StoreError(no_such("variant", variant, self.variants, where))
        return number

    def _read_rows(self, v: int, first: int, last: int) -> _Variant:
        """Read the rows first .. last - 1, of variant v, and their entries, and no others."""
        columns, key = self._columns, self._variants_key
        images = columns["image"].read(first, last)
        self._expect_below(f"{key}/image", images, self._names.size)
        offsets = columns["entry_offsets"].read(first, last + 1)
        self._expect_offsets(f"{key}/entry_offsets", offsets, len(columns["instance"]))
        begin, end = offsets[[0, -1]].tolist()
        instances = columns["instance"].read(begin, end)
        self._expect_below(f"{key}/instance", instances, len(self._instance_columns["id"]))
        return _Variant(
            images=images,
            image_ids=columns["image_id"].read(first, last),
            entry_offsets=offsets - begin,
            instances=instances,
            category_ids=columns["category_id"].read(begin, end),
            positions=columns["position"].read(begin, end),
            categories=self._categories[v],
        )

    def _column(self, key: str) -> StoredColumn | HeldColumn:
        held = self._held.get(key)
        return StoredColumn(self._files, key) if held is None else HeldColumn(held)

    @cached_property
    def _columns(self) -> dict[str, StoredColumn | HeldColumn]:
        key = self._variants_key
        columns = {name: self._column(f"{key}/{name}") for name in schema.VARIANTS}
        n_variants, n_rows, n_entries = (len(columns[c]) for c in ("name", "image", "instance"))
        expected = {"row_offsets": n_variants + 1, "categories": n_variants}
        expected |= {"image_id": n_rows, "entry_offsets": n_rows + 1}
        expected |= {"category_id": n_entries, "position": n_entries}
        self._expect_lengths(key, columns, expected)
        return columns

    @cached_property
    def _row_offsets(self) -> Int64:
        offsets: Int64 = self._columns["row_offsets"].read()
        self._expect_offsets(
            f"{self._variants_key}/row_offsets", offsets, len(self._columns["image"])
        )
        return offsets

    @cached_property
    def _instance_columns(self) -> dict[str, StoredColumn | HeldColumn]:
        """Columns of the instances that the variants share, not read yet."""
        key = self._instances_key
        columns = {
            name: self._column(f"{key}/{name}")
            for name, column in schema.INSTANCES.items()
            if column.compressed
        }
        n = len(columns["id"])
        expected = dict.fromkeys(("image", "iscrowd", "area", "bbox"), n)
        expected |= {"rle_offsets": n + 1, "rle_crc32c": self._names.size}
        self._expect_lengths(key, columns, expected)
        return columns

    @cached_property
    def _instances(self) -> _Instances:
        return self._read_instances(0, len(self._instance_columns["id"]), 0, self._names.size)

    def _instances_of(self, first_image: int, last_image: int) -> _Instances:
        """Read the instances of the images first_image .. last_image - 1, and no others."""
        image = self._instance_columns["image"]
        numbers = range(len(image))
        first, last = (
            bisect_left(numbers, wanted, key=lambda number: int(image.read(number, number + 1)[0]))
            for wanted in (first_image, last_image)
        )
        return self._read_instances(first, last, first_image, last_image)

    def _read_instances(
        self, first: int, last: int, first_image: int, last_image: int
    ) -> _Instances:
        """Read the instances first .. last - 1, which are those of these images."""
        key = self._instances_key
        # One more offset than instances.
        ends = {"rle_crc32c": (first_image, last_image), "rle_offsets": (first, last + 1)}
        columns = {
            name: column.read(*ends.get(name, (first, last)))
            for name, column in self._instance_columns.items()
        }
        offsets, image = columns["rle_offsets"], columns["image"]
        self._expect_offsets(f"{key}/rle_offsets", offsets, self._text.size)
        if np.any(np.diff(image) < 0):
            raise self._damaged(f"{key}/image", "instances in the order of images")
        self._expect_below(f"{key}/image", image - first_image, last_image - first_image)
        instances = np.searchsorted(image, np.arange(first_image, last_image + 1))
        return _Instances(first, first_image, columns, offsets[instances])

    @cached_property
    def _categories(self) -> list[tuple[Category, ...]]:
        texts = self._columns["categories"].read().tolist()
        known = {text: _read_categories(text) for text in set(texts)}
        return [known[text] for text in texts]

    def _expect_offsets(self, key: str, offsets: Int64, total: int) -> None:
        if offsets[0] < 0 or offsets[-1] > total or np.any(np.diff(offsets) < 0):
            raise self._damaged(key, f"ascending offsets from 0 to {total}")

    def _expect_below(self, key: str, indices: Int64, n: int) -> None:
        if indices.size and (indices.min() < 0 or indices.max() >= n):
            raise self._damaged(key, f"indices from 0 to {n - 1}")

    def _expect_lengths(
        self, group: str, columns: Mapping[str, Sized], lengths: dict[str, int]
    ) -> None:
        for name, length in lengths.items():
            if len(columns[name]) != length:
                raise StoreError(
                    f"{self._files.where(f'{group}/{name}')} has {len(columns[name])} entries; "
                    f"expected {length}; run 'mtfast check' on the store"
                )

    def _damaged(self, key: str, expected: str) -> StoreError:
        return StoreError(
            f"{self._files.where(key)} is damaged; expected {expected}; "
            f"run 'mtfast check' on the store"
        )


def _read_categories(text: str) -> tuple[Category, ...]:
    """Read the categories of a variant from their stored form, a JSON list of [id, name]."""
    try:
        return tuple(Category(int(number), str(name)) for number, name in json.loads(text))
    except (ValueError, TypeError) as error:
        raise StoreError(
            f"a variant with categories {text!r}; expected a JSON list of [id, name]; "
            f"run 'mtfast check' on the store"
        ) from error
