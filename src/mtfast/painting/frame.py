"""The check of a caller's output array before pixels are written into it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal

import numpy as np

from mtfast.errors import MtfastError

__all__ = ["LARGEST", "check_out"]

LARGEST = {np.dtype(t): int(np.iinfo(t).max) for t in (np.uint8, np.uint16, np.uint32)}
"""The largest value of each pixel type that frames have."""


def check_out(
    out: Any,
    shape: tuple[int, ...],
    dtypes: Collection[np.dtype[Any]],
    order: Literal["C", "F"] = "C",
    error: type[MtfastError] = MtfastError,
) -> None:
    """Raise if ``out`` is not an array that can be filled; all functions with an ``out`` call this.

    Kernels and decoders write through the bare address of an array: into read-only memory as well,
    which kills the process if the memory is a mapped file.

    Parameters
    ----------
    out : array
        What the caller passed.
    shape : tuple of int
    dtypes : collection of numpy.dtype
        Of native byte order.
    order : {"C", "F"}
        Memory order; the pixels must be contiguous in it.
    error : type
        What is raised.

    Raises
    ------
    MtfastError
        Or ``error``, if ``out`` is no numpy array, is read-only or not aligned, or has another
        shape, dtype or memory order.

    Examples
    --------
    >>> check_out(np.empty((2, 3), np.uint8), (2, 3), [np.dtype(np.uint8)])
    >>> check_out(np.empty((2, 4), np.uint8), (2, 3), [np.dtype(np.uint8)])
    Traceback (most recent call last):
    mtfast.errors.MtfastError: out has shape (2, 4), uint8; expected (2, 3), uint8, in C order; \
make it with numpy.empty
    """
    if not isinstance(out, np.ndarray):
        raise error(
            f"out is a {type(out).__name__}; expected a numpy array; make it with numpy.empty"
        )
    flags = out.flags
    in_order = flags.c_contiguous if order == "C" else flags.f_contiguous
    if in_order and flags.behaved and out.shape == shape and out.dtype in dtypes:
        return
    wrong = {
        f"not in {order} order": not in_order,
        "read-only": not flags.writeable,
        "not aligned": not flags.aligned,
    }
    found = ", ".join([str(out.dtype), *(what for what, is_so in wrong.items() if is_so)])
    *others, last = map(str, dtypes)
    expected = f"{', '.join(others)} or {last}" if others else last
    raise error(
        f"out has shape {out.shape}, {found}; expected {shape}, {expected}, in {order} order; "
        f"make it with numpy.empty"
    )
