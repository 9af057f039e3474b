"""LZW data of TIFF files -> how many bytes they become, without making them.

Codes of 9 to 12 bits stand for bytes (0 to 255), a fresh start (256), the end (257), or an entry of
a table: each code after the first adds one, the string of the code before it and one byte more::

    codes      256  65   66   258   257            table   258  AB
    bytes           A    B    AB                           259  BA

The first code after a fresh start has to be a byte. Decoders that trust it to be one read outside
their table, so that data from strangers are scanned first. Source: TIFF 6.0, section 13; the old
form, lowest bit first, is that of libtiff's ``LZWDecodeCompat``.
"""

from mtfast.kernels.jit import i64, kernel, read, u8, u64, write

__all__ = ["INVALID", "MOST_ENTRIES", "scan_lzw"]

CLEAR, END, FIRST = 256, 257, 258
LEAST_BITS, MOST_BITS = 9, 12
# More than any decoder keeps.
MOST_ENTRIES = 8192
INVALID = -1


@kernel(i64(read(u8), i64, i64, i64))
def next_code(data, at, width, lowest_first):
    """Read the code of ``width`` bits that begins at bit ``at``; it is inside of the data."""
    i = at >> 3
    bits = 0
    for k in range(3):
        byte = i64(data[u64(i + k)]) if i + k < data.size else 0
        bits |= byte << (8 * k if lowest_first else 16 - 8 * k)
    shift = at & 7 if lowest_first else 24 - (at & 7) - width
    return bits >> shift & ((1 << width) - 1)


@kernel(i64(read(u8), i64, write(i64)))
def scan_lzw(data, most, lengths):
    """Return how many bytes the data become, at least ``most`` if they reach it; or INVALID.

    ``lengths`` is scratch for MOST_ENTRIES entries.
    """
    lowest_first = data.size > 1 and data[0] == 0 and data[1] & 1
    early = 0 if lowest_first else 1
    at, width, n_entries, before, n = 0, LEAST_BITS, FIRST, -1, 0
    lengths[:FIRST] = 1
    while n < most and at + width <= 8 * data.size:
        code = next_code(data, at, width, lowest_first)
        at += width
        if code == END:
            break
        if code == CLEAR:
            width, n_entries, before = LEAST_BITS, FIRST, -1
            continue
        if before < 0:
            if code > 255:
                return INVALID
            n += 1
        else:
            if code > n_entries or n_entries == MOST_ENTRIES:
                return INVALID
            lengths[u64(n_entries)] = lengths[u64(before)] + 1
            n += lengths[u64(code)]
            n_entries += 1
            if n_entries + early == 1 << width and width < MOST_BITS:
                width += 1
        before = code
    return n
