"""Places in ascending order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mtfast.kernels.rle.sorting import BLOCK, sort_places

SIZES = st.integers(0, 6 * BLOCK)
PLACES = arrays(np.int64, SIZES, elements=st.integers(-3, 40) | st.integers(-(2**63), 2**63 - 1))


@settings(deadline=None)
@given(PLACES)
def test_they_are_those_of_numpy(places):
    expected = np.sort(places)
    assert sort_places(places, np.empty_like(places)) == places.size
    np.testing.assert_array_equal(places, expected)


@pytest.mark.parametrize("n", [BLOCK - 1, BLOCK, BLOCK + 1, 4 * BLOCK, 4 * BLOCK + 1, 1000])
def test_stretches(n):
    """Ascending, descending, and like the edges of an outline."""
    for places in (np.arange(n), np.arange(n)[::-1].copy(), np.arange(n) * 7 % 13):
        expected = np.sort(places)
        sort_places(places, np.empty_like(places))
        np.testing.assert_array_equal(places, expected)


def test_more_scratch_than_is_needed_is_left_alone():
    places, other = np.array([3, 1, 2] * BLOCK), np.full(3 * BLOCK + 1, 9)
    sort_places(places, other)
    assert other[-1] == 9
