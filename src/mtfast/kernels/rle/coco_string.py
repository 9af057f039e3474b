"""COCO's compressed text <-> counts (run lengths) and places (their running sums).

From the fourth count on, a count is written as its difference to the count two before it. Such a
number is cut into groups of five bits, lowest first, and each group plus 48 is one ASCII
character::

    bit 5      more groups follow
    bits 0-4   payload; bit 4 of the last group is the sign

    counts     1  1  1  3  1  1  4
    numbers    1  1  1  2  0 -2  3
    text       1  1  1  2  0  N  3

Source: ``rleToString`` and ``rleFrString`` in maskApi.c of pycocotools.
"""

from mtfast.kernels.intrinsics import leading_zeros, load64, store64
from mtfast.kernels.jit import i64, kernel, read, u8, u64, write

__all__ = [
    "BAD_CHARACTER",
    "MAX_CHARACTERS",
    "MAX_GROUPS",
    "NEGATIVE_RUN",
    "OUTPUT_FULL",
    "OVERLONG",
    "TOO_LONG",
    "TOO_SHORT",
    "TRUNCATED",
    "WORD_GROUPS",
    "check_strings",
    "decode_places",
    "encode_batch",
    "encode_counts",
    "write_number",
]

# What decode_places returns for a bad text; mtfast.table.explain puts it into words.
BAD_CHARACTER = -1
TRUNCATED = -2
OVERLONG = -3
NEGATIVE_RUN = -4
TOO_SHORT = -5
TOO_LONG = -6
# What other kernels return whose output or scratch array is too small.
OUTPUT_FULL = -7

# Twelve groups hold 60 bits; no count of a frame of up to 2**40 pixels needs more than nine.
MAX_GROUPS = 12
# Characters that one count may need.
MAX_CHARACTERS = 9
# How many groups a word of 64 bits holds as characters, and the bits of their payload.
WORD_GROUPS = 8
WORD_BITS = 40

ZERO, ONE, EIGHT = u64(0), u64(1), u64(8)


@kernel(i64(read(u8), i64, i64, i64, write(i64)))
def decode_places(text, start, stop, n_pixels, places):
    """Decode ``text[start:stop]`` into places, or say why not.

    Parameters
    ----------
    text : (n,) uint8
    start, stop, n_pixels : int
    places : (>= stop - start,) int64, out

    Returns
    -------
    int
        How many places were written, or a negative status.
    """
    # One function: with single numbers read in a function of their own, flakes take twice as long,
    # and random pixels up to three times. Eight at once in one take up to 1.03 times, for a call
    # that hands over seven values.
    n = u64(0)
    place = 0
    previous = 0
    before_previous = 0
    # Unsigned indices save the test for those that count from the end.
    at = u64(start)
    end = u64(stop)
    again = at
    patience = EIGHT
    while at < end:
        if at >= again and end - at >= EIGHT and n > ONE:
            # Most numbers of a flake are one character long: take eight at once where they are.
            groups = load64(text, i64(at)) - u64(0x3030303030303030)
            if not groups & u64(0xE0E0E0E0E0E0E0E0):
                total = place
                last = previous
                last_but_one = before_previous
                bad = 0
                for k in range(EIGHT):
                    group = i64(groups >> (EIGHT * k) & u64(31))
                    count = (group ^ 16) - 16 + last_but_one
                    last_but_one = last
                    last = count
                    total += count
                    places[n + k] = total
                    bad |= count | (n_pixels - total)
                if bad >= 0:
                    place = total
                    previous = last
                    before_previous = last_but_one
                    at += EIGHT
                    n += EIGHT
                    patience = EIGHT
                    continue
            again = at + patience
            patience = min(patience << ONE, u64(512))
        group = i64(text[at]) - 48
        at += ONE
        number = (group ^ 16) - 16
        if group < 0 or group > 31:
            if group < 0 or group > 63:
                return BAD_CHARACTER
            number = group & 31
            shift = 5
            while group & 32:
                if at == end:
                    return TRUNCATED
                if shift == 5 * MAX_GROUPS:
                    return OVERLONG
                group = i64(text[at]) - 48
                at += ONE
                if group < 0 or group > 63:
                    return BAD_CHARACTER
                number |= (group & 31) << shift
                shift += 5
            if group & 16:
                number -= 1 << shift
        count = number + before_previous
        if count < 0 or count > n_pixels - place:
            return NEGATIVE_RUN if count < 0 else TOO_LONG
        place += count
        places[n] = place
        before_previous = previous
        # The differences begin with the fourth count, which is compared with the second.
        previous = count if n > ZERO else 0
        n += ONE
    return i64(n) if place == n_pixels else TOO_SHORT


