"""Machine code made callable: linked by LLVM, and wrapped in a builtin function of Python."""

from __future__ import annotations

import atexit
import ctypes
import itertools
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import numpy as np
from llvmlite import binding

__all__ = ["SYMBOLS", "builtin_function", "link"]

SYMBOLS = {"mtfast_ndarray": id(np.ndarray)}
"""What machine code refers to by name, besides the functions and types of CPython."""

# A method that takes its arguments as an array of objects and their number.
_FAST_CALL = 0x80

_numbers = itertools.count()


class _MethodDefinition(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    )


def builtin_function(name: str, address: int, self: Any) -> Callable[..., Any]:
    """Make a builtin function of Python, which is called in 0.03 us.

    Parameters
    ----------
    name : str
    address : int
        Of a C function. It takes the address of an object, that of an array of the addresses of the
        arguments, and their number; it returns the address of a new reference, or 0 after an error.
    self : object
        The object.

    Returns
    -------
    callable
    """
    definition = _MethodDefinition(name.encode(), address, _FAST_CALL, None)
    # The function reads it when it is freed, which may be after all modules and what they hold: of
    # 42,274 images `synth` ended with a fault of memory. It is never freed.
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(definition))
    new = ctypes.pythonapi["PyCFunction_NewEx"]
    new.restype = ctypes.py_object
    new.argtypes = (ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p)
    made: Callable[..., Any] = new(ctypes.addressof(definition), self, None)
    return made


@cache
def _linker() -> Any:
    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    # JITLink keeps the sections of an object together, so that they reach each other.
    linker = binding.create_lljit_compiler(use_jit_link=True, suppress_errors=True)
    # Threads may still be in the code when the process ends.
    atexit.register(linker.detach)
    return linker


def link(objects: Iterable[tuple[str, bytes]]) -> list[int]:
    """Link machine code, which then stays as long as the process.

    Parameters
    ----------
    objects : iterable of (str, bytes)
        A symbol, and the object file that defines it.

    Returns
    -------
    list of int
        The addresses of the symbols.

    Raises
    ------
    RuntimeError
        An object needs a symbol that nothing here has, or cannot be linked at all.
    """
    builder = binding.JITLibraryBuilder().add_current_process()
    for name, address in SYMBOLS.items():
        builder.import_symbol(name, address)
    symbols = []
    for symbol, code in objects:
        builder.add_object_img(code).export_symbol(symbol)
        symbols.append(symbol)
    library = builder.link(_linker(), f"mtfast-{next(_numbers)}")
    addresses = [library[symbol] for symbol in symbols]
    library.detach()
    return addresses
