"""The scan of LZW data against a naive decoder, and against imagecodecs."""

from __future__ import annotations

import imagecodecs
import numpy as np
import pytest

from mtfast.kernels.files.lzw_scan import INVALID, MOST_ENTRIES, scan_lzw


def scan(data: bytes, most: int = 1 << 40) -> int:
    return scan_lzw(np.frombuffer(data, np.uint8), most, np.empty(MOST_ENTRIES, np.int64))


def decoded(data: bytes) -> bytes | None:
    """The bytes, most significant bits first; None if a code means nothing."""
    bits = "".join(f"{byte:08b}" for byte in data)
    table: list[bytes] = []
    before, out, at = b"", b"", 0
    while True:
        width = min(12, max(9, (258 + len(table) + 1).bit_length()))
        if at + width > len(bits):
            return out
        code = int(bits[at : at + width], 2)
        at += width
        if code == 257:
            return out
        if code == 256:
            table, before = [], b""
            continue
        known = [bytes([code])] if code < 256 else table[code - 258 : code - 257]
        if before and code == 258 + len(table):
            known = [before + before[:1]]
        if not known or (code > 255 and not before):
            return None
        if before:
            table.append(before + known[0][:1])
        before = known[0]
        out += before


def packed(codes: list[tuple[int, int]]) -> bytes:
    bits = "".join(f"{code:0{width}b}" for code, width in codes)
    bits += "0" * (-len(bits) % 8)
    return bytes(int(bits[k : k + 8], 2) for k in range(0, len(bits), 8))


@pytest.mark.parametrize("n", [1, 2, 300, 5000, 60000])
@pytest.mark.parametrize("most", [1, 2, 9, 256])
def test_sound_data(n, most, rng):
    pixels = rng.integers(0, most, n).astype(np.uint8).tobytes()
    data = bytes(imagecodecs.lzw_encode(pixels))
    assert scan(data) == n
    assert decoded(data) == pixels
    assert n // 2 <= scan(data, n // 2) <= n


def test_cut_data(rng):
    data = bytes(imagecodecs.lzw_encode(rng.integers(0, 9, 3000).astype(np.uint8).tobytes()))
    for stop in range(0, len(data), 7):
        assert scan(data[:stop]) == len(decoded(data[:stop]))


def test_damaged_data(rng):
    data = bytes(imagecodecs.lzw_encode(rng.integers(0, 9, 2500).astype(np.uint8).tobytes()))
    n_invalid = 0
    for _ in range(300):
        broken = bytearray(data)
        broken[rng.integers(2, len(data))] ^= 1 << rng.integers(8)
        expected = decoded(bytes(broken))
        assert scan(bytes(broken)) == (INVALID if expected is None else len(expected))
        n_invalid += expected is None
    assert 20 < n_invalid < 280


@pytest.mark.parametrize("first", [258, 300, 511])
def test_an_entry_of_no_table(first):
    """What makes other decoders read outside of theirs."""
    start = [(256, 9), (65, 9), (66, 9)]
    assert scan(packed([*start, (258, 9), (257, 9)])) == 4
    assert scan(packed([*start, (256, 9), (256, 9), (first, 9), (67, 9), (257, 9)])) == INVALID
    assert scan(packed([(first, 9), (257, 9)])) == INVALID
    # What comes after all that is wanted does not matter.
    assert scan(packed([*start, (256, 9), (first, 9)]), most=2) == 2


def test_lowest_bit_first():
    codes = [256, *range(255), 258, 259, 257]
    bits = at = 0
    for number, code in enumerate(codes):
        bits |= code << at
        # One code later than in the other form.
        at += 9 if number <= 255 else 10
    data = bits.to_bytes(-(-at // 8), "little")
    assert data[0] == 0
    assert data[1] & 1
    assert scan(data) == 255 + 2 + 2
    assert imagecodecs.lzw_decode(data) == bytes([*range(255), 0, 1, 1, 2])


def test_a_table_that_never_starts_afresh():
    codes = [(256, 9)] + [(65, min(12, max(9, (k + 258).bit_length()))) for k in range(9000)]
    assert scan(packed(codes)) == INVALID