@kernel(i64(i64, write(u8), i64))
def write_number(value, text, at):
    """Write one number from ``text[at]`` on.

    Parameters
    ----------
    value : int
        Below 2**44, and not below -2**44.
    text : (>= at + MAX_CHARACTERS,) uint8, out
        Characters after the end of the number may be overwritten.
    at : int

    Returns
    -------
    int
        The end of the number.
    """
    n_bits = 64 - leading_zeros(u64(value ^ (value >> 63)))
    if n_bits >= WORD_BITS:
        for _ in range(WORD_GROUPS):
            text[at] = u8((value & 31) + 80)
            at += 1
            value >>= 5
        text[at] = u8((value & 31) + 48)
        return at + 1
    n_more = (n_bits * 13) >> 6  # a fifth
    word = u64(value & 0xFFFFFFFFFF)
    word = (word & u64(0x000FFFFF)) | (word & u64(0x000000FFFFF00000)) << u64(12)
    word = (word & u64(0x000003FF000003FF)) | (word & u64(0x000FFC00000FFC00)) << u64(6)
    word = (word & u64(0x001F001F001F001F)) | (word & u64(0x03E003E003E003E0)) << u64(3)
    more = (u64(1) << u64(8 * n_more)) - u64(1)
    store64(word + u64(0x3030303030303030) + (u64(0x2020202020202020) & more), text, at)
    return at + n_more + 1


@kernel(i64(read(i64), i64, i64, write(u8), i64))
def encode_counts(counts, start, stop, text, at):
    """Write ``counts[start:stop]`` from ``text[at]`` on.

    Parameters
    ----------
    counts : (n,) int64
        Below 2**44.
    start, stop : int
    text : (>= at + MAX_CHARACTERS * (stop - start),) uint8, out
    at : int

    Returns
    -------
    int
        The end of the text.
    """
    previous = 0
    before_previous = 0
    for i in range(start, stop):
        count = counts[i]
        at = write_number(count - before_previous, text, at)
        before_previous = previous
        # The differences begin with the fourth count, which is compared with the second.
        previous = count if i > start else 0
    return at


@kernel(i64(read(u8), read(i64), read(i64), read(i64), write(i64)))
def check_strings(text, offsets, image_offsets, n_pixels, places):
    """Decode every text of a table.

    Parameters
    ----------
    text, offsets : (n_bytes,) uint8 and (n + 1,) int64
    image_offsets : (n_images + 1,) int64
        The texts of image i are image_offsets[i] .. image_offsets[i + 1] - 1.
    n_pixels : (n_images,) int64
    places : int64, scratch
        As many values as the longest text has characters.

    Returns
    -------
    int
        -1, or the first text that is malformed.
    """
    for image in range(image_offsets.size - 1):
        for k in range(image_offsets[image], image_offsets[image + 1]):
            if decode_places(text, offsets[k], offsets[k + 1], n_pixels[image], places) < 0:
                return k
    return -1


@kernel(i64(read(i64), read(i64), write(u8), write(i64)))
def encode_batch(counts, count_offsets, text, offsets):
    """Write the counts of many masks as text.

    Parameters
    ----------
    counts, count_offsets : int64 and (n + 1,) int64
        The counts of mask k are counts[count_offsets[k]:count_offsets[k + 1]].
    text : (>= MAX_CHARACTERS * count_offsets[n],) uint8, out
    offsets : (n + 1,) int64, out

    Returns
    -------
    int
        The number of characters written.
    """
    at = 0
    offsets[0] = 0
    for k in range(count_offsets.size - 1):
        at = encode_counts(counts, count_offsets[k], count_offsets[k + 1], text, at)
        offsets[k + 1] = at
    return at
