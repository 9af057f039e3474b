"""The coded scan of a baseline JPEG, walked without decoding a pixel.

A scan is a row of MCUs (the smallest rectangles that all components tile), an MCU a few blocks of
8 x 8 coefficients, and a block two kinds of Huffman codes, each followed by extra bits::

    | DC code, extra bits | AC code, extra bits | AC code, extra bits | ... | end-of-block code |

    DC   category: the number of extra bits, which hold the difference to the component's last DC
    AC   run and size: the zeros before the coefficient, and the number of its extra bits

The walk needs the extra bits of DCs, but only the number of those of ACs. So an AC code is looked
up as a step: coefficients to advance by, and bits to advance by, code and extra bits together. A
DC or AC table is a 2^16 lookup by the next 16 bits; 0 marks an invalid code. A fast AC table is a
2^13 lookup by the next 13 bits; its entry adds up the steps of all codes that fit into them::

    DC table t        codes[t << 16 :]                      length << 8 | category
    AC table t        codes[(AC_TABLES + t) << 16 :]        coefficients << 8 | bits
    fast AC table t   codes[FAST + (t << FAST_BITS) :]      bits << 8 | FAST_END? | coefficients

FAST_END is set where the last of the codes ends the block; 0 marks that not even one code fits.

In a scan a byte FF is followed by 00 (stuffing), or begins a marker. A restart marker comes after
padding to a whole byte, and after it all DCs count from 0 again. Kernels read a copy of the scan
without stuffing and markers. Positions count bits. Source: ITU-T T.81, annex F.
"""

from mtfast.kernels.intrinsics import load64, store64, swap64, trailing_zeros
from mtfast.kernels.jit import i64, kernel, read, u8, u16, u64, write

__all__ = [
    "AC_TABLES",
    "BAD_CODE",
    "BAD_DC",
    "BAD_MARKER",
    "BAD_RESTART",
    "BLOCK_FIELDS",
    "DROPPED_MARKER",
    "DROP_BITS",
    "END_OF_BLOCK",
    "FAR",
    "FAST",
    "FAST_BITS",
    "FAST_END",
    "MARGIN",
    "MAX_CATEGORY",
    "NO_CODE",
    "N_CODES",
    "STATUSES",
    "TOO_SHORT",
    "fill_codes",
    "fill_fast",
    "found_ff",
    "peek",
    "skip_block",
    "skip_mcus",
    "unstuff",
]

AC_TABLES = 4
FAST = 8 << 16
FAST_BITS = 13
N_CODES = FAST + (4 << FAST_BITS)

# Coefficients that an end of block counts as: more than any run, so that the two differ.
END_OF_BLOCK = 128
FAST_END = 128
MAX_CATEGORY = 11
# Values of each block in `blocks`.
BLOCK_FIELDS = 4

# Bytes after the data that may be read: the largest MCU, of ten blocks, has less than 2560.
MARGIN = 4096

# Negative statuses, and what was found in the file.
BAD_CODE = -1
TOO_SHORT = -2
BAD_MARKER = -3
BAD_RESTART = -4
BAD_DC = -5
NO_CODE = -6
STATUSES = {
    BAD_CODE: "bits that are no code",
    TOO_SHORT: "coded data that ends too early",
    BAD_MARKER: "a marker in its coded data, or several scans",
    BAD_RESTART: "a restart marker in the wrong place",
    BAD_DC: "a brightness out of range",
    NO_CODE: "no code for a jump in brightness",
}

# A dropped byte 00 is `where << DROP_BITS`; a marker that, DROPPED_MARKER and its number.
DROP_BITS = 4
DROPPED_MARKER = 8
FAR = 1 << 62

RESTART_MARKER = 0xD0
END_MARKER = 0xD9


@kernel(i64(read(i64), read(u16), i64, write(u16)))
def fill_codes(lengths, entries, start, codes):
    """Fill one lookup of 2^16 entries from ``codes[start]`` on.

    A code of n bits fills the 2^(16 - n) entries that begin with it.

    Parameters
    ----------
    lengths : (n,) int64
        Bits of each code, 1 to 16, ascending.
    entries : (n,) uint16
        Of each code.
    start : int
    codes : uint16, out

    Returns
    -------
    int
        0, or BAD_CODE if there are too many short codes, or if one is all ones.
    """
    code = 0
    for k in range(lengths.size):
        step = 1 << (16 - lengths[k])
        if code + step >= 1 << 16:
            return BAD_CODE
        codes[start + code : start + code + step] = entries[k]
        code += step
    codes[start + code : start + (1 << 16)] = 0
    return 0


@kernel(i64(i64, write(u16)))
def fill_fast(table, codes):
    """Fill the fast table of an AC table that has been filled; returns 0."""
    start = (AC_TABLES + table) << 16
    fast = FAST + (table << FAST_BITS)
    for bits in range(1 << FAST_BITS):
        used = 0
        steps = 0
        while True:
            entry = i64(codes[start + ((bits << (16 - FAST_BITS) << used) & 0xFFFF)])
            step = entry >> 8
            n = entry & 255
            if entry == 0 or used + n > FAST_BITS:
                break
            if step == END_OF_BLOCK:
                used += n
                steps = steps + 1 | FAST_END
                break
            if steps + step > 63:
                break
            used += n
            steps += step
        codes[fast + bits] = used << 8 | steps if used else 0
    return 0


