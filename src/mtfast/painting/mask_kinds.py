"""What masks show: which instances, and as which kind and values: RunTable -> RunTable.

No function here looks beyond one image, so ``select(table).images(some)`` equals
``select(table.images(some))``, and workers can select from some images of a table. The result is
painted like any other table: the ``category_ids`` of an instance are the value of its pixels.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from mtfast.errors import MtfastError, no_such, one_of
from mtfast.painting.overlap import OVERLAPS, Overlap, paint_order
from mtfast.rles import Rles, boundary
from mtfast.table import Category, RunTable

__all__ = ["KINDS", "Kind", "MaskSpec", "keep", "known_categories", "number", "outline", "rename"]

Kind = Literal["semantic", "instance", "binary", "boundary"]
KINDS: tuple[Kind, ...] = get_args(Kind)


def keep(
    table: RunTable, min_area: float | None = None, categories: Collection[int] | None = None
) -> RunTable:
    """Keep the instances that are larger than ``min_area`` and of some categories.

    Parameters
    ----------
    table : RunTable
    min_area : float, optional
        In pixels, measured from the RLE. Instances of exactly that area are dropped, as in the
        annotation files of a MaskTerial set. By default empty instances stay too.
    categories : collection of int, optional
        Ids of the categories to keep; by default all.

    Returns
    -------
    RunTable
        The same table if all instances are kept.

    Raises
    ------
    RLEError
        If areas are measured and a text does not tile its frame.

    Examples
    --------
    >>> table = RunTable.of_texts((1, 6), [[b"132", b"222"]], [1, 2])      # .###.. ..##..
    >>> keep(table, min_area=2).instance_ids
    array([1])
    >>> keep(table, categories=[2]).instance_ids
    array([2])
    """
    kept = np.ones(table.n_instances, bool)
    if categories is not None:
        kept &= np.isin(table.category_ids, list(categories))
    if min_area is not None:
        kept &= table.area() > min_area
    return table if kept.all() else table[kept]


def rename(table: RunTable, mapping: Mapping[int, int]) -> RunTable:
    """Give the instances of some categories the id of another, all at once: ids may be swapped.

    Parameters
    ----------
    table : RunTable
    mapping : mapping of int to int
        New id of each category that is renamed.

    Returns
    -------
    RunTable
        A category that is new has the name of the one that became it; the first one listed, if
        several did.

    Examples
    --------
    >>> table = RunTable.of_texts((1, 6), [[b"132", b"222"]], [1, 2])
    >>> rename(table, {1: 2, 2: 1}).category_ids
    array([2, 1])
    """
    if not mapping:
        return table
    names = {c.id: c.name for c in table.categories}
    new = {mapping.get(id_, id_): names.get(mapping.get(id_, id_), names[id_]) for id_ in names}
    category_ids = table.category_ids.copy()
    for old, id_ in mapping.items():
        category_ids[table.category_ids == old] = id_
    return replace(
        table,
        category_ids=category_ids,
        categories=tuple(Category(id_, name) for id_, name in sorted(new.items())),
    )


def number(table: RunTable) -> RunTable:
    """Replace category ids by numbers: the instances of each image count from 1, in file order.

    Parameters
    ----------
    table : RunTable

    Returns
    -------
    RunTable
        Without categories.

    Examples
    --------
    >>> number(RunTable.of_texts((1, 6), [[b"132", b"222"], [b"6"]])).category_ids
    array([1, 2, 1])
    """
    first = np.repeat(table.image_offsets[:-1], np.diff(table.image_offsets))
    return replace(table, category_ids=np.arange(table.n_instances) - first + 1, categories=())


def outline(table: RunTable) -> RunTable:
    """Reduce every instance to the pixels that have one of their eight neighbours outside it.

    Parameters
    ----------
    table : RunTable

    Returns
    -------
    RunTable
        The edges of the frame count as outside. Stated areas and boxes are NaN.

    Raises
    ------
    RLEError
        If a text does not tile its frame.

    Examples
    --------
    A frame of 3 x 3 pixels keeps all but its centre.

    >>> outline(RunTable.of_texts((3, 3), [[b"09"]])).area()
    array([8])
    """
    rles = boundary(Rles.of_table(table))
    unknown = np.full((table.n_instances, 5), np.nan)
    return replace(
        table,
        rle=rles.text,
        rle_offsets=rles.offsets,
        stated_area=unknown[:, 0],
        stated_bbox=unknown[:, 1:],
    )


def known_categories(tables: Iterable[RunTable]) -> set[int]:
    """Return the ids of all categories that are listed or in use.

    Parameters
    ----------
    tables : iterable of RunTable

    Returns
    -------
    set of int

    Examples
    --------
    >>> sorted(known_categories([RunTable.of_texts((1, 6), [[b"132", b"222"]], [1, 7])]))
    [1, 7]
    """
    known: set[int] = set()
    for table in tables:
        known.update(c.id for c in table.categories)
        known.update(np.unique(table.category_ids).tolist())
    return known


@dataclass(frozen=True)
class MaskSpec:
    """Which instances masks show, as which values, and which of them is on top.

    Attributes
    ----------
    min_area : float, optional
        In pixels; instances must be larger, see :func:`keep`.
    categories : tuple of int, optional
        Ids in the annotations, before the mapping; all by default.
    mapping : tuple of pairs
        (id, value): the value that instances of a category get instead of its id.
    kind : {"semantic", "instance", "binary", "boundary"}
        "semantic": values are category ids. "instance": 1 .. N in file order, among the instances
        that are kept. "binary": 1. "boundary": category ids, on the outline of each instance only;
        a later instance hides nothing of it but what its own outline covers.
    overlap : {"last", "first", "largest", "smallest", "error"}
        Which instance shows where several overlap. Areas are those of whole instances.

    Raises
    ------
    MtfastError
        If one of them has none of these values.

    Examples
    --------
    >>> import mtfast
    >>> table = RunTable.of_texts((1, 6), [[b"132", b"222"]], [1, 2])      # .###.. ..##..
    >>> mtfast.semantic(MaskSpec(min_area=2, mapping=((1, 9),)).select(table))
    array([[[0, 9, 9, 9, 0, 0]]], dtype=uint8)
    """

    min_area: float | None = None
    categories: tuple[int, ...] | None = None
    mapping: tuple[tuple[int, int], ...] = ()
    kind: Kind = "semantic"
    overlap: Overlap = "last"

    def __post_init__(self) -> None:
        one_of("kind", self.kind, KINDS)
        one_of("overlap", self.overlap, OVERLAPS)
        if self.min_area is not None and not self.min_area >= 0:
            raise MtfastError(
                f"a minimum area of {self.min_area}; expected pixels, 0 or more; leave it out to "
                f"keep all instances"
            )
        if self.mapping and self.kind in ("instance", "binary"):
            raise MtfastError(
                f"a map of categories for {self.kind} masks; expected it for masks that hold "
                f"categories; leave it out or choose 'semantic' or 'boundary'"
            )
        for a, b in self.mapping:
            if not 1 <= b <= 65535:
                raise MtfastError(
                    f"category {a} is mapped to {b}; expected 1 to 65535, as 0 is the background; "
                    f"leave categories out by choosing others"
                )

    def expect_known(self, known: Collection[int]) -> None:
        """Check that all categories that are chosen or mapped exist.

        Parameters
        ----------
        known : collection of int
            See :func:`known_categories`.

        Raises
        ------
        MtfastError
            For the first that does not.

        Examples
        --------
        >>> MaskSpec(categories=(7,)).expect_known({1, 2})
        Traceback (most recent call last):
        mtfast.errors.MtfastError: no category '7' in the annotations; expected one of: 1, 2; \
