"""Vector and bit operations that numba does not offer, for the kernels.

Here are their plain twins. In compiled kernels each is a few lines of LLVM IR
(:mod:`mtfast.kernels.lowering`) and becomes a handful of instructions on x86-64 and AArch64 alike.
A word stands for 64 elements, one bit each, lowest bit first::

    pixels                      7 0 0 9 0 ...
    nonzero64(pixels, 0)        1 0 0 1 0 ...      0b...01001

So they are for little-endian machines only, as are all that numba has wheels for.

An operation on memory checks no bounds, unless numba's checks are on (``NUMBA_BOUNDSCHECK=1``): its
caller keeps it inside the array. The plain twins check them always.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = [
    "PLAIN",
    "PREFETCH_DISTANCE",
    "any512",
    "below64",
    "differ64",
    "drop_lowest",
    "leading_zeros",
    "load64",
    "mix4",
    "nonzero64",
    "ones",
    "prefetch",
    "spread64",
    "store64",
    "swap64",
    "trailing_zeros",
    "transpose64",
]

LANES = 64
# How many elements ahead a loop over pixels prefetches.
PREFETCH_DISTANCE = 8192
PLAIN: dict[str, Callable[..., Any]] = {}
"""The plain twin of each operation, by name."""


def _operation(twin: Callable[..., Any]) -> Callable[..., Any]:
    PLAIN[twin.__name__] = twin
    return twin


def _window(array: np.ndarray[Any, Any], at: int, size: int) -> np.ndarray[Any, Any]:
    """The elements at .. at + size - 1, which must all be there."""
    if not 0 <= at <= array.size - size:
        raise IndexError(f"elements {at} to {at + size - 1} of an array of {array.size}")
    return array[at : at + size]


def _word_of(bits: np.ndarray[Any, Any]) -> np.uint64:
    return np.uint64(np.packbits(bits, bitorder="little").view(np.uint64)[0])


@_operation
def nonzero64(pixels: np.ndarray[Any, Any], at: int) -> np.uint64:
    """Tell for 64 elements whether they are nonzero.

    Parameters
    ----------
    pixels : (>= at + 64,) of any unsigned type
    at : int

    Returns
    -------
    uint64
        Bit k is that of ``pixels[at + k]``.
    """
    return _word_of(_window(pixels, at, LANES) != 0)


@_operation
def any512(pixels: np.ndarray[Any, Any], at: int) -> bool:
    """Tell for 512 elements whether any of them is nonzero.

    Parameters
    ----------
    pixels : (>= at + 512,) of any unsigned type
    at : int

    Returns
    -------
    bool
    """
    return bool(_window(pixels, at, 8 * LANES).any())


@_operation
def differ64(
    first: np.ndarray[Any, Any], at: int, second: np.ndarray[Any, Any], other: int
) -> np.uint64:
    """Tell for 64 pairs of elements whether they differ.

    Parameters
    ----------
    first, second : (>= at + 64,) and (>= other + 64,), of one integer type
    at, other : int
        Where the elements of each begin.

    Returns
    -------
    uint64
        Bit k is that of ``first[at + k]`` and ``second[other + k]``.
    """
    return _word_of(_window(first, at, LANES) != _window(second, other, LANES))


@_operation
def prefetch(array: np.ndarray[Any, Any], at: int) -> None:
    """Load the cache line of ``array[at]`` in advance; nothing is read.

    Parameters
    ----------
    array : (n,) of any type
    at : int
        May be outside of the array.
    """


@_operation
def below64(text: np.ndarray[Any, Any], at: int, low: int, size: int) -> np.uint64:
    """Tell for 64 bytes whether they are in a range of values.

    Parameters
    ----------
    text : (>= at + 64,) uint8
    at : int
    low, size : uint8
        The range is low .. low + size - 1.

    Returns
    -------
    uint64
        Bit k is that of ``text[at + k]``.
    """
    return _word_of(_window(text, at, LANES) - np.uint8(low) < np.uint8(size))


@_operation
def spread64(word: int, value: int, pixels: np.ndarray[Any, Any], at: int) -> None:
    """Write 64 bytes: a value where the bit of a word is set, 0 elsewhere.

    Parameters
    ----------
    word : uint64
        Bit k is that of ``pixels[at + k]``.
    value : uint8
    pixels : (>= at + 64,) uint8, out
    at : int
    """
    bits = np.unpackbits(np.array([word], np.uint64).view(np.uint8), bitorder="little")
    _window(pixels, at, LANES)[:] = bits * np.uint8(value)


@_operation
def load64(text: np.ndarray[Any, Any], at: int) -> np.uint64:
    """Read eight bytes as a word, lowest first.

    Parameters
    ----------
    text : (>= at + 8,) uint8
    at : int

    Returns
    -------
    uint64
    """
    return np.uint64(_window(text, at, 8).view(np.uint64)[0])


@_operation
def store64(word: int, text: np.ndarray[Any, Any], at: int) -> None:
    """Write a word as eight bytes, lowest first.

    Parameters
    ----------
    word : uint64
    text : (>= at + 8,) uint8, out
    at : int
    """
    _window(text, at, 8).view(np.uint64)[0] = word


@_operation
def mix4(
    row: np.ndarray[Any, Any],
    at: int,
    weights: np.ndarray[Any, Any],
    first: int,
    n: int,
    bits: int,
    line: np.ndarray[Any, Any],
    to: int,
) -> None:
    """Mix pixels of three bytes by weights, four bytes at a time.

    Parameters
    ----------
    row : (>= at + 3 * n + 1,) uint8
    at : int
        Where the first pixel begins.
    weights : (>= first + n,) int32
    first : int
        Weight of the first pixel; none is negative.
    n : int
        Pixels.
    bits : int
        Weights are in units of 2 ** -bits; their sum is 1.
    line : (>= to + 4,) uint8, out
        Takes the rounded mean, and in its fourth byte that of the bytes after the pixels.
    to : int
    """
    sums = np.full(4, 1 << (bits - 1), np.int64)
    for k in range(n):
        sums += _window(row, at + 3 * k, 4) * np.int64(weights[first + k])
    _window(line, to, 4)[:] = sums >> bits


@_operation
def swap64(word: int) -> np.uint64:
    """Reverse the eight bytes of a word.

    Parameters
    ----------
    word : uint64

    Returns
    -------
    uint64
    """
    return np.uint64(int.from_bytes(int(word).to_bytes(8, "little"), "big"))


@_operation
def trailing_zeros(word: int) -> int:
    """Count the zeros below the lowest set bit of a word.

    Parameters
    ----------
    word : uint64

    Returns
    -------
    int64
        64 for 0.
    """
    value = int(word)
    return (value & -value).bit_length() - 1 if value else LANES


@_operation
def drop_lowest(word: int) -> np.uint64:
    """Clear the lowest set bit of a word.

    Parameters
    ----------
    word : uint64

    Returns
    -------
    uint64
        0 for 0.
    """
    value = int(word)
    return np.uint64(value & (value - 1))


@_operation
def leading_zeros(word: int) -> int:
    """Count the zeros above the highest set bit of a word.

    Parameters
    ----------
    word : uint64

    Returns
    -------
    int64
        64 for 0.
    """
    return LANES - int(word).bit_length()


@_operation
def ones(word: int) -> int:
    """Count the set bits of a word.

    Parameters
    ----------
    word : uint64

    Returns
    -------
    int64
    """
    return int(word).bit_count()


@_operation
def transpose64(squares: np.ndarray[Any, Any], at: int) -> None:
    """Transpose a square of 64 x 64 bits in place.

    Six steps: swap the off-diagonal halves of the square, then of its quarters, and so on.

    Parameters
    ----------
    squares : (>= at + 64,) uint64
        Bit k of ``squares[at + r]`` and bit r of ``squares[at + k]`` change places.
    at : int

    Notes
    -----
    Source: H. S. Warren, Hacker's Delight, section 7-3.
    """
    square = _window(squares, at, LANES)
    bits = np.unpackbits(square.view(np.uint8).reshape(LANES, 8), axis=1, bitorder="little")
    turned = np.packbits(np.ascontiguousarray(bits.T), bitorder="little")
    square[:] = turned.view(np.uint64)
