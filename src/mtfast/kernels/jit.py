"""Declaration of kernels, which numba compiles, and which run without it.

Kernels are single-threaded and release the GIL; callers run them side by side. Each kernel is
declared with its signatures and compiled for exactly those when its module is imported, if its
machine code is not on disk (:mod:`mtfast.kernels.code_folder`). What is there is linked when the
kernel is called first (:mod:`mtfast.kernels.linking`): numba, which takes 0.2 s to import and 0.13
more to set up, is not needed then. numba's own cache needs it; it also loads a cached caller after
a callee in another file has changed, and unchecked code when bounds checks are asked for; a damaged
file makes it fail, and so does a full disk.

``NUMBA_DISABLE_JIT=1`` runs the kernels as plain Python.
"""

from __future__ import annotations

import hashlib
import logging
import marshal
import os
import pickle
import threading
from collections.abc import Callable
from functools import partial, update_wrapper
from importlib import import_module
from typing import Any

import numpy as np

from mtfast.kernels import layout
from mtfast.kernels.code_folder import CODE_FOLDER, IS_COMPILED, cache_key, processor
from mtfast.kernels.linking import builtin_function, link
from mtfast.kernels.signatures import (
    Signature,
    f32,
    f64,
    i16,
    i32,
    i64,
    pair,
    read,
    strided,
    u8,
    u16,
    u32,
    u64,
    write,
)

