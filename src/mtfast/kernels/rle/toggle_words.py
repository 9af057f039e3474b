"""COCO text <-> toggle words: the places where a mask begins or ends, as bits.

A word stands for 64 neighbouring pixels of a column; only words with a bit set are kept::

    bases   place of the first pixel of each word, ascending; after the last one the frame's size
    words   bit k: pixel base + k differs from the pixel before it

    . # # .      bases    0     3     6     12
    . . # .      words    100   010   101            highest bit first
    # . . .
"""

from mtfast.kernels.intrinsics import drop_lowest, ones, trailing_zeros
from mtfast.kernels.jit import i64, kernel, read, u8, u64, write
from mtfast.kernels.rle.coco_string import TOO_SHORT
from mtfast.kernels.rle.long_strings import (
    BATCH,
    SCRATCH,
    end_of_batch,
    read_places,
    write_numbers,
)

__all__ = ["BATCH", "SCRATCH", "text_capacity", "text_of_toggles", "toggles_of_text"]


@kernel(i64(i64, i64))
def text_capacity(n_toggles, n_pixels):
    """Return how many characters :func:`text_of_toggles` needs at most.

    A number d needs 1 + abs(d) / 16 characters at most, and nine in a frame of up to 2**40 pixels.
    The numbers add up to at most twice the frame.

    Parameters
    ----------
    n_toggles, n_pixels : int

    Returns
    -------
    int
    """
    n_counts = n_toggles + 1
    return min(9 * n_counts, n_counts + (n_pixels >> 3)) + 8


@kernel(i64(read(u8), i64, i64, i64, i64, write(i64), write(i64), write(u64)))
def toggles_of_text(text, start, stop, height, n_pixels, places, bases, words):
    """Decode ``text[start:stop]`` into toggle words.

    Accepts what :func:`mtfast.kernels.rle.coco_string.decode_places` accepts, and nothing else.

    Parameters
    ----------
    text : (n,) uint8
    start, stop : int
    height : int
        A word ends with its column; n_pixels for words that go on into the next column.
    n_pixels : int
    places : (SCRATCH,) int64, scratch
    bases, words : int64 and uint64, out
        Toggle words: two more than the text has characters or the frame has words, whichever is
        less. The first word is there even if it has no bit set.

    Returns
    -------
    int
        How many words were written, or a negative status.
    """
    n = u64(0)
    word = u64(0)
    base = 0
    bases[n] = base
    words[n] = word
    total = 0
    top = 0  # place of the first pixel of the column of total
    bottom = height
    previous = 0
    before_previous = 0
    at = start
    while at < stop:
        end = end_of_batch(text, at, stop)
        n_places = read_places(
            text, at, end, n_pixels, at - start, total, previous, before_previous, places
        )
        if n_places < 0:
            return n_places
        at = end
        if n_places > 2:
            previous = places[n_places - 1] - places[n_places - 2]
            before_previous = places[n_places - 2] - places[n_places - 3]
        total = places[n_places - 1]
        for i in range(n_places):
            place = places[i]
            if place >= bottom:
                if place == n_pixels:
                    continue
                top = bottom
                if place >= bottom + height:
                    top = place // height * height
                bottom = top + height
            y = place - top
            here = place - (y & 63)
            new = here != base
            base = here
            n += u64(new)
            word = (u64(0) if new else word) ^ (u64(1) << u64(y & 63))
            bases[n] = base
            words[n] = word
    if total != n_pixels:
        return TOO_SHORT
    n += u64(1)
    bases[n] = n_pixels
    return i64(n)


@kernel(i64(read(i64), read(u64), i64, write(i64), write(i64), write(u8)))
def text_of_toggles(bases, words, n_pixels, places, numbers, text):
    """Write a mask that is given as toggle words as text.

    Parameters
    ----------
    bases, words : int64 and uint64
        Toggle words, up to the base n_pixels.
    n_pixels : int
    places, numbers : (SCRATCH,) int64, scratch
    text : uint8, out
        See :func:`text_capacity`.

    Returns
    -------
    int
        How many characters were written.
    """
    # Three places before the frame, so that the first counts are no special case.
    places[:3] = 0
    at = 0
    first = True
    i = u64(0)
    more = True
    while more:
        n = u64(3)
        while n < u64(BATCH):
            base = bases[i]
            if base == n_pixels:
                places[n] = base
                n += u64(1)
                more = False
                break
            word = words[i]
            i += u64(1)
            stop = n + u64(ones(word))
            while n < stop:
                # Four at a time; those beyond the last one are overwritten.
                for _ in range(4):
                    places[n] = base + trailing_zeros(word)
                    word = drop_lowest(word)
                    n += u64(1)
            n = stop
        n_numbers = i64(n) - 3
        for k in range(n_numbers):
            numbers[k] = places[k + 3] - places[k + 2] - (places[k + 1] - places[k])
        if first and n_numbers > 2:
            numbers[2] += places[3]
        first = False
        at = write_numbers(numbers, n_numbers, text, at)
        for k in range(3):
            places[k] = places[n_numbers + k]
    return at
