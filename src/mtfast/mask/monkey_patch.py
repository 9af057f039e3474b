"""Replaces pycocotools' functions, so that existing code runs on mtfast without being edited."""

from __future__ import annotations

import importlib
import logging
import sys
from types import ModuleType, TracebackType
from typing import Any, NamedTuple

from mtfast.errors import MtfastError
from mtfast.mask.measures import area, iou, toBbox
from mtfast.mask.operations import merge
from mtfast.mask.pixels import decode, encode
from mtfast.mask.py_objects import frPyObjects

__all__ = ["Installed", "install", "uninstall"]

logger = logging.getLogger(__name__)

_FUNCTIONS = {f.__name__: f for f in (encode, decode, area, toBbox, iou, merge, frPyObjects)}

# Its compiled functions are what pycocotools.mask itself calls.
_COMPILED = "pycocotools._mask"


class _Replaced(NamedTuple):
    """A name of a module that stands for a function of mtfast, and what it stood for before."""

    module: ModuleType
    name: str
    original: Any


_replaced: list[_Replaced] = []


class Installed:
    """What :func:`install` returns: the end of its ``with`` block uninstalls."""

    def __enter__(self) -> None:
        pass

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        uninstall()


def install() -> Installed:
    """Replace the functions of ``pycocotools.mask`` by mtfast's.

    Everything that calls them through that module runs on mtfast from then on: COCO, COCOeval,
    detectron2 and others, even if they imported the module before. Modules that have imported a
    function itself (``from pycocotools.mask import decode``) get mtfast's in its place; only what
    is kept elsewhere stays what it was: in a class, in a default argument, in a list.

    Returns
    -------
    Installed
        A context manager: the end of its ``with`` block uninstalls. May be left unused.

    Raises
    ------
    MtfastError
        If pycocotools is not installed.

    Examples
    --------
    >>> import mtfast.mask, pycocotools.mask
    >>> with mtfast.mask.install():
    ...     pycocotools.mask.area is mtfast.mask.area
    True
    """
    module = _pycocotools_mask()
    ours = {
        id(found): function
        for name, function in _FUNCTIONS.items()
        if (found := getattr(module, name)) is not function
    }
    for holder in _loaded_modules() if ours else ():
        for name, value in list(vars(holder).items()):
            if id(value) in ours:
                _replaced.append(_Replaced(holder, name, value))
                setattr(holder, name, ours[id(value)])
    if ours:
        others = sorted({held.module.__name__ for held in _replaced} - {module.__name__})
        logger.info(
            "pycocotools.mask is replaced%s", f", also in {', '.join(others)}" * bool(others)
        )
    return Installed()


def uninstall() -> None:
    """Put the functions of pycocotools back wherever :func:`install` has replaced them.

    Examples
    --------
    >>> import mtfast.mask
    >>> mtfast.mask.uninstall()
    """
    ours = {id(function) for function in _FUNCTIONS.values()}
    while _replaced:
        module, name, original = _replaced.pop()
        if id(vars(module).get(name)) in ours:
            setattr(module, name, original)


def _loaded_modules() -> list[ModuleType]:
    return [
        module
        for name, module in list(sys.modules.items())
        if isinstance(module, ModuleType) and name != _COMPILED
    ]


def _pycocotools_mask() -> ModuleType:
    try:
        return importlib.import_module("pycocotools.mask")
    except ImportError:
        raise MtfastError(
            "pycocotools is not installed; expected its module mask, to replace its functions; "
            "run: pip install pycocotools"
        ) from None
