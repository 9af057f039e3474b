"""Where CPython and numpy keep what compiled code reads of objects, as offsets in bytes.

None of it is API, so :func:`problem` compares it with what Python says before anything is read.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "ALIGNED",
    "ARRAY_DATA",
    "ARRAY_DTYPE",
    "ARRAY_FLAGS",
    "ARRAY_N_DIMENSIONS",
    "ARRAY_SHAPE",
    "ARRAY_STRIDES",
    "C_CONTIGUOUS",
    "DTYPE_BYTE_ORDER",
    "DTYPE_NUMBER",
    "F_CONTIGUOUS",
    "OBJECT_TYPE",
    "SCALAR_VALUE",
    "WRITEABLE",
    "problem",
    "word",
]

OBJECT_TYPE = 8

ARRAY_DATA = 16
ARRAY_N_DIMENSIONS = 24
ARRAY_SHAPE = 32
ARRAY_STRIDES = 40
ARRAY_DTYPE = 56
ARRAY_FLAGS = 64

# The value of a scalar of numpy.
SCALAR_VALUE = 16

DTYPE_BYTE_ORDER = 26
DTYPE_NUMBER = 28

# Flags of an array.
C_CONTIGUOUS = 1
F_CONTIGUOUS = 2
ALIGNED = 0x100
WRITEABLE = 0x400


def word(at: int) -> int:
    """Return the 64 bits at an address.

    Parameters
    ----------
    at : int

    Returns
    -------
    int
        With a sign.
    """
    return ctypes.c_int64.from_address(at).value


def problem() -> str | None:
    """Say what keeps compiled code from reading objects here.

    Returns
    -------
    str, or None
        None where objects and arrays lie in memory as the constants of this module say.
    """
    if sys.implementation.name != "cpython":
        return f"this is {sys.implementation.name}, not CPython"
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        return "this Python runs without its lock"
    if ctypes.sizeof(ctypes.c_void_p) != 8 or sys.byteorder != "little":
        return "this is no 64-bit, little-endian machine"
    if object.__basicsize__ != ARRAY_DATA:
        return f"objects begin with {object.__basicsize__} bytes"
    things: tuple[object, ...] = ({}, [], (), b"", "", 7, True, np.empty(0))
    if any(word(id(thing) + OBJECT_TYPE) != id(type(thing)) for thing in things):
        return "the type of an object lies elsewhere"
    scalars = (np.uint32(7), np.uint32(0xFEDCBA98))
    if any(_u32(id(scalar) + SCALAR_VALUE) != scalar for scalar in scalars):
        return "scalars of numpy are laid out otherwise"
    return None if all(map(_is_readable, _arrays())) else "arrays of numpy are laid out otherwise"


def _u32(at: int) -> int:
    return ctypes.c_uint32.from_address(at).value


def _arrays() -> tuple[NDArray[Any], ...]:
    read_only = np.zeros(3, ">i4")
    read_only.flags.writeable = False
    unaligned = np.zeros(9, np.uint8)[1:].view(np.int64)
    return (
        np.zeros(0, np.int64),
        np.zeros(7, np.uint8),
        np.zeros((3, 5)),
        np.zeros((4, 2, 6), np.uint16)[:, :, ::-2],
        np.zeros((2, 3), np.float64, order="F"),
        read_only,
        unaligned,
    )


def _is_readable(array: NDArray[Any]) -> bool:
    at, dtype = id(array), id(array.dtype)
    n_dimensions = ctypes.c_int.from_address(at + ARRAY_N_DIMENSIONS).value
    if word(at + ARRAY_DATA) != array.ctypes.data or n_dimensions != array.ndim:
        return False
    for offset, expected in ((ARRAY_SHAPE, array.shape), (ARRAY_STRIDES, array.strides)):
        start = word(at + offset)
        if expected != tuple(word(start + 8 * k) for k in range(array.ndim)):
            return False
    flags = ctypes.c_int.from_address(at + ARRAY_FLAGS).value
    known = C_CONTIGUOUS | F_CONTIGUOUS | ALIGNED | WRITEABLE
    # What Python calls num has the bits of the C flags, and some of numpy's own.
    if (flags ^ array.flags.num) & known or word(at + ARRAY_DTYPE) != dtype:
        return False
    number = ctypes.c_int.from_address(dtype + DTYPE_NUMBER).value
    order = ctypes.c_char.from_address(dtype + DTYPE_BYTE_ORDER).value
    return number == array.dtype.num and order.decode("latin-1") == array.dtype.byteorder
