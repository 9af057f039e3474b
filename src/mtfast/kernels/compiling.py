"""Compilation by numba, which is imported with this module, and only where something is compiled.

Kernels are modules of plain Python: what they use of each other, of
:mod:`mtfast.kernels.intrinsics` and of :mod:`mtfast.kernels.jit` is no object of numba, and numba
is told here what each stands for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from types import CodeType
from typing import Any, NamedTuple

import numba
from llvmlite import binding
from numba import types
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import register_pass
from numba.core.lowering import Lower
from numba.core.registry import cpu_target
from numba.core.typed_passes import BaseNativeLowering, NativeLowering

from mtfast.kernels import entries
from mtfast.kernels.intrinsics import PLAIN
from mtfast.kernels.jit import DECLARED, PARTS, Deferred
from mtfast.kernels.linking import SYMBOLS
from mtfast.kernels.lowering import INTRINSICS
from mtfast.kernels.signatures import Array, Pair, Scalar, Signature, i64

__all__ = ["Compiled", "compile_kernel", "compile_object_function", "dispatcher", "part"]

# Nothing of numba is needed at run time: a division by zero gives what it gives in numpy and raises
# nothing; what is compiled allocates nothing and owns nothing, so it counts no references.
_OPTIONS = {"nogil": True, "error_model": "numpy", "_nrt": False, "no_cfunc_wrapper": True}

for _name, _address in SYMBOLS.items():
    binding.add_symbol(_name, _address)


class Compiled(NamedTuple):
    """One signature of a function, compiled.

    Attributes
    ----------
    symbol : str
        Of its entry.
    code : bytes
        The object file.
    address : int
        Of its entry, as numba has linked it.
    """

    symbol: str
    code: bytes
    address: int


def compile_kernel(
    function: Callable[..., Any], signatures: Iterable[Signature]
) -> Iterator[Compiled]:
    """Compile a kernel for its signatures.

    Parameters
    ----------
    function : callable
    signatures : iterable of Signature

    Yields
    ------
    Compiled
    """
    compiled = _kernel(function, tuple(signatures))
    return (_taken_from(compiled.overloads[arguments]) for arguments in compiled.overloads)


def compile_object_function(function: Callable[[int, int, int], int]) -> Compiled:
    """Compile a function that gets its arguments as objects.

    Parameters
    ----------
    function : callable
        From three int64 to one.

    Returns
    -------
    Compiled
    """
    introduce(function)
    compiled = numba.njit(pipeline_class=_ObjectCompiler, **_OPTIONS)(function)
    compiled.compile(_signature(i64(i64, i64, i64)))
    (overload,) = compiled.overloads.values()
    return _taken_from(overload)


def dispatcher(function: Callable[..., Any], signatures: Iterable[Signature]) -> Any:
    """Compile a kernel as numba does it by itself.

    Parameters
    ----------
    function : callable
    signatures : iterable of Signature

    Returns
    -------
    numba dispatcher
    """
    introduce(function)
    compiled = numba.njit(**_OPTIONS)(function)
    return _compiled_for(compiled, signatures)


def part(function: Callable[..., Any]) -> Any:
    """Compile a function for the arguments that it gets.

    Parameters
    ----------
    function : callable

    Returns
    -------
    numba dispatcher
    """
    introduce(function)
    return numba.njit(**_OPTIONS)(function)


@cache
def _kernel(function: Callable[..., Any], signatures: tuple[Signature, ...]) -> Any:
    introduce(function)
    compiled = numba.njit(pipeline_class=_KernelCompiler, **_OPTIONS)(function)
    return _compiled_for(compiled, signatures)


def _compiled_for(compiled: Any, signatures: Iterable[Signature]) -> Any:
    for signature in signatures:
        compiled.compile(_signature(signature))
    compiled.disable_compile()
    return compiled


def _taken_from(overload: Any) -> Compiled:
    if overload.library.has_dynamic_globals:
        name = overload.fndesc.qualname
        raise TypeError(f"{name} refers to a large array; pass it as an argument")
    symbol = overload.fndesc.llvm_cpython_wrapper_name
    address = overload.library.get_pointer_to_function(symbol)
    return Compiled(symbol, overload.library._get_compiled_object(), address)


def introduce(function: Callable[..., Any]) -> None:
    """Tell numba what the globals of a function stand for.

    Parameters
    ----------
    function : callable
    """
    for name in _names(function.__code__):
        if name in function.__globals__:
            _introduce(function.__globals__[name])


def _names(code: CodeType) -> Iterator[str]:
    """Yield the names in a function, and in those that are defined in it."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


# What numba knows, and what it stands for, by its identity: numba keeps no reference to either.
_introduced: dict[int, tuple[Any, Any]] = {}


def _introduce(thing: Any) -> None:
    if id(thing) in _introduced:
        return
    known = _for_numba(thing)
    if known is not None:
        _introduced[id(thing)] = thing, known
        context = cpu_target.typing_context
        # numba has not read yet what was declared since it compiled last.
        context.refresh()
        context.insert_global(thing, context.resolve_value_type(known))


def _for_numba(thing: Any) -> Any:
    """Return what a global stands for; None if numba knows it by itself."""
    if isinstance(thing, Scalar):
        return _type(thing)
    if isinstance(thing, Deferred):
        return thing.make()
    if id(thing) in DECLARED:
        declared = DECLARED[id(thing)]
        return _kernel(declared.function, declared.signatures)
    if id(thing) in PARTS:
        return part(thing)
    return next((INTRINSICS[name] for name, twin in PLAIN.items() if twin is thing), None)


def _type(kind: Any) -> Any:
    if isinstance(kind, Array):
        layout = "C" if kind.is_contiguous else "A"
        element = _type(kind.element)
        return types.Array(element, kind.n_dimensions, layout, readonly=not kind.is_written)
    if isinstance(kind, Pair):
        return types.UniTuple(_type(kind.element), 2)
    return getattr(types, kind.name)


def _signature(signature: Signature) -> Any:
    return _type(signature.result)(*map(_type, signature.arguments))


# What follows puts an entry of ours in the place of numba's own.


class _KernelLower(Lower):
    def create_cpython_wrapper(self, release_gil: bool = False) -> None:
        self.library.add_ir_module(entries.kernel_entry(self.context, self.fndesc))


class _ObjectLower(Lower):
    def create_cpython_wrapper(self, release_gil: bool = False) -> None:
        self.library.add_ir_module(entries.object_entry(self.context, self.fndesc))


@register_pass(mutates_CFG=True, analysis_only=False)
class _KernelLowering(BaseNativeLowering):
    _name = "mtfast_kernel_lowering"
    lowering_class = _KernelLower


@register_pass(mutates_CFG=True, analysis_only=False)
class _ObjectLowering(BaseNativeLowering):
    _name = "mtfast_object_lowering"
    lowering_class = _ObjectLower


def _pipelines(state: Any, lowering: type) -> list[Any]:
    pipeline = DefaultPassBuilder.define_nopython_pipeline(state)
    pipeline.passes = [
        (lowering if one is NativeLowering else one, text) for one, text in pipeline.passes
    ]
    pipeline.finalize()
    return [pipeline]


class _KernelCompiler(CompilerBase):
    def define_pipelines(self) -> list[Any]:
        return _pipelines(self.state, _KernelLowering)


class _ObjectCompiler(CompilerBase):
    def define_pipelines(self) -> list[Any]:
        return _pipelines(self.state, _ObjectLowering)
