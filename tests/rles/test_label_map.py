from __future__ import annotations

import numpy as np
import pycocotools.mask as coco
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mtfast.errors import MtfastError
from mtfast.rles.label_map import scan_labels

LABEL_MAPS = st.tuples(
    st.sampled_from([np.uint8, np.uint16, np.int32, np.int64, np.uint64]),
    st.integers(1, 90),
    st.integers(1, 90),
).flatmap(lambda a: arrays(a[0], a[1:], elements=st.integers(0, 5), fill=st.just(0)))


def assert_equals_pycocotools(label_map: np.ndarray, background: int) -> None:
    labels, rles = scan_labels(label_map, background)
    assert labels.tolist() == sorted(set(np.unique(label_map).tolist()) - {background})
    assert rles.sizes() == [label_map.shape] * rles.n
    for label, text in zip(labels, rles.texts(), strict=True):
        pixels = np.asfortranarray(label_map == label, dtype=np.uint8)
        assert text == coco.encode(pixels)["counts"]


@settings(deadline=None)
@given(LABEL_MAPS, st.integers(-1, 300))
def test_every_label_is_encoded(label_map, background):
    assert_equals_pycocotools(label_map, background)
    assert_equals_pycocotools(np.asfortranarray(label_map), background)


@pytest.mark.parametrize("order", ["C", "F"])
def test_noise_and_any_memory_order(rng, order):
    """Noise has more changes than the first guess of their number."""
    label_map = rng.integers(0, 200, (300, 400)).astype(np.uint8, order=order)
    assert_equals_pycocotools(label_map, 0)
    assert_equals_pycocotools(label_map[::2, 5::3], 7)


def test_bool_negative_and_large_labels():
    assert_equals_pycocotools(np.array([[True, False], [True, True]]), 0)
    assert_equals_pycocotools(np.array([[-5, 0], [2**40, -5]]), -5)
    assert_equals_pycocotools(np.array([[3, 0]], np.uint8), 300)
    labels, rles = scan_labels(np.zeros((0, 4), np.uint8))
    assert labels.size == rles.n == 0


@pytest.mark.parametrize(
    "bad", [np.zeros((2, 2, 2), np.uint8), np.zeros((2, 2)), np.full((1, 1), 2**63, np.uint64)]
)
def test_no_label_map(bad):
    with pytest.raises(MtfastError, match="expected"):
        scan_labels(bad)
