"""Sizes and kinds of JPEG files, and what is said about files that are none."""

from __future__ import annotations

import random

import imagecodecs
import numpy as np
import pytest

from jpegs import encoded, patched, photograph, resized
from mtfast.errors import MtfastError
from mtfast.jpeg import read_header
from mtfast.jpeg.header import Component, Segment, read_frame, segments

SOUND = encoded(photograph(random.Random(0), 48, 80), "420")
FRAME = SOUND.index(b"\xff\xc0")


@pytest.fixture(scope="module")
def pixels():
    return np.random.default_rng(0).integers(0, 256, (48, 80, 3)).astype(np.uint8)


@pytest.mark.parametrize("options", [{}, {"subsampling": "420"}, {"subsampling": "444"}])
def test_colour(pixels, options):
    assert read_header(imagecodecs.jpeg8_encode(pixels, level=95, **options)) == (48, 80, 3)


def test_grey_progressive_and_trailing_bytes(pixels, tmp_path):
    from PIL import Image

    assert read_header(imagecodecs.jpeg8_encode(pixels[..., 0].copy())) == (48, 80, 1)
    Image.fromarray(pixels).save(tmp_path / "p.jpg", progressive=True)
    data = (tmp_path / "p.jpg").read_bytes()
    assert read_header(data + b"appended by a camera") == (48, 80, 3)


def inserted(data: bytes, at: int = 2) -> bytes:
    return SOUND[:at] + data + SOUND[at:]


@pytest.mark.parametrize(
    "between",
    [
        b"\xff",
        b"\xff" * 9,
        b"\xff\x01",
        b"\xff\xd0\xff\xd7",
        b"\xff\xc8\x00\x02",
        b"\xff\xcc\x00\x04ab",
        b"\xff\xfe\x00\x04\xff\xd9",
        b"\xff\xc4\x00\x02",
    ],
)
def test_what_may_stand_before_the_frame_header(between):
    """Fill bytes, markers without a length, other segments of a number near by, an empty one."""
    for at in (2, FRAME):
        assert read_header(inserted(between, at)) == (48, 80, 3)


def test_the_segments_of_a_file():
    found = [*segments(SOUND)]
    assert [s.marker for s in found] == [0xE0, 0xDB, 0xDB, 0xC0, 0xC4, 0xC4, 0xC4, 0xC4, 0xDA]
    at = 2
    for segment in found:
        assert SOUND[at : at + 2] == bytes([0xFF, segment.marker])
        assert SOUND[at + 4 : segment.stop] == segment.content
        at = segment.stop
    assert [*segments(SOUND[:at])] == found


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (inserted(b"\xff\xfe\x00\x01"), "cut off"),
        (inserted(b"\xff\xfe\x00\x00"), "cut off"),
        (inserted(b"a", FRAME), f"no marker at byte {FRAME}; expected 0xFF"),
        (inserted(b"\xff\xd9", FRAME), "without image data; expected a scan"),
        (SOUND[:FRAME] + SOUND[FRAME + 19 :], "whose scan comes before its size"),
        (patched(SOUND, 0xC0, 5, b"\x02"), "damaged frame header of 15 bytes"),
        (patched(SOUND, 0xC0, 5, b"\x04"), "damaged frame header of 15 bytes"),
        (inserted(b"\xff\xc0\x00\x07" + b"\x08\0\1\0\1", FRAME), "frame header of 5 bytes"),
        (resized(SOUND, 0, 80), "0 x 80 pixels; expected at least 1 x 1"),
        (resized(SOUND, 48, 0), "48 x 0 pixels; expected at least 1 x 1"),
        (patched(SOUND, 0xC0, 0, b"\x07"), "SOF0 with 7 bits a sample"),
        (patched(SOUND, 0xC0, 0, b"\x09"), "SOF0 with 9 bits a sample"),
    ],
)
def test_damaged_headers(broken, words):
    with pytest.raises(MtfastError, match=words):
        read_header(broken)


@pytest.mark.parametrize("kind", [3, 5, 6, 7, 9, 10, 11, 13, 14, 15])
def test_types_that_few_decoders_read(kind):
    data = SOUND[: FRAME + 1] + bytes([0xC0 + kind]) + SOUND[FRAME + 2 :]
    with pytest.raises(MtfastError, match=f"type SOF{kind} with 8 bits.*; expected a baseline or"):
        read_header(data)


