"""The instances of a dataset, measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mtfast.caching import cached_property
from mtfast.dataset import (
    CategorySummary,
    DatasetLike,
    SplitView,
    count_categories,
    open_dataset,
)
from mtfast.paths import stem_of
from mtfast.progress import Progress, shows_progress, step, track
from mtfast.rles import Rles, union_areas
from mtfast.sources.variants import fullest_variant
from mtfast.table import RunTable

__all__ = ["SplitInstances", "read_instances"]

Int64 = NDArray[np.int64]

# Images whose masks are decoded at a time, to runs of 64 bits.
_CHUNK = 1 << 11


@dataclass(frozen=True)
class SplitInstances:
    """The instances of a split, of the variant that leaves out the fewest.

    Attributes
    ----------
    view : SplitView
    variant : str
    table : RunTable
    covered : (n_images,) int64
        Pixels of each image that lie in at least one mask.
    """

    view: SplitView
    variant: str
    table: RunTable
    covered: Int64

    @cached_property
    def areas(self) -> Int64:
        """Pixels of each instance, (n_instances,)."""
        return self.table.area()

    @cached_property
    def runs(self) -> list[str]:
        """Exfoliation run of each image, empty where it is not known."""
        members = self.view.set_members
        return [members.get(stem_of(name), "") for name in self.table.names.tolist()]

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
        """Count the images that have both of two classes.

        Parameters
        ----------
        categories : sequence of int
            Ids of n classes.

        Returns
        -------
        (n, n) int64
            Images with a single class are on the diagonal.
        """
        there = np.zeros((self.table.n_images, len(categories)), np.int64)
        for column, category in enumerate(categories):
            has = self.table.category_ids == category
            there[self.table.image_of_instance[has], column] = 1
        return there.T @ there


@shows_progress
def read_instances(
    dataset: DatasetLike, *, progress: Progress | None = None
) -> tuple[SplitInstances, ...]:
    """Read and measure the instances of all splits of a dataset.

    Parameters
    ----------
    dataset : path-like, Source or Store
        See :func:`mtfast.dataset.open_dataset`.
    progress : bool or callable, optional
        True shows the command line's bar; a function is called as (what, done, total).

    Returns
    -------
    tuple of SplitInstances

    Raises
    ------
    MtfastError
        If there is no dataset, or its annotations are malformed.

    Examples
    --------
    >>> train, test = read_instances("Graphene")
    >>> int(train.areas.max())
    1230
    """
    splits = []
    for view in open_dataset(dataset).splits.values():
        variant = fullest_variant(view.variants) or view.semantic_variant
        with step(f"reading annotations of {view.name}", progress):
            table = view.table(variant)
        splits.append(SplitInstances(view, variant, table, _covered(table, view.name, progress)))
    return tuple(splits)


def _covered(table: RunTable, split: str, progress: Progress | None) -> Int64:
    what = f"measuring images of {split}"
    chunks = (
        table.images(slice(start, start + _CHUNK)) for start in range(0, table.n_images, _CHUNK)
    )
    areas = [
        union_areas(Rles.of_table(some), some.image_offsets)
        for some in track(chunks, what, progress, table.n_images, lambda some: some.n_images)
    ]
    return np.concatenate(areas) if areas else np.zeros(0, np.int64)
