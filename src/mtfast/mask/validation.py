"""Whether the texts of masks tile their frames: raise for the first that does not, or list all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from mtfast.errors import MtfastError, RLEError
from mtfast.mask.dicts import Mask, Masks, dicts_of, rles_of
from mtfast.rles import Rles
from mtfast.table import RunTable, explain

__all__ = ["check_texts", "refuse", "scratch_for", "validate"]


def check_texts(rles: Rles, first: int = 0) -> Rles:
    """Return the masks if every text tiles its frame.

    Parameters
    ----------
    rles : Rles
    first : int
        Number of the first mask, for the message.

    Returns
    -------
    Rles
        The same.

    Raises
    ------
    RLEError
        For the first text that does not.
    """
    from mtfast.kernels.rle import coco_string

    bad = coco_string.check_strings(
        rles.text,
        rles.offsets,
        np.arange(rles.n + 1),
        rles.heights * rles.widths,
        scratch_for(rles),
    )
    if bad >= 0:
        refuse(rles, bad, first)
    return rles


def refuse(rles: Rles, k: int, first: int = 0) -> NoReturn:
    """Raise the error that says what is wrong with the text of a mask.

    Parameters
    ----------
    rles : Rles
    k : int
        Index of the mask.
    first : int
        Number of mask 0, for the message.

    Raises
    ------
    RLEError
        Always.
    """
    text = rles.text[rles.offsets[k] : rles.offsets[k + 1]].tobytes()
    reason = explain(text, int(rles.heights[k]), int(rles.widths[k]))
    raise RLEError(f"RLE {first + k}: {reason}")


def scratch_for(rles: Rles) -> NDArray[np.int64]:
    """Make scratch that holds the counts of any one mask.

    Parameters
    ----------
    rles : Rles

    Returns
    -------
    (n,) int64
    """
    return np.empty(int(np.diff(rles.offsets).max(initial=0)), np.int64)


def validate(rleObjs: Mask | Masks | Sequence[object]) -> list[tuple[int, str]]:
    """Report everything that is wrong with a list of masks, not only the first thing.

    Parameters
    ----------
    rleObjs : dict, or list of dicts, or RunTable
        Items that are no masks at all are reported too.

    Returns
    -------
    list of (int, str)
        The number in the list of each mask that is not sound, and what is wrong with it. Empty if
        all are sound.

    Examples
    --------
    >>> sound, short = {"size": [2, 2], "counts": b"22"}, {"size": [2, 2], "counts": b"2"}
    >>> [(number, problem[:37]) for number, problem in validate([sound, short])]
    [(1, 'RLE 1: runs that end before the frame')]
    """
    if isinstance(rleObjs, RunTable):
        rleObjs = dicts_of(rles_of(rleObjs))
    problems = []
    rle: Any
    for k, rle in enumerate([rleObjs] if isinstance(rleObjs, Mapping) else rleObjs):
        try:
            check_texts(rles_of([rle], first=k), first=k)
        except MtfastError as error:
            problems.append((k, str(error)))
    return problems
