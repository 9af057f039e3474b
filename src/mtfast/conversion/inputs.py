"""What a conversion reads before it writes: the annotations of a split, and whether all fits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from mtfast.errors import SourceError
from mtfast.painting.paint import semantic_dtype
from mtfast.paths import base_name
from mtfast.progress import Progress, track
from mtfast.sources import Source
from mtfast.sources.variants import default_variant
from mtfast.store.writing.annotations import VariantTable, align
from mtfast.table import RunTable

__all__ = ["SplitInput", "read_split"]


@dataclass(frozen=True)
class SplitInput:
    """All that is known of a split before anything is written.

    ``table`` holds the instances that masks are painted from, for exactly the images ``names``.
    """

    name: str
    names: tuple[str, ...]
    size: tuple[int, int]
    set_names: tuple[str, ...]
    sets: tuple[str, ...]
    semantic_variant: str
    semantic_dtype: np.dtype[Any]
    table: RunTable
    tables: tuple[VariantTable, ...]
    has_images: bool


def read_split(
    source: Source, split: str, semantic: str | None, with_images: bool, progress: Progress | None
) -> SplitInput:
    """Read all annotation files of a split and make sure that they fit together."""
    variants = source.variants(split)
    chosen = semantic or default_variant(variants)
    if chosen not in variants:
        raise SourceError(
            f"no variant {chosen!r} in split {split!r}; "
            f"expected one of {', '.join(variants[:8])}{', …' if len(variants) > 8 else ''}; "
            f"pick one of these for --semantic"
        )
    tables: list[VariantTable] = []
    order: dict[str, int] = {}
    sizes: dict[tuple[int, int], str] = {}
    what = f"reading annotations of {split}"
    for variant in track(variants, what, progress):
        table = source.table(split, variant)
        file = source.variant_file(split, variant)
        tables.append(VariantTable(variant, file, table))
        for name in table.names.tolist():
            order.setdefault(name, len(order))
        if table.n_images:
            sizes.setdefault(table.common_size(), file)
        if with_images and len(tables) == 1:
            # Of a large set the other files take a minute to read: say soon that there is no image.
            _image_files(source, split, table.names.tolist())
    if not order:
        raise SourceError(
            f"split {split!r} of {source.path} has no images; expected at least one; "
            f"leave it out with --split"
        )
    if len(sizes) > 1:
        (a, in_a), (b, in_b), *_ = sizes.items()
        raise SourceError(
            f"{in_a} has images of {a[0]} x {a[1]} and {in_b} of {b[0]} x {b[1]}; "
            f"expected one size in a split; correct the sizes"
        )
    (size,) = sizes
    names = tuple(order)
    if with_images:
        _require_images(source, split, names)
    found = source.set_names(split)
    table = align(tables[variants.index(chosen)].table, names, size)
    return SplitInput(
        name=split,
        names=names,
        size=size,
        set_names=tuple(found.members.get(PurePosixPath(name).stem, "") for name in names),
        sets=found.sets,
        semantic_variant=chosen,
        semantic_dtype=semantic_dtype(table.category_ids),
        table=table,
        tables=tuple(tables),
        has_images=with_images,
    )


def _image_files(source: Source, split: str, names: Sequence[str]) -> tuple[str, ...]:
    """List the image folder, which there must be unless all names have folders in them."""
    there = source.image_names(split)
    if there is None and any(base_name(name) == name for name in names):
        raise SourceError(
            f"split {split!r} of {source.path} has no image folder; expected one with "
            f"the images of its annotations; add it or convert with --images none"
        )
    return there or ()


def _require_images(source: Source, split: str, names: Sequence[str]) -> None:
    """Find missing images before anything is written."""
    flat = [name for name in names if base_name(name) == name]
    missing = sorted(set(flat) - set(_image_files(source, split, names)))
    # Names with folders in them are looked up one by one, and may be found without the folders.
    taken: dict[str, str] = {}
    for name in names if len(flat) < len(names) else ():
        path = source.find_image(split, name)
        if path is None:
            missing.append(name)
        elif taken.setdefault(path, name) != name:
            raise SourceError(
                f"images {taken[path]} and {name} of split {split!r} both lead to the file {path}; "
                f"expected a file for each; put them where their names say"
            )
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise SourceError(
            f"image {missing[0]}{more} of split {split!r} is not in the image folder; "
            f"expected a file for every image of the annotations; "
            f"add it or convert with --images none"
        )
