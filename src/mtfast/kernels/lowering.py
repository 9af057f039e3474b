"""The operations of :mod:`mtfast.kernels.intrinsics` in LLVM IR, for numba."""

from __future__ import annotations

from typing import Any

import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from mtfast.kernels.intrinsics import LANES, PLAIN

__all__ = ["INTRINSICS"]

_bit = ir.IntType(1)
_word = ir.IntType(64)


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


def nonzero64(typing_context: Any, pixels: Any, at: Any) -> Any:
    def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pixels_, at_ = args
        vector = _vector(ir.IntType(pixels.dtype.bitwidth))
        here = _load(context, builder, signature.args[0], pixels_, at_, LANES, vector)
        return builder.bitcast(builder.icmp_unsigned("!=", here, ir.Constant(vector, None)), _word)

    return types.uint64(pixels, types.int64), lower


def any512(typing_context: Any, pixels: Any, at: Any) -> Any:
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


def differ64(typing_context: Any, first: Any, at: Any, second: Any, other: Any) -> Any:
    def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        first_, at_, second_, other_ = args
        vector = _vector(ir.IntType(first.dtype.bitwidth))
        here = _load(context, builder, signature.args[0], first_, at_, LANES, vector)
        there = _load(context, builder, signature.args[2], second_, other_, LANES, vector)
        return builder.bitcast(builder.icmp_unsigned("!=", here, there), _word)

    return types.uint64(first, types.int64, second, types.int64), lower


def prefetch(typing_context: Any, array: Any, at: Any) -> Any:
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


def below64(typing_context: Any, text: Any, at: Any, low: Any, size: Any) -> Any:
    def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        text_, at_, low_, size_ = args
        here = _load(context, builder, signature.args[0], text_, at_, LANES, _vector(low_.type))
        above = builder.sub(here, _splat(builder, low_))
        return builder.bitcast(builder.icmp_unsigned("<", above, _splat(builder, size_)), _word)

    return types.uint64(text, types.int64, types.uint8, types.uint8), lower


def spread64(typing_context: Any, word: Any, value: Any, pixels: Any, at: Any) -> Any:
    def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        word_, value_, pixels_, at_ = args
        vector = _vector(value_.type)
        chosen = builder.bitcast(word_, _vector(_bit))
        values = builder.select(chosen, _splat(builder, value_), ir.Constant(vector, None))
        pointer = _window_address(context, builder, signature.args[2], pixels_, at_, LANES, vector)
        builder.store(values, pointer, align=1)
        return context.get_dummy_value()

    return types.void(types.uint64, types.uint8, pixels, types.int64), lower


def load64(typing_context: Any, text: Any, at: Any) -> Any:
    def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        text_, at_ = args
        return _load(context, builder, signature.args[0], text_, at_, 8, _word)

    return types.uint64(text, types.int64), lower


def store64(typing_context: Any, word: Any, text: Any, at: Any) -> Any:
    def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        word_, text_, at_ = args
        pointer = _window_address(context, builder, signature.args[1], text_, at_, 8, _word)
        builder.store(word_, pointer, align=1)
        return context.get_dummy_value()

    return types.void(types.uint64, text, types.int64), lower


def mix4(
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


def swap64(typing_context: Any, word: Any) -> Any:
    def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bswap(args[0])

    return types.uint64(types.uint64), lower


def trailing_zeros(typing_context: Any, word: Any) -> Any:
    def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(_bit, 0))

    return types.int64(types.uint64), lower


def drop_lowest(typing_context: Any, word: Any) -> Any:
    def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.and_(args[0], builder.sub(args[0], ir.Constant(_word, 1)))

    return types.uint64(types.uint64), lower


def leading_zeros(typing_context: Any, word: Any) -> Any:
    def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctlz(args[0], ir.Constant(_bit, 0))

    return types.int64(types.uint64), lower


def ones(typing_context: Any, word: Any) -> Any:
    def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return types.int64(types.uint64), lower


def transpose64(typing_context: Any, squares: Any, at: Any) -> Any:
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


def _intrinsic(name: str) -> Any:
    return intrinsic(globals()[name])


INTRINSICS = {name: _intrinsic(name) for name in PLAIN}
"""What numba takes for each operation, by name."""
