"""Huffman tables, against codes written as strings."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtfast.errors import MtfastError
from mtfast.jpeg.huffman import CodeTable, make_codes, read_tables, write_tables
from mtfast.kernels.files import jpeg_scan

LENGTHS = st.lists(st.integers(1, 16), min_size=1, max_size=60)


def codes_of(table: CodeTable) -> dict[str, int]:
    """The naive twin: each code, as a string of its bits, and its symbol."""
    symbols, codes, code = iter(table.symbols), {}, 0
    for n in range(1, 17):
        for _ in range(table.counts[n - 1]):
            codes[f"{code:0{n}b}"] = next(symbols)
            code += 1
        code *= 2
    return codes


def table_of(lengths: list[int], symbols: list[int]) -> CodeTable:
    return CodeTable(bytes(lengths.count(n) for n in range(1, 17)), bytes(symbols))


def fitting(lengths: list[int]) -> list[int]:
    """As many of the lengths, ascending, as there are codes for."""
    kept: list[int] = []
    for length in sorted(lengths):
        if sum(2.0**-n for n in [*kept, length]) < 1:
            kept.append(length)
    return kept


@settings(deadline=None, max_examples=50)
@given(LENGTHS.map(fitting).filter(bool), st.permutations(range(256)), st.integers(0, 3))
def test_the_tables_of_acs(lengths, symbols, number):
    table = table_of(lengths, symbols[: len(lengths)])
    codes = codes_of(table)
    found = make_codes(((16 | number, table),))
    assert found.tables == ((16 | number, table),)
    start = (jpeg_scan.AC_TABLES + number) << 16
    lookup = found.lookup[start : start + (1 << 16)]
    expected = np.zeros(1 << 16, np.uint16)
    steps = {}
    for code, symbol in codes.items():
        run, size = divmod(symbol, 16)
        n = run + 1 if size else 16 if run == 15 else jpeg_scan.END_OF_BLOCK
        steps[code] = n, len(code) + size
        first = int(code.ljust(16, "0"), 2)
        expected[first : first + (1 << (16 - len(code)))] = n << 8 | len(code) + size
    np.testing.assert_array_equal(lookup, expected)
    # The others are empty.
    assert np.count_nonzero(found.lookup[: jpeg_scan.FAST]) == np.count_nonzero(expected)
    fast = found.lookup[jpeg_scan.FAST + (number << jpeg_scan.FAST_BITS) :]
    for bits in range(0, 1 << jpeg_scan.FAST_BITS, 37):
        assert fast[bits] == fast_entry(f"{bits:013b}", steps), f"{bits:013b}"


def fast_entry(bits: str, steps: dict[str, tuple[int, int]]) -> int:
    """Go along the bits from code to code, as long as whole codes with their extra bits fit."""
    used = n = 0
    while True:
        code = next((c for c in steps if bits[used:].ljust(16, "0").startswith(c)), None)
        if code is None or used + steps[code][1] > len(bits):
            break
        step, length = steps[code]
        if step == jpeg_scan.END_OF_BLOCK:
            return (used + length) << 8 | (n + 1) | jpeg_scan.FAST_END
        if n + step > 63:
            break
        used, n = used + length, n + step
    return used << 8 | n if used else 0


@settings(deadline=None, max_examples=50)
@given(LENGTHS.map(fitting).filter(bool), st.permutations(range(12)), st.integers(0, 3))
def test_the_tables_of_dcs_get_all_categories(lengths, symbols, number):
    lengths = lengths[:12]
    table = table_of(lengths, symbols[: len(lengths)])
    codes = codes_of(table)
    found = make_codes(((number, table),))
    expected = np.zeros(1 << 16, np.uint16)
    for code, symbol in codes.items():
        first = int(code.ljust(16, "0"), 2)
        expected[first : first + (1 << (16 - len(code)))] = len(code) << 8 | symbol
    np.testing.assert_array_equal(found.lookup[number << 16 : (number + 1) << 16], expected)
    # The codes of the file stay, the others are added where 16 bits are enough.
    ((_, extended),) = found.tables
    all_codes = codes_of(extended)
    assert codes.items() <= all_codes.items()
    n_missing = 12 - len(codes)
    enough = lengths[-1] + n_missing.bit_length() <= 16
    assert len(all_codes) == (12 if enough else len(codes))
    assert not any(set(code) == {"1"} for code in all_codes)
    ordered = sorted(all_codes)
    assert not any(b.startswith(a) for a, b in pairwise(ordered))
    packed = {symbol: int(code, 2) << 5 | len(code) for code, symbol in all_codes.items()}
    assert found.dc_codes[number].tolist() == [packed.get(k, 0) for k in range(12)]
    assert np.count_nonzero(found.dc_codes) == np.count_nonzero(found.dc_codes[number])


def content(number: int, counts: list[int], n_symbols: int) -> bytes:
    return bytes([number, *counts, *[0] * (16 - len(counts)), *range(n_symbols)])


def test_segments_of_several_tables():
    data = content(0, [0, 1, 2], 3) + content(0x13, [0] * 15 + [255], 255) + content(2, [], 0)
    tables = read_tables(data)
    assert [*tables] == [0, 0x13, 2]
    assert tables[0].symbols == b"\0\1\2"
    assert len(tables[0x13].symbols) == 255
    assert write_tables(tuple(tables.items())) == data
    assert read_tables(b"") == {}


@pytest.mark.parametrize(
    "data",
    [
        content(4, [1], 1),
        content(0x14, [1], 1),
        content(0x20, [1], 1),
        content(0x80, [1], 1),
        content(0, [0, 2], 1),
        content(0, [0, 2], 2)[:-1],
        content(0, [0, 2], 2) + b"\0",
        b"\0" * 16,
        content(0, [0] * 14 + [2, 255], 1) + bytes(256),
    ],
)
def test_damaged_segments(data):
    with pytest.raises(MtfastError, match="damaged Huffman tables; expected counts"):
        read_tables(data)


def test_as_many_symbols_as_there_are():
    data = content(0x10, [0] * 14 + [1, 255], 256)
    assert len(read_tables(data)[0x10].symbols) == 256


@pytest.mark.parametrize(
    "table",
    [
        table_of([1, 1], [0, 1]),
        table_of([1, 2, 2], [0, 1, 2]),
        table_of([2, 2, 2, 2], [0, 1, 2, 3]),
        table_of([2, 3], [0, 12]),
    ],
)
def test_tables_that_no_decoder_takes(table):
    with pytest.raises(MtfastError, match="Huffman tables that no decoder takes"):
        make_codes(((0, table),))


def test_the_largest_category():
    assert make_codes(((0, table_of([2, 3], [0, 11])),)).dc_codes[0, 11] == 0b010 << 5 | 3
