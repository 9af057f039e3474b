"""The batches of each epoch, split over ranks, and how many samples were handed out.

The order of an epoch is a list of positions in the set. Ranks take turns in it::

    order     7 2 5 0 | 9 4 8 6 | 1 3
    rank 0    7   5     9   8     1          what all ranks together have handed out
    rank 1      2   0     4   6     3        is always a prefix of the order

so a single number says where to resume, on any number of ranks. Worker processes are given
whole batches and have no influence on the order.

The order is a pure function of the epoch, an :class:`~mtfast.loaders.epoch_order.EpochOrder`. A
:class:`Sampler` says which epoch comes next; each iteration is an :class:`Epoch` of its own, so
that several do not disturb each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from mtfast.arguments import as_integer
from mtfast.errors import MtfastError, shown
from mtfast.loaders.epoch_order import EpochOrder

__all__ = ["Epoch", "SampleKey", "Sampler"]


class SampleKey(NamedTuple):
    """What a sampler yields for each sample; with the seed, all that the sample depends on.

    Attributes
    ----------
    epoch : int
        Its view of the image differs from epoch to epoch.
    position : int
        Position of the image in the set, from 0 on.
    repeat : int
        How many times the image came before in this epoch; each time its view is another.
    """

    epoch: int
    position: int
    repeat: int = 0


class Sampler:
    """The batches of one rank, epoch by epoch, and how far the caller is in them.

    Each iteration is an :class:`Epoch`, which :meth:`begin` makes. It goes through the epoch after
    that of the iteration before, however far that one came, unless :meth:`set_epoch` fixed which.

    Parameters
    ----------
    order : EpochOrder
    batch_size : int
        Samples in a batch of one rank.
    rank, ranks : int
        Number of this process, from 0 on, and how many processes there are.
    world : callable, optional
        Returns both, and is called when an epoch begins; replaces ``rank`` and ``ranks``.
    drop_last : bool
        Leave out the samples at the end of an epoch that do not fill a batch on every rank.
    pad : bool
        All ranks get equally many samples: up to ``ranks - 1`` of the epoch's first ones come once
        more at its end, see :attr:`Epoch.padding`. Otherwise every sample comes exactly once, and
        some ranks get one less.

    Raises
    ------
    MtfastError
        If a number is out of range.

    Examples
    --------
    >>> order = EpochOrder(np.arange(5), shard=64, shuffle=False)
    >>> sampler = Sampler(order, 2, rank=1, ranks=2)
    >>> epoch = sampler.begin()
    >>> [[key.position for key in batch] for batch in epoch.batches()]
    [[1, 3], [0]]
    >>> epoch.advance(2)
    >>> epoch.number, epoch.handed, epoch.n_left
    (0, 4, 1)

    Notes
    -----
    Ranks count their iterations each for itself. So that a look at one batch on one rank does not
    put it out of step with the others, an iteration of one of several ranks that was closed after
    its first batch does not count.
    """

    def __init__(
        self,
        order: EpochOrder,
        batch_size: int,
        *,
        rank: int = 0,
        ranks: int = 1,
        world: Callable[[], tuple[int, int]] | None = None,
        drop_last: bool = False,
        pad: bool = True,
    ) -> None:
        self.order = order
        self.batch_size = as_integer("batch_size", batch_size, 1)
        self.drop_last = drop_last
        self.pad = pad
        self._world = world or partial(_checked_rank, rank, ranks)
        _checked_rank(*self._world())
        # Where the next iteration starts, and whether it is this epoch until further notice.
        self._next = _Place(0, 0)
        self._is_fixed = False
        # Iterations that may turn out to have been a look only.
        self._looks: list[Epoch] = []
        # What the state says.
        self._place = self._next
        # Iterations that were begun, and the newest of those that have handed out a batch.
        self._n_begun = 0
        self._newest = 0

    def __len__(self) -> int:
        """Batches of this rank in a whole epoch."""
        return len(self._epoch(_Place(0, 0)))

    def __iter__(self) -> Iterator[list[SampleKey]]:
        """Begin an epoch and draw its batches, as a batch sampler of PyTorch does."""
        epoch = self.begin()
        try:
            for batch in epoch.batches():
                epoch.advance(len(batch))
                yield batch
            epoch.end()
        finally:
            epoch.close()

    @property
    def epoch(self) -> int:
        """The current epoch, or the next one if it is over."""
        return self._place.epoch

    @property
    def upcoming(self) -> tuple[int, int]:
        """Epoch and first sample of the next iteration, if nothing else is said until then."""
        if self._is_fixed:
            return self._next
        return max([self._next, *(_Place(look.number + 1, 0) for look in self._looks)])

    def begin(self) -> Epoch:
        """Begin the next iteration.

        Returns
        -------
        Epoch
        """
        self._n_begun += 1
        epoch = self._epoch(_Place(*self.upcoming))
        self._looks.append(epoch)
        if epoch.ranks == 1:
            self._count(epoch)
        return epoch

    def _count(self, epoch: Epoch) -> None:
        """Let the next iteration begin after an epoch."""
        if epoch in self._looks:
            self._looks.remove(epoch)
            after = _Place(epoch.number + (not self._is_fixed), 0)
            self._next = after if self._is_fixed else max(self._next, after)

    def _forget(self, epoch: Epoch) -> None:
        """Let the next iteration begin as if an epoch had not been looked at."""
        if epoch in self._looks:
            self._looks.remove(epoch)

    def epochs_from(self, place: tuple[int, int]) -> Iterator[Epoch]:
        """List the epochs from a place on, which are read ahead of the caller.

        Parameters
        ----------
        place : (epoch, handed)

        Yields
        ------
        Epoch
            Without end, unless epochs are empty. Drawing from them changes no state.
        """
        epoch = self._epoch(_Place(*place))
        while len(self.order):
            yield epoch
            epoch = self._epoch(_Place(epoch.number + 1, 0))

    def _epoch(self, place: _Place) -> Epoch:
        return Epoch(self, place, self._n_begun, *_checked_rank(*self._world()))

    def start(self, epoch: int) -> None:
        """Let the next iteration go through an epoch, and those after it through the next ones.

        Parameters
        ----------
        epoch : int
            From 0 on.

        Raises
        ------
        MtfastError
            If it is not an integer, or negative.
        """
        self._go_to(_Place(as_integer("epoch", epoch, 0), 0), is_fixed=False)

    def set_epoch(self, epoch: int) -> None:
        """Let all iterations go through an epoch, until the next call.

        Parameters
        ----------
        epoch : int
            From 0 on. The epoch of a state that was just loaded is resumed where it was left.

        Raises
        ------
        MtfastError
            If it is not an integer, or negative.
        """
        epoch = as_integer("epoch", epoch, 0)
        place = _Place(*self.upcoming)
        self._go_to(place if place.epoch == epoch else _Place(epoch, 0), is_fixed=True)

    def _go_to(self, place: _Place, is_fixed: bool) -> None:
        self._next = self._place = place
        self._is_fixed = is_fixed
        self._looks = []
        # Iterations that run already do not move the place any more.
        self._newest = self._n_begun + 1

    def state_dict(self) -> dict[str, int]:
        """Return where the caller is, as plain numbers; the same on every rank after each step.

        The place is that of the newest iteration that has handed out a batch.
        """
        return {**self._place._asdict(), **self.order.fingerprint()}

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
        known = {"weights", *expected}
        different = sorted(name for name in known if state.get(name) != expected.get(name))
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
        epoch = as_integer("epoch of the state", state.get("epoch"), 0)
        self._go_to(_Place(epoch, handed), is_fixed=False)

    def _reach(self, epoch: Epoch) -> None:
        """Take the state from an epoch that has just handed out samples, unless a newer one has."""
        if epoch.iteration < self._newest:
            return
        self._newest = epoch.iteration
        # Where nothing is left, the next sample is the first of the next epoch.
        here = _Place(epoch.number, epoch.handed)
        self._place = _Place(epoch.number + 1, 0) if epoch.is_over else here


class _Place(NamedTuple):
    epoch: int
    handed: int


class Epoch:
    """One iteration: an epoch of one rank, from a sample on.

    Batches may be drawn ahead of the caller, as worker processes do: the state counts the samples
    that :meth:`advance` was told of, not those that were drawn.

    Attributes
    ----------
    number : int
    start : (epoch, handed)
        Where the iteration began.
    handed : int
        Samples of the epoch that all ranks together have handed to their callers.
    iteration : int
        How many iterations of the sampler were begun until then, this one included.
    n_batches : int
        Batches that this iteration has handed out.
    rank, ranks : int
    """

    def __init__(
        self, sampler: Sampler, start: tuple[int, int], iteration: int, rank: int, ranks: int
    ) -> None:
        self._sampler = sampler
        self.iteration = iteration
        self.start = start
        self.number, self.handed = start
        self.n_batches = 0
        self.rank, self.ranks = rank, ranks

    def __len__(self) -> int:
        """Batches that are left."""
        return -(-self.n_left // self._sampler.batch_size)

    @property
    def n_left(self) -> int:
        """Samples that this rank has still to hand out in this epoch."""
        return self._n_left_of(self.rank)

    @property
    def is_over(self) -> bool:
        """Whether no rank has anything left to hand out."""
        # Where ranks differ, the first one has the most.
        return not self._n_left_of(0)

    def _n_left_of(self, rank: int) -> int:
        n, batch_size = len(self._sampler.order) - self.handed, self._sampler.batch_size
        if self._sampler.drop_last:
            return n // (self.ranks * batch_size) * batch_size
        return -(-n // self.ranks) if self._sampler.pad else -(-(n - rank) // self.ranks)

    @property
    def padding(self) -> int:
        """Samples that come once more at the end of this epoch, on all ranks together."""
        if not self._sampler.pad:
            return 0
        return max(0, self.n_left * self.ranks - (len(self._sampler.order) - self.handed))

    def batches(self) -> Iterator[list[SampleKey]]:
        """Draw what is left of this epoch.

        Yields
        ------
        list of SampleKey
            A batch of this rank, from the first sample on that was not handed out.
        """
        sampler = self._sampler
        order = sampler.order.of_epoch(self.number)
        # Of fewer samples than ranks, some come more than once.
        positions = np.resize(order, len(order) + self.padding)
        repeats = np.resize(sampler.order.repeats(order), positions.size)
        mine = slice(self.handed + self.rank, None, self.ranks)
        both = zip(positions[mine].tolist(), repeats[mine].tolist(), strict=True)
        keys = [SampleKey(self.number, *pair) for pair in islice(both, self.n_left)]
        for start in range(0, len(keys), sampler.batch_size):
            yield keys[start : start + sampler.batch_size]

    def advance(self, n: int) -> None:
        """Count samples that this rank hands to its caller.

        Parameters
        ----------
        n : int
            Of a batch; other ranks hand out theirs in the same step.
        """
        # Beside a batch that is not full, those of other ranks may have one sample more.
        is_full = n == self._sampler.batch_size
        n_all, n_handed = len(self._sampler.order), self.handed + n * self.ranks
        self.handed = min(n_handed, n_all) if is_full else n_all
        self.n_batches += 1
        self._sampler._reach(self)
        if self.n_batches > 1 or not self.n_left:
            self._sampler._count(self)

    def end(self) -> None:
        """Count the epoch as over: this rank has nothing left, or had nothing from the start."""
        self.handed = len(self._sampler.order)
        self._sampler._reach(self)
        self._sampler._count(self)

    def close(self) -> None:
        """End the iteration; of several ranks, one that saw one batch at most does not count."""
        self._sampler._forget(self)


def _checked_rank(rank: Any, ranks: Any) -> tuple[int, int]:
    rank, ranks = as_integer("rank", rank, 0), as_integer("ranks", ranks, 1)
    if rank >= ranks:
        raise MtfastError(
            f"rank {rank} of {ranks}; expected one below the number of ranks; count ranks from 0"
        )
    return rank, ranks
