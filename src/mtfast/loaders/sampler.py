"""Which samples come in which order, split over ranks, and how many were handed out.

The order of an epoch is a list of positions in the set. Ranks take turns in it::

    order     7 2 5 0 | 9 4 8 6 | 1 3
    rank 0    7   5     9   8     1          what all ranks together have handed out
    rank 1      2   0     4   6     3        is always a prefix of the order

so a single number says where to resume, on any number of ranks. Worker processes are given
whole batches and have no influence on the order.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtfast.arguments import as_integer
from mtfast.errors import MtfastError, shown

__all__ = ["EpochOrder", "SampleKey", "Sampler", "random_words"]

Int64 = NDArray[np.int64]

MIXED_SHARDS = 4
"""Shards that are read at the same time: 300 MB of images of 1200 x 1920."""


class SampleKey(NamedTuple):
    """What a sampler yields for each sample; with the seed, all that the sample depends on.

    Attributes
    ----------
    epoch : int
        Its view of the image differs from epoch to epoch.
    position : int
        Position of the image in the set, from 0 on.
    """

    epoch: int
    position: int


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

    Raises
    ------
    MtfastError
        If the shard, the seed or ``mixed`` is not an integer, or too small.

    Examples
    --------
    >>> order = EpochOrder(np.arange(6), shard=2, seed=3, mixed=1)
    >>> order.of_epoch(0), order.of_epoch(1)
    (array([1, 0, 2, 3, 4, 5]), array([0, 1, 4, 5, 3, 2]))
    """

    images: Int64
    shard: int
    seed: int = 0
    shuffle: bool = True
    mixed: int = MIXED_SHARDS

    def __post_init__(self) -> None:
        for name, least in (("shard", 1), ("seed", 0), ("mixed", 1)):
            object.__setattr__(self, name, as_integer(name, getattr(self, name), least))

    def __len__(self) -> int:
        return len(self.images)

    def of_epoch(self, epoch: int) -> Int64:
        """Return the order of an epoch.

        Parameters
        ----------
        epoch : int
            From 0 on.

        Returns
        -------
        (n,) int64
            The positions 0 to n - 1.
        """
        if not self.shuffle:
            return np.arange(len(self))
        shards, shard_of_image = np.unique(self.images // self.shard, return_inverse=True)
        words = random_words(shards.size + len(self), self.seed, epoch)
        turn = np.argsort(np.argsort(words[: shards.size], kind="stable"))
        order: Int64 = np.lexsort((words[shards.size :], turn[shard_of_image] // self.mixed))
        return order

    def fingerprint(self) -> dict[str, int]:
        """Return what tells orders apart, as plain numbers."""
        images = np.ascontiguousarray(self.images, "<i8")
        return {
            "samples": len(self),
            "images": zlib.crc32(images.tobytes()),
            "shard": self.shard,
            "seed": self.seed,
            "shuffle": int(self.shuffle),
            "mixed": self.mixed,
        }


class Sampler:
    """The batches of one rank, epoch by epoch, and how far the caller is in them.

    Batches may be drawn ahead of the caller, as worker processes do: the state counts the samples
    that :meth:`advance` was told of, not those that were drawn.

    Parameters
    ----------
    order : EpochOrder
    batch_size : int
        Samples in a batch of one rank.
    rank, ranks : int
        Number of this process, from 0 on, and how many processes there are.
    drop_last : bool
        Leave out the samples at the end of an epoch that do not fill a batch on every rank.
        Otherwise the last batch is shorter, and as all ranks get equally many samples, up to
        ``ranks - 1`` of the epoch's first ones come once more at its end: see :attr:`padding`.

    Attributes
    ----------
    epoch : int
    handed : int
        Samples of the epoch that all ranks together have handed to their callers.

    Raises
    ------
    MtfastError
        If a number is out of range.

    Examples
    --------
    >>> order = EpochOrder(np.arange(5), shard=64, shuffle=False)
    >>> sampler = Sampler(order, 2, rank=1, ranks=2)
    >>> [[key.position for key in batch] for batch in sampler.batches()]
    [[1, 3], [0]]
    >>> sampler.advance(2)
    >>> sampler.epoch, sampler.handed, sampler.n_left
    (0, 4, 1)
    """

    def __init__(
        self,
        order: EpochOrder,
        batch_size: int,
        *,
        rank: int = 0,
        ranks: int = 1,
        drop_last: bool = False,
    ) -> None:
        self.order = order
        self.batch_size = as_integer("batch_size", batch_size, 1)
        self.rank = as_integer("rank", rank, 0)
        self.ranks = as_integer("ranks", ranks, 1)
        if self.rank >= self.ranks:
            raise MtfastError(
                f"rank {rank} of {ranks}; expected one below the number of ranks; "
                f"count ranks from 0"
            )
        self.drop_last = drop_last
        self.epoch = 0
        self.handed = 0

    def __len__(self) -> int:
        """Batches of this rank in a whole epoch."""
        return -(-self._share(len(self.order)) // self.batch_size)

    @property
    def n_left(self) -> int:
        """Samples that this rank has still to hand out in this epoch."""
        return self._share(len(self.order) - self.handed)

    def _share(self, n_samples: int) -> int:
        """How many of the samples that are left for all ranks each rank gets."""
        if self.drop_last:
            return n_samples // (self.ranks * self.batch_size) * self.batch_size
        return -(-n_samples // self.ranks)

    @property
    def padding(self) -> int:
        """Samples that come once more at the end of this epoch, on all ranks together."""
        return max(0, self.n_left * self.ranks - (len(self.order) - self.handed))

    def batches(self) -> Iterator[list[SampleKey]]:
        """Draw what is left of this epoch.

        Yields
        ------
        list of SampleKey
            A batch of this rank, from the first sample on that was not handed out.
        """
        order = self.order.of_epoch(self.epoch)
        # Of fewer samples than ranks, some come more than once.
        padded = np.resize(order, len(order) + self.padding)
        mine = padded[self.handed + self.rank :: self.ranks][: self.n_left].tolist()
        epoch = self.epoch
        for start in range(0, len(mine), self.batch_size):
            yield [SampleKey(epoch, k) for k in mine[start : start + self.batch_size]]

    def advance(self, n: int) -> None:
        """Count samples that this rank hands to its caller.

        Parameters
        ----------
        n : int
            How many; every rank hands out as many in the same step.
        """
        self.handed = min(self.handed + n * self.ranks, len(self.order))

    def start(self, epoch: int) -> None:
        """Go to the beginning of an epoch.

        Parameters
        ----------
        epoch : int
            From 0 on.

        Raises
        ------
        MtfastError
            If it is not an integer, or negative.
        """
        self.epoch, self.handed = as_integer("epoch", epoch, 0), 0

    def state_dict(self) -> dict[str, int]:
        """Return where the caller is, as plain numbers; the same on every rank after each step."""
        # Where nothing is left, the next sample is the first of the next epoch.
        epoch, handed = (self.epoch, self.handed) if self.n_left else (self.epoch + 1, 0)
        return {"epoch": epoch, "handed": handed, **self.order.fingerprint()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Resume at the first sample that was not handed out, on any number of ranks.

        Parameters
        ----------
        state : mapping
            What :meth:`state_dict` returned, from JSON or a checkpoint too.

        Raises
        ------
        MtfastError
            If the state is that of another order, or makes no sense.
        """
        if not isinstance(state, Mapping):
            raise MtfastError(
                f"a state {shown(state)}; expected the dict that state_dict returns; pass that"
            )
        expected = self.order.fingerprint()
        different = [name for name in expected if state.get(name) != expected[name]]
        if different:
            found, wanted = ({n: of.get(n) for n in different} for of in (state, expected))
            raise MtfastError(
                f"a state with {shown(found)}; expected {wanted}, as this set and seed have; "
                f"make the loader as it was made when the state was saved"
            )
        handed = as_integer("handed of the state", state.get("handed"), 0)
        if handed > len(self.order):
            raise MtfastError(
                f"a state with {handed} samples handed out; expected at most the "
                f"{len(self.order)} of the set; save the state anew"
            )
        self.epoch = as_integer("epoch of the state", state.get("epoch"), 0)
        self.handed = handed
