"""COCO text <-> toggle lists, the form in which masks are combined, cut and moved.

A toggle is a place where a mask begins or ends: the first and the second enclose foreground, the
second and the third background, and so on::

    . # # .
    . . # .      counts         2 2 2 2 4
    # . . .      toggle list    2 4 6 8 SENTINEL

The sentinel after the last toggle is beyond every place, so that a loop over two lists never asks
whether one of them has ended. It belongs to the list.

Loops that step through lists count unsigned: that saves the test for indices from the end, which
is a third of their time.
"""

from mtfast.kernels.jit import i64, kernel, read, u8, u64, write
from mtfast.kernels.rle.coco_string import encode_counts
from mtfast.kernels.rle.places import places_of_text

__all__ = [
    "LISTS",
    "MAX_PLACE",
    "ONE",
    "OUT_LISTS",
    "SENTINEL",
    "TWO",
    "ZERO",
    "append_run",
    "complements",
    "counts_of_list",
    "decode_list",
    "decode_lists",
    "drop_pairs",
    "encode_lists",
    "end_list",
    "first_of_other_size",
    "length_of_list",
]

# After the toggles of every list; beyond every place, even of a frame with margins of its own size.
SENTINEL = 1 << 60
# No toggle is beyond it.
MAX_PLACE = 1 << 50

ZERO, ONE, TWO = u64(0), u64(1), u64(2)

# Arrays of a signature: the toggle lists of n masks, with n + 1 offsets and n heights and widths;
# and lists that are written, with their offsets.
LISTS = (read(i64), read(i64), read(i64), read(i64))
OUT_LISTS = (write(i64), write(i64))


@kernel(i64(write(i64), i64))
def drop_pairs(toggles, n):
    """Drop pairs of equal toggles, which enclose nothing, from ascending ones.

    Parameters
    ----------
    toggles : (>= n,) int64
        Overwritten.
    n : int

    Returns
    -------
    int
        How many are left.
    """
    end = 0
    for i in range(n):
        if end > 0 and toggles[end - 1] == toggles[i]:
            end -= 1
        else:
            toggles[end] = toggles[i]
            end += 1
    return end


@kernel(i64(read(u8), i64, i64, i64, write(i64)))
def decode_list(text, start, stop, n_pixels, toggles):
    """Decode ``text[start:stop]`` into a toggle list; counts of 0 leave no toggles.

    Parameters
    ----------
    text : (n,) uint8
    start, stop, n_pixels : int
    toggles : (>= stop - start + 1,) int64, out

    Returns
    -------
    int
        How many toggles were written before the sentinel, or a status of decode_places.
    """
    n = places_of_text(text, start, stop, n_pixels, toggles)
    if n < 0:
        return n
    # An odd number of counts ends with background, which nothing toggles back.
    n -= n & 1
    n_empty = 0
    for i in range(1, n):
        n_empty += toggles[i] == toggles[i - 1]
    if n_empty > 0:
        n = drop_pairs(toggles, n)
    toggles[n] = SENTINEL
    return n


@kernel(i64(read(u8), read(i64), read(i64), read(i64), i64, *OUT_LISTS))
def decode_lists(text, offsets, heights, widths, max_pixels, toggles, toggle_offsets):
    """Decode texts into toggle lists.

    Parameters
    ----------
    text, offsets : (n_bytes,) uint8 and (n + 1,) int64
        Only the first and the last of the offsets have been checked.
    heights, widths : (n,) int64
    max_pixels : int
    toggles, toggle_offsets : (>= offsets[n] - offsets[0] + n,) and (n + 1,) int64, out
        Toggle lists.

    Returns
    -------
    int
        The length of the longest list, with its sentinel; or ~k where the frame, the offsets or the
        text of mask k is bad.
    """
    longest = 0
    toggle_offsets[0] = 0
    for k in range(heights.size):
        height = heights[k]
        width = widths[k]
        if min(height, width) < 0 or max(height, width) > max_pixels:
            return ~k
        if width > 0 and height > max_pixels // width:
            return ~k
        # Offsets that ascend up to here, and stay below the last one, are inside the text.
        if offsets[k] > offsets[k + 1] or offsets[k + 1] > offsets[heights.size]:
            return ~k
        at = toggle_offsets[k]
        n = decode_list(text, offsets[k], offsets[k + 1], height * width, toggles[at:])
        if n < 0:
            return ~k
        longest = max(longest, n + 1)
        toggle_offsets[k + 1] = at + n + 1
    return longest


