"""Masks painted with tensor operations and by kernels, compared with those of arrays."""

from __future__ import annotations

import sys
from dataclasses import replace
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="PyTorch is the extra 'torch'")

import mtfast
from gpu_ways import WAYS, device_of
from mtfast.errors import MtfastError, RLEError
from mtfast.loaders.gpu import decode_jpegs, paint, paint_instances, painting
from tables import make_table, random_masks

ways = pytest.mark.parametrize("way", WAYS)


@ways
@settings(deadline=None, max_examples=60)
@given(st.integers(1, 20), st.integers(1, 20), st.lists(st.integers(0, 5), max_size=4), st.data())
def test_random_tables(way, height, width, instances, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    masks = [random_masks(rng, (height, width), n) for n in instances]
    table = make_table(masks, (height, width))
    many = replace(table, category_ids=table.category_ids + 300)
    with device_of(way) as device:
        found, wide = paint(table, device), paint(many, device)
        stack = paint_instances(table, device)
    if not instances:
        assert found.shape == (0, 0, 0)
        return
    assert found.dtype == torch.uint8
    assert np.array_equal(found.cpu(), mtfast.semantic(table))
    flat = [m for image in masks for m in image]
    assert stack.dtype == torch.bool
    assert np.array_equal(stack.cpu(), np.array(flat, bool).reshape(-1, height, width))
    if table.n_instances:
        assert wide.dtype == torch.uint16
    assert np.array_equal(wide.cpu(), mtfast.semantic(many))


@ways
def test_a_synthetic_set(way, small_set):
    source = mtfast.open_source(small_set)
    table = source.table("train", "annotations_with_class_full")
    with device_of(way) as device:
        assert np.array_equal(paint(table, device).cpu(), mtfast.semantic(table))
        masks = paint_instances(table.images(slice(4)), device).cpu().numpy()
    assert np.array_equal(np.count_nonzero(masks, axis=(1, 2)), table.images(slice(4)).area())


@ways
def test_more_images_than_a_grid_has_rows(way, monkeypatch):
    monkeypatch.setattr(painting, "_MOST_BLOCKS", 2)
    rng = np.random.default_rng(0)
    table = make_table([random_masks(rng, (9, 8), n) for n in (2, 0, 1, 3, 2)], (9, 8))
    with device_of(way) as device:
        assert np.array_equal(paint(table, device).cpu(), mtfast.semantic(table))


@ways
def test_bad_tables(way):
    table = make_table([random_masks(np.random.default_rng(0), (4, 4), 2)], (4, 4))
    with device_of(way) as device:
        with pytest.raises(RLEError, match="expected runs that add up"):
            paint(replace(table, heights=[5]), device)
        with pytest.raises(MtfastError, match="category id -1"):
            paint(replace(table, category_ids=[-1, 1]), device)


def test_jpegs_go_through_torchvision(monkeypatch):
    monkeypatch.setitem(sys.modules, "torchvision", None)
    with pytest.raises(MtfastError, match="pip install torchvision"):
        decode_jpegs([b"\xff\xd8x"])
    io = ModuleType("torchvision.io")
    io.ImageReadMode = SimpleNamespace(RGB="rgb")
    io.decode_jpeg = lambda data, mode, device: [(d.tolist(), mode, device) for d in data]
    monkeypatch.setitem(sys.modules, "torchvision", ModuleType("torchvision"))
    monkeypatch.setitem(sys.modules, "torchvision.io", io)
    first, second = b"\xff\xd8ab", b"\xff\xd8"
    decoded = [(list(data), "rgb", "gpu") for data in (first, second)]
    assert decode_jpegs([first, second], "gpu") == decoded


def test_files_of_other_kinds_are_refused(mixed_store):
    train = mtfast.open(mixed_store)["train"]
    files = [train.image_bytes(name) for name in ("jpg0.jpg", "png0.png")]
    with pytest.raises(MtfastError, match=r"files\[1\] does not begin as a JPEG; .*; decode"):
        decode_jpegs(files)


@ways
def test_images_of_several_sizes_are_refused(way, mixed_store):
    table = mtfast.open(mixed_store)["train"].table()
    words = r"image 'jpg1.jpg' is 64 x 48 pixels and .* is 48 x 64; expected one size; pass those"
    with device_of(way) as device:
        with pytest.raises(MtfastError, match=words):
            paint(table, device)
        with pytest.raises(MtfastError, match=words):
            paint_instances(table, device)
        for image in map(table.image, range(6)):
            assert np.array_equal(paint(image, device).cpu(), mtfast.semantic(image))
