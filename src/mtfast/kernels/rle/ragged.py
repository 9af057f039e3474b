"""Gather pieces of a flat array in any order.

::

    source   a a b c c c d      picks 2, 0     out   c c c a a
    offsets  0   2 3     6 7
"""

from mtfast.kernels.jit import i64, kernel, read, u8, write

__all__ = ["gather_pieces"]


@kernel(i64(read(u8), read(i64), read(i64), write(u8)))
def gather_pieces(source, offsets, picks, out):
    """Copy the picked pieces one after another.

    Parameters
    ----------
    source : (n_bytes,) uint8
    offsets : (n + 1,) int64
    picks : int64
        0 .. n - 1, in any order.
    out : (>= total length of the picks,) uint8, out

    Returns
    -------
    int
        The number of bytes written.
    """
    at = 0
    for k in picks:
        # As a slice this takes four seconds to compile.
        for i in range(offsets[k], offsets[k + 1]):
            out[at] = source[i]
            at += 1
    return at
