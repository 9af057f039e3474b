"""Crop, pad and flip without pixels.

Each mask is cut into pieces of columns, which move on their own, and what touches in the new frame
becomes one run again. Whole columns side by side move as one wherever they stay side by side.
"""

from mtfast.kernels.jit import i64, kernel, read, u64, write
from mtfast.kernels.rle.toggle_lists import FAR, ONE, ZERO, append_run, column_pieces


@kernel(
    i64(
        read(i64),
        read(i64),
        read(i64),
        read(i64),
        i64,
        i64,
        i64,
        i64,
        i64,
        write(i64),
        write(i64),
        write(i64),
        write(i64),
        write(i64),
        write(i64),
    )
)
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
    heights, widths : (n,) int64
    y, x, height, width : int
        The window.
    drop_empty : int
        Nonzero: masks that have nothing in the window are left out.
    columns, tops, bottoms : int64, scratch
        Three values for each run of the longest list.
    nonempty : (n,) int64, out
        1 for masks that have something in the window, else 0.
    out, out_offsets : int64, out
        Room for three values for each toggle and FAR; (n + 1,).

    Returns
    -------
    int
        The number of masks written; or ~k where the window leaves the frame of mask k.
    """
    end = 0
    n_masks = 0
    out_offsets[0] = 0
    for k in range(heights.size):
        frame = heights[k]
        if y + height > frame or x + width > widths[k]:
            return ~k
        n_pieces = column_pieces(
            toggles[offsets[k] :], frame, x * frame, (x + width) * frame, columns, tops, bottoms
        )
        moved = out[end:]
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
            moved[n] = FAR
            end += i64(n) + 1
            n_masks += 1
            out_offsets[n_masks] = end
    return n_masks


@kernel(
    i64(
        read(i64),
        read(i64),
        read(i64),
        i64,
        i64,
        i64,
        write(i64),
        write(i64),
        write(i64),
        write(i64),
        write(i64),
    )
)
def pads(toggles, offsets, heights, top, bottom, left, columns, tops, bottoms, out, out_offsets):
    """Put every mask into a larger frame.

    Parameters
    ----------
    toggles, offsets : int64 and (n + 1,) int64
    heights : (n,) int64
    top, bottom, left : int
        Rows and columns of background that are added; those on the right change no place.
    columns, tops, bottoms : int64, scratch
        Three values for each run of the longest list.
    out, out_offsets : int64, out
        Room for the lists of all column runs, or for those of all toggles where no rows are added;
        (n + 1,).

    Returns
    -------
    int
        The number of values written.
    """
    end = 0
    out_offsets[0] = 0
    for k in range(heights.size):
        frame = heights[k]
        height = top + frame + bottom
        n_pieces = column_pieces(toggles[offsets[k] :], frame, 0, FAR, columns, tops, bottoms)
        moved = out[end:]
        n = ZERO
        for i in range(n_pieces):
            place = (columns[i] + left) * height + top
            if bottoms[i] > frame and height > frame:
                for _ in range(bottoms[i] // frame):
                    n = append_run(place, place + frame, moved, n)
                    place += height
            else:
                n = append_run(place + tops[i], place + bottoms[i], moved, n)
        moved[n] = FAR
        end += i64(n) + 1
        out_offsets[k + 1] = end
    return end


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
    )
)
def flips(toggles, offsets, heights, widths, upside_down, columns, tops, bottoms, out, out_offsets):
    """Mirror every mask: left and right, or top and bottom if upside_down is not zero.

    Parameters
    ----------
    toggles, offsets : int64 and (n + 1,) int64
    heights, widths : (n,) int64
    upside_down : int
    columns, tops, bottoms : int64, scratch
        Three values for each run of the longest list.
    out, out_offsets : int64, out
        Room for three values for each toggle and FAR; (n + 1,).

    Returns
    -------
    int
        The number of values written.
    """
    end = 0
    out_offsets[0] = 0
    for k in range(heights.size):
        height = heights[k]
        n_pieces = column_pieces(toggles[offsets[k] :], height, 0, FAR, columns, tops, bottoms)
        moved = out[end:]
        n = ZERO
        first = ZERO
        last = u64(n_pieces)
        while first < last:
            # The pieces of one column, the next from the left or from the right; whole columns
            # side by side are alone.
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
        moved[n] = FAR
        end += i64(n) + 1
        out_offsets[k + 1] = end
    return end


@kernel(i64(read(i64), read(i64), read(i64), read(i64), write(i64), write(i64)))
def half_turns(toggles, offsets, heights, widths, out, out_offsets):
    """Turn every mask by 180 degrees: the places in reverse.

    ``out`` holds as many values as ``toggles``; returns the number written.
    """
    out_offsets[0] = 0
    for k in range(heights.size):
        n_pixels = heights[k] * widths[k]
        start = offsets[k]
        end = offsets[k + 1] - 1
        for i in range(start, end):
            out[start + end - 1 - i] = n_pixels - toggles[i]
        out[end] = FAR
        out_offsets[k + 1] = end + 1
    return offsets[heights.size]
