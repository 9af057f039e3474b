"""Boolean combination of two masks of one frame, run by run.

Walk both lists of counts at once and cut at every end of a run; a truth table says whether the
stretch belongs to the result. Bit ``a + 2 * b`` of the table is the answer for a in the first and
b in the second mask::

    OR 0b1110    AND 0b1000    MINUS 0b0010 (first without second)    XOR 0b0110
"""

from mtfast.kernels.jit import i64, kernel, read, write

OR = 0b1110
AND = 0b1000
MINUS = 0b0010
XOR = 0b0110


@kernel(i64(read(i64), i64, read(i64), i64, i64, write(i64)))
def combine_counts(first, n_first, second, n_second, table, counts):
    """Combine two masks, given as counts that tile the same frame.

    Parameters
    ----------
    first, second : int64, of which n_first and n_second are used
    table : int
        OR, AND, MINUS, XOR or any other truth table.
    counts : (>= n_first + n_second + 1,) int64, out

    Returns
    -------
    int
        How many counts were written; only the first of them may be zero.
    """
    i = 0
    j = 0
    left = first[0] if n_first else 0
    right = second[0] if n_second else 0
    n = 0
    state = 0
    length = 0
    while True:
        while left == 0 and i + 1 < n_first:
            i += 1
            left = first[i]
        while right == 0 and j + 1 < n_second:
            j += 1
            right = second[j]
        step = min(left, right)
        if step == 0:
            break
        value = (table >> ((i & 1) + 2 * (j & 1))) & 1
        if value != state:
            counts[n] = length
            n += 1
            length = 0
            state = value
        length += step
        left -= step
        right -= step
    counts[n] = length
    return n + 1
