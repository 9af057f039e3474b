"""Which operations a device has: kernels, or PyTorch's own."""

from __future__ import annotations

from functools import cache
from types import ModuleType

import torch

from mtfast.gpu import kernel_operations, torch_operations
from mtfast.gpu.driver import missing_module
from mtfast.kernels.device.change_words import MAX_PIXELS

__all__ = ["operations_for"]


def operations_for(device: torch.device, n_pixels: int) -> ModuleType:
    """Return the module that works on frames of a device.

    Parameters
    ----------
    device : torch.device
    n_pixels : int
        Of a frame.

    Returns
    -------
    module
        With the functions of :mod:`mtfast.gpu.torch_operations`.
    """
    if n_pixels <= MAX_PIXELS and _runs_kernels(device):
        return kernel_operations
    return torch_operations


def _runs_kernels(device: torch.device) -> bool:
    return device.type == "cuda" and _has_compiler()


@cache
def _has_compiler() -> bool:
    return missing_module() is None
