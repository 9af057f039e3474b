"""BMP files of all versions give what Pillow shows."""

from __future__ import annotations

import struct

import imagecodecs
import numpy as np
import pytest

from image_samples import HEIGHT, WIDTH, an_image, bmp, saved, shown
from mtfast import MtfastError
from mtfast.image_files import decode, read_header

SOUND = saved(an_image("RGB"), "bmp")
NOISE = np.random.default_rng(0)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA"])
def test_files_of_pillow(mode):
    data = saved(an_image(mode), "bmp")
    assert read_header(data)[:6] == ("bmp", HEIGHT, WIDTH, np.uint8, 3, 1)
    np.testing.assert_array_equal(decode(data), shown(data))


def test_pixels_are_those_of_the_image():
    np.testing.assert_array_equal(decode(SOUND), np.asarray(an_image("RGB")))
    np.testing.assert_array_equal(decode(SOUND), imagecodecs.bmp_decode(SOUND))


@pytest.mark.parametrize("bits", [1, 4, 8, 16, 24, 32])
@pytest.mark.parametrize("height", [6, -6])
def test_hand_made_files(bits, height):
    row = -(-11 * bits // 32) * 4
    colours = NOISE.bytes(4 * 2**bits) if bits <= 8 else b""
    data = bmp(NOISE.bytes(row * 6), 11, height, bits, extra=colours)
    assert read_header(data)[1:3] == (6, 11)
    np.testing.assert_array_equal(decode(data), shown(data))


def test_bit_fields_with_alpha():
    masks = struct.pack("<4I", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    data = bytearray(bmp(NOISE.bytes(4 * 11 * 6), 11, 6, 32, 3, extra=masks + bytes(52)))
    data[14] = 108
    assert read_header(bytes(data)).has_alpha
    np.testing.assert_array_equal(decode(bytes(data)), shown(bytes(data)))
    assert not read_header(SOUND).has_alpha


def test_run_lengths():
    palette = NOISE.bytes(1024)
    coded = b"\x05\x07\x06\x01\0\0" * 5 + b"\0\x03\1\2\3\0\x08\x09\0\0\0\1"
    data = bmp(coded, 11, 6, 8, 1, extra=palette)
    np.testing.assert_array_equal(decode(data), shown(data))


def test_os2():
    rows = NOISE.bytes(36 * 6)
    data = b"BM" + struct.pack("<IHHI", 26 + len(rows), 0, 0, 26)
    data += struct.pack("<IHHHH", 12, 11, 6, 1, 24) + rows
    np.testing.assert_array_equal(decode(data), shown(data))


def test_every_cut_is_refused():
    data = saved(an_image("P"), "bmp")
    for stop in range(18, len(data), 7):
        with pytest.raises(MtfastError, match="cut off after|does not decode"):
            read_header(data[:stop])
    with pytest.raises(MtfastError, match=f"cut off after {len(SOUND) - 1:,} bytes"):
        read_header(SOUND[:-1])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (bmp(bytes(99), 65535, 65535, 24), "65535 x 65535 pixels; expected at most"),
        (bmp(bytes(99), 20000, 20000, 24), "cut off after 153 bytes"),
        (bmp(bytes(99), 20000, 20000, 8, 1, extra=bytes(1024)), "more than 99 bytes can hold"),
        (bmp(bytes(99), 2**24, 1, 8, 1, extra=bytes(1024)), "more than 99 bytes can hold"),
        (bmp(bytes(99), 0, 5, 24), "a BMP image"),
        (bmp(bytes(99), 5, 5, 24, 4), "does not decode .*compression"),
        (bmp(bytes(99), 5, 5, 7), "does not decode"),
    ],
)
def test_damaged_headers(data, words):
    for function in (read_header, decode):
        with pytest.raises(MtfastError, match=words):
            function(data)


def test_text_that_begins_so_is_no_image():
    with pytest.raises(MtfastError, match="^a text file; expected"):
        read_header(b"BM: a list of image names\n" * 4)


def test_run_lengths_that_stop_early():
    data = bmp(b"\x05\x07\0\0", 11, 6, 8, 1, extra=NOISE.bytes(1024))
    with pytest.raises(MtfastError, match="does not decode"):
        decode(data)
