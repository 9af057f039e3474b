"""Areas and boxes of masks, against numpy."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mtfast.kernels.frames.extents import extents

SHAPES = st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9))


@settings(deadline=None)
@given(SHAPES.flatmap(lambda shape: arrays(np.uint8, shape, elements=st.integers(0, 1))))
def test_extents(masks):
    n, height, width = masks.shape
    areas, boxes = np.full(n, -1), np.full((n, 4), -1)
    n_filled = extents(
        masks.reshape(-1), height, width, np.empty(width, np.uint8), areas, boxes.reshape(-1)
    )
    assert n_filled == masks.any(axis=(1, 2)).sum()
    for mask, area, box in zip(masks, areas, boxes.tolist(), strict=True):
        rows, columns = np.nonzero(mask)
        assert area == rows.size
        last = [columns.max() + 1, rows.max() + 1] if rows.size else []
        assert box == ([columns.min(), rows.min(), *last] if rows.size else [0] * 4)


def test_a_long_row():
    """More pixels than a byte counts."""
    areas, boxes = np.empty(1, np.int64), np.empty(4, np.int64)
    extents(np.ones(700, np.uint8), 1, 700, np.empty(700, np.uint8), areas, boxes)
    assert areas.tolist() == [700]
    assert boxes.tolist() == [0, 0, 700, 1]
