"""A validation split made from the training split, with no exfoliation run in both.

Images of one run show the same chip under the same lamp: a model that has trained on some of them
is not tested by the others.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtfast.arguments import ImagesOption
from mtfast.dataset import expect_source
from mtfast.derivation.output import Derived, NewSet, layout_variants, listed_names, new_set
from mtfast.errors import MtfastError, counted
from mtfast.paths import local_path, stem_of
from mtfast.progress import Progress, shows_progress, track
from mtfast.sources import Source
from mtfast.sources.coco.records import Records
from mtfast.sources.split_names import expect_one_of
from mtfast.sources.variants import is_n_shot

__all__ = ["choose_runs", "derive_validation"]

TRAIN, VALIDATION = "train", "val"


@shows_progress
def derive_validation(
    source: Source | str | os.PathLike[str],
    out: str | os.PathLike[str],
    fraction: float,
    *,
    seed: int = 0,
    images: ImagesOption = True,
    progress: Progress | None = None,
) -> Derived:
    """Make a set in which whole exfoliation runs have moved from ``train`` to a new ``val``.

    Parameters
    ----------
    source, out, images, progress
        As for :func:`mtfast.derive_dataset`.
    fraction : float
        Share of the images that moves to ``val``: the nearest that whole runs allow.
    seed : int
        Chooses the runs; the order of images and files does not matter.

    Returns
    -------
    Derived

    Raises
    ------
    MtfastError
        If there is no ``train``, a ``val`` already, or only one run; nothing is left of the set.

    Examples
    --------
    >>> derive_validation("Graphene", "Graphene_val", 0.2, seed=1).notes[-1]
    '8 images in train, 2 in val'
    """
    out, source = local_path(out), expect_source(source)
    expect_one_of(TRAIN, source.splits, "split", source.name)
    if VALIDATION in source.splits:
        raise MtfastError(
            f"{source.name} has a split {VALIDATION!r}; expected none yet; use it as it is"
        )
    names = listed_names(source, TRAIN)
    members = source.set_names(TRAIN).members
    # An image whose run is not known is a run of its own.
    runs = [members.get(stem_of(name), name) for name in names]
    moves = choose_runs(runs, fraction, seed).tolist()
    sides = {
        split: [name for name, moved in zip(names, moves, strict=True) if moved == to_validation]
        for split, to_validation in ((TRAIN, False), (VALIDATION, True))
    }
    with new_set(out, [source], {"validation": fraction, "seed": seed}, images, progress) as new:
        variants = {v: t for v, t in layout_variants(source, TRAIN).items() if not is_n_shot(v)}
        for variant, there in track(variants.items(), "dividing annotations", progress):
            records = source.records(TRAIN, there)
            for side, some in sides.items():
                new.write_variant(side, variant, _of_images(records, some))
        for side, some in sides.items():
            new.write_set_lists(side, _set_lists(source, side, set(map(stem_of, some))))
            new.link_pictures(source, TRAIN, some, to=side)
        for split in source.splits:
            if split != TRAIN:
                new.keep_split(source, split)
        _note_what_is_special(new, source, sides)
    return new.done


def _note_what_is_special(new: NewSet, source: Source, sides: dict[str, list[str]]) -> None:
    n_images = {side: len(names) for side, names in sides.items()}
    members = source.set_names(TRAIN).members
    alone = sum(stem_of(name) not in members for names in sides.values() for name in names)
    if alone:
        new.note(
            f"the exfoliation run of {alone:,} of {sum(n_images.values()):,} images is not known: "
            f"they were drawn one by one, and images of one run may be in both splits"
        )
    if any(map(is_n_shot, source.variants(TRAIN))):
        new.note("n-shot subsets were left out; draw new ones with n_shot='seeded'")
    new.note(f"{counted(n_images[TRAIN], 'image')} in train, {n_images[VALIDATION]:,} in val")


def choose_runs(runs: Sequence[str], fraction: float, seed: int) -> NDArray[np.bool_]:
    """Choose whole runs that have about a given fraction of all images.

    Parameters
    ----------
    runs : sequence of str
        The run of each image.
    fraction : float
        More than 0 and less than 1.
    seed : int
        From 0 to 2**32 - 1.

    Returns
    -------
    (n_images,) bool
        Which images are chosen. At least one run is, and at least one is not.

    Raises
    ------
    MtfastError
        If there are fewer than two runs, or the fraction is out of range.

    Examples
    --------
    >>> choose_runs(["a", "b", "a", "c"], 0.5, seed=0).tolist()
    [False, True, False, True]
    """
    if not 0 < fraction < 1:
        raise MtfastError(
            f"a fraction of {fraction:g} for validation; expected more than 0 and less than 1; "
            f"0.2 is usual"
        )
    names, run_of_image, n_images = np.unique(
        np.array(runs, np.dtypes.StringDType()), return_inverse=True, return_counts=True
    )
    if names.size < 2:
        raise MtfastError(
            f"{names.size} exfoliation run; expected at least two, one for each split; "
            f"take the validation images from another set"
        )
    target = fraction * len(runs)
    taken = np.zeros(names.size, np.bool_)
    for run in np.random.RandomState(seed).permutation(names.size).tolist():
        so_far = n_images[taken].sum()
        taken[run] = abs(so_far + n_images[run] - target) < abs(so_far - target)
    smallest = int(np.argmin(n_images))
    if taken.all() or not taken.any():
        taken[smallest] = not taken[smallest]
    chosen: NDArray[np.bool_] = taken[run_of_image]
    return chosen


def _of_images(records: Records, names: Sequence[str]) -> bytes:
    """Return the part of a file that is about some of its images."""
    wanted = set(names)
    keep = np.array([name in wanted for name in records.image_keys.names], np.bool_)
    belongs = np.isin(records.annotation_keys.image_ids, records.image_keys.ids[keep])

    def pick(pieces: list[Any], chosen: NDArray[np.bool_]) -> list[Any]:
        return [pieces[k] for k in np.flatnonzero(chosen).tolist()]

    return records.encode(
        images=pick(records.images, keep), annotations=pick(records.annotations, belongs)
    )


def _set_lists(source: Source, side: str, stems: set[str]) -> dict[str, list[str]]:
    """Return the named sets of the images of one of the two splits.

    A list that names sets but not their images stays with the training split.
    """
    members = source.set_names(TRAIN).members
    moved = set(members.values()) - {members[stem] for stem in stems if stem in members}
    lists = {}
    for key, names in source.set_lists(TRAIN).items():
        if key in members.values():
            lists[key] = [name for name in names if stem_of(name) in stems]
        elif side == TRAIN:
            lists[key] = [name for name in names if name not in moved]
    return {key: names for key, names in lists.items() if names}
