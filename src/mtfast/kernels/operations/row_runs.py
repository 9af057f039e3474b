"""Texts -> row runs of one mask, and of the semantic mask of an image, without a frame.

The frame is cut into strips of 64 columns. In a strip, the toggles go into a word for each row,
whose bit x says that pixel x of the row differs from the one above it. The XOR of all words down to
a row says where the mask is in that row, and its runs are found a whole one at a time::

    mask           changes      XOR so far
    . . . . .      00000        00000
    . # # # .      01110        01110      columns 1, 2, 3 begin
    . # # . .      00010        01100      column 3 ends
    . . # . .      01000        00100      column 1 ends

A run that reaches the right edge of a strip stays open for the next one. Strips that one run covers
and strips without a toggle are skipped, so a full frame costs no more than two strips.

The row runs of all instances of an image are sorted by row, and in each row laid over each other in
file order: a run cuts away what it hides.
"""

from mtfast.kernels.intrinsics import trailing_zeros
from mtfast.kernels.jit import i64, kernel, pair, read, u8, u64, write
from mtfast.kernels.rle.coco_string import OUTPUT_FULL
from mtfast.kernels.rle.columns import column_of
from mtfast.kernels.rle.toggle_lists import MAX_PLACE, ONE, TWO, ZERO, decode_list

__all__ = [
    "NONE",
    "ROW_RUNS",
    "append_row_runs",
    "lay_run",
    "row_runs",
    "runs_of_images",
    "scratch_size",
    "sort_by_row",
]

# No run of the row is open.
NONE = -1
# Columns of a strip: bits of a word.
STRIP = 64
ALL = u64((1 << STRIP) - 1)
# The largest value that a pixel of a semantic mask holds.
MAX_VALUE = 255

# Arrays of a signature: rows, starts and stops.
ROW_RUNS = (write(i64), write(i64), write(i64))


@kernel(i64(i64, i64, i64))
def scratch_size(longest, height, capacity):
    """Return how many int64 :func:`row_runs` needs as scratch.

    Parameters
    ----------
    longest : int
        Characters of the longest text.
    height : int
    capacity : int
        Row runs of all instances of an image, hidden or not.

    Returns
    -------
    int
    """
    return (longest + 1) + 2 * (height + 1) + 5 * capacity


@kernel(pair(write(i64), write(i64), i64, i64, i64, *ROW_RUNS, i64))
def append_strip_runs(changes, opened, low, high, left, rows, starts, stops, n):
    """Append the row runs that end in a strip of columns, and note those that go on after it.

    Parameters
    ----------
    changes, opened : (height + 1,) int64, in and out
        Of the strip: a bit for each column in which a row enters or leaves the mask, zeros
        afterwards; and the column in which the open run of each row starts, or NONE.
    low, high : int
        First and last row that may have changes or open runs.
    left : int
        First column of the strip.
    rows, starts, stops : (capacity,) int64, out
        Row and range of columns of each run.
    n : int
        How many runs are there already.

    Returns
    -------
    int
        How many there are now, or OUTPUT_FULL.
    int
        In how many rows a run is open.
    """
    capacity = u64(rows.size)
    at = u64(n)
    word = ZERO
    n_open = 0
    for y in range(u64(low), u64(high) + ONE):
        word ^= u64(changes[y])
        changes[y] = 0
        start = opened[y]
        opened[y] = NONE
        rest = word
        if start >= 0 and not rest & ONE:
            if at >= capacity:
                return OUTPUT_FULL, n_open
            rows[at] = i64(y)
            starts[at] = start
            stops[at] = left
            at += ONE
            start = NONE
        while rest:
            first = trailing_zeros(rest)
            after = first + trailing_zeros(~(rest >> u64(first)))
            if start < 0:
                start = left + first
            if after == STRIP:
                opened[y] = start
                n_open += 1
                break
            if at >= capacity:
                return OUTPUT_FULL, n_open
            rows[at] = i64(y)
            starts[at] = start
            stops[at] = left + after
            at += ONE
            start = NONE
            rest &= ALL << u64(after)
    return i64(at), n_open


