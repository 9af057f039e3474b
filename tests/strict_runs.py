"""Kernels of a GPU run as plain Python, on arrays that refuse every place outside of them.

numba's bounds checks take negative places for those from the end, as Python does; a GPU does not.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mtfast.kernels.device.twice import DeviceKernel, dtype_of
from mtfast.kernels.jit import i32


class OutsideError(Exception):
    """A place outside of an array was read or written."""


class StrictArray:
    """A one-dimensional array of which only the places from 0 to size - 1 can be reached."""

    def __init__(self, name: str, array: np.ndarray) -> None:
        self.name, self.array = name, array

    def place(self, at: Any) -> int:
        if not 0 <= at < self.array.size:
            raise OutsideError(f"{self.name}[{at}] of {self.array.size}")
        return int(at)

    def __getitem__(self, at: Any) -> Any:
        return self.array[self.place(at)]

    def __setitem__(self, at: Any, value: Any) -> None:
        self.array[self.place(at)] = np.asarray(value).astype(self.array.dtype)


def run_strictly(kernel: DeviceKernel, grid: tuple[int, int], *arguments: Any) -> None:
    """Run a kernel as :meth:`DeviceKernel.run` does; slow, thread after thread."""
    given = [
        StrictArray(name, argument) if type_.endswith("[]") else np.int64(argument)
        for name, type_, argument in zip(kernel.names, kernel.types, arguments, strict=True)
    ]
    kind, n = kernel.scratch
    scratch = StrictArray("scratch", np.zeros(n, dtype_of(kind)))
    # Numbers of 32 bits wrap around; a GPU makes any number of a division by 0.
    with np.errstate(over="ignore", divide="raise"):
        for by in range(grid[1]):
            for bx in range(grid[0]):
                for phase in kernel.phases:
                    for t in range(kernel.threads):
                        phase(i32(bx), i32(by), i32(t), scratch, *given)
