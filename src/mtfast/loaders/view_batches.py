"""The views of a batch of samples, chosen at once: 0.6 us a sample, where one by one takes 150.

What :meth:`Reader.view_of` looks up for each sample is looked up once for the set: sizes of images,
and where the centres of their instances are. What is left for a batch is arithmetic.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from mtfast.errors import MtfastError
from mtfast.loaders.reader import Reader, checked_position
from mtfast.loaders.sampler import SampleKey
from mtfast.loaders.views import Augment
from mtfast.ragged import offsets_of

__all__ = ["ViewBatches"]

Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]

_WORD = 2**32


class ViewBatches:
    """Chooses the views of batches; they equal those of :meth:`Reader.view_of`.

    Parameters
    ----------
    reader : Reader

    Raises
    ------
    StoreError, RLEError
        If some windows are to be near instances and the store is damaged, or an RLE does not tile
        its frame.

    Examples
    --------
    >>> reader = Reader("graphene.zarr", crop=64, augment=Augment())
    >>> planner = ViewBatches(reader)
    >>> planner.views([SampleKey(epoch=0, position=7), SampleKey(epoch=1, position=7)])
    array([[ 4, 29, 64, 64, 64, 64,  0,  3],
           [24, 32, 64, 64, 64, 64,  1,  0]])
    >>> tuple(reader.view_of(SampleKey(epoch=0, position=7))[2])
    (4, 29, 64, 64, 64, 64, False, 3)

    Notes
    -----
    Where windows are near instances, those of the whole variant are measured when it is made; that
    takes 1.0 s for 300,000 instances of 700 characters.
    """

    def __init__(self, reader: Reader) -> None:
        self._images = reader.indices
        self._frames = np.stack([reader.split.heights, reader.split.widths], axis=1)[self._images]
        self._crop = reader.crop
        self._augment = reader.augment
        self._seed = _words_of(reader.seed)
        near = self._augment is not None and self._augment.near > 0
        self._offsets, self._centres = _centres_of(reader) if near else _no_centres(len(reader))

    def images(self, keys: Sequence[SampleKey]) -> Int64:
        """Return which images samples show.

        Parameters
        ----------
        keys : sequence of n SampleKey
            Negative positions count from the end.

        Returns
        -------
        (n,) int64
            The index of each in its split.

        Raises
        ------
        IndexError, TypeError
            If there is no such position, or something is not an integer.
        """
        return self._images[self._positions(_flat(keys))]

    def views(self, keys: Sequence[SampleKey]) -> Int64:
        """Choose the views of samples.

        Parameters
        ----------
        keys : sequence of n SampleKey
            Negative positions count from the end.

        Returns
        -------
        (n, 8) int64, C order
            The fields of each :class:`mtfast.loaders.views.View`.

        Raises
        ------
        IndexError, TypeError
            If there is no such position, or something is not an integer.
        MtfastError
            If an epoch is negative, or the smallest scale asks for more pixels than an image has.
        """
        flat = _flat(keys)
        if self._augment is None:
            return self._middle(self._positions(flat))
        return self._choose(flat, self._draw(flat), self._augment)

    def _positions(self, flat: Int64) -> Int64:
        positions, n = flat[1::3], len(self._images)
        if positions.size and not -n <= positions.min() <= positions.max() < n:
            for position in positions.tolist():
                checked_position(position, n)
        return positions

    def _middle(self, positions: Int64) -> Int64:
        frames = self._frames[positions]
        views = np.zeros((positions.size, 8), np.int64)
        views[:, 2:4] = views[:, 4:6] = frames if self._crop is None else self._crop
        views[:, :2] = (frames - views[:, 2:4]) // 2
        return views

    def _draw(self, flat: Int64) -> Float64:
        """Draw the seven numbers of each sample, (n, 7)."""
        from mtfast.kernels.sampling import windows

        numbers = np.empty((flat.size // 3, windows.N_NUMBERS))
        scratch = np.empty(self._seed.size + windows.N_MORE_WORDS, np.int64)
        scratch[: self._seed.size] = self._seed
        bad = windows.draw_numbers(
            flat, self._images, self._seed.size, scratch, numbers.reshape(-1)
        )
        if bad >= 0:
            epoch, position, _ = flat[3 * bad : 3 * bad + 3].tolist()
            checked_position(position, len(self._images))
            raise MtfastError(f"epoch {epoch}; expected one from 0 on; count epochs from 0")
        return numbers

    def _choose(self, flat: Int64, numbers: Float64, augment: Augment) -> Int64:
        from mtfast.kernels.sampling import windows

        views = np.empty((len(numbers), windows.FIELDS), np.int64)
        bad = windows.choose_windows(
            flat,
            self._frames.reshape(-1),
            self._offsets,
            self._centres.reshape(-1),
            numbers.reshape(-1),
            _factors(augment.scale, numbers[:, -1]),
            *(self._crop or (0, 0)),
            augment.near,
            augment.mirror,
            augment.turn,
            views.reshape(-1),
        )
        if bad >= 0:
            raise MtfastError(
                f"a crop of {self._crop} and scale {augment.scale} need a window of more than "
                f"2**41 pixels a side; expected one that fits into memory; raise the lower factor"
            )
        return views


def _flat(keys: Sequence[SampleKey]) -> Int64:
    """Return epoch, position and repeat of each key, (3 * n,) int64."""
    # numpy's own conversion takes floats for integers, and twice as long.
    flat = np.frombuffer(array("q", chain.from_iterable(keys)), np.int64)
    if flat.size != 3 * len(keys):
        raise TypeError(
            f"{len(keys)} keys of {flat.size} integers; expected three in each SampleKey"
        )
    return flat


def _factors(scale: tuple[float, float], larger: Float64) -> Float64:
    """Return how much larger things appear in each sample, before windows are kept in the image."""
    low, high = scale
    if low == high:
        return np.full(larger.size, float(low))
    # Python's own power, as choose_view has it: that of numpy's arrays has another last bit on
    # processors with AVX-512.
    return np.array([low * (high / low) ** share for share in larger.tolist()])


def _centres_of(reader: Reader) -> tuple[Int64, Int64]:
    """Find the centres of the instances that windows may be near.

    Returns
    -------
    offsets : (n_images + 1,) int64
        The centres of image i are offsets[i] .. offsets[i + 1] - 1.
    centres : (n, 2) int64
        Row and column of the pixel in which each is.
    """
    table = reader.without_ignored(reader.with_class_numbers(reader.split.table(reader.variant)))
    boxes = table.bbox()
    there = boxes[:, 2] > 0
    left, top, width, height = boxes[there].T
    centres = np.stack([top + height / 2, left + width / 2], axis=1).astype(np.int64)
    return offsets_of(there)[table.image_offsets], centres


def _no_centres(n_images: int) -> tuple[Int64, Int64]:
    return np.zeros(n_images + 1, np.int64), np.empty((0, 2), np.int64)


def _words_of(seed: int) -> Int64:
    """Return the words of 32 bits of a seed, lowest first; one of them for 0."""
    n_words = max(1, -(-seed.bit_length() // 32))
    return np.array([seed >> 32 * k & (_WORD - 1) for k in range(n_words)], np.int64)
