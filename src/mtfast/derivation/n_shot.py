"""Few-shot subsets: for each class its first n annotations, and all others of their images.

::

    {n}_shot/run_{r}/{split}_annotations_with_class_300.json       in shuffled order
                     {split}_annotations_300.json                  in file order

An n-shot subset has n annotations of each class, or more: images come whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from mtfast.sources.coco.records import AnnotationKeys, Records, fields_of

__all__ = [
    "UPSTREAM_SETS",
    "Draw",
    "Subset",
    "seeded_subsets",
    "upstream_subsets",
    "write_subsets",
]

Int64 = NDArray[np.int64]

N_SHOTS = (1, 2, 3, 5, 10)
N_RUNS = 10
UPSTREAM_SEED = 42
# One generator runs through them in this order.
UPSTREAM_SETS = (
    *("GrapheneH", "GrapheneL", "GrapheneM", "hBN_Thin"),
    *("MoSe2", "WS2", "WSe2", "WSe2L"),
)


class Subset(NamedTuple):
    """The n-shot subset of a run: positions of its annotations in their file, as shuffled."""

    n: int
    run: int
    positions: Int64


Draw = Callable[[AnnotationKeys, Sequence[int]], Iterable[Subset]]
"""Draws the subsets from the keys of the annotations and the ids of the classes."""


def upstream_subsets(
    keys: AnnotationKeys, categories: Sequence[int], before: Sequence[int] = ()
) -> Iterator[Subset]:
    """Draw the subsets as those of the published sets were drawn.

    Parameters
    ----------
    keys : AnnotationKeys
        Of the with-class annotations above 300 pixels, in file order.
    categories : sequence of int
        The ids of the classes.
    before : sequence of int
        How many such annotations each of the sets before this one has, in the order of
        :data:`UPSTREAM_SETS`: their shuffles come first.

    Yields
    ------
    Subset
        Runs outside, n inside.

    Notes
    -----
    One generator with seed 42 for all sets, and shuffles that accumulate. Shuffling positions
    draws the same numbers as shuffling the list of annotations, which is what upstream does.
    """
    generator = np.random.RandomState(UPSTREAM_SEED)
    for n_annotations in before:
        stand_in = np.arange(n_annotations)
        for _ in range(N_RUNS * len(N_SHOTS)):
            generator.shuffle(stand_in)
    order = np.arange(keys.ids.size)

    def shuffled(run: int, n: int) -> Int64:
        generator.shuffle(order)
        return order

    return _subsets(keys, categories, shuffled)


def seeded_subsets(keys: AnnotationKeys, categories: Sequence[int], seed: int) -> Iterator[Subset]:
    """Draw subsets that depend on nothing but the annotations' ids and classes, and a seed.

    Neither other sets nor the order of the annotations matter, and within a run the subset of a
    smaller n lies in that of a larger one. Parameters are those of :func:`upstream_subsets`.
    """
    by_id = np.argsort(keys.ids, kind="stable")

    def shuffled(run: int, n: int) -> Int64:
        # RandomState gives the same numbers in every version of numpy.
        return by_id[np.random.RandomState([seed, run]).permutation(by_id.size)]

    return _subsets(keys, categories, shuffled)


def _subsets(
    keys: AnnotationKeys, categories: Sequence[int], shuffled: Callable[[int, int], Int64]
) -> Iterator[Subset]:
    for run in range(N_RUNS):
        for n in N_SHOTS:
            order = shuffled(run, n)
            category_ids, image_ids = keys.category_ids[order], keys.image_ids[order]
            first = [np.flatnonzero(category_ids == c)[:n] for c in categories]
            chosen = image_ids[np.concatenate([np.zeros(0, np.int64), *first])]
            yield Subset(n, run, order[np.isin(image_ids, chosen)])


def write_subsets(
    folder: Path,
    split: str,
    records: Records,
    one_class: Records,
    draw: Draw,
) -> list[str]:
    """Write both files of every subset; returns the names of their variants.

    Parameters
    ----------
    folder : Path
        Of the annotations.
    split : str
    records, one_class : Records
        The with-class and the class-agnostic annotations above 300 pixels, which share ids.
    draw : Draw
    """
    keys, ids = records.annotation_keys, one_class.annotation_keys.ids
    variants = []
    for subset in draw(keys, [fields_of(category)["id"] for category in records.categories]):
        chosen = np.isin(records.image_keys.ids, keys.image_ids[subset.positions])
        in_file_order = np.flatnonzero(np.isin(ids, keys.ids[subset.positions]))
        images = _take(records.images, np.flatnonzero(chosen))
        place = f"{subset.n}_shot/run_{subset.run}"
        (folder / place).mkdir(parents=True)
        for variant, some, positions in (
            ("annotations_with_class_300", records, subset.positions),
            ("annotations_300", one_class, in_file_order),
        ):
            text = some.encode(
                indent=4, images=images, annotations=_take(some.annotations, positions)
            )
            (folder / place / f"{split}_{variant}.json").write_bytes(text)
            variants.append(f"{place}/{variant}")
    return variants


def _take(records: list[msgspec.Raw], positions: Int64) -> list[msgspec.Raw]:
    return [records[k] for k in positions.tolist()]
