"""The bits at the ends of stretches of a JPEG file, for their checksums.

::

    bits of the file   ........ ...|..... ........ ........ .|...... ........
                           start   ^                    stop ^
                                    |head| whole bytes       |tail|

The checksum up to a position inside a byte counts the bits after it as 0. See
:mod:`mtfast.jpeg.checks`.
"""

from mtfast.kernels.jit import i64, kernel, read, u8, u32, write

__all__ = ["begin_sums", "end_sums"]


@kernel(
    i64(
        read(u8),
        read(i64),
        read(i64),
        read(i64),
        read(i64),
        read(u32),
        write(i64),
        write(i64),
        write(i64),
    )
)
def begin_sums(data, places, starts, stops, before, table, states, firsts, lasts):
    """Add the bits of the byte in which a stretch begins.

    Parameters
    ----------
    data, places, starts, stops, before
        As for :func:`mtfast.jpeg.checks.first_changed`.
    table : (256,) uint32
        Of the CRC.
    states : (n,) int64, out
        Checksums with these bits.
    firsts, lasts : (n,) int64, out
        Where the whole bytes of each stretch begin and end in ``data``.

    Returns
    -------
    int
        0
    """
    for k in range(places.size):
        place = places[k]
        last = place + (stops[k] >> 3) - (starts[k] >> 3)
        state = before[k]
        skipped = starts[k] & 7
        if skipped:
            rest = i64(data[place]) & (0xFF >> skipped)
            if last == place:
                # It ends in the byte in which it begins.
                rest &= 0xFF00 >> (stops[k] & 7)
            state ^= i64(table[rest])
            place += 1
        states[k], firsts[k], lasts[k] = state, place, max(last, place)
    return 0


@kernel(i64(read(u8), read(i64), read(i64), read(i64), read(i64), read(i64), read(u32)))
def end_sums(data, starts, stops, lasts, states, after, table):
    """Add the bits of the byte in which a stretch ends, and compare its checksum.

    Parameters
    ----------
    data, starts, stops, after, table
        As for :func:`begin_sums`.
    lasts : (n,) int64
        Where the whole bytes of each stretch end in ``data``.
    states : (n,) int64
        Checksums with these bytes.

    Returns
    -------
    int
        The first stretch whose checksum is another one; -1 if there is none.
    """
    for k in range(starts.size):
        state = states[k]
        bits = stops[k] & 7
        is_inside = starts[k] & 7 and starts[k] >> 3 == stops[k] >> 3
        if bits and not is_inside:
            flipped = state ^ 0xFFFFFFFF
            byte = i64(data[lasts[k]]) & (0xFF00 >> bits) & 0xFF
            state = i64(table[(flipped ^ byte) & 0xFF]) ^ (flipped >> 8) ^ 0xFFFFFFFF
        if state != after[k]:
            return k
    return -1
