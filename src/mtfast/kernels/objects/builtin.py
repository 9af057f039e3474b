"""C functions made by numba as builtin functions of Python, where Python is as they expect it.

Such a function is called in 0.03 us, a kernel, of which the entry looks at each argument, in 0.1.
It gets its arguments as objects, with the GIL held, as the functions of a C extension do.
"""

import ctypes
from collections.abc import Callable
from typing import Any

from mtfast.kernels import layout
from mtfast.kernels.jit import IS_COMPILED, c_function
from mtfast.kernels.linking import builtin_function
from mtfast.kernels.objects import reading

__all__ = ["builtin", "problem"]


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
        return builtin_function(function.__name__, c_function(function), things)

    return make


def problem() -> str | None:
    """Say what keeps builtin functions from working here.

    Returns
    -------
    str, or None
        None where objects lie in memory as :mod:`mtfast.kernels.layout` says.
    """
    if not IS_COMPILED:
        return "numba is told to compile nothing"
    missing = [name for name in reading.FUNCTIONS if not hasattr(ctypes.pythonapi, name)]
    return f"this Python has no function {missing[0]}" if missing else layout.problem()
