"""More annotation files for a set: by area, by category, without classes, n-shot subsets."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import Literal

import msgspec

from mtfast.arguments import ImagesOption
from mtfast.dataset import expect_source
from mtfast.derivation.n_shot import (
    N_SHOT_VARIANT,
    UPSTREAM_SETS,
    Draw,
    seeded_subsets,
    upstream_subsets,
    write_subsets,
)
from mtfast.derivation.output import Derived, NewSet, layout_variants, listed_names, new_set
from mtfast.derivation.variant_rules import FLAKE, VariantRule, areas_in_file_order, plan_rules
from mtfast.errors import MtfastError
from mtfast.paths import local_path
from mtfast.progress import Progress, shows_progress, step, track
from mtfast.sources import Source
from mtfast.sources.coco.records import Records
from mtfast.sources.split_names import chosen_splits, expect_one_of
from mtfast.sources.variants import default_variant, has_classes, is_n_shot, without_classes

__all__ = ["derive_variants"]

# n-shot subsets are drawn from this split.
N_SHOT_SPLIT = "train"


@shows_progress
def derive_variants(
    source: Source | str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    min_areas: Sequence[int] = (),
    max_categories: Sequence[int] = (),
    class_agnostic: bool = False,
    n_shot: Literal["upstream", "seeded"] | None = None,
    before: Sequence[int | str | os.PathLike[str]] = (),
    seed: int = 0,
    splits: Sequence[str] | None = None,
    images: ImagesOption = True,
    progress: Progress | None = None,
) -> Derived:
    """Make a set that has more annotation files than its source; the others are copied.

    Parameters
    ----------
    source, out, images, progress
        As for :func:`mtfast.derive_dataset`.
    min_areas, max_categories, class_agnostic, n_shot, before, seed, splits
        As there.

    Returns
    -------
    Derived

    Raises
    ------
    MtfastError
        If the source lacks what is asked for, or the set cannot be written.

    Examples
    --------
    >>> done = derive_variants("Graphene", "Graphene_50", min_areas=[50], class_agnostic=True)
    >>> done.n_made
    8
    """
    out, source = local_path(out), expect_source(source)
    chosen = chosen_splits(source.splits, splits, source.name)
    draw = _draw_by(source, chosen, n_shot, before, seed)
    plans = {
        split: plan_rules(
            tuple(layout_variants(source, split)),
            min_areas=min_areas,
            max_categories=max_categories,
            class_agnostic=class_agnostic,
        )
        for split in chosen
    }
    if draw is not None:
        _expect_n_shot_variant(source, plans[N_SHOT_SPLIT])
    options = {
        "min_areas": min_areas,
        "max_categories": max_categories,
        "class_agnostic": class_agnostic,
        "n_shot": n_shot,
        "before": [str(value) for value in before],
        "seed": seed,
        "splits": splits,
    }
    with new_set(out, [source], options, images, progress) as new:
        for split in source.splits:
            rules = plans.get(split, {})
            draws = draw is not None and split == N_SHOT_SPLIT
            redrawn = {v for v in source.variants(split) if draws and is_n_shot(v)}
            new.keep_variants(source, split, without=rules.keys() | redrawn)
            _write_rules(new, source, split, rules, progress)
            if draw is not None and draws:
                _write_n_shot(new, split, draw, progress)
            new.write_set_lists(split, source.set_lists(split))
            new.link_pictures(source, split, listed_names(source, split))
            _say_which_is_read(new, split, rules, {*source.variants(split), *rules})
    return new.done


def _say_which_is_read(
    new: NewSet, split: str, made: Collection[str], there: Collection[str]
) -> None:
    """Note what was made where commands go on reading another file, as they do without a word."""
    read = default_variant(sorted(there))
    if made and read not in made:
        named = " or ".join(f"variant='{name}'" for name in made)
        new.note(f"{split}: {named} reads what was made; without it commands read {read}")


def _draw_by(
    source: Source,
    splits: Sequence[str],
    n_shot: Literal["upstream", "seeded"] | None,
    before: Sequence[int | str | os.PathLike[str]],
    seed: int,
) -> Draw | None:
    """Return what draws the n-shot subsets; None if none are wanted."""
    if n_shot is None:
        return None
    expect_one_of(N_SHOT_SPLIT, splits, "split", source.name)
    if n_shot == "seeded":
        return partial(seeded_subsets, seed=seed)
    return partial(upstream_subsets, before=_annotation_counts(source, before))


def _expect_n_shot_variant(source: Source, rules: Mapping[str, VariantRule]) -> None:
    if N_SHOT_VARIANT not in {*layout_variants(source, N_SHOT_SPLIT), *rules}:
        raise MtfastError(
            f"no {N_SHOT_VARIANT} of {N_SHOT_SPLIT} in {source.name}; expected it, as n-shot "
            f"subsets are drawn from it; have it made with min_areas=[300]"
        )


def _write_rules(
    new: NewSet,
    source: Source,
    split: str,
    rules: dict[str, VariantRule],
    progress: Progress | None,
) -> None:
    what = f"making annotations of {split}"
    for rule, text in track(_apply(source, split, rules), what, progress, len(rules)):
        new.write_variant(split, rule.name, text)


def _apply(
    source: Source, split: str, rules: dict[str, VariantRule]
) -> Iterator[tuple[VariantRule, bytes]]:
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
    """Draw n-shot subsets from the files that the new set already has."""
    records = new.read_variant(split, N_SHOT_VARIANT)
    name = without_classes(N_SHOT_VARIANT)
    if new.has_variant(split, name):
        one_class = new.read_variant(split, name)
    else:
        rule = VariantRule(name, N_SHOT_VARIANT, one_class=True)
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


def _annotation_counts(source: Source, before: Sequence[int | str | os.PathLike[str]]) -> list[int]:
    """Count the annotations of the sets whose shuffles came before those of this set."""
    order = ", ".join(UPSTREAM_SETS)
    if not before:
        raise MtfastError(
            f"n-shot subsets as upstream drew them, without the sets before {source.name}; "
            f"expected these, as one random generator drew {order} in turn; give them as "
            f"before=[…], each or the number of its {N_SHOT_VARIANT}; before=[0] for the first"
        )
    counts = [_annotation_count(one) for one in before]
    name = source.name.removeprefix("Real_")
    if name in UPSTREAM_SETS:
        place = UPSTREAM_SETS.index(name)
        if len(counts) != place and not (place == 0 and counts == [0]):
            raise MtfastError(
                f"{len(counts)} sets before {source.name}; expected {place}, in this order: "
                f"{', '.join(UPSTREAM_SETS[:place]) or 'none, which is before=[0]'}; "
                f"give them as before=[…]"
            )
    return counts


def _annotation_count(one: int | str | os.PathLike[str]) -> int:
    if isinstance(one, int) or (isinstance(one, str) and one.isdecimal()):
        return int(one)
    return len(expect_source(one).records(N_SHOT_SPLIT, N_SHOT_VARIANT).annotations)