@kernel(u64(read(u8), i64))
def peek(data, at):
    """Return the bits from ``at`` on, the first one highest; at least 57 of the 64 are valid."""
    return swap64(load64(data, at >> 3)) << u64(at & 7)


@kernel(i64(read(u8), i64, i64, i64, i64, read(u16), write(i64), i64))
def skip_block(data, at, dc_table, ac_table, fast, codes, dc, component):
    """Step over one block and add its DC difference to ``dc[component]``.

    Returns where the block ends, or BAD_CODE.
    """
    ahead = peek(data, at)
    entry = i64(codes[u64(dc_table) + (ahead >> u64(48))])
    if entry == 0:
        return BAD_CODE
    length = entry >> 8
    category = entry & 255
    if category:
        value = i64(ahead << u64(length) >> u64(64 - category))
        # Values whose first bit is 0 are negative.
        if value < 1 << (category - 1):
            value += 1 - (1 << category)
        dc[u64(component)] += value
    # `left` valid bits are ahead; `byte` is the next one to load.
    byte = (at >> 3) + 7
    left = 56 - (at & 7) - length - category
    ahead <<= u64(length + category)
    k = 1
    while k < 64:
        if left < 32:
            # The bits of a byte that was loaded in part are the same the second time.
            ahead |= swap64(load64(data, byte)) >> u64(left)
            n_bytes = (63 - left) >> 3
            byte += n_bytes
            left += n_bytes << 3
        entry = i64(codes[u64(fast) + (ahead >> u64(64 - FAST_BITS))])
        end = k + (entry & 127)
        if entry and end <= 64:
            ahead <<= u64(entry >> 8)
            left -= entry >> 8
            k = end
            if entry & FAST_END:
                break
        else:
            entry = i64(codes[u64(ac_table) + (ahead >> u64(48))])
            if entry == 0:
                return BAD_CODE
            ahead <<= u64(entry & 255)
            left -= entry & 255
            k += entry >> 8
            if 64 < k <= END_OF_BLOCK:
                return BAD_CODE
    return (byte << 3) - left


@kernel(i64(read(u8), i64, i64, i64, read(i64), read(u16), write(i64)))
def skip_mcus(data, at, limit, n, blocks, codes, dc):
    """Step over n MCUs between restarts.

    Parameters
    ----------
    data : uint8
        The scan without stuffing, then MARGIN bytes.
    at : int
        Where the first MCU begins.
    limit : int
        Bits of the data without the margin.
    n : int
    blocks : (BLOCK_FIELDS * n_blocks,) int64
        Of each block of an MCU: where its DC, AC and fast AC tables begin in ``codes``, and its
        component.
    codes : (N_CODES,) uint16
    dc : (3,) int64, in and out
        The last DC of each component.

    Returns
    -------
    int
        Where the last MCU ends; or BAD_CODE or TOO_SHORT.
    """
    for _ in range(n):
        for i in range(0, blocks.size, BLOCK_FIELDS):
            block = u64(i)
            at = skip_block(
                data,
                at,
                blocks[block],
                blocks[block + u64(1)],
                blocks[block + u64(2)],
                codes,
                dc,
                blocks[block + u64(3)],
            )
            if at < 0:
                return at
        if at > limit:
            return TOO_SHORT
    return at


@kernel(u64(u64))
def found_ff(word):
    """Return a word with the highest bit of each byte that is FF, and no other bit."""
    sevens = u64(0x7F7F7F7F7F7F7F7F)
    return (word & sevens) + u64(0x0101010101010101) & word & ~sevens


@kernel(i64(read(u8), i64, i64, write(u8), i64, write(i64)))
def unstuff(data, start, stop, out, at, dropped):
    """Copy ``data[start:stop]``, up to an end marker, without stuffing and restart markers.

    Parameters
    ----------
    data : uint8
    start, stop : int
    out : uint8, out
        Capacity ``at + stop - start + MARGIN``; MARGIN bytes after the copy become 0.
    at : int
        Where the copy begins in ``out``.
    dropped : int64, out
        Before which byte of ``out`` a byte 00 or a marker stood, ascending, then FAR; what exceeds
        the capacity is left out.

    Returns
    -------
    int
        Where the copy ends; or BAD_MARKER for a marker of another kind.
    """
    n = 0
    i = start
    while i < stop:
        if i + 8 <= stop:
            word = load64(data, i)
            found = found_ff(word)
            store64(word, out, at)
            if found == 0:
                i += 8
                at += 8
                continue
            plain = trailing_zeros(found) >> 3
            i += plain
            at += plain
        out[at] = data[i]
        i += 1
        at += 1
        if data[i - 1] != 255 or i == stop:
            continue
        kind = i64(data[i])
        i += 1
        if kind == 0:
            drop = at << DROP_BITS
        elif RESTART_MARKER <= kind < RESTART_MARKER + 8:
            at -= 1
            drop = at << DROP_BITS | DROPPED_MARKER | (kind - RESTART_MARKER)
        elif kind == END_MARKER:
            at -= 1
            break
        else:
            return BAD_MARKER
        if n < dropped.size:
            dropped[n] = drop
            n += 1
    if n < dropped.size:
        dropped[n] = FAR
    out[at : at + MARGIN] = 0
    return at
