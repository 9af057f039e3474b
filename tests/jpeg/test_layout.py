"""Headers of files that windows can be cut out of, and the reasons why others cannot."""

from __future__ import annotations

import random

import pytest

from jpegs import CASES, a_jpeg, encoded, patched, photograph
from mtfast.errors import MtfastError
from mtfast.jpeg import read_header
from mtfast.jpeg.layout import CannotCutError, read_layout

SOF0, DHT, DRI, SOS = 0xC0, 0xC4, 0xDD, 0xDA
PIXELS = photograph(random.Random(2), 48, 64)
SOUND = encoded(PIXELS, "444")
GREY = encoded(PIXELS, "grey")


def without(data: bytes, marker: int) -> bytes:
    """The file without its first segment of a marker."""
    at = data.index(bytes([0xFF, marker]))
    return data[:at] + data[at + 2 + int.from_bytes(data[at + 2 : at + 4], "big") :]


def with_segment(data: bytes, marker: int, content: bytes) -> bytes:
    """The file with one more segment, before its frame header."""
    at = data.index(b"\xff\xc0")
    return (
        data[:at] + bytes([0xFF, marker]) + (len(content) + 2).to_bytes(2, "big") + content
    ) + data[at:]


def sampled(*factors: int) -> bytes:
    """The file with other sampling factors."""
    data = SOUND
    for k, factor in enumerate(factors):
        data = patched(data, SOF0, 7 + 3 * k, bytes([factor]))
    return data


def retyped(marker: int) -> bytes:
    at = SOUND.index(b"\xff\xc0")
    return SOUND[: at + 1] + bytes([marker]) + SOUND[at + 2 :]


CANNOT_CUT = [
    ("type SOF2; expected a baseline", encoded(PIXELS, progressive=True)),
    ("type SOF9; expected a baseline", retyped(0xC9)),
    ("type SOF3; expected a baseline", retyped(0xC3)),
    ("3 components of 12 bits; expected 1 or 3", patched(SOUND, SOF0, 0, b"\x0c")),
    ("sampling factors", sampled(0x01)),
    ("sampling factors", sampled(0x10)),
    ("sampling factors", sampled(0x51)),
    ("sampling factors", sampled(0x15)),
    ("sampling factors", sampled(0x42, 0x21, 0x11)),
    ("subsampling by a fraction", sampled(0x31, 0x21, 0x11)),
    ("subsampling by a fraction", sampled(0x13, 0x12, 0x11)),
    ("several scans", patched(SOUND, SOS, 0, b"\x01")),
    ("several scans", patched(SOUND, SOS, 7, b"\x01")),
    ("several scans", patched(SOUND, SOS, 8, b"\x3e")),
    ("several scans", patched(SOUND, SOS, 9, b"\x10")),
    ("components out of order", patched(SOUND, SOS, 3, b"\x03")),
    ("two frames", with_segment(SOUND, SOF0, bytes.fromhex("08 0030 0040 01 011100"))),
    ("no frame", without(SOUND, SOF0)),
    ("a damaged restart interval", with_segment(SOUND, DRI, b"\0\0\4")),
]


@pytest.mark.parametrize(("words", "data"), CANNOT_CUT)
def test_the_reason_why_no_window_can_be_cut(words, data):
    with pytest.raises(CannotCutError, match=f"{words}.*; decode it whole$"):
        read_layout(data)


def test_two_components_and_four():
    for n in (2, 4):
        frame = bytes.fromhex("08 0030 0040") + bytes([n]) + bytes.fromhex("01 11 00") * n
        at = SOUND.index(b"\xff\xc0")
        data = with_segment(SOUND, SOF0, frame)
        data = data[: at + 4 + len(frame)] + without(data[at + 4 + len(frame) :], SOF0)
        with pytest.raises(CannotCutError, match=f"{n} components of 8 bits; expected 1 or 3"):
            read_layout(data)


@pytest.mark.parametrize(("which", "number"), [(0, 0), (1, 16), (2, 1), (3, 17)])
def test_a_table_that_is_missing(which, number):
    """Pillow writes DC, AC, DC, AC, a segment each."""
    at = -1
    for _ in range(which + 1):
        at = SOUND.index(b"\xff\xc4", at + 1)
    data = SOUND[:at] + without(SOUND[at:], DHT)
    with pytest.raises(MtfastError, match=f"without its Huffman table {number};"):
        read_layout(data)


@pytest.mark.parametrize("pair", [b"\x40", b"\x04"])
def test_a_table_that_cannot_be(pair):
    with pytest.raises(MtfastError, match="without its Huffman table"):
        read_layout(patched(SOUND, SOS, 2, pair))


@pytest.mark.parametrize(
    ("factors", "size", "rows_and_columns"),
    [
        ((0x11, 0x11, 0x11), (8, 8), (6, 8)),
        ((0x22, 0x11, 0x11), (16, 16), (3, 4)),
        ((0x21, 0x21, 0x11), (8, 16), (6, 4)),
        ((0x12, 0x11, 0x12), (16, 8), (3, 8)),
        ((0x42, 0x11, 0x11), (16, 32), (3, 2)),
        ((0x41, 0x41, 0x21), (8, 32), (6, 2)),
    ],
)
def test_mcus(factors, size, rows_and_columns):
    """Up to ten blocks, as in the last two."""
    layout = read_layout(sampled(*factors))
    assert (layout.mcu_height, layout.mcu_width) == size
    assert (layout.n_rows, layout.n_columns) == rows_and_columns
    assert layout.blocks.size == 4 * sum((f >> 4) * (f & 15) for f in factors)


@pytest.mark.parametrize("factor", [0x11, 0x22, 0x44, 0x31])
def test_an_mcu_of_a_grey_image_is_a_block(factor):
    layout = read_layout(patched(GREY, SOF0, 7, bytes([factor])))
    assert (layout.mcu_height, layout.mcu_width, layout.blocks.size) == (8, 8, 4)
    assert (layout.n_rows, layout.n_columns) == (6, 8)


@pytest.mark.parametrize(("n_columns", "step", "n"), [(8, 1, 8), (8, 3, 3), (8, 8, 1), (8, 9, 1)])
def test_entries(n_columns, step, n):
    layout = read_layout(SOUND)
    assert layout.n_columns == n_columns
    assert layout.entries_in_row(step) == n
    assert layout.n_entries(step) == 6 * n + 1


def test_what_a_decoder_needs_is_kept_and_nothing_else():
    data = encoded(PIXELS, "rgb", exif=b"Exif\0\0" + bytes(300), comment=b"note")
    data = with_segment(data, 0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0")
    header = read_layout(data).header(16, 8)
    for marker in (0xDB, 0xEE, 0xE0):
        n = data.count(bytes([0xFF, marker]))
        assert header.count(bytes([0xFF, marker])) == n > 0
    assert len(header) < 800
    assert b"Exif" not in header
    assert b"note" not in header
    assert b"\xff\xdd" not in read_layout(encoded(PIXELS, restart_marker_rows=1)).header(8, 8)
    found = read_header(header + b"\xff\xd9")
    assert (found.height, found.width) == (16, 8)


@pytest.mark.parametrize(("kind", "options"), CASES)
def test_both_readers_of_headers_agree(kind, options):
    data = a_jpeg(random.Random(f"{kind}{options}"), kind, options)
    layout, header = read_layout(data), read_header(data)
    assert (layout.height, layout.width) == (header.height, header.width)
    assert layout.scan == data.index(b"\xff\xda") + 2 + 6 + 2 * header.n_components
