"""The bytes and bits of JPEG scans, against twins that take one at a time."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtfast.kernels.files import jpeg_crop, jpeg_index, jpeg_scan

GUARD = 0xA5
# Bytes of a scan: many FF, with what may and may not follow them.
SCAN = st.lists(
    st.sampled_from([b"\xff\x00", b"\xff\xd0", b"\xff\xd7", b"\x00", b"\xd5", b"abcdefgh", b"xyz"])
    | st.binary(max_size=12).map(lambda part: part.replace(b"\xff", b"\xfe")),
    max_size=30,
).map(b"".join)


def unstuffed(data: bytes) -> tuple[bytes, list[int]] | None:
    """The naive twin: the copy, and what was dropped."""
    out, dropped = bytearray(), []
    at = 0
    while at < len(data):
        kind = data[at + 1] if data[at] == 0xFF and at + 1 < len(data) else -1
        if kind == 0xD9:
            break
        if kind > 0 and not 0xD0 <= kind < 0xD8:
            return None
        if kind <= 0:
            out.append(data[at])
        if kind == 0:
            dropped.append(len(out) << 4)
        elif kind > 0:
            dropped.append(len(out) << 4 | 8 | (kind & 7))
        at += 1 if kind < 0 else 2
    return bytes(out), dropped


@settings(deadline=None, max_examples=300)
@given(SCAN, st.sampled_from([b"", b"\xff\xd9", b"\xff\xd9 more \xff\xc4", b"\xff", b"\xff\xc4"]))
def test_unstuffing_is_that_of_the_twin(scan, end):
    data = scan + end
    before, after = b"\xff\xc4\xff", b"\xffafter"
    start, at = len(before), 5
    out = np.full(at + len(data) + jpeg_scan.MARGIN + 8, GUARD, np.uint8)
    dropped = np.full(len(data) // 2 + 2, -1)
    whole = np.frombuffer(before + data + after, np.uint8)
    stop = jpeg_scan.unstuff(whole, start, start + len(data), out[:-8], at, dropped[:-1])
    expected = unstuffed(data)
    if expected is None:
        assert stop == jpeg_scan.BAD_MARKER
        return
    copy, drops = expected
    drops = [drop + (at << 4) for drop in drops]
    assert out[at:stop].tobytes() == copy
    assert not out[stop : stop + jpeg_scan.MARGIN].any()
    assert (out[:at] == GUARD).all()
    assert (out[-8:] == GUARD).all()
    assert dropped[: len(drops) + 1].tolist() == [*drops, jpeg_scan.FAR]
    assert dropped[-1] == -1


def test_drops_beyond_the_capacity_are_left_out():
    data = np.frombuffer(b"a\xff\x00" * 5, np.uint8)
    out = np.empty(15 + jpeg_scan.MARGIN, np.uint8)
    for capacity in range(7):
        dropped = np.full(8, -1)
        assert jpeg_scan.unstuff(data, 0, 15, out, 0, dropped[:capacity]) == 10
        expected = [*(k << 4 for k in range(2, 11, 2)), jpeg_scan.FAR][:capacity]
        assert dropped.tolist() == expected + [-1] * (8 - len(expected))


@settings(deadline=None)
@given(st.lists(st.sampled_from([b"\xff", b"\x00", b"abcdefghi", b"\xfe"]), max_size=40))
def test_stuffing_is_undone_by_unstuffing(parts):
    plain = b"".join(parts)
    data = np.frombuffer(plain + b"\xff" * 7, np.uint8)
    out = np.full(3 + 2 * len(plain) + 8, GUARD, np.uint8)
    end = jpeg_crop.stuff(data, len(plain), out, 3)
    assert out[3:end].tobytes() == plain.replace(b"\xff", b"\xff\x00")
    assert (out[:3] == GUARD).all()


@settings(deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 70), st.integers(0, 300), st.integers(0, 20))
def test_bits_are_copied(seed, start, n, at):
    rng = random.Random(seed)
    data = np.frombuffer(rng.randbytes(60), np.uint8)
    bits = "".join(f"{byte:08b}" for byte in data)
    out = np.full(80, GUARD, np.uint8)
    kept = "".join(f"{byte:08b}" for byte in out)[:at]
    assert jpeg_crop.copy_bits(data, start, start + n, out, at) == at + n
    written = "".join(f"{byte:08b}" for byte in out)
    assert written[: at + n] == kept + bits[start : start + n]
    assert (out[(at + n) // 8 + 9 :] == GUARD).all()


@pytest.mark.parametrize("difference", [0, 1, -1, 2, -3, 127, -128, 1023, -1024, 2047, -2047])
def test_a_dc_difference_is_its_category_and_its_bits(difference):
    category = abs(difference).bit_length()
    codes = np.zeros(24, np.int64)
    codes[12 + category] = 0b101 << 5 | 3
    out = np.zeros(16, np.uint8)
    end = jpeg_crop.put_dc(difference, codes, 12, out, 4)
    bits = "".join(f"{byte:08b}" for byte in out)
    value = difference if difference > 0 else difference + (1 << category) - 1
    assert bits[4:end] == "101" + (f"{value:0{category}b}" if category else "")
    assert jpeg_crop.put_dc(difference, np.zeros(24, np.int64), 12, out, 4) == jpeg_scan.NO_CODE


def test_a_dc_difference_beyond_all_categories():
    codes = np.full(13, 1 << 5 | 1)
    out = np.zeros(16, np.uint8)
    for difference in (2048, -2048, 40_000):
        assert jpeg_crop.put_dc(difference, codes, 0, out, 0) == jpeg_scan.NO_CODE


def test_codes_that_fill_the_table():
    """All 16-bit codes but the one of all ones: that one is never given out."""
    codes = np.full(4 << 16, 7, np.uint16)
    entries = np.arange(1, 1 << 16).astype(np.uint16)
    lengths = np.full(entries.size, 16)
    assert jpeg_scan.fill_codes(lengths, entries, 1 << 16, codes) == 0
    assert codes[1 << 16 : 2 << 16].tolist() == [*range(1, 1 << 16), 0]
    assert (codes[: 1 << 16] == 7).all()
    assert (codes[2 << 16 :] == 7).all()
    one_more = np.append(lengths, 16), np.append(entries, np.uint16(9))
    assert jpeg_scan.fill_codes(*one_more, 1 << 16, codes) == jpeg_scan.BAD_CODE
    assert (codes[2 << 16 :] == 7).all()
    halves = np.array([1, 1]), np.array([1, 2], np.uint16)
    assert jpeg_scan.fill_codes(*halves, 0, codes) == jpeg_scan.BAD_CODE


def test_codes_of_a_few_lengths():
    codes = np.full(1 << 16, 7, np.uint16)
    lengths, entries = np.array([1, 3, 3, 16]), np.array([11, 12, 13, 14], np.uint16)
    assert jpeg_scan.fill_codes(lengths, entries, 0, codes) == 0
    runs = [(11, 1 << 15), (12, 1 << 13), (13, 1 << 13), (14, 1), (0, (1 << 14) - 1)]
    assert codes.tolist() == [entry for entry, n in runs for _ in range(n)]


def test_dcs_out_of_range():
    dcs = np.zeros(6, np.int16)
    assert jpeg_index.note_dcs(np.array([32_767, -32_767, 5]), 1, dcs) == 0
    assert dcs.tolist() == [0, 32_767, 0, -32_767, 0, 5]
    for dc in ([32_768, 0, 0], [0, -32_768, 0], [0, 0, 40_000]):
        assert jpeg_index.note_dcs(np.array(dc), 0, dcs) == jpeg_scan.BAD_DC


def test_the_next_restart_marker_is_the_one_expected():
    markers = [(5, 0), (9, 1), (9, 2)]
    dropped = [2 << 4, *(at << 4 | 8 | number for at, number in markers), 11 << 4, jpeg_scan.FAR]
    dropped = np.array(dropped)
    assert jpeg_index.restart_at(dropped, 0, 5, 0) == 1
    assert jpeg_index.restart_at(dropped, 1, 5, 8) == 1
    assert jpeg_index.restart_at(dropped, 2, 9, 1) == 2
    for j, at, number in ((0, 4, 0), (0, 5, 1), (2, 5, 0), (4, 11, 3), (5, 11, 3)):
        assert jpeg_index.restart_at(dropped, j, at, number) == jpeg_scan.BAD_RESTART


def test_positions_in_the_file():
    """Bits of a copy without stuffing, and of the scan that it was made from."""
    scan = b"ab\xff\x00c\xff\x00\xff\x00d\xff\xd0e\xff\x00"
    start = 7
    out, dropped = np.empty(99 + jpeg_scan.MARGIN, np.uint8), np.empty(20, np.int64)
    data = np.frombuffer(bytes(start) + scan, np.uint8)
    n = jpeg_scan.unstuff(data, start, data.size, out, 0, dropped)
    plain, places = unstuffed(scan)[0], [0, 1, 2, 4, 5, 7, 9, 12, 13]
    assert len(plain) == n == len(places)
    # A position is where an MCU ends: a byte that was dropped before it counts.
    positions = np.array([8 * k + k % 8 for k in range(n)])
    expected = [8 * (start + places[k]) + k % 8 for k in range(n)]
    assert jpeg_index.to_file_positions(dropped, start, positions) == 5
    assert positions.tolist() == expected
