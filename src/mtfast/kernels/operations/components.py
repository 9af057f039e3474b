"""Connected components of a mask, run by run, with union-find.

A pixel and its right neighbour are one height apart, and so are the places of two runs side by
side: a piece touches another one if the two overlap after the latter is moved back by a height::

    . . # #
    # # # .      pieces, first to last place    1..2   4..7   9      height 3
    # # . .      moved back by a height       -2..-1   1..4   6

A run that goes on into the next column is one piece where its two ends are connected, and is cut in
two at the end of the column where they are not. A run of more than a height (with diagonals, of a
height) is always connected, so not even a run over many columns makes more than two pieces.

Source: union-find over runs, as in L. He, Y. Chao, K. Suzuki, A run-based two-scan labeling
algorithm, IEEE Trans. Image Process. 17 (2008).
"""

from mtfast.kernels.jit import i64, kernel, read, u64, write
from mtfast.kernels.rle.columns import column_of
from mtfast.kernels.rle.toggle_lists import LISTS, MAX_PLACE, ONE, OUT_LISTS, SENTINEL, TWO, ZERO

__all__ = ["components"]


@kernel(i64(read(i64), i64, i64, write(i64), write(i64)))
def connected_pieces(toggles, height, connectivity, starts, stops):
    """Cut the runs of a mask into connected pieces.

    Parameters
    ----------
    toggles : int64
        Toggle list.
    height : int
    connectivity : int
        4 or 8.
    starts, stops : int64, out
        Places where each piece begins and ends; two values for each run.

    Returns
    -------
    int
        The number of pieces.
    """
    n = ZERO
    i = ZERO
    # The shortest run over the end of a column that is connected.
    shortest = height if connectivity == 8 else height + 1
    x = top = 0
    while toggles[i] <= MAX_PLACE:
        start = toggles[i]
        stop = toggles[i + ONE]
        i += TWO
        x, top = column_of(start, x, top, height)
        column_end = top + height
        starts[n] = start
        if stop > column_end and stop - start < shortest:
            stops[n] = column_end
            n += ONE
            starts[n] = column_end
        stops[n] = stop
        n += ONE
    return i64(n)


@kernel(u64(write(i64), u64))
def root_of(parents, i):
    """Find the first piece of the tree of piece i, and halve the path to it.

    Parameters
    ----------
    parents : int64
        As made by :func:`join_pieces`; overwritten.
    i : int

    Returns
    -------
    int
    """
    parent = u64(parents[i])
    while parent != i:
        parents[i] = parents[parent]
        i = u64(parents[i])
        parent = u64(parents[i])
    return i


@kernel(i64(read(i64), read(i64), i64, i64, i64, write(i64)))
def join_pieces(starts, stops, n, height, connectivity, parents):
    """Join pieces that touch; the root of a component becomes its first piece.

    Parameters
    ----------
    starts, stops : (>= n,) int64
        As made by :func:`connected_pieces`.
    n, height, connectivity : int
    parents : (>= n,) int64, out
        An earlier piece of the same component, or the piece itself.

    Returns
    -------
    int
        n
    """
    for i in range(n):
        parents[i] = i
    here = ZERO
    there = ZERO
    end = u64(n)
    while here < end and there < end:
        start = starts[there] - height
        stop = stops[there] - height
        touch = start < stops[here] and starts[here] < stop
        if connectivity == 8 and not touch:
            # Corner to corner, but not from the end of a column to the start of another one.
            touch = (start == stops[here] and start % height != 0) or (
                stop == starts[here] and stop % height != 0
            )
        if touch:
            root = u64(parents[here])
            if u64(parents[there]) == there and u64(parents[root]) == root:
                # Mostly the piece on the right is new, and the path to the root is short.
                parents[there] = root
            else:
                a = root_of(parents, here)
                b = root_of(parents, there)
                parents[max(a, b)] = min(a, b)
        if stops[here] < stop:
            here += ONE
        else:
            there += ONE
    return n


@kernel(i64(*LISTS[:3], i64, *4 * (write(i64),), *OUT_LISTS, write(i64)))
def components(
    toggles,
    offsets,
    heights,
    connectivity,
    starts,
    stops,
    parents,
    ends,
    out,
    out_offsets,
    component_offsets,
):
    """Write each connected component as a mask of its own, in the order of their first pixels.

    Parameters
    ----------
    toggles, offsets : int64 and (n + 1,) int64
        Toggle lists.
    heights : (n,) int64
    connectivity : int
        4 or 8.
    starts, stops, parents, ends : int64, scratch
        As many values each as the longest list has.
    out, out_offsets : (3 * offsets[n],) and (offsets[n] + 1,) int64, out
        The toggle list of each component.
    component_offsets : (n + 1,) int64, out
        The components of mask k are component_offsets[k] .. component_offsets[k + 1] - 1.

    Returns
    -------
    int
        The number of components.
    """
    n_components = 0
    out_offsets[0] = 0
    component_offsets[0] = 0
    for k in range(heights.size):
        n = connected_pieces(toggles[offsets[k] :], heights[k], connectivity, starts, stops)
        join_pieces(starts, stops, n, heights[k], connectivity, parents)
        # From here on parents[i] is the component of piece i: its parent came before it.
        first_of_mask = n_components
        for i in range(n):
            if parents[i] == i:
                parents[i] = n_components - first_of_mask
                ends[n_components - first_of_mask] = 0
                n_components += 1
            else:
                parents[i] = parents[parents[i]]
            # What was cut at the end of a column and is connected elsewhere becomes one run again.
            if i == 0 or starts[i] != stops[i - 1] or parents[i] != parents[i - 1]:
                ends[parents[i]] += 2
        for component in range(n_components - first_of_mask):
            start = out_offsets[first_of_mask + component]
            end = start + ends[component]
            out[end] = SENTINEL
            out_offsets[first_of_mask + component + 1] = end + 1
            ends[component] = start
        for i in range(n):
            component = parents[i]
            end = u64(ends[component])
            if i == 0 or starts[i] != stops[i - 1] or component != parents[i - 1]:
                out[end] = starts[i]
                ends[component] += 2
                end += TWO
            out[end - ONE] = stops[i]
        component_offsets[k + 1] = n_components
    return n_components
