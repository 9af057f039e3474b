"""The annotation files of a split as they lie in a store; :mod:`mtfast.store.pool` made them.

The columns are small (some fifty bytes an instance) and read whole when they are first needed; the
RLE text, most of the bytes, is read in place for the instances that are asked for. Everything that
a kernel will trust is checked once, when the columns are read.
"""

from __future__ import annotations

import difflib
import json
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtfast.errors import StoreError
from mtfast.runs import Category, RunTable, offsets_of
from mtfast.store import schema
from mtfast.store.columns import TextArray, read_column
from mtfast.store.files import Files

__all__ = ["Annotations"]

Int64 = NDArray[np.int64]


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
        self._rows: dict[int, Int64] = {}

    @cached_property
    def variants(self) -> dict[str, int]:
        """Name of each variant -> its number."""
        return {name: v for v, name in enumerate(self._files_table["name"].tolist())}

    def of_image(self, image: int, variant: str) -> RunTable:
        """Return the instances of one image; StoreError if the variant does not list it."""
        v = self._number(variant)
        row = self._row(v, image)
        if row < 0:
            raise StoreError(
                f"image {str(self._names[image])!r} is not in variant {variant!r}; "
                f"expected one of the {self.images_of(variant).size} that are; "
                f"see images_of({variant!r})"
            )
        return self._unpack(v, row, row + 1)

    def lists(self, image: int, variant: str) -> bool:
        """Whether a variant lists an image, with instances or without."""
        return self._row(self._number(variant), image) >= 0

    def table(self, variant: str) -> RunTable:
        """Return the whole table of a variant."""
        v = self._number(variant)
        return self._unpack(v, *self._row_range(v))

    def images_of(self, variant: str) -> Int64:
        """Indices of the images that a variant lists, in its order."""
        first, last = self._row_range(self._number(variant))
        images: Int64 = self._files_table["image"][first:last]
        return images

    def categories_of(self, variant: str) -> tuple[Category, ...]:
        """Return the categories of a variant."""
        return self._categories[self._number(variant)]

    def _unpack(self, v: int, first: int, last: int) -> RunTable:
        """Put the rows first .. last - 1 of variant v together again."""
        files, pool = self._files_table, self._pool
        begin, end = files["entry_offsets"][[first, last]].tolist()
        entries = slice(begin, end)
        pooled = files["instance"][entries]
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
        image = files["image"][first:last]
        columns: dict[str, Any] = {
            "names": self._names[image],
            "image_ids": files["image_id"][first:last],
            "heights": np.full(image.size, self._size[0]),
            "widths": np.full(image.size, self._size[1]),
            "image_offsets": files["entry_offsets"][first : last + 1] - begin,
            "instance_ids": pool["id"][pooled],
            "category_ids": files["category_id"][entries],
            "iscrowd": pool["iscrowd"][pooled],
            "positions": files["position"][entries],
            "stated_area": pool["area"][pooled],
            "stated_bbox": pool["bbox"][pooled],
            "rle": np.frombuffer(text, np.uint8),
            "rle_offsets": offsets_of(stops - starts),
        }
        for column in columns.values():
            column.flags.writeable = False
        return RunTable.unchecked(**columns, categories=self._categories[v])

    def _row(self, v: int, image: int) -> int:
        """Row of an image in variant v; -1 if it has none."""
        if v not in self._rows:
            rows = np.full(self._names.size, -1)
            first, last = self._row_range(v)
            rows[self._files_table["image"][first:last]] = np.arange(first, last)
            self._rows[v] = rows
        return int(self._rows[v][image])

    def _row_range(self, v: int) -> tuple[int, int]:
        first, last = self._files_table["row_offsets"][v : v + 2].tolist()
        return first, last

    def _number(self, variant: str) -> int:
        number = self.variants.get(variant)
        if number is None:
            near = difflib.get_close_matches(variant, self.variants, 3) or list(self.variants)[:5]
            raise StoreError(
                f"no variant {variant!r} in {self._path}; expected one such as {', '.join(near)}; "
                f"see the split's variants"
            )
        return number

    @cached_property
    def _files_table(self) -> dict[str, NDArray[Any]]:
        folder = self._path / "variants"
        columns = {name: read_column(folder / name) for name in schema.VARIANTS}
        n_variants, n_rows, n_entries = (len(columns[c]) for c in ("name", "image", "instance"))
        _expect_offsets(folder / "row_offsets", columns["row_offsets"], n_variants, n_rows)
        _expect_offsets(folder / "entry_offsets", columns["entry_offsets"], n_rows, n_entries)
        _expect_below(folder / "image", columns["image"], self._names.size)
        _expect_below(folder / "instance", columns["instance"], len(self._pool["id"]))
        _expect_lengths(folder, columns, {"image_id": n_rows})
        _expect_lengths(folder, columns, {"category_id": n_entries, "position": n_entries})
        return columns

    @cached_property
    def _pool(self) -> dict[str, NDArray[Any]]:
        folder = self._path / "instances"
        columns = {
            name: read_column(folder / name)
            for name, column in schema.INSTANCES.items()
            if column.compressed
        }
        n = len(columns["id"])
        _expect_offsets(folder / "rle_offsets", columns["rle_offsets"], n, self._text.size)
        _expect_lengths(folder, columns, dict.fromkeys(("iscrowd", "area", "bbox"), n))
        return columns

    @cached_property
    def _categories(self) -> list[tuple[Category, ...]]:
        texts = self._files_table["categories"].tolist()
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


def _expect_offsets(path: Path, offsets: Int64, n: int, total: int) -> None:
    ascending = offsets.shape == (n + 1,) and np.all(np.diff(offsets) >= 0)
    if not ascending or offsets[0] != 0 or offsets[-1] != total:
        raise StoreError(
            f"{path} is damaged; expected {n + 1} ascending offsets from 0 to {total}; "
            f"convert the set again"
        )


def _expect_below(path: Path, indices: Int64, n: int) -> None:
    if indices.size and (indices.min() < 0 or indices.max() >= n):
        raise StoreError(
            f"{path} is damaged; expected indices from 0 to {n - 1}; convert the set again"
        )


def _expect_lengths(
    folder: Path, columns: dict[str, NDArray[Any]], lengths: dict[str, int]
) -> None:
    for name, length in lengths.items():
        if len(columns[name]) != length:
            raise StoreError(
                f"{folder / name} has {len(columns[name])} entries; expected {length}; "
                f"convert the set again"
            )
