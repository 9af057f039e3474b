"""A text that may be too short for a mask is never begun."""

from __future__ import annotations

import numpy as np
import pytest

import naive
from mtfast.kernels.frames import encode
from mtfast.kernels.rle.toggle_words import text_capacity

HEIGHT, WIDTH = 9, 30
GUARD = 7


def encoded(frame: np.ndarray, capacity: int, by_columns: bool) -> tuple[int, bytes]:
    n_places, n_bits = encode.scratch_sizes(HEIGHT, WIDTH, by_columns)
    scratch = np.empty(n_places, np.int64), np.empty(n_bits, np.uint64)
    text = np.full(capacity + 1, GUARD, np.uint8)
    if by_columns:
        n = encode.encode_columns(frame.reshape(-1, order="F"), *scratch, text[:-1])
    else:
        n = encode.encode_rows(frame.reshape(-1), HEIGHT, WIDTH, *scratch, text[:-1])
    assert text[-1] == GUARD
    if n < 0:
        assert (text == GUARD).all()
    return n, text[: max(n, 0)].tobytes()


@pytest.mark.parametrize("by_columns", [False, True])
def test_capacity_of_a_text(by_columns, rng):
    frame = (rng.random((HEIGHT, WIDTH)) < 0.5).astype(np.uint8)
    n, _ = encoded(frame, encode.MIN_CAPACITY, by_columns)
    n_toggles = int((np.diff(frame.reshape(-1, order="F"), prepend=0) != 0).sum())
    assert n == -n_toggles
    enough = text_capacity(n_toggles, frame.size)
    assert encoded(frame, enough - 1, by_columns)[0] == -n_toggles
    assert encoded(frame, enough, by_columns)[1] == naive.text_of_mask(frame)


@pytest.mark.parametrize("n_pixels", [2048, 2047, 2560, 2561])
def test_background_that_is_passed_over(n_pixels):
    """Pixels at each end of the groups that are looked at together, after empty ones."""
    n_places, n_bits = encode.scratch_sizes(1, n_pixels, True)
    scratch = np.empty(n_places, np.int64), np.empty(n_bits, np.uint64)
    for start in {0, 511, 512, 513, 1023, 1024, 1535, 1536, 2047, n_pixels - 1} & {
        *range(n_pixels)
    }:
        for length in (1, 2, 600, n_pixels):
            frame = np.zeros((1, n_pixels), np.uint8)
            frame[0, start : start + length] = 5
            text = np.empty(4096, np.uint8)
            n = encode.encode_columns(frame.reshape(-1), *scratch, text)
            assert text[:n].tobytes() == naive.text_of_mask(frame > 0)


@pytest.mark.parametrize("by_columns", [False, True])
def test_the_least_capacity_holds_a_mask_without_toggles(by_columns):
    frame = np.zeros((HEIGHT, WIDTH), np.uint8)
    text = encoded(frame, encode.MIN_CAPACITY, by_columns)[1]
    assert text == naive.text_of_mask(frame)
