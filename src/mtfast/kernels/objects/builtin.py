"""C functions made by numba as builtin functions of Python, where Python is as they expect it.

A builtin function is called in 0.03 us, a kernel through numba's dispatcher in 0.6 us and more. It
gets its arguments as objects, with the GIL held, as the functions of a C extension do.
"""

import ctypes
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtfast.kernels.jit import IS_COMPILED, c_function
from mtfast.kernels.objects import reading

__all__ = ["builtin", "problem"]

# A method that takes its arguments as an array of objects and their number.
FAST_CALL = 0x80

# Definitions of methods, which Python wants to stay where they are.
_kept: list[ctypes.Structure] = []


class _MethodDefinition(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    )


def builtin(things: tuple[Any, ...]) -> Callable[..., Callable[..., Any]]:
    """Compile a function of three integers as a builtin function.

    Parameters
    ----------
    things : tuple
        What the function gets as its first argument. Scratch in it is used by one call at a time,
        as all hold the GIL and run no Python code.

    Returns
    -------
    callable
        A decorator. The function takes the address of the tuple, that of its arguments, and their
        number; it returns the address of a new reference, or 0 after an error.
    """

    def make(function: Callable[[int, int, int], int]) -> Callable[..., Any]:
        name = function.__name__.encode()
        definition = _MethodDefinition(name, c_function(function), FAST_CALL, None)
        _kept.append(definition)
        new = ctypes.pythonapi["PyCFunction_NewEx"]
        new.restype = ctypes.py_object
        new.argtypes = (ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p)
        made: Callable[..., Any] = new(ctypes.addressof(definition), things, None)
        return made

    return make


def problem() -> str | None:
    """Say what keeps builtin functions from working here.

    Returns
    -------
    str, or None
        None where objects lie in memory as :mod:`mtfast.kernels.objects.reading` expects.
    """
    if not IS_COMPILED:
        return "numba is told to compile nothing"
    if sys.implementation.name != "cpython":
        return f"this is {sys.implementation.name}, not CPython"
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        return "this Python runs without its lock"
    if ctypes.sizeof(ctypes.c_void_p) != 8 or sys.byteorder != "little":
        return "this is no 64-bit, little-endian machine"
    missing = [name for name in reading.FUNCTIONS if not hasattr(ctypes.pythonapi, name)]
    if missing:
        return f"this Python has no function {missing[0]}"
    if object.__basicsize__ != reading.ARRAY_DATA:
        return f"objects begin with {object.__basicsize__} bytes"
    if any(_u32(id(number) + reading.SCALAR_VALUE) != number for number in _SCALARS):
        return "scalars of numpy are laid out otherwise"
    things: tuple[object, ...] = ({}, [], (), b"", "", 7, True, np.empty(0))
    if any(_word(id(thing) + reading.OBJECT_TYPE) != id(type(thing)) for thing in things):
        return "the type of an object lies elsewhere"
    return None if all(map(_is_readable, _ARRAYS)) else "arrays of numpy are laid out otherwise"


_ARRAYS: tuple[NDArray[Any], ...] = (
    np.zeros(0, np.int64),
    np.zeros(7, np.uint8),
    np.zeros((3, 5)),
    np.zeros((3, 5), order="F"),
    np.zeros((4, 2, 6)),
)


_SCALARS = (np.uint32(7), np.uint32(0xFEDCBA98))


def _is_readable(array: NDArray[Any]) -> bool:
    at = id(array)
    n_dimensions = ctypes.c_int.from_address(at + reading.ARRAY_N_DIMENSIONS).value
    if _word(at + reading.ARRAY_DATA) != array.ctypes.data or n_dimensions != array.ndim:
        return False
    shape = _word(at + reading.ARRAY_SHAPE)
    if array.shape != tuple(_word(shape + 8 * k) for k in range(array.ndim)):
        return False
    flags = ctypes.c_int.from_address(at + reading.ARRAY_FLAGS).value
    orders = bool(flags & reading.C_CONTIGUOUS), bool(flags & reading.F_CONTIGUOUS)
    if orders != (array.flags.c_contiguous, array.flags.f_contiguous):
        return False
    return _word(at + reading.ARRAY_DTYPE) == id(array.dtype)


def _u32(at: int) -> int:
    return ctypes.c_uint32.from_address(at).value


def _word(at: int) -> int:
    return ctypes.c_int64.from_address(at).value
