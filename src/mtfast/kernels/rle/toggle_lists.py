"""COCO text <-> toggles, the form in which masks are combined, cut and moved.

A toggle is a place of the column-major frame where a mask begins or ends: the first and the second
enclose foreground, the second and the third background, and so on::

    . # # .
    . . # .      counts    2 2 2 2 4
    # . . .      toggles   2 4 6 8

The toggles of a mask are a *list*: an even number of them, strictly ascending, from 0 to the
pixels of the frame, and FAR behind the last, so that a loop over two lists never asks whether one
of them has ended. The lists of many masks lie one after another, and list k is
``toggles[offsets[k]:offsets[k + 1]]``, with its FAR.

Loops that step through lists count unsigned: that spares the test for indices from the end, which
is a third of their time.
"""

from mtfast.kernels.jit import i64, kernel, read, u8, u64, write
from mtfast.kernels.rle.coco_string import decode_places, encode_counts

# Behind the toggles of every list; beyond every place, also of a frame with a margin of its size.
FAR = 1 << 60
# No place lies beyond it.
LAST = 1 << 50

# What a kernel returns whose output has no useful bound.
TOO_MANY_TOGGLES = -7

ZERO, ONE, TWO = u64(0), u64(1), u64(2)


@kernel(i64(write(i64), i64))
def drop_pairs(toggles, n):
    """Drop pairs of toggles at one place from n ascending ones; return how many are left."""
    end = 0
    for i in range(n):
        if end > 0 and toggles[end - 1] == toggles[i]:
            end -= 1
        else:
            toggles[end] = toggles[i]
            end += 1
    return end


@kernel(i64(read(u8), read(i64), read(i64), read(i64), i64, write(i64), write(i64)))
def decode_lists(text, offsets, heights, widths, max_pixels, toggles, toggle_offsets):
    """Decode COCO strings into lists of toggles; runs of no length leave none.

    Parameters
    ----------
    text, offsets : (n_bytes,) uint8 and (n + 1,) int64
        Only the first and the last of the offsets have been checked.
    heights, widths : (n,) int64
    max_pixels : int
    toggles : (>= offsets[n] - offsets[0] + n,) int64, out
    toggle_offsets : (n + 1,) int64, out

    Returns
    -------
    int
        The length of the longest list, with FAR; or ~k where the frame, the offsets or the string
        of mask k is bad.
    """
    at = 0
    longest = 0
    toggle_offsets[0] = 0
    for k in range(heights.size):
        height = heights[k]
        width = widths[k]
        if min(height, width) < 0 or max(height, width) > max_pixels:
            return ~k
        if width > 0 and height > max_pixels // width:
            return ~k
        # Offsets that ascend so far and stay below the last one lie in the text.
        if offsets[k] > offsets[k + 1] or offsets[k + 1] > offsets[heights.size]:
            return ~k
        places = toggles[at:]
        n = decode_places(text, offsets[k], offsets[k + 1], height * width, places)
        if n < 0:
            return ~k
        # An odd number of counts ends with background, which nothing toggles back.
        n -= n & 1
        n_empty = 0
        for i in range(1, n):
            n_empty += places[i] == places[i - 1]
        if n_empty > 0:
            n = drop_pairs(places, n)
        places[n] = FAR
        longest = max(longest, n + 1)
        at += n + 1
        toggle_offsets[k + 1] = at
    return longest


@kernel(i64(write(i64), read(i64), read(i64), read(i64), write(u8), write(i64)))
def encode_lists(toggles, offsets, heights, widths, text, text_offsets):
    """Encode lists of toggles as COCO text; the toggles turn into counts in place.

    Parameters
    ----------
    toggles, offsets : int64 and (n + 1,) int64
    heights, widths : (n,) int64
    text : uint8, out
        MAX_CHARACTERS for each toggle and FAR.
    text_offsets : (n + 1,) int64, out

    Returns
    -------
    int
        The number of characters written.
    """
    at = 0
    text_offsets[0] = 0
    for k in range(heights.size):
        n_pixels = heights[k] * widths[k]
        runs = toggles[offsets[k] : offsets[k + 1]]
        n = runs.size - 1
        place = 0
        for i in range(n):
            length = runs[i] - place
            place = runs[i]
            runs[i] = length
        if place < n_pixels or n == 0:
            runs[n] = n_pixels - place
            n += 1
        at = encode_counts(runs, 0, n, text, at)
        text_offsets[k + 1] = at
    return at


