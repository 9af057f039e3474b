"""One view of a dataset, whether it is still a source or already a store."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mtfast.errors import SourceError
from mtfast.sources import Source, open_source
from mtfast.sources.variants import default_variant
from mtfast.store.reading.store import open_store
from mtfast.table import RunTable

__all__ = [
    "CategorySummary",
    "DatasetView",
    "SplitView",
    "count_categories",
    "decode_image",
    "expect_source",
    "open_dataset",
]


@dataclass(frozen=True)
class CategorySummary:
    """A class and the number of its instances."""

    id: int
    name: str
    n_instances: int


class SplitView(Protocol):
    """What summaries and previews need of a split."""

    name: str
    semantic_variant: str
    variants: tuple[str, ...]

    def table(self, variant: str | None = None) -> RunTable:
        """Return the instances of a variant, by default of :attr:`semantic_variant`."""
        ...

    @property
    def has_images(self) -> bool:
        """Whether there are images, not only their masks."""
        ...

    @property
    def set_members(self) -> dict[str, str]:
        """The exfoliation run of each image whose run is known, by its stem."""
        ...

    def image(self, image: str) -> NDArray[np.uint8]:
        """Decode an image by its file name, (height, width, 3) uint8 RGB."""
        ...


class DatasetView:
    """A dataset: its path, the kind of its layout and its splits."""

    def __init__(self, path: Path, kind: str, splits: dict[str, Any]) -> None:
        self.path = path
        self.kind = kind
        self.splits: dict[str, SplitView] = splits


def open_dataset(path: str | os.PathLike[str]) -> DatasetView:
    """Open a store or a source, whichever a path is."""
    path = Path(path)
    if (path / "zarr.json").is_file():
        store = open_store(path)
        return DatasetView(path, "store", {name: store[name] for name in store})
    source = open_source(path)
    return DatasetView(
        path, source.kind, {name: _SourceSplit(source, name) for name in source.splits}
    )


def expect_source(source: Source | str | os.PathLike[str]) -> Source:
    """Open a dataset of which the files themselves are wanted.

    Raises
    ------
    SourceError
        If it is a store, or nothing that is known.
    """
    if isinstance(source, Source):
        return source
    if (Path(source) / "zarr.json").is_file():
        raise SourceError(
            f"{source} is a store; expected a dataset as it was published, with its files; "
            f"pass the source that the store was made from"
        )
    return open_source(source)


class _SourceSplit:
    def __init__(self, source: Source, name: str) -> None:
        self._source = source
        self.name = name
        self.variants = source.variants(name)
        self.semantic_variant = default_variant(self.variants)

    @property
    def has_images(self) -> bool:
        return bool(self._source.image_names(self.name))

    @property
    def set_members(self) -> dict[str, str]:
        return self._source.set_names(self.name).members

    def table(self, variant: str | None = None) -> RunTable:
        return self._source.table(self.name, variant or self.semantic_variant)

    def image(self, image: str) -> NDArray[np.uint8]:
        return decode_image(self._source, self.name, image)


def decode_image(source: Source, split: str, image: str) -> NDArray[np.uint8]:
    """Decode an image of a source, (height, width, 3) uint8 RGB; SourceError if that fails."""
    import imagecodecs

    data = source.read_image(split, image)
    try:
        pixels: NDArray[np.uint8] = imagecodecs.jpeg8_decode(data, outcolorspace="RGB")
    except (ValueError, RuntimeError) as error:
        raise SourceError(
            f"image {image} of split {split!r} does not decode ({error}); "
            f"expected a JPEG; fetch it again or remove it"
        ) from error
    return pixels


def count_categories(table: RunTable) -> tuple[CategorySummary, ...]:
    """Count the instances of every category that a table lists or uses, by id."""
    ids, counts = np.unique(table.category_ids, return_counts=True)
    n_instances = dict(zip(ids.tolist(), counts.tolist(), strict=True))
    named = {c.id: c.name for c in table.categories}
    return tuple(
        CategorySummary(number, named.get(number, "(not listed)"), n_instances.get(number, 0))
        for number in sorted({*named, *n_instances})
    )
