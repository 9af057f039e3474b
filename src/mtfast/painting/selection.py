"""Which instances masks show, and as what: RunTable -> RunTable, image by image.

Every function here looks at one image at a time, so that the table of some images can be selected
from alone: ``select(table)[a:b]`` is ``select(table[a:b])``. What comes out is painted as any other
table is; an instance's ``category_ids`` is the value of its pixels.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from mtfast.errors import MtfastError, one_of
from mtfast.painting.overlap import OVERLAPS, Overlap, paint_order
from mtfast.rles import Rles, boundary
from mtfast.table import Category, RunTable

__all__ = ["KINDS", "Kind", "Selection", "keep", "known_categories", "number", "outline", "rename"]

Kind = Literal["semantic", "instance", "binary", "boundary"]
KINDS: tuple[Kind, ...] = get_args(Kind)


def keep(
    table: RunTable, min_area: float | None = None, categories: Collection[int] | None = None
) -> RunTable:
    """Keep the instances larger than ``min_area`` pixels, and of some categories.

    The area is measured from the RLE. One of exactly ``min_area`` pixels goes, as in the annotation
    files of a MaskTerial set.
    """
    kept = np.ones(table.n_instances, bool)
    if categories is not None:
        kept &= np.isin(table.category_ids, list(categories))
    if min_area is not None:
        kept &= table.area() > min_area
    return table if kept.all() else table.select(kept)


def rename(table: RunTable, mapping: Mapping[int, int]) -> RunTable:
    """Give the instances of some categories the id of another, all at once: ids may be swapped."""
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
    """Number the instances of each image from 1, in file order, in the place of their category."""
    first = np.repeat(table.image_offsets[:-1], np.diff(table.image_offsets))
    return replace(table, category_ids=np.arange(table.n_instances) - first + 1, categories=())


def outline(table: RunTable) -> RunTable:
    """Leave of every instance the pixels that have one of eight neighbours outside it.

    The edges of the frame count as outside. What the file states of areas and boxes is gone.
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
    """Ids of all categories that are listed or in use."""
    known: set[int] = set()
    for table in tables:
        known.update(c.id for c in table.categories)
        known.update(np.unique(table.category_ids).tolist())
    return known


@dataclass(frozen=True)
class Selection:
    """What masks are to show.

    Attributes
    ----------
    min_area : float, optional
        In pixels; see :func:`keep`.
    categories : tuple of int, optional
        Ids as they are in the annotations; all by default.
    mapping : tuple of pairs
        (from, to): the value that instances of a category get instead of its id.
    kind : {"semantic", "instance", "binary", "boundary"}
        Values are category ids; 1 .. N in file order among the instances that are kept; 1; or
        category ids on the outline of each instance alone, also where another lies over it.
    overlap : {"last", "first", "largest", "smallest", "error"}
        Which instance shows where several overlap. Areas are those of whole instances.

    Raises
    ------
    MtfastError
        If one of them has no such value.

    Examples
    --------
    >>> masks = Selection(min_area=300, mapping=((5, 4),))
    >>> mtfast.semantic(masks.select(table))                             # doctest: +SKIP
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
        """Raise MtfastError if a category that is chosen or mapped is none of the given ones."""
        chosen = self.categories or ()
        for id_ in (*chosen, *(a for a, _ in self.mapping)):
            if id_ not in known:
                listed = ", ".join(map(str, sorted(known))) or "none"
                raise MtfastError(
                    f"no category {id_} in the annotations; expected one of {listed}; "
                    f"pick one of these"
                )

    def values(self, table: RunTable) -> RunTable:
        """Keep the instances that show, with the values of their pixels as category ids."""
        table = keep(table, self.min_area, self.categories)
        if self.kind == "instance":
            return number(table)
        if self.kind == "binary":
            return replace(table, category_ids=np.ones(table.n_instances, np.int64), categories=())
        return rename(table, dict(self.mapping))

    def arrange(self, table: RunTable) -> RunTable:
        """Put what :meth:`values` returns into the order of painting; cut it down to outlines."""
        table = paint_order(table, self.overlap)
        return outline(table) if self.kind == "boundary" else table

    def select(self, table: RunTable) -> RunTable:
        """Return the table that is painted, later instances of an image over earlier ones."""
        return self.arrange(self.values(table))
