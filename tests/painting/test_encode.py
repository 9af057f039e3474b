"""Chunks of semantic masks against painting them."""

from __future__ import annotations

from dataclasses import replace

import imagecodecs
import numcodecs.zstd
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

import naive
from mtfast import MtfastError, RLEError
from mtfast.painting import encode
from mtfast.painting.encode import encode_masks
from mtfast.painting.paint import semantic
from mtfast.store.shard import write_shard
from mtfast.table import RunTable
from tables import make_table, random_masks

RLE_FRAME = b"\x28\xb5\x2f\xfd\xc0\x38"


def decoded(chunks, shape, dtype=np.uint8):
    pixels = [np.frombuffer(imagecodecs.zstd_decode(chunk), dtype) for chunk in chunks]
    return np.array(pixels, dtype).reshape(len(pixels), *shape)


def outcome(function, *arguments):
    """Return what a call raises, or None."""
    try:
        function(*arguments)
    except MtfastError as error:
        return type(error), str(error)
    return None


@pytest.fixture
def few_runs(monkeypatch):
    """Make most masks too many runs, and a batch short."""
    monkeypatch.setattr(encode, "MAX_RUNS", 20)
    monkeypatch.setattr(encode, "_BATCH_RUNS", 5)


def check(table):
    shape = int(table.heights[0]), int(table.widths[0])
    for dtype in (np.uint8, np.uint16):
        expected = np.empty((table.n_images, *shape), dtype)
        semantic(table, out=expected)
        chunks = list(encode_masks(table, dtype))
        np.testing.assert_array_equal(decoded(chunks, shape, dtype), expected)
        for chunk, mask in zip(chunks, expected, strict=True):
            assert bytes(numcodecs.zstd.decompress(chunk)) == mask.tobytes()


@settings(deadline=None, max_examples=500)
@given(
    st.integers(0, 2**32),
    st.tuples(st.integers(1, 16), st.integers(1, 16)),
    st.lists(st.integers(0, 5), min_size=1, max_size=4),
    st.integers(1, 4),
)
def test_pixels_are_those_of_painting(seed, shape, n_instances, n_categories):
    rng = np.random.default_rng(seed)
    masks = [random_masks(rng, shape, n) for n in n_instances]
    table = make_table(masks, shape, n_categories)
    # Category 0 erases.
    check(replace(table, category_ids=table.category_ids - 1))


def test_masks_of_too_many_runs_are_compressed(few_runs, rng):
    for seed in range(20):
        rng = np.random.default_rng(seed)
        table = make_table(
            [random_masks(rng, (23, 31), n) for n in (3, 0, 1, 1, 1, 4, 2)], (23, 31)
        )
        check(table)
        kinds = {chunk.startswith(RLE_FRAME) for chunk in encode_masks(table, np.uint8)}
        assert kinds == {True, False} or seed
    whole = make_table([[np.ones((20, 9), np.uint8)]] * 3, (20, 9))
    assert all(c.startswith(RLE_FRAME) for c in encode_masks(whole, np.uint8))
    high = make_table([[np.ones((21, 9), np.uint8)]] * 3, (21, 9))
    assert not any(c.startswith(RLE_FRAME) for c in encode_masks(high, np.uint8))


def test_noise_above_the_real_limit(rng):
    shape = (200, 300)
    noise = (rng.random(shape) < 0.3).astype(np.uint8)
    speck = np.zeros(shape, np.uint8)
    speck[7:9, 250:] = 1
    table = make_table([[speck], [noise, speck], [speck, speck]], shape)
    assert [c.startswith(RLE_FRAME) for c in encode_masks(table, np.uint8)] == [True, False, True]
    check(table)


def test_a_chunk_does_not_depend_on_the_others(rng):
    table = make_table([random_masks(rng, (19, 27), n) for n in range(6)], (19, 27))
    chunks = list(encode_masks(table, np.uint8))
    assert chunks == [
        next(iter(encode_masks(image, np.uint8)))
        for image in map(table.image, range(table.n_images))
    ]
    assert all(type(chunk) is bytes for chunk in chunks)


def of_several_sizes(rng):
    """Make a table of images whose sizes change and stay, and the mask of each."""
    sizes = [(6, 7), (6, 7), (23, 5), (4, 31), (4, 31), (6, 7)]
    masks = [random_masks(rng, size, 4) for size in sizes]
    values = [3, 1, 2, 5]
    texts = [[naive.text_of_mask(mask) for mask in of_image] for of_image in masks]
    joined = RunTable.of_texts((1, 1), texts, np.tile(values, len(sizes)))
    heights, widths = zip(*sizes, strict=True)
    painted = [naive.semantic(m, values, size) for m, size in zip(masks, sizes, strict=True)]
    return replace(joined, heights=heights, widths=widths), painted


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_images_of_several_sizes(rng, dtype):
    table, masks = of_several_sizes(rng)
    for chunk, mask in zip(encode_masks(table, dtype), masks, strict=True):
        np.testing.assert_array_equal(decoded([chunk], mask.shape, dtype)[0], mask)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("canvas", [(23, 31), (40, 50)])
