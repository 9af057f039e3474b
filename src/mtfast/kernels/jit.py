"""The only place that configures numba.

Kernels are single-threaded and release the GIL; callers run them side by side. Each kernel is
declared with its signatures and compiled for exactly those when its module is imported.

Machine code is kept on disk, a file for each signature, in a folder that is keyed on a hash of all
kernel sources, of the versions and of the flags that matter. numba's own cache is not used: it
loads a cached caller after a callee in another file has changed, and unchecked code when bounds
checks are asked for; a damaged file makes it fail, and so does a full disk.

``NUMBA_CACHE_DIR`` moves that folder; ``NUMBA_DISABLE_JIT=1`` runs the kernels as plain Python.
"""

from __future__ import annotations

import hashlib
import logging
import os
import pickle
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import llvmlite
import numba
import numpy
from numba import types
from numba.core.ccallback import CFunc
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps
from platformdirs import user_cache_path

from mtfast.atomic import write_file
from mtfast.errors import MtfastError

__all__ = [
    "CODE_FOLDER",
    "IS_COMPILED",
    "c_function",
    "cache_key",
    "f32",
    "f64",
    "i16",
    "i32",
    "i64",
    "kernel",
    "pair",
    "read",
    "strided",
    "u8",
    "u16",
    "u32",
    "u64",
    "write",
]

logger = logging.getLogger(__name__)

Kernel = Callable[..., int]
"""A kernel returns a count or a status; its argument types stand in its signatures."""

IS_COMPILED = not numba.config.DISABLE_JIT
"""Whether kernels are compiled, and not run as plain Python."""

u8, u16, u32, u64 = types.uint8, types.uint16, types.uint32, types.uint64
i16, i32, i64 = types.int16, types.int32, types.int64
f32, f64 = types.float32, types.float64

# Flags of numba that change the machine code, by their names in numba.config.
_FLAGS = (
    "BOUNDSCHECK",
    "CPU_FEATURES",
    "CPU_NAME",
    "DEBUGINFO_DEFAULT",
    "ENABLE_AVX",
    "LOOP_VECTORIZE",
    "OPT",
    "SLP_VECTORIZE",
)
_DIGEST_BYTES = 16

_NOT_KEPT = (
    "compiled kernels cannot be kept on disk, so each process compiles them again, which takes "
    "half a minute; set NUMBA_CACHE_DIR to a folder that you can write to"
)


def read(dtype: Any) -> Any:
    """Type of a one-dimensional input array; read-only arrays are accepted.

    Parameters
    ----------
    dtype : numba type
        Of an element, :data:`u8` for instance.

    Returns
    -------
    numba.types.Array
        C-contiguous.
    """
    return types.Array(dtype, 1, "C", readonly=True)


def write(dtype: Any) -> Any:
    """Type of a one-dimensional output array, which belongs to the caller.

    Parameters
    ----------
    dtype : numba type
        Of an element.

    Returns
    -------
    numba.types.Array
        C-contiguous and writeable.
    """
    return types.Array(dtype, 1, "C")


def strided(dtype: Any) -> Any:
    """Type of a two-dimensional output array of any strides.

    Parameters
    ----------
    dtype : numba type
        Of an element.

    Returns
    -------
    numba.types.Array
    """
    return types.Array(dtype, 2, "A")


def pair(*arguments: Any) -> Any:
    """Signature of a kernel that returns two int64.

    Parameters
    ----------
    *arguments : numba type

    Returns
    -------
    numba signature
    """
    return types.UniTuple(types.int64, 2)(*arguments)


def cache_key(folder: Path = Path(__file__).parent) -> str:
    """Hash what the machine code of the kernels depends on, apart from the processor.

    Parameters
    ----------
    folder : Path
        All Python sources below it count, by name and content.

    Returns
    -------
    str
        16 hexadecimal digits.
    """
    key = hashlib.sha256()
    for source in sorted(folder.rglob("*.py")):
        content = source.read_bytes()
        key.update(f"{source.relative_to(folder).as_posix()} {len(content)}\n".encode())
        key.update(content)
    flags = tuple(getattr(numba.config, flag, None) for flag in _FLAGS)
    versions = (numba.__version__, llvmlite.__version__, numpy.__version__, sys.version)
    key.update(repr((flags, versions)).encode())
    return key.hexdigest()[:16]


