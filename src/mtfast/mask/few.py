"""Few masks at once: areas, boxes, overlaps and unions, without the cost of calls through Python.

Each function is one of :mod:`mtfast.kernels.objects`, and is loaded when it is first asked for. It
answers lists of plain dicts, one dict, polygons or a small frame, and returns False for everything
else: then the caller goes on as if it had not called. Where compiled code cannot read objects
(PyPy, Python without its lock), or ``MTFAST_FEW_MASKS=0`` says so, each of them returns False,
always.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from importlib import import_module
from typing import Any

logger = logging.getLogger(__name__)

area: Callable[..., Any]
areas: Callable[..., bool]
box_overlaps: Callable[..., bool]
boxes: Callable[..., bool]
compressed: Callable[..., bytes]
cropped: Callable[..., bytes]
decoded: Callable[..., bool]
encoded: Callable[..., bytes]
merged: Callable[..., bytes]
outlined: Callable[..., bytes]
overlaps: Callable[..., bool]

__all__ = [
    "area",
    "areas",
    "box_overlaps",
    "boxes",
    "compressed",
    "cropped",
    "decoded",
    "encoded",
    "merged",
    "outlined",
    "overlaps",
]

SWITCH = "MTFAST_FEW_MASKS"

_MODULES = {
    "area": "measures",
    "areas": "measures",
    "box_overlaps": "box_overlaps",
    "boxes": "measures",
    "compressed": "counting",
    "cropped": "windows",
    "decoded": "decoding",
    "encoded": "encoding",
    "merged": "merging",
    "outlined": "outlines",
    "overlaps": "overlaps",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    # Python asks here only for what the module does not have.
    function = globals()[name] = _load(name)
    return function


def _load(name: str) -> Any:
    if os.environ.get(SWITCH) == "0":
        return _no_answer
    from mtfast.kernels.objects.builtin import problem

    found = problem()
    if found:
        logger.info("few masks are not read by compiled code: %s", found)
        return _no_answer
    return getattr(import_module(f"mtfast.kernels.objects.{_MODULES[name]}"), name)


def _no_answer(*arguments: Any) -> bool:
    return False
