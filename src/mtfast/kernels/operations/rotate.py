"""Quarter turns without pixels.

What are rows in a frame are columns in the frame turned, so the row-major runs of a mask, sorted by
row, are the column-major runs of the turned mask::

    . # #                  # #                     . .
    . . #    to the left   # .      to the right   . #
                           . .                     # #

Turned to the left the rows come first to last and are read from right to left, turned to the right
they come last to first and are read from left to right.
"""

from mtfast.kernels.jit import i64, kernel, read, u64, write
from mtfast.kernels.operations.row_runs import NONE, TOO_MANY_RUNS, rows_of_toggles, sort_by_row
from mtfast.kernels.rle.toggle_lists import FAR, LAST, ONE, ZERO, append_run


@kernel(i64(read(i64), i64))
def n_row_runs(toggles, height):
    """Count the runs that the rows of a mask have, each taken alone.

    A toggle and, one height further on, the same toggle seen from the next column switch whether a
    pixel differs from its left neighbour; each pixel that does begins a run or ends one.
    """
    here = ZERO
    left = ZERO
    start = 0
    n_ends = 0
    while toggles[left] <= LAST:
        stop = min(toggles[here], toggles[left] + height)
        if (here ^ left) & ONE:
            n_ends += stop - start
        start = stop
        here += u64(toggles[here] == stop)
        left += u64(toggles[left] + height == stop)
    return n_ends // 2


@kernel(i64(read(i64), read(i64), read(i64), write(i64)))
def most_row_runs(toggles, offsets, heights, out):
    """Write the row runs of every mask; return the most that one has."""
    most = 0
    for k in range(heights.size):
        out[k] = n_row_runs(toggles[offsets[k] :], heights[k])
        most = max(most, out[k])
    return most


@kernel(
    i64(
        read(i64),
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
        write(i64),
        write(i64),
    )
)
def quarter_turns(
    toggles,
    offsets,
    heights,
    widths,
    left,
    changes,
    opened,
    row_ends,
    rows,
    starts,
    stops,
    order,
    out,
    out_offsets,
):
    """Turn every mask by 90 degrees: to the left, or to the right if ``left`` is zero.

    Parameters
    ----------
    toggles, offsets : int64 and (n + 1,) int64
    heights, widths : (n,) int64
    left : int
    changes, opened, row_ends : int64, scratch
        As many values as the highest frame has rows, and one more.
    rows, starts, stops, order : int64, scratch
        As many values as a mask has row runs.
    out, out_offsets : int64, out
        Two values for each row run and one for each mask; (n + 1,).

    Returns
    -------
    int
        The number of values written, or TOO_MANY_RUNS.
    """
    changes[:] = 0
    opened[:] = NONE
    end = 0
    out_offsets[0] = 0
    for k in range(heights.size):
        width = widths[k]
        list_ = toggles[offsets[k] : offsets[k + 1]]
        n_runs = rows_of_toggles(
            list_, list_.size - 1, heights[k], changes, opened, rows, starts, stops, 0
        )
        if n_runs < 0 or end + 2 * n_runs >= out.size:
            return TOO_MANY_RUNS
        # Only the rows that the mask has are sorted: most flakes are small.
        top = heights[k]
        bottom = 0
        for i in range(n_runs):
            top = min(top, rows[i])
            bottom = max(bottom, rows[i] + 1)
        for i in range(n_runs):
            rows[i] -= top
        n_rows = max(bottom - top, 0)
        sort_by_row(rows, n_runs, row_ends[: n_rows + 1], order)
        turned = out[end:]
        n = ZERO
        for j in range(n_rows):
            y = j if left else n_rows - 1 - j
            first = row_ends[y - 1] if y > 0 else 0
            last = row_ends[y] - 1
            place = (top + y if left else heights[k] - 1 - top - y) * width
            for i in range(first, last + 1):
                if left:
                    run = order[first + last - i]
                    start = place + width - stops[run]
                    stop = place + width - starts[run]
                else:
                    run = order[i]
                    start = place + starts[run]
                    stop = place + stops[run]
                n = append_run(start, stop, turned, n)
        turned[n] = FAR
        end += i64(n) + 1
        out_offsets[k + 1] = end
    return end
