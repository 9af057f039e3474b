"""EXIF orientation, and arrays turned as Pillow turns images."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageOps

from image_samples import deep_pixels, exif, pixels, saved, tiff
from mtfast import MtfastError
from mtfast.image_files import decode, read_header, turn, without_orientation
from mtfast.image_files.exif import read_orientation


def transposed(image: Image.Image, orientation: int) -> np.ndarray:
    image.getexif()[0x0112] = orientation
    return np.asarray(ImageOps.exif_transpose(image))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (45, 70)])
def test_arrays_are_turned_as_pillow_turns_images(orientation, size):
    colours, deep = pixels(0, *size), deep_pixels(*size)
    for array in (colours, colours[..., 0], deep):
        expected = transposed(Image.fromarray(array), orientation)
        got = turn(array, orientation)
        assert got.dtype == array.dtype
        assert got.flags.c_contiguous
        np.testing.assert_array_equal(got, expected)
    for array in (deep_pixels(*size, 3), np.repeat(deep[..., None], 4, 2).astype(np.float64)):
        planes = [turn(array[..., k], orientation) for k in range(array.shape[2])]
        np.testing.assert_array_equal(turn(array, orientation), np.stack(planes, axis=2))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_arrays_of_any_layout_and_type(orientation):
    whole = deep_pixels(20, 30, 3)
    expected = turn(whole[::2, 3:17].copy(), orientation)
    np.testing.assert_array_equal(turn(whole[::2, 3:17], orientation), expected)
    np.testing.assert_array_equal(turn(np.asfortranarray(whole[::2, 3:17]), orientation), expected)
    np.testing.assert_array_equal(turn(whole[::2, 3:17, :1], orientation), expected[..., :1])
    mask = whole[..., 0] > 9000
    np.testing.assert_array_equal(turn(mask, orientation), turn(whole[..., 0], orientation) > 9000)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["jpeg", "png", "webp"])
def test_files_are_shown_as_pillow_shows_them(orientation, kind):
    image = Image.fromarray(pixels())
    data = saved(image, kind, exif=exif(orientation))
    with Image.open(io.BytesIO(data)) as opened:
        expected = np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))
    np.testing.assert_array_equal(turn(decode(data), read_header(data).orientation), expected)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_tiffs_are_shown_as_pillow_shows_them(orientation):
    """Pillow turns them itself."""
    data = tiff(pixels(), photometric="rgb", extratags=[(274, 3, 1, orientation, True)])
    with Image.open(io.BytesIO(data)) as opened:
        expected = np.asarray(opened.convert("RGB"))
    np.testing.assert_array_equal(turn(decode(data), read_header(data).orientation), expected)


def upright_and_stored(data: bytes) -> tuple[np.ndarray, np.ndarray]:
    """What Pillow shows of a file without its orientation, and what it reads of the file."""
    made = without_orientation(data)
    assert len(made) == len(data)
    assert sum(a != b for a, b in zip(made, data, strict=True)) <= 5, "a value, and a checksum"
    with Image.open(io.BytesIO(made)) as opened:
        opened.verify()
    with Image.open(io.BytesIO(made)) as opened, Image.open(io.BytesIO(data)) as before:
        return (
            np.asarray(ImageOps.exif_transpose(opened).convert("RGB")),
            np.asarray(before.convert("RGB")),
        )


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["jpeg", "png", "webp"])
def test_a_file_without_its_orientation_is_shown_as_stored(orientation, kind):
    data = saved(Image.fromarray(pixels()), kind, exif=exif(orientation))
    assert np.array_equal(*upright_and_stored(data))


# Pillow reads no BigTIFF of the other order.
@pytest.mark.parametrize(("order", "is_big"), [("<", False), (">", False), ("<", True)])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_tiff_without_its_orientation_is_shown_as_stored(orientation, order, is_big):
    tag = [(274, 3, 1, orientation, True)]
    data = tiff(pixels(), photometric="rgb", byteorder=order, bigtiff=is_big, extratags=tag)
    made = without_orientation(data)
    with Image.open(io.BytesIO(made)) as opened:
        np.testing.assert_array_equal(np.asarray(opened.convert("RGB")), pixels())


def test_a_file_that_states_no_orientation_stays():
    for kind in ("jpeg", "png", "webp", "tiff", "bmp"):
        data = saved(Image.fromarray(pixels()), kind)
        assert without_orientation(data) == data


@pytest.mark.parametrize("orientation", [0, 9, -1, 6.0, None, "6", True])
def test_orientations_that_are_none(orientation):
    with pytest.raises(MtfastError, match="orientation is .*; expected an integer from 1 to 8"):
        turn(pixels(), orientation)


def tags(order: str, *entries: tuple[int, int, int, bytes], at: int = 8) -> bytes:
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", at)
    body = b"".join(struct.pack(order + "HHI", *e[:3]) + e[3].ljust(4, b"\0") for e in entries)
    return head.ljust(at, b"\0") + struct.pack(order + "H", len(entries)) + body


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("type_", "format_"), [(1, "B"), (3, "H"), (4, "I")])
@pytest.mark.parametrize("at", [8, 20])
def test_forms_of_the_tag(order, type_, format_, at):
    value = struct.pack(order + format_, 7)
    others = [(0x010F, 2, 4, b"abc\0"), (0x0128, 3, 1, struct.pack(order + "H", 2))]
    data = tags(order, others[0], (0x0112, type_, 1, value), others[1], at=at)
    for prefix in (b"", b"Exif\0\0", b"Exif\0\0Exif\0\0"):
        assert read_orientation(prefix + data) == 7


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"Exif\0\0",
        b"II",
        b"XX*\0" + bytes(50),
        tags("<"),
        tags("<", (0x0112, 3, 1, b"\x09")),
        tags("<", (0x0112, 3, 1, b"\0")),
        tags("<", (0x0112, 2, 1, b"6")),
        tags("<", (0x0113, 3, 1, b"\6")),
        tags(">", (0x0112, 3, 1, b"\6\0")),
        tags("<", (0x0112, 3, 1, b"\6"))[:-3],
        b"II*\0\xff\xff\xff\xff" + bytes(9),
        b"II*\0\x08\0\0\0\xff\xff" + bytes(9),
    ],
)
def test_damaged_data_has_none(data):
    assert read_orientation(data) == 1