@pytest.mark.parametrize("kind", [0, 1, 2])
def test_types_that_all_decoders_read(kind):
    data = SOUND[: FRAME + 1] + bytes([0xC0 + kind]) + SOUND[FRAME + 2 :]
    assert read_header(data) == (48, 80, 3)


@pytest.mark.parametrize("n", [0, 2, 4, 5])
def test_numbers_of_components(n):
    frame = b"\x08\x00\x30\x00\x50" + bytes([n]) + b"\x01\x11\x00" * n
    data = SOUND[:FRAME] + b"\xff\xc0" + bytes([0, len(frame) + 2]) + frame + SOUND[FRAME + 19 :]
    with pytest.raises(MtfastError, match="CMYK" if n == 4 else f"JPEG of {n} components"):
        read_header(data)


def test_a_frame_header_in_full():
    content = bytes.fromhex("0c 1234 5678 03 01 42 00 07 11 01 ff 31 01")
    frame = read_frame(Segment(0xC9, content, 0))
    assert frame[:4] == (9, 12, 0x1234, 0x5678)
    assert frame.components == (Component(1, 4, 2), Component(7, 1, 1), Component(255, 3, 1))


@pytest.mark.parametrize("kind", ["420", "422", "444", "grey"])
def test_sampling_factors_are_those_of_pillow(kind, tmp_path):
    from PIL import Image

    data = encoded(photograph(random.Random(1), 20, 30), kind)
    (tmp_path / "a.jpg").write_bytes(data)
    (frame,) = (read_frame(s) for s in segments(data) if s.marker == 0xC0)
    with Image.open(tmp_path / "a.jpg") as image:
        assert [(c.number, c.across, c.down) for c in frame.components] == [
            layer[:3] for layer in image.layer
        ]


def test_a_thumbnail_does_not_end_the_image(pixels, tmp_path):
    """An end marker inside the metadata is not the image's own."""
    from PIL import Image

    thumbnail = imagecodecs.jpeg8_encode(pixels[:8, :8].copy())
    Image.fromarray(pixels).save(tmp_path / "t.jpg", exif=b"Exif\0\0" + thumbnail)
    data = (tmp_path / "t.jpg").read_bytes()
    assert data.count(b"\xff\xd9") == 2
    assert read_header(data) == (48, 80, 3)
    with pytest.raises(MtfastError, match="cut off"):
        read_header(data[:-2])


def test_every_cut_is_recognised(pixels):
    data = imagecodecs.jpeg8_encode(pixels, level=90)
    for length in range(len(data)):
        with pytest.raises(MtfastError, match="expected"):
            read_header(data[:length])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "an empty file"),
        (b"GIF89a", "begins with b'GIF8'"),
        (b"\x89PNG\r\n\x1a\n....", "a PNG image"),
        (b"\xff\xd8\xff\xd9", "cut off|without image data"),
        (b"\xff\xd8" + b"\0" * 50, "no marker at byte 2"),
    ],
)
def test_no_jpeg(data, words):
    with pytest.raises(MtfastError, match=words):
        read_header(data)


def test_unsupported_kinds(pixels, tmp_path):
    from PIL import Image

    Image.fromarray(np.dstack([pixels, pixels[..., :1]]), "CMYK").save(tmp_path / "c.jpg")
    with pytest.raises(MtfastError, match="CMYK JPEG; expected RGB or grey"):
        read_header((tmp_path / "c.jpg").read_bytes())
    wide = imagecodecs.jpeg8_encode(pixels.astype(np.uint16), bitspersample=12)
    with pytest.raises(MtfastError, match="12 bits"):
        read_header(wide)


def test_arbitrary_bytes_are_refused(pixels, rng):
    data = bytearray(imagecodecs.jpeg8_encode(pixels))
    for _ in range(2000):
        broken = bytearray(data)
        for at in rng.integers(0, len(data), 4):
            broken[at] = rng.integers(256)
        try:
            header = read_header(bytes(broken))
        except MtfastError:
            continue
        assert header.n_components in (1, 3)
