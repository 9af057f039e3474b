"""TIFF files: 8 bits as Pillow shows them, 16 bits as tifffile reads them."""

from __future__ import annotations

import io
import json
import logging
import struct

import numpy as np
import pytest
import tifffile
from PIL import Image

from image_samples import (
    HEIGHT,
    WIDTH,
    an_image,
    deep_pixels,
    exif,
    pages,
    pixels,
    rgba,
    saved,
    shown,
    tiff,
)
from mtfast import MtfastError
from mtfast.image_files import decode, read_header

DEEP = deep_pixels(HEIGHT, WIDTH)
DEEP_RGB = deep_pixels(HEIGHT, WIDTH, 3)
SOUND = tiff(DEEP)
# What tifffile writes through imagecodecs without loss.
CODECS = (None, "zlib", "lzw", "zstd", "lzma", "packbits")
# It writes these in one byte order only.
LITTLE_CODECS = ("png", "jpeg2000")
LAYOUTS = ({}, {"rowsperstrip": 7}, {"tile": (16, 32)}, {"tile": (64, 96)})


def read(data: bytes) -> np.ndarray:
    return tifffile.imread(io.BytesIO(data))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK"])
@pytest.mark.parametrize("codec", [None, "tiff_lzw", "tiff_adobe_deflate", "packbits", "zstd"])
def test_files_of_pillow(mode, codec):
    data = saved(an_image(mode), "tiff", compression=codec)
    has_alpha = mode in ("LA", "PA", "RGBA", "RGBX")
    assert read_header(data) == (
        "tiff",
        HEIGHT,
        WIDTH,
        np.uint8,
        3,
        1,
        has_alpha,
        mode == "CMYK",
        0,
        1,
    )
    np.testing.assert_array_equal(decode(data), shown(data))


@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "CMYK", "YCbCr"])
def test_lossy_files_of_pillow(mode):
    data = saved(an_image(mode), "tiff", compression="jpeg")
    np.testing.assert_array_equal(decode(data), shown(data))


