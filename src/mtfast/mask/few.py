"""Few masks at once: areas, boxes, overlaps and unions without the cost of calls through Python.

Each function is one of :mod:`mtfast.kernels.objects.masks`, which is loaded when the first of them
is asked for. It answers lists of plain dicts, or one dict, and returns False for everything else:
then the caller goes on as if it had not called. Where compiled code cannot read objects (PyPy,
Python without its lock), or ``MTFAST_FEW_MASKS=0`` says so, each of them returns False, always.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from typing import Any

logger = logging.getLogger(__name__)

areas: Callable[..., bool]
boxes: Callable[..., bool]
merged: Callable[..., bytes]
overlaps: Callable[..., bool]

__all__ = ["areas", "boxes", "merged", "overlaps"]

SWITCH = "MTFAST_FEW_MASKS"


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    functions = _functions()
    # Python asks here only for what the module does not have.
    globals().update(functions)
    return functions[name]


def _functions() -> dict[str, Any]:
    if os.environ.get(SWITCH) == "0":
        return dict.fromkeys(__all__, _no_answer)
    from mtfast.kernels.objects.builtin import problem

    found = problem()
    if found:
        logger.info("few masks are not read by compiled code: %s", found)
        return dict.fromkeys(__all__, _no_answer)
    from mtfast.kernels.objects import masks

    return {name: getattr(masks, name) for name in __all__}


def _no_answer(*arguments: Any) -> bool:
    return False
