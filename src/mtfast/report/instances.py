"""The instances of a dataset, measured."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray

from mtfast.dataset import CategorySummary, SplitView, count_categories, open_dataset
from mtfast.progress import Progress, step, track
from mtfast.rles import Rles, union_areas
from mtfast.sources.variants import fullest_variant
from mtfast.table import RunTable

__all__ = ["SplitInstances", "read_instances"]

Int64 = NDArray[np.int64]

# Masks of so many images are runs of 64 bits at a time.
_CHUNK = 1 << 11


@dataclass(frozen=True)
class SplitInstances:
    """The instances of a split, of the variant that leaves out the fewest."""

    view: SplitView
    variant: str
    table: RunTable
    covered: Int64
    """Pixels of each image that lie in at least one mask, (n_images,)."""

    @cached_property
    def areas(self) -> Int64:
        """Pixels of each instance, (n_instances,)."""
        return self.table.area()

    @cached_property
    def runs(self) -> list[str]:
        """Exfoliation run of each image, empty where it is not known."""
        members = self.view.set_members
        return [members.get(PurePosixPath(name).stem, "") for name in self.table.names.tolist()]

    @cached_property
    def categories(self) -> tuple[CategorySummary, ...]:
        """The classes, listed or used, with the number of their instances."""
        return count_categories(self.table)

    @property
    def n_per_image(self) -> Int64:
        """Instances of each image, (n_images,)."""
        return np.diff(self.table.image_offsets)

    @property
    def coverage(self) -> NDArray[np.float64]:
        """Share of each frame that lies in at least one mask, (n_images,)."""
        return self.covered / np.maximum(self.table.n_pixels, 1)

    def co_occurrence(self, categories: Sequence[int]) -> Int64:
        """Count the images that have both of two classes, (n, n); of one class on the diagonal."""
        there = np.zeros((self.table.n_images, len(categories)), np.int64)
        for column, category in enumerate(categories):
            has = self.table.category_ids == category
            there[self.table.image_of_instance[has], column] = 1
        return there.T @ there


def read_instances(
    path: str | os.PathLike[str], progress: Progress | None = None
) -> tuple[SplitInstances, ...]:
    """Read and measure the instances of all splits of a dataset, source or store.

    Raises
    ------
    MtfastError
        If there is no dataset or it is not in order.

    Examples
    --------
    >>> read_instances("GrapheneH")[0].areas.max()                     # doctest: +SKIP
    54392
    """
    splits = []
    for view in open_dataset(path).splits.values():
        variant = fullest_variant(view.variants) or view.semantic_variant
        with step(f"reading annotations of {view.name}", progress):
            table = view.table(variant)
        splits.append(SplitInstances(view, variant, table, _covered(table, view.name, progress)))
    return tuple(splits)


def _covered(table: RunTable, split: str, progress: Progress | None) -> Int64:
    what = f"measuring images of {split}"
    chunks = (table[start : start + _CHUNK] for start in range(0, table.n_images, _CHUNK))
    parts = [
        union_areas(Rles.of_table(some), some.image_offsets)
        for some in track(chunks, what, progress, table.n_images, lambda some: some.n_images)
    ]
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)
