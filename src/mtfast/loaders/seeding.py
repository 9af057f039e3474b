"""Random numbers of users' own transforms, seeded for each sample."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock

import numpy as np
import torch

from mtfast.loaders.random_numbers import random_words

__all__ = ["seeded"]

# The generators belong to the process, so threads take turns.
_LOCK = RLock()


@contextmanager
def seeded(*seed: int) -> Iterator[None]:
    """Seed the generators of torch, numpy and Python, and put them back afterwards.

    Parameters
    ----------
    *seed : int
        Equal seeds give equal random numbers, in every process.

    Examples
    --------
    >>> with seeded(3, 1):
    ...     first = random.random(), torch.rand(1).item()
    >>> with seeded(3, 1):
    ...     first == (random.random(), torch.rand(1).item())
    True
    """
    (word,) = (random_words(1, *seed) >> np.uint64(32)).tolist()
    with _LOCK:
        before = random.getstate(), np.random.get_state(), torch.get_rng_state()
        random.seed(word)
        np.random.seed(word)
        torch.random.default_generator.manual_seed(word)
        try:
            yield
        finally:
            random.setstate(before[0])
            np.random.set_state(before[1])
            torch.set_rng_state(before[2])
