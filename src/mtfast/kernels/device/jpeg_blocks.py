"""Coded data of baseline JPEGs -> samples of the components, one stretch of MCUs a thread.

Between two entries of a crop index a thread decodes on its own. It decodes a block of 8 x 8
coefficients into scratch memory, transforms it there, and writes 64 samples::

    words ... | stretch | stretch | ...     block bx, thread t: stretch 128 bx + t of window by
                   |
                   v    Huffman codes, dequantisation
    scratch: 64 coefficients, those of all threads side by side
                   |    inverse DCT: columns, then rows
                   v
    planes: y, cb, cr of the window's MCUs

Codes of up to FAST_BITS bits are looked up in scratch memory, where each block of threads keeps the
tables of its file. The entry of a longer one leads to the 64 entries of the next six bits.

The transform is the accurate integer one of the Independent JPEG Group ("islow"), as
libjpeg-turbo's SIMD code computes it, with 16-bit numbers between the two passes.
Source: ITU-T T.81, annex F; jidctint.c of libjpeg.
"""

from mtfast.kernels.device.arithmetic import quotient, remainder
from mtfast.kernels.device.twice import device_function, device_kernel
from mtfast.kernels.device.window_table import (
    ACROSS,
    CHECKED,
    COLUMN,
    COLUMN_END,
    DOWN,
    ENTRIES,
    FIELDS,
    FIRST_COLUMN,
    FIRST_ROW,
    KIND,
    KIND_GREY,
    LONG_CODES,
    N_COLUMNS,
    PER_ROW,
    PLANES,
    RESTART,
    ROW,
    ROW_END,
    SOURCE,
    STEP,
    TABLES,
    WORDS,
    WORDS_END,
)
from mtfast.kernels.jit import i16, i32, i64, u16, u32, u64

__all__ = [
    "BAD_CODE",
    "BAD_END",
    "FAST",
    "FAST_BITS",
    "LONG",
    "LONG_BITS",
    "NATURAL",
    "QUANTA",
    "TABLE_SET",
    "THREADS",
    "TOO_SHORT",
    "WORDS_AHEAD",
    "copy_rows",
    "decode_stretches",
]

THREADS = 128
COPIERS = 128
# A reader of bits is two words ahead.
WORDS_AHEAD = 2
FAST_BITS = 10
FAST = 1 << FAST_BITS
# The bits of a code that are looked up second, and what marks an entry that leads to them.
LONG_BITS = 6
LONG = 0x8000

# A set of tables: DC codes of the luma and of the chroma, AC codes likewise; factors of three
# components in the order of the file; and where each coefficient of that order is in the block.
AC = 2 * FAST
QUANTA = 4 * FAST
NATURAL = QUANTA + 3 * 64
TABLE_SET = NATURAL + 64
# The blocks of all threads follow: coefficient k of thread t is at BLOCKS + k * THREADS + t.
BLOCKS = TABLE_SET

# Statuses of a window.
BAD_CODE, TOO_SHORT, BAD_END = 1, 2, 3


@device_function
def word_at(words, at, end):
    """Return a word, or 0 after the last one."""
    return u64(words[at]) if at < end else u64(0)


@device_function
def code_at(scratch, table, long_codes, first, bits):
    """Look up the code that begins with the highest of 64 bits: length << 8 | symbol, or 0."""
    entry = i32(scratch[table + i32(bits >> u64(64 - FAST_BITS))])
    if entry & LONG:
        place = i32(bits >> u64(64 - FAST_BITS - LONG_BITS)) & 63
        entry = i32(long_codes[first + (i32(entry & 0x7FFF) << LONG_BITS) + place])
    return entry


@device_function
def value_of(bits, size):
    """Return the number that the highest ``size`` bits stand for, 1 to 16."""
    value = i32(u32(bits >> u64(32)) >> u32(32 - size))
    # Values whose first bit is 0 are negative.
    if value < i32(1) << i32(size - 1):
        value = i32(value + 1 - (i32(1) << size))
    return value


