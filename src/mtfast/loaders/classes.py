"""The classes of a training set: how categories are numbered, and which are left out.

Numbers start at 1, as 0 is the background, and follow the ids of the categories that any split of
the store lists. So they are the same in every split, whichever classes an image shows.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtfast.caching import cached_property
from mtfast.errors import MtfastError, no_such, shown
from mtfast.store.reading.store import Split, Store
from mtfast.table import Category

__all__ = ["AGNOSTIC", "ClassLabel", "ClassTable", "number_classes"]

logger = logging.getLogger(__name__)

Int64 = NDArray[np.int64]


class ClassLabel(NamedTuple):
    """A class of a training set.

    Attributes
    ----------
    number : int
        Its value in semantic masks and labels, from 1 on.
    category_id : int
        In the annotation files.
    name : str
    """

    number: int
    category_id: int
    name: str


class ClassTable(tuple[ClassLabel, ...]):
    """The classes of a training set in the order of their numbers.

    A tuple of :class:`ClassLabel`. ``json.dumps(table)`` is a list of [number, id, name], to be
    kept beside a checkpoint.

    Examples
    --------
    >>> table = ClassTable([ClassLabel(1, 3, "1 layer"), ClassLabel(2, 8, "2 layers")])
    >>> table.names
    ('1 layer', '2 layers')
    >>> table.numbers_of(np.array([8, 3, 5]))
    array([2, 1, 0])
    """

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the classes; that of number 1 comes first."""
        return tuple(label.name for label in self)

    def numbers_of(self, category_ids: Int64) -> Int64:
        """Return the numbers of categories.

        Parameters
        ----------
        category_ids : (n,) int64

        Returns
        -------
        (n,) int64
            0 for a category that has no number.
        """
        if not self:
            return np.zeros(len(category_ids), np.int64)
        ids, numbers = self._by_id
        at = np.minimum(np.searchsorted(ids, category_ids), ids.size - 1)
        return np.where(ids[at] == category_ids, numbers[at], 0)

    @cached_property
    def _by_id(self) -> tuple[Int64, Int64]:
        known = sorted((label.category_id, label.number) for label in self)
        ids, numbers = np.array(known, np.int64).T
        return ids, numbers


AGNOSTIC = ClassTable([ClassLabel(1, 1, "object")])
"""The only class, where classes are not told apart."""


def number_classes(
    store: Store, split: Split, variant: str, chosen: Sequence[Any] | None = None
) -> ClassTable:
    """Number the classes of a variant.

    Parameters
    ----------
    store : Store
    split : Split
        Of the store, with the variant.
    variant : str
        The categories that it lists in any split of the store are counted.
    chosen : sequence of str or int, optional
        Names or ids of the classes, in the order of their numbers; by default all, in the order of
        their ids. A category 0 that no annotation has gets no number.

    Returns
    -------
    ClassTable

    Raises
    ------
    MtfastError
        If a chosen class is not there or chosen twice, or an annotation has a category that is
        not listed.
    """
    splits = [store[name] for name in store.splits]
    having = [other for other in splits if variant in other.variants]
    listed: dict[int, Category] = {}
    for other in (split, *having):
        for category in other.categories(variant):
            known = listed.setdefault(category.id, category)
            if known.name != category.name:
                logger.warning(
                    "%s: category %d is named %r in %s and %r in %s; the first name is used",
                    store.path,
                    category.id,
                    known.name,
                    split.name,
                    category.name,
                    other.name,
                )
    used = np.unique(split.labels(variant)[0])
    if not all(id_ in listed for id_ in used.tolist()):
        id_ = next(id_ for id_ in used.tolist() if id_ not in listed)
        raise MtfastError(
            f"an annotation of {variant} has category {id_}; expected one of the {len(listed)} "
            f"that it lists; correct the file, or read it class-agnostic"
        )
    if 0 in listed and not any(0 in other.labels(variant)[0] for other in having):
        del listed[0]
    ordered = [listed[id_] for id_ in sorted(listed)]
    if chosen is not None:
        ordered = _choose(ordered, chosen, variant)
    return ClassTable(ClassLabel(k, c.id, c.name) for k, c in enumerate(ordered, 1))


def _choose(listed: list[Category], chosen: Any, variant: str) -> list[Category]:
    if not isinstance(chosen, Collection) or isinstance(chosen, str | bytes) or not len(chosen):
        raise MtfastError(
            f"classes {shown(chosen)}; expected a list of names or category ids; give one"
        )
    by_key: dict[Any, Category] = {c.id: c for c in listed} | {c.name: c for c in listed}
    for key in chosen:
        is_key = isinstance(key, str | int | np.integer) and not isinstance(key, bool)
        if not is_key or key not in by_key:
            names = [c.name for c in listed]
            raise MtfastError(no_such("class", str(key), names, variant))
    found = [by_key[key] for key in chosen]
    if len(set(found)) < len(found):
        raise MtfastError(f"classes {shown(chosen)} name one class twice; expected each once")
    return found
