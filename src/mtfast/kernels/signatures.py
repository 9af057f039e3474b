"""Types of the arguments and results of kernels, as plain descriptions.

numba's own types stand for the same, but to import numba takes 0.2 s, and it is needed only where
something is compiled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = [
    "Array",
    "Pair",
    "Scalar",
    "Signature",
    "f32",
    "f64",
    "i16",
    "i32",
    "i64",
    "pair",
    "read",
    "strided",
    "u8",
    "u16",
    "u32",
    "u64",
    "write",
]


@dataclass(frozen=True)
class Scalar:
    """Type of a number, by numpy's name for it.

    Called with types it makes a signature, called with a number it casts it.
    """

    name: str

    def __call__(self, *values: Any) -> Any:
        """Return a signature with this result, or a number of this type."""
        if len(values) == 1 and not isinstance(values[0], (Scalar, Array)):
            return np.dtype(self.name).type(values[0])
        return Signature(self, values)

    def __str__(self) -> str:
        """Return the name."""
        return self.name


@dataclass(frozen=True)
class Array:
    """Type of an array.

    Attributes
    ----------
    element : Scalar
    n_dimensions : int
    is_contiguous : bool
        In C order.
    is_written : bool
        Whether the kernel writes to it.
    """

    element: Scalar
    n_dimensions: int
    is_contiguous: bool
    is_written: bool

    def __str__(self) -> str:
        """Return what an array must be."""
        kinds = ("contiguous",) * self.is_contiguous + ("writeable",) * self.is_written
        return " ".join((*kinds, str(self.element), f"{self.n_dimensions}-d"))


@dataclass(frozen=True)
class Pair:
    """Type of a tuple of two numbers of one type."""

    element: Scalar

    def __str__(self) -> str:
        """Return the name."""
        return f"({self.element}, {self.element})"


@dataclass(frozen=True)
class Signature:
    """Types of a result and of arguments."""

    result: Scalar | Pair
    arguments: tuple[Scalar | Array, ...]

    def __str__(self) -> str:
        """Return the arguments in brackets."""
        return f"({', '.join(map(str, self.arguments))})"


u8, u16, u32, u64 = map(Scalar, ("uint8", "uint16", "uint32", "uint64"))
i16, i32, i64 = map(Scalar, ("int16", "int32", "int64"))
f32, f64 = map(Scalar, ("float32", "float64"))


def read(element: Scalar) -> Array:
    """Type of a one-dimensional input array; read-only arrays are accepted.

    Parameters
    ----------
    element : Scalar
        :data:`u8` for instance.

    Returns
    -------
    Array
        C-contiguous.
    """
    return Array(element, 1, is_contiguous=True, is_written=False)


def write(element: Scalar) -> Array:
    """Type of a one-dimensional output array, which belongs to the caller.

    Parameters
    ----------
    element : Scalar

    Returns
    -------
    Array
        C-contiguous and writeable.
    """
    return Array(element, 1, is_contiguous=True, is_written=True)


def strided(element: Scalar) -> Array:
    """Type of a two-dimensional output array of any strides.

    Parameters
    ----------
    element : Scalar

    Returns
    -------
    Array
    """
    return Array(element, 2, is_contiguous=False, is_written=True)


def pair(*arguments: Scalar | Array) -> Signature:
    """Signature of a kernel that returns two int64.

    Parameters
    ----------
    *arguments : Scalar or Array

    Returns
    -------
    Signature
    """
    return Signature(Pair(i64), arguments)
