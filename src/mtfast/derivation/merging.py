"""Several sets in one, with ids renumbered so that no two things share one.

The first set keeps its ids. The ids of a later one are shifted by the same number in all files of
a split: its files still agree with each other, and subtracting the number gives the old ids.
Categories are matched by name; a new one whose id is taken gets the next free one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import NamedTuple

from mtfast.arguments import ImagesOption
from mtfast.dataset import expect_source
from mtfast.derivation.merge_files import (
    category_names,
    is_one_class,
    match_categories,
    merge_files,
    shifts_of,
)
from mtfast.derivation.output import Derived, NewSet, layout_variants, listed_names, new_set
from mtfast.errors import MtfastError
from mtfast.paths import local_path
from mtfast.progress import Progress, shows_progress, track
from mtfast.sources import Source
from mtfast.sources.coco.records import Records
from mtfast.sources.variants import is_n_shot

__all__ = ["derive_merged"]


@shows_progress
def derive_merged(
    sources: Sequence[Source | str | os.PathLike[str]],
    out: str | os.PathLike[str],
    *,
    images: ImagesOption = True,
    progress: Progress | None = None,
) -> Derived:
    """Make one set of several.

    A split of the new set has the images of that split in all sets, and the annotation files that
    all sets with the split have, except n-shot subsets. Images, annotations, categories and
    licenses are merged; everything else in a file comes from the first set that has it.

    Parameters
    ----------
    sources : sequence of Source or path
        At least two.
    out, images, progress
        As for :func:`mtfast.derive_dataset`.

    Returns
    -------
    Derived

    Raises
    ------
    MtfastError
        If two images of a split have one name, or the sets have no annotation file in common;
        nothing is left of the set.

    Examples
    --------
    >>> done = derive_merged(["Graphene", "GrapheneL"], "GrapheneAll")
    >>> done.n_made, done.n_images
    (10, 24)
    """
    out, opened = local_path(out), [expect_source(source) for source in sources]
    if len(opened) < 2:
        raise MtfastError(f"{len(opened)} set to merge; expected at least two; name another one")
    splits = dict.fromkeys(chain.from_iterable(source.splits for source in opened))
    members = {
        split: [_Member(k, s, split) for k, s in enumerate(opened) if split in s.splits]
        for split in splits
    }
    variants = {split: _common_variants(split, some) for split, some in members.items()}
    names = {split: _distinct_names(split, some) for split, some in members.items()}
    matched = _match_categories(len(opened), members, variants)
    with new_set(
        out, opened, {"merge": [source.name for source in opened]}, images, progress
    ) as new:
        for split, some in members.items():
            ids = [matched[member.number] for member in some]
            shifts = shifts_of([list(map(member.records, variants[split])) for member in some])
            what = f"merging annotations of {split}"
            for variant in track(variants[split], what, progress):
                files = [member.records(variant) for member in some]
                new.write_variant(split, variant, merge_files(variant, files, shifts, ids))
            new.write_set_lists(split, _merge_set_lists(some))
            for member, some_names, mapping in zip(some, names[split], ids, strict=True):
                same = all(old == now for old, now in mapping.items())
                new.link_pictures(member.source, split, some_names, masks=same)
            _note_what_is_left_out(new, split, some, variants[split])
    return new.done


class _Member(NamedTuple):
    """A split of one of the sets that are merged, and the number of that set."""

    number: int
    source: Source
    split: str

    @property
    def variants(self) -> list[str]:
        return [v for v in layout_variants(self.source, self.split) if not is_n_shot(v)]

    def records(self, variant: str) -> Records:
        return self.source.records(self.split, layout_variants(self.source, self.split)[variant])


def _match_categories(
    n_sets: int, members: Mapping[str, Sequence[_Member]], variants: Mapping[str, Sequence[str]]
) -> list[dict[int, int]]:
    """Match the categories of all files with classes; see :func:`match_categories`."""
    listed: list[dict[int, str]] = [{} for _ in range(n_sets)]
    for split, some in members.items():
        for variant in variants[split]:
            files = [member.records(variant) for member in some]
            if not is_one_class(variant, files):
                for member, records in zip(some, files, strict=True):
                    listed[member.number] |= category_names(records)
    return match_categories(listed)


def _note_what_is_left_out(
    new: NewSet, split: str, members: Sequence[_Member], variants: Sequence[str]
) -> None:
    others = {v for member in members for v in member.variants} - set(variants)
    if others:
        new.note(f"left out of {split}, as not all sets have it: {', '.join(sorted(others))}")
    if any(is_n_shot(v) for member in members for v in member.source.variants(split)):
        new.note(f"left out of {split}: n-shot subsets; draw new ones with n_shot='seeded'")


def _common_variants(split: str, members: Sequence[_Member]) -> list[str]:
    common = [v for v in members[0].variants if all(v in member.variants for member in members)]
    if not common:
        offered = "; ".join(f"{p.source.name}: {', '.join(p.variants) or 'none'}" for p in members)
        raise MtfastError(
            f"no annotation file of {split} is in all sets ({offered}); expected at least one; "
            f"derive it with min_areas=[…] first"
        )
    return common


def _distinct_names(split: str, members: Sequence[_Member]) -> list[tuple[str, ...]]:
    """Return the names of the images of each member; MtfastError if two have one name."""
    names = [listed_names(member.source, split) for member in members]
    owners: dict[str, Source] = {}
    for member, some in zip(members, names, strict=True):
        if both := next((name for name in some if name in owners), None):
            raise MtfastError(
                f"image {both!r} is in {split} of both {owners[both].path} and "
                f"{member.source.path}; expected a name of its own for every image; "
                f"rename it in one of them"
            )
        owners |= dict.fromkeys(some, member.source)
    return names


def _merge_set_lists(members: Sequence[_Member]) -> dict[str, list[str]]:
    """Merge the lists of named sets; a name that is taken is prefixed with that of its dataset."""
    merged: dict[str, list[str]] = {}
    for member in members:
        runs = set(member.source.set_names(member.split).members.values())
        for key, names in member.source.set_lists(member.split).items():
            if key not in runs:
                merged[key] = merged.get(key, []) + names
                continue
            while key in merged:
                key = f"{member.source.name}_{key}"
            merged[key] = names
    return merged
