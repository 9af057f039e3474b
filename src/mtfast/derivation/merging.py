"""Several sets in one, with ids renumbered so that no two things share one.

The first set keeps its ids. To those of a later one the same number is added in all files of a
split, so that its files still agree with each other, and subtracting it leads back. Categories are
matched by name; a new one whose id is taken gets the next free one.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from mtfast.atomic import new_folder
from mtfast.derivation.merge_ids import (
    category_names,
    is_one_class,
    match_categories,
    merge,
    shifts_of,
)
from mtfast.derivation.output import Derived, NewSet, layout_variants, listed_names
from mtfast.errors import MtfastError
from mtfast.progress import Progress, track
from mtfast.sources import Source, open_source
from mtfast.sources.coco.records import Records
from mtfast.sources.variants import is_n_shot

__all__ = ["derive_merged"]


def derive_merged(
    sources: Sequence[Source | str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    images: bool = True,
    progress: Progress | None = None,
) -> Derived:
    """Make one set of several.

    A split of the new set has the images of that split in all sets, and the annotation files that
    all sets with the split have, n-shot subsets excepted. What files say beside images,
    annotations, categories and licenses is what the first set says.

    Parameters
    ----------
    sources : sequence of Source or path
        At least two.
    out : path
        Folder of the new set; it must be empty or not exist. It appears when the set is whole.
    images : bool
        Whether the set gets links to the images and semantic masks of its sources.

    Raises
    ------
    MtfastError
        If two images of a split have one name, or the sets have no annotation file in common.

    Examples
    --------
    >>> derive_merged(["GrapheneH", "GrapheneL"], "Graphene")             # doctest: +SKIP
    """
    opened = [s if isinstance(s, Source) else open_source(s) for s in sources]
    if len(opened) < 2:
        raise MtfastError(f"{len(opened)} set to merge; expected at least two; name another one")
    splits = dict.fromkeys(chain.from_iterable(source.splits for source in opened))
    parts = {
        split: [_Part(k, s, split) for k, s in enumerate(opened) if split in s.splits]
        for split in splits
    }
    variants = {split: _common_variants(split, some) for split, some in parts.items()}
    names = {split: _distinct_names(split, some) for split, some in parts.items()}
    listed: list[dict[int, str]] = [{} for _ in opened]
    for split, some in parts.items():
        for variant in variants[split]:
            files = [part.records(variant) for part in some]
            if not is_one_class(variant, files):
                for part, records in zip(some, files, strict=True):
                    listed[part.number] |= category_names(records)
    matched = match_categories(listed)
    with new_folder(out) as folder:
        new = NewSet(folder, Path(out), images, progress)
        for split, some in parts.items():
            ids = [matched[part.number] for part in some]
            shifts = shifts_of([list(map(part.records, variants[split])) for part in some])
            what = f"merging annotations of {split}"
            for variant in track(variants[split], what, progress):
                files = [part.records(variant) for part in some]
                new.write_variant(split, variant, merge(variant, files, shifts, ids))
            new.write_set_lists(split, _merge_set_lists(some))
            for part, some_names, mapping in zip(some, names[split], ids, strict=True):
                same = all(old == now for old, now in mapping.items())
                new.link_pictures(part.source, split, some_names, masks=same)
                if not same and part.source.mask_names(split):
                    new.note(
                        f"masks of {split} in {part.source.name} were left out: "
                        f"they show category ids that have changed"
                    )
            others = {v for part in some for v in part.variants} - set(variants[split])
            if others:
                new.note(
                    f"left out of {split}, as not all sets have it: {', '.join(sorted(others))}"
                )
            if any(is_n_shot(v) for part in some for v in part.source.variants(split)):
                new.note(f"left out of {split}: n-shot subsets; draw new ones with --n-shot seeded")
    return new.done


class _Part(NamedTuple):
    """A split of one of the sets, which is the set of that number."""

    number: int
    source: Source
    split: str

    @property
    def variants(self) -> list[str]:
        return [v for v in layout_variants(self.source, self.split) if not is_n_shot(v)]

    def records(self, variant: str) -> Records:
        return self.source.records(self.split, layout_variants(self.source, self.split)[variant])


def _common_variants(split: str, parts: Sequence[_Part]) -> list[str]:
    common = [v for v in parts[0].variants if all(v in part.variants for part in parts)]
    if not common:
        offered = "; ".join(f"{p.source.name}: {', '.join(p.variants) or 'none'}" for p in parts)
        raise MtfastError(
            f"no annotation file of {split} that all sets have ({offered}); expected at least one; "
            f"make it with mtfast derive --min-area first"
        )
    return common


def _distinct_names(split: str, parts: Sequence[_Part]) -> list[tuple[str, ...]]:
    """Return the names of the images of each part; MtfastError if two have one name."""
    names = [listed_names(part.source, split) for part in parts]
    owners: dict[str, Source] = {}
    for part, some in zip(parts, names, strict=True):
        if both := next((name for name in some if name in owners), None):
            raise MtfastError(
                f"image {both!r} is in {split} of both {owners[both].path} and "
                f"{part.source.path}; expected a name of its own for every image; "
                f"rename it in one of them"
            )
        owners |= dict.fromkeys(some, part.source)
    return names


def _merge_set_lists(parts: Sequence[_Part]) -> dict[str, list[str]]:
    """Put the named sets together; of two with one name the later gets its data set's before it."""
    merged: dict[str, list[str]] = {}
    for part in parts:
        runs = set(part.source.set_names(part.split).members.values())
        for key, names in part.source.set_lists(part.split).items():
            if key not in runs:
                merged[key] = merged.get(key, []) + names
                continue
            while key in merged:
                key = f"{part.source.name}_{key}"
            merged[key] = names
    return merged