class _Folder:
    """Machine code kept on disk between processes; without a path nothing is kept."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._writes = path is not None

    def load(self, name: str) -> bytes | None:
        """Return what was saved under a name; None if it is not there, or not whole."""
        if self.path is None:
            return None
        try:
            stored = (self.path / name).read_bytes()
        except OSError:
            # Not there, or not to be read: compiled anew, and replaced if the folder allows it.
            return None
        code = stored[_DIGEST_BYTES:]
        if stored[:_DIGEST_BYTES] == _digest(code):
            return code
        logger.info("%s is damaged; the kernel is compiled anew", self.path / name)
        return None

    def save(self, name: str, code: bytes) -> None:
        """Save under a name, whole or not at all; after a failure nothing more is saved."""
        if self.path is None or not self._writes:
            return
        try:
            write_file(self.path / name, _digest(code) + code)
        except MtfastError as error:
            self._writes = False
            logger.warning("%s (%s)", _NOT_KEPT, error)


def _digest(code: bytes) -> bytes:
    return hashlib.blake2b(code, digest_size=_DIGEST_BYTES).digest()


def _kernel_folder() -> Path | None:
    """Return a folder that this user alone can write to, or None."""
    key = f"kernels-{cache_key()}"
    chosen = bool(numba.config.CACHE_DIR)
    refused: list[str] = []
    for find in (_first_choice, _in_temporary_folder):
        try:
            folder = find() / key
            _make_private(folder)
        except (OSError, RuntimeError) as error:
            refused.append(" ".join(str(error).split()))
            continue
        if refused:
            # What the user has asked for and not got is worth a warning.
            level = logging.WARNING if chosen else logging.INFO
            logger.log(level, "compiled kernels are kept in %s: %s", folder, refused[0])
        return folder
    logger.warning("%s (%s)", _NOT_KEPT, "; ".join(refused))
    return None


def _first_choice() -> Path:
    """Return the folder that the user has named, or the one that the platform has for caches."""
    if numba.config.CACHE_DIR:
        return Path(numba.config.CACHE_DIR)
    # Without a home folder platformdirs raises RuntimeError, or returns "~/.cache" as it is.
    folder = user_cache_path("mtfast")
    if not folder.is_absolute():
        raise RuntimeError(f"{folder} is not a path: this user has no home folder")
    return folder


def _in_temporary_folder() -> Path:
    """Return a folder of this user below the one that all users share."""
    user = os.getuid() if hasattr(os, "getuid") else "user"
    folder = Path(tempfile.gettempdir()) / f"mtfast-{user}"
    _make_private(folder)
    return folder


def _make_private(folder: Path) -> None:
    """Make a folder that nobody else can write to: what is in it is run as it is."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if hasattr(os, "getuid"):
        # Of a link itself, as its owner can point it elsewhere.
        status = folder.lstat()
        if status.st_uid != os.getuid():
            raise PermissionError(f"{folder} belongs to another user")
        if status.st_mode & 0o022 and not folder.is_symlink():
            raise PermissionError(f"other users can write to {folder}")
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"{folder} cannot be written to")


class _Cache:
    """The cache of one kernel, with the methods that numba's dispatcher calls."""

    def __init__(self, function: Callable[..., Any], folder: _Folder) -> None:
        self._name = f"{function.__module__}.{function.__qualname__}"
        self._folder = folder
        self.cache_path = folder.path

    def load_overload(self, signature: Any, target: Any) -> Any:
        """Return the compiled function for a signature, or None."""
        target.refresh()
        code = self._folder.load(self._file_name(signature, target.codegen()))
        # The digest holds, so this is what a process with the same key has saved.
        if code is None:
            return None
        return CompileResult._rebuild(target, *pickle.loads(code))  # noqa: S301

    def save_overload(self, signature: Any, compiled: Any) -> None:
        """Save a compiled function."""
        if compiled.library.has_dynamic_globals:
            raise TypeError(f"{self._name} refers to a large array; pass it as an argument")
        name = self._file_name(signature, compiled.codegen)
        self._folder.save(name, dumps(compiled._reduce()))

    def _file_name(self, signature: Any, codegen: Any) -> str:
        # With the processor, as nodes of different kinds may share a home folder.
        key = repr((signature, codegen.magic_tuple())).encode()
        return f"{self._name}-{hashlib.sha256(key).hexdigest()[:16]}.nbc"


CODE_FOLDER = _Folder(_kernel_folder() if IS_COMPILED else None)
"""Where machine code is kept between processes."""
_FOLDER = CODE_FOLDER


def kernel(*signatures: Any) -> Callable[[Callable[..., Any]], Kernel]:
    """Compile a function for the given signatures, without the GIL, and keep the machine code.

    Parameters
    ----------
    *signatures : numba signature
        Return type and argument types, ``i64(read(u8), write(i64))`` for instance.

    Returns
    -------
    callable
        A decorator. Machine code is kept only for functions of modules below ``mtfast.kernels``,
        as the key of the folder covers no other sources.

    Examples
    --------
    >>> import numpy as np
    >>> from mtfast.kernels.jit import i64, kernel, read, u8
    >>> @kernel(i64(read(u8)))
    ... def n_bytes(text):
    ...     return text.size
    >>> n_bytes(np.zeros(3, np.uint8))
    3
    """

    def compile_(function: Callable[..., Any]) -> Kernel:
        if not IS_COMPILED:
            return function
        compiled = numba.njit(nogil=True)(function)
        if function.__module__.startswith(f"{__package__}."):
            compiled._cache = _Cache(function, _FOLDER)
        for signature in signatures:
            compiled.compile(signature)
        compiled.disable_compile()
        return compiled  # type: ignore[no-any-return]

    return compile_


# Their machine code goes with them.
_c_functions: list[CFunc] = []


def c_function(function: Callable[[int, int, int], int]) -> int:
    """Compile a function of three addresses for C, with the GIL, and keep the machine code.

    Parameters
    ----------
    function : callable
        From three int64 to one. What it calls becomes part of it.

    Returns
    -------
    int
        The address of the compiled function, which stays as long as the process.
    """
    compiled = CFunc(function, ((i64, i64, i64), i64), locals={}, options={})
    compiled._cache = _Cache(function, _FOLDER)
    compiled.compile()
    _c_functions.append(compiled)
    return int(compiled.address)
