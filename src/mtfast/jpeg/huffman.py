"""Huffman tables, as kernels read them, and as the header of a crop declares them.

A table lists how many codes there are of 1 to 16 bits, and the symbols they stand for. The codes
themselves follow: each is the one before plus 1, with zeros appended where codes get longer::

    counts 0 1 2 ...  symbols 5 3 4         5: 00    3: 010    4: 011

Source: ITU-T T.81, annexes B.2.4.2 and C.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtfast.errors import MtfastError

__all__ = ["CodeTable", "Codes", "code_lengths", "make_codes", "read_tables", "write_tables"]

_AC = 0x10
_LONGEST = 16


class CodeTable(NamedTuple):
    """One table: how many codes there are of 1 to 16 bits, and the symbols they stand for."""

    counts: bytes
    symbols: bytes


Tables = tuple[tuple[int, CodeTable], ...]
"""Tables by number, ascending: 0 to 3 are those of DCs, 16 to 19 those of ACs."""


class Codes(NamedTuple):
    """All tables of a file, for the kernels and for the header of a crop.

    Attributes
    ----------
    lookup : (N_CODES,) uint16
        See :mod:`mtfast.kernels.files.jpeg_scan`.
    dc_codes : (4, MAX_CATEGORY + 1) int64
        Code of each category of each DC table, bits << 5 | number of bits; 0 marks a category
        without a code.
    tables : Tables
        The tables of the crop: those of DCs have every category, if 16 bits are enough.
    """

    lookup: NDArray[np.uint16]
    dc_codes: NDArray[np.int64]
    tables: Tables


def read_tables(content: bytes) -> dict[int, CodeTable]:
    """Read the tables of a DHT segment.

    Parameters
    ----------
    content : bytes
        Of the segment, without its marker and length.

    Returns
    -------
    dict of int to CodeTable
        By number: 0 to 3 are those of DCs, 16 to 19 those of ACs.

    Raises
    ------
    MtfastError
        If they are damaged.

    Examples
    --------
    >>> tables = read_tables(bytes([16, 0, 1, 2, *[0] * 13, 5, 3, 4]))
    >>> tables[16].symbols.hex(" ")
    '05 03 04'
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
    """Write the content of a DHT segment; the inverse of :func:`read_tables`.

    Parameters
    ----------
    tables : Tables

    Returns
    -------
    bytes
    """
    return b"".join(bytes([number]) + table.counts + table.symbols for number, table in tables)


@lru_cache(maxsize=8)
def make_codes(tables: Tables) -> Codes:
    """Make the lookup tables of the kernels.

    Most files of a set share their tables, so the last eight results are kept.

    Parameters
    ----------
    tables : Tables
        Those that the file uses.

    Returns
    -------
    Codes

    Raises
    ------
    MtfastError
        If a table has more codes than bits can tell apart, or a DC category that 8-bit samples
        cannot have.
    """
    from mtfast.kernels.files import jpeg_scan

    lookup = np.zeros(jpeg_scan.N_CODES, np.uint16)
    n_categories = jpeg_scan.MAX_CATEGORY + 1
    dc_codes = np.zeros((4, n_categories), np.int64)
    extended = []
    for number, table in tables:
        symbols = np.frombuffer(table.symbols, np.uint8).astype(np.int64)
        lengths = code_lengths(table)
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
        if bad or (number < _AC and symbols.max(initial=0) >= n_categories):
            raise MtfastError(
                "a JPEG with Huffman tables that no decoder takes; expected distinct codes, for "
                "8-bit samples; fetch the image again"
            )
        if number & _AC:
            jpeg_scan.fill_fast(number & 3, lookup)
        else:
            table = _with_all_categories(table, n_categories)
            dc_codes[number, list(table.symbols)] = _codes(table)
        extended.append((number, table))
    return Codes(lookup, dc_codes, tuple(extended))


def code_lengths(table: CodeTable) -> NDArray[np.int64]:
    """Return the bits of each code of a table, ascending, (n,) int64."""
    return np.repeat(np.arange(1, _LONGEST + 1), list(table.counts))


def _codes(table: CodeTable) -> list[int]:
    """Assign the codes, bits << 5 | number of bits each."""
    codes = []
    code = before = 0
    for length in code_lengths(table).tolist():
        code <<= length - before
        codes.append(code << 5 | length)
        code, before = code + 1, length
    return codes


def _with_all_categories(table: CodeTable, n_categories: int) -> CodeTable:
    """Append the categories that a DC table lacks, as optimised tables do.

    The new codes are longer than all others and begin with ones that no other code begins with,
    so the codes that are there keep their bits. Where that takes more than 16 bits the table stays
    as it is.
    """
    missing = bytes(set(range(n_categories)) - set(table.symbols))
    longest = max((n for n in range(1, _LONGEST + 1) if table.counts[n - 1]), default=0)
    # k more bits make 2**k - 1 codes, as no code may be all ones.
    length = longest + len(missing).bit_length()
    if not missing or length > _LONGEST:
        return table
    counts = bytearray(table.counts)
    counts[length - 1] += len(missing)
    return CodeTable(bytes(counts), table.symbols + missing)
