"""Column-major counts -> row-major runs of the semantic mask, without a frame.

A count ends at a toggle: a place of the column-major frame where a mask begins or ends. The same
toggles, one height further on, say where the mask begins or ends in the column to the left. Both
lists read side by side tell which pixels differ from their left neighbours, and in these rows a
row run opens or closes::

    . . . . .      column 1 opens rows 1 and 2
    . # # # .      column 2 opens row 3
    . # # . .      column 3 closes rows 2 and 3
    . . # . .      column 4 closes row 1

A run over many columns has two toggles only, so a full frame costs no more than one column.

The runs of all instances are sorted by row, and in each row laid over each other in file order: a
run cuts away what it hides.
"""

from mtfast._jit import i64, kernel, read, u8, write
from mtfast.kernels.coco_string import decode_places

# Status besides those of decode_places: more row runs than there is room for.
TOO_MANY_RUNS = -7

# Beyond every toggle, also with a height added to it.
FAR = 1 << 60


@kernel(i64(i64, i64, i64))
def scratch_size(longest, height, capacity):
    """Return how many int64 :func:`row_runs` needs as scratch.

    Parameters
    ----------
    longest : int
        Characters of the longest text.
    height : int
    capacity : int
        Row runs of all instances of an image, overlapped or not.
    """
    return (longest + 1) + height + (height + 1) + 5 * capacity


@kernel(i64(read(i64), i64, i64, write(i64), write(i64), write(i64), write(i64), i64))
def rows_of_toggles(toggles, n_toggles, height, opened, rows, starts, stops, n):
    """Append the row runs of one mask, by the column in which they end.

    Parameters
    ----------
    toggles : (>= n_toggles + 1,) int64
        Places where the mask begins or ends, an even number, ascending, and FAR behind them.
    n_toggles, height : int
    opened : (height,) int64, scratch
        The column in which the open run of a row starts.
    rows, starts, stops : (capacity,) int64, out
        Row and range of columns of each run.
    n : int
        How many runs are there already.

    Returns
    -------
    int
        How many there are now, or TOO_MANY_RUNS.
    """
    capacity = rows.size
    here = 0  # toggles passed: an odd number means inside the mask
    left = 0  # the same, in the column to the left
    start = 0
    x = 0
    top = 0  # place of the first pixel of column x
    while left < n_toggles:
        next_here = toggles[here]
        next_left = toggles[left] + height
        stop = min(next_here, next_left)
        if (here ^ left) & 1:
            while start < stop:
                if start >= top + height:
                    x += 1
                    top += height
                    if start >= top + height:
                        x = start // height
                        top = x * height
                bottom = min(stop, top + height)
                if here & 1:
                    for y in range(start - top, bottom - top):
                        opened[y] = x
                else:
                    if bottom - start > capacity - n:
                        return TOO_MANY_RUNS
                    for y in range(start - top, bottom - top):
                        rows[n] = y
                        starts[n] = opened[y]
                        stops[n] = x
                        n += 1
                start = bottom
        start = stop
        here += next_here == stop
        left += next_left == stop
    return n


@kernel(i64(read(i64), i64, write(i64), write(i64)))
def sort_by_row(rows, n, row_ends, order):
    """Sort n runs by row, in each row in the order in which they come.

    Parameters
    ----------
    rows : (>= n,) int64
    n : int
    row_ends : (height + 1,) int64, out
        The runs of row y are order[row_ends[y - 1]:row_ends[y]], those of row 0 begin at 0.
    order : (>= n,) int64, out
    """
    row_ends[:] = 0
    for i in range(n):
        row_ends[rows[i] + 1] += 1
    for y in range(row_ends.size - 1):
        row_ends[y + 1] += row_ends[y]
    for i in range(n):
        y = rows[i]
        order[row_ends[y]] = i
        row_ends[y] += 1
    return n


