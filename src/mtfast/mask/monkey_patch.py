"""Functions of ours in the place of a module's own, for code that is not to be edited."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from types import ModuleType, TracebackType
from typing import Any

from mtfast.errors import MtfastError

__all__ = ["Adopted", "adopt", "restore"]

_originals: dict[str, dict[str, Any]] = {}


class Adopted:
    """What :func:`adopt` returns: leaving its ``with`` block restores the module."""

    def __init__(self, module: str) -> None:
        self._module = module

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        restore(self._module)


def adopt(module: str, functions: Mapping[str, Callable[..., Any]]) -> Adopted:
    """Put functions into a module; MtfastError if it is not installed."""
    place = _import(module)
    kept = _originals.setdefault(module, {})
    for name, function in functions.items():
        kept.setdefault(name, getattr(place, name))
        setattr(place, name, function)
    return Adopted(module)


def restore(module: str) -> None:
    """Put back what :func:`adopt` has replaced."""
    for name, original in _originals.pop(module, {}).items():
        setattr(_import(module), name, original)


def _import(module: str) -> ModuleType:
    try:
        return importlib.import_module(module)
    except ImportError:
        package = module.partition(".")[0]
        raise MtfastError(
            f"no {package} to take the place of; expected it to be installed; "
            f"run: pip install {package}"
        ) from None
