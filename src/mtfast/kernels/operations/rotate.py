"""Quarter turns without pixels.

The rows of a frame are the columns of the turned frame, so the row runs of a mask, sorted by row,
are the column runs of the turned mask::

    . # #                  # #                     . .
    . . #    to the left   # .      to the right   . #
                           . .                     # #

To the left, the first row comes first and is read from right to left; to the right, the last row
comes first and is read from left to right.
"""

from mtfast.kernels.jit import i64, kernel, read, u64, write
from mtfast.kernels.operations.row_runs import (
    NONE,
    ROW_RUNS,
    append_row_runs,
    sort_by_row,
)
from mtfast.kernels.rle.coco_string import OUTPUT_FULL
from mtfast.kernels.rle.toggle_lists import (
    LISTS,
    MAX_PLACE,
    ONE,
    OUT_LISTS,
    ZERO,
    append_run,
    end_list,
)

__all__ = ["most_row_runs", "n_row_runs", "quarter_turns"]


@kernel(i64(read(i64), i64))
def n_row_runs(toggles, height):
    """Count the row runs of a mask.

    The mask is compared with itself, moved one column to the right: each pixel in which they differ
    begins a row run or ends one.

    Parameters
    ----------
    toggles : int64
        Toggle list.
    height : int

    Returns
    -------
    int
    """
    here = ZERO
    left = ZERO
    start = 0
    n_ends = 0
    while toggles[left] <= MAX_PLACE:
        stop = min(toggles[here], toggles[left] + height)
        if (here ^ left) & ONE:
            n_ends += stop - start
        start = stop
        here += u64(toggles[here] == stop)
        left += u64(toggles[left] + height == stop)
    return n_ends // 2


@kernel(i64(*LISTS[:3], write(i64)))
def most_row_runs(toggles, offsets, heights, out):
    """Count the row runs of every mask.

    Parameters
    ----------
    toggles, offsets : int64 and (n + 1,) int64
        Toggle lists.
    heights : (n,) int64
    out : (n,) int64, out

    Returns
    -------
    int
        The largest count.
    """
    most = 0
    for k in range(heights.size):
        out[k] = n_row_runs(toggles[offsets[k] :], heights[k])
        most = max(most, out[k])
    return most


@kernel(i64(*LISTS, i64, write(i64), write(i64), write(i64), *ROW_RUNS, write(i64), *OUT_LISTS))
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
        Toggle lists.
    heights, widths : (n,) int64
    left : int
    changes, opened, row_ends : int64, scratch
        One value more than the highest frame has rows.
    rows, starts, stops, order : int64, scratch
        Row runs: as many values as the mask with the most of them has.
    out, out_offsets : int64 and (n + 1,) int64, out
        Toggle lists: two values for each row run and one for each mask.

    Returns
    -------
    int
        The number of values written, or OUTPUT_FULL if there are too many row runs.
    """
    changes[:] = 0
    opened[:] = NONE
    out_offsets[0] = 0
    for k in range(heights.size):
        width = widths[k]
        list_ = toggles[offsets[k] : offsets[k + 1]]
        n_runs = append_row_runs(list_, heights[k], changes, opened, rows, starts, stops, 0)
        if n_runs < 0 or out_offsets[k] + 2 * n_runs >= out.size:
            return OUTPUT_FULL
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
        turned = out[out_offsets[k] :]
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
        end_list(out, out_offsets, k, n)
    return out_offsets[heights.size]
