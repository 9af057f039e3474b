"""JSON that the strict parser refuses."""

from __future__ import annotations

import json
from typing import Any

from mtfast.sources.coco.stream import BOM

__all__ = ["load_json"]


def load_json(data: bytes) -> Any:
    """Parse any JSON, also with NaN, Infinity and numbers of any length.

    Parameters
    ----------
    data : bytes

    Returns
    -------
    object
        None if it is not JSON.
    """
    try:
        return json.loads(data.removeprefix(BOM))
    except (ValueError, RecursionError):
        return None
