"""Windows of many JPEG files at once: which stretches of the files hold them, and their words.

::

    row of a window     a . . [ . . . .] . z        a, z     entries of the crop index around it
                    c . a . . [ . . . .] . z . c    c        entries with a checksum around those
    ranges          |=========================| gap |===..   what is read, in one call if nearly so

See :mod:`mtfast.jpeg.crop`, which does the same for one window that is to be a JPEG itself.
"""

from mtfast.kernels.files.jpeg_rows import unstuff_rows
from mtfast.kernels.jit import i16, i64, kernel, read, u8, u32, write

__all__ = [
    "ACROSS",
    "BITS_AT",
    "BYTES",
    "COLUMN",
    "DOWN",
    "ENTRIES",
    "FIRST",
    "HEAD_FIELDS",
    "IN_ROW",
    "KIND",
    "LONGEST",
    "MCU_HEIGHT",
    "MCU_WIDTH",
    "N_BITS",
    "N_COLUMNS",
    "N_ENTRIES",
    "N_RANGES",
    "N_ROWS",
    "N_STRETCHES",
    "N_WORDS",
    "PER_ROW",
    "PLACE",
    "PLAN_FIELDS",
    "PLAN_TOTALS",
    "RANGES_AT",
    "RANGE_FIELDS",
    "RANGE_PLACE",
    "RANGE_START",
    "RANGE_STOP",
    "RESTART",
    "ROW",
    "STEP",
    "STRETCHES_AT",
    "STRETCH_AFTER",
    "STRETCH_BEFORE",
    "STRETCH_ENTRY",
    "STRETCH_FIELDS",
    "STRETCH_PLACE",
    "STRETCH_START",
    "STRETCH_STOP",
    "WORDS_AT",
    "plan_windows",
    "unstuff_windows",
]

BLOCK = 8

# Of each image: where its entries begin among those of all, and how many there are; MCUs from one
# to the next, and entries of a row of MCUs; pixels of an MCU; MCUs of the image. What else windows
# need to know of it: see mtfast.kernels.device.window_table.
ENTRIES, N_ENTRIES, STEP, IN_ROW, MCU_HEIGHT, MCU_WIDTH, N_ROWS, N_COLUMNS = range(8)
KIND, DOWN, ACROSS, RESTART = range(8, 12)
HEAD_FIELDS = 12

# Of each window: its MCUs; the first entry of each row, and how many there are; then where its
# stretches, ranges, bytes, words and entries begin. The fields of the next window are their ends,
# so there is one more row than windows.
ROW, ROW_END, COLUMN, COLUMN_END, FIRST, PER_ROW = range(6)
STRETCHES_AT, RANGES_AT, PLACE, WORDS_AT, BITS_AT = range(6, 11)
PLAN_FIELDS = 11

# Of each stretch, field by field: its first entry; from which to which bit of the file it is
# checked; where the byte of the first one is among all that is read; the checksums up to the two.
STRETCH_ENTRY, STRETCH_START, STRETCH_STOP, STRETCH_PLACE, STRETCH_BEFORE, STRETCH_AFTER = range(6)
STRETCH_FIELDS = 6

# Of each range, field by field: bytes of the file, and where the first is among all that is read.
RANGE_START, RANGE_STOP, RANGE_PLACE = range(3)
RANGE_FIELDS = 3

# Totals; the last one is the bytes of the longest stretch.
N_STRETCHES, N_RANGES, BYTES, N_WORDS, N_BITS, LONGEST = range(6)
PLAN_TOTALS = 6


@kernel(i64(i64, i64, i64, i64, write(i64), i64))
def find_span(start, size, mcu, n, plans, at):
    """Write the MCUs that pixels need along one side: ``plans[at]`` to before ``plans[at + 1]``.

    As :func:`mtfast.jpeg.crop.cut_window`; returns how many there are.
    """
    stop = start + size
    begin, end = start // mcu, (stop + mcu - 1) // mcu
    if mcu > BLOCK:
        begin -= 1 if start % mcu == 0 else 0
        end += 1 if stop % mcu == 0 else 0
        begin = max(0, min(begin, n - 2))
        end = min(end, n)
    plans[at], plans[at + 1] = begin, end
    return end - begin


