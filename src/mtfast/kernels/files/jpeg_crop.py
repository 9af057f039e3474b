"""Stretches of a JPEG's scan -> the scan of a JPEG that holds a window only.

::

    row above     A . . [ . . . . . L . .] . . Z        A, L, Z    entries of the crop index
    row           A . . [ . . . . . L . .] . . Z        [ . . .]   MCUs of the window

The bits of the MCUs are copied as they are, except for the DC differences of the first MCU of a
row: in the image they are relative to its left neighbour, in the crop to the last MCU of the row
above. The same holds after a restart marker, as the crop has none: decoders are slower with them.

The scan is walked from A to the first MCU of the window, to know the DCs there, and from L to the
end of the window. The bits from there to L are copied without a look at them.
"""

from mtfast.kernels.files.jpeg_scan import (
    BAD_CODE,
    BLOCK_FIELDS,
    MAX_CATEGORY,
    NO_CODE,
    TOO_SHORT,
    found_ff,
    peek,
    skip_block,
    skip_mcus,
    unstuff,
)
from mtfast.kernels.intrinsics import load64, store64, swap64, trailing_zeros
from mtfast.kernels.jit import i64, kernel, read, u8, u16, u64, write

__all__ = ["N_STATE", "ROW_FIELDS", "copy_bits", "crop_scan", "put_dc", "stuff"]

# Values of each row in `rows`: A, L and Z as bits of `data`, and the DCs at A and at L.
ROW_FIELDS = 9

# Values in `grid`: the first row of MCUs of the window; MCUs of a row of the image; columns of MCUs
# of A and of L; columns of the window; MCUs between restarts, or 0.
FIRST_ROW, N_COLUMNS, START, SKIP_TO, BEGIN, END, RESTART = range(7)

# Values in `state`, three each, one a component: the DCs; those of the first MCU; those of the last
# MCU of the crop so far; where the codes of the first DCs begin and end; the DCs at L. Then one:
# where the MCUs that were copied last end.
DC, FIRST, ABOVE, BEGINS, ENDS, AT_SKIP = range(0, 18, 3)
STOP = 18
N_STATE = 19

# The types of `blocks`, `codes` and `dc_codes`.
TABLES = (read(i64), read(u16), read(i64))


@kernel(i64(read(i64), write(i64)))
def copy_three(source, target):
    """Copy the first three values; as slices they take seconds to compile."""
    for c in range(3):
        target[c] = source[c]
    return 3


@kernel(i64(u64, i64, write(u8), i64))
def put_bits(bits, n, out, at):
    """Write the n highest bits of a word, up to 56, after the first ``at`` bits; return the end.

    Up to seven bytes after the last one are overwritten.
    """
    byte = at >> 3
    filled = at & 7
    kept = swap64(load64(out, byte)) & ~(~u64(0) >> u64(filled))
    bits &= ~(~u64(0) >> u64(n))
    store64(swap64(kept | bits >> u64(filled)), out, byte)
    return at + n


@kernel(i64(read(u8), i64, i64, write(u8), i64))
def copy_bits(data, start, stop, out, at):
    """Write the bits start .. stop - 1 of the data; see :func:`put_bits`."""
    while stop - start > 56:
        at = put_bits(peek(data, start), 56, out, at)
        start += 56
    return put_bits(peek(data, start), stop - start, out, at)


@kernel(i64(read(u8), i64, write(u8), i64))
def stuff(data, n, out, at):
    """Copy n bytes with a zero after each FF; return where the copy ends.

    Up to seven bytes after the data are read, and as many after the copy are overwritten.
    """
    i = 0
    while i < n:
        word = load64(data, i)
        plain = trailing_zeros(found_ff(word)) >> 3
        store64(word, out, at)
        if plain >= n - i:
            return at + n - i
        if plain == 8:
            i += 8
            at += 8
        else:
            i += plain + 1
            at += plain + 2
            out[at - 1] = 0
    return at


@kernel(i64(i64, read(i64), i64, write(u8), i64))
def put_dc(difference, dc_codes, start, out, at):
    """Write the code and the extra bits of a DC difference; NO_CODE if the table lacks the code.

    ``dc_codes[start + category]`` is bits << 5 | number of bits, or 0.
    """
    category = 0
    while abs(difference) >> category:
        category += 1
    if category > MAX_CATEGORY or dc_codes[start + category] == 0:
        return NO_CODE
    n = dc_codes[start + category] & 31
    at = put_bits(u64(dc_codes[start + category] >> 5) << u64(64 - n), n, out, at)
    if category:
        if difference < 0:
            difference += (1 << category) - 1
        at = put_bits(u64(difference) << u64(64 - category), category, out, at)
    return at


