"""Long texts, 64 characters at a time.

A text of more than a thousand characters belongs to a mask of many runs, whose lengths no branch
predictor can guess. So no branch here depends on the length of a number: a word tells for 64
characters which of them end one, and the groups of five bits of a number are joined in one step::

    text       1 1 P 2 0 o 0 N
    ends       1 1 0 1 1 0 1 1       bit k: character k is the last one of its number

    a number of three characters as a word, highest first:

    0x... 000ccccc 000bbbbb 000aaaaa      each group in a byte of its own
    0x... 00ccccc0 000000bb bbbaaaaa      pairs of groups joined, then pairs of pairs, then all
"""

from mtfast.kernels.intrinsics import below64, drop_lowest, load64, trailing_zeros
from mtfast.kernels.jit import i64, kernel, read, u8, u64, write
from mtfast.kernels.rle.coco_string import (
    BAD_CHARACTER,
    MAX_GROUPS,
    NEGATIVE_RUN,
    OVERLONG,
    TOO_LONG,
    TRUNCATED,
    WORD_GROUPS,
    write_number,
)

__all__ = ["BATCH", "SCRATCH", "end_of_batch", "read_numbers", "read_places", "write_numbers"]

ALL = 0xFFFF_FFFF_FFFF_FFFF

# Characters that are read, or numbers that are written, at a time. The scratch array also holds the
# rest of a number or word that a batch would cut in two, and three places of the batch before.
BATCH = 1024
SCRATCH = BATCH + 128


@kernel(i64(read(u8), i64, i64))
def end_of_batch(text, at, stop):
    """Return where the batch of ``text[at:stop]`` that begins at ``at`` ends.

    No number is cut in two, unless it is too long to be one.

    Parameters
    ----------
    text : (n,) uint8
    at, stop : int

    Returns
    -------
    int
        At most ``at + SCRATCH``.
    """
    end = min(at + BATCH, stop)
    while end < stop and (i64(text[end - 1]) - 48) & 32 and end - at < SCRATCH:
        end += 1
    return end


@kernel(i64(read(u8), i64, i64))
def long_number(text, at, n_groups):
    """Return the number of up to eight characters that begins at ``text[at]``.

    Parameters
    ----------
    text : (>= at + WORD_GROUPS,) uint8
    at, n_groups : int

    Returns
    -------
    int
    """
    # Flipping 16 takes off the 48, as far as five bits go.
    word = load64(text, at) ^ u64(0x1010101010101010)
    word <<= u64(64 - 8 * n_groups)
    word >>= u64(64 - 8 * n_groups)
    word = (word & u64(0x001F001F001F001F)) | (word & u64(0x1F001F001F001F00)) >> u64(3)
    word = (word & u64(0x000003FF000003FF)) | (word & u64(0x03FF000003FF0000)) >> u64(6)
    word = (word & u64(0x000FFFFF)) | (word & u64(0x000FFFFF00000000)) >> u64(12)
    sign = u64(1) << u64(5 * n_groups - 1)
    return i64(word ^ sign) - i64(sign)


