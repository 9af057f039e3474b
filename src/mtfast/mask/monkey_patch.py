"""Replaces pycocotools' functions, so that existing code runs on mtfast without being edited."""

from __future__ import annotations

import importlib
from types import ModuleType, TracebackType
from typing import Any

from mtfast.errors import MtfastError
from mtfast.mask.measures import area, iou, toBbox
from mtfast.mask.operations import merge
from mtfast.mask.pixels import decode, encode
from mtfast.mask.py_objects import frPyObjects

__all__ = ["Installed", "install", "uninstall"]

_FUNCTIONS = {f.__name__: f for f in (encode, decode, area, toBbox, iou, merge, frPyObjects)}

_originals: dict[str, Any] = {}


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
    """Replace the functions of the module ``pycocotools.mask`` by mtfast's.

    Everything that calls them through that module runs on mtfast from then on: COCO, COCOeval,
    detectron2 and others, even if they imported the module before. Names that were imported from it
    (``from pycocotools.mask import decode``) stay what they were.

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
    ...     pycocotools.mask.area([{"size": [2, 2], "counts": b"22"}]).dtype
    dtype('int64')
    """
    module = _pycocotools_mask()
    for name, function in _FUNCTIONS.items():
        _originals.setdefault(name, getattr(module, name))
        setattr(module, name, function)
    return Installed()


def uninstall() -> None:
    """Put the functions of pycocotools back into its module; nothing happens if they are there.

    Examples
    --------
    >>> import mtfast.mask
    >>> mtfast.mask.uninstall()
    """
    for name in list(_originals):
        setattr(_pycocotools_mask(), name, _originals.pop(name))


def _pycocotools_mask() -> ModuleType:
    try:
        return importlib.import_module("pycocotools.mask")
    except ImportError:
        raise MtfastError(
            "pycocotools is not installed; expected its module mask, to replace its functions; "
            "run: pip install pycocotools"
        ) from None
