"""Erosion of a mask, run by run, and what it takes away.

Erosion by a square of 2 * n + 1 pixels is erosion by a line down the columns, then by a line across
them. Down the columns, each run loses n pixels at either end::

    . # # # #          . . . . .          . . . . .
    . # # # #   down   . # # # #  across  . . # # .     n = 1
    # # # # #  ----->  . # # # #  ----->  . . # # .
    . # # # #          . . . . .          . . . . .

Across them, a pixel stays if the mask has it in 2 * n + 1 columns side by side. Two columns: the
mask AND itself moved by one column; four: the result AND itself moved by two, and so on. So the
work grows with the number of runs and the logarithm of n.

Outside the frame is background, or, with ``outside`` = 1, foreground.
"""

from mtfast.kernels.jit import i64, kernel, read, write
from mtfast.kernels.operations.boolean import MINUS, OR, combine_lists, intersect_lists
from mtfast.kernels.rle.coco_string import OUTPUT_FULL
from mtfast.kernels.rle.column_pieces import PIECES, column_pieces, n_column_runs
from mtfast.kernels.rle.toggle_lists import (
    LISTS,
    MAX_PLACE,
    OUT_LISTS,
    SENTINEL,
    ZERO,
    append_run,
    length_of_list,
)

__all__ = ["N_SCRATCH", "erosions"]

# How many arrays :func:`erosions` cuts its scratch array into.
N_SCRATCH = 8


@kernel(i64(read(i64), i64, i64, i64, *PIECES, write(i64)))
def erode_down(toggles, height, n, outside, columns, tops, bottoms, out):
    """Take n pixels off both ends of every run of every column.

    Parameters
    ----------
    toggles : int64
        Toggle list.
    height, n, outside : int
    columns, tops, bottoms : int64, scratch
        Column pieces.
    out : int64, out
        Toggle list; as large as each of these.

    Returns
    -------
    int
        How many values were written, or OUTPUT_FULL.
    """
    needed = 3 * length_of_list(toggles)
    if not outside:
        needed = max(needed, 2 * n_column_runs(toggles, height))
    if needed + 1 > out.size:
        return OUTPUT_FULL
    n_pieces = column_pieces(toggles, height, 0, SENTINEL, columns, tops, bottoms)
    end = ZERO
    for i in range(n_pieces):
        place = columns[i] * height
        top = tops[i]
        bottom = bottoms[i]
        if outside:
            if top > 0:
                top += n
            if bottom < height:
                bottom -= n
            if top < bottom:
                end = append_run(place + top, place + bottom, out, end)
        elif min(bottom, height) - top > 2 * n:
            n_columns = bottom // height if bottom > height else 1
            bottom = min(bottom, height) - n
            for _ in range(n_columns):
                end = append_run(place + top + n, place + bottom, out, end)
                place += height
    out[end] = SENTINEL
    return i64(end) + 1


@kernel(i64(write(i64), i64, i64, i64, i64, write(i64), write(i64)))
def erode_across(current, height, width, n, outside, other, out):
    """Keep in every column what the n columns on either side have too.

    Parameters
    ----------
    current : int64
        Toggle list; overwritten.
    height, width, n, outside : int
    other : int64, scratch
    out : int64, out
        Toggle list; as large as ``current`` and ``other``.

    Returns
    -------
    int
        How many values were written, or OUTPUT_FULL.
    """
    if outside:
        # No column is farther away.
        n = min(n, width - 1)
    if current[0] > MAX_PLACE or (2 * n >= width and not outside):
        out[0] = SENTINEL
        return 1
    margin = n * height
    length = length_of_list(current) + 1
    if outside and n > 0:
        if length + 5 > other.size:
            return OUTPUT_FULL
        out[0] = -margin
        out[1] = 0
        out[2] = width * height
        out[3] = width * height + margin
        out[4] = SENTINEL
        length = combine_lists(current, out, OR, other)
        current, other = other, current
    # A pixel of ``current`` stands for n_columns columns: its own and those to the right of it.
    n_columns = 1
    while n_columns < 2 * n + 1:
        step = min(n_columns, 2 * n + 1 - n_columns)
        if 2 * length > other.size:
            return OUTPUT_FULL
        for i in range(length - 1):
            out[i] = current[i] - step * height
        out[length - 1] = SENTINEL
        length = intersect_lists(current, out, other)
        current, other = other, current
        n_columns += step
    for i in range(length - 1):
        out[i] = current[i] + margin
    out[length - 1] = SENTINEL
    return length


