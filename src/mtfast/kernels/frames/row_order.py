"""C-order frame <-> toggle words, 64 pixels at a time.

A row of pixels is packed into words of bits and compared with the row above. Above the first row is
the last one, moved one column to the right, as the columns of a frame follow each other. What
differs are the toggles, row by row. They are wanted column by column, so the frame is cut into
squares of 64 x 64 bits, and those that are not empty are transposed::

    pixels        bits        differ from above     transposed: a column's toggles in each line
    7 7 0 0       1 1 0 0     1 1 0 0               1 0 1 0
    7 7 0 0  -->  1 1 0 0     0 0 0 0          -->  1 0 1 0
    0 0 0 7       0 0 0 1     1 1 0 1               0 0 0 0
    0 0 0 0       0 0 0 0     0 0 0 1               0 0 1 1

Decoding is the same backwards. It has to start from the last row, which follows from the toggles: a
column with an odd number of them ends in another state than the column before it.

Squares are numbered down the columns: square ``k * down + b`` is 64 words, for the columns from
64 * k on and the rows from 64 * b on.
"""

from mtfast.kernels.intrinsics import (
    PREFETCH_DISTANCE,
    nonzero64,
    ones,
    prefetch,
    spread64,
    transpose64,
)
from mtfast.kernels.jit import i64, kernel, read, u8, u64, write
from mtfast.kernels.rle.columns import column_of

__all__ = [
    "ALL",
    "bit_scratch_size",
    "pack_end",
    "parities",
    "rows_of_toggles",
    "toggles_of_rows",
    "unpack_end",
]

ALL = 0xFFFF_FFFF_FFFF_FFFF


def bit_scratch_size(height: int, width: int) -> int:
    """Return how many uint64 :func:`toggles_of_rows` and :func:`rows_of_toggles` need as scratch.

    Parameters
    ----------
    height, width : int
        Pixels.

    Returns
    -------
    int
    """
    across = (width + 63) >> 6
    down = (height + 63) >> 6
    return 64 * across * down + across * down + down + 67 * across


@kernel(u64(read(u8), i64))
def pack_end(pixels, at):
    """Pack the last pixels of a frame, fewer than 64, into a word.

    Parameters
    ----------
    pixels : (n,) uint8
    at : int

    Returns
    -------
    int
        Bit k says whether ``pixels[at + k]`` is nonzero.
    """
    word = u64(0)
    for k in range(pixels.size - at):
        if pixels[at + k]:
            word |= u64(1) << u64(k)
    return word


@kernel(i64(u64, u8, write(u8), i64))
def unpack_end(word, value, pixels, at):
    """Unpack a word into the last pixels of a frame, fewer than 64.

    Parameters
    ----------
    word : int
    value : int
        Of the pixels whose bit is set; the others become 0.
    pixels : (n,) uint8, out
    at : int

    Returns
    -------
    int
        0
    """
    for k in range(pixels.size - at):
        pixels[at + k] = value if word >> u64(k) & u64(1) else u8(0)
    return 0


@kernel(u64(u64))
def parities(word):
    """Add up the bits of a word, modulo 2.

    Parameters
    ----------
    word : int

    Returns
    -------
    int
        Bit k says whether an odd number of the bits 0 .. k of the word is set.
    """
    word ^= word << u64(1)
    word ^= word << u64(2)
    word ^= word << u64(4)
    word ^= word << u64(8)
    word ^= word << u64(16)
    word ^= word << u64(32)
    return word


@kernel(i64(read(u8), i64, i64, write(u64), write(u64), write(u64), write(u64)))
def squares_of_rows(frame, height, width, squares, filled, differs, rows):
    """Find the toggles of a C-order frame, transposed.

    Parameters
    ----------
    frame : (height * width,) uint8
        Rows one after another; nonzero is foreground.
    height, width : int
    squares : (64 * across * down,) uint64, out
        Only those that are not empty are written.
    filled : (across * down,) uint64, out
        Nonzero for these.
    differs, rows : (across,) and (65 * across,) uint64, scratch

    Returns
    -------
    int
        0
    """
    across = (width + 63) >> 6
    down = (height + 63) >> 6
    carry = u64(0)
    at = (height - 1) * width
    for k in range(across):
        word = nonzero64(frame, at) if at + 64 <= frame.size else pack_end(frame, at)
        at += 64
        rows[k] = word << u64(1) | carry
        carry = word >> u64(63)
    for b in range(down):
        n_rows = min(64, height - 64 * b)
        differs[:] = u64(0)
        for r in range(n_rows):
            # A word may reach into the next row: columns beyond the last are not looked at.
            start = (64 * b + r) * width
            inside = min(across, (frame.size - start) >> 6)
            above = rows[r * across : (r + 1) * across]
            row = rows[(r + 1) * across : (r + 2) * across]
            for k in range(inside):
                prefetch(frame, start + 64 * k + PREFETCH_DISTANCE)
                row[k] = nonzero64(frame, start + 64 * k)
            for k in range(inside, across):
                row[k] = pack_end(frame, start + 64 * k)
            for k in range(across):
                differs[k] |= row[k] ^ above[k]
        for k in range(across):
            filled[k * down + b] = differs[k]
            if differs[k]:
                square = squares[64 * (k * down + b) : 64 * (k * down + b) + 64]
                word = rows[k]
                for r in range(n_rows):
                    below = rows[(r + 1) * across + k]
                    square[r] = word ^ below
                    word = below
                for r in range(n_rows, 64):
                    square[r] = u64(0)
                transpose64(square, 0)
        for k in range(across):
            rows[k] = rows[n_rows * across + k]
    return 0


