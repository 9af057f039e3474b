from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mtfast
import naive
from mtfast import MtfastError, RLEError
from mtfast.painting.paint import semantic_dtype
from tables import make_table, random_masks

SHAPE = (19, 27)


def expected(masks_of_images, table, order=lambda k, area: k):
    """Paint each image's masks in ascending order of a key."""
    frames = []
    for i, masks in enumerate(masks_of_images):
        values = table.image(i).category_ids.tolist()
        ranked = sorted(range(len(masks)), key=lambda k: (order(k, int(masks[k].sum())), k))
        frames.append(
            naive.semantic([masks[k] for k in ranked], [values[k] for k in ranked], SHAPE)
        )
    return np.array(frames).reshape(len(masks_of_images), *SHAPE)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32), st.lists(st.integers(0, 5), max_size=4))
def test_semantic_is_painting_in_order(seed, counts):
    rng = np.random.default_rng(seed)
    masks = [random_masks(rng, SHAPE, n) for n in counts]
    table = make_table(masks, SHAPE)
    for overlap, key in {
        "last": lambda k, area: k,
        "first": lambda k, area: -k,
        "largest": lambda k, area: area,
        "smallest": lambda k, area: -area,
    }.items():
        got = mtfast.semantic(table, overlap=overlap)
        if masks:
            np.testing.assert_array_equal(got, expected(masks, table, key))


def test_dtype_follows_the_ids(rng):
    table = make_table([random_masks(rng, SHAPE, 3)], SHAPE)
    assert mtfast.semantic(table).dtype == np.uint8
    large = replace(table, category_ids=[1, 300, 2])
    masks = mtfast.semantic(large)
    assert masks.dtype == np.uint16
    with pytest.raises(MtfastError, match="category id 300; expected 0 to 255"):
        mtfast.semantic(large, out=np.zeros((1, *SHAPE), np.uint8))
    for bad in (70000, -1):
        with pytest.raises(MtfastError, match=f"category id {bad}"):
            mtfast.semantic(replace(table, category_ids=[1, bad, 2]))
        with pytest.raises(MtfastError, match=f"category id {bad}"):
            mtfast.semantic(
                replace(table, category_ids=[1, bad, 2]), out=np.zeros((1, *SHAPE), np.uint16)
            )


@pytest.mark.parametrize(
    ("ids", "dtype"),
    [([], np.uint8), ([0, 255], np.uint8), ([1, 256], np.uint16), ([65535], np.uint16)],
)
def test_narrowest_dtype(ids, dtype):
    assert semantic_dtype(np.array(ids, np.int64)) == dtype


@pytest.mark.parametrize("bad", [-1, 65536])
def test_ids_of_no_dtype(bad):
    with pytest.raises(MtfastError, match=f"category id {bad}; expected 0 to 65535"):
        semantic_dtype(np.array([1, bad, 2]))


def test_out_is_overwritten_whole(rng):
    table = make_table([random_masks(rng, SHAPE, 2), []], SHAPE)
    for dtype in (np.uint8, np.uint16):
        out = np.full((2, *SHAPE), 77, dtype)
        assert mtfast.semantic(table, out=out) is out
        np.testing.assert_array_equal(out, mtfast.semantic(table))


@pytest.mark.parametrize(
    "out",
    [
        np.zeros((1, 5, 5), np.uint8),
        np.zeros((1, *SHAPE), np.int32),
        np.zeros((1, *SHAPE), np.uint8, order="F"),
        np.zeros((1, SHAPE[0], 2 * SHAPE[1]), np.uint8)[:, :, ::2],
    ],
)
def test_wrong_out(rng, out):
    table = make_table([random_masks(rng, SHAPE, 1)], SHAPE)
    with pytest.raises(MtfastError, match=r"expected \(1, 19, 27\)"):
        mtfast.semantic(table, out=out)


def test_nothing_is_painted_if_anything_is_malformed(rng):
    table = make_table([random_masks(rng, SHAPE, 2), random_masks(rng, SHAPE, 2)], SHAPE)
    rle = table.rle.copy()
    rle[table.rle_offsets[3]] = 1
    out = np.full((2, *SHAPE), 9, np.uint8)
    with pytest.raises(RLEError, match="annotation 4 .* of image '001.jpg'"):
        mtfast.semantic(replace(table, rle=rle), out=out)
    assert (out == 9).all()
    single = replace(table, rle=rle).image(1)
    with pytest.raises(RLEError, match="annotation 4 "):
        mtfast.semantic(single, out=out[1:])
    assert (out == 9).all()


def test_several_sizes_make_a_list(rng):
    """Of one type, as if each image had been painted alone."""
    one, two = (make_table([random_masks(rng, shape, 3)], shape) for shape in (SHAPE, (8, 40)))
    table = replace(
        one,
        names=["a.jpg", "b.jpg"],
        image_ids=[1, 2],
        heights=[SHAPE[0], 8],
        widths=[SHAPE[1], 40],
        image_offsets=[0, 3, 6],
        rle=np.concatenate([one.rle, two.rle]),
        rle_offsets=[*one.rle_offsets, *(two.rle_offsets[1:] + one.rle.size)],
        instance_ids=range(1, 7),
        category_ids=[1, 2, 300, 4, 5, 6],
        iscrowd=[0] * 6,
        positions=range(6),
        stated_area=[np.nan] * 6,
        stated_bbox=np.full((6, 4), np.nan),
    )
    found = mtfast.semantic(table, overlap="first")
    assert isinstance(found, list)
    assert [mask.dtype for mask in found] == [np.uint16] * 2
    for mask, image in zip(found, map(table.image, range(table.n_images)), strict=True):
        np.testing.assert_array_equal(mask, mtfast.semantic(image, overlap="first")[0])
    rle = table.rle.copy()
    rle[table.rle_offsets[4]] = 1
    with pytest.raises(RLEError, match="annotation 5 .* of image 'b.jpg'"):
        mtfast.semantic(replace(table, rle=rle))


def test_sizes_must_agree_in_one_array():
    table = make_table([[], []], SHAPE)
    with pytest.raises(MtfastError, match="'001.jpg' is 19 x 30 .*expected one size"):
        mtfast.semantic(replace(table, widths=[27, 30]), np.empty((2, *SHAPE), np.uint8))
    with pytest.raises(MtfastError, match="overlap is 'top'"):
        mtfast.semantic(table, overlap="top")
