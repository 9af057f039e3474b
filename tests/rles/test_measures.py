"""Intersection over union against pixels and, bit for bit, against pycocotools."""

from __future__ import annotations

import numpy as np
import pycocotools.mask as coco
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import naive
from mtfast import MtfastError, RLEError
from mtfast.rles import Rles, bbox_iou, class_overlaps, first_overlap, iou, measures
from tables import make_table, random_masks, rles_of

SIDES = st.integers(1, 15)
SEEDS = st.integers(0, 2**32 - 1)


def coco_rles(masks: list[np.ndarray]) -> list[dict]:
    return [coco.encode(np.asfortranarray(m)) for m in masks]


@settings(deadline=None, max_examples=250)
@given(SIDES, SIDES, st.integers(0, 4), st.integers(0, 4), SEEDS)
def test_iou(height, width, m, n, seed):
    rng = np.random.default_rng(seed)
    dt, gt = (random_masks(rng, (height, width), k) for k in (m, n))
    crowd = rng.integers(0, 2, n)
    found = iou(rles_of(dt, rng), rles_of(gt, rng), crowd)
    assert found.shape == (m, n)
    assert found.dtype == np.float64
    assert found.tolist() == [
        [naive.iou(d, g, bool(c)) for g, c in zip(gt, crowd, strict=True)] for d in dt
    ]
    if m and n:
        expected = coco.iou(coco_rles(dt), coco_rles(gt), crowd.tolist())
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(
            iou(rles_of(dt), rles_of(gt)), coco.iou(coco_rles(dt), coco_rles(gt), [0] * n)
        )


def test_iou_of_flakes(rng):
    """Rounder, larger and farther apart than noise: every shortcut is taken."""
    y, x = np.mgrid[:90, :120]

    def flake() -> np.ndarray:
        cy, cx, ry, rx = rng.uniform((0, 0, 2, 2), (90, 120, 30, 30))
        return (((y - cy) / ry) ** 2 + ((x - cx) / rx) ** 2 < 1).astype(np.uint8)

    dt, gt = ([flake() for _ in range(25)] for _ in range(2))
    crowd = rng.integers(0, 2, 25).tolist()
    expected = coco.iou(coco_rles(dt), coco_rles(gt), crowd)
    assert 0.1 < np.mean(expected > 0) < 0.9
    np.testing.assert_array_equal(iou(rles_of(dt), rles_of(gt), crowd), expected)


def test_drawn_masks():
    first = naive.mask("##.. ##.. ....")
    second = naive.mask(".... .### .###")
    rles = rles_of([first, second, np.zeros_like(first)])
    assert iou(rles, rles).tolist() == [[1, 1 / 9, 0], [1 / 9, 1, 0], [0, 0, 0]]
    assert iou(rles, rles, [0, 1, 1]).tolist() == [[1, 1 / 4, 0], [1 / 9, 1, 0], [0, 0, 0]]


def test_a_run_over_the_end_of_a_column_reaches_its_top():
    """The first mask begins below all rows of the second, and still shares a pixel with it."""
    first = naive.mask(".#. ... #..")
    second = naive.mask(".#. ... ...")
    assert naive.counts_of_mask(first) == [2, 2, 5]
    rles = rles_of([first, second])
    assert iou(rles, rles).tolist() == [[1, 0.5], [0.5, 1]]


def test_no_pixels():
    nothing = Rles.of([b"0", b""], [(0, 7)] * 2)
    assert iou(nothing, nothing).tolist() == [[0, 0], [0, 0]]


def test_runs_of_no_length_lose_nothing():
    """Where pycocotools goes wrong."""
    odd = Rles.of([naive.text_of_counts([2, 0, 1, 3])], [(6, 1)])
    same = Rles.of([b"33"], [(6, 1)])
    assert iou(odd, same).tolist() == [[1.0]]


def test_sizes_that_differ():
    a, b = Rles.of([b"6"], [(2, 3)]), Rles.of([b"6", b"6"], [(2, 3), (3, 2)])
    with pytest.raises(MtfastError, match=r"dt\[0\] has 2 x 3 pixels and gt\[1\] 3 x 2"):
        iou(a, b)
    with pytest.raises(MtfastError, match=r"dt\[0\] has 2 x 3 pixels and dt\[1\] 3 x 2"):
        iou(b, a)
    assert iou(Rles.of([], []), a).shape == (0, 1)


