"""One body, compiled twice: by numba-cuda for a GPU, and by numba for the host, to be tested.

A kernel is run by many blocks of threads. The threads of a block share an array of scratch memory,
in which nothing is set at the start. Work that needs what other threads have written to it is put
into another phase, a function that follows with ``then``: between two phases the threads of a
block wait for each other. On the host loops stand for blocks and threads, phase by phase::

    blocks  by = 0 .. n-1,  bx = 0 .. m-1        grid (m, n)
    threads t = 0 .. threads-1
        phase 0(bx, by, t, scratch, arguments)
        -- barrier --
        phase 1(bx, by, t, scratch, arguments)

Arrays have one dimension. On the device they are bare addresses, so nothing is known of their
length there; whatever may be damaged is checked by the bodies themselves, and the host twin runs
with numba's bounds checks in the tests.

A GPU pays for 64-bit integers, and numba makes ``int32 + int32`` an int64. So bodies cast each step
that is hot, as in ``i32(a + b)``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import partial
from types import FunctionType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtfast.caching import cached_property
from mtfast.kernels import jit
from mtfast.kernels.jit import IS_COMPILED
from mtfast.kernels.signatures import Scalar

__all__ = [
    "DeviceCode",
    "DeviceFunction",
    "DeviceKernel",
    "device_function",
    "device_kernel",
    "dtype_of",
    "import_compiler",
]

# Python names of the arguments that every body begins with.
_PLACE = ("bx", "by", "t", "scratch")


_DTYPES = {
    "u8": np.uint8,
    "u16": np.uint16,
    "u32": np.uint32,
    "i16": np.int16,
    "i32": np.int32,
    "i64": np.int64,
    "f32": np.float32,
}


def dtype_of(type_: str) -> np.dtype[Any]:
    """Return the dtype of an argument of a type, or of the elements of an array.

    Parameters
    ----------
    type_ : str
        As kernels are declared: ``i64`` or ``u8[]``.

    Returns
    -------
    dtype
    """
    return np.dtype(_DTYPES[type_.removesuffix("[]")])


class DeviceFunction:
    """A function that bodies call; in plain Python it is what it was made of.

    Parameters
    ----------
    function : callable
    on_device : str, optional
        Name in numba-cuda's ``libdevice`` of what stands for it on the device.
    """

    def __init__(self, function: Callable[..., Any], on_device: str | None = None) -> None:
        self.function = function
        self._on_device = on_device
        self.__doc__ = function.__doc__
        self.__name__ = function.__name__

    def __call__(self, *arguments: Any) -> Any:
        """Call the function in plain Python."""
        return self.function(*arguments)

    @cached_property
    def on_host(self) -> Callable[..., Any]:
        """The function, with those that it calls, as parts of kernels of the host."""
        return jit.part(self._calling(lambda called: called.on_host, lambda kind: kind))

    def on_device(self, cuda: Any) -> Any:
        """Compile the function for a GPU, after those that it calls.

        Parameters
        ----------
        cuda : module
            numba-cuda's ``numba.cuda``.

        Returns
        -------
        callable
        """
        if self._on_device is not None:
            return getattr(cuda.libdevice, self._on_device)
        from numba import types

        clone = self._calling(
            lambda called: called.on_device(cuda), lambda kind: getattr(types, kind.name)
        )
        return cuda.jit(device=True)(clone)

    def _calling(
        self, compiled: Callable[[DeviceFunction], Any], type_of: Callable[[Scalar], Any]
    ) -> Callable[..., Any]:
        """Clone the function, with compiled ones and types in place of those that it names."""
        function = self.function
        scope = dict(function.__globals__)
        for name in function.__code__.co_names:
            named = scope.get(name)
            if isinstance(named, DeviceFunction):
                scope[name] = compiled(named)
            elif isinstance(named, Scalar):
                scope[name] = type_of(named)
        return FunctionType(
            function.__code__, scope, function.__name__, function.__defaults__, function.__closure__
        )


def device_function(
    function: Callable[..., Any] | None = None, *, on_device: str | None = None
) -> Any:
    """Let bodies call a function.

    Parameters
    ----------
    function : callable
    on_device : str, optional
        As for :class:`DeviceFunction`.

    Returns
    -------
    DeviceFunction
        Or a decorator, without a function.

    Examples
    --------
    >>> @device_function
    ... def twice(x):
    ...     return x + x
    >>> twice(3)
    6
    """
    if function is None:
        return partial(DeviceFunction, on_device=on_device)
    return DeviceFunction(function, on_device)


class DeviceCode(NamedTuple):
    """PTX of a kernel, and the name of its entry."""

    ptx: bytes
    entry: str


class DeviceKernel:
    """A kernel; see the module for what it consists of.

    Parameters
    ----------
    phases : sequence of DeviceFunction
        Of equal arguments: block ``bx`` and ``by``, thread ``t``, ``scratch``, then the kernel's.
    types : str
        Of each argument after these: ``u8[]`` for an array, ``i64`` for a number.
    threads : int
        In a block.
    scratch : (str, int)
        Type and number of the elements that the threads of a block share.
    name : str, optional
        By default that of the first phase.

    Attributes
    ----------
    name : str
    """

    def __init__(
        self,
        phases: Sequence[DeviceFunction],
        types: str,
        threads: int,
        scratch: tuple[str, int] = ("u8", 1),
        name: str | None = None,
    ) -> None:
        self.phases = tuple(phases)
        self.types = tuple(types.split())
        self.threads = threads
        self.scratch = scratch
        first = self.phases[0].function
        self.name = name or first.__name__
        self.module = first.__module__
        self.__doc__ = first.__doc__
        names = tuple(inspect.signature(first).parameters)
        self.names = names[len(_PLACE) :]
        if names[: len(_PLACE)] != _PLACE or len(self.names) != len(self.types):
            raise TypeError(f"{self.name}{names} and types {self.types}; expected one for each")

    def run(self, grid: tuple[int, int], *arguments: Any) -> None:
        """Run the kernel on the host.

        Parameters
        ----------
        grid : (int, int)
            Blocks along ``bx`` and ``by``.
        *arguments : one-dimensional arrays and int
        """
        kind, n = self.scratch
        shared: NDArray[Any] = np.zeros(n, dtype_of(kind))
        given = [
            argument if type_.endswith("[]") else np.int64(argument)
            for argument, type_ in zip(arguments, self.types, strict=True)
        ]
        for argument, type_ in zip(given, self.types, strict=True):
            if type_.endswith("[]") and argument.dtype != dtype_of(type_):
                raise TypeError(f"{self.name} given {argument.dtype}; expected {type_}")
        self._host(*grid, shared, *given)

    @cached_property
    def _host(self) -> Any:
        """The loops over blocks and threads, compiled."""
        names = ", ".join(self.names)
        lines = [f"def {self.name}(n_x, n_y, scratch, {names}):"]
        lines += ["    for by in range(n_y):", "        for bx in range(n_x):"]
        for number in range(len(self.phases)):
            lines += [
                f"            for t in range({self.threads}):",
                f"                phase_{number}(i32(bx), i32(by), i32(t), scratch, {names})",
            ]
        lines += ["    return 0"]
        phases = {
            f"phase_{n}": phase.on_host if IS_COMPILED else phase
            for n, phase in enumerate(self.phases)
        }
        loops = self._made(lines, phases | {"i32": jit.i32})
        # Its machine code is kept as that of the kernels of its module is.
        loops.__module__ = self.module
        elements = (self.scratch[0] + "[]", *self.types)
        arguments = [
            jit.write(getattr(jit, type_[:-2])) if type_.endswith("[]") else getattr(jit, type_)
            for type_ in elements
        ]
        return jit.kernel(jit.i64(jit.i64, jit.i64, *arguments))(loops)

    def compile_for(self, capability: tuple[int, int]) -> DeviceCode:
        """Compile the kernel for a GPU with numba-cuda.

        Parameters
        ----------
        capability : (major, minor)
            Compute capability of the current device.

        Returns
        -------
        DeviceCode
        """
        from numba import cuda, types

        arguments = ", ".join(self.names)
        kind, n = self.scratch
        lines = [
            f"def {self.name}({arguments}):",
            f"    scratch = cuda.shared.array({n}, {kind})",
            "    bx, by, t = i32(cuda.blockIdx.x), i32(cuda.blockIdx.y), i32(cuda.threadIdx.x)",
        ]
        for number in range(len(self.phases)):
            lines += ["    cuda.syncthreads()"] * (number > 0)
            lines += [f"    phase_{number}(bx, by, t, scratch, {arguments})"]
        phases = {f"phase_{n}": phase.on_device(cuda) for n, phase in enumerate(self.phases)}
        scope = phases | {
            "cuda": cuda,
            "i32": types.int32,
            kind: getattr(types, dtype_of(kind).name),
        }
        signature = []
        for type_ in self.types:
            element = getattr(types, dtype_of(type_).name)
            signature.append(types.CPointer(element) if type_.endswith("[]") else element)
        ptx, _ = cuda.compile(
            self._made(lines, scope),
            tuple(signature),
            device=False,
            output="ptx",
            abi="numba",
            cc=capability,
        )
        text = ptx if isinstance(ptx, str) else ptx.decode()
        entry = text.split(".visible .entry ", 1)[1].split("(", 1)[0].strip()
        return DeviceCode(text.encode(), entry)

    def _made(self, lines: Sequence[str], scope: dict[str, Any]) -> Any:
        """Make a function of its text: numba takes no number of arguments that varies."""
        made: dict[str, Any] = {}
        exec("\n".join(lines), scope, made)  # noqa: S102
        return made[self.name]


def device_kernel(
    types: str,
    threads: int,
    scratch: tuple[str, int] = ("u8", 1),
    then: Sequence[DeviceFunction] = (),
) -> Callable[[Callable[..., Any]], DeviceKernel]:
    """Make a kernel of its first phase; the arguments are those of :class:`DeviceKernel`.

    Parameters
    ----------
    types : str
    threads : int
    scratch : (str, int)
    then : sequence of DeviceFunction
        The other phases.

    Returns
    -------
    callable
        A decorator.

    Examples
    --------
    >>> @device_kernel("u8[] i64", threads=32)
    ... def fill(bx, by, t, scratch, out, n):
    ...     if 32 * bx + t < n:
    ...         out[32 * bx + t] = by
    >>> out = np.zeros(4, np.uint8)
    >>> fill.run((1, 2), out, 3)
    >>> out
    array([1, 1, 1, 0], dtype=uint8)
    """
    return lambda function: DeviceKernel((DeviceFunction(function), *then), types, threads, scratch)


def import_compiler() -> None:
    """Import numba-cuda with the parts that it leaves until something is compiled.

    Raises
    ------
    ImportError, AttributeError
        If it does not go with what is installed beside it: version 0.30.4 takes a function from
        numpy that 2.5 no longer has.
    """
    from numba.cuda import cudaimpl  # noqa: F401
