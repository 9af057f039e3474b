"""Stretches of a JPEG's coded data -> words without stuffing, for a decoder that begins anywhere.

::

    file   | stretch of row 0 | .. | stretch of row 1 | ..      entries in bits of the file
    words  | stretch of row 0 | stretch of row 1 |              entries in bits of the words

Each stretch begins with a whole word.
"""

from mtfast.kernels.files.jpeg_scan import DROP_BITS, DROPPED_MARKER, FAR, unstuff
from mtfast.kernels.intrinsics import load64, swap64
from mtfast.kernels.jit import i64, kernel, read, u8, u32, u64, write

__all__ = ["put_words", "unstuff_rows"]


@kernel(i64(read(i64), i64, i64, i64, read(i64), write(u32)))
def place_entries(positions, first, n, begin, dropped, bits):
    """Write where the entries of a row are among its words, which begin at the bit ``begin``.

    ``positions[first:first + n]`` are in bits of the data. Returns the number of bytes that were
    dropped before the last entry.
    """
    start = positions[first] >> 3
    shift = 0
    drop = 0
    for k in range(first, first + n):
        byte = (positions[k] >> 3) - start
        while dropped[drop] < FAR and (dropped[drop] >> DROP_BITS) + shift < byte:
            shift += 2 if dropped[drop] & DROPPED_MARKER else 1
            drop += 1
        bits[k] = begin + ((byte - shift) << 3) + (positions[k] & 7)
    return shift


@kernel(i64(read(u8), i64, write(u32), i64))
def put_words(plain, n_bytes, words, at):
    """Write bytes as words from ``words[at]`` on; return where they end.

    Zeros follow the bytes, as many as a margin.
    """
    end = at + ((n_bytes + 3) >> 2)
    # Two at once, and indices that are not looked at for being negative: three times as fast.
    k = 0
    while at + 1 < end:
        pair = swap64(load64(plain, k))
        words[u64(at)] = u32(pair >> u64(32))
        words[u64(at + 1)] = u32(pair)
        at += 2
        k += 8
    if at < end:
        words[u64(at)] = u32(swap64(load64(plain, k)) >> u64(32))
    return end


@kernel(i64(read(u8), read(i64), i64, write(u8), write(i64), write(u32), write(u32)))
def unstuff_rows(data, positions, per_row, plain, dropped, words, bits):
    """Copy the stretches of rows into words.

    Parameters
    ----------
    data : uint8
        Coded data, as the file has it.
    positions : (n_rows * per_row,) int64
        Entries in bits of ``data``; the last one of a row is the end of its stretch.
    per_row : int
    plain, dropped : uint8 and int64, scratch
        As for :func:`mtfast.kernels.files.jpeg_scan.unstuff`, for the longest stretch.
    words : uint32, out
        The first byte of a word is its highest; room for all stretches, each up to a whole word.
    bits : (n_rows * per_row,) uint32, out
        Where the entries are among the words.

    Returns
    -------
    int
        The number of words; or the negative status of a stretch.
    """
    n_words = 0
    for first in range(0, positions.size, per_row):
        start = positions[first] >> 3
        stop = (positions[first + per_row - 1] + 7) >> 3
        n_bytes = unstuff(data, start, stop, plain, 0, dropped)
        if n_bytes < 0:
            return n_bytes
        place_entries(positions, first, per_row, n_words << 5, dropped, bits)
        n_words = put_words(plain, n_bytes, words, n_words)
    return n_words
