"""The columns of a mask, each taken alone.

A run of a mask goes on from the end of a column to the start of the next one. Cut there, it becomes
pieces, each of which can be moved, mirrored or shortened on its own::

    . . # # # .
    . . # # # .      head: column 1, rows 2..3
    . # # # . .      body: columns 2 and 3, as rows 0..7 of column 2
    . # # # . .      tail: column 4, rows 0..1
"""

from mtfast.kernels.jit import i64, kernel, read, write
from mtfast.kernels.rle.columns import column_of
from mtfast.kernels.rle.toggle_lists import MAX_PLACE, ONE, TWO, ZERO

__all__ = ["PIECES", "all_column_runs", "column_pieces", "n_column_runs"]

# Arrays of a signature: columns, tops and bottoms.
PIECES = (write(i64), write(i64), write(i64))


@kernel(i64(read(i64), i64, i64, i64, *PIECES))
def column_pieces(toggles, height, start, stop, columns, tops, bottoms):
    """Cut what a mask has between two places into column pieces.

    Parameters
    ----------
    toggles : int64
        Toggle list.
    height : int
    start, stop : int
        Places; 0 and SENTINEL for the whole mask.
    columns, tops, bottoms : int64, out
        Column, first row and row after the last one, ascending. Whole columns side by side are one
        piece, which ends beyond the column. Three values for each run.

    Returns
    -------
    int
        The number of pieces.
    """
    n = ZERO
    i = ZERO
    x = top = 0
    while toggles[i] < stop:
        here = max(toggles[i], start)
        end = min(toggles[i + ONE], stop)
        i += TWO
        while here < end:
            x, top = column_of(here, x, top, height)
            piece_end = top + height
            if here == top and end > piece_end:
                piece_end = top + (end - top) // height * height
            piece_end = min(piece_end, end)
            columns[n] = x
            tops[n] = here - top
            bottoms[n] = piece_end - top
            n += ONE
            here = piece_end
    return i64(n)


@kernel(i64(read(i64), i64))
def n_column_runs(toggles, height):
    """Count the runs that the columns of a mask have, each column taken alone.

    Parameters
    ----------
    toggles : int64
        Toggle list.
    height : int

    Returns
    -------
    int
    """
    n = 0
    i = ZERO
    x = top = 0
    while toggles[i] <= MAX_PLACE:
        x, top = column_of(toggles[i], x, top, height)
        last = toggles[i + ONE] - 1
        i += TWO
        n += 1
        if last >= top + height:
            n += last // height - x
    return n


@kernel(i64(read(i64), read(i64), read(i64)))
def all_column_runs(toggles, offsets, heights):
    """Count the runs that the columns of all masks have, each column taken alone.

    Parameters
    ----------
    toggles, offsets : int64 and (n + 1,) int64
        Toggle lists.
    heights : (n,) int64

    Returns
    -------
    int
    """
    n = 0
    for k in range(heights.size):
        n += n_column_runs(toggles[offsets[k] :], heights[k])
    return n