@device_function
def transform(a0, a1, a2, a3, a4, a5, a6, a7):
    """Transform eight coefficients, scaled by 2^13."""
    z1 = i32(i32(a2 + a6) * i32(4433))
    t2 = i32(z1 - i32(a6 * i32(15137)))
    t3 = i32(z1 + i32(a2 * i32(6270)))
    t0 = i32(i32(a0 + a4) << i32(13))
    t1 = i32(i32(a0 - a4) << i32(13))
    e0, e3 = i32(t0 + t3), i32(t0 - t3)
    e1, e2 = i32(t1 + t2), i32(t1 - t2)
    z1, z2, z3, z4 = i32(a7 + a1), i32(a5 + a3), i32(a7 + a3), i32(a5 + a1)
    z5 = i32(i32(z3 + z4) * i32(9633))
    z1 = i32(z1 * i32(-7373))
    z2 = i32(z2 * i32(-20995))
    z3 = i32(i32(z3 * i32(-16069)) + z5)
    z4 = i32(i32(z4 * i32(-3196)) + z5)
    o0 = i32(i32(i32(a7 * i32(2446)) + z1) + z3)
    o1 = i32(i32(i32(a5 * i32(16819)) + z2) + z4)
    o2 = i32(i32(i32(a3 * i32(25172)) + z2) + z3)
    o3 = i32(i32(i32(a1 * i32(12299)) + z1) + z4)
    return (
        i32(e0 + o3),
        i32(e1 + o2),
        i32(e2 + o1),
        i32(e3 + o0),
        i32(e3 - o0),
        i32(e2 - o1),
        i32(e1 - o2),
        i32(e0 - o3),
    )


@device_function
def coefficient(scratch, at, k):
    """Return coefficient k of the block at a place in scratch memory."""
    return i32(i16(scratch[at + k * THREADS]))


@device_function
def keep(scratch, at, k, value):
    """Round what the first pass made of a coefficient, and keep it in its place."""
    rounded = i32(i32(value + i32(1024)) >> i32(11))
    scratch[at + k * THREADS] = u16(min(max(rounded, i32(-32768)), i32(32767)))


@device_function
def sample(value):
    """Round what the second pass made to a sample, 0 to 255."""
    rounded = i32(i32(i32(value + i32(131072)) >> i32(18)) + i32(128))
    return u32(min(max(rounded, i32(0)), i32(255)))


@device_function
def write_block(scratch, at, planes, start, stride):
    """Transform a block, write its samples as pairs of words, and clear it.

    ``start`` and ``stride`` count words.
    """
    for k in range(8):
        o0, o1, o2, o3, o4, o5, o6, o7 = transform(
            coefficient(scratch, at, k),
            coefficient(scratch, at, k + 8),
            coefficient(scratch, at, k + 16),
            coefficient(scratch, at, k + 24),
            coefficient(scratch, at, k + 32),
            coefficient(scratch, at, k + 40),
            coefficient(scratch, at, k + 48),
            coefficient(scratch, at, k + 56),
        )
        keep(scratch, at, k, o0)
        keep(scratch, at, k + 8, o1)
        keep(scratch, at, k + 16, o2)
        keep(scratch, at, k + 24, o3)
        keep(scratch, at, k + 32, o4)
        keep(scratch, at, k + 40, o5)
        keep(scratch, at, k + 48, o6)
        keep(scratch, at, k + 56, o7)
    for row in range(8):
        k = 8 * row
        o0, o1, o2, o3, o4, o5, o6, o7 = transform(
            coefficient(scratch, at, k),
            coefficient(scratch, at, k + 1),
            coefficient(scratch, at, k + 2),
            coefficient(scratch, at, k + 3),
            coefficient(scratch, at, k + 4),
            coefficient(scratch, at, k + 5),
            coefficient(scratch, at, k + 6),
            coefficient(scratch, at, k + 7),
        )
        planes[start] = (
            sample(o0) | sample(o1) << u32(8) | sample(o2) << u32(16) | sample(o3) << u32(24)
        )
        planes[start + 1] = (
            sample(o4) | sample(o5) << u32(8) | sample(o6) << u32(16) | sample(o7) << u32(24)
        )
        start += stride
        for i in range(8):
            scratch[at + (k + i) * THREADS] = 0


