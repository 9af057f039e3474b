"""Random numbers that are the same ones for equal seeds on every machine."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["random_words", "uniform"]


def random_words(n: int, *seed: int) -> NDArray[np.uint64]:
    """Draw random words, the same ones for equal seeds on every machine.

    Parameters
    ----------
    n : int
    *seed : int
        Not negative.

    Returns
    -------
    (n,) uint64

    Examples
    --------
    >>> random_words(2, 0, 1)
    array([16412783775159424549, 10277383025879800780], dtype=uint64)

    Notes
    -----
    numpy promises that the words of a bit generator stay the same in all its versions, which it
    does not for ``Generator.permutation`` and the like (NEP 19).
    """
    words: NDArray[np.uint64] = np.random.PCG64(seed).random_raw(n)
    return words


def uniform(n: int, *seed: int) -> NDArray[np.float64]:
    """Draw random numbers from 0 to below 1, the same ones for equal seeds on every machine.

    Parameters
    ----------
    n : int
    *seed : int
        Not negative.

    Returns
    -------
    (n,) float64

    Examples
    --------
    >>> uniform(2, 0, 1).round(3)
    array([0.89 , 0.557])
    """
    numbers: NDArray[np.float64] = (random_words(n, *seed) >> np.uint64(11)) * np.float64(2.0**-53)
    return numbers
