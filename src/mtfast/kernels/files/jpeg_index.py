"""Where decoding can begin mid-file in a JPEG: bit positions and DCs, every few MCUs.

::

    MCU       0    1    2    3    4    5    6        n_columns = 7, step = 3: three entries a row,
    row 0   | a    .    .  | b    .    .  | c        and one where the last row ends
    row 1   | d    .    .  | e    .    .  | f
            g

An entry says where the MCU before it ends and which DCs that MCU has. Only padding and a restart
marker may come between the two MCUs, so an entry serves as the end of a stretch as well as its
start.
"""

from mtfast.kernels.files.jpeg_scan import (
    BAD_DC,
    BAD_RESTART,
    DROP_BITS,
    DROPPED_MARKER,
    FAR,
    skip_mcus,
)
from mtfast.kernels.jit import i16, i64, kernel, read, u8, u16, write

__all__ = ["index_scan", "note_dcs", "restart_at", "to_file_positions"]

# Of an int16; DCs of 8-bit images stay far below.
MAX_DC = (1 << 15) - 1

# The types of `blocks` and `codes`.
TABLES = (read(i64), read(u16))


@kernel(i64(read(i64), i64, i64, i64))
def restart_at(dropped, j, at, number):
    """Find the restart marker before byte ``at``, searching from ``dropped[j]`` on.

    Returns its place in ``dropped``, or BAD_RESTART if it is missing or has another number.
    """
    while dropped[j] & DROPPED_MARKER == 0 and dropped[j] < FAR:
        j += 1
    return j if dropped[j] == at << DROP_BITS | DROPPED_MARKER | (number & 7) else BAD_RESTART


@kernel(i64(read(i64), i64, write(i16)))
def note_dcs(dc, entry, dcs):
    """Write the DCs of an entry; returns 0, or BAD_DC if one of them is out of range."""
    n_entries = dcs.size // 3
    for c in range(3):
        if abs(dc[c]) > MAX_DC:
            return BAD_DC
        dcs[c * n_entries + entry] = dc[c]
    return 0


@kernel(
    i64(read(u8), i64, read(i64), i64, i64, i64, i64, *TABLES, write(i64), write(i64), write(i16))
)
def index_scan(
    data, n_bytes, dropped, n_columns, n_rows, step, restart, blocks, codes, dc, positions, dcs
):
    """Walk a whole scan and write an entry every ``step`` MCUs of each row.

    Parameters
    ----------
    data, n_bytes : uint8 and int
        The scan without stuffing, n_bytes and a margin, as
        :func:`mtfast.kernels.files.jpeg_scan.unstuff` makes it.
    dropped : int64
        From the same call: everything that was dropped, then FAR.
    n_columns, n_rows : int
        MCUs of the image.
    step : int
    restart : int
        MCUs between restarts, or 0.
    blocks, codes : int64 and uint16
        See :func:`mtfast.kernels.files.jpeg_scan.skip_mcus`.
    dc : (3,) int64, scratch
    positions : (n_entries,) int64, out
        Bits of the scan without stuffing.
    dcs : (3 * n_entries,) int16, out
        All of one component, then those of the next one.

    Returns
    -------
    int
        The number of entries; or a negative status for a damaged scan.
    """
    limit = n_bytes << 3
    at = 0
    entry = 0
    drop = 0
    mcu = 0
    dc[:] = 0
    for _ in range(n_rows):
        column = 0
        while column < n_columns:
            if column % step == 0:
                positions[entry] = at
                if note_dcs(dc, entry, dcs) < 0:
                    return BAD_DC
                entry += 1
            n = min(step - column % step, n_columns - column)
            if restart > 0:
                if mcu % restart == 0 and mcu > 0:
                    at = (at + 7) & ~7
                    drop = restart_at(dropped, drop, at >> 3, mcu // restart - 1)
                    if drop < 0:
                        return drop
                    drop += 1
                    dc[:] = 0
                n = min(n, restart - mcu % restart)
            at = skip_mcus(data, at, limit, n, blocks, codes, dc)
            if at < 0:
                return at
            column += n
            mcu += n
    while dropped[drop] < FAR:
        if dropped[drop] & DROPPED_MARKER:
            return BAD_RESTART
        drop += 1
    positions[entry] = at
    return entry + 1 if note_dcs(dc, entry, dcs) == 0 else BAD_DC


@kernel(i64(read(i64), i64, write(i64)))
def to_file_positions(dropped, start, positions):
    """Turn positions in the scan without stuffing, ascending, into positions in the file.

    The scan begins at byte ``start`` of the file. Returns the number of bytes that were dropped
    before the last position.
    """
    drop = 0
    shift = 0
    for k in range(positions.size):
        byte = positions[k] >> 3
        while dropped[drop] >> DROP_BITS <= byte:
            shift += 2 if dropped[drop] & DROPPED_MARKER else 1
            drop += 1
        positions[k] += (start + shift) << 3
    return shift
