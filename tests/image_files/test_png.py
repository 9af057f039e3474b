"""PNG files of all types, against Pillow, and 16 bits against the samples they were made of."""

from __future__ import annotations

import io
import itertools
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from image_samples import (
    HEIGHT,
    an_image,
    chunk,
    deep_pixels,
    exif,
    png,
    rgba,
    saved,
    shown,
)
from mtfast import MtfastError
from mtfast.image_files import decode, read_header

CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
TYPES = [(colour, depth) for colour in DEPTHS for depth in DEPTHS[colour]]
SOUND = saved(an_image("RGB"), "png")


def samples_of(colour: int, depth: int, width: int = 71) -> np.ndarray:
    return deep_pixels(23, width, CHANNELS[colour], most=2**depth - 1)


def palette_of(depth: int) -> bytes:
    colours = np.random.default_rng(1).integers(0, 256, (2**depth, 3)).astype(np.uint8)
    return chunk(b"PLTE", colours.tobytes())


def transparent(colour: int, depth: int) -> bytes:
    content = {0: struct.pack(">H", 1), 2: struct.pack(">HHH", 1, 2, 3), 3: bytes(2**depth)}
    return chunk(b"tRNS", content[colour])


@pytest.mark.parametrize(("colour", "depth"), [t for t in TYPES if t[1] <= 8])
@pytest.mark.parametrize("has_transparency", [False, True])
def test_up_to_8_bits(colour, depth, has_transparency):
    for width in (1, 7, 8, 71):
        before = palette_of(depth) if colour == 3 else b""
        if has_transparency and colour < 4:
            before += transparent(colour, depth)
        data = png(samples_of(colour, depth, width), depth, colour, before)
        has_alpha = has_transparency or colour >= 4
        assert read_header(data) == ("png", 23, width, np.uint8, 3, 1, has_alpha, False, 0, 1)
        np.testing.assert_array_equal(decode(data), shown(data))


@pytest.mark.parametrize(("colour", "depth"), [t for t in TYPES if t[1] == 16])
@pytest.mark.parametrize("has_transparency", [False, True])
def test_16_bits(colour, depth, has_transparency):
    samples = samples_of(colour, depth)
    before = transparent(colour, depth) if has_transparency and colour < 4 else b""
    data = png(samples, depth, colour, before)
    expected = samples[..., 0] if colour in (0, 4) else samples[..., :3]
    header = read_header(data)
    assert header.dtype == np.uint16
    assert header.channels == (1 if colour in (0, 4) else 3)
    assert header.shape == expected.shape
    assert header.has_alpha == (has_transparency or colour >= 4)
    got = decode(data)
    assert got.dtype == np.uint16
    np.testing.assert_array_equal(got, expected)


def test_16_bit_grey_is_that_of_pillow():
    image = Image.fromarray(deep_pixels(20, 30))
    data = saved(image, "png")
    np.testing.assert_array_equal(decode(data), np.asarray(Image.open(io.BytesIO(data))))


def interlaced(samples: np.ndarray) -> bytes:
    """An RGB file in the seven passes of Adam7."""
    passes = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2))
    lines = b""
    for y, x, down, across in (*passes, (1, 0, 2, 1)):
        part = samples[y::down, x::across]
        if part.size:
            lines += b"".join(b"\0" + row.tobytes() for row in part)
    header = struct.pack(">IIBBBBB", samples.shape[1], samples.shape[0], 8, 2, 0, 0, 1)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def test_interlaced():
    for height, width in itertools.product((1, 2, 5, 45), (1, 3, 8, 70)):
        samples = np.asarray(an_image("RGB"))[:height, :width]
        np.testing.assert_array_equal(decode(interlaced(samples)), samples)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_files_of_pillow(mode):
    for options in ({}, {"optimize": True}, {"compress_level": 0}):
        data = saved(an_image(mode), "png", **options)
        np.testing.assert_array_equal(decode(data), shown(data))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("place", ["before", "after"])
def test_orientation(orientation, place):
    content = exif(orientation).removeprefix(b"Exif\0\0")
    data = png(rgba(), 8, 6, **{place: chunk(b"eXIf", content)})
    assert read_header(data).orientation == orientation
    np.testing.assert_array_equal(decode(data), rgba()[..., :3])


