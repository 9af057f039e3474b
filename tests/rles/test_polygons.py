"""Polygons rasterised in batches, and what is no polygon."""

from __future__ import annotations

import math

import numpy as np
import pycocotools.mask as coco
import pytest

from mtfast import MtfastError
from mtfast.rles import polygons
from mtfast.rles.polygons import rasterise

SIZE = (40, 50)


@pytest.mark.parametrize("batch", [1, 100, 1000, 10**6])
def test_batches_do_not_show(monkeypatch, rng, batch):
    """Also where a single mask is larger than a batch."""
    monkeypatch.setattr(polygons, "_BATCH", batch)
    masks = [(rng.random((rng.integers(1, 4), 12)) * 60 - 5).tolist() for _ in range(9)]
    expected = [coco.merge(coco.frPyObjects(rings, *SIZE)) for rings in masks]
    found = rasterise(masks, [SIZE] * len(masks), "mask {}".format)
    assert [text.encode() for text in found] == [rle["counts"] for rle in expected]
    assert rasterise([], [], "mask {}".format) == []


@pytest.mark.parametrize("batch", [1, 10**6])
@pytest.mark.parametrize("bad", [math.nan, -math.inf, 2**20 + 1, 10**400])
def test_the_bad_mask_is_named(monkeypatch, batch, bad):
    monkeypatch.setattr(polygons, "_BATCH", batch)
    masks = [[[1, 1, 9, 1, 9, 9]]] * 4
    masks[2] = [[1, 1, 9, 1, 9, 9], [1, 1, 9, bad, 9, 9]]
    with pytest.raises(MtfastError, match=r"mask 2 has a polygon with the coordinate .*; expected"):
        rasterise(masks, [SIZE] * 4, "mask {}".format)


def test_numbers_of_any_type_are_the_same():
    ring = [1, 1, 9, 1, 9, 9]
    (expected,) = rasterise([[ring]], [SIZE], "mask {}".format)
    for other in (np.array(ring, np.uint8), np.array(ring, np.float32), list(map(np.int64, ring))):
        assert rasterise([[other]], [SIZE], "mask {}".format) == [expected]
    with pytest.raises(TypeError, match="not a number"):
        rasterise([[["1", 1, 9, 1, 9, 9]]], [SIZE], "mask {}".format)
