"""Windows of the images of a split, decoded with a crop index where there is one."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np
from numpy.typing import NDArray

from mtfast.arguments import Window
from mtfast.errors import MtfastError, StoreError
from mtfast.jpeg.checks import n_checked
from mtfast.jpeg.crop import DamagedFileError, cut_window
from mtfast.jpeg.device import CodedHead, CodedImage, read_coded_head, read_coded_window
from mtfast.jpeg.index import N_COMPONENTS, CropIndex
from mtfast.jpeg.layout import CannotCutError
from mtfast.store import schema
from mtfast.store.file_frames import sum_of
from mtfast.store.reading.chunks import ShardedChunks, is_sharded
from mtfast.store.reading.columns import read_column
from mtfast.store.reading.files import SMALL_FILE
from mtfast.store.reading.image_files import FileReader
from mtfast.store.reading.metadata import read_array
from mtfast.store.reading.root import StoreRoot

__all__ = ["WindowReader", "has_crop_index"]

logger = logging.getLogger(__name__)

# Pixels above and below a window: two rows of MCUs of 16, one for chroma and one that may be cut.
_MARGIN = 32


def has_crop_index(store: StoreRoot, split: str) -> bool:
    """Return whether a split has a crop index of the version that is known.

    Parameters
    ----------
    store : StoreRoot
    split : str
        Its key.

    Returns
    -------
    bool
    """
    group = f"{split}/{schema.CROP_GROUP}"
    return bool(store.attributes_of(group).get("version") == schema.CROP_VERSION)


class WindowReader:
    """Decodes windows of the images of a split, with a crop index where there is one.

    Parameters
    ----------
    store : StoreRoot
    split : str
        Key of the split.
    images : FileReader
        Its image files.
    n_images : int
    heights : (n_images,) int64, optional
        Of the images, so that windows of a store elsewhere take fewer requests.

    Attributes
    ----------
    files : FileReader
    """

    def __init__(
        self,
        store: StoreRoot,
        split: str,
        images: FileReader,
        n_images: int,
        heights: NDArray[np.int64] | None = None,
    ) -> None:
        import imagecodecs

        files, verify = store.files, store.verify
        self._heights = heights if files.is_remote else None
        group = f"{split}/{schema.CROP_GROUP}"
        self._where, self._split = files.where(group), files.where(split)
        self.files = images
        self._decode = imagecodecs.jpeg8_decode
        self._steps: NDArray[np.uint16] | None = None
        self._verify = verify
        self._told: set[str] = set()
        if not has_crop_index(store, split):
            return
        self._arrays = []
        for name in (schema.CROP_BITS, schema.CROP_DCS, schema.CROP_CHECKS):
            stored = read_array(files, f"{group}/{name}")
            if not is_sharded(stored) or stored.shape[0] != n_images:
                raise self._unfit(f"{name} is of another form, or of {stored.shape[0]} images")
            self._arrays.append(ShardedChunks(files, stored, verify, SMALL_FILE))
        bits, dcs, sums = (array.chunk for array in self._arrays)
        if dcs != (N_COMPONENTS, *bits) or sums != (n_checked(bits[0]),):
            raise self._unfit(f"it has room for {bits}, {dcs} and {sums} numbers an image")
        steps = read_column(files, f"{group}/{schema.CROP_STEP}")
        self._sums = read_column(files, f"{group}/{schema.CROP_SUMS}")
        n_rows = min(len(steps), len(self._sums))
        if n_rows != n_images:
            raise self._unfit(f"it is one of {n_rows} images")
        self._steps = steps

    def read(self, image: int, window: Window) -> NDArray[np.uint8] | None:
        """Decode a window of an image.

        Parameters
        ----------
        image : int
            Its index.
        window : Window
            Must be inside the image, as its file has it.

        Returns
        -------
        (height, width, 3) uint8 or None
            RGB, in C order; None if the image has to be decoded whole.

        Raises
        ------
        StoreError
            If the index or the image is damaged, or they are of different images.
        """
        step = 0 if self._steps is None else int(self._steps[image])
        if self._steps is None:
            self._tell("every image", "there is no crop index; 'mtfast index' makes one")
        elif not step:
            self._tell(f"image {image}", "it is of a kind that cannot be cut, or damaged")
        return self._cut(image, window) if step else None

    def coded(self, image: int, window: Window) -> CodedImage | None:
        """Read the coded data of a window, for the kernels of a GPU.

        Parameters
        ----------
        image : int
            Its index.
        window : Window
            Must be inside the image, as its file has it.

        Returns
        -------
        CodedImage or None
            None if the image has no entries, or is of a kind that the kernels do not decode.

        Raises
        ------
        StoreError
            If the index or the image is damaged, or they are of different images.
        """
        if self._steps is None or not self._steps[image]:
            return None
        index = self.entries(image)
        self._hold(image, index, window)
        self.files.expect_sum(image)
        with self._named(image):
            try:
                return read_coded_window(partial(self.files.ranges, image), index, window)
            except CannotCutError:
                return None

    def coded_head(self, image: int) -> CodedHead | None:
        """Read what all windows of an image share, for the kernels of a GPU.

        Its checksum in the shard is compared with that in the columns, the index and the header
        with theirs; the coded data is compared with the index when it is read.

        Parameters
        ----------
        image : int
            Its index.

        Returns
        -------
        CodedHead or None
            As :meth:`coded`; None too if the files are not stored as convert stores them, or
            the store was opened without checks.

        Raises
        ------
        StoreError
            As :meth:`coded`.
        """
        # What is not verified, or is read through zarr, is read window by window.
        can_be_cut = self._steps is not None and self._steps[image] and self._verify
        if not can_be_cut or not self.files.is_sharded:
            return None
        index = self.entries(image)
        self._hold(image, index)
        self.files.expect_sum(image)
        with self._named(image):
            try:
                head = read_coded_head(partial(self.files.ranges, image), index)
            except CannotCutError:
                return None
        if int(head.entries.positions[-1]) > 8 * self.files.size(image):
            raise self._unfit(f"the entries of image {image} leave its file")
        return head

    def damaged(self, image: int, found: str) -> StoreError:
        """Return an error for an image whose coded data is damaged.

        Parameters
        ----------
        image : int
        found : str
            What it has.

        Returns
        -------
        StoreError
        """
        return StoreError(
            f"image {image} of {self._split} is damaged: it has {found}; expected the file "
            f"that was converted; run 'mtfast check' on the store"
        )

    @contextmanager
    def _named(self, image: int) -> Iterator[None]:
        """Raise errors of a window with the number of its image."""
        try:
            yield
        except DamagedFileError as error:
            raise self.damaged(image, str(error)) from error
        except StoreError:
            raise
        except (MtfastError, ValueError, RuntimeError) as error:
            raise self._unfit(f"image {image} is {error}") from error

    def _cut(self, image: int, window: Window) -> NDArray[np.uint8] | None:
        index = self.entries(image)
        self._hold(image, index, window)
        # Another file, whole and with its own index in the place of this one's, fits itself.
        self.files.expect_sum(image)
        with self._named(image):
            try:
                small = cut_window(partial(self.files.ranges, image), index, window)
                pixels = self._decode(small.data, outcolorspace="RGB")
            except CannotCutError as error:
                self._tell(f"image {image}", str(error))
                return None
        if pixels.shape != (small.height, small.width, 3):
            raise self._unfit(f"a window of image {image} decodes to another size")
        y, x, height, width = small.y, small.x, window.height, window.width
        return np.ascontiguousarray(pixels[y : y + height, x : x + width])

    def _hold(self, image: int, index: CropIndex, window: Window | None = None) -> None:
        """Read the header and the rows of a window together, where the store is elsewhere."""
        if self._heights is not None:
            ranges = [(0, int(index.positions[0]) >> 3)]
            if window is not None:
                ranges.append(_rows_of(index, window, int(self._heights[image])))
            self.files.hold(image, ranges)

    def entries(self, image: int) -> CropIndex:
        """Read the index of an image.

        Parameters
        ----------
        image : int

        Returns
        -------
        CropIndex
            Of as many entries as the array has room for; a step of 0 if the image has none.

        Raises
        ------
        StoreError
            If there is no index, it is damaged or that of another image.
        """
        if self._steps is None:
            raise self._unfit("there is none")
        chunks = [array.read(image) for array in self._arrays]
        if self._verify and sum_of(chunks) != self._sums[image]:
            raise self._unfit(f"the entries of image {image} are those of another one")
        bits, dcs, sums = (
            array.unpack(image, chunk) for array, chunk in zip(self._arrays, chunks, strict=True)
        )
        positions = np.cumsum(bits, dtype=np.int64)
        return CropIndex(int(self._steps[image]), positions, dcs, sums if self._verify else None)

    def _tell(self, which: str, why: str) -> None:
        """Log once which images are decoded whole for their windows, and why."""
        if which not in self._told:
            self._told.add(which)
            logger.info("%s of %s is decoded whole for its windows: %s", which, self._split, why)

    def _unfit(self, found: str) -> StoreError:
        return StoreError(
            f"the crop index {self._where} does not fit its images: {found}; expected one made of "
            f"these images; make it again with 'mtfast index --overwrite'"
        )


def _rows_of(index: CropIndex, window: Window, height: int) -> tuple[int, int]:
    """Return the bytes of a file that hold the rows of a window, and hardly more.

    Its header, which says how high a row is, has not been read: each row has as many entries.
    """
    positions = index.positions
    n = int(np.searchsorted(positions, positions[-1])) + 1
    first = n * (window.y - _MARGIN) // height - 2
    last = n * (window.y + window.height + _MARGIN) // height + 2
    bits = positions[max(first, 0)], positions[min(last, n - 1)]
    return int(bits[0]) >> 3, (int(bits[1]) + 7) >> 3
