"""Connected masks -> rings of corners, from the runs alone.

A run, cut at the ends of columns, has an edge above it and one below. Where two columns meet, the
ends of their edges belong together two by two, from top to bottom: between the two of a pair the
columns differ, so that a vertical line joins them::

    0   1   2   3
    +---+---+        0     the edge above a run is walked to the right, the one below to the left,
    | # | # |              so that foreground is on the right hand
    +---+   +---+    1     ends at x = 1: rows 0 and 1 of column 0, rows 0 and 2 of column 1; the
        | # | # |          two in row 0 make one straight line, those in rows 1 and 2 are joined
        +---+---+    2

Where edges of two columns end in one corner with foreground at two opposite sides of it, the lines
go around the background. So a mask that is connected by the sides of its pixels has one outer ring,
and no ring meets itself; it may meet others in corners.
"""

from mtfast.kernels.jit import i64, kernel, read, u64, write
from mtfast.kernels.rle.column_pieces import column_pieces
from mtfast.kernels.rle.toggle_lists import LISTS, ONE, SENTINEL

__all__ = [
    "N_NUMBERS",
    "N_SCRATCH",
    "contours",
    "cut_edges",
    "link_columns",
    "link_edges",
    "walk_ring",
]

# For each value of a toggle list. A run, which is two of them, is cut into three pieces at most:
# six edges, each with a corner at either end, which is two numbers.
N_NUMBERS = 12
# Three values for each piece, three for each of its edges.
N_SCRATCH = 15