@kernel(i64(read(i64), i64, write(i64), write(i64), *ROW_RUNS, i64))
def append_row_runs(toggles, height, changes, opened, rows, starts, stops, n):
    """Append the row runs of one mask; those of one row come from left to right.

    Parameters
    ----------
    toggles : int64
        Toggle list.
    height : int
    changes : (height + 1,) int64, scratch
        Zeros, and zeros again afterwards.
    opened : (height + 1,) int64, scratch
        NONE, and NONE again afterwards: the column in which the open run of each row starts.
    rows, starts, stops : (capacity,) int64, out
        Row and range of columns of each run.
    n : int
        How many runs are there already.

    Returns
    -------
    int
        How many there are now, or OUTPUT_FULL; the scratch arrays are undefined then.
    """
    if height == 0:
        return n
    k = ZERO
    place = toggles[k]
    left = 0  # first column of the strip
    low = high = 0  # first and last row that may have changes or open runs
    n_open = 0
    covered = False  # from top to bottom, by one run
    while place <= MAX_PLACE or n_open:
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
                x, top = column_of(place, x, top, height)
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

        n, n_open = append_strip_runs(changes, opened, low, high, left, rows, starts, stops, n)
        if n < 0:
            return n
        left += STRIP
    return n


@kernel(i64(read(i64), i64, write(i64), write(i64)))
def sort_by_row(rows, n, row_ends, order):
    """Sort n row runs by row, stably.

    Parameters
    ----------
    rows : (>= n,) int64
    n : int
    row_ends : (height + 1,) int64, out
        The runs of row y are order[row_ends[y - 1]:row_ends[y]]; those of row 0 begin at 0.
    order : (>= n,) int64, out

    Returns
    -------
    int
        n
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
    """Lay a run over others, which are ascending and disjoint.

    ::

        the others           11111  222222 333   4444
        laid over them              ~~~~~~~~~~
        after it             11111 2~~~~~~~~~~3  4444

    One run may be cut in two, so n grows by two at most.

    Parameters
    ----------
    start, stop, value : int
    starts, stops, values : (>= n + 2,) int64, out
    n : int

    Returns
    -------
    int
        The new n.
    """
    after = n
    while after > 0 and starts[after - 1] >= stop:
        after -= 1
    before = after
    while before > 0 and stops[before - 1] > start:
        before -= 1
    # It meets the runs before .. after - 1; the first and the last of them may stick out.
    sticks_out_left = before < after and starts[before] < start
    sticks_out_right = before < after and stops[after - 1] > stop
    last_stop = stops[after - 1] if sticks_out_right else 0
    last_value = values[after - 1] if sticks_out_right else 0
    at = before + sticks_out_left
    shift = at + 1 + sticks_out_right - after
    for j in range(n - after):
        # Up, the last is moved first; down, the first: so none is overwritten before it is moved.
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


@kernel(i64(read(i64), i64, *4 * (read(i64),), i64, *3 * (write(i64),)))
def lay_rows(order, n_runs, rows, starts, stops, values, width, out_starts, out_stops, out_values):
    """Lay the row runs of an image over each other.

    Parameters
    ----------
    order : (>= n_runs,) int64
        As made by :func:`sort_by_row`.
    n_runs : int
    rows, starts, stops, values : (>= n_runs,) int64
        Row runs, and the value of each; later ones hide earlier ones.
    width : int
    out_starts, out_stops, out_values : (>= 2 * n_runs,) int64, out
        Range of pixels, one row after another, and value of each run, ascending and disjoint.

    Returns
    -------
    int
        The number of runs written.
    """
    n = ZERO
    end = 0  # of the last run
    for k in range(u64(n_runs)):
        i = u64(order[k])
        row_start = rows[i] * width
        start = row_start + starts[i]
        stop = row_start + stops[i]
        if end <= start:
            # Most runs need no call, which takes longer than all else here.
            out_starts[n] = start
            out_stops[n] = stop
            out_values[n] = values[i]
            n += ONE
            end = stop
        else:
            n = u64(lay_run(start, stop, values[i], out_starts, out_stops, out_values, i64(n)))
            end = out_stops[n - ONE]
    return i64(n)


@kernel(i64(read(u8), read(i64), read(i64), i64, i64, i64, i64, *4 * (write(i64),)))
def row_runs(
    text, offsets, values, first, last, height, width, scratch, out_starts, out_stops, out_values
):
    """Write the row runs of a semantic mask in which later instances hide earlier ones.

    Parameters
    ----------
    text, offsets : (n_bytes,) uint8 and (n + 1,) int64
        Texts of n instances.
    values : (n,) int64
        What each is painted with; 0 erases what is below.
    first, last : int
        The instances of the image are first .. last - 1.
    height, width : int
    scratch : int64
        See :func:`scratch_size`.
    out_starts, out_stops, out_values : (2 * capacity,) int64, out
        Range of pixels, one row after another, and value of each run, ascending and disjoint; a
        run ends with its row, and runs that touch may have the same value. Background is left out,
        except where 0 was painted.

    Returns
    -------
    int
        How many runs were written; or, with nothing written, a status of decode_places or
        OUTPUT_FULL.
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
        n_toggles = decode_list(text, offsets[k], offsets[k + 1], height * width, toggles)
        if n_toggles < 0:
            return n_toggles
        before = n
        n = append_row_runs(toggles, height, changes, opened, rows, starts, stops, n)
        if n < 0:
            return n
        for i in range(before, n):
            run_values[i] = values[k]
    # The array of the changes is free again.
    sort_by_row(rows, n, changes, order)
    return lay_rows(
        order, n, rows, starts, stops, run_values, width, out_starts, out_stops, out_values
    )