@kernel(i64(read(i64)))
def length_of_list(toggles):
    """Count the toggles of the list that begins at 0."""
    n = ZERO
    while toggles[n] <= LAST:
        n += ONE
    return i64(n)


@kernel(u64(i64, i64, write(i64), u64))
def append_run(start, stop, toggles, n):
    """Append a run to an unfinished list of n toggles; return how many there are then.

    A run that begins where the last one ends prolongs it.
    """
    if n > ZERO and toggles[n - ONE] == start:
        toggles[n - ONE] = stop
        return n
    toggles[n] = start
    toggles[n + ONE] = stop
    return n + TWO


@kernel(i64(read(i64), read(i64), read(i64), read(i64), write(i64), write(i64)))
def complements(toggles, offsets, heights, widths, out, out_offsets):
    """Swap foreground and background of every mask; ``out`` needs room for two more toggles each.

    Returns how many values were written.
    """
    end = 0
    out_offsets[0] = 0
    for k in range(heights.size):
        n_pixels = heights[k] * widths[k]
        start = offsets[k]
        stop = offsets[k + 1] - 1
        if n_pixels > 0:
            # A toggle at either end of the frame goes if it is there, and comes if it is not.
            if start < stop and toggles[start] == 0:
                start += 1
            else:
                out[end] = 0
                end += 1
            for i in range(start, stop):
                out[end] = toggles[i]
                end += 1
            if out[end - 1] == n_pixels:
                end -= 1
            else:
                out[end] = n_pixels
                end += 1
        out[end] = FAR
        end += 1
        out_offsets[k + 1] = end
    return end


@kernel(i64(read(i64), i64, i64, i64, write(i64), write(i64), write(i64)))
def column_pieces(toggles, height, start, stop, columns, tops, bottoms):
    """Cut what a mask has between two places into pieces of columns.

    ::

        . . # # # .
        . . # # # .      head: rows 2..3 of column 1
        . # # # . .      body: two whole columns from column 2 on, as rows 0..7
        . # # # . .      tail: rows 0..1 of column 4

    Parameters
    ----------
    toggles : int64
        List of the mask.
    height : int
    start, stop : int
        Places; 0 and FAR for the whole mask.
    columns, tops, bottoms : int64, out
        Column, first row and row behind the last one, ascending. Whole columns side by side are
        one piece. Room for three pieces for each run.

    Returns
    -------
    int
        The number of pieces.
    """
    n = ZERO
    i = ZERO
    x = 0
    top = 0  # place of the first pixel of column x
    while toggles[i] < stop:
        here = max(toggles[i], start)
        end = min(toggles[i + ONE], stop)
        i += TWO
        while here < end:
            if here >= top + height:
                x += 1
                top += height
                if here >= top + height:
                    x = here // height
                    top = x * height
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
    """Count the runs that the columns of a mask have, each column taken alone."""
    n = 0
    i = ZERO
    x = 0
    top = 0
    while toggles[i] <= LAST:
        last = toggles[i + ONE] - 1
        if toggles[i] >= top + height:
            x += 1
            top += height
            if toggles[i] >= top + height:
                x = toggles[i] // height
                top = x * height
        i += TWO
        n += 1
        if last >= top + height:
            n += last // height - x
    return n


@kernel(i64(read(i64), read(i64), read(i64)))
def all_column_runs(toggles, offsets, heights):
    """Count the runs that the columns of all masks have, each column taken alone."""
    n = 0
    for k in range(heights.size):
        n += n_column_runs(toggles[offsets[k] :], heights[k])
    return n


@kernel(i64(read(i64), read(i64), i64, i64))
def first_of_other_size(heights, widths, height, width):
    """Return the first mask whose frame is not height x width, or -1."""
    for k in range(heights.size):
        if heights[k] != height or widths[k] != width:
            return k
    return -1
