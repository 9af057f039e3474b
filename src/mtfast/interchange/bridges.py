"""Polygons with holes, or of several parts, as one ring: for formats that have nothing else.

The ring goes from one outline to the next on a line and comes back on the same one. By the even-odd
rule such a bridge encloses nothing, so that the pixels are the same::

    +-----------+
    |     |     |      from the outer ring down to the hole, around it, and back up
    |   +-+-+   |
    |   |   |   |
    |   +---+   |
    +-----------+

A bridge to a hole is in foreground: also those who draw the ring itself add nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["bridged", "joined"]

Int64 = NDArray[np.int64]


class _Bridge(NamedTuple):
    """A bridge from a point on a ring to a corner of another ring.

    Attributes
    ----------
    ring, corner : int
        The point is on the edge of this ring from this corner on.
    distance : int
        How far from that corner.
    point : (x, y)
    to_ring, to_corner : int
    """

    ring: int
    corner: int
    distance: int
    point: tuple[int, int]
    to_ring: int
    to_corner: int


def bridged(outer: Int64, holes: Sequence[Int64]) -> Int64:
    """Return a polygon with holes as one ring.

    Parameters
    ----------
    outer : (n, 2) int64
    holes : sequence of (n, 2) int64
        As :func:`mtfast.mask.polygons` makes them.

    Returns
    -------
    (n, 2) int64

    Examples
    --------
    >>> square = np.array([[0, 0], [3, 0], [3, 3], [0, 3]])
    >>> hole = np.array([[1, 2], [2, 2], [2, 1], [1, 1]])
    >>> bridged(square, [hole]).tolist()            # doctest: +NORMALIZE_WHITESPACE
    [[0, 0], [1, 0], [1, 1], [1, 2], [2, 2], [2, 1], [1, 1], [1, 0],
     [3, 0], [3, 3], [0, 3]]
    """
    if not holes:
        return outer
    rings = [outer, *holes]
    edges = _Edges.of(rings)
    return _spliced(rings, [_bridge_up(rings[k], k, edges) for k in range(1, len(rings))])


def joined(rings: Sequence[Int64]) -> Int64:
    """Return several rings as one: bridges lead from the longest to each of the others.

    Parameters
    ----------
    rings : sequence of (n, 2) int64
        At least one.

    Returns
    -------
    (n, 2) int64

    Examples
    --------
    >>> a, b = np.array([[0, 0], [1, 0], [1, 1]]), np.array([[3, 0], [4, 0], [4, 1]])
    >>> joined([a, b]).tolist()
    [[0, 0], [1, 0], [3, 0], [4, 0], [4, 1], [3, 0], [1, 0], [1, 1]]
    """
    if len(rings) == 1:
        return rings[0]
    by_length = sorted(rings, key=len, reverse=True)
    first, others = by_length[0], by_length[1:]
    return _spliced(
        by_length, [_bridge_across(first, other, k + 1) for k, other in enumerate(others)]
    )


class _Edges(NamedTuple):
    """The horizontal edges of rings, each (n,) int64.

    Attributes
    ----------
    rings, corners : int64
        The ring of each edge, and the corner of it where it begins.
    starts, lefts, rights, rows : int64
        x of that corner, least and greatest x, and y.
    """

    rings: Int64
    corners: Int64
    starts: Int64
    lefts: Int64
    rights: Int64
    rows: Int64

    @classmethod
    def of(cls, rings: Sequence[Int64]) -> _Edges:
        """List the edges of some rings."""
        sizes = list(map(len, rings))
        numbers = np.repeat(np.arange(len(rings)), sizes)
        corners = np.concatenate([np.arange(size) for size in sizes])
        starts, rows = np.concatenate(rings).T
        ends = np.concatenate([np.roll(ring[:, 0], -1) for ring in rings])
        flat = starts != ends
        columns = (numbers, corners, starts, np.minimum(starts, ends), np.maximum(starts, ends))
        return cls(*(column[flat] for column in (*columns, rows)))


def _bridge_up(hole: Int64, number: int, edges: _Edges) -> _Bridge:
    """Go up from the upper left corner of a hole to the first edge above it."""
    corner = int(np.lexsort((hole[:, 0], hole[:, 1]))[0])
    x, y = hole[corner].tolist()
    above = np.flatnonzero((edges.lefts <= x) & (x < edges.rights) & (edges.rows < y))
    nearest = above[np.argmax(edges.rows[above])]
    ring, at, start, _, _, row = (int(column[nearest]) for column in edges)
    return _Bridge(ring, at, abs(x - start), (x, row), number, corner)


def _bridge_across(ring: Int64, other: Int64, number: int) -> _Bridge:
    """Go from the first corner of a ring to the nearest corner of the longest one."""
    nearest = int(np.argmin(np.square(ring - other[0]).sum(axis=1)))
    return _Bridge(0, nearest, 0, (int(ring[nearest, 0]), int(ring[nearest, 1])), number, 0)


def _spliced(rings: Sequence[Int64], bridges: Sequence[_Bridge]) -> Int64:
    """Walk the first ring, and over each bridge around the ring at its end and back.

    The bridges make a tree. All corners are a linked list, into which each ring is spliced.
    """
    starts = np.cumsum([0, *map(len, rings)]).tolist()
    points = np.concatenate(rings).tolist()
    after = list(range(1, len(points) + 1))
    before = list(range(-1, len(points) - 1))
    for start, stop in pairwise(starts):
        after[stop - 1], before[start] = start, stop - 1

    def insert(point: list[int], place: int, following: int) -> int:
        points.append(point)
        after.append(following)
        before.append(place)
        after[place] = before[following] = len(points) - 1
        return len(points) - 1

    last_at: dict[tuple[int, int], int] = {}
    for bridge in sorted(bridges):
        edge = (bridge.ring, bridge.corner)
        place = last_at.get(edge, starts[bridge.ring] + bridge.corner)
        following = after[place]
        if bridge.distance and points[place] != list(bridge.point):
            place = insert(list(bridge.point), place, following)
        first = starts[bridge.to_ring] + bridge.to_corner
        last = before[first]
        # Around the other ring, its first corner again, and back.
        again = insert(points[first], last, first)
        back = insert(list(bridge.point), again, following)
        after[place], before[first] = first, place
        last_at[edge] = back
    return _walked(points, after)


def _walked(points: list[list[int]], after: list[int]) -> Int64:
    found = [points[0]]
    place = after[0]
    while place:
        found.append(points[place])
        place = after[place]
    return np.array(found, np.int64)
