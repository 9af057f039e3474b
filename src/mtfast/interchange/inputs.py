"""What an export reads before it writes: the annotations of every split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from mtfast.dataset import DatasetView, SplitView
from mtfast.errors import MtfastError
from mtfast.interchange.names import exported_name
from mtfast.progress import Progress, step
from mtfast.sources.coco.parse import Id
from mtfast.sources.coco.source import CocoFiles
from mtfast.sources.maskterial import MaskTerial
from mtfast.sources.split import SourceSplit
from mtfast.table import Category, RunTable

__all__ = ["SplitInput", "all_categories", "read_splits", "scores_of"]


class _Prediction(msgspec.Struct, gc=False):
    id: Id
    score: Any = None


@dataclass(frozen=True)
class SplitInput:
    """What is exported of a split.

    Attributes
    ----------
    name, variant : str
    view : SplitView
        Where its images are.
    table : RunTable
    files : list of str
        Name of each image in the folder of the split.
    """

    name: str
    variant: str
    view: SplitView
    table: RunTable
    files: list[str]


def read_splits(
    dataset: DatasetView,
    splits: Sequence[str] | None,
    variant: str | None,
    progress: Progress | None,
) -> list[SplitInput]:
    """Read the annotations of some splits.

    Parameters
    ----------
    dataset : DatasetView
    splits : sequence of str, optional
        All by default.
    variant : str, optional
        By default the one that semantic masks are painted from.
    progress : callable or None

    Returns
    -------
    list of SplitInput

    Raises
    ------
    SourceError, RLEError, StoreError
        If there is no such split or variant, or its annotations are malformed.
    MtfastError
        If an image has no name that a file can have.
    """
    found = []
    for name in tuple(dict.fromkeys(splits)) if splits else tuple(dataset.splits):
        view = dataset.split(name)
        chosen = variant or view.semantic_variant
        with step(f"reading annotations of {name}", progress):
            table = view.table(chosen)
            table.check()
        files = [exported_name(image) for image in table.names.tolist()]
        found.append(SplitInput(name, chosen, view, table, files))
    return found


def all_categories(splits: Sequence[SplitInput]) -> tuple[Category, ...]:
    """Return the classes that any split lists or uses.

    Parameters
    ----------
    splits : sequence of SplitInput

    Returns
    -------
    tuple of Category
        In ascending order of their ids; one that is used and not listed is called "class ID".

    Raises
    ------
    MtfastError
        If splits call a class by different names.
    """
    names: dict[int, tuple[str, str]] = {}
    for split in splits:
        for category in split.table.categories:
            before, where = names.setdefault(category.id, (category.name, split.name))
            if before != category.name:
                raise MtfastError(
                    f"class {category.id} is {before!r} in split {where!r} and {category.name!r} "
                    f"in {split.name!r}; expected one name; export one with splits=[…]"
                )
    for split in splits:
        for id_ in split.table.category_counts():
            names.setdefault(id_, (f"class {id_}", split.name))
    return tuple(Category(id_, names[id_][0]) for id_ in sorted(names))


def scores_of(split: SplitInput) -> dict[int, float]:
    """Read the scores of predictions from the COCO file of a split.

    Parameters
    ----------
    split : SplitInput

    Returns
    -------
    dict
        By the ids of instances; only those that have one.

    Raises
    ------
    SourceError
        If the file cannot be read.
    """
    if not isinstance(split.view, SourceSplit):
        return {}
    source = split.view.source
    if not isinstance(source, CocoFiles | MaskTerial):
        return {}
    records = source.records(split.name, split.variant)
    if b'"score"' not in records.text:
        return {}
    found = msgspec.json.decode(records.fields["annotations"], type=list[_Prediction])
    return {one.id: one.score for one in found if isinstance(one.score, int | float)}