def test_masks_on_a_canvas(rng, dtype, canvas, few_runs):
    table, masks = of_several_sizes(rng)
    for chunk, mask in zip(encode_masks(table, dtype, canvas=canvas), masks, strict=True):
        expected = np.zeros(canvas, dtype)
        expected[: mask.shape[0], : mask.shape[1]] = mask
        np.testing.assert_array_equal(decoded([chunk], canvas, dtype)[0], expected)


def test_ids_above_a_byte(rng):
    table = make_table([random_masks(rng, (19, 27), 3)], (19, 27))
    table = replace(table, category_ids=[1, 65535, 256])
    (chunk,) = encode_masks(table, np.uint16)
    np.testing.assert_array_equal(decoded([chunk], (19, 27), np.uint16), semantic(table))


def test_no_images():
    table = make_table([], (5, 5))
    assert list(encode_masks(table, np.uint8)) == list(encode_masks(table, np.uint16)) == []


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("text", [b"p", b"", b"1P", b"6O", b"0", b"o" * 40])
def test_raises_what_painting_raises(dtype, text, rng):
    shape = (6, 7)
    table = make_table([random_masks(rng, shape, n) for n in (1, 3, 2)], shape)
    texts = [table.text(k) for k in range(6)]
    texts[2] = text
    bad = replace(
        table,
        rle=np.frombuffer(b"".join(texts), np.uint8),
        rle_offsets=np.cumsum([0, *map(len, texts)]),
    )
    out = np.empty((3, *shape), dtype)
    expected = outcome(semantic, bad, out)
    assert expected[0] is RLEError
    assert outcome(list, encode_masks(bad, dtype)) == expected
    # A bad text is found before a bad id of an earlier image.
    both = replace(bad, category_ids=[70000, 1, 1, 1, 1, 1])
    assert outcome(list, encode_masks(both, dtype)) == outcome(semantic, both, out) == expected


@pytest.mark.parametrize(
    ("dtype", "value"), [(np.uint8, 256), (np.uint8, -1), (np.uint16, 65536), (np.uint16, -3)]
)
def test_ids_that_do_not_fit(dtype, value, rng):
    table = make_table([random_masks(rng, (6, 7), n) for n in (1, 3, 2)], (6, 7))
    table = replace(table, category_ids=[1, 2, 3, value, 2, 1])
    expected = outcome(semantic, table, np.empty((3, 6, 7), dtype))
    chunks = encode_masks(table, dtype)
    next(chunks)
    assert outcome(list, chunks) == expected
    assert f"category id {value}" in expected[1]


def test_sizes_and_types_that_do_not_fit(rng):
    table = make_table([random_masks(rng, (6, 7), 1)] * 2, (6, 7))
    for canvas in ((5, 7), (6, 6)):
        with pytest.raises(MtfastError, match="an image of 6 x 7 on a canvas of"):
            list(encode_masks(table, np.uint8, canvas=canvas))
    with pytest.raises(MtfastError, match=r"int32; expected .* uint8 or uint16"):
        list(encode_masks(table, np.int32))


def test_zarr_reads_a_shard_of_them(few_runs, tmp_path, rng):
    shape = (19, 27)
    table = make_table([random_masks(rng, shape, n) for n in (3, 0, 1, 4, 2)], shape)
    for dtype in (np.uint8, np.uint16):
        path = tmp_path / np.dtype(dtype).name
        array = zarr.create_array(
            path,
            shape=(table.n_images, *shape),
            dtype=dtype,
            chunks=(1, *shape),
            shards=(8, *shape),
            compressors=zarr.codecs.ZstdCodec(level=1),
            fill_value=0,
        )
        file = path / "c" / "0" / "0" / "0"
        file.parent.mkdir(parents=True)
        write_shard(file, encode_masks(table, dtype), 8)
        np.testing.assert_array_equal(array[:], semantic(table))
        np.testing.assert_array_equal(array[3], semantic(table.image(3))[0])


def test_a_small_set_comes_out_smaller_than_pixels():
    """What a mask of a few flakes costs: a header, and eight bytes a row of a flake."""
    flake = naive.mask("""
        ....##....
        ..#####...
        ...####...
        ..........
    """)
    (chunk,) = encode_masks(make_table([[flake]], (4, 10)), np.uint8)
    assert len(chunk) == 14 + 4 * 7
