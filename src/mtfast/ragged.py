"""Pieces of unequal length in one flat array, with offsets; and columns of strings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["Strings", "as_strings", "gather_texts", "offsets_of", "stretches"]

Int64 = NDArray[np.int64]
Strings = np.ndarray[tuple[Any, ...], np.dtypes.StringDType]


def offsets_of(lengths: ArrayLike) -> Int64:
    """Return where each of n consecutive pieces starts, and where the last one ends.

    Parameters
    ----------
    lengths : (n,) int

    Returns
    -------
    (n + 1,) int64

    Examples
    --------
    >>> offsets_of([3, 0, 2])
    array([0, 3, 3, 5])
    """
    lengths = np.asarray(lengths)
    offsets = np.zeros(lengths.size + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets


def gather_texts(
    rle: NDArray[np.uint8], rle_offsets: Int64, picks: Int64
) -> tuple[NDArray[np.uint8], Int64]:
    """Copy some RLE texts, in any order.

    Parameters
    ----------
    rle : (n_bytes,) uint8
    rle_offsets : (n + 1,) int64
        Text k is rle[rle_offsets[k]:rle_offsets[k + 1]].
    picks : (m,) int64
        Indices of texts, also repeatedly.

    Returns
    -------
    texts : uint8
    offsets : (m + 1,) int64

    Examples
    --------
    >>> texts, offsets = gather_texts(
    ...     np.frombuffer(b"132231", np.uint8), np.array([0, 3, 6]), np.array([1, 1])
    ... )
    >>> texts.tobytes(), offsets
    (b'231231', array([0, 3, 6]))
    """
    from mtfast.kernels.rle import ragged

    offsets = offsets_of(np.diff(rle_offsets)[picks])
    texts = np.empty(offsets[-1], np.uint8)
    ragged.gather_pieces(rle, rle_offsets, picks, texts)
    return texts, offsets


def as_strings(values: Sequence[str]) -> Strings:
    """Make a column of strings.

    Parameters
    ----------
    values : sequence of n str

    Returns
    -------
    (n,) StringDType

    Examples
    --------
    >>> as_strings(["a.jpg", "b.jpg"]).shape
    (2,)
    """
    return cast("Strings", np.array(values, dtype=np.dtypes.StringDType()))


def stretches(*columns: NDArray[Any]) -> Iterator[tuple[int, int]]:
    """Cut rows into stretches in which each column has one value.

    Parameters
    ----------
    *columns : (n,) array
        At least one.

    Yields
    ------
    start, stop : int
        Rows start .. stop - 1; as many of them as there are alike.

    Examples
    --------
    >>> list(stretches(np.array([480, 480, 640]), np.array([640, 640, 640])))
    [(0, 2), (2, 3)]
    """
    changes = [column[1:] != column[:-1] for column in columns]
    starts = np.flatnonzero(np.logical_or.reduce(changes)) + 1
    n = len(columns[0])
    yield from pairwise([0, *starts.tolist(), n] if n else [])
