"""Vector and bit operations that numba does not offer, for the kernels.

Each is a few lines of LLVM IR and becomes a handful of instructions on x86-64 and AArch64 alike.
A word stands for 64 elements, one bit each, lowest bit first::

    pixels                      7 0 0 9 0 ...
    nonzero64(pixels, 0)        1 0 0 1 0 ...      0b...01001

So they are for little-endian machines only, as are all that numba has wheels for.

An operation on memory checks no bounds, unless numba's checks are on (``NUMBA_BOUNDSCHECK=1``): its
caller keeps it inside the array. With ``NUMBA_DISABLE_JIT=1`` each is replaced by its plain twin.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

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

_bit = ir.IntType(1)
_word = ir.IntType(64)


def _operation(typing: Callable[..., Any]) -> Callable[[Callable[..., Any]], Any]:
    """Make an intrinsic of a typing function; the function below it is its plain twin."""

    def choose(twin: Callable[..., Any]) -> Any:
        PLAIN[twin.__name__] = twin
        if numba.config.DISABLE_JIT:
            return twin
        typing.__name__ = twin.__name__
        return intrinsic(typing)

    return choose


def _vector(element: ir.Type) -> ir.VectorType:
    return ir.VectorType(element, LANES)


def _address(context: Any, builder: Any, array_type: Any, array: Any, at: Any, target: Any) -> Any:
    """Pointer to element ``at`` of an array, as a pointer to target."""
    data = context.make_array(array_type)(context, builder, array).data
    offset = builder.mul(at, ir.Constant(at.type, array_type.dtype.bitwidth // 8))
    return cgutils.pointer_add(builder, data, offset, target.as_pointer())


def _window_address(
    context: Any, builder: Any, array_type: Any, array: Any, at: Any, size: int, target: Any
) -> Any:
    """Pointer to the ``size`` elements from ``at`` on, as a pointer to target."""
    if numba.config.BOUNDSCHECK:
        n = context.make_array(array_type)(context, builder, array).nitems
        last = builder.add(at, ir.Constant(at.type, size - 1))
        for index in (at, last):
            cgutils.do_boundscheck(context, builder, index, n, 0)
    return _address(context, builder, array_type, array, at, target)


def _splat(builder: Any, value: Any) -> Any:
    """Vector of LANES equal elements."""
    vector = _vector(value.type)
    first = ir.Constant(ir.IntType(32), 0)
    one = builder.insert_element(ir.Constant(vector, ir.Undefined), value, first)
    lanes = ir.Constant(_vector(ir.IntType(32)), None)
    return builder.shuffle_vector(one, ir.Constant(vector, ir.Undefined), lanes)


def _load(
    context: Any, builder: Any, array_type: Any, array: Any, at: Any, size: int, target: Any
) -> Any:
    pointer = _window_address(context, builder, array_type, array, at, size, target)
    return builder.load(pointer, align=array_type.dtype.bitwidth // 8)


def _window(array: np.ndarray[Any, Any], at: int, size: int) -> np.ndarray[Any, Any]:
    """The elements at .. at + size - 1, which must all be there."""
    if not 0 <= at <= array.size - size:
        raise IndexError(f"elements {at} to {at + size - 1} of an array of {array.size}")
    return array[at : at + size]


def _word_of(bits: np.ndarray[Any, Any]) -> np.uint64:
    return np.uint64(np.packbits(bits, bitorder="little").view(np.uint64)[0])


def _typing_nonzero64(typing_context: Any, pixels: Any, at: Any) -> Any:
    def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pixels_, at_ = args
        vector = _vector(ir.IntType(pixels.dtype.bitwidth))
        here = _load(context, builder, signature.args[0], pixels_, at_, LANES, vector)
        return builder.bitcast(builder.icmp_unsigned("!=", here, ir.Constant(vector, None)), _word)

    return types.uint64(pixels, types.int64), lower


@_operation(_typing_nonzero64)
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


def _typing_any512(typing_context: Any, pixels: Any, at: Any) -> Any:
    def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pixels_, at_ = args
        vector = _vector(ir.IntType(pixels.dtype.bitwidth))
        found = ir.Constant(vector, None)
        for k in range(8):
            here = builder.add(at_, ir.Constant(at_.type, LANES * k))
            more = _load(context, builder, signature.args[0], pixels_, here, LANES, vector)
            found = builder.or_(found, more)
        lanes = builder.bitcast(
            builder.icmp_unsigned("!=", found, ir.Constant(vector, None)), _word
        )
        return builder.icmp_unsigned("!=", lanes, ir.Constant(_word, 0))

    return types.boolean(pixels, types.int64), lower


@_operation(_typing_any512)
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


def _typing_differ64(typing_context: Any, first: Any, at: Any, second: Any, other: Any) -> Any:
    def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        first_, at_, second_, other_ = args
        vector = _vector(ir.IntType(first.dtype.bitwidth))
        here = _load(context, builder, signature.args[0], first_, at_, LANES, vector)
        there = _load(context, builder, signature.args[2], second_, other_, LANES, vector)
        return builder.bitcast(builder.icmp_unsigned("!=", here, there), _word)

    return types.uint64(first, types.int64, second, types.int64), lower


@_operation(_typing_differ64)
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


def _typing_prefetch(typing_context: Any, array: Any, at: Any) -> Any:
    def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        array_, at_ = args
        byte, number = ir.IntType(8), ir.IntType(32)
        pointer = _address(context, builder, signature.args[0], array_, at_, byte)
        fetch = builder.module.declare_intrinsic(
            "llvm.prefetch",
            [pointer.type],
            ir.FunctionType(ir.VoidType(), [pointer.type, number, number, number]),
        )
        # To be read, kept in all caches, data.
        builder.call(fetch, [pointer, number(0), number(3), number(1)])
        return context.get_dummy_value()

    return types.void(array, types.int64), lower


@_operation(_typing_prefetch)
def prefetch(array: np.ndarray[Any, Any], at: int) -> None:
    """Load the cache line of ``array[at]`` in advance; nothing is read.

    Parameters
    ----------
    array : (n,) of any type
    at : int
        May be outside of the array.
    """


def _typing_below64(typing_context: Any, text: Any, at: Any, low: Any, size: Any) -> Any:
    def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        text_, at_, low_, size_ = args
        here = _load(context, builder, signature.args[0], text_, at_, LANES, _vector(low_.type))
        above = builder.sub(here, _splat(builder, low_))
        return builder.bitcast(builder.icmp_unsigned("<", above, _splat(builder, size_)), _word)

    return types.uint64(text, types.int64, types.uint8, types.uint8), lower


@_operation(_typing_below64)
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


def _typing_spread64(typing_context: Any, word: Any, value: Any, pixels: Any, at: Any) -> Any:
    def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        word_, value_, pixels_, at_ = args
        vector = _vector(value_.type)
        chosen = builder.bitcast(word_, _vector(_bit))
        values = builder.select(chosen, _splat(builder, value_), ir.Constant(vector, None))
        pointer = _window_address(context, builder, signature.args[2], pixels_, at_, LANES, vector)
        builder.store(values, pointer, align=1)
        return context.get_dummy_value()

    return types.void(types.uint64, types.uint8, pixels, types.int64), lower


@_operation(_typing_spread64)
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


def _typing_load64(typing_context: Any, text: Any, at: Any) -> Any:
    def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        text_, at_ = args
        return _load(context, builder, signature.args[0], text_, at_, 8, _word)

    return types.uint64(text, types.int64), lower


@_operation(_typing_load64)
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


def _typing_store64(typing_context: Any, word: Any, text: Any, at: Any) -> Any:
    def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        word_, text_, at_ = args
        pointer = _window_address(context, builder, signature.args[1], text_, at_, 8, _word)
        builder.store(word_, pointer, align=1)
        return context.get_dummy_value()

    return types.void(types.uint64, text, types.int64), lower


@_operation(_typing_store64)
def store64(word: int, text: np.ndarray[Any, Any], at: int) -> None:
    """Write a word as eight bytes, lowest first.

    Parameters
    ----------
    word : uint64
    text : (>= at + 8,) uint8, out
    at : int
    """
    _window(text, at, 8).view(np.uint64)[0] = word


def _typing_mix4(
    typing_context: Any,
    row: Any,
    at: Any,
    weights: Any,
    first: Any,
    n: Any,
    bits: Any,
    line: Any,
    to: Any,
) -> Any:
    def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        row_, at_, weights_, first_, n_, bits_, line_, to_ = args
        byte, number = ir.IntType(8), ir.IntType(32)
        bytes_, numbers = ir.VectorType(byte, 4), ir.VectorType(number, 4)

        def splat(value: Any) -> Any:
            one = builder.insert_element(ir.Constant(numbers, ir.Undefined), value, number(0))
            lanes = ir.Constant(numbers, None)
            return builder.shuffle_vector(one, ir.Constant(numbers, ir.Undefined), lanes)

        def load(array_type: Any, array: Any, index: Any, size: int, target: Any) -> Any:
            return _load(context, builder, array_type, array, index, size, target)

        shift = builder.trunc(bits_, number)
        half = builder.lshr(builder.shl(number(1), shift), number(1))
        sums = cgutils.alloca_once_value(builder, splat(half))
        with cgutils.for_range(builder, n_) as loop:
            where = builder.add(at_, builder.mul(loop.index, ir.Constant(at_.type, 3)))
            pixel = load(signature.args[0], row_, where, 4, bytes_)
            which = builder.add(first_, loop.index)
            weight = load(signature.args[2], weights_, which, 1, number)
            product = builder.mul(builder.zext(pixel, numbers), splat(weight))
            builder.store(builder.add(builder.load(sums), product), sums)
        mixed = builder.lshr(builder.load(sums), splat(shift))
        pointer = _window_address(context, builder, signature.args[6], line_, to_, 4, bytes_)
        builder.store(builder.trunc(mixed, bytes_), pointer, align=1)
        return context.get_dummy_value()

    i64 = types.int64
    return types.void(row, i64, weights, i64, i64, i64, line, i64), lower


@_operation(_typing_mix4)
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


def _typing_swap64(typing_context: Any, word: Any) -> Any:
    def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bswap(args[0])

    return types.uint64(types.uint64), lower


@_operation(_typing_swap64)
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


def _typing_trailing_zeros(typing_context: Any, word: Any) -> Any:
    def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(_bit, 0))

    return types.int64(types.uint64), lower


@_operation(_typing_trailing_zeros)
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


def _typing_drop_lowest(typing_context: Any, word: Any) -> Any:
    def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.and_(args[0], builder.sub(args[0], ir.Constant(_word, 1)))

    return types.uint64(types.uint64), lower


@_operation(_typing_drop_lowest)
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


def _typing_leading_zeros(typing_context: Any, word: Any) -> Any:
    def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctlz(args[0], ir.Constant(_bit, 0))

    return types.int64(types.uint64), lower


@_operation(_typing_leading_zeros)
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


def _typing_ones(typing_context: Any, word: Any) -> Any:
    def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return types.int64(types.uint64), lower


@_operation(_typing_ones)
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


def _typing_transpose64(typing_context: Any, squares: Any, at: Any) -> Any:
    def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        squares_, at_ = args
        vector = _vector(_word)
        pointer = _window_address(context, builder, signature.args[0], squares_, at_, LANES, vector)
        rows = builder.load(pointer, align=8)
        for distance in (32, 16, 8, 4, 2, 1):
            # Each row swaps half of its bits with the row at that distance.
            others = [row ^ distance for row in range(LANES)]
            partners = builder.shuffle_vector(
                rows, rows, ir.Constant(_vector(ir.IntType(32)), others)
            )
            upper = [not row & distance for row in range(LANES)]
            low = sum(1 << k for k in range(LANES) if not k & distance)
            keep = ir.Constant(vector, [low if up else low << distance for up in upper])
            shift = ir.Constant(vector, [distance] * LANES)
            given = builder.select(
                ir.Constant(_vector(_bit), upper),
                builder.shl(partners, shift),
                builder.lshr(partners, shift),
            )
            rows = builder.or_(builder.and_(rows, keep), builder.and_(given, builder.not_(keep)))
        builder.store(rows, pointer, align=8)
        return context.get_dummy_value()

    return types.void(squares, types.int64), lower


@_operation(_typing_transpose64)
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