@device_function
def decode_block(
    scratch, at, words, end, bits, left, word, component, before, long_codes, first, kept
):
    """Decode a block into scratch memory.

    Returns the reader's state, the DC, and a status.
    """
    table = i32(0) if component == 0 else i32(FAST)
    quanta = i32(QUANTA + 64 * component)
    if left < 32:
        bits |= word_at(words, word, end) << u64(32 - left)
        word += 1
        left = i32(left + 32)
    entry = code_at(scratch, table, long_codes, first, bits)
    if entry == 0:
        return bits, left, word, before, i32(BAD_CODE)
    size = i32(entry & 15)
    bits <<= u64(entry >> 8)
    dc = before
    if size > 0:
        dc = i32(dc + value_of(bits, size))
    bits <<= u64(size)
    left = i32(left - i32(entry >> 8) - size)
    if kept:
        scratch[at] = u16(i32(dc * i32(scratch[quanta])))
    k = i32(1)
    while k < 64:
        if left < 32:
            bits |= word_at(words, word, end) << u64(32 - left)
            word += 1
            left = i32(left + 32)
        entry = code_at(scratch, i32(AC + table), long_codes, first, bits)
        size = i32(entry & 15)
        run = i32((entry >> 4) & 15)
        bits <<= u64(entry >> 8)
        left = i32(left - i32(entry >> 8) - size)
        if size == 0:
            if entry == 0:
                return bits, left, word, dc, i32(BAD_CODE)
            if run < 15:
                break
            k = i32(k + 16)
            continue
        k = i32(k + run)
        if k > 63:
            return bits, left, word, dc, i32(BAD_CODE)
        if kept:
            value = i32(value_of(bits, size) * i32(scratch[quanta + k]))
            scratch[at + i32(scratch[NATURAL + k]) * THREADS] = u16(value)
        bits <<= u64(size)
        k = i32(k + 1)
    return bits, left, word, dc, i32(0)


@device_function
def decode_stretch(
    bx, by, t, scratch, windows, words, bits, dcs, tables, long_codes, planes, status
):
    """Decode the stretch of a thread, if there is one."""
    w = i64(by) * FIELDS
    step = i32(windows[w + STEP])
    column_begin, column_end = i32(windows[w + COLUMN]), i32(windows[w + COLUMN_END])
    # A window that shows nothing of its image has no stretches to divide by.
    if column_begin >= column_end:
        return
    first = quotient(column_begin, step)
    n_stretches = i32(quotient(column_end - 1, step) + 1 - first)
    number = i32(bx * THREADS + t)
    row = i32(windows[w + ROW] + quotient(number, n_stretches))
    if row >= windows[w + ROW_END]:
        return
    stretch = i32(first + remainder(number, n_stretches))
    entry = (
        windows[w + ENTRIES]
        + (row - windows[w + FIRST_ROW]) * windows[w + PER_ROW]
        + (stretch - windows[w + FIRST_COLUMN])
    )
    n_columns, restart = i32(windows[w + N_COLUMNS]), i32(windows[w + RESTART])
    down, across = i32(windows[w + DOWN]), i32(windows[w + ACROSS])
    n_luma = i32(down * across)
    n_blocks = n_luma if windows[w + KIND] == KIND_GREY else i32(n_luma + 2)
    end, long_first = windows[w + WORDS_END], windows[w + LONG_CODES]
    # The planes, in words.
    width = i32((column_end - column_begin) * 2)
    height = i32((windows[w + ROW_END] - windows[w + ROW]) * 8)
    luma = windows[w + PLANES] >> 2
    chroma = luma + i64(width * across) * i64(height * down)
    y = i32((row - windows[w + ROW]) * 8)
    place = i64(bits[entry])
    word = windows[w + WORDS] + (place >> 5)
    ahead = word_at(words, word, end) << u64(32) | word_at(words, word + 1, end)
    ahead <<= u64(place & 31)
    left = i32(64 - (place & 31))
    word += 2
    dc0, dc1, dc2 = i32(dcs[3 * entry]), i32(dcs[3 * entry + 1]), i32(dcs[3 * entry + 2])
    column = i32(stretch * step)
    stop = i32(min(column + step, n_columns))
    is_whole = stop <= column_end
    stop = i32(min(stop, column_end))
    at = i32(BLOCKS + t)
    while column < stop:
        mcu = row * n_columns + column
        if restart > 0 and mcu > 0 and remainder(mcu, restart) == 0:
            ahead <<= u64(left & 7)
            left = i32(left - (left & 7))
            dc0 = dc1 = dc2 = i32(0)
        kept = column >= column_begin
        x = i32((column - column_begin) * 2)
        for b in range(n_blocks):
            component = i32(0) if b < n_luma else i32(b - n_luma + 1)
            before = dc0 if component == 0 else (dc1 if component == 1 else dc2)
            ahead, left, word, dc, bad = decode_block(
                scratch, at, words, end, ahead, left, word, component, before, long_codes,
                long_first, kept,
            )  # fmt: skip
            if bad:
                status[by] = bad
                return
            if component == 0:
                dc0 = dc
            elif component == 1:
                dc1 = dc
            else:
                dc2 = dc
            if kept:
                if component == 0:
                    stride = i32(width * across)
                    start = luma + i64(y * down + 8 * quotient(b, across)) * stride
                    start += x * across + 2 * remainder(b, across)
                else:
                    stride = width
                    start = chroma + i64((component - 1) * height + y) * stride + x
                write_block(scratch, at, planes, start, stride)
        column = i32(column + 1)
        if word - (left >> 5) > end:
            status[by] = TOO_SHORT
            return
    position = ((word - windows[w + WORDS]) << 5) - left
    if is_whole and windows[w + CHECKED] and position != i64(bits[entry + 1]):
        status[by] = BAD_END


