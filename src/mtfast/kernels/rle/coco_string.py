"""COCO's compressed RLE text <-> run lengths ("counts").

A count is written as the difference to the count two places before it (from the fourth count on),
in groups of five bits, lowest first, each group plus 48 as one ASCII character::

    bit 5      more groups follow
    bits 0-4   payload; bit 4 of the last group is the sign

Source: ``rleToString`` and ``rleFrString`` in maskApi.c of pycocotools.
"""

from mtfast.kernels.intrinsics import leading_zeros, load64, store64
from mtfast.kernels.jit import i64, kernel, read, u8, u64, write

# Status codes of decode_places; mtfast.table.explain puts them into words.
BAD_CHARACTER = -1
TRUNCATED = -2
OVERLONG = -3
NEGATIVE_RUN = -4
TOO_SHORT = -5
TOO_LONG = -6

# Twelve groups hold 60 bits; no count of a frame of up to 2**40 pixels needs more than nine.
MAX_GROUPS = 12
# Characters that encode_counts may need for one count.
MAX_CHARACTERS = 9
# The groups that are drawn together or apart at once, and the bits they hold.
WORD_GROUPS = 8
WORD_BITS = 40


ZERO, ONE, EIGHT = u64(0), u64(1), u64(8)


@kernel(i64(read(u8), i64, i64, i64, write(i64)))
def decode_places(text, start, stop, n_pixels, places):
    """Decode ``text[start:stop]`` into the places at which its counts end, or say why not.

    Parameters
    ----------
    text : (n,) uint8
    start, stop, n_pixels : int
    places : (>= stop - start,) int64, out
        The sum of the counts up to each: ascending from 0 to n_pixels, which is the last.

    Returns
    -------
    int
        How many places were written, or a negative status.
    """
    n = u64(0)
    place = 0
    previous = 0
    before_previous = 0
    # Unsigned indices spare the test for those that count from the end.
    at = u64(start)
    end = u64(stop)
    again = at
    patience = EIGHT
    while at < end:
        if at >= again and end - at >= EIGHT and n > ONE:
            # Most numbers of a flake are of one character: take eight at once, if all is well.
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
    """Write one number as text from ``text[at]`` on; return the end.

    MAX_CHARACTERS may be overwritten; the number must be below 2**44.
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
    """Write ``counts[start:stop]`` as COCO text from ``text[at]`` on; return the end.

    The text needs room for MAX_CHARACTERS per count, and the counts must be below 2**44.
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
    """Decode every string of a table; return -1, or the first that is malformed."""
    for image in range(image_offsets.size - 1):
        for k in range(image_offsets[image], image_offsets[image + 1]):
            if decode_places(text, offsets[k], offsets[k + 1], n_pixels[image], places) < 0:
                return k
    return -1


@kernel(i64(read(i64), read(i64), write(u8), write(i64)))
def encode_batch(counts, count_offsets, text, offsets):
    """Encode one list of counts per string; fills text and its (n + 1,) offsets."""
    at = 0
    offsets[0] = 0
    for k in range(count_offsets.size - 1):
        at = encode_counts(counts, count_offsets[k], count_offsets[k + 1], text, at)
        offsets[k + 1] = at
    return at
