"""What a conversion reads before it writes: the annotations of a split, checked as a whole."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtfast.errors import SourceError, no_such
from mtfast.painting.paint import semantic_dtype
from mtfast.paths import base_name, stem_of
from mtfast.progress import Progress, track
from mtfast.ragged import offsets_of
from mtfast.sources import Source
from mtfast.sources.bad_records import BadRecords
from mtfast.sources.variants import default_variant
from mtfast.store import schema
from mtfast.store.mask_grid import MaskGrid
from mtfast.store.writing.annotations import VariantTable, align
from mtfast.table import RunTable

__all__ = ["SplitInput", "read_split"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SplitInput:
    """All that is known of a split before anything is written.

    Attributes
    ----------
    name : str
    names : tuple of str
        File names of its images: the union over the variants, in the order of the first that lists
        each.
    grid : MaskGrid
        How their masks share an array.
    longest : int
        Bytes of the longest image file; 0 without images.
    set_names : tuple of str
        Exfoliation run of each image; empty where it is not known.
    sets : tuple of str
        All runs.
    semantic_variant : str
        What masks are painted from.
    semantic_dtype : numpy dtype
    table : RunTable
        The instances of that variant, for exactly the images ``names``.
    tables : tuple of VariantTable
        Every annotation file.
    has_images : bool
        Whether image files are stored.
    findings : tuple of BadRecords
        What was skipped, repaired, mapped or counted.
    """

    name: str
    names: tuple[str, ...]
    grid: MaskGrid
    longest: int
    set_names: tuple[str, ...]
    sets: tuple[str, ...]
    semantic_variant: str
    semantic_dtype: np.dtype[Any]
    table: RunTable
    tables: tuple[VariantTable, ...]
    has_images: bool
    findings: tuple[BadRecords, ...]


def read_split(
    source: Source, split: str, variant: str | None, with_images: bool, progress: Progress | None
) -> SplitInput:
    """Read all annotation files of a split and make sure that they fit together.

    Parameters
    ----------
    source : Source
    split : str
    variant : str, optional
        What the masks are painted from; by default that of
        :func:`mtfast.sources.variants.default_variant`.
    with_images : bool
        Whether the images are stored: then all of them must be there.
    progress : callable, optional
        Called as (what, done, total).

    Returns
    -------
    SplitInput

    Raises
    ------
    SourceError, RLEError
        If there is no such variant, an image is missing, sizes differ, or a file is malformed.
    """
    variants = source.variants(split)
    chosen = variant or default_variant(variants)
    if chosen not in variants:
        raise SourceError(no_such("variant", chosen, variants, f"split {split!r}"))
    tables, findings = _read_tables(source, split, with_images, progress)
    names = tuple(dict.fromkeys(name for t in tables for name in t.table.names.tolist()))
    if with_images:
        names, missing = source.present(split, names)
        findings += missing
        tables = [table._replace(table=_of_images(table.table, names)) for table in tables]
    if not names:
        raise SourceError(
            f"split {split!r} of {source.path} has no images; expected at least one; "
            f"leave it out with --split"
        )
    heights, widths = _sizes(tables, names)
    longest = _longest_file(source, split, names) if with_images else 0
    runs = source.set_names(split)
    table = align(tables[variants.index(chosen)].table, names, heights, widths)
    logger.info("%s: masks are painted from %s, one of %d variants", split, chosen, len(variants))
    return SplitInput(
        name=split,
        names=names,
        grid=MaskGrid.of(heights, widths),
        longest=longest,
        set_names=tuple(runs.members.get(stem_of(name), "") for name in names),
        sets=runs.sets,
        semantic_variant=chosen,
        semantic_dtype=semantic_dtype(table.category_ids),
        table=table,
        tables=tuple(tables),
        has_images=with_images,
        findings=tuple(findings),
    )


def _read_tables(
    source: Source, split: str, with_images: bool, progress: Progress | None
) -> tuple[list[VariantTable], list[BadRecords]]:
    tables: list[VariantTable] = []
    findings: list[BadRecords] = []
    for variant in track(source.variants(split), f"reading annotations of {split}", progress):
        table, found, _ = source.read(split, variant)
        findings += found
        tables.append(VariantTable(variant, source.variant_file(split, variant), table))
        if with_images and len(tables) == 1:
            # The other files of a large set take a minute to read: see first whether there are
            # images at all.
            _require_folder(source, split, table.names.tolist())
    return tables, findings


def _of_images(table: RunTable, names: Sequence[str]) -> RunTable:
    """Leave out the images that are not listed."""
    known = set(names)
    kept = np.array([name in known for name in table.names.tolist()], bool)
    if np.all(kept):
        return table
    chosen = table.select(kept[table.image_of_instance])
    return replace(
        chosen,
        names=chosen.names[kept],
        image_ids=chosen.image_ids[kept],
        heights=chosen.heights[kept],
        widths=chosen.widths[kept],
        image_offsets=offsets_of(np.diff(chosen.image_offsets)[kept]),
    )


def _sizes(
    tables: Sequence[VariantTable], names: Sequence[str]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the height and width of each image, in which all annotation files must agree."""
    order = {name: i for i, name in enumerate(names)}
    sizes = np.full((len(names), 2), -1)
    for _, file, table in tables:
        index = np.array([order[name] for name in table.names.tolist()], np.int64)
        found = np.stack([table.heights, table.widths], axis=1)
        known = sizes[index]
        differs = np.any((known != found) & (known >= 0), axis=1)
        if np.any(differs):
            k = int(np.argmax(differs))
            raise SourceError(
                f"{file} has image {table.names[k]} of {found[k, 0]} x {found[k, 1]} pixels and "
                f"another file of {known[k, 0]} x {known[k, 1]}; expected one size; correct it"
            )
        sizes[index] = found
    if np.any(sizes > schema.LARGEST_SIDE):
        k = int(np.argmax(sizes.max(axis=1)))
        raise SourceError(
            f"image {names[k]!r} is {sizes[k, 0]} x {sizes[k, 1]} pixels; expected at most "
            f"{schema.LARGEST_SIDE} on either side; correct its size in the annotations"
        )
    return sizes[:, 0], sizes[:, 1]


def _require_folder(source: Source, split: str, names: Sequence[str]) -> None:
    """Make sure of an image folder, unless all names have folders in them."""
    if source.image_names(split) is None and any(base_name(name) == name for name in names):
        raise SourceError(
            f"split {split!r} of {source.path} has no image folder; expected one with "
            f"the images of its annotations; add it or convert with --images none"
        )


def _longest_file(source: Source, split: str, names: Sequence[str]) -> int:
    """Return the bytes of the longest image file."""
    paths = source.find_images(split, names)
    return max(os.stat(paths[name]).st_size for name in names)  # noqa: PTH116
