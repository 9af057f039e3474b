"""Several training sets as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtfast.errors import MtfastError, shown
from mtfast.loaders.classes import ClassTable
from mtfast.loaders.epoch_order import EpochOrder, Int64, checked_weights
from mtfast.loaders.reader import Reader, TrainingSample, checked_position
from mtfast.loaders.sampler import SampleKey

__all__ = ["Mixture"]


class Mixture:
    """The samples of several readers, one set after another. It reads as a Reader does.

    Parameters
    ----------
    readers : sequence of Reader
        Of equal crops, targets and classes.
    shares : sequence of float, optional
        How many samples are drawn from each, relative to the others; by default each image comes
        once.

    Raises
    ------
    MtfastError
        If the readers do not go together, or there is not a share for each.

    Examples
    --------
    >>> both = Mixture([Reader("graphene.zarr"), Reader("graphene.zarr", "test")], [3, 1])
    >>> sample = both.read(SampleKey(0, len(both) - 1))
    >>> sample.member
    1
    """

    def __init__(self, readers: Sequence[Reader], shares: Sequence[float] | None = None) -> None:
        self.readers = list(readers)
        first = self.readers[0]
        for name in ("crop", "targets", "images", "classes", "crowds", "semantic_dtype"):
            found = [getattr(reader, name) for reader in self.readers]
            if any(value != found[0] for value in found):
                advice = "give both classes= by name" if name == "classes" else "make them alike"
                raise MtfastError(
                    f"a mixture of sets whose {name} differ: {shown(found)}; expected equal ones; "
                    f"{advice}"
                )
        self.crop, self.targets, self.images = first.crop, first.targets, first.images
        self.classes: ClassTable = first.classes
        self.crowds = first.crowds
        self.semantic_dtype: np.dtype[Any] = first.semantic_dtype
        self.ignore_value = first.ignore_value
        self.seed = first.seed
        self._ends = np.cumsum([len(reader) for reader in self.readers])
        self.shares = None if shares is None else _checked_shares(shares, len(self.readers))

    def __repr__(self) -> str:
        return f"<mixture of {', '.join(map(repr, self.readers))}>"

    def __len__(self) -> int:
        return int(self._ends[-1])

    @property
    def is_cached(self) -> bool:
        """Whether images of all sets are kept once they are decoded."""
        return all(reader.is_cached for reader in self.readers)

    @property
    def is_remote(self) -> bool:
        """Whether one of the stores is elsewhere."""
        return any(reader.is_remote for reader in self.readers)

    @property
    def sample_size(self) -> tuple[int, int]:
        """Height and width of the samples."""
        sizes = [reader.sample_size for reader in self.readers]
        return max(sizes, key=lambda size: size[0] * size[1])

    @property
    def has_one_size(self) -> bool:
        """Whether samples have one size, as those of a batch need."""
        alike = len({reader.sample_size for reader in self.readers}) == 1
        return alike and all(reader.has_one_size for reader in self.readers)

    @property
    def shard(self) -> int:
        """Images in a shard of the stores."""
        return max(reader.shard for reader in self.readers)

    def class_counts(self) -> Int64:
        """Count the instances of each class in each image.

        Returns
        -------
        (n_images, n_classes) int64
        """
        return np.concatenate([reader.class_counts() for reader in self.readers])

    def image_numbers(self) -> Int64:
        """Number the images of all sets, so that no two sets share a shard.

        Returns
        -------
        (n_images,) int64
        """
        first, numbers = 0, []
        for reader in self.readers:
            numbers.append(first + reader.image_numbers())
            first = (int(numbers[-1].max()) // self.shard + 1) * self.shard
        return np.concatenate(numbers)

    def epoch_order(
        self,
        shuffle: bool = True,
        weights: NDArray[np.float64] | None = None,
        n_samples: int | None = None,
    ) -> EpochOrder:
        """Return the order of the samples.

        Parameters
        ----------
        shuffle : bool
            Otherwise they come set by set.
        weights : (n_images,) float64, optional
            How often each image comes; within a set, if there are shares.
        n_samples : int, optional
            Length of an epoch.

        Returns
        -------
        EpochOrder

        Raises
        ------
        MtfastError
            If shares or weights are to be drawn without shuffling, or the weights make no sense.
        """
        if self.shares is not None:
            given = np.ones(len(self)) if weights is None else weights
            each = checked_weights(given, len(self))
            parts = np.split(each, self._ends[:-1])
            if empty := [k for k, part in enumerate(parts) if part.sum() == 0]:
                raise MtfastError(
                    f"weights that are all 0 in set {empty[0]} of a mixture with shares; expected "
                    f"some above 0 in each; give larger ones, or mix without that set"
                )
            scaled = [s * part / part.sum() for s, part in zip(self.shares, parts, strict=True)]
            weights = np.concatenate(scaled)
        numbers = self.image_numbers()
        return EpochOrder(
            numbers, self.shard, self.seed, shuffle, weights=weights, n_samples=n_samples
        )

    def position(self, position: Any) -> int:
        """Return a position as a number from 0 on.

        Parameters
        ----------
        position : int
            Negative ones count from the end.

        Returns
        -------
        int

        Raises
        ------
        IndexError, TypeError
            If there is no such position, or it is not an integer.
        """
        return checked_position(position, len(self))

    def _find(self, position: int) -> tuple[int, int]:
        member = int(np.searchsorted(self._ends, position, side="right"))
        return member, position - (int(self._ends[member - 1]) if member else 0)

    def read(self, key: SampleKey | int) -> TrainingSample:
        """Read a sample.

        Parameters
        ----------
        key : SampleKey or int

        Returns
        -------
        TrainingSample
            With the number of its set.
        """
        key = SampleKey(*key) if isinstance(key, tuple) else SampleKey(0, key)
        member, position = self._find(self.position(key.position))
        return replace(self.readers[member].read(key._replace(position=position)), member=member)

    def fetch_ahead(self, position: int) -> None:
        """Ask the system for the bytes of an image that will be read soon; returns at once.

        Parameters
        ----------
        position : int
        """
        member, position = self._find(position)
        self.readers[member].fetch_ahead(position)

    def warm(self) -> None:
        """Load what worker processes share that are forked afterwards."""
        for reader in self.readers:
            reader.warm()


def _checked_shares(shares: Any, n: int) -> list[float]:
    try:
        found = [float(share) for share in shares]
    except (TypeError, ValueError):
        found = []
    if len(found) != n or not all(0 < share < np.inf for share in found):
        raise MtfastError(
            f"shares {shown(shares)}; expected {n} numbers above 0, one for each set; give as many"
        )
    return found
