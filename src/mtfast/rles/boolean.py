"""Set operations on masks: union, intersection, difference."""

from __future__ import annotations

from typing import Literal

import numpy as np

from mtfast.errors import MtfastError, one_of
from mtfast.rles.batch import (
    Rles,
    allocate,
    common_height,
    refuse_sizes,
    rles_of_toggles,
    toggles_of,
)

__all__ = ["combine", "merge", "minus", "xor"]


def merge(rles: Rles, intersect: bool | int = False) -> Rles:
    """Merge all masks of a batch into one: their union, or their intersection.

    Parameters
    ----------
    rles : Rles
        Masks of one size. A single one is returned as it is, and for none a mask without
        pixels or text, as in pycocotools.
    intersect : bool
        Any value but 0 means the intersection.

    Returns
    -------
    Rles
        One mask.

    Raises
    ------
    MtfastError
        If sizes differ.
    RLEError
        If a text does not tile its frame.

    Examples
    --------
    >>> both = Rles.of([b"132", b"231"], [(1, 6), (1, 6)])      # .###.. and ..###.
    >>> merge(both).texts(), merge(both, intersect=True).texts()
    ([b'141'], [b'222'])
    """
    from mtfast.kernels.operations import boolean as kernels

    lists = toggles_of(rles, "rles")
    if lists.n == 0:
        return Rles.of([b""], [(0, 0)])
    if lists.n == 1:
        return rles
    common_height(rles=lists)
    other = allocate(lists.toggles.size)
    toggles, offsets = lists.toggles, lists.offsets
    if intersect:
        offsets[1] = kernels.intersect_all(toggles, offsets, other)
    elif kernels.unite_all(toggles, offsets, other):
        toggles = other
    return rles_of_toggles(toggles, offsets[:2], lists.heights[:1], lists.widths[:1])


SetOperation = Literal["or", "and", "minus", "xor"]


def combine(first: Rles, second: Rles, operation: SetOperation) -> Rles:
    """Combine each mask of a batch with the mask of the same index in another.

    Parameters
    ----------
    first, second : Rles
        n masks each; or one of them holds a single mask, which is combined with each of the other.
    operation : {"or", "and", "minus", "xor"}
        "minus" leaves the pixels of the first mask that the second does not have.

    Returns
    -------
    Rles
        n masks.

    Raises
    ------
    MtfastError
        If numbers or sizes differ.
    RLEError
        If a text does not tile its frame.

    Examples
    --------
    >>> a = Rles.of([b"132"], [(1, 6)])      # .###..
    >>> b = Rles.of([b"231"], [(1, 6)])      # ..###.
    >>> [combine(a, b, how).texts() for how in ("minus", "xor")]
    [[b'114'], [b'1120O']]
    """
    from mtfast.kernels.operations import boolean as kernels

    tables = {"or": kernels.OR, "and": kernels.AND, "minus": kernels.MINUS, "xor": kernels.XOR}
    one_of("operation", operation, tuple(tables))
    a, b = toggles_of(first, "first"), toggles_of(second, "second")
    n = a.n if b.n == 1 else b.n
    if n != a.n and a.n != 1:
        raise MtfastError(
            f"{a.n} masks and {b.n} masks; expected as many of both, or a single one; "
            f"combine masks in pairs"
        )
    i, j = (np.zeros(n, np.int64) if x.n == 1 else np.arange(n) for x in (a, b))
    differ = np.flatnonzero((a.heights[i] != b.heights[j]) | (a.widths[i] != b.widths[j]))
    if differ.size:
        p, q = int(i[differ[0]]), int(j[differ[0]])
        refuse_sizes(f"first[{p}]", a, p, f"second[{q}]", b, q)
    out, offsets = (
        allocate(sum(x.toggles.size * (n // max(x.n, 1)) for x in (a, b))),
        allocate(n + 1),
    )
    kernels.combine_pairs(
        a.toggles, a.offsets[i], b.toggles, b.offsets[j], tables[operation], out, offsets
    )
    return rles_of_toggles(out, offsets, a.heights[i], a.widths[i])


def minus(first: Rles, second: Rles) -> Rles:
    """Subtract from each mask its partner in another batch.

    Parameters
    ----------
    first, second : Rles
        As in :func:`combine`, which also lists what is raised.

    Returns
    -------
    Rles
        n masks.

    Examples
    --------
    >>> minus(Rles.of([b"132"], [(1, 6)]), Rles.of([b"231"], [(1, 6)])).texts()    # .###.. ..###.
    [b'114']
    """
    return combine(first, second, "minus")


def xor(first: Rles, second: Rles) -> Rles:
    """Keep the pixels that either a mask or its partner has, but not both.

    Parameters
    ----------
    first, second : Rles
        As in :func:`combine`, which also lists what is raised.

    Returns
    -------
    Rles
        n masks.

    Examples
    --------
    >>> xor(Rles.of([b"132"], [(1, 6)]), Rles.of([b"231"], [(1, 6)])).texts()      # .###.. ..###.
    [b'1120O']
    """
    return combine(first, second, "xor")
