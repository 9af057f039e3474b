"""The kernels that resize, mirror and turn, against their naive twins; small frames."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import naive
from mtfast.kernels.frames.resize import columns_first, n_taps, weigh
from mtfast.loaders.views import View

SIDES = st.integers(1, 9)


@settings(deadline=None, max_examples=100)
@given(SIDES, SIDES, SIDES, SIDES, st.booleans(), st.integers(0, 3))
def test_image(h, w, height, width, mirrored, turns):
    view = View(0, 0, h, w, height, width, mirrored, turns)
    image = np.random.default_rng(h + 10 * w).integers(0, 256, (h, w, 3), np.uint8)
    expected = view.orient(naive.resized(image, height, width))
    assert view.apply_to_image(image).tolist() == expected.tolist()


@settings(deadline=None, max_examples=100)
@given(SIDES, SIDES, SIDES, SIDES, st.booleans(), st.integers(0, 3))
def test_labels(h, w, height, width, mirrored, turns):
    view = View(0, 0, h, w, height, width, mirrored, turns)
    labels = np.arange(2 * h * w, dtype=np.uint16).reshape(2, h, w)
    resized = [
        [[frame[int((y + 0.5) * h / height), int((x + 0.5) * w / width)] for x in range(width)]
         for y in range(height)]
        for frame in labels
    ]  # fmt: skip
    expected = view.orient(np.array(resized), 1)
    assert view.apply_to_labels(labels).tolist() == expected.tolist()


@pytest.mark.parametrize(("before", "after"), [(1, 7), (2, 7), (447, 512), (600, 512), (900, 7)])
def test_weights_add_up_to_one(before, after):
    starts = np.empty(after, np.int64)
    weights = np.empty(after * n_taps(before, after), np.int32)
    weigh(before, after, 0, starts, weights)
    assert starts.min() == 0
    assert starts.max() + n_taps(before, after) == before
    assert np.abs(weights.reshape(after, -1).sum(axis=1) - 2**22).max() <= n_taps(before, after)
    flipped = np.empty_like(starts), np.empty_like(weights)
    weigh(before, after, 1, *flipped)
    assert flipped[0].tolist() == starts[::-1].tolist()
    assert flipped[1].tolist() == weights.reshape(after, -1)[::-1].reshape(-1).tolist()


def test_which_side_is_resized_first():
    assert not columns_first(600, 600, 512, 512)
    assert columns_first(1001, 300, 512, 480)
    # Twice as many rows as columns go, and one more.
    assert not columns_first(14, 12, 10, 10)
    assert columns_first(15, 12, 10, 10)
    assert not columns_first(10, 12, 10, 20)
