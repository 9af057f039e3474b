"""Run lengths of thi.ng's rle-pack -> the alpha of an image, as Label Studio keeps brush strokes.

A stream of bits, the most significant first::

    32 bits   how many words there are: red, green, blue, alpha of each pixel in turn, in rows
     5        bits of a word, less one: 8
    4 x 4     bits of the four sizes of lengths, each less one: 3, 4, 8 and 16
    then, until there are as many words,
     1        1: a word that is repeated; 0: as many words
     2        which of the sizes the length has
     …        the length, less one
     …        the word or words

Source: ``packages/rle-pack/src/index.ts`` of thi.ng/umbrella.
"""

from mtfast.kernels.jit import i64, kernel, read, u8, write

__all__ = ["CUT_OFF", "OTHER_SIZE", "TOO_LONG", "WIDE_WORDS", "decode_alpha"]

CUT_OFF = -1
OTHER_SIZE = -2
WIDE_WORDS = -3
TOO_LONG = -4

_HEADER = 32 + 5 + 4 * 4


@kernel(i64(read(u8), i64, i64))
def _bits(data, at, n):
    """Return n bits from bit ``at`` on, which are there."""
    value = i64(0)
    stop = at + n
    while at < stop:
        n_left = 8 - (at & 7)
        n_taken = min(n_left, stop - at)
        part = (i64(data[at >> 3]) >> (n_left - n_taken)) & ((1 << n_taken) - 1)
        value = (value << n_taken) | part
        at += n_taken
    return value


@kernel(i64(read(u8), write(u8)))
def decode_alpha(data, alpha):
    """Decode the fourth of every four words.

    Parameters
    ----------
    data : (n_bytes,) uint8
    alpha : (n_pixels,) uint8, out
        In the order of rows. As far as the data went, if they are malformed.

    Returns
    -------
    int
        How many bits were read; CUT_OFF if the data end before, OTHER_SIZE if they are not of so
        many pixels, WIDE_WORDS if words have more than 8 bits, TOO_LONG if a run goes on after the
        last pixel.
    """
    n_bits = 8 * data.size
    if n_bits < _HEADER:
        return CUT_OFF
    n_words = 4 * alpha.size
    if _bits(data, 0, 32) != n_words:
        return OTHER_SIZE
    word = _bits(data, 32, 5) + 1
    if word > 8:
        return WIDE_WORDS
    at = _HEADER
    i = 0
    while i < n_words:
        if at + 3 > n_bits:
            return CUT_OFF
        is_run = _bits(data, at, 1)
        size = _bits(data, 37 + 4 * _bits(data, at + 1, 2), 4) + 1
        at += 3
        if at + size > n_bits:
            return CUT_OFF
        stop = i + _bits(data, at, size) + 1
        at += size
        if stop > n_words:
            return TOO_LONG
        n_stored = 1 if is_run else stop - i
        if at + n_stored * word > n_bits:
            return CUT_OFF
        if is_run:
            value = _bits(data, at, word)
            for pixel in range(i >> 2, stop >> 2):
                alpha[pixel] = value
        else:
            for k in range(i | 3, stop, 4):
                alpha[k >> 2] = _bits(data, at + (k - i) * word, word)
        at += n_stored * word
        i = stop
    return at
