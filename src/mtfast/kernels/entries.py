"""Entries: the functions, in LLVM IR, through which Python calls a kernel.

An entry is what :func:`mtfast.kernels.linking.builtin_function` expects. That of a kernel compares
the arguments with one signature, reads them, releases the GIL around the kernel and makes an object
of its result. Nothing is read of what is not as the signature says: then the object of the
builtin function is called with the same arguments. It is the entry for the next signature, or the
Python function that explains. That also gets what a kernel has failed with.

numba's own entry needs numba at run time, and its dispatcher compares types: 0.6 us a call, where
this takes 0.1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core.base import BaseContext
from numba.core.funcdesc import FunctionDescriptor
from numba.np.arrayobj import populate_array

from mtfast.kernels import layout

__all__ = ["kernel_entry", "object_entry"]

_bit, _byte, _int, _long = map(ir.IntType, (1, 8, 32, 64))
_double = ir.DoubleType()
_pointer = _byte.as_pointer()
_pointers = _pointer.as_pointer()
_NULL = ir.Constant(_pointer, None)

# What the builtin function calls: its object, the arguments and their number.
_ENTRY = ir.FunctionType(_pointer, (_pointer, _pointers, _long))


class _Code:
    """Instructions of an entry, one after another.

    Parameters
    ----------
    context : numba's target
    module : ir.Module
    function : FunctionDescriptor
        What is called.
    """

    def __init__(self, context: BaseContext, module: ir.Module, function: FunctionDescriptor):
        entry = ir.Function(module, _ENTRY, function.llvm_cpython_wrapper_name)
        self.context, self.module, self.function = context, module, function
        self.self, self.arguments, self.n_arguments = entry.args
        self.builder = ir.IRBuilder(entry.append_basic_block("entry"))
        self._refused: ir.Block | None = None

    def call(self, name: str, result: ir.Type, *arguments: ir.Value) -> ir.Value:
        """Call a function of CPython."""
        function = self.module.globals.get(name)
        if function is None:
            kind = ir.FunctionType(result, [argument.type for argument in arguments])
            function = ir.Function(self.module, kind, name)
        return self.builder.call(function, arguments)

    def require(self, condition: ir.Value) -> None:
        """Go on only if a condition holds."""
        self._refused = self._refused or self.builder.append_basic_block("refused")
        good = self.builder.append_basic_block("good")
        self.builder.cbranch(condition, good, self._refused)
        self.builder.position_at_end(good)

    def equal(self, value: ir.Value, number: int | None) -> ir.Value:
        """Compare a value with a constant; with NULL if that is None."""
        return self.builder.icmp_unsigned("==", value, ir.Constant(value.type, number))

    def read(self, at: ir.Value, offset: int, kind: ir.Type) -> ir.Value:
        """Read what is so many bytes after a pointer."""
        where = self.builder.gep(at, [ir.Constant(_long, offset)])
        return self.builder.load(self.builder.bitcast(where, kind.as_pointer()))

    def argument(self, k: int) -> ir.Value:
        """Return the address of argument k."""
        return self.builder.load(self.builder.gep(self.arguments, [ir.Constant(_long, k)]))

    def pass_on(self, arguments: ir.Value, n: ir.Value) -> ir.Value:
        """Call the object of the builtin function."""
        return self.call("PyObject_Vectorcall", _pointer, self.self, arguments, n, _NULL)

    def native(self, values: list[ir.Value]) -> tuple[Any, ir.Value]:
        """Call the function itself, and return its status and its result."""
        convention, function = self.context.call_conv, self.function
        kind = convention.get_function_type(function.restype, function.argtypes)
        callee = ir.Function(self.module, kind, function.llvm_func_name)
        answer: tuple[Any, ir.Value] = convention.call_function(
            self.builder, callee, function.restype, function.argtypes, values, attrs=("noinline",)
        )
        return answer

    def finish(self) -> None:
        """Pass on the arguments that were refused."""
        self.builder.position_at_end(self._refused)
        self.builder.ret(self.pass_on(self.arguments, self.n_arguments))


def kernel_entry(context: BaseContext, function: FunctionDescriptor) -> ir.Module:
    """Write the entry of a kernel.

    Parameters
    ----------
    context : numba's target
    function : FunctionDescriptor
        The compiled kernel.

    Returns
    -------
    ir.Module
        With a function that is called as numba's own entry would be.
    """
    module = context.create_module("entry")
    code = _Code(context, module, function)
    code.require(code.equal(code.n_arguments, len(function.argtypes)))
    values: dict[int, ir.Value] = {}
    # Numbers first, as a number may be an object that runs code of its own when it is read.
    for reads in (_READ_NUMBERS, {types.Array: _read_array}):
        for k, kind in enumerate(function.argtypes):
            if type(kind) in reads:
                values[k] = reads[type(kind)](code, kind, code.argument(k))
    builder = code.builder
    thread = code.call("PyEval_SaveThread", _pointer)
    status, result = code.native([values[k] for k in range(len(values))])
    code.call("PyEval_RestoreThread", ir.VoidType(), thread)
    failed = builder.append_basic_block("failed")
    good = builder.append_basic_block("done")
    builder.cbranch(status.is_error, failed, good)
    builder.position_at_end(failed)
    _report(code, status)
    builder.position_at_end(good)
    builder.ret(_object(code, function.restype, result))
    code.finish()
    return module


def object_entry(context: BaseContext, function: FunctionDescriptor) -> ir.Module:
    """Write the entry of a function that reads its arguments itself.

    Parameters
    ----------
    context : numba's target
    function : FunctionDescriptor
        From three int64 to one, which are what a builtin function gets and returns.

    Returns
    -------
    ir.Module
        With a function that is called as numba's own entry would be.
    """
    module = context.create_module("entry")
    code = _Code(context, module, function)
    builder = code.builder
    addresses = [builder.ptrtoint(value, _long) for value in (code.self, code.arguments)]
    status, result = code.native([*addresses, code.n_arguments])
    # NULL without an error of Python is a SystemError.
    failed = builder.or_(status.is_error, code.equal(result, 0))
    builder.ret(builder.select(failed, _NULL, builder.inttoptr(result, _pointer)))
    return module


def _report(code: _Code, status: Any) -> None:
    """Pass on the exception of a kernel, pickled by numba: the object that is called, and bytes."""
    builder = code.builder
    data, size = (builder.extract_value(builder.load(status.excinfoptr), k) for k in (0, 1))
    text = code.call("PyBytes_FromStringAndSize", _pointer, data, builder.zext(size, _long))
    pair = builder.alloca(_pointer, 2)
    for k, thing in enumerate((code.self, text)):
        builder.store(thing, builder.gep(pair, [ir.Constant(_long, k)]))
    answer = code.pass_on(pair, ir.Constant(_long, 2))
    code.call("Py_DecRef", ir.VoidType(), text)
    builder.ret(answer)


def _read_integer(code: _Code, kind: Any, thing: ir.Value) -> ir.Value:
    """Read an int, or what can be an index; what has too many bits is refused."""
    builder = code.builder
    index = code.call("PyNumber_Index", _pointer, thing)
    _refuse_errors(code, code.equal(index, None))
    if kind.signed:
        value, fits = _signed(code, index)
    else:
        value, fits = _unsigned(code, index)
    code.call("Py_DecRef", ir.VoidType(), index)
    code.require(fits)
    if kind.bitwidth == 64:
        return value
    short = builder.trunc(value, ir.IntType(kind.bitwidth))
    back = (builder.sext if kind.signed else builder.zext)(short, _long)
    code.require(builder.icmp_unsigned("==", back, value))
    return short


def _signed(code: _Code, index: ir.Value) -> tuple[ir.Value, ir.Value]:
    overflow = code.builder.alloca(_int)
    value = code.call("PyLong_AsLongLongAndOverflow", _long, index, overflow)
    return value, code.equal(code.builder.load(overflow), 0)


def _unsigned(code: _Code, index: ir.Value) -> tuple[ir.Value, ir.Value]:
    value = code.call("PyLong_AsUnsignedLongLong", _long, index)
    error = code.call("PyErr_Occurred", _pointer)
    # It does nothing where there is none.
    code.call("PyErr_Clear", ir.VoidType())
    return value, code.equal(error, None)


def _read_float(code: _Code, kind: Any, thing: ir.Value) -> ir.Value:
    value = code.call("PyFloat_AsDouble", _double, thing)
    error = code.call("PyErr_Occurred", _pointer)
    _refuse_errors(code, code.builder.not_(code.equal(error, None)))
    return value


def _refuse_errors(code: _Code, failed: ir.Value) -> None:
    """Refuse the arguments after an error of Python, which is explained in another way."""
    with code.builder.if_then(failed, likely=False):
        code.call("PyErr_Clear", ir.VoidType())
    code.require(code.builder.not_(failed))


_READ_NUMBERS: dict[type, Callable[[_Code, Any, ir.Value], ir.Value]] = {
    types.Integer: _read_integer,
    types.Float: _read_float,
}


def _numbers_of(dtype: Any) -> set[int]:
    """Return the numbers that numpy has for a type: there are two for some integers."""
    wanted = np.dtype(str(dtype))
    return {np.dtype(code).num for code in np.typecodes["All"] if np.dtype(code) == wanted}


def _read_array(code: _Code, kind: Any, thing: ir.Value) -> ir.Value:
    """Read where the elements of an array are, if it is as the signature says."""
    builder = code.builder
    base = code.context.get_c_value(builder, _byte, "mtfast_ndarray")
    is_array = code.call(
        "PyType_IsSubtype", _int, code.read(thing, layout.OBJECT_TYPE, _pointer), base
    )
    code.require(builder.not_(code.equal(is_array, 0)))
    n_dimensions = code.read(thing, layout.ARRAY_N_DIMENSIONS, _int)
    code.require(code.equal(n_dimensions, kind.ndim))
    flags = layout.ALIGNED | layout.C_CONTIGUOUS * (kind.layout == "C")
    flags = ir.Constant(_int, flags | layout.WRITEABLE * kind.mutable)
    found = builder.and_(code.read(thing, layout.ARRAY_FLAGS, _int), flags)
    code.require(builder.icmp_unsigned("==", found, flags))
    dtype = code.read(thing, layout.ARRAY_DTYPE, _pointer)
    number = code.read(dtype, layout.DTYPE_NUMBER, _int)
    is_one_of = ir.Constant(_bit, 0)
    for candidate in sorted(_numbers_of(kind.dtype)):
        is_one_of = builder.or_(is_one_of, code.equal(number, candidate))
    code.require(is_one_of)
    order = code.read(dtype, layout.DTYPE_BYTE_ORDER, _byte)
    code.require(builder.not_(code.equal(order, ord(">"))))
    return _array(code, kind, thing)


def _array(code: _Code, kind: Any, thing: ir.Value) -> ir.Value:
    """Return the array as numba has it, which does not own its memory."""
    sides = []
    for offset in (layout.ARRAY_SHAPE, layout.ARRAY_STRIDES):
        start = code.read(thing, offset, _pointer)
        sides.append([code.read(start, 8 * k, _long) for k in range(kind.ndim)])
    array = code.context.make_array(kind)(code.context, code.builder)
    element = code.context.get_data_type(kind.dtype)
    populate_array(
        array,
        data=code.read(thing, layout.ARRAY_DATA, element.as_pointer()),
        shape=sides[0],
        strides=sides[1],
        itemsize=ir.Constant(_long, kind.dtype.bitwidth // 8),
        meminfo=None,
    )
    return array._getvalue()


def _object(code: _Code, kind: Any, value: ir.Value) -> ir.Value:
    """Make an object of a result."""
    if isinstance(kind, types.UniTuple):
        pair = code.call("PyTuple_New", _pointer, ir.Constant(_long, kind.count))
        for k in range(kind.count):
            item = _object(code, kind.dtype, code.builder.extract_value(value, k))
            # The tuple takes over the reference.
            code.call("PyTuple_SetItem", _int, pair, ir.Constant(_long, k), item)
        return pair
    if isinstance(kind, types.Float):
        return code.call("PyFloat_FromDouble", _pointer, value)
    if kind.signed:
        return code.call("PyLong_FromLongLong", _pointer, value)
    return code.call("PyLong_FromUnsignedLongLong", _pointer, value)
