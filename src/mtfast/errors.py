"""What mtfast raises. Every message says what was found, what was expected and what to do."""

from __future__ import annotations

from typing import Any


class MtfastError(ValueError):
    """Bad input or bad usage; the base of every error that mtfast raises on purpose."""


class RLEError(MtfastError):
    """An RLE that does not describe a mask of its frame."""


class SourceError(MtfastError):
    """A dataset that is missing, unreadable or contradicts itself."""


class StoreError(MtfastError):
    """A store that is missing, incomplete, damaged or in the way."""


def shown(value: Any) -> str:
    """Return what was given as it may stand in a message: on one line, and not a long one.

    Examples
    --------
    >>> shown([[1, 2], "x"])
    "[[1, 2], 'x']"
    """
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:77]}..."
