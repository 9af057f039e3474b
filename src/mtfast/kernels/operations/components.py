"""Connected components of a mask, run by run, with union-find.

A pixel and its right neighbour are one height apart, and so are the places of two runs side by
side: a piece touches another one if the two overlap once the latter is moved back by a height::

    . . # #
    # # # .      pieces, by their places        1..2   4..7   9      height 3
    # # . .      moved back by a height       -2..-1   1..4   6

A run that goes on into the next column is one piece where that holds it together, and is cut in
two at the end of the column where it does not. More than a height (with diagonals, a height) always
holds together, so not even a run over many columns makes more than two pieces.
"""

from mtfast.kernels.jit import i64, kernel, read, u64, write
from mtfast.kernels.rle.toggle_lists import FAR, LAST, ONE, TWO, ZERO


@kernel(i64(read(i64), i64, i64, write(i64), write(i64)))
def connected_pieces(toggles, height, connectivity, starts, stops):
    """Cut the runs of a mask into connected pieces; return how many.

    ``starts`` and ``stops`` need room for two pieces for each run.
    """
    n = ZERO
    i = ZERO
    # Shortest run over the end of a column that is connected.
    shortest = height if connectivity == 8 else height + 1
    column_end = height
    while toggles[i] <= LAST:
        start = toggles[i]
        stop = toggles[i + ONE]
        i += TWO
        if start >= column_end:
            column_end += height
            if start >= column_end:
                column_end = (start // height + 1) * height
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
    """Find the first piece of the tree of piece i, and shorten the way there."""
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
        A piece before each one, or the piece itself.
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
                # Mostly the piece on the right is new, and the way to the root is short.
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


@kernel(
    i64(
        read(i64),
        read(i64),
        read(i64),
        i64,
        write(i64),
        write(i64),
        write(i64),
        write(i64),
        write(i64),
        write(i64),
        write(i64),
    )
)
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
    part_offsets,
):
    """Write each connected component as a mask of its own, by its first pixel.

    Parameters
    ----------
    toggles, offsets : int64 and (n + 1,) int64
    heights : (n,) int64
    connectivity : int
        4 or 8.
    starts, stops, parents, ends : int64, scratch
        As many values each as the longest list has.
    out, out_offsets : int64, out
        The list of each component; room for three values and one for each toggle.
    part_offsets : (n + 1,) int64, out
        The components of mask k are part_offsets[k] .. part_offsets[k + 1] - 1.

    Returns
    -------
    int
        The number of components.
    """
    n_parts = 0
    out_offsets[0] = 0
    part_offsets[0] = 0
    for k in range(heights.size):
        n = connected_pieces(toggles[offsets[k] :], heights[k], connectivity, starts, stops)
        join_pieces(starts, stops, n, heights[k], connectivity, parents)
        # From here on parents[i] is the component of piece i: its parent came before it.
        first_part = n_parts
        for i in range(n):
            if parents[i] == i:
                parents[i] = n_parts - first_part
                ends[n_parts - first_part] = 0
                n_parts += 1
            else:
                parents[i] = parents[parents[i]]
            # What was cut at the end of a column and is connected otherwise becomes one again.
            if i == 0 or starts[i] != stops[i - 1] or parents[i] != parents[i - 1]:
                ends[parents[i]] += 2
        for part in range(n_parts - first_part):
            start = out_offsets[first_part + part]
            end = start + ends[part]
            out[end] = FAR
            out_offsets[first_part + part + 1] = end + 1
            ends[part] = start
        for i in range(n):
            part = parents[i]
            end = u64(ends[part])
            if i == 0 or starts[i] != stops[i - 1] or part != parents[i - 1]:
                out[end] = starts[i]
                ends[part] += 2
                end += TWO
            out[end - ONE] = stops[i]
        part_offsets[k + 1] = n_parts
    return n_parts