@pytest.mark.parametrize("codec", ["jpeg", "png", "jpeg2000", "webp"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_sizes_inside_the_data(codec, layout):
    """Decoders take memory for the size that the data state, whatever the tags say."""
    lossy = {"compressionargs": {"level": 90, "lossless": False}} if codec == "webp" else {}
    sound = tiff(pixels(), photometric="rgb", compression=codec, **layout, **lossy)
    np.testing.assert_array_equal(decode(sound), read(sound))
    page = tifffile.TiffFile(io.BytesIO(sound)).pages[0]
    rows, columns = page.chunks[:2]
    start = page.dataoffsets[-1]
    rows = (
        min(rows, HEIGHT - HEIGHT // rows * rows) if not page.is_tiled and HEIGHT % rows else rows
    )
    at, size, huge = {
        "jpeg": (sound.find(b"\xff\xc0", start) + 5, ">HH", (60000, 60000)),
        "png": (start + 16, ">II", (60000, 60000)),
        "jpeg2000": (start + 8, ">II", (60000, 60000)),
        "webp": (start + 26, "<HH", (16383, 16383)),
    }[codec]
    assert sorted(struct.unpack_from(size, sound, at)) == sorted((rows, columns))
    broken = bytearray(sound)
    struct.pack_into(size, broken, at, *huge)
    for function in (read_header, decode):
        with pytest.raises(
            MtfastError, match="in a strip or tile; expected at most|can hold|at mo"
        ):
            function(bytes(broken))


@pytest.mark.parametrize("codec", ["jpegxl", "lerc", "jpegxr"])
def test_compression_of_unusual_kinds(codec):
    data = tiff(pixels(), photometric="rgb", compression=codec)
    with pytest.raises(MtfastError, match=f"^a TIFF compressed as {codec.upper()}.*; save it with"):
        read_header(data)


@pytest.mark.parametrize("codec", ["group3", "group4"])
def test_fax(codec):
    data = saved(an_image("1"), "tiff", compression=codec)
    np.testing.assert_array_equal(decode(data), shown(data))


@pytest.mark.parametrize(
    ("byteorder", "codec"),
    [*((order, codec) for order in "<>" for codec in CODECS), *(("<", c) for c in LITTLE_CODECS)],
)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_16_bits(byteorder, codec, layout):
    for samples, photometric in ((DEEP, "minisblack"), (DEEP_RGB, "rgb")):
        data = tiff(
            samples, byteorder=byteorder, compression=codec, photometric=photometric, **layout
        )
        n = 1 if samples.ndim == 2 else 3
        assert read_header(data) == ("tiff", HEIGHT, WIDTH, np.uint16, n, 1, False, False, 0, 1)
        got = decode(data)
        assert got.dtype == np.uint16
        assert got.dtype.isnative
        np.testing.assert_array_equal(got, samples)


@pytest.mark.parametrize("codec", ["zlib", "lzw", "zstd"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("byteorder", ["<", ">"])
def test_predictors_and_big_tiffs(codec, layout, byteorder):
    options = {"predictor": True, "bigtiff": True, "byteorder": byteorder, **layout}
    data = tiff(DEEP_RGB, photometric="rgb", compression=codec, **options)
    np.testing.assert_array_equal(decode(data), DEEP_RGB)
    data = tiff(pixels(), photometric="rgb", compression=codec, **options)
    np.testing.assert_array_equal(decode(data), pixels())


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("n", [3, 4])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_planes(dtype, n, layout):
    """One after another (planar configuration 2)."""
    samples = deep_pixels(n, HEIGHT, WIDTH, most=np.iinfo(dtype).max).astype(dtype)
    extra = {"extrasamples": ["unassalpha"]} if n == 4 else {}
    data = tiff(samples, photometric="rgb", planarconfig="separate", **layout, **extra)
    assert read_header(data).has_alpha == (n == 4)
    np.testing.assert_array_equal(decode(data), np.moveaxis(samples[:3], 0, -1))


@pytest.mark.parametrize("extra", ["unassalpha", "unspecified", "assocalpha"])
def test_8_bit_colours_with_alpha(extra):
    data = tiff(rgba(), photometric="rgb", extrasamples=[extra])
    assert read_header(data).has_alpha
    np.testing.assert_array_equal(decode(data), shown(data))


@pytest.mark.parametrize("extra", ["unassalpha", "unspecified", "assocalpha"])
def test_16_bit_colours_with_alpha(extra):
    samples = deep_pixels(HEIGHT, WIDTH, 4)
    data = tiff(samples, photometric="rgb", extrasamples=[extra])
    assert read_header(data).has_alpha
    np.testing.assert_array_equal(decode(data), samples[..., :3])


def test_samples_that_no_tag_explains():
    data = tiff(rgba(), photometric="rgb", extrasamples=["unassalpha"])
    at = data.index(struct.pack("<HH", 338, 3))
    data = data[:at] + struct.pack("<H", 340) + data[at + 2 :]
    assert read_header(data).has_alpha
    np.testing.assert_array_equal(decode(data), rgba()[..., :3])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_grey_with_alpha(dtype):
    samples = deep_pixels(HEIGHT, WIDTH, 2, most=np.iinfo(dtype).max).astype(dtype)
    options = {"photometric": "minisblack", "planarconfig": "contig"}
    data = tiff(samples, extrasamples=["unassalpha"], **options)
    grey = samples[..., :1].repeat(3, 2) if dtype == np.uint8 else samples[..., 0]
    assert read_header(data).has_alpha
    np.testing.assert_array_equal(decode(data), grey)


def test_0_is_white():
    """8 bits are turned round, as Pillow does; 16-bit values stay, as tifffile and Pillow do."""
    data = tiff(pixels()[..., 0], photometric="miniswhite")
    np.testing.assert_array_equal(decode(data), shown(data))
    np.testing.assert_array_equal(decode(data)[..., 0], 255 - pixels()[..., 0])
    data = tiff(DEEP, photometric="miniswhite")
    np.testing.assert_array_equal(decode(data), read(data))
    np.testing.assert_array_equal(decode(data), np.asarray(Image.open(io.BytesIO(data))))


def packed(bits: int, photometric: int) -> bytes:
    """A file of grey samples of few bits, or of indices into a palette, made by hand."""
    samples = deep_pixels(9, 13, most=2**bits - 1).astype(np.uint8)
    unpacked = np.unpackbits(samples[..., None], axis=2)[..., 8 - bits :].reshape(9, -1)
    strip = np.packbits(unpacked, axis=1).tobytes()
    palette = deep_pixels(3, 2**bits).tobytes() if photometric == 3 else b""
    tags = [(256, 3, 1, 13), (257, 3, 1, 9), (258, 3, 1, bits), (259, 3, 1, 1)]
    tags += [(262, 3, 1, photometric), (273, 4, 1, 8), (277, 3, 1, 1), (279, 4, 1, len(strip))]
    tags += [(320, 3, 3 * 2**bits, 8 + len(strip))] if palette else []
    table = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags)
    start = 8 + len(strip) + len(palette)
    return b"II*\0" + struct.pack("<I", start) + strip + palette + table + b"\0" * 4


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("photometric", [0, 1, 3])
def test_few_bits(bits, photometric):
    data = packed(bits, photometric)
    assert read_header(data)[1:5] == (9, 13, np.uint8, 3)
    np.testing.assert_array_equal(decode(data), shown(data))


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_bits_between_8_and_16_stay_as_they_are(bits):
    samples = deep_pixels(HEIGHT, 64, most=2**bits - 1)
    tight = np.packbits(
        np.unpackbits(samples.astype(">u2").view(np.uint8).reshape(-1, 2), axis=1)[:, 16 - bits :]
    ).tobytes()
    data = bytearray(tiff(np.zeros((HEIGHT, 64), np.uint8)))
    at = data.index(struct.pack("<HHIH", 258, 3, 1, 8))
    data[at + 8] = bits
    for tag, value in ((273, len(data)), (279, len(tight))):
        at = find_tag(data, tag)
        data[at + 2 : at + 12] = struct.pack("<HII", 4, 1, value)
    file = bytes(data) + tight
    assert read_header(file).dtype == np.uint16
    np.testing.assert_array_equal(decode(file), samples)


def find_tag(data: bytes, tag: int) -> int:
    """Byte at which the entry of a tag begins, in the first directory of a little-endian file."""
    (start,) = struct.unpack_from("<I", data, 4)
    (n,) = struct.unpack_from("<H", data, start)
    entries = range(start + 2, start + 2 + 12 * n, 12)
    return next(at for at in entries if struct.unpack_from("<H", data, at) == (tag,))


def with_tag(data: bytes, tag: int, value: int) -> bytes:
    """The file with another value of a tag of one value."""
    at = find_tag(data, tag)
    return data[: at + 2] + struct.pack("<HII", 4, 1, value) + data[at + 12 :]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_palettes(dtype):
    n = np.iinfo(dtype).max + 1
    colours = deep_pixels(3, n)
    indices = deep_pixels(HEIGHT, WIDTH, most=n - 1).astype(dtype)
    data = tiff(indices, photometric="palette", colormap=colours)
    expected = colours.T[indices]
    assert read_header(data).channels == 3
    np.testing.assert_array_equal(decode(data), expected >> 8 if n == 256 else expected)
    if n == 256:
        np.testing.assert_array_equal(decode(data), shown(data))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation(orientation):
    data = tiff(pixels(), photometric="rgb", extratags=[(274, 3, 1, orientation, True)])
    assert read_header(data)[1:6] == (HEIGHT, WIDTH, np.uint8, 3, orientation)
    np.testing.assert_array_equal(decode(data), pixels())


@pytest.mark.parametrize("orientation", [0, 9, 300])
def test_orientations_that_are_none(orientation):
    data = tiff(DEEP, extratags=[(274, 3, 1, orientation, True)])
    assert read_header(data).orientation == 1
    assert read_header(tiff(DEEP, extratags=[(274, 3, 2, (6, 6), True)])).orientation == 1
    assert read_header(saved(an_image("L"), "tiff", exif=exif(6))).orientation == 6


def test_a_page_of_several_has_to_be_stated():
    data = pages(4)
    for function in (read_header, decode):
        with pytest.raises(MtfastError, match="a TIFF of 4 pages; expected one image; name the"):
            function(data)
    for page in range(4):
        assert read_header(data, page)[8:] == (page, 4)
        assert (decode(data, page=page) == page).all()
    for page in (-1, 4):
        with pytest.raises(MtfastError, match=f"page {page} of a TIFF of 4 pages; expected a page"):
            read_header(data, page)


def test_reduced_copies_and_masks_are_no_pages():
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for number, subfile in enumerate((1, 0, 1, 4, 0, 2)):
            dtype = bool if subfile == 4 else np.uint8
            writer.write(np.full((9, 8), number, dtype), subfiletype=subfile)
    data = file.getvalue()
    found = [int(decode(data, page=page)[0, 0, 0]) for page in range(3)]
    assert found == [1, 4, 5]
    assert read_header(data, 2).n_pages == 3
    assert (decode(pages(1, subfiletype=1)) == 0).all()


def test_pyramids_in_sub_directories_are_one_image():
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(DEEP, subifds=1)
        writer.write(DEEP[::2, ::2], subfiletype=1)
    np.testing.assert_array_equal(decode(file.getvalue()), DEEP)


@pytest.mark.parametrize("options", [{}, {"imagej": True}, {"ome": True}, {"bigtiff": True}])
def test_stacks(options):
    stack = deep_pixels(5, 9, 8)
    data = tiff(stack, photometric="minisblack", **options)
    for page in range(5):
        np.testing.assert_array_equal(decode(data, page=page), stack[page])


@pytest.mark.parametrize("options", [{}, {"imagej": True}])
def test_stacks_that_list_one_page(options):
    data = tiff(deep_pixels(5, 9, 8), photometric="minisblack", truncate=True, **options)
    with pytest.raises(MtfastError, match="a TIFF stack of 5 images that lists 1; expected a page"):
        read_header(data)


def test_metamorph_stacks():
    """The tag UIC2 has a value for each plane."""
    for n in (1, 3):
        tags = [(33628, 4, 1, 8, True), (33629, 5, n, (1, 1) * n, True)]
        data = tiff(DEEP, extratags=tags, metadata=None)
        if n == 1:
            np.testing.assert_array_equal(decode(data), DEEP)
            continue
        with pytest.raises(MtfastError, match="a TIFF stack of 3 images that lists 1"):
            read_header(data)


def test_volumes():
    volume = deep_pixels(4, 16, 16)
    data = tiff(volume, volumetric=True, photometric="minisblack", tile=(2, 16, 16), metadata=None)
    with pytest.raises(MtfastError, match="a TIFF volume, 4 images deep; expected an image"):
        read_header(data)


def test_one_imagej_image_is_read():
    data = tiff(DEEP, imagej=True)
    np.testing.assert_array_equal(decode(data), DEEP)


@pytest.mark.parametrize(
    ("samples", "options", "words"),
    [
        (np.zeros((9, 8), np.float32), {}, "float32 samples with 32 bits; .*; scale the values"),
        (np.zeros((9, 8), np.uint32), {}, "uint32 samples with 32 bits"),
        (np.zeros((9, 8), np.int16), {}, "int16 samples with 16 bits"),
        (np.zeros((9, 8), np.int8), {}, "int8 samples with 8 bits"),
        (np.zeros((9, 8), np.complex64), {}, "complex64 samples"),
        (np.zeros((9, 8), np.uint16), {"photometric": "cfa"}, "RAW photograph; .*; develop it"),
        (
            np.zeros((9, 8, 2), np.uint8),
            {"photometric": "minisblack", "planarconfig": "contig"},
            "a TIFF of 2 channels; .*; save it as RGB, or each channel as a file",
        ),
        (
            np.zeros((9, 8, 3), np.uint16),
            {"photometric": "minisblack", "planarconfig": "contig"},
            "a TIFF of 3 channels",
        ),
        (np.zeros((9, 8, 3), np.uint8), {"photometric": "cielab"}, "a TIFF of CIELAB colours"),
        (np.zeros((9, 8, 4), np.uint16), {"photometric": "separated"}, "uint16 samples with 16"),
    ],
)
def test_images_that_are_not_read(samples, options, words):
    with pytest.raises(MtfastError, match=words):
        read_header(tiff(samples, **options))


def test_raw_photographs():
    data = tiff(DEEP, extratags=[(50706, 1, 4, (1, 4, 0, 0), True)])
    with pytest.raises(MtfastError, match="^a RAW photograph"):
        read_header(data)
    with pytest.raises(MtfastError, match="^a RAW photograph"):
        read_header(b"II*\0\x10\0\0\0CR\2\0" + SOUND[12:])
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        writer.write(pixels(), photometric="rgb", subifds=1, subfiletype=1)
        writer.write(DEEP)
    with pytest.raises(MtfastError, match="^a RAW photograph"):
        read_header(file.getvalue())


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"II*\0", "cut off after 4 bytes"),
        (b"II*\0\0\0\0\0", "without pages"),
        (b"II*\0\xff\0\0\0", "cut off"),
        (b"II+\0\x08\0\0\0" + b"\xff" * 8, "cut off after 16 bytes"),
        (b"MM\0*\0\0\0\x08\0\0\0\0\0\x08", "go round in a circle"),
        (SOUND[:-1], "cut off"),
        (SOUND[:1000], "cut off"),
        (with_tag(with_tag(SOUND, 256, 65535), 257, 65535), "65535 x 65535 pixels; .* at most"),
        (with_tag(with_tag(SOUND, 256, 9000), 257, 9000), "missing data|than [0-9,]+ bytes can"),
        (with_tag(SOUND, 256, 0), "45 x 0 pixels"),
        (with_tag(SOUND, 256, 71), "than 6,300 bytes can hold"),
        (with_tag(SOUND, 277, 40), "40 channels"),
        (with_tag(SOUND, 278, 5), "missing data; expected 9 strips or tiles"),
        (with_tag(SOUND, 273, 0), "missing data; expected 1 strips|cut off"),
        (with_tag(SOUND, 279, 0), "missing data|cut off"),
        (with_tag(SOUND, 262, 3), "without its palette|does not decode"),
    ],
)
def test_damaged_headers(data, words):
    with pytest.raises(MtfastError, match=words):
        decode(data)


@pytest.mark.parametrize("codec", [None, "zlib", "lzw", "zstd", "packbits"])
def test_sizes_beyond_the_data(codec):
    sound = tiff(np.zeros((64, 64), np.uint8), compression=codec)
    assert (decode(sound) == 0).all()
    huge = with_tag(with_tag(with_tag(sound, 256, 20000), 257, 20000), 278, 20000)
    with pytest.raises(MtfastError, match="more than [0-9,]+ bytes can hold"):
        read_header(huge)


def test_tiles_beyond_the_data():
    sound = tiff(np.zeros((64, 64), np.uint8), compression="zlib", tile=(64, 64))
    huge = with_tag(with_tag(sound, 322, 65536 - 16), 323, 65536 - 16)
    with pytest.raises(MtfastError, match="more than [0-9,]+ bytes can hold"):
        read_header(huge)


@pytest.mark.parametrize("codec", [None, "zlib", "lzw", "zstd", "packbits"])
@pytest.mark.parametrize("layout", [{}, {"tile": (1024, 1024)}])
def test_images_as_dense_as_can_be_are_read(codec, layout):
    samples = np.zeros((2000, 2000), np.uint16)
    data = tiff(samples, compression=codec, **layout)
    np.testing.assert_array_equal(decode(data), samples)


def test_data_that_does_not_decode():
    data = tiff(DEEP, compression="zlib")
    (at,) = struct.unpack_from("<I", data, find_tag(data, 273) + 8)
    broken = data[: at + 20] + b"\xff" * 60 + data[at + 80 :]
    assert read_header(broken).height == HEIGHT
    with pytest.raises(MtfastError, match="^a TIFF that does not decode") as caught:
        decode(broken)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("fill_order", [1, 2])
def test_lzw_that_begins_with_an_entry_of_no_table(fill_order):
    """Imagecodecs reads outside of its table where it is not stopped."""
    samples = np.random.default_rng(0).integers(0, 9, (70, 80)).astype(np.uint8)
    data = tiff(samples, compression="lzw", rowsperstrip=35)
    page = tifffile.TiffFile(io.BytesIO(data)).pages[0]
    begin, start = page.dataoffsets
    # 9 bits of a fresh start, then 9 of the code 300, where 0 to 8 stood.
    broken = data[:start] + (256 << 15 | 300 << 6).to_bytes(3, "big") + data[start + 3 :]
    if fill_order == 2:
        turned = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
        stop = start + page.databytecounts[1]
        tag = find_tag(data, 305)
        sound, broken = (
            with_fill_order(d[:begin] + d[begin:stop].translate(turned) + d[stop:], tag)
            for d in (data, broken)
        )
        np.testing.assert_array_equal(decode(sound)[..., 0], samples)
    with pytest.raises(MtfastError, match="a TIFF with damaged LZW data; expected codes"):
        decode(broken)


def with_fill_order(data: bytes, at: int) -> bytes:
    """The file with the lowest bit first, said in the place of a tag that is not needed."""
    return data[:at] + struct.pack("<HHII", 266, 3, 1, 2) + data[at + 12 :]


def test_what_tifffile_reports_does_not_appear(capfd):
    assert logging.getLogger("tifffile").handlers
    with pytest.raises(MtfastError):
        decode(with_tag(SOUND, 258, 77))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("shape", [[0, 5], [45, 70], [], [10**30], [1, 45, 70, 1]])
def test_the_shape_that_a_description_states_may_be_nonsense(shape):
    data = tiff(DEEP, description=json.dumps({"shape": shape}), metadata=None)
    if shape == [10**30]:
        with pytest.raises(MtfastError, match="a TIFF stack of .* images that lists 1"):
            read_header(data)
    else:
        np.testing.assert_array_equal(decode(data), DEEP)
