"""Checksums of stretches that begin and end inside bytes, against the bits that they cover."""

from __future__ import annotations

import google_crc32c
import numpy as np
import pytest

from mtfast.jpeg.checks import first_changed, sums_before

FILE = np.random.default_rng(0).integers(0, 256, 4, np.uint8).tobytes()


def bits_before(position: int) -> bytes:
    """Return the file up to a bit, the rest of whose byte is 0."""
    bits = "".join(f"{byte:08b}" for byte in FILE)[:position]
    whole = bits + "0" * (-position % 8)
    return int(f"1{whole}", 2).to_bytes(len(whole) // 8 + 1, "big")[1:]


def test_sums_are_those_of_the_bits_before():
    positions = np.arange(8 * len(FILE) + 1)
    expected = [google_crc32c.value(bits_before(position)) for position in positions]
    assert sums_before(FILE + b"\0", positions).tolist() == expected


@pytest.mark.parametrize("start", range(0, 8 * len(FILE), 3))
def test_a_flipped_bit_is_found_where_it_is_in_a_stretch(start):
    first = start >> 3
    for stop in range(start, 8 * len(FILE) + 1):
        ends = np.array([[start], [stop]])
        sums = [np.array([google_crc32c.value(bits_before(end))]) for end in (start, stop)]
        for bit in range(8 * first, 8 * (stop + 7 >> 3)):
            data = bytearray(FILE)
            data[bit >> 3] ^= 0x80 >> (bit & 7)
            # What was read begins mid-file, and has other stretches beside it.
            read = np.frombuffer(b"ab" + bytes(data[first:]) + b"c", np.uint8)
            found = first_changed(read, np.array([2]), *ends, *sums)
            assert found == (0 if start <= bit < stop else -1), (stop, bit)


def test_each_of_several_stretches_is_compared():
    starts, stops = np.array([0, 8, 16]), np.array([8, 16, 24])
    sums = [sums_before(FILE, ends).astype(np.int64) for ends in (starts, stops)]
    for damaged in range(3):
        data = np.frombuffer(FILE, np.uint8).copy()
        assert first_changed(data, np.arange(3), starts, stops, *sums) == -1
        data[damaged] ^= 1
        assert first_changed(data, np.arange(3), starts, stops, *sums) == damaged
