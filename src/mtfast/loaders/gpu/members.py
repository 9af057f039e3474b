"""The images of one set, or of the sets of a mixture, numbered through."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtfast.caching import cached_property
from mtfast.loaders.mixture import Mixture
from mtfast.loaders.reader import Reader
from mtfast.loaders.sampler import SampleKey
from mtfast.loaders.view_batches import ViewBatches

__all__ = ["Members"]

Int64 = NDArray[np.int64]


class Members:
    """The sets that samples are of. The position of an image is that in the mixture.

    Parameters
    ----------
    reader : Reader or Mixture

    Attributes
    ----------
    readers : list of Reader
    is_mixture : bool
    members, indices : (n_images,) int64
        Number of the set of each image, and its index in the split of that set.
    """

    def __init__(self, reader: Reader | Mixture) -> None:
        self.is_mixture = isinstance(reader, Mixture)
        self.readers = reader.readers if isinstance(reader, Mixture) else [reader]
        sizes = [len(one) for one in self.readers]
        self._starts = np.cumsum([0, *sizes])
        self.members: Int64 = np.repeat(np.arange(len(sizes)), sizes)
        self.indices: Int64 = np.concatenate([one.indices for one in self.readers])

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def n_file_bytes(self) -> int:
        """Bytes of the image files; 0 if images are not read."""
        return sum(
            int(one.split.file_sizes[one.indices].sum()) for one in self.readers if one.images
        )

    @cached_property
    def names(self) -> list[str]:
        """Of each image."""
        return [str(name) for one in self.readers for name in one.split.names[one.indices].tolist()]

    @cached_property
    def _views(self) -> list[ViewBatches]:
        return [ViewBatches(one) for one in self.readers]

    def find(self, position: int) -> tuple[Reader, int]:
        """Find an image.

        Parameters
        ----------
        position : int

        Returns
        -------
        reader : Reader
            Of its set.
        index : int
            In the split of that set.
        """
        return self.readers[int(self.members[position])], int(self.indices[position])

    def where(self, position: int) -> str:
        """Return which image it is, for messages.

        Parameters
        ----------
        position : int

        Returns
        -------
        str
        """
        reader, index = self.find(position)
        return f"image {index} of split {reader.split_name} of {reader.store}"

    def views(self, keys: Sequence[SampleKey]) -> Int64:
        """Choose the views of samples.

        Parameters
        ----------
        keys : sequence of n SampleKey

        Returns
        -------
        (n, 8) int64, C order
        """
        if len(self.readers) == 1:
            return self._views[0].views(keys)
        views = np.empty((len(keys), 8), np.int64)
        members = self.members[[key.position for key in keys]]
        for member in np.unique(members).tolist():
            chosen = np.flatnonzero(members == member)
            inside = [self._inside(keys[k], member) for k in chosen.tolist()]
            views[chosen] = self._views[member].views(inside)
        return views

    def pixels(self, key: SampleKey) -> NDArray[Any]:
        """Decode the image of a sample on the CPU.

        Parameters
        ----------
        key : SampleKey

        Returns
        -------
        (h, w, channels) uint8 or uint16
        """
        member = int(self.members[key.position])
        return self.readers[member].pixels(self._inside(key, member))

    def _inside(self, key: SampleKey, member: int) -> SampleKey:
        """Return the key of a sample in its own set."""
        return SampleKey(key.epoch, key.position - int(self._starts[member]), key.repeat)
