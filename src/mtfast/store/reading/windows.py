"""Windows of the images of a split, decoded with a crop index where there is one."""

from __future__ import annotations

import logging
from functools import partial

import numpy as np
from numpy.typing import NDArray

from mtfast.arguments import Window
from mtfast.errors import MtfastError, StoreError
from mtfast.jpeg.crop import cut_window
from mtfast.jpeg.index import N_COMPONENTS, CropIndex
from mtfast.jpeg.layout import CannotCutError
from mtfast.store import schema
from mtfast.store.reading.columns import read_column
from mtfast.store.reading.files import StoreFiles
from mtfast.store.reading.image_arrays import ImageArray, open_image_array
from mtfast.store.reading.metadata import read_attributes

__all__ = ["WindowReader", "has_crop_index"]

logger = logging.getLogger(__name__)


def has_crop_index(files: StoreFiles, split: str) -> bool:
    """Return whether a split has a crop index of the version that is known.

    Parameters
    ----------
    files : StoreFiles
    split : str
        Its key.

    Returns
    -------
    bool
    """
    group = f"{split}/{schema.CROP_GROUP}"
    if not files.exists(f"{group}/zarr.json"):
        return False
    return bool(read_attributes(files, group).get("version") == schema.CROP_VERSION)


class WindowReader:
    """Decodes windows of the images of a split, with a crop index where there is one.

    Parameters
    ----------
    files : StoreFiles
    split : str
        Key of the split.
    jpegs : ImageArray
        Its images.
    """

    def __init__(self, files: StoreFiles, split: str, jpegs: ImageArray) -> None:
        import imagecodecs

        group = f"{split}/{schema.CROP_GROUP}"
        self._where, self._split = files.where(group), files.where(split)
        self._jpegs = jpegs
        self._decode = imagecodecs.jpeg8_decode
        self._steps: NDArray[np.uint16] | None = None
        self._told: set[str] = set()
        if jpegs.holds_jpegs and has_crop_index(files, split):
            self._steps = read_column(files, f"{group}/{schema.CROP_STEP}")
            self._bits = open_image_array(files, f"{group}/{schema.CROP_BITS}")
            self._dcs = open_image_array(files, f"{group}/{schema.CROP_DCS}")
            n_images = len(self._steps), self._bits.shape[0], self._dcs.shape[0]
            if n_images != (jpegs.shape[0],) * 3 or self._dcs.shape[1] != N_COMPONENTS:
                raise self._unfit(f"it is one of {n_images[0]} images")

    def read(self, image: int, window: Window) -> NDArray[np.uint8]:
        """Decode a window of an image.

        Parameters
        ----------
        image : int
            Its index.
        window : Window
            Must be inside the image.

        Returns
        -------
        (height, width, 3) uint8
            RGB, in C order.

        Raises
        ------
        StoreError
            If the index or the image is damaged, or they are of different images.
        """
        y, x, height, width = window
        step = 0 if self._steps is None else int(self._steps[image])
        if self._steps is None:
            self._tell("every image", "there is no crop index; 'mtfast index' makes one")
        elif not step:
            self._tell(f"image {image}", "it is of a kind that cannot be cut, or damaged")
        found = self._cut(image, step, window) if step else None
        pixels, y, x = found or (self._jpegs.read(image), y, x)
        return np.ascontiguousarray(pixels[y : y + height, x : x + width])

    def _cut(
        self, image: int, step: int, window: Window
    ) -> tuple[NDArray[np.uint8], int, int] | None:
        """Decode a small image around the window; also return where in it the window is."""
        positions = np.cumsum(self._bits.read(image), dtype=np.int64)
        index = CropIndex(step, positions, self._dcs.read(image))
        try:
            small = cut_window(partial(self._jpegs.ranges, image), index, window)
            pixels = self._decode(small.data, outcolorspace="RGB")
        except CannotCutError as error:
            self._tell(f"image {image}", str(error))
            return None
        except (MtfastError, ValueError, RuntimeError) as error:
            raise self._unfit(f"image {image} is {error}") from error
        if pixels.shape != (small.height, small.width, 3):
            raise self._unfit(f"a window of image {image} decodes to another size")
        return pixels, small.y, small.x

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
