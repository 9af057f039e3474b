"""Where the files of a set lie while it is trained on."""

from __future__ import annotations

import ctypes
import logging
import mmap
import os
import weakref
from contextlib import suppress
from typing import Literal, get_args

import torch

from mtfast.errors import MtfastError, one_of
from mtfast.loaders.gpu.free_memory import free_host_bytes

__all__ = ["MEMORIES", "Memory", "MemoryKind", "choose_memory", "room_for_indexes"]

logger = logging.getLogger(__name__)

MemoryKind = Literal["auto", "device", "host", "disk"]
MEMORIES: tuple[MemoryKind, ...] = get_args(MemoryKind)

# Shares of what is free that the files of a set may take, so that the training has the rest.
_OF_DEVICE = 0.6
_OF_HOST = 0.5
# The index of a JPEG of microscopes takes 2.5 % of its bytes.
_OF_HOST_FOR_INDEXES = 0.1
_LEAST_FOR_INDEXES = 64 << 20


class Memory:
    """Memory for the words of a set's files.

    Parameters
    ----------
    kind : {"device", "host", "disk"}
    device : torch.device
        Where the kernels run.
    """

    def __init__(self, kind: str, device: torch.device) -> None:
        self.kind = kind
        self.device = device

    def words(self, n: int) -> torch.Tensor:
        """Allocate memory that the kernels read.

        Parameters
        ----------
        n : int

        Returns
        -------
        (n,) int32 tensor

        Raises
        ------
        MtfastError
            If there is too little memory.
        """
        where = torch.device("cpu") if self.kind == "host" else self.device
        try:
            if self.kind == "host" and self.device.type == "cuda":
                words = _empty_not_inherited(n)
                _pin(words, self.device)
            else:
                words = torch.empty(n, dtype=torch.int32, device=where)
        except (RuntimeError, OSError) as error:
            others = "'disk'" if self.kind == "host" else "'host' or 'disk'"
            raise MtfastError(
                f"files of {4 * n:,} bytes, for which {where} has no memory "
                f"({' '.join(str(error).split())[:100]}); expected room for them; "
                f"give memory={others}"
            ) from error
        return words


def _empty_not_inherited(n: int) -> torch.Tensor:
    """Allocate words that a forked process does not inherit.

    Linux copies locked pages for it at once: a whole set, for each worker of another loader.
    """
    if not n or not hasattr(mmap, "MADV_DONTFORK"):
        return torch.empty(n, dtype=torch.int32, device="cpu")
    memory = mmap.mmap(-1, 4 * n, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.madvise(mmap.MADV_DONTFORK)
    _NOT_INHERITED.add(memory)
    return torch.frombuffer(memory, dtype=torch.int32)


_NOT_INHERITED: weakref.WeakSet[mmap.mmap] = weakref.WeakSet()


def _never_unmap() -> None:
    """Keep a forked process from unmapping what it does not have.

    Something else of its own may lie at that address by then.
    """
    for memory in _NOT_INHERITED:
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(memory))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_never_unmap)


def _pin(words: torch.Tensor, device: torch.device) -> None:
    """Lock the pages of a tensor: kernels of a device read them through the bus.

    PyTorch's own pinned memory comes in powers of two, up to twice as much as was asked for.
    """
    if not words.numel():
        return
    runtime = torch.cuda.cudart()
    address = words.data_ptr()
    status = int(runtime.cudaHostRegister(address, 4 * words.numel(), 0))
    if status:
        _clear_error(device)
    torch.cuda.check_error(status)
    weakref.finalize(words.untyped_storage(), runtime.cudaHostUnregister, address).atexit = False


def _clear_error(device: torch.device) -> None:
    """Take the error of a call that failed from CUDA, which keeps it for each thread.

    PyTorch would raise it for the next kernel that it launches, so here it launches one.
    """
    with suppress(RuntimeError):
        torch.zeros(1, device=device)


def choose_memory(kind: str, device: torch.device, n_bytes: int) -> Memory:
    """Choose where the files of a set lie.

    Parameters
    ----------
    kind : {"auto", "device", "host", "disk"}
        "auto" is the first of the others for which enough is free.
    device : torch.device
    n_bytes : int
        Of all files.

    Returns
    -------
    Memory

    Raises
    ------
    MtfastError
        If there is no such kind.
    """
    one_of("memory", kind, MEMORIES)
    if kind == "auto":
        kind = _free_kind(device, n_bytes)
        logger.info("files of %s bytes: memory=%r", f"{n_bytes:,}", kind)
    return Memory(kind, device)


def _free_kind(device: torch.device, n_bytes: int) -> str:
    if device.type != "cuda":
        return "device"
    if n_bytes < _OF_DEVICE * torch.cuda.mem_get_info(device)[0]:
        return "device"
    return "host" if n_bytes < _OF_HOST * free_host_bytes() else "disk"


def room_for_indexes() -> int:
    """Return how many bytes the crop indexes of a set that lies on the disk may take.

    Returns
    -------
    int
    """
    n_bytes = max(int(_OF_HOST_FOR_INDEXES * free_host_bytes()), _LEAST_FOR_INDEXES)
    logger.info("crop indexes are kept in up to %s bytes", f"{n_bytes:,}")
    return n_bytes
