"""Boolean combination of masks as toggle lists: of two, of pairs, of a whole batch.

Walk both lists at once. A place is inside a mask where the number of toggles before it is odd, and
a truth table says whether it belongs to the result: bit ``a + 2 * b`` is the answer for a in the
first and b in the second mask. The result has a toggle where the answer changes::

    first     . # # # . .        2 toggles
    second    . . # # # .        2 toggles
    OR        . # # # # .        0b1110
    AND       . . # # . .        0b1000
    MINUS     . # . . . .        0b0010, the first without the second
    XOR       . # . . # .        0b0110
"""

from mtfast.kernels.jit import i64, kernel, read, u64, write
from mtfast.kernels.rle.toggle_lists import MAX_PLACE, ONE, OUT_LISTS, SENTINEL, TWO, ZERO

__all__ = [
    "AND",
    "MINUS",
    "OR",
    "XOR",
    "combine_lists",
    "combine_pairs",
    "intersect_all",
    "intersect_lists",
    "unite_all",
]

OR = 0b1110
AND = 0b1000
MINUS = 0b0010
XOR = 0b0110


@kernel(i64(read(i64), read(i64), i64, write(i64)))
def combine_lists(first, second, table, out):
    """Combine two masks.

    Of the toggles of one mask before the next one of the other, all change the result, or none
    does. Two flakes are mostly far apart, so the processor predicts how long that goes on: six
    times as fast as a step at a time without branches, and half as fast on noise.

    Parameters
    ----------
    first, second : int64
        Toggle lists of masks of one frame.
    table : int
        OR, AND, MINUS, XOR or any other truth table whose bit 0 is 0: background of both stays
        background.
    out : int64, out
        Toggle list; as many values as both lists have.

    Returns
    -------
    int
        How many values were written, with the sentinel.
    """
    i = ZERO
    j = ZERO
    n = ZERO
    a = first[i]
    b = second[j]
    while True:
        if a < b:
            here = table >> (2 * i64(j & ONE))
            if (here ^ (here >> 1)) & 1:
                while a < b:
                    out[n] = a
                    n += ONE
                    i += ONE
                    a = first[i]
            else:
                while a < b:
                    i += ONE
                    a = first[i]
        if b < a:
            here = table >> i64(i & ONE)
            if (here ^ (here >> 2)) & 1:
                while b < a:
                    out[n] = b
                    n += ONE
                    j += ONE
                    b = second[j]
            else:
                while b < a:
                    j += ONE
                    b = second[j]
        if a == b:
            if a > MAX_PLACE:
                break
            inside = i64(i & ONE) + 2 * i64(j & ONE)
            if ((table >> inside) ^ (table >> (3 - inside))) & 1:
                out[n] = a
                n += ONE
            i += ONE
            j += ONE
            a = first[i]
            b = second[j]
    out[n] = SENTINEL
    return i64(n + ONE)


@kernel(i64(read(i64), read(i64), write(i64)))
def intersect_lists(first, second, out):
    """Intersect two masks.

    The same as :func:`combine_lists` with AND, but made for masks that cover each other: where both
    have a run in each column, both go on at once, and nothing has to be predicted.

    Parameters
    ----------
    first, second : int64
        Toggle lists of masks of one frame.
    out : int64, out
        Toggle list; as many values as both lists have.

    Returns
    -------
    int
        How many values were written, with the sentinel.
    """
    i = ZERO
    j = ZERO
    n = ZERO
    while first[i] <= MAX_PLACE and second[j] <= MAX_PLACE:
        i_stop = first[i + ONE]
        j_stop = second[j + ONE]
        start = max(first[i], second[j])
        stop = min(i_stop, j_stop)
        out[n] = start
        out[n + ONE] = stop
        n += TWO * u64(start < stop)
        if first[i + TWO] >= j_stop and second[j + TWO] >= i_stop:
            i += TWO
            j += TWO
        else:
            next_first = u64(i_stop <= j_stop)
            i += TWO * next_first
            j += TWO - TWO * next_first
    out[n] = SENTINEL
    return i64(n + ONE)


@kernel(i64(read(i64), read(i64), read(i64), read(i64), i64, *OUT_LISTS))
def combine_pairs(first, first_starts, second, second_starts, table, out, out_offsets):
    """Combine every mask of one batch with its partner in the other.

    Parameters
    ----------
    first, first_starts : int64 and (n,) int64
        Toggle lists, and where that of each mask begins.
    second, second_starts : int64 and (n,) int64
    table : int
        As in :func:`combine_lists`.
    out, out_offsets : int64 and (n + 1,) int64, out
        Toggle lists; as many values as the lists of all pairs have.

    Returns
    -------
    int
        The number of values written.
    """
    n = 0
    out_offsets[0] = 0
    for k in range(first_starts.size):
        n += combine_lists(first[first_starts[k] :], second[second_starts[k] :], table, out[n:])
        out_offsets[k + 1] = n
    return n


@kernel(i64(write(i64), read(i64), write(i64)))
def intersect_all(toggles, offsets, other):
    """Intersect all masks of a batch, one after the other: mostly little is left of the first two.

    Parameters
    ----------
    toggles, offsets : int64 and (n + 1,) int64
        Toggle lists of at least one mask, the first at 0. The result takes their place.
    other : (toggles.size,) int64, scratch

    Returns
    -------
    int
        How many values the result has, with the sentinel.
    """
    n = offsets[1]
    for k in range(1, offsets.size - 1):
        if n == 1:
            break
        n = intersect_lists(toggles, toggles[offsets[k] :], other)
        for i in range(n):
            toggles[i] = other[i]
    return n


@kernel(i64(write(i64), write(i64), write(i64)))
def unite_all(toggles, offsets, other):
    """Unite all masks of a batch: neighbours first, then pairs of pairs.

    Each toggle is read log2(n) times.

    Parameters
    ----------
    toggles, offsets : int64 and (n + 1,) int64
        Toggle lists of at least two masks; both arrays are overwritten.
    other : (toggles.size,) int64, scratch

    Returns
    -------
    int
        1 if the result is in ``other``, 0 if it is in ``toggles``: ``[offsets[0]:offsets[1]]``.
    """
    n = offsets.size - 1
    rounds = 0
    at = 0
    while n > 1:
        at = 0
        pairs = n // 2
        for k in range(pairs):
            first = toggles[offsets[2 * k] :]
            second = toggles[offsets[2 * k + 1] :]
            offsets[k] = at
            at += combine_lists(first, second, OR, other[at:])
        if n & 1:
            last = toggles[offsets[n - 1] :]
            offsets[pairs] = at
            at += intersect_lists(last, last, other[at:])
        n -= pairs
        toggles, other = other, toggles
        rounds += 1
    offsets[1] = at
    return rounds & 1