@kernel(i64(read(u8), i64, i64, write(i64)))
def read_numbers(text, at, stop, numbers):
    """Read the numbers of ``text[at:stop]``, most of which are differences of counts.

    Parameters
    ----------
    text : (n,) uint8
    at, stop : int
    numbers : (>= stop - at,) int64, out

    Returns
    -------
    int
        How many numbers were read, or a negative status.
    """
    # One function: with single numbers read in a function of their own, the last characters of a
    # text take so long that short texts take 1.7 times as long; with the words of a window in one,
    # a mask with a tenth of its pixels set at random takes 1.08 times as long.
    n = u64(0)
    while at < stop:
        # Characters after stop may be loaded, but are masked out.
        if at + 64 + WORD_GROUPS <= text.size:
            beyond = u64(0)
            if stop - at < 64:
                beyond = u64(ALL) << u64(stop - at)
            if below64(text, at, u8(48), u8(64)) | beyond != u64(ALL):
                return BAD_CHARACTER
            ends = below64(text, at, u8(48), u8(32))
            if ends == u64(ALL) and not beyond:
                here = text[at : at + 64]
                found = numbers[n : n + u64(64)]
                for k in range(64):
                    found[k] = i64((here[k] - 48) ^ 16) - 16
                n += u64(64)
                at += 64
                continue
            more = ~ends & ~beyond
            ends &= ~beyond
            start = 0
            if not more & (more >> u64(1)) and not more >> u64(63):
                # No number is longer than two characters.
                window = text[at : at + 64]
                while ends:
                    end = trailing_zeros(ends)
                    ends = drop_lowest(ends)
                    # The low five bits of a character are its group with bit 4 flipped.
                    low = (i64(window[u64(start)]) & 31) ^ 16
                    high = (i64(window[u64(end)]) & 31) - 16
                    numbers[n] = (high << 5) | low if end > start else high
                    n += u64(1)
                    start = end + 1
            while ends:
                end = trailing_zeros(ends) + 1
                n_groups = end - start
                if n_groups > WORD_GROUPS:
                    break
                ends = drop_lowest(ends)
                numbers[n] = long_number(text, at + start, n_groups)
                n += u64(1)
                start = end
            at += start
            if start:
                continue
        # As in decode_places, which says why neither calls a function for it.
        group = i64(text[at]) - 48
        at += 1
        value = (group ^ 16) - 16
        if group < 0 or group > 31:
            if group < 0 or group > 63:
                return BAD_CHARACTER
            value = group & 31
            shift = 5
            while group & 32:
                if at == stop:
                    return TRUNCATED
                if shift == 5 * MAX_GROUPS:
                    return OVERLONG
                group = i64(text[at]) - 48
                at += 1
                if group < 0 or group > 63:
                    return BAD_CHARACTER
                value |= (group & 31) << shift
                shift += 5
            if group & 16:
                value -= 1 << shift
        numbers[n] = value
        n += u64(1)
    return i64(n)


@kernel(i64(read(u8), i64, i64, i64, i64, i64, i64, i64, write(i64)))
def read_places(text, at, stop, n_pixels, n_before, total, previous, before_previous, places):
    """Decode ``text[at:stop]``, the continuation of a text, into places.

    Parameters
    ----------
    text : (n,) uint8
    at, stop, n_pixels : int
    n_before, total, previous, before_previous : int
        Characters read before, the sum of their counts and the last two of these; zeros at the
        start.
    places : (>= stop - at,) int64, out

    Returns
    -------
    int
        How many counts were read, or a negative status.
    """
    n = read_numbers(text, at, stop, places)
    if n_before == 0 and n > 2:
        # Differences begin at the fourth count.
        places[2] -= places[0]
    # A negative count or a total beyond the frame leaves its sign in ``bad``. Nothing overflows
    # before that, as numbers have 60 bits.
    bad = n
    before = total
    for i in range(n):
        value = places[i] + before_previous
        before_previous = previous
        previous = value
        total += value
        places[i] = total
        bad |= value | (n_pixels - total)
    if bad >= 0 or n < 0:
        return n
    for i in range(n):
        if places[i] < before:
            return NEGATIVE_RUN
        if places[i] > n_pixels:
            return TOO_LONG
        before = places[i]
    return n


@kernel(i64(read(i64), i64, write(u8), i64))
def write_numbers(numbers, n, text, at):
    """Write numbers as text from ``text[at]`` on.

    Parameters
    ----------
    numbers : (>= n,) int64
    n : int
    text : uint8, out
        Eight characters after the end may be overwritten.
    at : int

    Returns
    -------
    int
        The end of the text.
    """
    for done in range(0, n, 64):
        here = numbers[done : min(done + 64, n)]
        wide = 0
        wider = 0
        for k in range(here.size):
            wide |= (here[k] + 16) >> 5
            wider |= (here[k] + 512) >> 10
        if wide == 0:
            there = text[at : at + here.size]
            for k in range(here.size):
                there[k] = u8((here[k] & 31) + 48)
            at += here.size
            continue
        if wider == 0:
            # One character or two: the second is always written, and overwritten if not needed.
            for k in range(here.size):
                value = here[k]
                more = i64((value + 16) >> 5 != 0)
                text[u64(at)] = u8((value & 31) + 48 + 32 * more)
                text[u64(at + 1)] = u8(((value >> 5) & 31) + 48)
                at += 1 + more
            continue
        for k in range(here.size):
            at = write_number(here[k], text, at)
    return at
