"""Unions and intersections of whole batches."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import naive
from mtfast.kernels.operations import boolean
from mtfast.kernels.rle import toggle_lists
from mtfast.ragged import offsets_of

STACKS = st.tuples(st.integers(1, 7), st.integers(1, 12), st.integers(1, 9)).flatmap(
    lambda shape: arrays(np.uint8, shape, elements=st.integers(0, 1))
)


def toggle_list(pixels: np.ndarray) -> list[int]:
    places = np.cumsum(naive.counts_of_mask(pixels)).tolist()
    return [*places[: len(places) // 2 * 2], toggle_lists.SENTINEL]


def lists_of(masks) -> tuple[np.ndarray, np.ndarray]:
    lists = [toggle_list(pixels) for pixels in masks]
    return np.concatenate(lists), offsets_of([len(one) for one in lists])


@settings(deadline=None)
@given(STACKS, st.booleans())
def test_intersect_all(stack, solid):
    masks = stack | stack[::-1] if solid else stack
    toggles, offsets = lists_of(masks)
    n = boolean.intersect_all(toggles, offsets, np.full_like(toggles, -7))
    assert toggles[:n].tolist() == toggle_list(np.bitwise_and.reduce(masks))


@settings(deadline=None)
@given(STACKS)
def test_unite_all(stack):
    if len(stack) == 1:
        stack = np.repeat(stack, 2, axis=0)
    toggles, offsets = lists_of(stack)
    other = np.full_like(toggles, -7)
    found = other if boolean.unite_all(toggles, offsets, other) else toggles
    assert found[offsets[0] : offsets[1]].tolist() == toggle_list(np.bitwise_or.reduce(stack))


@pytest.mark.parametrize("n", [1, 2, 30])
def test_masks_that_cover_each_other(n):
    """Nothing is lost as long as all have it."""
    pixels = np.zeros((9, 9), np.uint8)
    pixels[::2] = 1
    toggles, offsets = lists_of([pixels] * n)
    assert boolean.intersect_all(toggles, offsets, toggles.copy()) == offsets[1]
    assert toggles[: offsets[1]].tolist() == toggle_list(pixels)
