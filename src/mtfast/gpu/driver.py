"""Kernels on a CUDA device: compiled for it once, kept on disk, and launched on PyTorch's streams."""

from __future__ import annotations

import hashlib
import logging
from functools import cache
from typing import Any

import torch

from mtfast.caching import cached_property
from mtfast.errors import MtfastError
from mtfast.kernels.device.twice import DeviceKernel
from mtfast.kernels.jit import CODE_FOLDER

__all__ = ["Driver", "driver_of"]

logger = logging.getLogger(__name__)

Argument = torch.Tensor | int


class Driver:
    """Launches kernels on one device.

    Parameters
    ----------
    device : torch.device
        A CUDA device.
    """

    def __init__(self, device: torch.device) -> None:
        import cuda.core

        self.device = device
        self._core = cuda.core
        with torch.cuda.device(device):
            # PyTorch's context, in which the kernels are loaded.
            torch.cuda.current_stream().synchronize()
            cuda.core.Device(device.index).set_current()
        self._loaded: dict[str, Any] = {}
        self._streams: dict[int, Any] = {}
        self._configs: dict[tuple[int, ...], Any] = {}

    @cached_property
    def capability(self) -> tuple[int, int]:
        """Compute capability of the device."""
        return torch.cuda.get_device_capability(self.device)

    def launch(self, kernel: DeviceKernel, grid: tuple[int, int], *arguments: Argument) -> None:
        """Run a kernel on PyTorch's current stream.

        Parameters
        ----------
        kernel : DeviceKernel
        grid : (int, int)
            Blocks along both axes; nothing is run if one is 0.
        *arguments : tensor or int
            Tensors must be contiguous, and in memory that the device can read.
        """
        if not grid[0] or not grid[1]:
            return
        loaded = self._loaded.get(kernel.name) or self._load(kernel)
        key = (*grid, kernel.threads)
        config = self._configs.get(key)
        if config is None:
            config = self._configs[key] = self._core.LaunchConfig(grid=grid, block=kernel.threads)
        handle = torch.cuda.current_stream(self.device).cuda_stream
        stream = self._streams.get(handle)
        if stream is None:
            stream = self._streams[handle] = self._core.Stream.from_handle(handle)
        self._core.launch(
            stream,
            config,
            loaded,
            *[a if isinstance(a, int) else a.data_ptr() for a in arguments],
        )

    def _load(self, kernel: DeviceKernel) -> Any:
        entry, cubin = self._code_of(kernel)
        code = self._core.ObjectCode.from_cubin(cubin)
        loaded = self._loaded[kernel.name] = code.get_kernel(entry)
        return loaded

    def _code_of(self, kernel: DeviceKernel) -> tuple[str, bytes]:
        """Return the name of the entry, and machine code, of the folder or compiled."""
        arch = "sm_{}{}".format(*self.capability)
        key = hashlib.sha256(repr((kernel.name, arch, *_versions())).encode()).hexdigest()[:16]
        name = f"{kernel.module}.{kernel.name}-{arch}-{key}.cubin"
        stored = CODE_FOLDER.load(name)
        if stored is not None:
            entry, cubin = stored.split(b"\n", 1)
            return entry.decode(), cubin
        logger.info("compiling %s for %s", kernel.name, arch)
        code = kernel.compile_for(self.capability)
        ptx = self._core.ObjectCode.from_ptx(code.ptx)
        options = self._core.LinkerOptions(arch=arch)
        cubin = bytes(self._core.Linker(ptx, options=options).link("cubin").code)
        CODE_FOLDER.save(name, code.entry.encode() + b"\n" + cubin)
        return code.entry, cubin


@cache
def _versions() -> tuple[str, ...]:
    from importlib.metadata import version

    return tuple(version(name) for name in ("numba-cuda", "cuda-core", "cuda-bindings"))


@cache
def driver_of(device: torch.device) -> Driver:
    """Return what launches kernels on a device.

    Parameters
    ----------
    device : torch.device

    Returns
    -------
    Driver
        The same one for equal devices.

    Raises
    ------
    MtfastError
        If it is no CUDA device, there is none, or a library is missing.
    """
    if device.type != "cuda" or not torch.cuda.is_available():
        raise MtfastError(
            f"work for a GPU, but device {str(device)!r}; expected a CUDA device that PyTorch sees;"
            f" use mtfast.loaders.torch.Loader without one"
        )
    try:
        import cuda.core  # noqa: F401
        import numba_cuda  # noqa: F401
    except ImportError as error:
        raise MtfastError(
            f"work for a GPU, but no {error.name!r}; expected it to be installed; "
            f"run: pip install 'mtfast[gpu]'"
        ) from None
    return Driver(device)