@kernel(i64(write(i64), i64, i64, i64, i64, i64, i64, write(i64)))
def erode_list(left, length, height, width, n, connectivity, outside, scratch):
    """Erode one mask in place.

    Parameters
    ----------
    left : int64
        Toggle list; overwritten with what is left of it.
    length, height, width : int
        The first is that of the list, with its sentinel.
    n, connectivity, outside : int
        As in :func:`erosions`.
    scratch : int64
        Seven arrays as large as ``left``.

    Returns
    -------
    int
        The length of the list now, or OUTPUT_FULL.
    """
    size = left.size
    columns = scratch[:size]
    tops = scratch[size : 2 * size]
    bottoms = scratch[2 * size : 3 * size]
    current = scratch[3 * size : 4 * size]
    other = scratch[4 * size : 5 * size]
    down = scratch[5 * size : 6 * size]
    across = scratch[6 * size : 7 * size]
    n = min(n, height + width)  # which reaches every pixel from every other
    if n > 0 and connectivity == 8:
        length = erode_down(left, height, n, outside, columns, tops, bottoms, current)
        if length > 0:
            length = erode_across(current, height, width, n, outside, other, left)
        return length
    while n > 0 and length > 1:
        # Only the full mask can stay as it is.
        if outside and left[0] == 0 and left[1] == height * width:
            break
        n_down = erode_down(left, height, 1, outside, columns, tops, bottoms, down)
        n_across = erode_across(left, height, width, 1, outside, other, across)
        if n_down < 0 or n_across < 0 or n_down + n_across > size:
            return OUTPUT_FULL
        length = intersect_lists(down, across, left)
        n -= 1
    return length


@kernel(i64(*LISTS, read(i64), i64, i64, i64, write(i64), *OUT_LISTS))
def erosions(
    toggles, offsets, heights, widths, sizes, connectivity, outside, lost, scratch, out, out_offsets
):
    """Erode every mask and write what is left of it, or what is lost.

    Parameters
    ----------
    toggles, offsets : int64 and (n + 1,) int64
        Toggle lists.
    heights, widths : (n,) int64
    sizes : (n,) int64
        How many pixels each mask loses on every side, from 0 on.
    connectivity : int
        8 erodes once by a square of 2 * size + 1 pixels, 4 erodes ``size`` times by a cross of 3.
    outside : int
        What the pixels outside the frame are, 0 or 1.
    lost : int
        0 for what is left, 1 for what is lost.
    scratch : int64
        N_SCRATCH arrays of equal size, each as large as the longest list on the way.
    out, out_offsets : int64 and (n + 1,) int64, out
        Toggle lists.

    Returns
    -------
    int
        The number of values written, or OUTPUT_FULL if ``scratch`` or ``out`` is too small.
    """
    size = scratch.size // N_SCRATCH
    left = scratch[:size]
    rest = scratch[size : N_SCRATCH * size]
    end = 0
    out_offsets[0] = 0
    for k in range(heights.size):
        whole = toggles[offsets[k] : offsets[k + 1]]
        if whole.size > size:
            return OUTPUT_FULL
        for i in range(whole.size):
            left[i] = whole[i]
        length = erode_list(
            left, whole.size, heights[k], widths[k], sizes[k], connectivity, outside, rest
        )
        if length < 0 or length + whole.size > out.size - end:
            return OUTPUT_FULL
        if lost:
            end += combine_lists(whole, left, MINUS, out[end:])
        else:
            for i in range(length):
                out[end + i] = left[i]
            end += length
        out_offsets[k + 1] = end
    return end
