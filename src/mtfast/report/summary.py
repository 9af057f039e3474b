"""What is in a dataset, in numbers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from mtfast.dataset import (
    CategorySummary,
    DatasetLike,
    SplitView,
    count_categories,
    open_dataset,
)
from mtfast.progress import Progress, track
from mtfast.sources.variants import is_n_shot
from mtfast.table import RunTable

__all__ = [
    "DatasetSummary",
    "SplitSummary",
    "VariantSummary",
    "summarise",
]


@dataclass(frozen=True)
class VariantSummary:
    """One annotation file, in numbers.

    Attributes
    ----------
    name : str
    n_images, n_instances : int
    n_empty_images : int
        Images without instances.
    area_min, area_median, area_max : number or None
        In pixels, measured from the RLE; None without instances.
    categories : tuple of CategorySummary
    """

    name: str
    n_images: int
    n_instances: int
    n_empty_images: int
    area_min: int | None
    area_median: float | None
    area_max: int | None
    categories: tuple[CategorySummary, ...]


@dataclass(frozen=True)
class SplitSummary:
    """One split, in numbers.

    Attributes
    ----------
    name : str
    n_images : int
        Images that any of the counted variants lists.
    height, width : int or None
        In pixels; None where images differ in size.
    n_sizes : int
        Sizes that images have.
    heights, widths : (int, int) or None
        The least and the most of any image, in pixels; None without images.
    has_images : bool
        Whether there are image files, not only annotations.
    semantic_variant : str
        The variant that semantic masks are painted from.
    variants : tuple of VariantSummary
    n_shot_variants : tuple of str
        Names of the n-shot subsets, which are not counted.
    """

    name: str
    n_images: int
    height: int | None
    width: int | None
    n_sizes: int
    heights: tuple[int, int] | None
    widths: tuple[int, int] | None
    has_images: bool
    semantic_variant: str
    variants: tuple[VariantSummary, ...]
    n_shot_variants: tuple[str, ...]


@dataclass(frozen=True)
class DatasetSummary:
    """A dataset, in numbers.

    Attributes
    ----------
    path : str
    kind : str
        "store", or the layout of a source.
    splits : tuple of SplitSummary
    """

    path: str
    kind: str
    splits: tuple[SplitSummary, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return plain dicts, lists, strings and numbers, for JSON."""
        return asdict(self)


def summarise(dataset: DatasetLike, progress: Progress | None = None) -> DatasetSummary:
    """Count what is in a dataset.

    n-shot subsets are named, not counted: a set may have a hundred of them.

    Parameters
    ----------
    dataset : path-like, Source or Store
        See :func:`mtfast.dataset.open_dataset`.
    progress : callable, optional
        Called as (what, done, total).

    Returns
    -------
    DatasetSummary

    Raises
    ------
    MtfastError
        If there is no dataset, or its annotations are malformed.

    Examples
    --------
    >>> summarise("Graphene").splits[0].n_images
    10
    """
    opened = open_dataset(dataset)
    return DatasetSummary(
        path=str(opened.path),
        kind=opened.kind,
        splits=tuple(_summarise_split(split, progress) for split in opened.splits.values()),
    )


def _summarise_split(split: SplitView, progress: Progress | None) -> SplitSummary:
    counted = [v for v in split.variants if not is_n_shot(v) or v == split.semantic_variant]
    variants = []
    names: set[str] = set()
    sizes: set[tuple[int, int]] = set()
    what = f"reading annotations of {split.name}"
    for variant in track(counted, what, progress):
        table = split.table(variant)
        names.update(table.names.tolist())
        sizes.update(zip(table.heights.tolist(), table.widths.tolist(), strict=True))
        variants.append(_summarise_variant(variant, table))
    height, width = next(iter(sizes)) if len(sizes) == 1 else (None, None)
    heights, widths = zip(*sizes, strict=True) if sizes else ((), ())
    return SplitSummary(
        name=split.name,
        n_images=len(names),
        height=height,
        width=width,
        n_sizes=len(sizes),
        heights=(min(heights), max(heights)) if sizes else None,
        widths=(min(widths), max(widths)) if sizes else None,
        has_images=split.has_images,
        semantic_variant=split.semantic_variant,
        variants=tuple(variants),
        n_shot_variants=tuple(v for v in split.variants if v not in counted),
    )


def _summarise_variant(name: str, table: RunTable) -> VariantSummary:
    areas = table.area()
    return VariantSummary(
        name=name,
        n_images=table.n_images,
        n_instances=table.n_instances,
        n_empty_images=int(np.count_nonzero(np.diff(table.image_offsets) == 0)),
        area_min=int(areas.min()) if areas.size else None,
        area_median=float(np.median(areas)) if areas.size else None,
        area_max=int(areas.max()) if areas.size else None,
        categories=count_categories(table),
    )