@kernel(i64(i64, i64, i64, i64, write(i64), write(i64), write(i64), i64))
def lay_run(start, stop, value, first, starts, stops, values, n):
    """Lay a run over those of its row, which are first .. n - 1; return the new n.

    ::

        runs of the row      11111  222222 333   4444
        laid over them              ~~~~~~~~~~
        after it             11111 2~~~~~~~~~~3  4444

    Two more runs at most, because one may be cut in two: the row needs room for twice as many
    runs as are laid on it.
    """
    after = n
    while after > first and starts[after - 1] >= stop:
        after -= 1
    before = after
    while before > first and stops[before - 1] > start:
        before -= 1
    # Of the runs before .. after - 1, which it meets, the first and the last may stick out.
    sticks_out_left = before < after and starts[before] < start
    sticks_out_right = before < after and stops[after - 1] > stop
    last_stop = stops[after - 1] if sticks_out_right else 0
    last_value = values[after - 1] if sticks_out_right else 0
    at = before + sticks_out_left
    shift = at + 1 + sticks_out_right - after
    for j in range(n - after):
        # Upwards the last goes first, downwards the first, so that none is overwritten.
        i = n - 1 - j if shift > 0 else after + j
        starts[i + shift] = starts[i]
        stops[i + shift] = stops[i]
        values[i + shift] = values[i]
    if sticks_out_left:
        stops[before] = start
    starts[at] = start
    stops[at] = stop
    values[at] = value
    if sticks_out_right:
        starts[at + 1] = stop
        stops[at + 1] = last_stop
        values[at + 1] = last_value
    return n + shift


@kernel(
    i64(
        read(i64),
        read(i64),
        read(i64),
        read(i64),
        read(i64),
        i64,
        write(i64),
        write(i64),
        write(i64),
    )
)
def lay_rows(row_ends, order, starts, stops, values, width, out_starts, out_stops, out_values):
    """Lay the runs of every row over each other; return how many are there then.

    Parameters
    ----------
    row_ends, order : (height + 1,) and (n,) int64
        As made by :func:`sort_by_row`.
    starts, stops, values : (n,) int64
        Range of columns and value of each run; later ones lie over earlier ones.
    width : int
    out_starts, out_stops, out_values : (>= 2 * n,) int64, out
        Range of pixels, one row after another, and value of each run, ascending and disjoint.
    """
    n = 0
    begin = 0
    for y in range(row_ends.size - 1):
        first = n
        row_start = y * width
        for k in range(begin, row_ends[y]):
            i = order[k]
            start = row_start + starts[i]
            stop = row_start + stops[i]
            if n == first or out_stops[n - 1] <= start:
                # Most runs: they need no call, which takes longer than all else here.
                out_starts[n] = start
                out_stops[n] = stop
                out_values[n] = values[i]
                n += 1
            else:
                n = lay_run(start, stop, values[i], first, out_starts, out_stops, out_values, n)
        begin = row_ends[y]
    return n


@kernel(
    i64(
        read(u8),
        read(i64),
        read(i64),
        i64,
        i64,
        i64,
        i64,
        write(i64),
        write(i64),
        write(i64),
        write(i64),
    )
)
def row_runs(
    text, offsets, values, first, last, height, width, scratch, out_starts, out_stops, out_values
):
    """Write the row-major runs of a semantic mask in which later instances hide earlier ones.

    Parameters
    ----------
    text, offsets : (n_bytes,) uint8 and (n + 1,) int64
        COCO strings of n instances.
    values : (n,) int64
        What each is painted with; 0 erases what lies below.
    first, last : int
        The instances of the image are first .. last - 1.
    height, width : int
    scratch : int64
        See :func:`scratch_size`.
    out_starts, out_stops, out_values : (2 * capacity,) int64, out
        Range of pixels, one row after another, and value of each run, ascending and disjoint; a
        run ends with its row, and runs that touch may have one value. Background is left out,
        save where 0 was painted.

    Returns
    -------
    int
        How many runs were written; or, with nothing written, a status of decode_places or
        TOO_MANY_RUNS.
    """
    capacity = out_starts.size // 2
    rows = scratch[:capacity]
    starts = scratch[capacity : 2 * capacity]
    stops = scratch[2 * capacity : 3 * capacity]
    run_values = scratch[3 * capacity : 4 * capacity]
    order = scratch[4 * capacity : 5 * capacity]
    rest = scratch[5 * capacity :]
    opened = rest[:height]
    row_ends = rest[height : 2 * height + 1]
    toggles = rest[2 * height + 1 :]
    n = 0
    for k in range(first, last):
        n_toggles = decode_places(text, offsets[k], offsets[k + 1], height * width, toggles)
        if n_toggles < 0:
            return n_toggles
        # An odd number of counts ends with background, which nothing toggles back.
        n_toggles -= n_toggles & 1
        toggles[n_toggles] = FAR
        before = n
        n = rows_of_toggles(toggles, n_toggles, height, opened, rows, starts, stops, n)
        if n < 0:
            return n
        for i in range(before, n):
            run_values[i] = values[k]
    sort_by_row(rows, n, row_ends, order)
    return lay_rows(
        row_ends, order, starts, stops, run_values, width, out_starts, out_stops, out_values
    )
