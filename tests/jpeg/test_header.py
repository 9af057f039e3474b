from __future__ import annotations

import imagecodecs
import numpy as np
import pytest

from mtfast.errors import MtfastError
from mtfast.jpeg import read_header


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
