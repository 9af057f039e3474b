"""Where kernels run: on a CUDA device, or on the host, where loops stand for threads."""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from mtfast.kernels.device.twice import DeviceKernel, dtype_of

__all__ = ["HostLauncher", "Launcher", "launcher_of"]

Argument: TypeAlias = torch.Tensor | int


class Launcher(Protocol):
    """Runs kernels on the device of the tensors that it is given."""

    def launch(self, kernel: DeviceKernel, grid: tuple[int, int], *arguments: Argument) -> None:
        """Run a kernel, on PyTorch's current stream."""


class HostLauncher:
    """Runs kernels on the host, for tests: thread after thread."""

    def launch(self, kernel: DeviceKernel, grid: tuple[int, int], *arguments: Argument) -> None:
        """Run a kernel.

        Parameters
        ----------
        kernel : DeviceKernel
        grid : (int, int)
            Blocks along both axes.
        *arguments : tensor or int
            Tensors must be contiguous; their memory is read as the kernel's types.
        """
        given = [
            argument if isinstance(argument, int) else _memory(argument, type_)
            for argument, type_ in zip(arguments, kernel.types, strict=True)
        ]
        kernel.run(grid, *given)


def _memory(tensor: torch.Tensor, type_: str) -> NDArray[Any]:
    dtype = dtype_of(type_)
    if not tensor.numel():
        # Its strides may be 0, of which PyTorch makes no view of another type.
        return np.empty(0, dtype)
    flat = tensor.numpy().reshape(-1).view(np.uint8)
    memory: NDArray[Any] = flat[: flat.size // dtype.itemsize * dtype.itemsize].view(dtype)
    return memory


def launcher_of(device: torch.device) -> Launcher:
    """Return what launches kernels on a device.

    Parameters
    ----------
    device : torch.device
        A CUDA device; or the CPU, for tests.

    Returns
    -------
    Launcher

    Raises
    ------
    MtfastError
        If there is no such device, or a library is missing.
    """
    if device.type == "cpu":
        return HostLauncher()
    from mtfast.gpu.driver import driver_of

    return driver_of(device)
