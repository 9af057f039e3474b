"""The order of the samples of an epoch: shuffled by shards, drawn by weights, of any length."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtfast.arguments import as_integer
from mtfast.errors import MtfastError, shown
from mtfast.loaders.random_numbers import random_words, uniform

__all__ = ["EpochOrder", "checked_weights"]

Int64 = NDArray[np.int64]

MIXED_SHARDS = 4
"""Shards that are read at the same time: 300 MB of images of 1200 x 1920."""

# The third number, after the seed and the epoch, of the stream that samples are drawn from.
_DRAW = 1


@dataclass(frozen=True, eq=False)
class EpochOrder:
    """The order of the samples of a set in any epoch, a pure function of these fields.

    Attributes
    ----------
    images : (n,) int64
        Index in its split of each image of the set, which tells the images of one shard.
    shard : int
        Images in a shard.
    seed : int
    shuffle : bool
        Otherwise every epoch has the order of ``images``.
    mixed : int
        Shards come in random order, and the images of this many shards at a time are shuffled
        together: enough to be random, and few enough that reads stay within a few files.
    weights : (n,) float64, optional
        How often each image comes, relative to the others. Without them an image comes again when
        all the others have come.
    n_samples : int, optional
        Length of an epoch; by default n. Without weights epochs of another length take up where
        the one before ended, so that all images come equally often.

    Raises
    ------
    MtfastError
        If an argument is of another type or out of range.

    Examples
    --------
    >>> order = EpochOrder(np.arange(6), shard=2, seed=3, mixed=1)
    >>> order.of_epoch(0), order.of_epoch(1)
    (array([1, 0, 2, 3, 4, 5]), array([0, 1, 4, 5, 3, 2]))
    >>> often = EpochOrder(np.arange(3), shard=2, weights=np.array([1.0, 1.0, 2.0]), n_samples=8)
    >>> np.bincount(often.of_epoch(0))
    array([2, 2, 4])

    Notes
    -----
    With weights, an image whose share of an epoch is 2.3 samples comes two or three times in it.
    This is systematic sampling: equal steps through the cumulated weights of the images in random
    order, from a random start (Madow, Annals of Mathematical Statistics 20, 1949).
    """

    images: Int64
    shard: int
    seed: int = 0
    shuffle: bool = True
    mixed: int = MIXED_SHARDS
    weights: NDArray[np.float64] | None = None
    n_samples: int | None = None

    def __post_init__(self) -> None:
        for name, least in (("shard", 1), ("seed", 0), ("mixed", 1)):
            object.__setattr__(self, name, as_integer(name, getattr(self, name), least))
        if self.n_samples is not None:
            n = as_integer("samples_per_epoch", self.n_samples, 1)
            object.__setattr__(self, "n_samples", n)
        if self.weights is not None:
            object.__setattr__(self, "weights", checked_weights(self.weights, len(self.images)))
            if not self.shuffle:
                raise MtfastError(
                    "weights without shuffling; expected one of them, as weighted samples are "
                    "drawn at random; leave the weights out or shuffle"
                )

    def __len__(self) -> int:
        """Samples in an epoch."""
        n = len(self.images)
        return self.n_samples if self.n_samples is not None and n else n

    def of_epoch(self, epoch: int) -> Int64:
        """Return the order of an epoch.

        Parameters
        ----------
        epoch : int
            From 0 on.

        Returns
        -------
        (len(self),) int64
            Positions in the set: each of 0 to n - 1 once, if there are no weights and the epoch
            has no other length.
        """
        n = len(self.images)
        if self.weights is not None and n:
            return self._shuffled(self._drawn(self.weights, epoch), epoch)
        if self.n_samples is None or not n:
            return self._pass(epoch)
        start, end = epoch * self.n_samples, (epoch + 1) * self.n_samples
        passes = range(start // n, -(-end // n))
        found = np.concatenate([self._pass(number) for number in passes])
        return found[start - passes[0] * n : end - passes[0] * n]

    def repeats(self, positions: Int64) -> Int64:
        """Count for each sample of an epoch how often its image came before.

        Parameters
        ----------
        positions : (m,) int64
            From the beginning of the epoch on.

        Returns
        -------
        (m,) int64

        Examples
        --------
        >>> often = EpochOrder(np.arange(3), shard=2, weights=[1, 1, 2])
        >>> often.repeats(np.array([2, 0, 2, 2]))
        array([0, 0, 1, 2])
        """
        if self.weights is None and self.n_samples is None:
            return np.zeros(len(positions), np.int64)
        return _repeats(positions)

    def _pass(self, number: int) -> Int64:
        """Return all positions once."""
        everything = np.arange(len(self.images))
        return self._shuffled(everything, number) if self.shuffle else everything

    def _shuffled(self, positions: Int64, *stream: int) -> Int64:
        shard_of_sample = self.images[positions] // self.shard
        shards, shard_of_sample = np.unique(shard_of_sample, return_inverse=True)
        words = random_words(shards.size + len(positions), self.seed, *stream)
        turn = np.argsort(np.argsort(words[: shards.size], kind="stable"))
        order: Int64 = np.lexsort((words[shards.size :], turn[shard_of_sample] // self.mixed))
        return positions[order]

    def _drawn(self, weights: NDArray[np.float64], epoch: int) -> Int64:
        """Draw the positions of an epoch by their weights."""
        random = uniform(len(weights) + 1, self.seed, epoch, _DRAW)
        mixed = np.argsort(random[1:], kind="stable")
        ends = np.cumsum(weights[mixed])
        steps = (np.arange(len(self)) + random[0]) * (ends[-1] / len(self))
        chosen = np.searchsorted(ends, steps, side="right")
        drawn: Int64 = mixed[np.minimum(chosen, mixed.size - 1)]
        return drawn

    def fingerprint(self) -> dict[str, int]:
        """Return what tells orders apart, as plain numbers."""
        images = np.ascontiguousarray(self.images, "<i8")
        found = {
            "samples": len(self),
            "images": zlib.crc32(images.tobytes()),
            "shard": self.shard,
            "seed": self.seed,
            "shuffle": int(self.shuffle),
            "mixed": self.mixed,
        }
        if self.weights is not None:
            found["weights"] = zlib.crc32(self.weights.astype("<f8").tobytes())
        return found


def checked_weights(weights: Any, n: int) -> NDArray[np.float64]:
    """Return weights of images as an array.

    Parameters
    ----------
    weights : (n,) array-like
    n : int
        Images of the set.

    Returns
    -------
    (n,) float64

    Raises
    ------
    MtfastError
        If they are no numbers from 0 on, not as many, or all 0.
    """
    try:
        found = np.asarray(weights, np.float64)
    except (TypeError, ValueError):
        found = np.empty(0)
    if found.shape != (n,) or not np.all(np.isfinite(found)) or np.any(found < 0):
        raise MtfastError(
            f"weights {shown(weights)}; expected {n} finite numbers from 0 on, one for each image "
            f"of the set; give as many"
        )
    if n and not found.sum() > 0:
        raise MtfastError("weights that are all 0; expected some above 0; give larger ones")
    return found


def _repeats(positions: Int64) -> Int64:
    """Count for each position how often it came before."""
    order = np.argsort(positions, kind="stable")
    ordered = positions[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])[: ordered.size]
    lengths = np.diff(np.r_[starts, ordered.size])
    counts = np.empty(ordered.size, np.int64)
    counts[order] = np.arange(ordered.size) - np.repeat(starts, lengths)
    return counts
