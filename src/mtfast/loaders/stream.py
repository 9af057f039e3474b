"""The batches of this epoch and of those after it, which workers read ahead of the caller."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from itertools import islice
from typing import NamedTuple

from mtfast.loaders.batches import PackedBatch
from mtfast.loaders.read_ahead import read_ahead
from mtfast.loaders.sampler import Epoch, SampleKey, Sampler
from mtfast.loaders.workers import Pending, Team

__all__ = ["Stream"]


class _Planned(NamedTuple):
    """Samples of a batch, and the place in the epoch at which it begins."""

    epoch: int
    handed: int
    keys: list[SampleKey]


class Stream:
    """The batches from a place on and those of the epochs after it, read by a team.

    Parameters
    ----------
    sampler : Sampler
        Whose epochs they are.
    epoch : Epoch
        Where they begin.
    team : Team
    depth : (int, int)
        How many batches are read at once at first, which doubles with each, and at most.
    n_ahead : int
        Samples that are fetched beyond those.
    fetch : callable, optional
        Called with the position of each of these; without it none are.

    Attributes
    ----------
    team : Team
    """

    def __init__(
        self,
        sampler: Sampler,
        epoch: Epoch,
        team: Team,
        depth: tuple[int, int],
        n_ahead: int,
        fetch: Callable[[int], None] | None,
    ) -> None:
        self.team = team
        self._ranks = epoch.rank, epoch.ranks
        self._depth, self._most = depth
        self._planned = _plan(sampler, epoch.start)
        if fetch is not None:
            self._planned = read_ahead(self._planned, n_ahead, fetch)
        # One more than the team looks ahead is known before a batch is submitted.
        self._coming: deque[_Planned] = deque()
        self._reading: deque[tuple[_Planned, Pending]] = deque()

    def take(self) -> tuple[list[SampleKey], PackedBatch]:
        """Wait for the next batch.

        Returns
        -------
        keys : list of SampleKey
        batch : PackedBatch

        Raises
        ------
        MtfastError
            As :meth:`mtfast.loaders.workers.Pending.result`.
        """
        self._fill()
        planned, pending = self._reading.popleft()
        self._depth = min(2 * self._depth, self._most)
        self._fill()
        return planned.keys, pending.result()

    def _fill(self) -> None:
        while len(self._reading) < self._depth:
            n_known = self.team.looks_ahead + 1
            self._coming.extend(islice(self._planned, n_known - len(self._coming)))
            if not self._coming:
                return
            planned = self._coming.popleft()
            later = self._coming[-1].keys if len(self._coming) == n_known - 1 > 0 else ()
            self._reading.append((planned, self.team.submit(planned.keys, later)))

    def skip_to(self, epoch: Epoch) -> bool:
        """Drop the batches before a place.

        Parameters
        ----------
        epoch : Epoch

        Returns
        -------
        bool
            Whether its place is among those being read; if not, nothing is dropped.
        """
        places = [(planned.epoch, planned.handed) for planned, _ in self._reading]
        if (epoch.rank, epoch.ranks) != self._ranks or epoch.start not in places:
            return False
        for _ in range(places.index(epoch.start)):
            self._reading.popleft()[1].drop()
        return True

    def close(self) -> None:
        """Drop all batches."""
        while self._reading:
            self._reading.popleft()[1].drop()
        self._planned.close()


def _plan(sampler: Sampler, start: tuple[int, int]) -> Generator[_Planned, None, None]:
    for epoch in sampler.epochs_from(start):
        handed = epoch.handed
        for keys in epoch.batches():
            yield _Planned(epoch.number, handed, keys)
            handed += len(keys) * epoch.ranks
