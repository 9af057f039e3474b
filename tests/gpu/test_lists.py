"""Frames and measures of RLE on a device, compared with those of pycocotools and of arrays."""

from __future__ import annotations

import numpy as np
import pycocotools.mask as coco
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="PyTorch is the extra 'torch'")

import mtfast.mask
from gpu_ways import WAYS, coco_rles, device_of, random_masks
from mtfast import gpu
from mtfast.errors import MtfastError, RLEError
from mtfast.gpu import torch_operations
from mtfast.rles import Rles

SHAPES = st.tuples(st.integers(0, 5), st.integers(1, 70), st.integers(1, 40))
DENSITIES = st.sampled_from([0, 0.02, 0.5, 0.98, 1])
SEEDS = st.integers(0, 999)

ways = pytest.mark.parametrize("way", WAYS)
several = settings(deadline=None, max_examples=50)


@ways
@several
@given(SHAPES, DENSITIES, SEEDS)
def test_random_masks(way, shape, density, seed):
    pixels = random_masks(shape, density, seed)
    rles = coco_rles(pixels)
    with device_of(way) as device:
        frames = gpu.decode(rles, device)
        areas, boxes = gpu.area(rles, device), gpu.bbox(rles, device)
    assert frames.dtype == torch.uint8
    assert frames.is_contiguous()
    assert np.array_equal(frames.cpu(), pixels if rles else np.empty((0, 0, 0)))
    assert areas.tolist() == coco.area(rles).tolist()
    assert boxes.dtype == torch.float64
    assert np.array_equal(boxes.cpu(), np.reshape(coco.toBbox(rles), (-1, 4)))


@ways
@several
@given(SHAPES, DENSITIES, DENSITIES, st.lists(st.integers(0, 1), max_size=4), SEEDS)
def test_random_pairs(way, shape, density, other, crowd, seed):
    dt = coco_rles(random_masks(shape, density, seed))
    gt = coco_rles(random_masks((len(crowd), *shape[1:]), other, seed + 1))
    with device_of(way) as device:
        found = gpu.iou(dt, gt, crowd, device)
    assert found.dtype == torch.float64
    assert found.shape == (len(dt), len(gt))
    if dt and gt:
        assert np.array_equal(found.cpu(), coco.iou(dt, gt, crowd))
        assert np.array_equal(found.cpu(), mtfast.mask.iou(dt, gt, crowd))


@ways
def test_masks_that_touch_and_miss_each_other(way):
    rows = ["..##..", "##....", "....##", ".####.", "......", "######", "#.#.#."]
    masks = np.array([[[c == "#" for c in row]] for row in rows], np.uint8)
    rles = coco_rles(masks)
    crowd = [0, 1, 0, 1, 0, 1, 0]
    with device_of(way) as device:
        assert np.array_equal(gpu.iou(rles, rles, crowd, device).cpu(), coco.iou(rles, rles, crowd))
        assert np.array_equal(
            gpu.iou(rles, rles, device=device).cpu(), coco.iou(rles, rles, [0] * 7)
        )


def test_pairs_that_are_compared_in_parts(monkeypatch):
    monkeypatch.setattr(torch_operations, "_MOST_PAIRS", 30)
    rles = coco_rles(random_masks((5, 9, 8), 0.5, 0))
    found = gpu.iou(rles, rles, device="cpu")
    assert np.array_equal(found, coco.iou(rles, rles, [0] * 5))


@ways
def test_runs_of_no_length(way):
    rle = {"size": [1, 7], "counts": [1, 0, 0, 2, 1, 0, 3]}
    with device_of(way) as device:
        assert gpu.decode([rle], device).tolist() == [[[0, 1, 1, 0, 0, 0, 0]]]
        assert gpu.area([rle], device).tolist() == [2]
        assert gpu.bbox([rle], device).tolist() == [[1, 0, 2, 1]]