def test_what_libpng_warns_about_does_not_appear(capfd):
    """On standard error, line by line; and none of it concerns the pixels."""
    extras = (
        chunk(b"gAMA", b"\0\0")
        + chunk(b"sRGB", b"\x09")
        + chunk(b"tRNS", b"\0")
        + chunk(b"iCCP", b"bad")
    )
    data = png(rgba()[..., :3], 8, 2, extras)
    np.testing.assert_array_equal(decode(data), rgba()[..., :3])
    np.testing.assert_array_equal(decode(png(rgba(), 8, 6, extras)), rgba()[..., :3])
    assert capfd.readouterr() == ("", "")


def test_straight_into_an_array(monkeypatch):
    import imagecodecs

    given = []
    real = imagecodecs.png_decode
    monkeypatch.setattr(
        imagecodecs, "png_decode", lambda d, out=None: given.append(out) or real(d, out=out)
    )
    for data in (SOUND, png(deep_pixels(9, 8), 16, 0), saved(an_image("P"), "png")):
        out = np.empty(read_header(data).shape, read_header(data).dtype)
        assert decode(data, out) is out
        assert given[-1] is out


def test_more_bytes_than_the_image():
    np.testing.assert_array_equal(decode(SOUND + b"more"), shown(SOUND))


def test_every_cut_is_refused():
    for stop in range(8, len(SOUND)):
        with pytest.raises(MtfastError, match="PNG image that is cut off after"):
            read_header(SOUND[:stop])


def with_header(**fields: int) -> bytes:
    values = {"width": 3, "height": 2, "depth": 8, "colour": 2, "other": 0} | fields
    w, h, depth, colour, other = values.values()
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", w, h, depth, colour, other, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"12345678") + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (with_header(width=65535, height=65535), "65535 x 65535 pixels; expected at most"),
        (with_header(width=2**31, height=2**31), "expected at most"),
        (with_header(width=20000, height=20000), "more than 8 bytes can hold"),
        (with_header(width=0), "2 x 0 pixels; expected at least 1 x 1"),
        (with_header(colour=1), "colour type 1 with 8 bits"),
        (with_header(colour=2, depth=4), "colour type 2 with 4 bits"),
        (with_header(colour=3, depth=16), "colour type 3 with 16 bits"),
        (with_header(colour=0, depth=3), "colour type 0 with 3 bits"),
        (SOUND[:8] + chunk(b"CgBI", b"1234") + SOUND[8:], "without its header"),
        (SOUND[:8] + chunk(b"IHDR", b"") + SOUND[8:], "without its header"),
        (SOUND[:8] + chunk(b"IEND", b""), "without its header"),
    ],
)
def test_damaged_headers(data, words):
    for function in (read_header, decode):
        with pytest.raises(MtfastError, match=words):
            function(data)


def test_an_image_as_dense_as_can_be_is_read():
    data = png(np.zeros((3000, 8000), np.uint8), 1, 0)
    assert 3000 * 8000 / 8 / len(data) > 900
    assert (decode(data) == 0).all()


def test_damage(capfd):
    """A checksum shows it, before libpng prints what it makes of it."""
    for at in (SOUND.index(b"IDAT") + 4, SOUND.index(b"IDAT") + 90, len(SOUND) - 14, 30):
        data = SOUND[:at] + bytes([SOUND[at] ^ 1]) + SOUND[at + 1 :]
        assert read_header(data).height == HEIGHT
        with pytest.raises(MtfastError, match="a PNG image with damage after byte .*; expected da"):
            decode(data)
    assert capfd.readouterr() == ("", "")


def test_data_that_does_not_decode():
    data = png(rgba(), 8, 6).replace(chunk(b"IEND", b""), b"")
    at = data.index(b"IDAT")
    data = data[: at - 4] + chunk(b"IDAT", b"no deflate" * 40) + chunk(b"IEND", b"")
    with pytest.raises(MtfastError, match="^a PNG image that does not decode"):
        decode(data)
