"""Column-major counts -> row-major runs of the semantic mask, without a frame.

A count ends at a toggle: a place of the column-major frame where a mask begins or ends. Sixty-four
columns at a time, a strip, the toggles go into a word for each row, whose bit x says that pixel x
of the row differs from the one above it. Added up from top to bottom without carry, they say where
the mask is, and the runs of a row are found a whole one at a time::

    . . . . .      00000
    . # # # .      01110      columns 1, 2, 3 begin
    . # # . .      01110      00010: column 3 ends
    . . # . .      00100      01000: column 1 ends

A run that reaches the right edge of a strip stays open for the next one, and strips that a run
covers, or nothing, are passed over, so a full frame costs no more than two strips.

The runs of all instances are sorted by row, and in each row laid over each other in file order: a
run cuts away what it hides.
"""

from mtfast.kernels.intrinsics import trailing_zeros
from mtfast.kernels.jit import i64, kernel, read, u8, u64, write
from mtfast.kernels.rle.coco_string import decode_places

# Status besides those of decode_places: more row runs than there is room for.
TOO_MANY_RUNS = -7

# Beyond every toggle.
FAR = 1 << 60
# No run of the row is open.
NONE = -1
# Columns of a strip: bits of a word.
STRIP = 64
ALL = u64((1 << STRIP) - 1)
ZERO, ONE, TWO = u64(0), u64(1), u64(2)


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
    return (longest + 1) + 2 * (height + 1) + 5 * capacity


@kernel(i64(read(i64), i64, i64, write(i64), write(i64), write(i64), write(i64), write(i64), i64))
def rows_of_toggles(toggles, n_toggles, height, changes, opened, rows, starts, stops, n):
    """Append the row runs of one mask; those of one row come from left to right.

    Parameters
    ----------
    toggles : (>= n_toggles + 1,) int64
        Places where the mask begins or ends, an even number, ascending, and FAR behind them.
    n_toggles, height : int
    changes : (height + 1,) int64, scratch
        Zeros, and zeros again afterwards.
    opened : (height + 1,) int64, scratch
        NONE, and NONE again afterwards: the column in which the open run of a row starts.
    rows, starts, stops : (capacity,) int64, out
        Row and range of columns of each run.
    n : int
        How many runs are there already.

    Returns
    -------
    int
        How many there are now, or TOO_MANY_RUNS, which leaves the scratch as it is.
    """
    if height == 0:
        return n
    room = u64(rows.size)
    at = u64(n)
    k = ZERO
    place = toggles[k]
    left = 0  # first column of the strip
    low = high = 0  # rows that the strip, and those before it, may have changes or open runs in
    n_open = 0
    covered = False  # from top to bottom, by one run
    while place < FAR or n_open:
        if n_open == 0:
            left = place // height
            low = height
            high = 0
        end = (left + STRIP) * height
        covers = place == left * height and toggles[k + ONE] >= end
        if covers and covered:
            left += (toggles[k + ONE] - place) // (STRIP * height) * STRIP
            place = left * height
            if place == toggles[k + ONE]:
                k += TWO
                place = toggles[k]
            covered = False
            continue
        covered = covers

        x = left
        top = left * height
        while place < end:
            stop = min(toggles[k + ONE], end)
            while place < stop:
                if place >= top + height:
                    x += 1
                    top += height
                    if place >= top + height:
                        x = place // height
                        top = x * height
                begin = place - top
                below = min(stop - top, height)
                column = 1 << (x - left)
                changes[u64(begin)] ^= column
                changes[u64(below)] ^= column
                low = min(low, begin)
                high = max(high, below)
                place = top + below
            if place == toggles[k + ONE]:
                k += TWO
                place = toggles[k]

        word = ZERO
        n_open = 0
        for y in range(u64(low), u64(high) + ONE):
            word ^= u64(changes[y])
            changes[y] = 0
            start = opened[y]
            opened[y] = NONE
            rest = word
            if start >= 0 and not rest & ONE:
                if at >= room:
                    return TOO_MANY_RUNS
                rows[at] = i64(y)
                starts[at] = start
                stops[at] = left
                at += ONE
                start = NONE
            while rest:
                first = trailing_zeros(rest)
                behind = first + trailing_zeros(~(rest >> u64(first)))
                if start < 0:
                    start = left + first
                if behind == STRIP:
                    opened[y] = start
                    n_open += 1
                    break
                if at >= room:
                    return TOO_MANY_RUNS
                rows[at] = i64(y)
                starts[at] = start
                stops[at] = left + behind
                at += ONE
                start = NONE
                rest &= ALL << u64(behind)
        left += STRIP
    return i64(at)


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
    for i in range(u64(n)):
        row_ends[u64(rows[i] + 1)] += 1
    for y in range(u64(row_ends.size - 1)):
        row_ends[y + ONE] += row_ends[y]
    for i in range(u64(n)):
        y = u64(rows[i])
        order[u64(row_ends[y])] = i64(i)
        row_ends[y] += 1
    return n