pick one of them
        """
        chosen = self.categories or ()
        for id_ in (*chosen, *(a for a, _ in self.mapping)):
            if id_ not in known:
                ids = [str(k) for k in sorted(known)]
                raise MtfastError(no_such("category", str(id_), ids, "the annotations"))

    def values(self, table: RunTable) -> RunTable:
        """Keep the chosen instances, with the values of their pixels as category ids.

        Parameters
        ----------
        table : RunTable

        Returns
        -------
        RunTable
            In file order.
        """
        table = keep(table, self.min_area, self.categories)
        if self.kind == "instance":
            return number(table)
        if self.kind == "binary":
            return replace(table, category_ids=np.ones(table.n_instances, np.int64), categories=())
        return rename(table, dict(self.mapping))

    def arrange(self, table: RunTable) -> RunTable:
        """Order what :meth:`values` returns for painting; for "boundary", reduce it to outlines.

        Parameters
        ----------
        table : RunTable

        Returns
        -------
        RunTable
        """
        table = paint_order(table, self.overlap)
        return outline(table) if self.kind == "boundary" else table

    def select(self, table: RunTable) -> RunTable:
        """Return the table to paint, later instances of an image over earlier ones.

        Parameters
        ----------
        table : RunTable

        Returns
        -------
        RunTable

        Raises
        ------
        RLEError
            If areas or overlaps are measured and a text does not tile its frame.
        MtfastError
            If ``overlap`` is "error" and two instances overlap.
        """
        return self.arrange(self.values(table))
