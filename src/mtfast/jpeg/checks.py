"""Checksums of a JPEG file up to positions within its bytes.

A window is decoded from stretches of the file, each from one entry of its crop index to another.
The index has a checksum for every other entry, and for the last one, of all bits of the file before
it, so that a stretch is checked with the two at its ends, or outside of them by one::

    bits of the file   ........ ........ ...|.....  ........ ........ .|......
                                    entry a ^                  entry b ^

    checksum at a, then the bits between a and b  =  checksum at b

Where an entry is inside a byte, the bits of that byte from the entry on count as 0 in its checksum.
A CRC is linear: the bits after the entry are added by a look-up in its table. Source: CRC-32C of
RFC 3720, appendix B.4; its reflected polynomial is 82F63B78.
"""

from __future__ import annotations

import google_crc32c
import numpy as np
from numpy.typing import NDArray

__all__ = [
    "CHANGED",
    "EVERY",
    "checked",
    "first_changed",
    "n_checked",
    "sums_around",
    "sums_before",
]

_POLYNOMIAL = 0x82F63B78


def _table() -> list[int]:
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (_POLYNOMIAL if byte & 1 else 0)
        table.append(byte)
    return table


_TABLE = _table()
_TABLE_COLUMN = np.array(_TABLE, np.uint32)


CHANGED = "bytes that are not those that were indexed"
"""What a file has that is damaged."""

# With a checksum for each entry the index would be half as large again, and no window faster.
EVERY = 2


def n_checked(n_entries: int) -> int:
    """Return how many entries of an index have a checksum.

    Parameters
    ----------
    n_entries : int
        At least 1.

    Returns
    -------
    int

    Examples
    --------
    >>> [n_checked(n) for n in (1, 2, 3, 4)]
    [1, 2, 2, 3]
    """
    return n_entries // EVERY + 1


def checked(numbers: NDArray[np.int64], n_entries: int) -> NDArray[np.int64]:
    """Return the entries that have the checksums of the given numbers.

    Parameters
    ----------
    numbers : int64 array
        From 0 to ``n_checked(n_entries) - 1``.
    n_entries : int
        Of the index.

    Returns
    -------
    int64 array
        Of the same shape.

    Examples
    --------
    >>> checked(np.arange(3), 4), checked(np.arange(3), 5)
    (array([0, 2, 3]), array([0, 2, 4]))
    """
    return np.minimum(EVERY * numbers, n_entries - 1)


def sums_around(entries: NDArray[np.int64], first: int, last: int) -> NDArray[np.int64]:
    """Return the numbers of the checksums around stretches that are equally many entries long.

    Parameters
    ----------
    entries : (n,) int64
    first, last : int
        Stretch k is from entry ``entries[k] + first`` to ``entries[k] + last``.

    Returns
    -------
    (2, n) int64
        Of those at or before the first entries, and at or after the last ones.

    Examples
    --------
    >>> sums_around(np.array([0, 1]), 2, 4)
    array([[1, 1],
           [2, 3]])
    """
    # All at once: each call of numpy takes 0.5 us.
    numbers: NDArray[np.int64] = (entries + np.array([[first], [last + EVERY - 1]])) // EVERY
    return numbers


def sums_before(data: bytes, positions: NDArray[np.int64]) -> NDArray[np.uint32]:
    r"""Return the checksum of all bits of a file before each position.

    Parameters
    ----------
    data : bytes
    positions : (n,) int64
        In bits, ascending; none beyond the file.

    Returns
    -------
    (n,) uint32

    Examples
    --------
    >>> import google_crc32c
    >>> sums = sums_before(b"ab", np.array([8, 12, 16]))
    >>> sums.tolist() == [google_crc32c.value(text) for text in (b"a", b"a\x60", b"ab")]
    True
    """
    ends, bits = np.divmod(positions, 8)
    whole = []
    state, at = 0, 0
    for end in ends.tolist():
        state = google_crc32c.extend(state, data[at:end])
        at = end
        whole.append(state)
    sums = np.array(whole, np.uint32)
    # Of those inside a byte, its first bits are added by the table.
    inside = bits > 0
    heads = np.frombuffer(data, np.uint8)[ends[inside]] & (0xFF00 >> bits[inside] & 0xFF)
    states = ~sums[inside]
    sums[inside] = ~(_TABLE_COLUMN[(states ^ heads) & 0xFF] ^ states >> 8)
    return sums


def first_changed(
    data: NDArray[np.uint8],
    places: NDArray[np.int64],
    starts: NDArray[np.int64],
    stops: NDArray[np.int64],
    before: NDArray[np.int64],
    after: NDArray[np.int64],
) -> int:
    """Find the first stretch whose bits are not those that were indexed.

    Parameters
    ----------
    data : (n_bytes,) uint8
        Holds of each stretch the bytes from that with its first bit to that with its last one.
    places : (n,) int64
        Where the first of these bytes is in ``data``.
    starts, stops : (n,) int64
        Positions in the file, in bits.
    before, after : (n,) int64
        Checksums of the file up to the two.

    Returns
    -------
    int
        Its number; -1 if all are whole.

    Examples
    --------
    >>> starts, stops = np.array([4]), np.array([20])
    >>> sums = [sums_before(b"abc", ends).astype(np.int64) for ends in (starts, stops)]
    >>> for text in (b"abc", b"qbc", b"bbc"):  # the second is the same from bit 4 on
    ...     first_changed(np.frombuffer(text, np.uint8), np.array([0]), starts, stops, *sums)
    -1
    -1
    0
    """
    from mtfast.kernels.files import jpeg_sums

    # What is left to Python are whole bytes, 0.4 us a stretch: a CRC of google_crc32c's speed takes
    # instructions that processors do not share.
    states, firsts = np.empty_like(before), np.empty_like(places)
    lasts = np.empty_like(places)
    jpeg_sums.begin_sums(data, places, starts, stops, before, _TABLE_COLUMN, states, firsts, lasts)
    extend = google_crc32c.extend
    rows = zip(states.tolist(), firsts.tolist(), lasts.tolist(), strict=True)
    states[:] = [extend(state, data[first:last]) for state, first, last in rows]
    return jpeg_sums.end_sums(data, starts, stops, lasts, states, after, _TABLE_COLUMN)