@kernel(
    i64(
        read(i64),
        read(i64),
        read(i64),
        read(u32),
        read(u32),
        i64,
        i64,
        write(i64),
        write(i64),
        write(i64),
        write(i64),
    )
)
def plan_windows(
    heads, numbers, windows, positions, sums, every, gap, plans, stretches, ranges, totals
):
    """Plan what is read of the windows of a batch.

    Parameters
    ----------
    heads : (n_images * HEAD_FIELDS,) int64
    numbers : (n,) int64
        Row of each window's image in the heads.
    windows : (4 * n,) int64
        First row and column, height and width of each, inside of its image.
    positions : uint32
        Bits at which the MCU before each entry ends, of all images.
    sums : uint32
        Checksums of an image's file, from its first entry on, see :mod:`mtfast.jpeg.checks`.
    every : int
        Entries from one with a checksum to the next.
    gap : int
        Ranges with no more bytes between them are read as one.
    plans : ((n + 1) * PLAN_FIELDS,) int64, out
    stretches, ranges : (STRETCH_FIELDS * most,) and (RANGE_FIELDS * most,) int64, out
        Field by field; room for a row of each row of MCUs.
    totals : (PLAN_TOTALS,) int64, out

    Returns
    -------
    int
        The number of stretches.
    """
    most = stretches.size // STRETCH_FIELDS
    n_stretches, n_ranges, n_bytes, n_words, n_bits, longest = 0, 0, 0, 0, 0, 0
    n = numbers.size
    for k in range(n):
        head, plan = numbers[k] * HEAD_FIELDS, k * PLAN_FIELDS
        at, n_entries = heads[head + ENTRIES], heads[head + N_ENTRIES]
        step, in_row = heads[head + STEP], heads[head + IN_ROW]
        y, x, height, width = windows[4 * k : 4 * k + 4]
        n_rows, n_columns = heads[head + N_ROWS], heads[head + N_COLUMNS]
        find_span(y, height, heads[head + MCU_HEIGHT], n_rows, plans, plan + ROW)
        find_span(x, width, heads[head + MCU_WIDTH], n_columns, plans, plan + COLUMN)
        first = plans[plan + COLUMN] // step
        end = plans[plan + COLUMN_END]
        # The first entry of the next row is the end of this one.
        last = in_row if end == n_columns else (end + step - 1) // step
        plans[plan + FIRST], plans[plan + PER_ROW] = first, last - first + 1
        plans[plan + STRETCHES_AT], plans[plan + RANGES_AT] = n_stretches, n_ranges
        plans[plan + PLACE], plans[plan + WORDS_AT] = n_bytes, n_words
        plans[plan + BITS_AT] = n_bits
        begins, ends, place = 0, -1, n_bytes
        for row in range(plans[plan + ROW], plans[plan + ROW_END]):
            a, z = row * in_row + first, row * in_row + last
            before, after = a // every, (z + every - 1) // every
            start = i64(positions[at + min(every * before, n_entries - 1)])
            stop = i64(positions[at + min(every * after, n_entries - 1)])
            low, high = start >> 3, (stop + 7) >> 3
            if ends < 0 or low > ends + gap:
                begins, ends, place = low, low, n_bytes
                ranges[most * RANGE_START + n_ranges] = begins
                ranges[most * RANGE_PLACE + n_ranges] = place
                n_ranges += 1
            ends = max(ends, high)
            ranges[most * RANGE_STOP + n_ranges - 1] = ends
            n_bytes = place + ends - begins
            stretches[most * STRETCH_ENTRY + n_stretches] = at + a
            stretches[most * STRETCH_START + n_stretches] = start
            stretches[most * STRETCH_STOP + n_stretches] = stop
            stretches[most * STRETCH_PLACE + n_stretches] = place + low - begins
            stretches[most * STRETCH_BEFORE + n_stretches] = sums[at + before]
            stretches[most * STRETCH_AFTER + n_stretches] = sums[at + after]
            n_stretches += 1
            size = ((i64(positions[at + z]) + 7) >> 3) - (i64(positions[at + a]) >> 3)
            longest = max(longest, size)
            n_words += (size + 3) >> 2
        n_bits += (plans[plan + ROW_END] - plans[plan + ROW]) * (last - first + 1)
    plan = n * PLAN_FIELDS
    plans[plan + STRETCHES_AT], plans[plan + RANGES_AT] = n_stretches, n_ranges
    plans[plan + PLACE], plans[plan + WORDS_AT], plans[plan + BITS_AT] = n_bytes, n_words, n_bits
    totals[N_STRETCHES], totals[N_RANGES], totals[BYTES] = n_stretches, n_ranges, n_bytes
    totals[N_WORDS], totals[N_BITS], totals[LONGEST] = n_words, n_bits, longest
    return n_stretches


@kernel(
    i64(
        read(u8),
        i64,
        i64,
        read(i64),
        read(i64),
        read(u32),
        read(i16),
        write(i64),
        write(u8),
        write(i64),
        write(u32),
        write(u32),
        write(i16),
        write(i64),
    )
)
def unstuff_windows(
    data, start, stop, plans, stretches, positions, dcs,
    entries, plain, dropped, words, bits, window_dcs, n_words,
):  # fmt: skip
    """Copy the stretches of the windows start .. stop - 1 into words.

    Parameters
    ----------
    data : uint8
        What was read of these windows.
    start, stop : int
    plans, stretches
        Of all windows, as from :func:`plan_windows`.
    positions : uint32
    dcs : (3 * n_entries,) int16
        The DCs of the MCU before each entry, of all images.
    entries : int64, scratch
        Capacity for those of the largest of these windows.
    plain, dropped : scratch
        As for :func:`mtfast.kernels.files.jpeg_rows.unstuff_rows`.
    words, bits : uint32, out
        Of all windows, as from that function; ``bits`` count from the first word of a window.
    window_dcs : int16, out
        The DCs of the entries of all windows.
    n_words : (n,) int64, out
        Words of each window; or the negative status of a stretch.

    Returns
    -------
    int
        The last window that was copied, or that cannot be.
    """
    most = stretches.size // STRETCH_FIELDS
    base = plans[start * PLAN_FIELDS + PLACE]
    for k in range(start, stop):
        plan = k * PLAN_FIELDS
        per_row, at = plans[plan + PER_ROW], plans[plan + BITS_AT]
        n = 0
        for row in range(plans[plan + STRETCHES_AT], plans[plan + PLAN_FIELDS + STRETCHES_AT]):
            entry = stretches[most * STRETCH_ENTRY + row]
            place = stretches[most * STRETCH_PLACE + row] - base
            shift = (place - (stretches[most * STRETCH_START + row] >> 3)) << 3
            for j in range(per_row):
                entries[n] = i64(positions[entry + j]) + shift
                for c in range(3):
                    window_dcs[3 * (at + n) + c] = dcs[3 * (entry + j) + c]
                n += 1
        n_words[k] = unstuff_rows(
            data, entries[:n], per_row, plain, dropped, words[plans[plan + WORDS_AT] :], bits[at:]
        )
        if n_words[k] < 0:
            return k
    return stop - 1
