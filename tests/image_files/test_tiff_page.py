"""A page of a TIFF stack, cut out as a file of its own."""

from __future__ import annotations

import io
import random
import struct

import numpy as np
import pytest
import tifffile
from PIL import Image

from image_samples import an_image, deep_pixels, pages, pixels, saved, tiff
from mtfast import MtfastError
from mtfast.image_files import cut_page, decode, read_header

STACK = deep_pixels(4, 45, 70)
COLOURS = np.stack([pixels(seed) for seed in range(4)])
CODECS = (None, "zlib", "lzw", "zstd", "packbits")


def cut(data: bytes, page: int) -> bytes:
    return cut_page(io.BytesIO(data), page)


def expect_page(data: bytes, page: int) -> None:
    """The file of a page: one page, the pixels and the stored bytes of the stack."""
    file = cut(data, page)
    with tifffile.TiffFile(io.BytesIO(data)) as stack, tifffile.TiffFile(io.BytesIO(file)) as one:
        assert len(one.pages) == 1
        np.testing.assert_array_equal(one.pages[0].asarray(), stack.pages[page].asarray())
        assert one.pages[0].asarray().dtype == stack.pages[page].asarray().dtype
        theirs, mine = (
            [data_[a : a + n] for a, n in zip(t.dataoffsets, t.databytecounts, strict=True)]
            for data_, t in ((data, stack.pages[page].aspage()), (file, one.pages[0]))
        )
        assert mine == theirs
    np.testing.assert_array_equal(decode(file), decode(data, page=page))
    assert read_header(file)._replace(n_pages=4, page=page) == read_header(data, page)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("bigtiff", [False, True])
@pytest.mark.parametrize("layout", [{}, {"rowsperstrip": 7}, {"tile": (16, 32)}])
def test_pages_of_stacks(codec, byteorder, bigtiff, layout):
    options = {"compression": codec, "byteorder": byteorder, "bigtiff": bigtiff, **layout}
    if codec in ("zlib", "lzw", "zstd"):
        options["predictor"] = True
    for samples, photometric in ((STACK, "minisblack"), (COLOURS, "rgb")):
        data = tiff(samples, photometric=photometric, **options)
        for page in (0, 3):
            expect_page(data, page)


@pytest.mark.parametrize("options", [{"imagej": True}, {"ome": True}, {"metadata": {"axes": "Z"}}])
def test_a_page_says_nothing_of_its_stack(options):
    data = tiff(STACK, photometric="minisblack", **options)
    expect_page(data, 2)
    with tifffile.TiffFile(io.BytesIO(cut(data, 2))) as one:
        assert (one.is_imagej, one.is_ome, one.is_shaped) == (False, False, False)


@pytest.mark.parametrize(
    ("mode", "codec"),
    [
        *((mode, None) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK")),
        *((mode, "tiff_lzw") for mode in ("1", "P", "RGBA")),
        *((mode, "jpeg") for mode in ("L", "RGB", "CMYK", "YCbCr")),
        ("1", "group4"),
    ],
)
def test_pages_of_pillow(mode, codec):
    stack = [an_image(mode, seed) for seed in range(3)]
    data = saved(stack[0], "tiff", compression=codec, save_all=True, append_images=stack[1:])
    for page in range(3):
        file = cut(data, page)
        with Image.open(io.BytesIO(data)) as whole, Image.open(io.BytesIO(file)) as one:
            whole.seek(page)
            assert (one.n_frames, one.mode, one.size) == (1, whole.mode, whole.size)
            np.testing.assert_array_equal(np.asarray(one), np.asarray(whole))
        np.testing.assert_array_equal(decode(file), decode(data, page=page))


def test_pages_of_several_sizes_without_reduced_copies():
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for number, subfile in enumerate((0, 1, 2, 0)):
            writer.write(np.full((9, 8 + number), number, np.uint8), subfiletype=subfile)
    for page, number in enumerate((0, 2, 3)):
        pixel = decode(cut(file.getvalue(), page))
        assert pixel.shape == (9, 8 + number, 3)
        assert (pixel == number).all()


def test_pages_that_are_not_there():
    for page in (4, 10**8):
        with pytest.raises(MtfastError, match=f"page {page} of a TIFF of 4 pages; expected a page"):
            cut(pages(4), page)
    with pytest.raises(
        MtfastError, match="page 1 of a TIFF of 1 page; expected a page from 0 to 0; name"
    ):
        cut(pages(1), 1)
    with pytest.raises(MtfastError, match="page 0 of a file that is no TIFF"):
        cut(saved(an_image("RGB"), "png"), 0)


@pytest.mark.parametrize("seed", range(300))
def test_damaged_stacks(seed):
    """Whatever tags claim, a read stays inside of the file, and a cut page is no longer than it."""
    rng = random.Random(seed)
    options = rng.choice(({}, {"bigtiff": True}, {"byteorder": ">"}, {"tile": (16, 32)}))
    data = bytearray(tiff(STACK[:2, :20], photometric="minisblack", **options))
    if rng.random() < 0.3:
        del data[rng.randrange(len(data)) :]
    tables = [at for at in range(len(data)) if not 16 <= at < len(data) - 700]
    for at in rng.sample(tables, min(len(tables), rng.randint(1, 4))):
        data[at] = rng.choice((0, 1, 127, 255, rng.randrange(256)))
    try:
        file = cut(bytes(data), rng.randrange(2))
    except MtfastError:
        return
    assert len(file) <= 2 * len(data) + 100


def test_strips_that_claim_more_than_the_file():
    data = bytearray(tiff(STACK, photometric="minisblack", rowsperstrip=1))
    page = tifffile.TiffFile(io.BytesIO(bytes(data))).pages[1].aspage()
    counts = page.tags["StripByteCounts"]
    whole = struct.pack(f"<{counts.count}H", *[60000] * counts.count)
    data[counts.valueoffset : counts.valueoffset + len(whole)] = whole
    with pytest.raises(MtfastError, match="strips or tiles do not fit its file"):
        cut(bytes(data), 1)
