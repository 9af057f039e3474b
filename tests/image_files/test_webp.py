"""WebP files give what Pillow shows."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from image_samples import HEIGHT, WIDTH, an_image, exif, saved, shown
from mtfast import MtfastError
from mtfast.image_files import decode, read_header

LOSSY = saved(an_image("RGB"), "webp")
LOSSLESS = saved(an_image("RGB"), "webp", lossless=True)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
@pytest.mark.parametrize("lossless", [False, True])
@pytest.mark.parametrize("options", [{}, {"icc_profile": b"p" * 7}, {"exif": exif(1)}])
def test_pixels_are_those_of_pillow(mode, lossless, options):
    data = saved(an_image(mode), "webp", lossless=lossless, **options)
    assert read_header(data) == ("webp", HEIGHT, WIDTH, np.uint8, 3, 1, mode == "RGBA", False, 0, 1)
    np.testing.assert_array_equal(decode(data), shown(data))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation(orientation):
    data = saved(an_image("RGBA"), "webp", exif=exif(orientation))
    assert read_header(data).orientation == orientation


@pytest.mark.parametrize("data", [LOSSY, LOSSLESS, saved(an_image("RGBA"), "webp", exif=exif(3))])
def test_every_cut_is_refused(data):
    for stop in range(12, len(data)):
        with pytest.raises(MtfastError, match="WebP image that is cut off"):
            read_header(data[:stop])


def test_animations_are_refused():
    data = saved(an_image("RGB"), "webp", save_all=True, append_images=[an_image("RGB", 1)])
    with pytest.raises(MtfastError, match="an animated WebP file; expected one image; save each f"):
        read_header(data)


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"".join(n + struct.pack("<I", len(c)) + c + b"\0" * (len(c) % 2) for n, c in chunks)
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (riff((b"VP8X", b"\0" * 4 + b"\xff" * 6)), "16777216 x 16777216 pixels; expected at most"),
        (riff((b"VP8X", b"\0" * 4 + b"\xff\x3f\0\1\0\0")), "2 x 16384 pixels; expected at most"),
        (riff((b"VP8 ", b"\0\0\0\x9d\1\x2a\0\0\1\0")), "1 x 0 pixels; expected at least"),
        (riff((b"VP8 ", b"\0" * 30)), "begins with b'VP8 '"),
        (riff((b"VP8L", b"/\0")), "begins with b'VP8L'"),
        (riff((b"XMP ", b"\0" * 30)), "begins with b'XMP '"),
        (b"RIFF\x04\0\0\0WEBP", "cut off after 12 bytes"),
        (b"RIFF\x0c\0\0\0WEBPVP8L\x09\0\0\0", "cut off after 20 bytes"),
    ],
)
def test_damaged_headers(data, words):
    for function in (read_header, decode):
        with pytest.raises(MtfastError, match=words):
            function(data)


def test_more_bytes_than_the_image():
    np.testing.assert_array_equal(decode(LOSSY + b"more"), shown(LOSSY))


def test_data_that_does_not_decode():
    data = LOSSLESS[:40] + bytes(len(LOSSLESS) - 40)
    assert read_header(data).height == HEIGHT
    with pytest.raises(MtfastError, match="^a WebP image that does not decode"):
        decode(data)


def test_the_canvas_is_the_image():
    """A stated size that is not that of the image is refused, not padded."""
    data = bytearray(saved(an_image("RGB"), "webp", exif=exif(1)))
    data[24] += 1
    assert read_header(bytes(data)).width == WIDTH + 1
    with pytest.raises(MtfastError, match="does not decode"):
        decode(bytes(data))