@kernel(i64(read(u8), i64, i64, write(u64), write(i64), write(u64)))
def toggles_of_rows(frame, height, width, scratch, bases, words):
    """Find the toggle words of a mask in a C-order frame.

    Parameters
    ----------
    frame : (height * width,) uint8
        Rows one after another; nonzero is foreground.
    height, width : int
    scratch : uint64
        See :func:`bit_scratch_size`.
    bases, words : int64 and uint64, out
        Toggle words, one more than the frame has words.

    Returns
    -------
    int
        The number of toggles.
    """
    across = (width + 63) >> 6
    down = (height + 63) >> 6
    squares = scratch[: 64 * across * down]
    rest = scratch[64 * across * down :]
    filled = rest[: across * down]
    rest = rest[across * down :]
    chosen = rest[:down]
    rest = rest[down:]
    if height > 0:
        squares_of_rows(frame, height, width, squares, filled, rest[:across], rest[across:])
    n = u64(0)
    n_toggles = 0
    for k in range(across):
        n_chosen = 0
        for b in range(down):
            chosen[n_chosen] = u64(b)
            n_chosen += filled[k * down + b] != u64(0)
        if n_chosen == 0:
            continue
        for c in range(min(64, width - 64 * k)):
            base = (64 * k + c) * height
            for j in range(n_chosen):
                b = i64(chosen[j])
                word = squares[u64(64 * (k * down + b) + c)]
                bases[n] = base + 64 * b
                words[n] = word
                n += u64(word != u64(0))
                n_toggles += ones(word)
    bases[n] = height * width
    return n_toggles


@kernel(i64(read(i64), read(u64), i64, i64, write(u64), write(u64)))
def squares_of_toggles(bases, words, height, width, squares, filled):
    """Put toggle words into squares and transpose those that are not empty.

    Parameters
    ----------
    bases, words : int64 and uint64
        Toggle words that end with their columns.
    height, width : int
    squares : (64 * across * down,) uint64, out
        Only those that are not empty are written.
    filled : (across * down,) uint64, out
        Nonzero for these.

    Returns
    -------
    int
        0
    """
    down = (height + 63) >> 6
    n_pixels = height * width
    filled[:] = u64(0)
    x = top = 0
    i = u64(0)
    while bases[i] < n_pixels:
        base = bases[i]
        x, top = column_of(base, x, top, height)
        at = u64((x >> 6) * down + ((base - top) >> 6))
        if not filled[at]:
            filled[at] = u64(1)
            squares[u64(64) * at : u64(64) * at + u64(64)] = u64(0)
        squares[u64(64) * at + u64(x & 63)] = words[i]
        i += u64(1)
    for at in range(filled.size):
        if filled[at]:
            transpose64(squares, 64 * at)
    return 0


@kernel(i64(read(u64), read(u64), i64, i64, write(u64)))
def row_above(squares, filled, across, down, row):
    """Find the last row of a mask, moved one column to the right: it is above the first.

    Parameters
    ----------
    squares, filled : uint64
        As made by :func:`squares_of_toggles`.
    across, down : int
    row : (across,) uint64, out

    Returns
    -------
    int
        0
    """
    state = u64(0)
    carry = u64(0)
    for k in range(across):
        odd = u64(0)
        for b in range(down):
            if filled[k * down + b]:
                square = squares[64 * (k * down + b) : 64 * (k * down + b) + 64]
                for r in range(64):
                    odd ^= square[r]
        last = parities(odd)
        if state:
            last ^= u64(ALL)
        state = last >> u64(63)
        row[k] = last << u64(1) | carry
        carry = state
    return 0


@kernel(i64(read(i64), read(u64), i64, i64, u8, write(u64), write(u8)))
def rows_of_toggles(bases, words, height, width, value, scratch, frame):
    """Write the C-order frame of a mask that is given as toggle words.

    Parameters
    ----------
    bases, words : int64 and uint64
        Toggle words that end with their columns.
    height, width : int
    value : uint8
        Of the foreground; the background becomes 0.
    scratch : uint64
        See :func:`bit_scratch_size`.
    frame : (height * width,) uint8, out

    Returns
    -------
    int
        0
    """
    across = (width + 63) >> 6
    down = (height + 63) >> 6
    squares = scratch[: 64 * across * down]
    rest = scratch[64 * across * down :]
    filled = rest[: across * down]
    rest = rest[across * down :]
    chosen = rest[:across]
    row = rest[across : 2 * across]
    squares_of_toggles(bases, words, height, width, squares, filled)
    row_above(squares, filled, across, down, row)
    for b in range(down):
        n_rows = min(64, height - 64 * b)
        start = 64 * b * width
        n_chosen = 0
        some = u64(0)
        for k in range(across):
            chosen[n_chosen] = u64(k)
            n_chosen += filled[k * down + b] != u64(0)
            some |= row[k]
        if n_chosen == 0 and not some:
            frame[start : start + n_rows * width] = 0
            continue
        for r in range(n_rows):
            for j in range(n_chosen):
                k = i64(chosen[j])
                row[u64(k)] ^= squares[u64(64 * (k * down + b) + r)]
            # What reaches into the next row is overwritten by it.
            inside = min(across, (frame.size - start) >> 6)
            for k in range(inside):
                spread64(row[k], value, frame, start + 64 * k)
            for k in range(inside, across):
                unpack_end(row[k], value, frame, start + 64 * k)
            start += width
    return 0