@kernel(i64(write(i64), i64, i64))
def counts_of_list(toggles, n, n_pixels):
    """Turn a toggle list into counts, in place.

    Parameters
    ----------
    toggles : (>= n + 1,) int64
        Toggle list of n toggles.
    n, n_pixels : int

    Returns
    -------
    int
        The number of counts.
    """
    place = 0
    for i in range(n):
        count = toggles[i] - place
        place = toggles[i]
        toggles[i] = count
    if place < n_pixels or n == 0:
        toggles[n] = n_pixels - place
        n += 1
    return n


@kernel(i64(write(i64), *LISTS[1:], write(u8), write(i64)))
def encode_lists(toggles, offsets, heights, widths, text, text_offsets):
    """Write masks as text, one after another.

    Parameters
    ----------
    toggles, offsets : int64 and (n + 1,) int64
        Toggle lists; overwritten with counts.
    heights, widths : (n,) int64
    text : (>= MAX_CHARACTERS * (offsets[n] - offsets[0]),) uint8, out
    text_offsets : (n + 1,) int64, out

    Returns
    -------
    int
        The number of characters written.
    """
    at = 0
    text_offsets[0] = 0
    for k in range(heights.size):
        list_ = toggles[offsets[k] : offsets[k + 1]]
        n = counts_of_list(list_, list_.size - 1, heights[k] * widths[k])
        at = encode_counts(list_, 0, n, text, at)
        text_offsets[k + 1] = at
    return at


@kernel(i64(read(i64)))
def length_of_list(toggles):
    """Count the toggles of the list that begins at 0.

    Parameters
    ----------
    toggles : int64
        Toggle list, with anything after it.

    Returns
    -------
    int
        Without the sentinel.
    """
    n = ZERO
    while toggles[n] <= MAX_PLACE:
        n += ONE
    return i64(n)


@kernel(u64(i64, i64, write(i64), u64))
def append_run(start, stop, toggles, n):
    """Append a run to an unfinished toggle list; one that begins where the last ends extends it.

    Parameters
    ----------
    start, stop : int
        Places, not before the last toggle.
    toggles : (>= n + 2,) int64, out
    n : int
        How many toggles there are.

    Returns
    -------
    int
        How many there are now.
    """
    if n > ZERO and toggles[n - ONE] == start:
        toggles[n - ONE] = stop
        return n
    toggles[n] = start
    toggles[n + ONE] = stop
    return n + TWO


@kernel(i64(write(i64), write(i64), i64, u64))
def end_list(toggles, offsets, k, n):
    """Finish toggle list k, which begins at ``offsets[k]`` and has n toggles.

    Parameters
    ----------
    toggles, offsets : int64, out
        Toggle lists; the sentinel and ``offsets[k + 1]`` are written.
    k, n : int

    Returns
    -------
    int
        Where the list ends.
    """
    end = offsets[k] + i64(n)
    toggles[end] = SENTINEL
    offsets[k + 1] = end + 1
    return end + 1


@kernel(i64(*LISTS, *OUT_LISTS))
def complements(toggles, offsets, heights, widths, out, out_offsets):
    """Swap foreground and background of every mask.

    Parameters
    ----------
    toggles, offsets : int64 and (n + 1,) int64
        Toggle lists.
    heights, widths : (n,) int64
    out, out_offsets : (>= offsets[n] + 2 * n,) and (n + 1,) int64, out
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
        stop = offsets[k + 1] - 1
        inverse = out[out_offsets[k] :]
        n = 0
        if n_pixels > 0:
            # A toggle at either end of the frame is dropped if it is there, and added if it is not.
            if start < stop and toggles[start] == 0:
                start += 1
            else:
                inverse[0] = 0
                n = 1
            for i in range(start, stop):
                inverse[n] = toggles[i]
                n += 1
            if n > 0 and inverse[n - 1] == n_pixels:
                n -= 1
            else:
                inverse[n] = n_pixels
                n += 1
        end_list(out, out_offsets, k, u64(n))
    return out_offsets[heights.size]


@kernel(i64(read(i64), read(i64), i64, i64))
def first_of_other_size(heights, widths, height, width):
    """Find the first mask whose frame has another size than height x width.

    Parameters
    ----------
    heights, widths : (n,) int64
    height, width : int

    Returns
    -------
    int
        Its number, or -1 where all have that size.
    """
    for k in range(heights.size):
        if heights[k] != height or widths[k] != width:
            return k
    return -1
