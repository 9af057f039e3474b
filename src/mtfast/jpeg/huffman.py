"""Tables of Huffman codes, as kernels read them, and as a crop's own header declares them.

Source: ITU-T T.81, annexes B.2.4.2 and C.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtfast.errors import MtfastError

__all__ = ["CodeTable", "Codes", "make_codes", "read_tables", "write_tables"]

MAX_CATEGORY = 11
_AC = 0x10
_LONGEST = 16


class CodeTable(NamedTuple):
    """One table: how many codes there are of 1 to 16 bits, and what they stand for."""

    counts: bytes
    symbols: bytes


Tables = tuple[tuple[int, CodeTable], ...]
"""Tables by class and number: 0 to 3 for DC, 16 to 19 for AC; in ascending order."""


class Codes(NamedTuple):
    """What the kernels and the header of a crop need of all tables of a file.

    Attributes
    ----------
    lookup : (N_CODES,) uint16
        See :mod:`mtfast.kernels.files.jpeg_scan`.
    dc_codes : (4, 12) int64
        Code of each category of each DC table, bits << 5 | number of bits; 0 where there is none.
    tables : Tables
        The tables of the crop: those of DCs have every category, if there was room.
    """

    lookup: NDArray[np.uint16]
    dc_codes: NDArray[np.int64]
    tables: Tables


def read_tables(content: bytes) -> dict[int, CodeTable]:
    """Read the tables of a DHT segment.

    Raises
    ------
    MtfastError
        If they are damaged.
    """
    tables = {}
    at = 0
    while at < len(content):
        number, counts = content[at], content[at + 1 : at + 1 + _LONGEST]
        n = sum(counts)
        symbols = content[at + 1 + _LONGEST : at + 1 + _LONGEST + n]
        if len(counts) != _LONGEST or len(symbols) != n or number & ~_AC > 3 or n > 256:
            raise MtfastError(
                "a JPEG with damaged Huffman tables; expected counts and as many symbols; "
                "fetch the image again"
            )
        tables[number] = CodeTable(counts, symbols)
        at += 1 + _LONGEST + n
    return tables


def write_tables(tables: Tables) -> bytes:
    """Return the content of a DHT segment."""
    return b"".join(bytes([number]) + table.counts + table.symbols for number, table in tables)


@lru_cache(maxsize=8)
def make_codes(tables: Tables) -> Codes:
    """Make what kernels read. Most files of a set share their tables, so it is kept.

    Raises
    ------
    MtfastError
        If the codes of a table contradict each other, or stand for what they cannot.
    """
    from mtfast.kernels.files import jpeg_scan

    lookup = np.zeros(jpeg_scan.N_CODES, np.uint16)
    dc_codes = np.zeros((4, MAX_CATEGORY + 1), np.int64)
    extended = []
    for number, table in tables:
        symbols = np.frombuffer(table.symbols, np.uint8).astype(np.int64)
        lengths = _lengths(table)
        if number & _AC:
            size, run = symbols & 15, symbols >> 4
            steps = np.where(size > 0, run + 1, jpeg_scan.END_OF_BLOCK)
            steps[symbols == 0xF0] = 16
            entries = steps << 8 | lengths + size
            at = jpeg_scan.AC_TABLES + (number & 3)
        else:
            entries = lengths << 8 | symbols
            at = number
        bad = jpeg_scan.fill_codes(lengths, entries.astype(np.uint16), at << 16, lookup)
        if bad or (number < _AC and symbols.max(initial=0) > MAX_CATEGORY):
            raise MtfastError(
                "a JPEG with Huffman tables that no decoder takes; expected codes that differ, for "
                "what 8 bits need; fetch the image again"
            )
        if number & _AC:
            jpeg_scan.fill_fast(number & 3, lookup)
        else:
            table = _with_all_categories(table)
            dc_codes[number, list(table.symbols)] = _codes(table)
        extended.append((number, table))
    return Codes(lookup, dc_codes, tuple(extended))


def _lengths(table: CodeTable) -> NDArray[np.int64]:
    return np.repeat(np.arange(1, _LONGEST + 1), list(table.counts))


def _codes(table: CodeTable) -> list[int]:
    """Assign the codes, bits << 5 | number of bits."""
    codes = []
    code = before = 0
    for length in _lengths(table).tolist():
        code <<= length - before
        codes.append(code << 5 | length)
        code, before = code + 1, length
    return codes


def _with_all_categories(table: CodeTable) -> CodeTable:
    """Append the categories that a DC table lacks, which an optimised one may.

    Their codes begin with the ones that no code of the longest length has, so the others stay.
    Without room for them the table stays as it is.
    """
    missing = bytes(set(range(MAX_CATEGORY + 1)) - set(table.symbols))
    longest = max((n for n in range(1, _LONGEST + 1) if table.counts[n - 1]), default=0)
    # All ones stay free: 2**k - 1 codes are k bits longer.
    length = longest + len(missing).bit_length()
    if not missing or length > _LONGEST:
        return table
    counts = bytearray(table.counts)
    counts[length - 1] += len(missing)
    return CodeTable(bytes(counts), table.symbols + missing)
