"""What mtfast raises. Every message says what was found, what was expected and what to do."""

from __future__ import annotations


class MtfastError(ValueError):
    """Bad input or bad usage; the base of every error that mtfast raises on purpose."""


class RLEError(MtfastError):
    """An RLE that does not describe a mask of its frame."""


class SourceError(MtfastError):
    """A dataset that is missing, unreadable or contradicts itself."""


class StoreError(MtfastError):
    """A store that is missing, incomplete, damaged or in the way."""
