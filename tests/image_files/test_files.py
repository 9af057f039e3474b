"""What all kinds have in common: recognition, the caller's array, hostile headers."""

from __future__ import annotations

import tracemalloc

import imagecodecs
import numpy as np
import pytest

import fuzz_images
import fuzzing
from image_samples import (
    HEIGHT,
    WIDTH,
    an_image,
    bmp,
    deep_pixels,
    pages,
    png,
    saved,
    shown,
    tiff,
)
from mtfast import MtfastError
from mtfast.image_files import KINDS, ImageHeader, decode, read_header

FILES = {kind: saved(an_image("RGB"), kind) for kind in KINDS}
DEEP = {
    "png": png(deep_pixels(HEIGHT, WIDTH), 16, 0),
    "tiff": tiff(deep_pixels(HEIGHT, WIDTH)),
    "png rgb": png(deep_pixels(HEIGHT, WIDTH, 3), 16, 2),
    "tiff rgb": tiff(deep_pixels(HEIGHT, WIDTH, 3), photometric="rgb"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_kinds_are_told_by_first_bytes(kind):
    header = read_header(FILES[kind])
    assert header == ImageHeader(kind, HEIGHT, WIDTH)
    assert header.shape == (HEIGHT, WIDTH, 3)
    np.testing.assert_array_equal(decode(FILES[kind]), shown(FILES[kind]))


@pytest.mark.parametrize("kind", KINDS)
def test_no_pixel_is_decoded_for_a_header(kind, monkeypatch):
    for name in ("jpeg8_decode", "png_decode", "webp_decode"):
        monkeypatch.delattr(imagecodecs, name)
    monkeypatch.setattr("tifffile.TiffPage.asarray", None)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", None)
    assert read_header(FILES[kind]).kind == kind


@pytest.mark.parametrize("data", [*FILES.values(), *DEEP.values(), saved(an_image("RGBA"), "png")])
def test_into_the_caller_s_array(data):
    expected = decode(data)
    for order in ("C", "F"):
        out = np.full(expected.shape, 99, expected.dtype, order=order)
        assert decode(data, out) is out
        np.testing.assert_array_equal(out, expected)
    canvas = np.full((HEIGHT + 9, WIDTH + 7, *expected.shape[2:]), 99, expected.dtype)
    decode(data, canvas[4 : 4 + HEIGHT, 3 : 3 + WIDTH])
    np.testing.assert_array_equal(canvas[4 : 4 + HEIGHT, 3 : 3 + WIDTH], expected)
    canvas[4 : 4 + HEIGHT, 3 : 3 + WIDTH] = 99
    assert (canvas == 99).all()


@pytest.mark.parametrize("data", [*FILES.values(), *DEEP.values()])
def test_arrays_that_do_not_fit(data):
    expected = decode(data)
    frozen = np.empty_like(expected)
    frozen.flags.writeable = False
    flat = expected[..., 0] if expected.ndim == 3 else np.repeat(expected[..., None], 3, 2)
    for out in (expected[1:], expected.astype(np.int32), flat, frozen):
        with pytest.raises(MtfastError, match=r"out is \(.*; expected a writeable array \("):
            decode(data, out)


@pytest.mark.parametrize("kind", [k for k in KINDS if k != "tiff"])
def test_other_kinds_have_one_page(kind):
    assert read_header(FILES[kind], 0).n_pages == 1
    for function in (read_header, lambda data, page: decode(data, page=page)):
        with pytest.raises(MtfastError, match="page 1 of .* of 1 page; expected a page from 0 to"):
            function(FILES[kind], 1)


def claiming(data: bytes, size: bytes, side: bytes) -> bytes:
    """The file with another size in its header, where the stated one stands."""
    assert data.count(size) == 1
    return data.replace(size, side * 2)


ONES = np.ones((9, 11), np.uint8)
HOSTILE = {
    "jpeg": claiming(FILES["jpeg"], bytes([0, HEIGHT, 0, WIDTH]), b"\xb0\0"),
    "png": claiming(png(ONES, 8, 0), b"\0\0\0\x0b\0\0\0\x09", b"\0\0\xb0\0"),
    "bmp": claiming(bmp(bytes(9), 11, 9, 24), b"\x0b\0\0\0\x09\0\0\0", b"\0\xb0\0\0"),
    "webp": b"RIFF\x1e\0\0\0WEBPVP8X\x0a\0\0\0" + bytes(4) + b"\0\xb0\0" * 2 + bytes(8),
    "tiff": pages(1)
    .replace(b"\0\1\4\0\1\0\0\0\x08\0", b"\0\1\4\0\1\0\0\0\0\xb0")
    .replace(b"\1\1\4\0\1\0\0\0\x09\0", b"\1\1\4\0\1\0\0\0\0\xb0"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_sizes_are_compared_with_the_file_before_memory_is_taken(kind):
    data = HOSTILE[kind]
    with pytest.raises(MtfastError, match="can hold|cut off|at most|missing") as caught:
        decode(data)
    assert "\n" not in str(caught.value)
    # Once more, with all modules loaded.
    tracemalloc.start()
    try:
        with pytest.raises(MtfastError):
            decode(data)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_headers_are_cheap_to_compare():
    assert read_header(DEEP["png"]) == ("png", HEIGHT, WIDTH, np.uint16, 1, 1, False, False, 0, 1)
    assert read_header(DEEP["tiff rgb"]).shape == (HEIGHT, WIDTH, 3)
    assert read_header(DEEP["tiff"]).shape == (HEIGHT, WIDTH)


def test_a_short_run_of_the_fuzzer():
    report = fuzzing.fuzz(fuzz_images.make_trial, seed=0, n_trials=3000, limit=30)
    assert report.problems == {}
    assert report.outcomes["read", "accepted"] > 300
    assert report.outcomes["read", "refused"] > 1000


@pytest.mark.parametrize("kind", KINDS)
def test_short_pieces_of_files(kind):
    """One line for each, and nothing on the way there but that."""
    for stop in range(64):
        with pytest.raises(MtfastError) as caught:
            decode(FILES[kind][:stop])
        assert len(str(caught.value).splitlines()) == 1
        assert "; expected " in str(caught.value)
