"""Change words -> places -> COCO text.

::

    change words -> how many a column -> (running sums) -> places, in order, after each mask its end
    places -> characters of 16 counts -> (running sums) -> text

The running sums are PyTorch's. Counts and their text are those of
:mod:`mtfast.kernels.rle.coco_string`. A mask of n changes has n + 1 places: the last is the number
of its pixels, which is below 2**31.
"""

from mtfast.kernels.device.change_words import THREADS
from mtfast.kernels.device.twice import device_function, device_kernel
from mtfast.kernels.jit import i32, i64, u8, u32

__all__ = ["SEGMENT", "column_lengths", "places_of_words", "text_lengths", "write_text"]

# Counts that a thread writes.
SEGMENT = 16


@device_function
def bits_set(word):
    """Count the bits of a word."""
    # Compilers know this form, and make one instruction of it.
    word = u32(word - u32(u32(word >> u32(1)) & u32(0x55555555)))
    word = u32(u32(word & u32(0x33333333)) + u32(u32(word >> u32(2)) & u32(0x33333333)))
    word = u32(u32(word + u32(word >> u32(4))) & u32(0x0F0F0F0F))
    return i32(u32(u32(word * u32(0x01010101)) >> u32(24)))


@device_kernel("u32[] i64 i64 i64 i32[]", threads=THREADS)
def column_lengths(bx, by, t, scratch, words, height, width, n_columns, lengths):
    """Count the places of each column: its changes, and in the last one the end of the mask.

    Parameters
    ----------
    words : uint32
        Change words.
    height, width : int
    n_columns : int
        Of all masks.
    lengths : (n_columns,) int32, out
    """
    k = i32(i32(bx * THREADS) + t)
    if k < n_columns:
        w = i32(width)
        n_blocks = i32(i32(i32(height) + 31) >> 5)
        frame = i32(u32(k) // u32(w))
        column = i32(k - i32(frame * w))
        at = i64(frame) * i64(i32(n_blocks * w)) + column
        n = i32(column == i32(w - 1))
        for block in range(n_blocks):
            n = i32(n + bits_set(words[at + i32(i32(block) * w)]))
        lengths[k] = n


@device_kernel("u32[] i64 i64 i64 i64[] i32[]", threads=THREADS)
def places_of_words(bx, by, t, scratch, words, height, width, n_columns, starts, places):
    """Write the places of each column.

    Parameters
    ----------
    words : uint32
        Change words.
    height, width, n_columns
        As in :func:`column_lengths`.
    starts : (n_columns + 1,) int64
        Running sums of the lengths.
    places : (starts[n_columns],) int32, out
    """
    k = i32(i32(bx * THREADS) + t)
    if k < n_columns:
        h, w = i32(height), i32(width)
        n_blocks = i32(i32(h + 31) >> 5)
        frame = i32(u32(k) // u32(w))
        column = i32(k - i32(frame * w))
        to = starts[k]
        stop = starts[k + 1]
        if column == i32(w - 1):
            stop -= 1
            places[stop] = i32(h * w)
        at = i64(frame) * i64(i32(n_blocks * w)) + column
        place = i32(column * h)
        while to < stop:
            word = words[at]
            while word != u32(0):
                rest = u32(word & u32(word - u32(1)))
                places[to] = i32(place + bits_set(u32(u32(word ^ rest) - u32(1))))
                to += 1
                word = rest
            at += w
            place = i32(place + 32)


@device_function
def mask_of_count(offsets, n_masks, k):
    """Return the mask to which count k belongs."""
    low, high = i32(0), i32(n_masks)
    while i32(high - low) > 1:
        middle = i32(i32(low + high) >> 1)
        if offsets[middle] <= k:
            low = middle
        else:
            high = middle
    return low


@device_function
def number_of_count(places, k, order):
    """Return the number that stands for count k, which is the ``order``-th of its mask."""
    number = places[k]
    if order > 0:
        number = i32(number - places[k - 1])
    # The differences begin with the fourth count.
    if order > 2:
        number = i32(number - i32(places[k - 2] - places[k - 3]))
    return number


@device_function
def characters_of(number):
    """Return how many groups of five bits a number needs."""
    n = i32(1)
    bits = i32(number ^ i32(number >> 31))
    for shift in range(4, 31, 5):
        n = i32(n + i32(bits >= i32(1 << shift)))
    return n


@device_kernel("i32[] i64 i64[] i64 i32[]", threads=THREADS)
def text_lengths(bx, by, t, scratch, places, n_places, offsets, n_masks, lengths):
    """Measure the text of each segment.

    Parameters
    ----------
    places : (n_places,) int32
    n_places : int
    offsets : (n_masks + 1,) int64
        The places of mask m are places[offsets[m]:offsets[m + 1]]; it has at least one.
    n_masks : int
    lengths : (n_segments,) int32, out
        Characters of SEGMENT counts, of the last segment those that are left.
    """
    segment = i64(i32(bx)) * THREADS + t
    k = segment * SEGMENT
    if k < n_places:
        stop = min(k + SEGMENT, n_places)
        mask = mask_of_count(offsets, n_masks, k)
        order = k - offsets[mask]
        end = offsets[mask + 1]
        n = i32(0)
        while k < stop:
            if k == end:
                mask = i32(mask + 1)
                end = offsets[mask + 1]
                order = i64(0)
            n = i32(n + characters_of(number_of_count(places, k, order)))
            k += 1
            order += 1
        lengths[segment] = n


@device_function
def put_number(number, text, at):
    """Write a number from ``text[at]`` on; return its end."""
    n = characters_of(number)
    for _ in range(1, n):
        text[at] = u8(i32(i32(number & 31) + 80))
        number = i32(number >> 5)
        at += 1
    text[at] = u8(i32(i32(number & 31) + 48))
    return at + 1


@device_kernel("i32[] i64 i64[] i64 i64[] u8[] i64[]", threads=THREADS)
def write_text(bx, by, t, scratch, places, n_places, offsets, n_masks, starts, text, text_offsets):
    """Write the text of each segment, and where the text of each mask begins.

    Parameters
    ----------
    places, n_places, offsets, n_masks
        As in :func:`text_lengths`.
    starts : (n_segments + 1,) int64
        Running sums of the lengths.
    text : (starts[n_segments],) uint8, out
    text_offsets : (n_masks + 1,) int64, out
    """
    segment = i64(i32(bx)) * THREADS + t
    k = segment * SEGMENT
    if k < n_places:
        stop = min(k + SEGMENT, n_places)
        mask = mask_of_count(offsets, n_masks, k)
        order = k - offsets[mask]
        end = offsets[mask + 1]
        at = starts[segment]
        while k < stop:
            if k == end:
                mask = i32(mask + 1)
                end = offsets[mask + 1]
                order = i64(0)
            if order == 0:
                text_offsets[mask] = at
            at = put_number(number_of_count(places, k, order), text, at)
            k += 1
            order += 1
        if stop == n_places:
            text_offsets[n_masks] = at
