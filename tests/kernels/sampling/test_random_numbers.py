"""Random numbers, against numpy's own generator."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtfast.kernels.sampling.random_numbers import N_STATE, draw_uniform, put_words


def draw(n: int, seed: list[int]) -> list[float]:
    words, n_words = np.empty(2 * len(seed), np.int64), 0
    for number in seed:
        n_words = put_words(number, words, n_words)
    numbers = np.empty(n)
    draw_uniform(words, n_words, np.full(N_STATE, -1), numbers)
    return numbers.tolist()


def draw_with_numpy(n: int, seed: list[int]) -> list[float]:
    return np.random.Generator(np.random.PCG64(seed)).random(n).tolist()


NUMBERS = st.integers(0, 63).flatmap(lambda bits: st.integers(0, 2**bits - 1))


@settings(deadline=None, max_examples=500)
@given(st.lists(NUMBERS, min_size=1, max_size=9), st.integers(0, 9))
def test_numbers_are_those_of_numpy(seed, n):
    assert draw(n, seed) == draw_with_numpy(n, seed)


@pytest.mark.parametrize("n_words", range(1, 12))
def test_seeds_of_any_length(n_words):
    """Up to four words fill the pool, further ones are mixed into it."""
    rng = np.random.default_rng(n_words)
    for _ in range(50):
        seed = rng.integers(0, 2**32, n_words).tolist()
        assert draw(7, seed) == draw_with_numpy(7, seed)


@pytest.mark.parametrize("number", [0, 1, 2**31, 2**32 - 1, 2**32, 2**62, 2**63 - 1])
def test_words_at_the_limits(number):
    for seed in ([number], [0, number], [number, 0], [5, number, 1, number]):
        assert draw(7, seed) == draw_with_numpy(7, seed)


def test_every_turn_of_the_output():
    """A long stream turns words by each of 0 to 63 bits."""
    assert draw(5000, [3]) == draw_with_numpy(5000, [3])