__all__ = [
    "COMPILED",
    "DECLARED",
    "IS_COMPILED",
    "PARTS",
    "Deferred",
    "c_function",
    "cache_key",
    "f32",
    "f64",
    "i16",
    "i32",
    "i64",
    "kernel",
    "pair",
    "part",
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

COMPILED: list[str] = []
"""The functions that this process has compiled, as their machine code was not on disk."""

DECLARED: dict[int, _Declared] = {}
"""The kernels, by the identity of what is called."""

PARTS: dict[int, Callable[..., Any]] = {}
"""Functions that are compiled as parts of others, by their identity."""

_LOCK = threading.RLock()
if hasattr(os, "register_at_fork"):
    # A child has no thread that would release it.
    os.register_at_fork(
        before=_LOCK.acquire, after_in_parent=_LOCK.release, after_in_child=_LOCK.release
    )


class Deferred:
    """Something of numba that compiled code uses, made when it is needed.

    Parameters
    ----------
    module, name : str
        Where it is.
    *arguments : object
        If there are any, it is what this returns for them.
    """

    def __init__(self, module: str, name: str, *arguments: Any) -> None:
        self._place = module, name
        self._arguments = arguments

    def make(self) -> Any:
        """Return it."""
        module, name = self._place
        thing = getattr(import_module(module), name)
        return thing(*self._arguments) if self._arguments else thing


def part(function: Callable[..., Any]) -> Callable[..., Any]:
    """Declare a function that is compiled as a part of those that call it.

    Parameters
    ----------
    function : callable

    Returns
    -------
    callable
        The same.
    """
    PARTS[id(function)] = function
    return function


class _Declared:
    """A kernel: what is called, and where its machine code comes from."""

    def __init__(self, function: Callable[..., Any], signatures: tuple[Signature, ...]) -> None:
        self.function = function
        self.signatures = signatures
        self._linked: Callable[..., Any] | None = None
        self._chain: list[Callable[..., Any]] = []
        # It may be replaced while it runs in another thread, so it stays.
        self._replaced = self._first_call
        # In C, so that the calls after the first take 0.03 us more than those of the builtin.
        self.call = update_wrapper(partial(self._replaced), function)
        with _LOCK:
            if not CODE_FOLDER.has(_file_name(function, signatures)):
                self._link(_compile_kernel(function, signatures))

    def _first_call(self, *arguments: Any) -> Any:
        with _LOCK:
            linked = self._linked or self._link(
                _addresses(self.function, self.signatures, _compile_kernel)
            )
        return linked(*arguments)

    def _link(self, addresses: list[int]) -> Callable[..., Any]:
        """Replace the first call by a chain: the entry of each signature, and what explains."""
        self._chain = [self._explain]
        for address in reversed(addresses):
            entry = builtin_function(self.function.__name__, address, self._chain[-1])
            self._chain.append(entry)
        self._linked = self._chain[-1]
        self.call.__setstate__(  # type: ignore[attr-defined]
            (self._linked, (), {}, self.call.__dict__)
        )
        return self._linked

    def _explain(self, *arguments: Any) -> Any:
        """Raise what a kernel has failed with, or say which arguments it takes."""
        if len(arguments) == 2 and any(arguments[0] is link for link in self._chain):
            # From an entry, which nobody else has: an error that numba has pickled when the kernel
            # was compiled.
            kind, details, *_ = pickle.loads(arguments[1])  # noqa: S301
            raise kind(*details)
        found = ", ".join(map(_described, arguments))
        takes = " or ".join(map(str, self.signatures))
        raise TypeError(f"{self.function.__name__} got ({found}); it takes {takes}")


def _described(value: Any) -> str:
    if not isinstance(value, np.ndarray):
        return f"{type(value).__name__} {value!r:.40}"
    flags = value.flags
    lacks = (
        ("not contiguous", flags.c_contiguous),
        ("not aligned", flags.aligned),
        ("read-only", flags.writeable),
    )
    return " ".join((*(text for text, has in lacks if not has), f"{value.dtype} {value.ndim}-d"))


def _file_name(function: Callable[..., Any], signatures: tuple[Signature, ...]) -> str:
    # With the processor, as nodes of different kinds may share a home folder.
    key = hashlib.sha256(repr((signatures, processor())).encode()).hexdigest()[:16]
    return f"{_name(function)}-{key}.nbc"


def _name(function: Callable[..., Any]) -> str:
    return f"{function.__module__}.{function.__qualname__}"


def _addresses(
    function: Callable[..., Any],
    signatures: tuple[Signature, ...],
    compile_: Callable[[Callable[..., Any], tuple[Signature, ...]], list[int]],
) -> list[int]:
    """Return the addresses of the entries of a function, of which the code may be on disk."""
    code = CODE_FOLDER.load(_file_name(function, signatures))
    if code is not None:
        try:
            # The digest holds, so this is what a process with the same key has saved.
            return link(marshal.loads(code))  # noqa: S302
        except RuntimeError as error:
            logger.info("%s cannot be linked and is compiled anew: %s", _name(function), error)
    return compile_(function, signatures)


def _compile_kernel(function: Callable[..., Any], signatures: tuple[Signature, ...]) -> list[int]:
    from mtfast.kernels import compiling

    return _keep(function, signatures, list(compiling.compile_kernel(function, signatures)))


def _compile_object_function(
    function: Callable[..., Any], signatures: tuple[Signature, ...]
) -> list[int]:
    from mtfast.kernels import compiling

    return _keep(function, signatures, [compiling.compile_object_function(function)])


def _keep(
    function: Callable[..., Any], signatures: tuple[Signature, ...], compiled: list[Any]
) -> list[int]:
    """Save machine code, if the key of the folder covers its source; return the addresses."""
    COMPILED.append(_name(function))
    if function.__module__.startswith(f"{__package__}."):
        objects = [(one.symbol, one.code) for one in compiled]
        CODE_FOLDER.save(_file_name(function, signatures), marshal.dumps(objects))
    return [one.address for one in compiled]


def _problem() -> str | None:
    found = layout.problem() if IS_COMPILED else None
    if found:
        logger.warning("kernels are compiled anew in each process, in half a minute: %s", found)
    return found


_PROBLEM = _problem()


def kernel(*signatures: Any) -> Callable[[Callable[..., Any]], Kernel]:
    """Compile a function for the given signatures, without the GIL, and keep the machine code.

    Parameters
    ----------
    *signatures : Signature
        Return type and argument types, ``i64(read(u8), write(i64))`` for instance.

    Returns
    -------
    callable
        A decorator. Machine code is kept only for functions of modules below ``mtfast.kernels``,
        as the key of the folder covers no other sources. The kernel raises TypeError for arguments
        of which the types are none of its signatures; numbers may be whatever can be an index.

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

    def declare(function: Callable[..., Any]) -> Kernel:
        if not IS_COMPILED:
            return function
        if _PROBLEM:
            from mtfast.kernels import compiling

            return compiling.dispatcher(function, signatures)  # type: ignore[no-any-return]
        declared = _Declared(function, signatures)
        DECLARED[id(declared.call)] = declared
        return declared.call

    return declare


def c_function(function: Callable[[int, int, int], int]) -> int:
    """Compile a function of three addresses for C, with the GIL, and keep the machine code.

    Parameters
    ----------
    function : callable
        From three int64 to one: what :func:`mtfast.kernels.linking.builtin_function` calls.

    Returns
    -------
    int
        The address of the compiled function, which stays as long as the process.
    """
    with _LOCK:
        (address,) = _addresses(function, (), _compile_object_function)
    return address
