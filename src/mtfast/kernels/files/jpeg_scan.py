"""The coded scan of a baseline JPEG, read without making a pixel of it.

A scan is a row of MCUs (the smallest rectangles that all components tile), an MCU a few blocks of
8 x 8 coefficients, and a block two kinds of Huffman codes, each followed by bits of its own::

    DC   difference to the DC of the component's block before       category, then so many bits
    AC   up to 63, each with the zeros before it; or the end        run and size, then size bits

To step over a block, the bits behind an AC code matter only by their number. So the codes are kept
as steps (coefficients to go on by, bits to go on by), and a second table answers with the steps
of all codes that the next FAST_BITS bits hold::

    DC table t     codes[t << 16 :]                      length << 8 | category
    AC table t     codes[(AC_TABLES + t) << 16 :]        coefficients << 8 | bits
    the fast one   codes[FAST + (t << FAST_BITS) :]      the same, and FAST_END after the last one

each with an entry for all that the next bits can be, 0 where no code begins so.

A byte FF of the scan is followed by 00, or is a marker: of a restart, before which bits fill a byte
and after which all DCs count from 0 again, or of the end. Kernels read a copy without either.
Positions count bits. Source: ITU-T T.81, annex F.
"""

from mtfast.kernels.intrinsics import load64, store64, swap64, trailing_zeros
from mtfast.kernels.jit import i64, kernel, read, u8, u16, u64, write

AC_TABLES = 4
FAST = 8 << 16
FAST_BITS = 13
N_CODES = FAST + (4 << FAST_BITS)

# What the end of a block counts as: more than any run, so that it is told from one.
END_OF_BLOCK = 128
FAST_END = 128
MAX_CATEGORY = 11
# Values of each block in `blocks`.
BLOCK_FIELDS = 4

# Bytes behind the data that may be read: ten blocks, the largest MCU, have less than 2560.
MARGIN = 4096

# Statuses.
BAD_CODE = -1
TOO_SHORT = -2
BAD_MARKER = -3
BAD_RESTART = -4
BAD_DC = -5
NO_CODE = -6

# A dropped byte 00 is `where << DROP_BITS`; a marker is that and DROPPED_MARKER and its number.
DROP_BITS = 4
DROPPED_MARKER = 8
FAR = 1 << 62

RESTART_MARKER = 0xD0
END_MARKER = 0xD9


@kernel(i64(read(i64), read(u16), i64, write(u16)))
def fill_codes(lengths, entries, start, codes):
    """Write one table of 65536 entries from ``codes[start]`` on.

    Parameters
    ----------
    lengths : (n,) int64
        Bits of each code, 1 to 16, ascending.
    entries : (n,) uint16
        What the table is to hold for each code.
    start : int
    codes : uint16, out

    Returns
    -------
    int
        0, or BAD_CODE if there are no such codes: too many are short, or one is all ones.
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
    """Write the fast table of an AC table that is there already."""
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
    """Return the bits from ``at`` on, the first one highest; 57 of the 64 are there."""
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
    # Bits ahead that are used up by whole bytes, `byte` being the next one.
    byte = (at >> 3) + 7
    left = 56 - (at & 7) - length - category
    ahead <<= u64(length + category)
    k = 1
    while k < 64:
        if left < 32:
            # Bits that are there already are put there once more.
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
        The scan without stuffing, and MARGIN bytes.
    at : int
        Where the first MCU begins.
    limit : int
        Bits of the data without the margin.
    n : int
    blocks : (BLOCK_FIELDS * n_blocks,) int64
        Of each block of an MCU: where its three tables are in ``codes``, and its component.
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
    """Set the highest bit of each byte that is FF, and no other bit."""
    sevens = u64(0x7F7F7F7F7F7F7F7F)
    return (word & sevens) + u64(0x0101010101010101) & word & ~sevens


@kernel(i64(read(u8), i64, i64, write(u8), i64, write(i64)))
def unstuff(data, start, stop, out, at, dropped):
    """Copy ``data[start:stop]``, up to an end marker, without zeros behind FF and restart markers.

    Parameters
    ----------
    data : uint8
    start, stop : int
    out : uint8, out
        Room for as much behind ``at``, and for MARGIN bytes, which become 0.
    at : int
    dropped : int64, out
        Where a byte 00 or a marker stood before ``out``, ascending, then FAR; as far as there is
        room.

    Returns
    -------
    int
        Where the copy ends; or BAD_MARKER if there is a marker of another kind.
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
