"""Erosion of a mask, run by run, and what it takes away.

A square of 2 * n + 1 pixels is a line down the columns and a line across them. Down the columns
each run loses n pixels at either end. Across them, a pixel stays if 2 * n + 1 columns side by side
have it: that of two columns is what a mask shares with itself moved by one column, that of four
what this shares with itself moved by two, and so on. So the work grows with the number of runs and
the logarithm of n.

Outside the frame is background, or, with ``outside`` = 1, nothing that takes a pixel away.
"""

from mtfast.kernels.jit import i64, kernel, read, write
from mtfast.kernels.operations.boolean import combine_lists, intersect_lists
from mtfast.kernels.operations.setops import MINUS, OR
from mtfast.kernels.rle.toggle_lists import (
    FAR,
    LAST,
    TOO_MANY_TOGGLES,
    ZERO,
    append_run,
    column_pieces,
    length_of_list,
    n_column_runs,
)

# Lists in the scratch array of :func:`erosions`.
PARTS = 8


@kernel(i64(read(i64), i64, i64, i64, write(i64), write(i64), write(i64), write(i64)))
def erode_down(toggles, height, n, outside, columns, tops, bottoms, out):
    """Take n pixels off both ends of every run of every column.

    Parameters
    ----------
    toggles : int64
        List of the mask.
    height, n, outside : int
    columns, tops, bottoms : int64, scratch
    out : int64, out
        As large as each of these.

    Returns
    -------
    int
        How many values were written, or TOO_MANY_TOGGLES.
    """
    needed = 3 * length_of_list(toggles)
    if not outside:
        needed = max(needed, 2 * n_column_runs(toggles, height))
    if needed + 1 > out.size:
        return TOO_MANY_TOGGLES
    n_pieces = column_pieces(toggles, height, 0, FAR, columns, tops, bottoms)
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
    out[end] = FAR
    return i64(end) + 1


@kernel(i64(write(i64), i64, i64, i64, i64, write(i64), write(i64)))
def erode_across(current, height, width, n, outside, other, out):
    """Leave of every column what the n columns on either side have too.

    Parameters
    ----------
    current : int64
        List of the mask; it is overwritten.
    height, width, n, outside : int
    other : int64, scratch
    out : int64, out
        As large as ``current`` and ``other``.

    Returns
    -------
    int
        How many values were written, or TOO_MANY_TOGGLES.
    """
    if outside:
        # Farther away no column is left to look at.
        n = min(n, width - 1)
    if current[0] > LAST or (2 * n >= width and not outside):
        out[0] = FAR
        return 1
    margin = n * height
    length = length_of_list(current) + 1
    if outside and n > 0:
        if length + 5 > other.size:
            return TOO_MANY_TOGGLES
        out[0] = -margin
        out[1] = 0
        out[2] = width * height
        out[3] = width * height + margin
        out[4] = FAR
        length = combine_lists(current, out, OR, other)
        current, other = other, current
    # A pixel of ``current`` stands for so many columns, its own and those to the right of it.
    n_columns = 1
    while n_columns < 2 * n + 1:
        step = min(n_columns, 2 * n + 1 - n_columns)
        if 2 * length > other.size:
            return TOO_MANY_TOGGLES
        for i in range(length - 1):
            out[i] = current[i] - step * height
        out[length - 1] = FAR
        length = intersect_lists(current, out, other)
        current, other = other, current
        n_columns += step
    for i in range(length - 1):
        out[i] = current[i] + margin
    out[length - 1] = FAR
    return length


@kernel(
    i64(
        read(i64),
        read(i64),
        read(i64),
        read(i64),
        read(i64),
        i64,
        i64,
        i64,
        write(i64),
        write(i64),
        write(i64),
    )
)
def erosions(
    toggles,
    offsets,
    heights,
    widths,
    sizes,
    connectivity,
    outside,
    lost,
    scratch,
    out,
    out_offsets,
):
    """Erode every mask and write what is left of it, or what is lost.

    Parameters
    ----------
    toggles, offsets : int64 and (n + 1,) int64
    heights, widths : (n,) int64
    sizes : (n,) int64
        How many pixels each mask loses on all sides, from 0 on.
    connectivity : int
        8 takes away a square of 2 * size + 1 pixels, 4 a cross of 3 pixels so many times.
    outside : int
        What the pixels outside the frame are, 0 or 1.
    lost : int
        0 for what is left, 1 for what is lost.
    scratch : int64
        PARTS parts, each of which has to hold any list that comes up.
    out, out_offsets : int64, out
        Lists of toggles; (n + 1,).

    Returns
    -------
    int
        The number of values written, or TOO_MANY_TOGGLES if ``scratch`` or ``out`` is too small.
    """
    part = scratch.size // PARTS
    columns = scratch[:part]
    tops = scratch[part : 2 * part]
    bottoms = scratch[2 * part : 3 * part]
    current = scratch[3 * part : 4 * part]
    other = scratch[4 * part : 5 * part]
    down = scratch[5 * part : 6 * part]
    across = scratch[6 * part : 7 * part]
    left = scratch[7 * part : 8 * part]
    end = 0
    out_offsets[0] = 0
    for k in range(heights.size):
        height = heights[k]
        width = widths[k]
        start = offsets[k]
        length = offsets[k + 1] - start
        if length > part:
            return TOO_MANY_TOGGLES
        for i in range(length):
            left[i] = toggles[start + i]
        size = min(sizes[k], height + width)  # which reaches every pixel from every other
        if size > 0 and connectivity == 8:
            length = erode_down(left, height, size, outside, columns, tops, bottoms, current)
            if length > 0:
                length = erode_across(current, height, width, size, outside, other, left)
            size = 0
        while size > 0 and length > 1:
            # Only the full mask can stay as it is.
            if outside and left[0] == 0 and left[1] == height * width:
                break
            n_down = erode_down(left, height, 1, outside, columns, tops, bottoms, down)
            n_across = erode_across(left, height, width, 1, outside, other, across)
            if n_down < 0 or n_across < 0 or n_down + n_across > part:
                return TOO_MANY_TOGGLES
            length = intersect_lists(down, across, left)
            size -= 1
        if length < 0 or length + offsets[k + 1] - start > out.size - end:
            return TOO_MANY_TOGGLES
        if lost:
            end += combine_lists(toggles[start:], left, MINUS, out[end:])
        else:
            for i in range(length):
                out[end + i] = left[i]
            end += length
        out_offsets[k + 1] = end
    return end
