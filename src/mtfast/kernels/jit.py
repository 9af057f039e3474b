"""The only place that configures numba.

Kernels are single-threaded and release the GIL; callers run them side by side. Each kernel is
declared with its signatures and compiled for exactly those, in that order: a kernel compiled on
demand would let two processes that start on an empty cache store different signatures under one
file name.

The compiled code is cached in a folder keyed on a hash of all kernel sources, of the versions and
of the flags that matter, because numba on its own reuses a cached caller after a callee in another
file has changed, and unchecked code when bounds checks are asked for. ``NUMBA_CACHE_DIR`` moves
that folder; ``NUMBA_DISABLE_JIT=1`` runs the kernels as plain Python.
"""

from __future__ import annotations

import hashlib
import os
import platform
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llvmlite
import numba
from numba import types
from platformdirs import user_cache_path

__all__ = ["cache_key", "f64", "i16", "i64", "kernel", "read", "u8", "u16", "u32", "u64", "write"]

Kernel = Callable[..., int]
"""A kernel returns a count or a status; its argument types stand in its signatures."""

u8, u16, u32, u64 = types.uint8, types.uint16, types.uint32, types.uint64
i16, i64, f64 = types.int16, types.int64, types.float64


def read(dtype: Any) -> Any:
    """Type of a one-dimensional input array; read-only arrays are welcome."""
    return types.Array(dtype, 1, "C", readonly=True)


def write(dtype: Any) -> Any:
    """Type of a one-dimensional output array, which belongs to the caller."""
    return types.Array(dtype, 1, "C")


def cache_key(folder: Path = Path(__file__).parent) -> str:
    """Hash whatever the machine code of a kernel depends on: all sources below its folder."""
    key = hashlib.sha256()
    for source in sorted(folder.rglob("*.py")):
        key.update(source.read_bytes())
    flags = (
        numba.config.BOUNDSCHECK,
        numba.config.OPT,
        numba.config.CPU_NAME,
        numba.config.CPU_FEATURES,
    )
    versions = (numba.__version__, llvmlite.__version__, platform.python_version())
    key.update(repr((flags, versions)).encode())
    return key.hexdigest()[:16]


def _cache_folder() -> str | None:
    """Return a writable folder for compiled kernels, or None where there is none."""
    candidates = [
        Path(numba.config.CACHE_DIR) if numba.config.CACHE_DIR else user_cache_path("mtfast"),
        Path(tempfile.gettempdir()) / f"mtfast-{os.getuid() if hasattr(os, 'getuid') else 'user'}",
    ]
    for candidate in candidates:
        folder = candidate / f"kernels-{cache_key()}"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError:
            continue
        # Compiled code is loaded as it lies there: it must be nobody else's to write.
        ours = not hasattr(os, "getuid") or folder.stat().st_uid == os.getuid()
        if ours and os.access(folder, os.W_OK):
            return str(folder)
    return None


_FOLDER = None if numba.config.DISABLE_JIT else _cache_folder()


def kernel(*signatures: Any) -> Callable[[Callable[..., Any]], Kernel]:
    """Compile a function for the given signatures, without the GIL, and cache it on disk.

    Examples
    --------
    >>> from mtfast.kernels.jit import i64, kernel, read, u8
    >>> @kernel(i64(read(u8)))                      # doctest: +SKIP
    ... def n_bytes(text):
    ...     return text.size
    """

    def compile_(function: Callable[..., Any]) -> Kernel:
        if numba.config.DISABLE_JIT:
            return function
        # numba picks the cache folder of a function when it is decorated, from its global
        # configuration, which belongs to the user: put it back at once.
        theirs = numba.config.CACHE_DIR
        numba.config.CACHE_DIR = _FOLDER or theirs
        try:
            compiled: Kernel = numba.njit(list(signatures), nogil=True, cache=_FOLDER is not None)(
                function
            )
        finally:
            numba.config.CACHE_DIR = theirs
        return compiled

    return compile_