def test_malformed_texts_are_named():
    a, b = Rles.of([b"6"], [(2, 3)]), Rles.of([b"6", b"5"], [(2, 3)] * 2)
    with pytest.raises(RLEError, match=r"gt\[1\]: runs that end before"):
        iou(a, b)
    with pytest.raises(RLEError, match=r"dt\[1\]: runs that end before"):
        iou(b, a)


@pytest.mark.parametrize("crowd", [[0, 1], [], 1, [[0]], ["1"], [0.5]])
def test_bad_iscrowd(crowd):
    a = Rles.of([b"6"], [(2, 3)])
    with pytest.raises(MtfastError, match="iscrowd"):
        iou(a, a, crowd)
    with pytest.raises(MtfastError, match="iscrowd"):
        bbox_iou([[0, 0, 1, 1]], [[0, 0, 1, 1]], crowd)


BOXES = st.integers(1, 5).flatmap(
    lambda n: arrays(
        np.float64,
        (n, 4),
        elements=st.one_of(
            st.floats(-50, 50, allow_nan=False),
            st.integers(-3, 9).map(float),
            st.sampled_from([0.0, -0.0, 1e-200, 1e200, np.inf, -np.inf, np.nan]),
        ),
    )
)


@settings(deadline=None, max_examples=150)
@given(BOXES, BOXES, st.data())
def test_bbox_iou(dt, gt, data):
    """Also of boxes that are none."""
    crowd = data.draw(st.lists(st.integers(0, 1), min_size=len(gt), max_size=len(gt)))
    np.testing.assert_array_equal(bbox_iou(dt, gt, crowd), coco.iou(dt, gt, crowd))


def test_bbox_iou_of_anything_like_boxes():
    assert bbox_iou([], [[0, 0, 1, 1]]).shape == (0, 1)
    assert bbox_iou(np.zeros((0, 4)), []).shape == (0, 0)
    assert bbox_iou([(0, 0, 2, 2)], [(1, 0, 2, 2)], [True]).tolist() == [[0.5]]
    for bad in ([0, 0, 1, 1], [[0, 0, 1]], np.zeros((1, 1, 4))):
        with pytest.raises(MtfastError, match=r"gt has shape .* expected \(n, 4\)"):
            bbox_iou([], bad)


@settings(deadline=None, max_examples=100)
@given(SIDES, SIDES, st.lists(st.integers(0, 6), max_size=4), SEEDS)
def test_class_overlaps(height, width, n_masks, seed):
    """Against counting in frames, over images of none to many masks."""
    rng = np.random.default_rng(seed)
    images = [random_masks(rng, (height, width), n) for n in n_masks]
    table = make_table(images, (height, width), n_categories=2)
    masks = [m for masks in images for m in masks]
    image, category = table.image_of_instance, table.category_ids
    expected = [
        (a, b, n)
        for a in range(len(masks))
        for b in range(a + 1, len(masks))
        if image[a] == image[b]
        and category[a] != category[b]
        and (n := int(np.count_nonzero(masks[a] & masks[b])))
    ]
    found = class_overlaps(table)
    assert list(zip(*(column.tolist() for column in found), strict=True)) == expected


def test_class_overlaps_of_many_images(monkeypatch, rng):
    """In several batches, and with more pairs than masks."""
    images = [random_masks(rng, (9, 7), 12) for _ in range(7)]
    table = make_table(images, (9, 7), n_categories=5)
    whole = class_overlaps(table)
    assert whole.first.size > table.n_instances
    monkeypatch.setattr(measures, "IMAGES_AT_A_TIME", 3)
    for column, same in zip(class_overlaps(table), whole, strict=True):
        np.testing.assert_array_equal(column, same)
    empty = class_overlaps(make_table([], (3, 3)))
    assert [column.size for column in empty] == [0, 0, 0]


def test_first_overlap(rng):
    for _ in range(200):
        shape = tuple(rng.integers(1, 12, 2))
        drawn = [random_masks(rng, shape, n) for n in rng.integers(0, 4, 3)]
        table = make_table(drawn, shape)
        n = table.n_instances
        pair = first_overlap(Rles.of_table(table), table.image_offsets)
        masks, image = [m for part in drawn for m in part], table.image_of_instance
        pairs = [
            (a, b)
            for a in range(n)
            for b in range(a + 1, n)
            if image[a] == image[b] and (masks[a] & masks[b]).any()
        ]
        assert pair == (pairs[0] if pairs else None)