@kernel(i64(read(u8), *3 * (read(i64),), i64, i64, i64, i64, *3 * (write(i64),)))
def runs_of_images(
    text, offsets, image_offsets, values, first, height, width, capacity, scratch, runs, ends
):
    """Write the row runs of the semantic masks of images first, first + 1, ...

    Stops before an image that has more row runs than ``capacity``, an instance whose text is bad or
    whose value fits into no byte, or for which ``runs`` may be too small.

    Parameters
    ----------
    text, offsets : (n_bytes,) uint8 and (n + 1,) int64
        Texts of n instances.
    image_offsets : (n_images + 1,) int64
        The instances of image i are image_offsets[i] .. image_offsets[i + 1] - 1.
    values : (n,) int64
    first, height, width : int
    capacity : int
        Row runs of all instances of an image, hidden or not.
    scratch : int64
        See :func:`scratch_size`.
    runs : (3 * n_max,) int64, out
        Starts, stops and values as in :func:`row_runs`, n_max of each. An image is begun only if
        2 * capacity more of each fit.
    ends : (>= n_images - first,) int64, out
        Where the runs of each image end; those of the first begin at 0.

    Returns
    -------
    int
        The number of images whose runs were written.
    """
    n_max = runs.size // 3
    starts = runs[:n_max]
    stops = runs[n_max : 2 * n_max]
    run_values = runs[2 * n_max : 3 * n_max]
    at = 0
    for image in range(first, image_offsets.size - 1):
        if 2 * capacity > n_max - at:
            return image - first
        begin = image_offsets[image]
        end = image_offsets[image + 1]
        for k in range(begin, end):
            if values[k] < 0 or values[k] > MAX_VALUE:
                return image - first
        here = at + 2 * capacity
        n = row_runs(
            text,
            offsets,
            values,
            begin,
            end,
            height,
            width,
            scratch,
            starts[at:here],
            stops[at:here],
            run_values[at:here],
        )
        if n < 0:
            return image - first
        at += n
        ends[image - first] = at
    return image_offsets.size - 1 - first