@kernel(i64(read(i64), i64, *5 * (write(i64),)))
def cut_edges(toggles, height, lefts, tops, bottoms, rows, ends):
    """Write the edges above and below all runs, each column taken alone.

    Parameters
    ----------
    toggles : int64
        Toggle list.
    height : int
    lefts : int64, out
        Column of each piece of a run, ascending; whole columns side by side are one piece. Three
        values for each run.
    tops, bottoms : int64, scratch
        As many.
    rows : int64, out
        y of the edge above piece k, and of the one below it, at 2 * k and 2 * k + 1.
    ends : int64, out
        x of the corners that the edges are walked to.

    Returns
    -------
    int
        The number of edges.
    """
    n = column_pieces(toggles, height, 0, SENTINEL, lefts, tops, bottoms)
    for k in range(n):
        bottom = bottoms[k]
        rows[2 * k] = tops[k]
        rows[2 * k + 1] = min(bottom, height)
        ends[2 * k] = lefts[k] + (1 if bottom <= height else bottom // height)
        ends[2 * k + 1] = lefts[k]
    return 2 * n


@kernel(i64(read(i64), u64, u64, u64, write(i64)))
def link_edges(rows, start, middle, stop, after):
    """Link the edges of two columns side by side.

    Parameters
    ----------
    rows : int64
        As made by :func:`cut_edges`.
    start, middle, stop : int
        Edges start .. middle - 1 end where edges middle .. stop - 1 begin.
    after : int64, out
        The edge that is walked next, of each that is walked to where the columns meet.

    Returns
    -------
    int
        The number of links.
    """
    i, j = start, middle
    n_links = 0
    upper = start
    upper_is_left = False
    is_open = False
    while i < middle or j < stop:
        if i == middle or j == stop:
            is_left = j == stop
        elif rows[i] == rows[j] and is_open:
            # Opposite corners: the line from above goes on around the background.
            is_left = i & ONE == 0
        else:
            is_left = rows[i] <= rows[j]
        if is_left:
            edge = i
            i += ONE
        else:
            edge = j
            j += ONE
        if is_open:
            # An edge above foreground is walked to its right end, one below to its left end.
            if upper_is_left == (upper & ONE == 0):
                after[upper] = i64(edge)
            else:
                after[edge] = i64(upper)
            n_links += 1
        else:
            upper = edge
            upper_is_left = is_left
        is_open = not is_open
    return n_links


@kernel(i64(read(i64), read(i64), i64, write(i64)))
def link_columns(lefts, rows, n, after):
    """Link all edges of a connected mask.

    Parameters
    ----------
    lefts, rows : int64
        As made by :func:`cut_edges`, without an empty column between others.
    n : int
        The number of edges.
    after : (>= n,) int64, out
        The edge that is walked next, of each.

    Returns
    -------
    int
        The number of links, which is n.
    """
    n_links = 0
    start = middle = 0
    while start < n:
        stop = middle
        while stop < n and lefts[stop // 2] == lefts[middle // 2]:
            stop += 2
        if middle == start + 2 and stop == middle + 2:
            # A run on either side; they overlap, as the mask is connected.
            after[start] = middle
            after[middle + 1] = start + 1
            n_links += 2
        else:
            n_links += link_edges(rows, u64(start), u64(middle), u64(stop), after)
        start, middle = middle, stop
    return n_links


@kernel(i64(read(i64), read(i64), u64, write(i64), write(i64), i64))
def walk_ring(rows, ends, first, after, points, at):
    """Write the corners of one ring.

    Parameters
    ----------
    rows, ends : int64
        As made by :func:`cut_edges`.
    first : int
        The first edge of the ring, which is above foreground. Its left end is a corner, as all
        edges left of it are of other rings.
    after : int64
        As made by :func:`link_columns`; -1 is written for the edges of the ring.
    points : int64, out
        x, y, x, y, ... from ``points[at]`` on, and up to four numbers more.
    at : int

    Returns
    -------
    int
        Where the ring ends.
    """
    points[at] = ends[first + ONE]
    points[at + 1] = rows[first]
    at += 2
    edge = first
    while after[edge] >= 0:
        following = u64(after[edge])
        after[edge] = -1
        # Written in any case: whether edges go on straight is not to be predicted.
        points[at] = points[at + 2] = ends[edge]
        points[at + 1] = rows[edge]
        points[at + 3] = rows[following]
        at += 4 * i64(rows[edge] != rows[following])
        edge = following
    # The last corner is the first one.
    return at - 2


@kernel(i64(*LISTS[:3], i64, write(i64), *3 * (write(i64),)))
def contours(toggles, offsets, heights, longest, scratch, points, ring_offsets, polygon_offsets):
    """Write the rings of connected masks, the outer ring of each first.

    Parameters
    ----------
    toggles, offsets : int64 and (n + 1,) int64
        Toggle lists, each of one mask that is connected by the sides of its pixels.
    heights : (n,) int64
    longest : int
        Length of the longest list.
    scratch : (N_SCRATCH * longest,) int64
    points : (>= N_NUMBERS * offsets[n],) int64, out
        x, y, x, y, ... of the corners where a ring turns.
    ring_offsets : (>= 3 * offsets[n] + 1,) int64, out
        Ring r has the points ring_offsets[r] .. ring_offsets[r + 1] - 1.
    polygon_offsets : (n + 1,) int64, out
        Mask k has the rings polygon_offsets[k] .. polygon_offsets[k + 1] - 1.

    Returns
    -------
    int
        The number of points.
    """
    lefts = scratch[: 2 * longest]
    tops = scratch[2 * longest : 4 * longest]
    bottoms = scratch[4 * longest : 6 * longest]
    rows = scratch[6 * longest : 9 * longest]
    ends = scratch[9 * longest : 12 * longest]
    after = scratch[12 * longest : 15 * longest]
    at = 0
    n_rings = 0
    ring_offsets[0] = 0
    polygon_offsets[0] = 0
    for k in range(heights.size):
        n = cut_edges(toggles[offsets[k] :], heights[k], lefts, tops, bottoms, rows, ends)
        link_columns(lefts, rows, n, after)
        for first in range(0, n, 2):
            if after[first] >= 0:
                at = walk_ring(rows, ends, u64(first), after, points, at)
                n_rings += 1
                ring_offsets[n_rings] = at // 2
        polygon_offsets[k + 1] = n_rings
    return at // 2
