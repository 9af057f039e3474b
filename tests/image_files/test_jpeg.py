"""JPEG files give what Pillow shows; what few decoders read is refused."""

from __future__ import annotations

import io
import random

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from image_samples import HEIGHT, WIDTH, an_image, exif, pixels, saved, shown
from jpegs import CASES, a_jpeg, encoded, patched, resized
from mtfast import MtfastError
from mtfast.image_files import decode, read_header

SOUND = encoded(pixels(), "420")
FRAME = SOUND.index(b"\xff\xc0")
PROGRESSIVE = encoded(pixels(), "420", progressive=True)


def typed(kind: int) -> bytes:
    return SOUND[: FRAME + 1] + bytes([0xC0 + kind]) + SOUND[FRAME + 2 :]


@pytest.mark.parametrize(("kind", "options"), CASES)
def test_pixels_are_those_of_pillow(kind, options):
    rng = random.Random(f"{kind}{options}")
    for progressive in (False, True):
        more = {} if kind in ("440", "411") else {"progressive": progressive}
        data = a_jpeg(rng, kind, {**options, **more})
        header = read_header(data)
        assert header[:1] + header[3:] == ("jpeg", np.uint8, 3, 1, False, False, 0, 1)
        np.testing.assert_array_equal(decode(data), shown(data))
        assert header.shape == shown(data).shape


@pytest.mark.parametrize("progressive", [False, True])
def test_cmyk(progressive):
    data = saved(an_image("CMYK"), "jpeg", progressive=progressive)
    assert read_header(data) == ("jpeg", HEIGHT, WIDTH, np.uint8, 3, 1, False, True, 0, 1)
    np.testing.assert_array_equal(decode(data), shown(data))


@pytest.mark.parametrize("height", [1, 255, 256, 257, 600])
def test_cmyk_of_any_height(height):
    inks = np.random.default_rng(0).integers(0, 256, (height, 20, 4)).astype(np.uint8)
    data = saved(Image.fromarray(inks, "CMYK"), "jpeg")
    np.testing.assert_array_equal(decode(data), shown(data))


def test_ycck():
    """As Photoshop writes CMYK: YCCK, inverted, marked by APP14."""
    inks = np.asarray(an_image("CMYK"))
    data = imagecodecs.jpeg8_encode(np.invert(inks), colorspace="CMYK", outcolorspace="YCCK")
    assert data[data.index(b"Adobe") + 11] == 2
    np.testing.assert_array_equal(decode(data), shown(data))
    assert np.abs(shown(data).astype(int) - an_image("CMYK").convert("RGB")).mean() < 20


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation(orientation):
    data = saved(an_image("RGB"), "jpeg", exif=exif(orientation))
    header = read_header(data)
    assert (header.orientation, header.height, header.width) == (orientation, HEIGHT, WIDTH)
    np.testing.assert_array_equal(decode(data), shown(data))


def test_only_exif_data_has_an_orientation():
    """APP1 is also used by XMP, and an image may have both."""
    xmp = b"http://ns.adobe.com/xap/1.0/\0<x>"
    segment = b"\xff\xe1" + (len(xmp) + 2).to_bytes(2, "big") + xmp
    data = saved(an_image("RGB"), "jpeg", exif=exif(6))
    assert read_header(data[:2] + segment + data[2:]).orientation == 6
    assert read_header(SOUND[:2] + segment + SOUND[2:]).orientation == 1


def test_straight_into_an_array(monkeypatch):
    import imagecodecs

    given = []
    real = imagecodecs.jpeg8_decode
    monkeypatch.setattr(
        imagecodecs,
        "jpeg8_decode",
        lambda *a, out, **k: given.append(out) or real(*a, out=out, **k),
    )
    out = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    assert decode(SOUND, out) is out
    assert given[0] is out
    np.testing.assert_array_equal(out, shown(SOUND))


def test_more_bytes_than_the_image():
    np.testing.assert_array_equal(decode(SOUND + b"appended by a camera"), shown(SOUND))


@pytest.mark.parametrize("data", [SOUND, PROGRESSIVE])
def test_every_cut_is_refused(data):
    for stop in range(3, len(data)):
        with pytest.raises(MtfastError, match="cut off after"):
            read_header(data[:stop])