@device_kernel("i64[] u32[] u32[] u32[]", threads=COPIERS)
def copy_rows(bx, by, t, scratch, windows, bits, words, out):
    """Copy the words of windows from the host's memory, in requests as long as the bus takes.

    Blocks: ``by`` is the window, ``bx`` its row of MCUs.

    Parameters
    ----------
    windows, bits
        As for :func:`decode_stretches`.
    words : uint32
        Of the set; those of a window's file from its SOURCE on.
    out : uint32, out
        Those of a window's file from its WORDS on, as far as they are needed.
    """
    w = i64(by) * FIELDS
    row = windows[w + ROW] + bx
    if row >= windows[w + ROW_END]:
        return
    step, per_row = windows[w + STEP], windows[w + PER_ROW]
    entry = windows[w + ENTRIES] + row * per_row
    last = entry + quotient(windows[w + COLUMN_END] - 1, step) + 1
    entry += quotient(windows[w + COLUMN], step)
    source, target = windows[w + SOURCE], windows[w + WORDS]
    end = min((i64(bits[last]) >> 5) + 1 + WORDS_AHEAD, windows[w + WORDS_END] - target)
    for k in range((i64(bits[entry]) >> 5) + t, end, COPIERS):
        out[target + k] = words[source + k]


@device_kernel(
    "i64[] u32[] u32[] i16[] u16[] u16[] u32[] i32[]",
    threads=THREADS,
    scratch=("u16", BLOCKS + 64 * THREADS),
    then=[decode_stretch],
)
def decode_stretches(
    bx, by, t, scratch, windows, words, bits, dcs, tables, long_codes, planes, status
):
    """Decode the MCUs of windows.

    Blocks: ``by`` is the window, ``bx`` counts each THREADS of its stretches.

    Parameters
    ----------
    windows : (n * FIELDS,) int64
        See :mod:`mtfast.kernels.device.window_table`.
    words : uint32
        Scans without stuffing and markers; the first byte of a word is its highest.
    bits : uint32
        Of each entry, where the MCU before it ends, in bits from WORDS on.
    dcs : (3 * n_entries,) int16
        Of each entry, the DCs of the MCU before.
    tables : (n_sets * TABLE_SET,) uint16
    long_codes : uint16
    planes : uint32, out
        Samples of all windows: y, cb and cr of each, in rows of whole MCUs.
    status : (n,) int32, out
        Left alone, or BAD_CODE, TOO_SHORT or BAD_END.
    """
    first = windows[i64(by) * FIELDS + TABLES] * TABLE_SET
    for k in range(t, TABLE_SET, THREADS):
        scratch[k] = tables[first + k]
    for k in range(64):
        scratch[BLOCKS + k * THREADS + t] = 0
