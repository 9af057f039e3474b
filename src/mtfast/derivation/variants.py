"""More annotation files for a set: by area, by class, without classes, n-shot subsets."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import msgspec

from mtfast.atomic import new_folder
from mtfast.derivation.n_shot import (
    UPSTREAM_SETS,
    Draw,
    seeded_subsets,
    upstream_subsets,
    write_subsets,
)
from mtfast.derivation.output import Derived, NewSet, layout_variants, listed_names
from mtfast.derivation.rules import (
    FLAKE,
    Rule,
    areas_in_file_order,
    one_class_name,
    plan_rules,
)
from mtfast.errors import MtfastError
from mtfast.progress import Progress, step, track
from mtfast.sources import Source, open_source
from mtfast.sources.coco.records import Records
from mtfast.sources.source import expect_one_of
from mtfast.sources.variants import has_classes, is_n_shot

__all__ = ["derive_variants"]

# n-shot subsets are drawn from this variant of this split.
N_SHOT_SPLIT = "train"
N_SHOT_VARIANT = "annotations_with_class_300"


def derive_variants(
    source: Source | str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    min_areas: Sequence[int] = (),
    at_least: bool = False,
    max_categories: Sequence[int] = (),
    class_agnostic: bool = False,
    n_shot: Literal["upstream", "seeded"] | None = None,
    before: Sequence[int | str | os.PathLike[str]] | None = None,
    seed: int = 0,
    splits: Sequence[str] | None = None,
    images: bool = True,
    progress: Progress | None = None,
) -> Derived:
    """Make a set that has more annotation files than its source; the others are copied.

    Parameters
    ----------
    source : Source or path
    out : path
        Folder of the new set; it must be empty or not exist. It appears when the set is whole.
    min_areas : sequence of int
        Make ``annotations_with_class_PX`` of the instances with more than PX pixels, measured from
        the RLE, for each; or with PX pixels or more if ``at_least``.
    max_categories : sequence of int
        Make ``…_max_ID`` of the categories up to ID beside every with-class file, for each.
    class_agnostic : bool
        Make the class-agnostic file beside every with-class one; annotations keep their ids.
    n_shot : "upstream" or "seeded", optional
        Draw n-shot subsets of ``train`` from ``annotations_with_class_300``: as those of the
        published sets were drawn, or from ``seed``, the ids and classes alone.
    before : sequence of int or path, optional
        For ``upstream``: the sets before this one in :data:`UPSTREAM_SETS`, or how many
        annotations their file of the same name has; 0 for the first.
    splits : sequence of str, optional
        Those to make files for, all by default; the others are carried over.
    images : bool
        Whether the set gets links to the images and semantic masks of its source.

    Raises
    ------
    MtfastError
        If the source lacks what is asked for, or the set cannot be written; nothing is left then.

    Examples
    --------
    >>> derive_variants("WS2", "WS2_100", min_areas=[100], class_agnostic=True)  # doctest: +SKIP

    Notes
    -----
    n-shot subsets: the MaskTerial data sets, https://zenodo.org/records/15765514.
    """
    if not isinstance(source, Source):
        source = open_source(source)
    chosen = tuple(splits) if splits else source.splits
    for split in chosen:
        expect_one_of(split, source.splits, "split", source.name)
    counts: list[int] = []
    if n_shot:
        expect_one_of(N_SHOT_SPLIT, chosen, "split", source.name)
    if n_shot == "upstream":
        counts = _annotation_counts(source, before)
    plans = {
        split: plan_rules(
            tuple(layout_variants(source, split)),
            min_areas=min_areas,
            at_least=at_least,
            max_categories=max_categories,
            class_agnostic=class_agnostic,
        )
        for split in chosen
    }
    if n_shot and N_SHOT_VARIANT not in {
        *layout_variants(source, N_SHOT_SPLIT),
        *plans[N_SHOT_SPLIT],
    }:
        raise MtfastError(
            f"no {N_SHOT_VARIANT} of {N_SHOT_SPLIT} in {source.name}; expected it, as n-shot "
            f"subsets are drawn from it; have it made with --min-area 300"
        )
    with new_folder(out) as folder:
        new = NewSet(folder, Path(out), images, progress)
        for split in source.splits:
            rules = plans.get(split, {})
            draws = n_shot is not None and split == N_SHOT_SPLIT
            redrawn = {v for v in source.variants(split) if draws and is_n_shot(v)}
            new.keep_variants(source, split, without=rules.keys() | redrawn)
            _write_rules(new, source, split, rules, progress)
            if draws:
                draw = (
                    partial(upstream_subsets, before=counts)
                    if n_shot == "upstream"
                    else partial(seeded_subsets, seed=seed)
                )
                _write_n_shot(new, split, draw, progress)
            new.write_set_lists(split, source.set_lists(split))
            new.link_pictures(source, split, listed_names(source, split))
    return new.done


def _write_rules(
    new: NewSet, source: Source, split: str, rules: dict[str, Rule], progress: Progress | None
) -> None:
    what = f"making annotations of {split}"
    for rule, text in track(_apply(source, split, rules), what, progress, len(rules)):
        new.write_variant(split, rule.name, text)


def _apply(source: Source, split: str, rules: dict[str, Rule]) -> Iterator[tuple[Rule, bytes]]:
    """Make the text of each file; a file that several are made from is read once."""
    there = layout_variants(source, split)
    flake = _one_class(source, split) if any(rule.one_class for rule in rules.values()) else FLAKE
    for base in dict.fromkeys(rule.base for rule in rules.values()):
        wanted = [rule for rule in rules.values() if rule.base == base]
        records = source.records(split, there[base])
        areas = None
        if any(rule.min_area is not None for rule in wanted):
            areas = areas_in_file_order(source.table(split, there[base]))
        for rule in wanted:
            yield rule, rule.apply(records, areas, flake)


def _write_n_shot(new: NewSet, split: str, draw: Draw, progress: Progress | None) -> None:
    """Draw from what the new set already has."""
    records = new.read_variant(split, N_SHOT_VARIANT)
    name = one_class_name(N_SHOT_VARIANT)
    if new.has_variant(split, name):
        one_class = new.read_variant(split, name)
    else:
        rule = Rule(name, N_SHOT_VARIANT, one_class=True)
        one_class = Records(rule.apply(records, None), name)
    with step("drawing n-shot subsets", progress):
        new.done.n_made += len(write_subsets(new.annotations, split, records, one_class, draw))


def _one_class(source: Source, split: str) -> msgspec.Raw:
    """Return the category of the class-agnostic files that the set has, else a new one."""
    for variant in source.variants(split):
        if not is_n_shot(variant) and not has_classes(variant):
            categories = source.records(split, variant).categories
            if len(categories) == 1:
                return categories[0]
    return FLAKE


def _annotation_counts(
    source: Source, before: Sequence[int | str | os.PathLike[str]] | None
) -> list[int]:
    """Count the annotations that were shuffled before those of this set."""
    order = ", ".join(UPSTREAM_SETS)
    if not before:
        raise MtfastError(
            f"n-shot subsets as upstream draws them, without the sets before {source.name}; "
            f"expected these, as one random generator runs through {order}; "
            f"give --before SET (or its number of {N_SHOT_VARIANT}) for each, --before 0 if none is"
        )
    counts = [_annotation_count(one) for one in before]
    name = source.name.removeprefix("Real_")
    if name in UPSTREAM_SETS:
        place = UPSTREAM_SETS.index(name)
        if len(counts) != place and not (place == 0 and counts == [0]):
            raise MtfastError(
                f"{len(counts)} sets before {source.name}; expected {place}, in this order: "
                f"{', '.join(UPSTREAM_SETS[:place]) or 'none, which is --before 0'}; "
                f"give --before for each of them"
            )
    return counts


def _annotation_count(one: int | str | os.PathLike[str]) -> int:
    if isinstance(one, int) or (isinstance(one, str) and one.isdecimal()):
        return int(one)
    return len(open_source(one).records(N_SHOT_SPLIT, N_SHOT_VARIANT).annotations)