@kernel(i64(read(u8), i64, i64, i64, i64, i64, *TABLES, write(i64), write(u8), i64))
def copy_mcus(data, at, limit, n, n_skip, skip_to, blocks, codes, dc_codes, state, out, put):
    """Copy n MCUs between restarts, with the first DCs written anew.

    Parameters
    ----------
    data, limit, blocks, codes
        As for :func:`mtfast.kernels.files.jpeg_scan.skip_mcus`.
    at : int
        Where the first MCU begins.
    n : int
    n_skip, skip_to : int
        The MCU after the first n_skip begins at ``skip_to``, with the DCs in ``state[AT_SKIP:]``;
        n_skip is 0 if that is not known.
    dc_codes : int64
        As for :func:`put_dc`, of each component.
    state : (N_STATE,) int64, in and out
    out : uint8, out
    put : int
        Bits that are in ``out`` so far.

    Returns
    -------
    int
        Bits that are in ``out`` then; or a negative status. ``state[STOP]`` is where the MCUs end.
    """
    dc = state[DC:FIRST]
    first = state[FIRST:ABOVE]
    above = state[ABOVE:BEGINS]
    begins = state[BEGINS:ENDS]
    ends = state[ENDS:AT_SKIP]
    last = -1
    n_first = 0
    for i in range(0, blocks.size, BLOCK_FIELDS):
        component = blocks[i + 3]
        if component != last:
            entry = i64(codes[u64(blocks[i]) + (peek(data, at) >> u64(48))])
            begins[component] = at
            ends[component] = at + (entry >> 8) + (entry & 255)
        at = skip_block(data, at, blocks[i], blocks[i + 1], blocks[i + 2], codes, dc, component)
        if at < 0:
            return at
        if component != last:
            first[component] = dc[component]
            n_first += 1
            last = component
    if at > limit:
        return TOO_SHORT
    done = 1
    if n_skip > 1:
        if skip_to < at:
            return BAD_CODE
        at = skip_to
        done = n_skip
        copy_three(state[AT_SKIP:], dc)
    at = skip_mcus(data, at, limit, n - done, blocks, codes, dc)
    if at < 0:
        return at
    for c in range(n_first):
        put = put_dc(first[c] - above[c], dc_codes, c * (MAX_CATEGORY + 1), out, put)
        if put < 0:
            return put
        put = copy_bits(data, ends[c], begins[c + 1] if c + 1 < n_first else at, out, put)
    copy_three(dc, above)
    state[STOP] = at
    return put


@kernel(
    i64(
        read(u8),
        read(i64),
        read(i64),
        *TABLES,
        write(i64),
        write(u8),
        write(u8),
        write(u8),
        i64,
    )
)
def crop_scan(data, rows, grid, blocks, codes, dc_codes, state, plain, bits, out, at):
    """Write the scan of a window.

    Parameters
    ----------
    data : uint8
        Stretches of the scan as it is in the file.
    rows : (ROW_FIELDS * n_rows,) int64
        Of each row of MCUs of the window: where in ``data`` its entries A, L and Z are, in bits,
        ascending, and the DCs at A and at L.
    grid : (7,) int64
        Where the window is among the MCUs of the image; FIRST_ROW and the names after it say what
        each value is.
    blocks, codes, dc_codes
        As for :func:`copy_mcus`.
    state : (N_STATE,) int64, scratch
    plain : uint8, scratch
        Capacity for the longest stretch without stuffing and MARGIN bytes.
    bits : uint8, scratch
        Capacity for the new scan without stuffing and eight bytes.
    out : uint8, out
        Capacity for twice as much after ``at``.
    at : int
        Where the scan begins in ``out``.

    Returns
    -------
    int
        Where it ends in ``out``; or a negative status.
    """
    first_row, n_columns, restart = grid[FIRST_ROW], grid[N_COLUMNS], grid[RESTART]
    start, skip_to, begin, end = grid[START], grid[SKIP_TO], grid[BEGIN], grid[END]
    dc = state[DC:FIRST]
    none = state[0:0]
    state[:] = 0
    bits[0:8] = 0
    put = 0
    # The rows are walked in this function: in one of their own a window takes 4 % longer to cut.
    for r in range(rows.size // ROW_FIELDS):
        row = rows[r * ROW_FIELDS : (r + 1) * ROW_FIELDS]
        n = unstuff(data, row[0] >> 3, row[1] >> 3, plain, 0, none)
        if n < 0:
            return n
        known = n << 3 | row[1] & 7
        n = unstuff(data, row[1] >> 3, (row[2] + 7) >> 3, plain, n, none)
        if n < 0:
            return n
        limit = n << 3
        place = row[0] & 7
        column = start
        copy_three(row[3:], dc)
        while column < end:
            left = n_columns
            if restart > 0:
                mcu = (first_row + r) * n_columns + column
                left = restart - mcu % restart
                if left == restart and mcu > 0:
                    place = (place + 7) & ~7
                    dc[:] = 0
            if column < begin:
                n = min(begin - column, left)
                place = skip_mcus(plain, place, limit, n, blocks, codes, dc)
                if place < 0:
                    return place
            else:
                n = min(end - column, left)
                n_skip = skip_to - column if column < skip_to <= column + n else 0
                copy_three(row[6:], state[AT_SKIP:])
                put = copy_mcus(
                    plain, place, limit, n, n_skip, known, blocks, codes, dc_codes, state, bits, put
                )
                if put < 0:
                    return put
                place = state[STOP]
            column += n
    # Bits 1 fill the last byte.
    put = put_bits(~u64(0), -put & 7, bits, put)
    return stuff(bits, put >> 3, out, at)