@kernel(i64(i64, i64, i64, write(i64), write(i64), write(i64), i64))
def lay_run(start, stop, value, starts, stops, values, n):
    """Lay a run over n others, which are ascending and disjoint; return the new n.

    ::

        the others           11111  222222 333   4444
        laid over them              ~~~~~~~~~~
        after it             11111 2~~~~~~~~~~3  4444

    Two more runs at most, because one may be cut in two: there must be room for twice as many
    runs as are laid.
    """
    after = n
    while after > 0 and starts[after - 1] >= stop:
        after -= 1
    before = after
    while before > 0 and stops[before - 1] > start:
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
        i64,
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
def lay_rows(order, n_runs, rows, starts, stops, values, width, out_starts, out_stops, out_values):
    """Lay the runs of every row over each other; return how many are there then.

    Parameters
    ----------
    order : (>= n_runs,) int64
        As made by :func:`sort_by_row`.
    n_runs : int
    rows, starts, stops, values : (>= n_runs,) int64
        Row, range of columns and value of each run; later ones lie over earlier ones.
    width : int
    out_starts, out_stops, out_values : (>= 2 * n_runs,) int64, out
        Range of pixels, one row after another, and value of each run, ascending and disjoint.
    """
    n = ZERO
    end = 0  # of the last run
    for k in range(u64(n_runs)):
        i = u64(order[k])
        row_start = rows[i] * width
        start = row_start + starts[i]
        stop = row_start + stops[i]
        if end <= start:
            # Most runs: they need no call, which takes longer than all else here.
            out_starts[n] = start
            out_stops[n] = stop
            out_values[n] = values[i]
            n += ONE
            end = stop
        else:
            n = u64(lay_run(start, stop, values[i], out_starts, out_stops, out_values, i64(n)))
            end = out_stops[n - ONE]
    return i64(n)


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
    changes = rest[: height + 1]
    opened = rest[height + 1 : 2 * (height + 1)]
    toggles = rest[2 * (height + 1) :]
    changes[:] = 0
    opened[:] = NONE
    n = 0
    for k in range(first, last):
        n_toggles = decode_places(text, offsets[k], offsets[k + 1], height * width, toggles)
        if n_toggles < 0:
            return n_toggles
        # An odd number of counts ends with background, which nothing toggles back.
        n_toggles -= n_toggles & 1
        toggles[n_toggles] = FAR
        before = n
        n = rows_of_toggles(toggles, n_toggles, height, changes, opened, rows, starts, stops, n)
        if n < 0:
            return n
        for i in range(before, n):
            run_values[i] = values[k]
    # The changes have been seen, and their place serves again.
    sort_by_row(rows, n, changes, order)
    return lay_rows(
        order, n, rows, starts, stops, run_values, width, out_starts, out_stops, out_values
    )
