"""mtfast.mask against pycocotools.mask, and on input that kills pycocotools."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import numpy as np
import pycocotools.mask as coco
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import naive
from mtfast import MtfastError, mask
from tables import make_table, random_masks

SHAPES = st.tuples(st.integers(1, 40), st.integers(1, 40))
STACKS = st.tuples(SHAPES, st.integers(1, 4)).flatmap(
    lambda a: arrays(np.uint8, (*a[0], a[1]), elements=st.integers(0, 1))
)


def coco_rles(stack: np.ndarray) -> list[dict]:
    return coco.encode(np.asfortranarray(stack))


@settings(deadline=None)
@given(STACKS, st.sampled_from([bool, np.uint8, np.int16, np.uint32, np.int64]), st.booleans())
def test_encode(stack, dtype, by_rows):
    pixels = (stack.astype(dtype) * 3).astype(dtype)
    pixels = np.ascontiguousarray(pixels) if by_rows else np.asfortranarray(pixels)
    assert mask.encode(pixels) == coco_rles(stack)
    assert mask.encode(pixels[:, :, 0]) == coco_rles(stack)[0]
    assert mask.encode(pixels[::-1, ::2, 0]) == coco_rles(stack[::-1, ::2, :1])[0]


@settings(deadline=None)
@given(STACKS)
def test_decode(stack):
    rles = coco_rles(stack)
    for got, expected in [
        (mask.decode(rles), coco.decode(rles)),
        (mask.decode(rles[0]), coco.decode(rles[0])),
    ]:
        np.testing.assert_array_equal(got, expected)
        assert got.dtype == np.uint8
        assert got.flags.f_contiguous
    by_rows = mask.decode(rles, order="C", value=7)
    assert by_rows.flags.c_contiguous
    np.testing.assert_array_equal(by_rows, 7 * np.moveaxis(coco.decode(rles), 2, 0))
    out = np.full(stack.shape[:2], 99, np.uint8)
    assert mask.decode(rles[-1], order="C", out=out) is out
    np.testing.assert_array_equal(out, stack[:, :, -1])


@pytest.mark.parametrize("order", ["F", "C"])
def test_a_sparse_mask_overwrites_all_of_a_large_frame(order):
    """New frames may count on zeros from the system; frames that are given may not."""
    pixels = np.zeros((300, 400), np.uint8)
    pixels[7:9, 20] = 1
    (rle,) = coco_rles(pixels[:, :, None])
    for dtype in (np.uint8, np.uint32):
        out = np.full(pixels.shape, 99, dtype, order)
        np.testing.assert_array_equal(mask.decode(rle, order, out), pixels)
        np.testing.assert_array_equal(mask.decode(rle, order), pixels)


@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.int64])
def test_values_that_end_in_zero_bits_are_foreground(dtype):
    (expected,) = coco_rles(np.ones((1, 1, 1), np.uint8))
    assert mask.encode(np.full((1, 1), 256, dtype)) == expected


@pytest.mark.parametrize("order", ["F", "C"])
def test_noise_of_many_characters(rng, order):
    """More text than the first buffer holds."""
    noise = np.asarray(rng.random((400, 500)) < 0.5, np.uint8, order=order)
    (expected,) = coco_rles(noise[:, :, None])
    assert len(expected["counts"]) > 2**16
    assert mask.encode(noise) == expected
    np.testing.assert_array_equal(mask.decode(expected, order), noise)


def test_any_value_but_zero_marks_a_crowd():
    a, b = ({"size": [1, 6], "counts": text} for text in (b"132", b"231"))
    for crowd in ([2], [-1], [True], np.array([256], np.uint16)):
        assert mask.iou([a], [b], crowd).tolist() == [[2 / 3]]
        assert mask.iou([[1, 0, 3, 1]], [[2, 0, 3, 1]], crowd).tolist() == [[2 / 3]]
    assert mask.iou([a], [b], [False]).tolist() == [[0.5]]


@settings(deadline=None)
@given(STACKS)
def test_area_and_box(stack):
    rles = coco_rles(stack)
    assert mask.area(rles).dtype == mask.area(rles[0]).dtype == coco.area(rles).dtype
    assert mask.area(rles).tolist() == coco.area(rles).tolist()
    assert mask.area(rles[0]) == coco.area(rles[0])
    np.testing.assert_array_equal(mask.toBbox(rles), coco.toBbox(rles))
    np.testing.assert_array_equal(mask.toBbox(rles[0]), coco.toBbox(rles[0]))
    assert mask.toBbox(rles).dtype == np.float64


@settings(deadline=None)
@given(STACKS, st.data())
def test_iou_and_merge(stack, data):
    rles = coco_rles(stack)
    n = len(rles)
    crowd = data.draw(st.lists(st.integers(0, 1), min_size=n, max_size=n))
    np.testing.assert_array_equal(
        mask.iou(rles, rles[::-1], crowd), coco.iou(rles, rles[::-1], crowd)
    )
    boxes = coco.toBbox(rles) + 0.25
    for a, b in [(boxes, boxes[::-1]), (boxes.tolist(), boxes.tolist())]:
        np.testing.assert_array_equal(
            mask.iou(a, b, crowd), coco.iou(np.array(a), np.array(b), crowd)
        )
    for intersect in (0, 1, True):
        assert mask.merge(rles, intersect) == coco.merge(rles, intersect)


def test_edges_of_iou_and_merge():
    one = coco_rles(np.ones((2, 2, 1), np.uint8))
    assert mask.iou([], one, [0]) == mask.iou(one, [], []) == []
    assert mask.merge([]) == coco.merge([]) == {"size": [0, 0], "counts": b""}
    other = coco_rles(np.ones((2, 3, 1), np.uint8))
    for call in (
        lambda: mask.iou(one, other, [0], other_size="error"),
        lambda: mask.merge(one + other),
    ):
        with pytest.raises(MtfastError, match="2 x 3"):
            call()
    with pytest.raises(MtfastError, match="iscrowd"):
        mask.iou(one, one, [0, 0])
    with pytest.raises(MtfastError, match="masks on one side and boxes on the other"):
        mask.iou(one, [[0, 0, 1, 1]], [0])


@settings(deadline=None)
@given(st.lists(STACKS, min_size=2, max_size=3), st.data())
def test_iou_of_frames_of_different_size(stacks, data):
    """As pycocotools, which returns -1 for masks whose boxes overlap."""
    rles = [rle for stack in stacks for rle in coco_rles(stack)]
    crowd = data.draw(st.lists(st.integers(0, 1), min_size=len(rles), max_size=len(rles)))
    differ = len({tuple(rle["size"]) for rle in rles}) > 1
    with warnings.catch_warnings(record=True, action="always") as caught:
        got = mask.iou(rles, rles[::-1], crowd)
    np.testing.assert_array_equal(got, coco.iou(rles, rles[::-1], crowd))
    assert [Path(warning.filename) for warning in caught] == differ * [Path(__file__)]
    if differ:
        with pytest.raises(MtfastError, match="expected one size"):
            mask.iou(rles, rles[::-1], crowd, "error")


def test_the_pair_of_different_size_is_named():
    a, b = coco_rles(np.ones((2, 3, 2), np.uint8))
    (c,) = coco_rles(np.ones((3, 2, 1), np.uint8))
    said = r"dt\[0\] has 2 x 3 pixels and gt\[1\] 3 x 2, and 2 more pairs differ: iou is -1"
    with pytest.warns(UserWarning, match=said):
        assert mask.iou([a, b, c], [a, c], [0, 0]).tolist() == [[1, -1], [1, -1], [-1, 1]]
    with pytest.raises(MtfastError, match="other_size"):
        mask.iou([a], [b], [0], "ignore")


def test_areas_of_large_frames():
    """What 32 bits do not hold."""
    wide = mask.frPyObjects({"size": [2**17, 2**16], "counts": [1, 2**33 - 1]}, 0, 0)
    small = {"size": [2, 2], "counts": b"22"}
    assert mask.area(wide) == 2**33 - 1
    assert mask.area(wide).dtype == np.uint64
    assert mask.area([small, wide]).tolist() == [2, 2**33 - 1]
    just = mask.frPyObjects({"size": [2**16, 2**16 - 1], "counts": [0, 2**32 - 2**16]}, 0, 0)
    assert mask.area([just, small]).dtype == np.uint32
    assert mask.area([just, small]).tolist() == [2**32 - 2**16, 2]


RINGS = st.lists(
    st.one_of(st.floats(-30, 60), st.integers(-5, 40).map(float)), min_size=6, max_size=14
)


@settings(deadline=None)
@given(st.lists(RINGS, min_size=1, max_size=4), SHAPES)
def test_polygons(rings, size):
    assert mask.frPyObjects(rings, *size) == coco.frPyObjects(rings, *size)


@settings(deadline=None)
@given(arrays(np.float64, (3, 4), elements=st.floats(-20, 50)), SHAPES)
def test_boxes(boxes, size):
    expected = coco.frPyObjects(boxes, *size)
    assert mask.frPyObjects(boxes, *size) == expected
    assert mask.frPyObjects(boxes.tolist(), *size) == expected
    assert mask.frPyObjects(boxes[0].tolist(), *size) == expected[0]


def test_other_objects():
    pixels = np.eye(4, 5, dtype=np.uint8)
    rle = coco_rles(pixels[:, :, None])[0]
    uncompressed = mask.to_uncompressed(rle)
    assert uncompressed == {"size": [4, 5], "counts": naive.counts_of_mask(pixels)}
    assert mask.frPyObjects(uncompressed, 4, 5) == coco.frPyObjects(uncompressed, 4, 5) == rle
    assert mask.frPyObjects([uncompressed] * 2, 9, 9) == [rle, rle]
    assert mask.frPyObjects([], 4, 5) == []
    assert (
        mask.frPyObjects([1, 1, 3, 1, 3, 3.5], 4, 5)
        == coco.frPyObjects([[1, 1, 3, 1, 3, 3.5]], 4, 5)[0]
    )
    text = json.loads(json.dumps(rle | {"counts": rle["counts"].decode()}))
    np.testing.assert_array_equal(mask.decode(text), pixels)
    np.testing.assert_array_equal(mask.decode(uncompressed), pixels)


@settings(deadline=None)
@given(STACKS, st.sampled_from(["last", "first", "largest", "smallest"]))
def test_label_maps(stack, overlap):
    rles = coco_rles(stack)
    n = len(rles)
    key = {
        "last": lambda k: k,
        "first": lambda k: -k,
        "largest": lambda k: (stack[:, :, k].sum(), k),
        "smallest": lambda k: (-int(stack[:, :, k].sum()), k),
    }[overlap]
    order = sorted(range(n), key=key)
    for labels, dtype in [
        (list(range(1, n + 1)), np.uint8),
        ([300 + k for k in range(n)], np.uint16),
        ([70_000 * (k + 1) for k in range(n)], np.uint32),
    ]:
        expected = naive.semantic(
            [stack[:, :, k] for k in order], [labels[k] for k in order], stack.shape[:2]
        )
        got = mask.to_label_map(rles, labels, overlap=overlap)
        np.testing.assert_array_equal(got, expected)
        assert got.dtype == dtype
    np.testing.assert_array_equal(
        mask.to_label_map(rles, overlap=overlap),
        mask.to_label_map(rles, range(1, n + 1), overlap=overlap),
    )
    found, back = mask.from_label_map(mask.to_label_map(rles, overlap=overlap))
    painted = mask.to_label_map(rles, overlap=overlap)
    for label, rle in zip(found.tolist(), back, strict=True):
        np.testing.assert_array_equal(coco.decode(rle), painted == label)


@pytest.mark.parametrize(
    ("label", "dtype"),
    [
        *[(0, np.uint8), (255, np.uint8), (256, np.uint16), (2**16 - 1, np.uint16)],
        *[(2**16, np.uint32), (2**32 - 1, np.uint32)],
    ],
)
def test_narrowest_dtype_of_label_maps(label, dtype):
    (rle,) = coco_rles(np.ones((1, 2, 1), np.uint8))
    got = mask.to_label_map([rle], [label])
    assert got.dtype == dtype
    assert got.tolist() == [[label, label]]


def test_wrong_label_maps():
    rles = coco_rles(np.ones((2, 2, 2), np.uint8))
    for labels, options in [
        ([1], {}),
        ([1.5, 2], {}),
        ([-1, 2], {}),
        ([1, 2**32], {}),
        ([1, 300], {"dtype": np.uint8}),
        ([1, 2], {"out": np.zeros((2, 3), np.uint8)}),
        ([1, 2], {"out": np.zeros((2, 2), np.int32)}),
        ([1, 2], {"overlap": "top"}),
    ]:
        with pytest.raises(MtfastError, match="expected"):
            mask.to_label_map(rles, labels, **options)


def test_a_table_is_a_list(rng):
    masks = random_masks(rng, (17, 23), 6)
    table = make_table([masks[:4], masks[4:]], (17, 23))
    rles = coco_rles(np.dstack(masks))
    assert mask.area(table).tolist() == mask.area(rles).tolist()
    np.testing.assert_array_equal(mask.toBbox(table), mask.toBbox(rles))
    np.testing.assert_array_equal(mask.iou(table, table, [0] * 6), mask.iou(rles, rles, [0] * 6))
    np.testing.assert_array_equal(mask.decode(table), mask.decode(rles))
    assert mask.merge(table) == mask.merge(rles)
    assert mask.to_uncompressed(table) == mask.to_uncompressed(rles)
    assert mask.validate(table) == []
    # An image without instances makes an empty list.
    assert mask.iou(table, make_table([[]], (17, 23)), []) == []
    assert mask.area(make_table([[]], (17, 23))).tolist() == []


def test_label_map_as_lists():
    labels, rles = mask.from_label_map([[0, 7], [5, 7]])
    assert labels.tolist() == [5, 7]
    assert mask.area(rles).tolist() == [1, 2]


@settings(deadline=None)
@given(STACKS, st.data())
def test_geometry(stack, data):
    rles = coco_rles(stack)
    height, width = stack.shape[:2]
    y, x = data.draw(st.integers(0, height)), data.draw(st.integers(0, width))
    h, w = data.draw(st.integers(0, height - y)), data.draw(st.integers(0, width - x))
    for got, expected in [
        (mask.crop(rles, y, x, h, w), stack[y : y + h, x : x + w]),
        (mask.pad(rles, 1, 2, 3, 0), np.pad(stack, ((1, 2), (3, 0), (0, 0)))),
        (mask.flip(rles, "horizontal"), stack[:, ::-1]),
        (mask.flip(rles, "vertical"), stack[::-1]),
        (mask.rot90(rles, 1), np.rot90(stack)),
        (mask.rot90(rles, 3), np.rot90(stack, 3)),
    ]:
        assert [naive.text_of_mask(expected[:, :, k]) for k in range(len(rles))] == [
            rle["counts"] for rle in got
        ]
        assert all(rle["size"] == list(expected.shape[:2]) for rle in got)
    eroded = mask.decode(mask.erode(rles))
    edge = mask.decode(mask.boundary(rles))
    np.testing.assert_array_equal(eroded | edge, stack)
    assert not (eroded & edge).any()
    parts = mask.components(rles[0])
    if parts:
        np.testing.assert_array_equal(mask.decode(parts).sum(axis=2), stack[:, :, 0])
    else:
        assert not stack[:, :, 0].any()
    assert mask.flip(rles[0], "vertical") == mask.flip(rles, "vertical")[0]
