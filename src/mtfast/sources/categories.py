"""The classes of a table: mapped to others, and checked against those that its file lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from mtfast.sources.bad_records import MOST_EXAMPLES, Ledger
from mtfast.sources.stated import annotation_name
from mtfast.table import Category, RunTable

__all__ = ["classes_that_differ", "settle_categories"]


def settle_categories(table: RunTable, mapping: Mapping[int, int], ledger: Ledger) -> RunTable:
    """Map classes, and take care of class 0 and of classes that are not listed.

    Parameters
    ----------
    table : RunTable
    mapping : mapping of int to int
        New ids by old ones; other classes stay.
    ledger : Ledger
        Is told of classes that were mapped, and of what is wrong. Crowds are counted, too.

    Returns
    -------
    RunTable
        Without class 0, which is background in masks.
    """
    if mapping:
        table = _mapped(table, mapping, ledger)
    if table.iscrowd.any():
        crowds = np.flatnonzero(table.iscrowd)
        ledger.say("iscrowd", table.instance_ids[crowds].tolist(), _names(table, crowds))
    listed = [category.id for category in table.categories]
    known = np.isin(table.category_ids, np.array(listed, np.int64)) & (table.category_ids != 0)
    if not known.all():
        table = _settled(table, np.flatnonzero(~known), ledger)
    if 0 in listed:
        # Tools list background as a class, and Roboflow the root of all classes.
        others = tuple(category for category in table.categories if category.id)
        if not np.any(table.category_ids == 0):
            unused = [f"category 0 {c.name!r}" for c in table.categories if not c.id]
            if not ledger.counted("category id 0"):
                ledger.say("unused category 0", [0], unused)
            table = replace(table, categories=others)
    return table


def classes_that_differ(
    of_splits: Mapping[str, Sequence[Category]],
) -> dict[int, tuple[tuple[str, str], ...]]:
    """Find numbers of classes that do not mean the same in all splits.

    Parameters
    ----------
    of_splits : mapping
        Name of each split -> its classes.

    Returns
    -------
    dict
        Number -> the splits that list it, each with the name that the class has there.

    Examples
    --------
    >>> classes_that_differ({"train": [Category(1, "mono")], "val": [Category(1, "bi")]})
    {1: (('train', 'mono'), ('val', 'bi'))}
    """
    named: dict[int, dict[str, str]] = {}
    for split, categories in of_splits.items():
        for category in categories:
            named.setdefault(category.id, {}).setdefault(split, category.name)
    return {
        id_: tuple(names.items())
        for id_, names in sorted(named.items())
        if len(set(names.values())) > 1
    }


def _settled(table: RunTable, bad: np.ndarray, ledger: Ledger) -> RunTable:
    """Leave out instances of class 0 and of classes that are not listed, or list these."""
    keep = np.ones(table.n_instances, np.bool_)
    new: dict[int, None] = {}
    ledger.free_category = max([0, *(c.id for c in table.categories)]) + 1
    for k in bad.tolist():
        id_, class_ = int(table.instance_ids[k]), int(table.category_ids[k])
        kind = "category not listed" if class_ else "category id 0"
        words = f"{annotation_name(table, k)} of class {class_}" if len(new) < 100 else ""
        keep[k] = ledger.keep(kind, id_, words)
        if keep[k]:
            new[class_] = None
    if not keep.all():
        table = table[keep]
    added = tuple(Category(class_, str(class_)) for class_ in sorted(new))
    return replace(table, categories=table.categories + added)


def _mapped(table: RunTable, mapping: Mapping[int, int], ledger: Ledger) -> RunTable:
    ids = table.category_ids.copy()
    names = {category.id: category.name for category in table.categories}
    pairs = []
    for old, new in mapping.items():
        n = int(np.count_nonzero(table.category_ids == old))
        if n or old in names:
            pairs.append((str(old), new))
            ids[table.category_ids == old] = new
    # A class that keeps its id keeps its name, too.
    kept = {id_: name for id_, name in names.items() if id_ not in mapping}
    for old, new in mapping.items():
        if old in names:
            kept.setdefault(new, names[old])
    joined = {new: f", joined with {names[new]!r}" for new in mapping.values() if new in names}
    words = [
        f"{old} to {new}{'' if new in mapping else joined.get(new, '')}"
        for old, new in pairs[:MOST_EXAMPLES]
    ]
    ledger.say("category mapped", pairs, words, mapped=True)
    categories = tuple(Category(id_, name) for id_, name in sorted(kept.items()))
    return replace(table, category_ids=ids, categories=categories)


def _names(table: RunTable, instances: np.ndarray) -> list[str]:
    return [annotation_name(table, k) for k in instances[:MOST_EXAMPLES].tolist()]
