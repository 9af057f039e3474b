"""What a reader and a dataset are given, checked."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal

from mtfast.addresses import Address, locate
from mtfast.errors import MtfastError, shown
from mtfast.loaders.views import Augment
from mtfast.store.reading.store import Store

__all__ = [
    "CROWDS",
    "TARGETS",
    "Crowds",
    "StoreLike",
    "checked_augment",
    "checked_intensity",
    "checked_targets",
    "place_of",
]

StoreLike = str | os.PathLike[str] | Store

TARGETS = ("semantic", "instances")

Crowds = Literal["drop", "ignore", "keep"]
CROWDS: tuple[Crowds, ...] = ("drop", "ignore", "keep")
"""What becomes of annotations that are marked as crowds; see Reader."""


def place_of(store: StoreLike) -> Path | Address:
    """Return where a store is.

    Parameters
    ----------
    store : path-like or Store

    Returns
    -------
    Path or Address
        A path is absolute.
    """
    if isinstance(store, Store):
        return store.path
    place = locate(store)
    return place if isinstance(place, Address) else place.absolute()


def checked_augment(augment: Any) -> Augment | None:
    """Return how views vary, if it is that.

    Parameters
    ----------
    augment : Augment or None

    Returns
    -------
    Augment or None

    Raises
    ------
    MtfastError
    """
    if augment is not None and not isinstance(augment, Augment):
        raise MtfastError(
            f"augment is {shown(augment)}; expected an mtfast.loaders.Augment; make one"
        )
    return augment


def checked_intensity(intensity: Any) -> tuple[float, float] | None:
    """Return the values of 16 bits that become 0 and 255.

    Parameters
    ----------
    intensity : (low, high) or None

    Returns
    -------
    (float, float) or None

    Raises
    ------
    MtfastError
        If they are not two numbers, the second one larger.

    Examples
    --------
    >>> checked_intensity([0, 4095])
    (0.0, 4095.0)
    """
    if intensity is None:
        return None
    try:
        low, high = map(float, intensity)
    except (TypeError, ValueError):
        low = high = 0.0
    if not low < high < float("inf"):
        raise MtfastError(
            f"intensity is {shown(intensity)}; expected (low, high), two numbers of which the "
            f"second is larger; correct it"
        )
    return low, high


def checked_targets(targets: Any) -> tuple[str, ...]:
    """Return the targets in the order of TARGETS.

    Parameters
    ----------
    targets : collection of str

    Returns
    -------
    tuple of str

    Raises
    ------
    MtfastError
        If there is no such target, or it is one text.

    Examples
    --------
    >>> checked_targets({"instances", "semantic"})
    ('semantic', 'instances')
    """
    several = isinstance(targets, Collection) and not isinstance(targets, str)
    if not several or any(target not in TARGETS for target in targets):
        raise MtfastError(f"targets {shown(targets)}; expected some of {TARGETS}; give a list")
    return tuple(t for t in TARGETS if t in targets)
