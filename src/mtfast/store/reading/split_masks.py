"""The semantic masks of a split, one or several at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtfast.errors import StoreError
from mtfast.painting.frame import check_out
from mtfast.store import schema
from mtfast.store.reading.many import n_workers, read_each, read_known
from mtfast.store.reading.masks import MaskReader
from mtfast.store.reading.root import StoreRoot
from mtfast.store.reading.split_metadata import SplitMetadata

__all__ = ["SplitMasks"]

# A mask of 1200 x 1920 takes 0.1 ms. Threads would wait for the GIL: 32 masks took twice as long on
# two of them as on one (Python 3.11).
_WORKERS = 1


class SplitMasks:
    """Decodes the semantic masks of a split.

    Parameters
    ----------
    store : StoreRoot
    split : str
        Key of the split.
    metadata : SplitMetadata
        Its own.

    Attributes
    ----------
    reader : MaskReader
        What reads the array.

    Raises
    ------
    StoreError
        If the array has no room for the images.
    """

    def __init__(self, store: StoreRoot, split: str, metadata: SplitMetadata) -> None:
        self._metadata = metadata
        self._workers = n_workers(store.files) or _WORKERS
        key = f"{split}/{schema.SEMANTIC}"
        sums = metadata.column("semantic_crc32c")
        self.reader = MaskReader(store.files, key, sums, store.verify)
        shape = self.reader.shape
        if shape[1] < metadata.height or shape[2] < metadata.width:
            raise StoreError(
                f"{store.files.where(key)} has shape {shape}; expected room for images of "
                f"{metadata.height} x {metadata.width}; run 'mtfast check' on the store"
            )

    def read(self, image: int, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Decode one mask.

        Parameters
        ----------
        image : int
        out : (height, width) array, optional
            Takes the pixels.

        Returns
        -------
        (height, width) uint8 or uint16
            In C order: ``out`` if given.

        Raises
        ------
        StoreError
            If it is damaged, or ``out`` does not fit.
        """
        size = self._metadata.size(image)
        if out is not None:
            check_out(out, size, (self.reader.dtype,), error=StoreError)
        return self.reader.read(image, size, out)

    def read_several(
        self, images: NDArray[np.int64], out: NDArray[Any] | None = None
    ) -> NDArray[Any] | list[NDArray[Any]]:
        """Decode masks into one array.

        Parameters
        ----------
        images : (n,) int64
        out : array, optional
            Takes the pixels.

        Returns
        -------
        (n, height, width) array, or list of n arrays
            A list where sizes differ.

        Raises
        ------
        StoreError
            As :meth:`read`.
        """
        shape = self._metadata.common_size(images)
        if shape is None:
            return read_each(self.read, images, out, self._workers)
        return read_known(self.read, images, shape, self.reader.dtype, out, self._workers)
