"""What is in a dataset, in numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from mtfast.dataset import (
    CategorySummary,
    DatasetLike,
    SplitView,
    count_categories,
    examine,
    open_dataset,
)
from mtfast.errors import MtfastError, SourceError
from mtfast.progress import Progress, shows_progress, track
from mtfast.sources.variants import is_n_shot
from mtfast.table import RunTable

__all__ = [
    "BadRecordSummary",
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
class BadRecordSummary:
    """Records of a file that have one thing wrong with them, or that are worth a note.

    Attributes
    ----------
    kind : str
        In the words of ``mtfast doctor``.
    file : str
        The annotation file.
    n : int
        Number of records.
    examples : tuple of str
        The first of them, in words.
    done : str
        What was done with them here: "repaired" and "skipped" are those that ``--bad`` can repair
        or only skip. In a store, what was done when it was made.
    """

    kind: str
    file: str
    n: int
    examples: tuple[str, ...]
    done: str

    def __str__(self) -> str:
        """In one line."""
        more = ", …" if self.n > len(self.examples) else ""
        return f"{self.n:,} x {self.kind} ({', '.join(self.examples)}{more})"


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
    bad_records : tuple of BadRecordSummary
        What is wrong with records, or with those that a store was made from.
    unreadable : dict
        Of each variant that cannot be read at all, why.
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
    bad_records: tuple[BadRecordSummary, ...]
    unreadable: dict[str, str]


@dataclass(frozen=True)
class DatasetSummary:
    """A dataset, in numbers.

    Attributes
    ----------
    path : str
    kind : str
        "store", or the layout of a source.
    splits : tuple of SplitSummary
    rasterizer : str
        Whose pixels polygons are, if there are any; see :func:`mtfast.open_source`.
    """

    path: str
    kind: str
    splits: tuple[SplitSummary, ...]
    rasterizer: str

    def as_dict(self) -> dict[str, Any]:
        """Return plain dicts, lists, strings and numbers, for JSON."""
        return asdict(self)


@shows_progress
def summarise(dataset: DatasetLike, *, progress: Progress | None = None) -> DatasetSummary:
    """Count what is in a dataset.

    n-shot subsets are named, not counted: a set may have a hundred of them.

    Parameters
    ----------
    dataset : path-like, Source or Store
        See :func:`mtfast.dataset.open_dataset`.
    progress : bool or callable, optional
        True shows the command line's bar; a function is called as (what, done, total).

    Returns
    -------
    DatasetSummary
        Of what can be read; bad records are left out or repaired, and counted.

    Raises
    ------
    MtfastError
        If there is no dataset, or none of its annotation files can be read at all.

    Examples
    --------
    >>> summarise("Graphene").splits[0].n_images
    10
    """
    opened = open_dataset(dataset)
    splits = [
        _summarise_split(split, opened.findings.get(split.name, ()), progress)
        for split in opened.splits.values()
    ]
    reasons = [reason for split in splits for reason in split.unreadable.values()]
    if reasons and not any(split.variants for split in splits):
        raise SourceError(reasons[0])
    return DatasetSummary(str(opened.path), opened.kind, tuple(splits), opened.rasterizer)


def _summarise_split(
    split: SplitView, noted: Sequence[Mapping[str, Any]], progress: Progress | None
) -> SplitSummary:
    counted = [v for v in split.variants if not is_n_shot(v) or v == split.semantic_variant]
    variants = []
    bad = [_summarise_noted(found) for found in noted]
    unreadable: dict[str, str] = {}
    names: set[str] = set()
    sizes: set[tuple[int, int]] = set()
    what = f"reading annotations of {split.name}"
    for variant in track(counted, what, progress):
        try:
            table, found, _ = examine(split, variant)
        except MtfastError as error:
            unreadable[variant] = str(error)
            continue
        bad += [BadRecordSummary(f.kind, f.file, f.n, f.examples, f.done) for f in found]
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
        has_images=bool(names) and split.has_images,
        semantic_variant=split.semantic_variant,
        variants=tuple(variants),
        n_shot_variants=tuple(v for v in split.variants if v not in counted),
        bad_records=tuple(bad),
        unreadable=unreadable,
    )


def _summarise_noted(found: Mapping[str, Any]) -> BadRecordSummary:
    """Take what a store's report has of records; see docs/FORMAT.md."""
    examples = tuple(map(str, found.get("examples", ())))
    words = [str(found.get(key, "")) for key in ("kind", "file", "done")]
    return BadRecordSummary(words[0], words[1], int(found.get("n", 0)), examples, words[2])


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