@ways
def test_frames_of_several_sizes_and_of_none(way):
    rles = [{"size": [2, 3], "counts": [1, 3, 2]}, {"size": [3, 2], "counts": [1, 2, 3]}]
    none = [{"size": [0, 5], "counts": b""}, {"size": [0, 5], "counts": b"0"}]
    with device_of(way) as device:
        assert gpu.area(rles, device).tolist() == [3, 2]
        assert np.array_equal(gpu.bbox(rles, device).cpu(), mtfast.mask.toBbox(rles))
        with pytest.raises(MtfastError, match="expected one size"):
            gpu.decode(rles, device)
        with pytest.raises(MtfastError, match=r"dt\[0\] has 2 x 3 .* and gt\[0\] 3 x 2"):
            gpu.iou(rles[:1], rles[1:], device=device, other_size="error")
        assert gpu.decode(none, device).shape == (2, 0, 5)
        assert gpu.area(none, device).tolist() == [0, 0]
        assert gpu.bbox(none, device).tolist() == [[0] * 4] * 2
        assert gpu.iou(none, none, device=device).tolist() == [[0, 0]] * 2


@ways
def test_pairs_of_several_sizes(way):
    """As pycocotools, which returns -1 for masks whose boxes overlap."""
    shapes = [(3, 9, 8), (2, 8, 9), (2, 9, 8)]
    rles = [rle for shape in shapes for rle in coco_rles(random_masks(shape, 0.1, 0))]
    rles += coco_rles(np.zeros((1, 8, 9), np.uint8))
    crowd = [0, 1] * 4
    said = r"dt\[0\] has 9 x 8 pixels and gt\[0\] 8 x 9, and 29 more pairs differ: iou is -1"
    with device_of(way) as device:
        with pytest.warns(UserWarning, match=said) as caught:
            found = gpu.iou(rles, rles[::-1], crowd, device)
        with pytest.raises(MtfastError, match="expected one size"):
            gpu.iou(rles, rles[::-1], crowd, device, "error")
        assert gpu.iou(rles, [], device=device).shape == (8, 0)
    expected = coco.iou(rles, rles[::-1], crowd)
    assert {-1, 0} < {*expected.flat}
    assert np.array_equal(found.cpu(), expected)
    assert [warning.filename for warning in caught] == [__file__]


def test_other_size_is_warn_or_error():
    with pytest.raises(MtfastError, match="other_size is 'ignore'; expected one of"):
        gpu.iou([], [], device="cpu", other_size="ignore")


@ways
def test_frames_too_large_for_kernels(way):
    """Three runs of a frame with more than 2**31 pixels, which is never made."""
    rle = {
        "size": [2**20, 2**13],
        "counts": [2**32, 5, 2**31, 2**21, 2**33 - 2**32 - 2**31 - 5 - 2**21],
    }
    with device_of(way) as device:
        assert gpu.area([rle], device).tolist() == mtfast.mask.area([rle]).tolist()
        assert np.array_equal(gpu.bbox([rle], device).cpu(), mtfast.mask.toBbox([rle]))
        assert gpu.iou([rle], [rle], device=device).tolist() == [[1]]


@ways
def test_tables_and_batches(way, small_set):
    table = mtfast.open_source(small_set).table("train", "annotations_with_class_full")
    image = table.image(0)
    with device_of(way) as device:
        assert gpu.area(table, device).tolist() == table.area().tolist()
        assert np.array_equal(gpu.bbox(table, device).cpu(), table.bbox())
        frames = gpu.decode(image, device)
        assert torch.equal(frames, gpu.decode(Rles.of_table(image), device))
        assert gpu.encode(frames) == coco_rles(frames.cpu().numpy())
        found = gpu.iou(image, image, image.iscrowd, device)
    assert np.array_equal(found.cpu(), mtfast.mask.iou(image, image, image.iscrowd))


def test_malformed_masks():
    bad = [{"size": [2, 2], "counts": b"22"}, {"size": [2, 2], "counts": b"2"}]
    for function in (gpu.decode, gpu.area, gpu.bbox):
        with pytest.raises(RLEError, match=r"rles\[1\]: runs that end before the frame"):
            function(bad, "cpu")
    with pytest.raises(RLEError, match=r"gt\[1\]: runs that end before the frame"):
        gpu.iou(bad[:1], bad, device="cpu")
    with pytest.raises(MtfastError, match=r"iscrowd has shape \(2,\)"):
        gpu.iou(bad[:1], bad[:1], [0, 1], device="cpu")
