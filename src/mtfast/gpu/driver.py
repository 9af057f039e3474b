"""Kernels on a CUDA device: compiled once, kept on disk, launched on PyTorch's streams.

numba-cuda is only imported to compile a kernel: a process that finds all its machine code on disk
saves the second that this takes.
"""

from __future__ import annotations

import hashlib
import logging
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from threading import Lock
from typing import Any, TypeAlias

import numpy as np
import torch

from mtfast.caching import cached_property
from mtfast.errors import MtfastError
from mtfast.kernels.code_folder import CODE_FOLDER
from mtfast.kernels.device.twice import DeviceKernel, import_compiler

__all__ = ["Driver", "driver_of", "missing_module"]

logger = logging.getLogger(__name__)

# Refusals of which a smaller launch is none.
_TOO_MUCH = (
    "CUDA_ERROR_INVALID_VALUE",
    "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES",
    "CUDA_ERROR_OUT_OF_MEMORY",
)

Argument: TypeAlias = torch.Tensor | int


class _Loaded:
    """A kernel on a device, and the memory that its arguments are handed over in."""

    def __init__(self, handle: Any, n: int) -> None:
        self.handle = handle
        self.values = np.zeros(n, np.int64)
        addresses = self.values.ctypes.data + self.values.itemsize * np.arange(n)
        self._addresses = addresses.astype(np.uint64)
        self.parameters = self._addresses.ctypes.data


class Driver:
    """Launches kernels on one device.

    Parameters
    ----------
    device : torch.device
        A CUDA device.
    """

    def __init__(self, device: torch.device) -> None:
        import cuda.core
        from cuda.bindings import driver

        self.device = device
        self._core, self._driver = cuda.core, driver
        with torch.cuda.device(device):
            # PyTorch's context, in which the kernels are loaded.
            torch.cuda.current_stream().synchronize()
            cuda.core.Device(device.index).set_current()
            _, self._context = driver.cuCtxGetCurrent()
        self._loaded: dict[DeviceKernel, _Loaded] = {}
        self._codes: list[Any] = []
        # The memory of the arguments is written before each launch.
        self._lock = Lock()

    @cached_property
    def capability(self) -> tuple[int, int]:
        """Compute capability of the device."""
        major, minor = torch.cuda.get_device_capability(self.device)
        return major, minor

    def launch(self, kernel: DeviceKernel, grid: tuple[int, int], *arguments: Argument) -> None:
        """Run a kernel on PyTorch's current stream.

        Parameters
        ----------
        kernel : DeviceKernel
        grid : (int, int)
            Blocks along both axes; nothing is run if one is 0.
        *arguments : tensor or int
            Tensors must be contiguous, and in memory that the device can read.

        Raises
        ------
        MtfastError
            If the device refuses the launch.
        """
        if not grid[0] or not grid[1]:
            return
        stream = torch.cuda.current_stream(self.device).cuda_stream
        with self._lock, self._current():
            self._enter_context()
            loaded = self._loaded.get(kernel) or self._load(kernel)
            loaded.values[:] = [a if isinstance(a, int) else a.data_ptr() for a in arguments]
            (status,) = self._driver.cuLaunchKernel(
                loaded.handle, *grid, 1, kernel.threads, 1, 1, 0, stream, loaded.parameters, 0
            )
        if status:
            advice = "give fewer masks or a smaller batch_size"
            if status.name not in _TOO_MUCH:
                advice = (
                    "it may be the error of an earlier kernel: start the process again, with "
                    "CUDA_LAUNCH_BLOCKING=1 to see of which"
                )
            raise MtfastError(
                f"a GPU that does not run the kernel {kernel.name} on {grid[0]} x {grid[1]} blocks "
                f"({status.name}); expected it to; {advice}"
            )

    def _current(self) -> AbstractContextManager[object]:
        """Make the device the current one, as launches need it."""
        # To ask is cheaper than to enter a context, and there are several launches a batch.
        is_current = torch.cuda.current_device() == self.device.index
        current: AbstractContextManager[object] = (
            nullcontext() if is_current else torch.cuda.device(self.device)
        )
        return current

    def _enter_context(self) -> None:
        """Let a thread that has no context launch, as one that has not worked with CUDA yet."""
        # CUDA's runtime does this itself, for PyTorch; the driver, which launches, does not.
        _, context = self._driver.cuCtxGetCurrent()
        if not int(context):
            self._driver.cuCtxSetCurrent(self._context)

    def _load(self, kernel: DeviceKernel) -> _Loaded:
        entry, cubin = self._code_of(kernel)
        code = self._core.ObjectCode.from_cubin(cubin)
        # Unloaded with its code.
        self._codes.append(code)
        handle = self._driver.CUfunction(int(code.get_kernel(entry).handle))
        loaded = self._loaded[kernel] = _Loaded(handle, len(kernel.types))
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
        _check_compiler()
        code = kernel.compile_for(self.capability)
        ptx = self._core.ObjectCode.from_ptx(code.ptx)
        options = self._core.LinkerOptions(arch=arch)
        cubin = bytes(self._core.Linker(ptx, options=options).link("cubin").code)
        CODE_FOLDER.save(name, code.entry.encode() + b"\n" + cubin)
        return code.entry, cubin


@cache
def _versions() -> tuple[str, ...]:
    return tuple(version(name) for name in ("numba-cuda", "cuda-core", "cuda-bindings"))


def _check_compiler() -> None:
    """Raise if numba-cuda is installed beside a version of something that it does not go with."""
    try:
        import_compiler()
    except (ImportError, AttributeError) as error:
        raise MtfastError(
            f"numba-cuda {version('numba-cuda')} that does not import beside numpy "
            f"{np.__version__} ({error}); expected versions that go together; "
            f"run: pip install 'numpy<2.5'"
        ) from error


def missing_module() -> str | None:
    """Look for what kernels on a device take; nothing is imported.

    Returns
    -------
    str
        The name of a module that is not installed; None if all are.
    """
    for name in ("numba_cuda", "cuda", "cuda.core", "cuda.bindings"):
        if find_spec(name) is None:
            return name
    return None


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
    if name := missing_module():
        raise MtfastError(
            f"work for a GPU, but no {name!r}; expected it to be installed; "
            f"run: pip install 'mtfast[gpu]'"
        )
    return Driver(device)
