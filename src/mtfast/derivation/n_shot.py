"""Few-shot subsets: of each class the first n shuffled annotations, with all of their images.

::

    {n}_shot/run_{r}/{split}_annotations_with_class_300.json       in shuffled order
                     {split}_annotations_300.json                  in file order

An n-shot subset has n annotations of each class or more, as images are taken whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from mtfast.sources.coco.records import AnnotationKeys, Records, fields_of
from mtfast.sources.variants import without_classes

__all__ = [
    "N_SHOT_VARIANT",
    "UPSTREAM_SETS",
    "Draw",
    "Subset",
    "seeded_subsets",
    "upstream_subsets",
    "write_subsets",
]

Int64 = NDArray[np.int64]

N_SHOT_VARIANT = "annotations_with_class_300"
"""The variant that subsets are drawn from: the instances larger than 300 pixels."""

N_SHOTS = (1, 2, 3, 5, 10)
N_RUNS = 10
UPSTREAM_SEED = 42
UPSTREAM_SETS = (
    *("GrapheneH", "GrapheneL", "GrapheneM", "hBN_Thin"),
    *("MoSe2", "WS2", "WSe2", "WSe2L"),
)
"""The published sets with subsets, in the order in which one generator drew them."""


class Subset(NamedTuple):
    """The n-shot subset of a run.

    ``positions`` are those of its annotations in their file, (n_annotations,) int64 in shuffled
    order.
    """

    n: int
    run: int
    positions: Int64


Draw = Callable[[AnnotationKeys, Sequence[int]], Iterable[Subset]]
"""Draws the subsets, given the keys of the annotations and the ids of the classes."""


def upstream_subsets(
    keys: AnnotationKeys, categories: Sequence[int], before: Sequence[int] = ()
) -> Iterator[Subset]:
    """Draw the subsets as those of the published sets were drawn.

    Parameters
    ----------
    keys : AnnotationKeys
        Those of :data:`N_SHOT_VARIANT`, in file order.
    categories : sequence of int
        The ids of the classes.
    before : sequence of int
        How many such annotations each of the sets before this one in :data:`UPSTREAM_SETS` has:
        their shuffles come first.

    Yields
    ------
    Subset
        Run after run; within a run by n.

    Examples
    --------
    >>> ids = np.array([7, 8, 9])
    >>> keys = AnnotationKeys(ids, image_ids=ids, category_ids=np.array([1, 1, 2]))
    >>> first = next(upstream_subsets(keys, [1, 2]))
    >>> first.n, first.run, ids[first.positions].tolist()
    (1, 0, [7, 9])

    Notes
    -----
    One generator with seed 42 for all sets, and shuffles that accumulate. Shuffling positions
    draws the same numbers as shuffling the list of annotations, which is what upstream does.
    Source: the MaskTerial data sets, https://zenodo.org/records/15765514.
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
    """Draw subsets that depend only on the ids and classes of the annotations, and a seed.

    Neither other sets nor the order of the annotations matter, and within a run the subset of a
    smaller n is part of that of a larger one.

    Parameters
    ----------
    keys : AnnotationKeys
        Those of :data:`N_SHOT_VARIANT`, in file order.
    categories : sequence of int
        The ids of the classes.
    seed : int
        From 0 to 2**32 - 1.

    Yields
    ------
    Subset
        Run after run; within a run by n.
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
    """Write both files of every subset.

    Parameters
    ----------
    folder : Path
        The folder of annotations.
    split : str
    records, one_class : Records
        :data:`N_SHOT_VARIANT` and the class-agnostic file beside it, which share ids.
    draw : Draw

    Returns
    -------
    list of str
        The names of the variants that were written.
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
            (N_SHOT_VARIANT, records, subset.positions),
            (without_classes(N_SHOT_VARIANT), one_class, in_file_order),
        ):
            text = some.encode(
                indent=4, images=images, annotations=_take(some.annotations, positions)
            )
            (folder / place / f"{split}_{variant}.json").write_bytes(text)
            variants.append(f"{place}/{variant}")
    return variants


def _take(records: list[msgspec.Raw], positions: Int64) -> list[msgspec.Raw]:
    return [records[k] for k in positions.tolist()]
