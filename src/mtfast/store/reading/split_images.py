"""The images of a split as pixels, whole or windows of them, and as kernels of a GPU take them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtfast import image_files
from mtfast.arguments import Window
from mtfast.caching import cached_property
from mtfast.errors import MtfastError, StoreError
from mtfast.jpeg.device import CodedHead, CodedImage
from mtfast.painting.frame import check_out
from mtfast.store import schema
from mtfast.store.reading.image_files import FileReader
from mtfast.store.reading.many import n_workers, read_alike, read_each, read_known
from mtfast.store.reading.root import StoreRoot
from mtfast.store.reading.split_metadata import SplitMetadata
from mtfast.store.reading.windows import WindowReader

__all__ = ["SplitImages"]


class SplitImages:
    """Decodes the images of a split, which has to have some.

    Parameters
    ----------
    store : StoreRoot
    split : str
        Key of the split.
    metadata : SplitMetadata
        Its own.
    """

    def __init__(self, store: StoreRoot, split: str, metadata: SplitMetadata) -> None:
        self._store = store
        self._split = split
        self._metadata = metadata
        self._where = store.files.where(split)

    @cached_property
    def files(self) -> FileReader:
        """What reads the image files, whole or ranges of them."""
        return FileReader(
            self._store.files,
            f"{self._split}/{schema.FILE}",
            self._metadata.column("file_bytes"),
            self._metadata.column("file_crc32c"),
            self._store.verify,
        )

    @cached_property
    def windows(self) -> WindowReader:
        """What reads windows of the image files."""
        known = self._metadata
        return WindowReader(self._store, self._split, self.files, known.n_images, known.heights)

    def read(self, image: int, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Decode one image.

        Parameters
        ----------
        image : int
        out : array, optional
            Takes the pixels.

        Returns
        -------
        (height, width[, 3]) uint8 or uint16
            In C order: ``out`` if given.

        Raises
        ------
        StoreError
            If the bytes are damaged, or ``out`` does not fit.
        """
        size = self._metadata.size(image)
        data = self.files.read(image)
        try:
            if out is not None and self._metadata.is_plain_jpeg(image):
                check_out(out, (*size, 3), (np.dtype(np.uint8),), error=StoreError)
                return image_files.decode(data, out)
            orientation = int(self._metadata.orientations[image])
            pixels = image_files.turn(image_files.decode(data), orientation)
        except (MtfastError, ValueError, RuntimeError, MemoryError) as error:
            if isinstance(error, StoreError):
                raise
            raise self._damaged(image, str(error)) from error
        if pixels.shape[:2] != size:
            raise self._damaged(image, f"it has {pixels.shape[0]} x {pixels.shape[1]} pixels")
        if out is None:
            return np.ascontiguousarray(pixels)
        check_out(out, pixels.shape, (pixels.dtype,), error=StoreError)
        out[...] = pixels
        return out

    def read_several(
        self, images: NDArray[np.int64], out: NDArray[Any] | None = None
    ) -> NDArray[Any] | list[NDArray[Any]]:
        """Decode images side by side.

        Parameters
        ----------
        images : (n,) int64
        out : array, optional
            Takes the pixels.

        Returns
        -------
        (n, height, width[, 3]) array, or list of n arrays
            A list where sizes or types differ.

        Raises
        ------
        StoreError
            As :meth:`read`.
        """
        shape = self._metadata.common_size(images)
        workers = n_workers(self._store.files)
        if shape is None:
            return read_each(self.read, images, out, workers)
        if all(map(self._metadata.is_plain_jpeg, images.tolist())):
            return read_known(self.read, images, (*shape, 3), np.dtype(np.uint8), out, workers)
        return read_alike(self.read, images, out)

    def crop(self, image: int, window: Window) -> NDArray[Any]:
        """Decode a window of an image, with the crop index where there is one.

        Parameters
        ----------
        image : int
        window : Window
            Inside the image.

        Returns
        -------
        (height, width[, 3]) uint8 or uint16
            In C order.

        Raises
        ------
        StoreError
            If the bytes are damaged.
        """
        found = self.windows.read(image, window) if self._metadata.is_plain_jpeg(image) else None
        if found is not None:
            return found
        y, x, height, width = window
        return np.ascontiguousarray(self.read(image)[y : y + height, x : x + width])

    def coded_window(self, image: int, window: Window) -> CodedImage | None:
        """Read the coded data of a window, see :meth:`Split.coded_window`."""
        return self.windows.coded(image, window) if self._metadata.is_plain_jpeg(image) else None

    def coded_head(self, image: int) -> CodedHead | None:
        """Read what all windows of an image share, see :meth:`Split.coded_head`."""
        head = self.windows.coded_head(image) if self._metadata.is_plain_jpeg(image) else None
        size = self._metadata.size(image)
        if head is not None and (head.height, head.width) != size:
            raise StoreError(
                f"image {image} of {self._where} is a JPEG of {head.height} x {head.width}; "
                f"expected the size that the store says, {' x '.join(map(str, size))}; "
                f"run 'mtfast check' on the store"
            )
        return head

    def _damaged(self, image: int, reason: str) -> StoreError:
        return StoreError(
            f"image {image} of {self._where} does not decode ({reason}); expected "
            f"{' x '.join(map(str, self._metadata.size(image)))} pixels; "
            f"run 'mtfast check' on the store"
        )
