"""Every intrinsic, compiled, against its plain twin."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mtfast.kernels import intrinsics
from mtfast.kernels.intrinsics import PLAIN

WORDS = st.integers(0, 2**64 - 1).map(np.uint64)
BYTES = arrays(np.uint8, 100)
PLACES = st.integers(0, 36)

compiled = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="nothing is compiled")


def jit(name: str):
    operation = getattr(intrinsics, name)
    n = PLAIN[name].__code__.co_argcount
    arguments = ", ".join("abcdefgh"[:n])
    scope = {"operation": operation}
    exec(f"def call({arguments}): return operation({arguments})", scope)
    from mtfast.kernels import compiling

    return compiling.part(scope["call"])


JITTED = {} if numba.config.DISABLE_JIT else {name: jit(name) for name in PLAIN}


@compiled
@settings(deadline=None)
@given(WORDS)
def test_words(word):
    for name in ("trailing_zeros", "leading_zeros", "ones", "drop_lowest", "swap64"):
        assert JITTED[name](word) == PLAIN[name](word), name


@pytest.mark.parametrize(
    ("word", "trailing", "leading", "n_ones", "dropped"),
    [(0, 64, 64, 0, 0), (1, 0, 63, 1, 0), (0b10100, 2, 59, 2, 0b10000), (2**63, 63, 0, 1, 0)],
)
def test_words_by_hand(word, trailing, leading, n_ones, dropped):
    word = np.uint64(word)
    assert PLAIN["trailing_zeros"](word) == trailing
    assert PLAIN["leading_zeros"](word) == leading
    assert PLAIN["ones"](word) == n_ones
    assert PLAIN["drop_lowest"](word) == dropped


def test_bytes_are_swapped_by_hand():
    assert PLAIN["swap64"](np.uint64(0x0102030405060708)) == 0x0807060504030201


@compiled
@settings(deadline=None)
@given(st.sampled_from([np.uint8, np.uint16, np.uint32, np.uint64]), st.data())
def test_nonzero64(dtype, data):
    pixels = data.draw(arrays(dtype, 100, fill=st.just(0)))
    at = data.draw(PLACES)
    assert JITTED["nonzero64"](pixels, at) == PLAIN["nonzero64"](pixels, at)


@compiled
@pytest.mark.parametrize("dtype", [np.uint8, np.uint32])
def test_any512(dtype):
    pixels = np.zeros(600, dtype)
    for at in (0, 1, 88):
        assert JITTED["any512"](pixels, at) is PLAIN["any512"](pixels, at) is False
    for k in (0, 9, 10, 11, 63, 64, 500, 521, 522, 599):
        pixels[k] = np.iinfo(dtype).max
        assert JITTED["any512"](pixels, 10) is PLAIN["any512"](pixels, 10) is (10 <= k < 522)
        pixels[k] = 0


@compiled
@settings(deadline=None)
@given(st.sampled_from([np.uint8, np.uint16, np.int64]), PLACES, PLACES, st.data())
def test_differ64(dtype, at, other, data):
    pixels = data.draw(arrays(dtype, 100, fill=st.just(0)))
    found = JITTED["differ64"](pixels, at, pixels, other)
    assert found == PLAIN["differ64"](pixels, at, pixels, other)


@compiled
@settings(deadline=None)
@given(BYTES, PLACES, st.sampled_from([(48, 64), (48, 32), (0, 255), (250, 20)]))
def test_below64(text, at, bounds):
    low, size = map(np.uint8, bounds)
    assert JITTED["below64"](text, at, low, size) == PLAIN["below64"](text, at, low, size)


@compiled
@settings(deadline=None)
@given(WORDS, st.integers(0, 255).map(np.uint8), PLACES)
def test_spread64(word, value, at):
    ours, twins = np.full((2, 100), 9, np.uint8)
    JITTED["spread64"](word, value, ours, at)
    PLAIN["spread64"](word, value, twins, at)
    np.testing.assert_array_equal(ours, twins)


@compiled
@settings(deadline=None)
@given(BYTES, WORDS, st.integers(0, 92))
def test_load_and_store(text, word, at):
    assert JITTED["load64"](text, at) == PLAIN["load64"](text, at)
    ours, twins = text.copy(), text.copy()
    JITTED["store64"](word, ours, at)
    PLAIN["store64"](word, twins, at)
    np.testing.assert_array_equal(ours, twins)
    assert JITTED["load64"](ours, at) == word


@compiled
@settings(deadline=None)
@given(arrays(np.uint64, 70), st.integers(0, 6))
def test_transpose64(squares, at):
    ours, twins = squares.copy(), squares.copy()
    JITTED["transpose64"](ours, at)
    PLAIN["transpose64"](twins, at)
    np.testing.assert_array_equal(ours, twins)
    JITTED["transpose64"](ours, at)
    np.testing.assert_array_equal(ours, squares)


@compiled
def test_prefetch_reads_nothing():
    JITTED["prefetch"](np.zeros(4, np.uint8), 1 << 40)


@compiled
@pytest.mark.skipif(not numba.config.BOUNDSCHECK, reason="bounds are not checked")
@pytest.mark.parametrize("at", [-1, 37])
def test_checked_bounds(at):
    with pytest.raises(IndexError):
        JITTED["nonzero64"](np.zeros(100, np.uint8), at)
    with pytest.raises(IndexError):
        JITTED["spread64"](np.uint64(1), np.uint8(1), np.zeros(100, np.uint8), at)


def test_twins_check_bounds():
    with pytest.raises(IndexError):
        PLAIN["load64"](np.zeros(10, np.uint8), 3)


@compiled
@settings(deadline=None)
@given(BYTES, PLACES, st.integers(1, 8), st.integers(0, 3), st.data())
def test_mix4(row, at, n, first, data):
    weights = data.draw(arrays(np.int32, first + n, elements=st.integers(0, (1 << 22) // n)))
    found, expected = np.zeros(9, np.uint8), np.zeros(9, np.uint8)
    JITTED["mix4"](row, at, weights, first, n, 22, found, 2)
    PLAIN["mix4"](row, at, weights, first, n, 22, expected, 2)
    assert found.tolist() == expected.tolist()


def test_mix4_by_hand():
    line = np.zeros(5, np.uint8)
    row = np.array([9, 10, 20, 30, 11, 21, 31, 41], np.uint8)
    PLAIN["mix4"](row, 1, np.array([3, 1], np.int32), 0, 2, 2, line, 1)
    # (3 * 10 + 11) / 4 and so on; the fourth is of what comes after the pixels.
    assert line.tolist() == [0, 10, 20, 30, 19]
