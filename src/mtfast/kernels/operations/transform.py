"""Crop, pad, flip and half turn without pixels.

Each mask is cut into column pieces, which move on their own, and what touches in the new frame
becomes one run again::

    . . # # .      crop to      . # #      flip left     # # .
    # # # # .      columns      # # #      and right     # # #
    # . . . .      1 to 3       . . .                    . . .

    Column pieces in the window: column 1, row 1; column 2, rows 0..1; column 3, rows 0..1.

Whole columns side by side are one piece and move as one wherever they stay side by side.
"""

from mtfast.kernels.jit import i64, kernel, u64, write
from mtfast.kernels.rle.column_pieces import PIECES, column_pieces
from mtfast.kernels.rle.toggle_lists import (
    LISTS,
    ONE,
    OUT_LISTS,
    SENTINEL,
    ZERO,
    append_run,
    end_list,
)

__all__ = ["crops", "flips", "half_turns", "pads"]


@kernel(i64(*LISTS, i64, i64, i64, i64, i64, *PIECES, write(i64), *OUT_LISTS))
def crops(
    toggles,
    offsets,
    heights,
    widths,
    y,
    x,
    height,
    width,
    drop_empty,
    columns,
    tops,
    bottoms,
    nonempty,
    out,
    out_offsets,
):
    """Cut the same window out of every mask.

    Parameters
    ----------
    toggles, offsets : int64 and (n + 1,) int64
        Toggle lists.
    heights, widths : (n,) int64
    y, x, height, width : int
        First row and column of the window and its size.
    drop_empty : int
        Nonzero: leave out masks that have nothing in the window.
    columns, tops, bottoms : int64, scratch
        Column pieces: three values for each run of the longest list.
    nonempty : (n,) int64, out
        1 for masks that have something in the window, else 0.
    out, out_offsets : (>= 3 * offsets[n],) and (n + 1,) int64, out
        Toggle lists.

    Returns
    -------
    int
        The number of masks written; or ~k where the window leaves the frame of mask k.
    """
    n_masks = 0
    out_offsets[0] = 0
    for k in range(heights.size):
        frame = heights[k]
        if y + height > frame or x + width > widths[k]:
            return ~k
        n_pieces = column_pieces(
            toggles[offsets[k] :], frame, x * frame, (x + width) * frame, columns, tops, bottoms
        )
        moved = out[out_offsets[n_masks] :]
        n = ZERO
        for i in range(n_pieces):
            place = (columns[i] - x) * height
            if bottoms[i] > frame and height > 0:
                n = append_run(place, place + bottoms[i] // frame * height, moved, n)
            else:
                top = max(tops[i] - y, 0)
                bottom = min(bottoms[i] - y, height)
                if top < bottom:
                    n = append_run(place + top, place + bottom, moved, n)
        nonempty[k] = n > ZERO
        if n > ZERO or not drop_empty:
            end_list(out, out_offsets, n_masks, n)
            n_masks += 1
    return n_masks


@kernel(i64(*LISTS[:3], i64, i64, i64, *PIECES, *OUT_LISTS))
def pads(toggles, offsets, heights, top, bottom, left, columns, tops, bottoms, out, out_offsets):
    """Put every mask into a larger frame.

    Parameters
    ----------
    toggles, offsets : int64 and (n + 1,) int64
        Toggle lists.
    heights : (n,) int64
    top, bottom, left : int
        Rows and columns of background that are added; those on the right change no place.
    columns, tops, bottoms : int64, scratch
        Column pieces: three values for each run of the longest list.
    out, out_offsets : int64 and (n + 1,) int64, out
        Toggle lists: two values for each column run and one for each mask; or, where no rows are
        added, 2 * offsets[n] + n values.

    Returns
    -------
    int
        The number of values written.
    """
    out_offsets[0] = 0
    for k in range(heights.size):
        frame = heights[k]
        height = top + frame + bottom
        n_pieces = column_pieces(toggles[offsets[k] :], frame, 0, SENTINEL, columns, tops, bottoms)
        moved = out[out_offsets[k] :]
        n = ZERO
        for i in range(n_pieces):
            place = (columns[i] + left) * height + top
            if bottoms[i] > frame and height > frame:
                for _ in range(bottoms[i] // frame):
                    n = append_run(place, place + frame, moved, n)
                    place += height
            else:
                n = append_run(place + tops[i], place + bottoms[i], moved, n)
        end_list(out, out_offsets, k, n)
    return out_offsets[heights.size]


@kernel(i64(*LISTS, i64, *PIECES, *OUT_LISTS))
def flips(toggles, offsets, heights, widths, upside_down, columns, tops, bottoms, out, out_offsets):
    """Mirror every mask.

    Parameters
    ----------
    toggles, offsets : int64 and (n + 1,) int64
        Toggle lists.
    heights, widths : (n,) int64
    upside_down : int
        Nonzero: swap top and bottom; 0: swap left and right.
    columns, tops, bottoms : int64, scratch
        Column pieces: three values for each run of the longest list.
    out, out_offsets : (>= 3 * offsets[n],) and (n + 1,) int64, out
        Toggle lists.

    Returns
    -------
    int
        The number of values written.
    """
    out_offsets[0] = 0
    for k in range(heights.size):
        height = heights[k]
        n_pieces = column_pieces(toggles[offsets[k] :], height, 0, SENTINEL, columns, tops, bottoms)
        moved = out[out_offsets[k] :]
        n = ZERO
        first = ZERO
        last = u64(n_pieces)
        while first < last:
            # The pieces start .. stop - 1 of the next column, from the left or from the right, or
            # one piece of whole columns.
            if upside_down:
                start = first
                stop = start + ONE
                while stop < last and columns[stop] == columns[start]:
                    stop += ONE
                first = stop
                place = columns[start] * height
            else:
                stop = last
                start = stop - ONE
                while start > first and columns[start - ONE] == columns[start]:
                    start -= ONE
                last = start
                n_columns = bottoms[start] // height if bottoms[start] > height else 1
                place = (widths[k] - columns[start] - n_columns) * height
            if upside_down and bottoms[start] <= height:
                place += height
                while stop > start:
                    stop -= ONE
                    n = append_run(place - bottoms[stop], place - tops[stop], moved, n)
            while start < stop:
                n = append_run(place + tops[start], place + bottoms[start], moved, n)
                start += ONE
        end_list(out, out_offsets, k, n)
    return out_offsets[heights.size]


@kernel(i64(*LISTS, *OUT_LISTS))
def half_turns(toggles, offsets, heights, widths, out, out_offsets):
    """Turn every mask by 180 degrees: the toggles in reverse.

    Parameters
    ----------
    toggles, offsets : int64 and (n + 1,) int64
        Toggle lists; the first offset is 0.
    heights, widths : (n,) int64
    out, out_offsets : (>= offsets[n],) and (n + 1,) int64, out
        Toggle lists.

    Returns
    -------
    int
        The number of values written.
    """
    out_offsets[0] = 0
    for k in range(heights.size):
        n_pixels = heights[k] * widths[k]
        start = offsets[k]
        end = offsets[k + 1] - 1
        for i in range(start, end):
            out[start + end - 1 - i] = n_pixels - toggles[i]
        end_list(out, out_offsets, k, u64(end - start))
    return out_offsets[heights.size]
