"""COCO's compressed RLE text <-> run lengths ("counts").

A count is written as the difference to the count two places before it (from the fourth count on),
in groups of five bits, lowest first, each group plus 48 as one ASCII character::

    bit 5      more groups follow
    bits 0-4   payload; bit 4 of the last group is the sign

Source: ``rleToString`` and ``rleFrString`` in maskApi.c of pycocotools.
"""

from mtfast._jit import i64, kernel, read, u8, write

# Status codes of decode_counts; mtfast.runs.explain puts them into words.
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


@kernel(i64(read(u8), i64, i64, i64, write(i64)))
def decode_counts(text, start, stop, n_pixels, counts):
    """Decode ``text[start:stop]`` into counts that tile a frame of n_pixels, or say why not.

    Parameters
    ----------
    text : (n,) uint8
    start, stop, n_pixels : int
    counts : (>= stop - start,) int64, out

    Returns
    -------
    int
        How many counts were written, or a negative status.
    """
    n = 0
    total = 0
    previous = 0
    before_previous = 0
    i = start
    while i < stop:
        group = i64(text[i]) - 48
        i += 1
        if group < 0 or group > 63:
            return BAD_CHARACTER
        value = group & 31
        shift = 5
        while group & 32:
            if i == stop:
                return TRUNCATED
            if shift == 5 * MAX_GROUPS:
                return OVERLONG
            group = i64(text[i]) - 48
            i += 1
            if group < 0 or group > 63:
                return BAD_CHARACTER
            value |= (group & 31) << shift
            shift += 5
        if group & 16:
            value -= 1 << shift
        if n > 2:
            value += before_previous
        if value < 0:
            return NEGATIVE_RUN
        if value > n_pixels - total:
            return TOO_LONG
        total += value
        counts[n] = value
        n += 1
        before_previous = previous
        previous = value
    if total != n_pixels:
        return TOO_SHORT
    return n


@kernel(i64(read(i64), i64, i64, write(u8), i64))
def encode_counts(counts, start, stop, text, at):
    """Write ``counts[start:stop]`` as COCO text from ``text[at]`` on; return the end.

    The text needs room for MAX_CHARACTERS per count, and the counts must be below 2**44.
    """
    for i in range(start, stop):
        value = counts[i]
        if i - start > 2:
            value -= counts[i - 2]
        while True:
            group = value & 31
            value >>= 5
            if value == (-1 if group & 16 else 0):
                text[at] = u8(group + 48)
                at += 1
                break
            text[at] = u8(group + 80)
            at += 1
    return at


@kernel(i64(read(u8), read(i64), read(i64), read(i64), write(i64)))
def check_strings(text, offsets, image_offsets, n_pixels, counts):
    """Decode every string of a table; return -1, or the first that is malformed."""
    for image in range(image_offsets.size - 1):
        for k in range(image_offsets[image], image_offsets[image + 1]):
            if decode_counts(text, offsets[k], offsets[k + 1], n_pixels[image], counts) < 0:
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
