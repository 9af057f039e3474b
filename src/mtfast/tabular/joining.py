"""Two tables as one."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtfast.errors import MtfastError, printable
from mtfast.ragged import gather_texts, offsets_of
from mtfast.table import PER_IMAGE, PER_INSTANCE, Category, RunTable

__all__ = ["join"]

Int64 = NDArray[np.int64]


def join(first: RunTable, second: RunTable) -> RunTable:
    """Join two tables; see :meth:`mtfast.RunTable.__add__`.

    Parameters
    ----------
    first, second : RunTable

    Returns
    -------
    RunTable

    Raises
    ------
    MtfastError
        If an image has two sizes, or a category two names; or a table has a name twice.

    Examples
    --------
    >>> first = RunTable.of_texts((1, 6), [[b"132"]])
    >>> join(first, RunTable.of_texts((1, 6), [[b"6"], [b"222"]])).image_offsets
    array([0, 2, 3])
    """
    categories = _categories(first, second)
    place, is_new = _places(first, second)
    _expect_sizes(first, second, place, is_new)
    new = {name: getattr(second, name)[is_new] for name in PER_IMAGE}
    new["image_ids"] = _free(new["image_ids"], first.image_ids, second.image_ids)
    more = {name: getattr(second, name) for name in PER_INSTANCE}
    more["instance_ids"] = _free(second.instance_ids, first.instance_ids, second.instance_ids)
    more["positions"] = second.positions + (first.positions.max(initial=-1) + 1)
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(first, name), column])
        for name, column in (new | more).items()
    }
    image = np.concatenate([first.image_of_instance, place[second.image_of_instance]])
    # Stable, so that the instances of an image keep their order.
    order = np.argsort(image, kind="stable")
    rle, rle_offsets = gather_texts(
        np.concatenate([first.rle, second.rle]),
        np.concatenate([first.rle_offsets, first.rle.size + second.rle_offsets[1:]]),
        order,
    )
    return RunTable(
        **columns | {name: columns[name][order] for name in PER_INSTANCE},
        image_offsets=offsets_of(np.bincount(image, minlength=len(columns["names"]))),
        rle=rle,
        rle_offsets=rle_offsets,
        categories=categories,
    )


def _places(first: RunTable, second: RunTable) -> tuple[Int64, NDArray[np.bool_]]:
    """Return where the images of the second table come in the joined one, and which are new."""
    place_of_name = {name: k for k, name in enumerate(_names(first))}
    n = len(place_of_name)
    place = [place_of_name.setdefault(name, len(place_of_name)) for name in _names(second)]
    return np.array(place, np.int64), np.array(place, np.int64) >= n


def _names(table: RunTable) -> list[str]:
    names: list[str] = table.names.tolist()
    if len(set(names)) < len(names):
        name = Counter(names).most_common(1)[0][0]
        raise MtfastError(
            f"image {printable(name)!r} is twice in a table; expected each name once, as images "
            f"of one name are joined; rename one of them"
        )
    return names


def _expect_sizes(
    first: RunTable, second: RunTable, place: Int64, is_new: NDArray[np.bool_]
) -> None:
    old = place[~is_new]
    bad = (first.heights[old] != second.heights[~is_new]) | (
        first.widths[old] != second.widths[~is_new]
    )
    if bad.any():
        a, b = old[bad.argmax()], np.flatnonzero(~is_new)[bad.argmax()]
        raise MtfastError(
            f"image {printable(str(first.names[a]))!r} is {first.heights[a]} x {first.widths[a]} "
            f"pixels in one table and {second.heights[b]} x {second.widths[b]} in the other; "
            f"expected one size, as images of one name are joined; rename one of them"
        )


def _free(ids: Int64, taken: Int64, others: Int64) -> Int64:
    """Give those ids that are taken the lowest free numbers."""
    is_taken = np.isin(ids, taken)
    n = np.count_nonzero(is_taken)
    used = np.concatenate([taken, others])
    is_used = np.zeros(used.size + n + 1, bool)
    is_used[used[(used > 0) & (used < is_used.size)]] = True
    ids = ids.copy()
    ids[is_taken] = np.flatnonzero(~is_used[1:])[:n] + 1
    return ids


def _categories(first: RunTable, second: RunTable) -> tuple[Category, ...]:
    named = {c.id: c for c in first.categories}
    for category in second.categories:
        other = named.setdefault(category.id, category)
        if other.name != category.name:
            raise MtfastError(
                f"category {category.id} is {other.name!r} in one table and {category.name!r} in "
                f"the other; expected one name; number the classes alike, as with "
                f"mtfast.open_source(path, mapping=…), or rename with dataclasses.replace"
            )
    return (*first.categories, *(c for c in named.values() if c not in first.categories))