def test_the_end_of_a_thumbnail_is_not_that_of_the_image():
    thumbnail = encoded(pixels()[:8, :8])
    data = saved(an_image("RGB"), "jpeg", exif=b"Exif\0\0" + thumbnail)
    np.testing.assert_array_equal(decode(data), shown(data))
    with pytest.raises(MtfastError, match="cut off"):
        read_header(data[:-2])


@pytest.mark.parametrize("kind", [9, 10, 11, 13, 14, 15])
def test_arithmetic_coding(kind):
    with pytest.raises(
        MtfastError, match=rf"^an arithmetic-coded JPEG \(SOF{kind}\); expected a b"
    ):
        read_header(typed(kind))


@pytest.mark.parametrize(("kind", "word"), [(3, "lossless"), (5, "hier"), (6, "hier"), (7, "hier")])
def test_other_codings(kind, word):
    with pytest.raises(MtfastError, match=f"^a {word}"):
        read_header(typed(kind))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (patched(SOUND, 0xC0, 0, b"\x0c"), "12 bits a sample; expected 8"),
        (resized(SOUND, 0, 80), "0 x 80 pixels; expected at least 1 x 1"),
        (SOUND[:FRAME] + SOUND[FRAME + 19 :], "whose scan comes before its size"),
        (resized(SOUND, 65535, 65535), "65535 x 65535 pixels; expected at most 536,870,912"),
        (resized(SOUND, 20000, 20000), "header claims more than [0-9,]+ bytes can hold"),
        (b"\xff\xd8\xff\xfe\0\2" + b"\0" * 50, "no marker at byte 6"),
    ],
)
def test_damaged_headers(data, words):
    for function in (read_header, decode):
        with pytest.raises(MtfastError, match=words):
            function(data)


@pytest.mark.parametrize("n", [2, 5])
def test_numbers_of_components(n):
    frame = b"\x08\x00\x30\x00\x50" + bytes([n]) + b"\x01\x11\x00" * n
    data = SOUND[:FRAME] + b"\xff\xc0" + bytes([0, len(frame) + 2]) + frame + SOUND[FRAME + 19 :]
    with pytest.raises(MtfastError, match=f"JPEG of {n} components; expected grey, RGB or CMYK"):
        read_header(data)


def test_an_image_as_dense_as_can_be_is_read():
    """One colour: one bit a block, in a progressive file."""
    image = Image.new("L", (4000, 4000), 128)
    for options in ({"optimize": True}, {"progressive": True}):
        data = saved(image, "jpeg", **options)
        assert 100 < 4000 * 4000 / len(data) < 1024
        assert (decode(data) == 128).all()


def test_scans_without_end():
    """Each scan passes over the whole image, so a few bytes could take hours."""
    start = PROGRESSIVE.rindex(b"\xff\xda")
    last = PROGRESSIVE[start:-2]
    assert read_header(PROGRESSIVE[:-2] + last * 400 + b"\xff\xd9").height == HEIGHT
    with pytest.raises(MtfastError, match="a JPEG of [0-9]+ scans; expected at most 500"):
        read_header(PROGRESSIVE[:-2] + last * 500 + b"\xff\xd9")
    # In a file of one scan, the same bytes in its metadata mean nothing.
    comment = b"\xff\xfe\x04\x02" + b"\xff\xda" * 512
    assert read_header(SOUND[:2] + comment + SOUND[2:]).height == HEIGHT


def test_scans_of_one_component_each_are_counted_too():
    start = SOUND.index(b"\xff\xda")
    one = b"\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00"
    with pytest.raises(MtfastError, match="scans; expected"):
        read_header(SOUND[:start] + one * 600 + b"\xff\xd9")


def test_data_that_does_not_decode():
    data = patched(SOUND, 0xC4, 1, b"\xff" * 16)
    assert read_header(data).height == HEIGHT
    with pytest.raises(
        MtfastError, match="^a JPEG that does not decode .*; copy the file"
    ) as caught:
        decode(data)
    assert "\n" not in str(caught.value)


def test_a_phone_s_pair_of_images_is_the_first():
    file = io.BytesIO()
    an_image("RGB").save(file, "MPO", save_all=True, append_images=[an_image("RGB", 1)])
    np.testing.assert_array_equal(decode(file.getvalue()), shown(file.getvalue()))
