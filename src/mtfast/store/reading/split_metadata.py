"""What a split says of itself and of each of its images, in attributes and columns."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtfast.caching import cached_property
from mtfast.errors import StoreError, StoreNameError, no_such, shown
from mtfast.limits import check_pixels, max_pixels
from mtfast.paths import stem_of
from mtfast.store import schema
from mtfast.store.reading.columns import read_column
from mtfast.store.reading.root import StoreRoot

__all__ = ["SplitMetadata"]


class SplitMetadata:
    """The attributes of a split, and its columns; each is read and checked when it is first used.

    Parameters
    ----------
    store : StoreRoot
    split : str
        Key of the split.

    Attributes
    ----------
    attributes : dict
        Of its group; docs/FORMAT.md names them.
    n_images : int

    Raises
    ------
    StoreError
        If the number of images is none.
    """

    def __init__(self, store: StoreRoot, split: str) -> None:
        self._files = store.files
        self._split = split
        self.attributes: dict[str, Any] = store.attributes_of(split)
        self.n_images = self._number("n_images")

    @property
    def has_images(self) -> bool:
        """Whether the store holds the images, not only their masks."""
        return bool(self.attributes.get("images", False))

    def require_images(self) -> None:
        """Refuse a split of masks alone.

        Raises
        ------
        StoreError
        """
        if not self.has_images:
            raise StoreError(
                f"split {self._split!r} holds masks only; expected images; "
                f"convert the set again with images='keep'"
            )

    @property
    def semantic_variant(self) -> str:
        """The variant that the semantic masks were painted from."""
        variant = self.attributes.get("semantic_variant")
        if not isinstance(variant, str):
            raise self._bad_attribute("semantic_variant", "the name of a variant")
        return variant

    @cached_property
    def names(self) -> NDArray[Any]:
        """File names of all images, (n_images,) str."""
        return self._read(schema.NAME)

    @cached_property
    def heights(self) -> NDArray[np.int64]:
        """Height of each image in pixels, (n_images,) int64."""
        return self._sides("height")

    @cached_property
    def widths(self) -> NDArray[np.int64]:
        """Width of each image in pixels, (n_images,) int64."""
        widths = self._sides("width")
        n_pixels = self.heights * widths
        if n_pixels.max(initial=0) > max_pixels():
            worst = int(n_pixels.argmax())
            what = f"image {worst} of {self._files.where(self._split)} is"
            check_pixels(what, int(self.heights[worst]), int(widths[worst]), StoreError)
        return widths

    @property
    def height(self) -> int:
        """Rows of the image that has most, in pixels."""
        return int(self.heights.max(initial=0))

    @property
    def width(self) -> int:
        """Columns of the image that has most, in pixels."""
        return int(self.widths.max(initial=0))

    @cached_property
    def kinds(self) -> NDArray[Any]:
        """Kind of each image file, (n_images,) str."""
        self.require_images()
        return self.column("kind")

    @cached_property
    def orientations(self) -> NDArray[np.uint8]:
        """EXIF orientation that is applied to each image, (n_images,) uint8; 1 for none."""
        self.require_images()
        return self.column("orientation")

    @cached_property
    def set_names(self) -> NDArray[Any]:
        """Exfoliation run of each image, (n_images,) str; empty where it is not known."""
        return self.column("set_name")

    def size(self, image: int) -> tuple[int, int]:
        """Return the size of an image.

        Parameters
        ----------
        image : int

        Returns
        -------
        height, width : int
            In pixels.
        """
        return int(self.heights[image]), int(self.widths[image])

    def common_size(self, images: NDArray[np.int64]) -> tuple[int, int] | None:
        """Return the size of some images.

        Parameters
        ----------
        images : (n,) int64

        Returns
        -------
        (height, width) or None
            None if they differ in it; that of the largest image for no images.
        """
        if not images.size:
            return self.height, self.width
        sizes = np.stack([self.heights[images], self.widths[images]])
        return tuple(sizes[:, 0].tolist()) if (sizes == sizes[:, :1]).all() else None

    def is_plain_jpeg(self, image: int) -> bool:
        """Return whether an image is a JPEG file that is not turned.

        Parameters
        ----------
        image : int

        Returns
        -------
        bool
        """
        return bool(self.kinds[image] == "jpeg" and self.orientations[image] == 1)

    def find(self, name: str) -> int:
        """Return the index of an image by its file name or its stem.

        Parameters
        ----------
        name : str

        Returns
        -------
        int

        Raises
        ------
        StoreNameError
            If no image has that name.
        """
        found = self.places.get(name)
        if found is None:
            where = f"split {self._split!r}"
            raise StoreNameError(no_such("image", name, self.names.tolist(), where))
        return found

    @cached_property
    def places(self) -> dict[str, int]:
        """Every file name and every stem -> the index of its image."""
        names = self.names.tolist()
        # A full name wins over an equal stem, and the first of equal stems over the others.
        by_stem = {stem_of(name): i for i, name in reversed(list(enumerate(names)))}
        return by_stem | {name: i for i, name in enumerate(names)}

    def column(self, name: str) -> NDArray[Any]:
        """Read a column.

        Parameters
        ----------
        name : str
            One of ``schema.COLUMNS``.

        Returns
        -------
        (n_images,) array

        Raises
        ------
        StoreError
            If it is damaged, or has another length.
        """
        return self._read(f"{schema.COLUMN_GROUP}/{name}")

    def _read(self, name: str) -> NDArray[Any]:
        key = f"{self._split}/{name}"
        values = read_column(self._files, key)
        if values.shape != (self.n_images,):
            raise StoreError(
                f"{self._files.where(key)} has shape {values.shape}; expected {(self.n_images,)} "
                f"as the attributes of the split have it; run 'mtfast check' on the store"
            )
        return values

    def _sides(self, name: str) -> NDArray[np.int64]:
        sides = self.column(name).astype(np.int64)
        if sides.min(initial=1) < 1:
            key = f"{self._split}/{schema.COLUMN_GROUP}/{name}"
            raise StoreError(
                f"{self._files.where(key)} is damaged: it has {sides.min()} pixels; expected at "
                f"least one; run 'mtfast check' on the store"
            )
        return sides

    def _number(self, attribute: str) -> int:
        value = self.attributes.get(attribute)
        if not isinstance(value, int) or value < 0:
            raise self._bad_attribute(attribute, "a number of at least 0")
        return value

    def _bad_attribute(self, attribute: str, expected: str) -> StoreError:
        return StoreError(
            f"{self._files.where(self._split)} is damaged: its attribute {attribute!r} is "
            f"{shown(self.attributes.get(attribute))}; expected {expected}; "
            f"run 'mtfast check' on the store"
        )
