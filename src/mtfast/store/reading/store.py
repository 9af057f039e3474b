"""Random access to a store: by index, by file name or by its stem."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtfast.errors import StoreError
from mtfast.painting.crop import crop_table
from mtfast.painting.frame import check_out
from mtfast.painting.paint import semantic
from mtfast.store import schema
from mtfast.store.reading.annotations import Annotations
from mtfast.store.reading.columns import read_column
from mtfast.store.reading.files import Files, read_metadata
from mtfast.store.reading.images import ImageArray, open_image_array
from mtfast.store.reading.windows import WindowReader, has_crop_index
from mtfast.table import Category, RunTable
from mtfast.window import Window, check_window

__all__ = ["Crop", "Sample", "Split", "Store", "open_store"]


def open_store(path: str | os.PathLike[str]) -> Store:
    """Open a converted dataset for random access.

    Parameters
    ----------
    path : path-like
        A store written by :func:`mtfast.convert`.

    Returns
    -------
    Store
        ``store["train"]`` is a :class:`Split`. A store may be used from many threads, survives a
        fork, and pickles as its path.

    Raises
    ------
    StoreError
        If there is no store, it is incomplete, or its layout is newer than this mtfast.

    Examples
    --------
    >>> train = mtfast.open("graphene.zarr")["train"]       # doctest: +SKIP
    >>> train.semantic(123).shape                           # doctest: +SKIP
    (1200, 1920)

    Notes
    -----
    The layout is described in docs/FORMAT.md.
    """
    return Store(Path(path).absolute())


class Store:
    """An opened dataset: a mapping of split names to splits. See :func:`open_store`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_dir():
            old = schema.replaced_path(path)
            raise StoreError(
                f"no store at {path}; expected a folder; check the path"
                f"{f' (one that was to be replaced is {old})' if old.exists() else ''}"
            )
        self.attributes: dict[str, Any] = read_metadata(path).get("attributes", {})
        version = self.attributes.get("mtfast_format")
        if version is None:
            raise StoreError(
                f"{path} is a Zarr group that 'mtfast convert' did not write; expected a converted "
                f"dataset; convert it first (masks alone are read with zarr.open_group)"
            )
        if version != schema.FORMAT:
            raise StoreError(
                f"{path} has layout version {version}; expected {schema.FORMAT}; "
                f"update mtfast or convert the set again"
            )
        if self.attributes.get("complete") is not True:
            old = schema.replaced_path(path)
            raise StoreError(
                f"{path} is incomplete, its conversion did not finish; expected a complete store; "
                f"convert again with --overwrite"
                f"{f' (the store it was to replace is {old})' if old.exists() else ''}"
            )
        self._splits = {name: Split(self, name) for name in self.attributes.get("splits", [])}

    def __reduce__(self) -> tuple[Any, ...]:
        return open_store, (self.path,)

    def __repr__(self) -> str:
        return f"<mtfast store {self.path}: {', '.join(map(repr, self._splits.values()))}>"

    def __getitem__(self, split: str) -> Split:
        try:
            return self._splits[split]
        except KeyError:
            raise StoreError(
                f"no split {split!r} in {self.path}; expected one of {list(self._splits)}; "
                f"pick one of these"
            ) from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._splits)

    def __len__(self) -> int:
        return len(self._splits)

    def __contains__(self, split: object) -> bool:
        return split in self._splits

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits."""
        return tuple(self._splits)


class Split:
    """One split of a store. Every access reads and decodes; nothing is kept.

    Attributes
    ----------
    name : str
    height, width : int
        Size in pixels of every image.
    """

    def __init__(self, store: Store, name: str) -> None:
        self.store = store
        self.name = name
        self._path = store.path / name
        self._files = Files(store.path / "zarr.json")
        attributes = read_metadata(self._path).get("attributes", {})
        self.attributes: dict[str, Any] = attributes
        try:
            self.height, self.width = int(attributes["height"]), int(attributes["width"])
            self.n_images = int(attributes["n_images"])
        except (KeyError, TypeError, ValueError) as error:
            raise StoreError(
                f"{self._path} is damaged: no {error} in its attributes; expected the size and "
                f"number of its images; convert the set again"
            ) from error

    def __reduce__(self) -> tuple[Any, ...]:
        return _open_split, (self.store.path, self.name)

    def __repr__(self) -> str:
        return f"<{self.name}: {self.n_images} images of {self.height} x {self.width}>"

    def __len__(self) -> int:
        return self.n_images

    def __iter__(self) -> Iterator[Sample]:
        return (Sample(self, i) for i in range(self.n_images))

    def __getitem__(self, image: int | str) -> Sample:
        """Return one image with its masks, by index, file name or stem; decoded when used."""
        return Sample(self, self.index(image))

    def crop(self, image: int | str, y: int, x: int, h: int, w: int) -> Sample:
        """Return a window of one image with its masks; each part is made when it is used.

        The pixels are those of the window of :meth:`image`. With a crop index no others are
        decoded, and hardly more bytes are read than hold them.

        Parameters
        ----------
        image : int or str
            Index, file name or stem.
        y, x, h, w : int
            First row and column, height and width of the window, in pixels.

        Returns
        -------
        Sample
            Its instances are cut to the window; those with no pixel in it are dropped.

        Raises
        ------
        MtfastError
            If the window has no pixel or leaves the image.

        Examples
        --------
        >>> sample = train.crop(3, 100, 200, 512, 512)               # doctest: +SKIP
        >>> sample.image.shape, sample.instances.bbox()[0]           # doctest: +SKIP
        ((512, 512, 3), array([ 17., 203.,  31.,  38.]))
        """
        window = check_window((y, x, h, w), self.height, self.width)
        return Crop(self, self.index(image), window)

    def crop_image(self, image: int | str, y: int, x: int, h: int, w: int) -> NDArray[np.uint8]:
        """Decode a window of an image, (h, w, 3) uint8 RGB; see :meth:`crop`."""
        self._require_images()
        window = check_window((y, x, h, w), self.height, self.width)
        return self._windows.read(self.index(image), window)

    @property
    def has_crop_index(self) -> bool:
        """Whether windows of images are decoded without the rest of the image."""
        return has_crop_index(self._path)

    @cached_property
    def names(self) -> NDArray[Any]:
        """File names of all images, (n_images,) str."""
        return read_column(self._path / "name")

    @cached_property
    def set_names(self) -> NDArray[Any]:
        """Exfoliation run of each image, (n_images,) str; empty where it is not known."""
        return read_column(self._path / "set_name")

    @property
    def set_members(self) -> dict[str, str]:
        """Exfoliation run of each image whose run is known, by the stem of its name."""
        stems = (PurePosixPath(name).stem for name in self.names.tolist())
        return {k: v for k, v in zip(stems, self.set_names.tolist(), strict=True) if v}

    @cached_property
    def image_crc32c(self) -> NDArray[np.uint32]:
        """CRC-32C of each image file, (n_images,) uint32."""
        self._require_images()
        return read_column(self._path / "image_crc32c")

    def index(self, image: int | str) -> int:
        """Index of an image, given its index, its file name or its stem (the UUID).

        Raises
        ------
        StoreError
            If no image has that name.
        IndexError
            If the index is out of range; negative ones count from the end.
        """
        if isinstance(image, str):
            found = self._index_of.get(image)
            if found is None:
                near = difflib.get_close_matches(image, self.names.tolist(), 1, 0.8)
                raise StoreError(
                    f"no image {image!r} in split {self.name!r}; expected a file name or its stem"
                    f"{f' such as {near[0]!r}' if near else ''}; look at the split's names"
                )
            return found
        number = image.__index__()
        if number < 0:
            number += self.n_images
        if not 0 <= number < self.n_images:
            raise IndexError(f"image {image} of a split of {self.n_images} images")
        return number

    @cached_property
    def _index_of(self) -> dict[str, int]:
        names = self.names.tolist()
        # A name in full wins over a stem that happens to be the same.
        by_stem = {PurePosixPath(name).stem: i for i, name in reversed(list(enumerate(names)))}
        return by_stem | {name: i for i, name in enumerate(names)}

    @property
    def has_images(self) -> bool:
        """Whether the store holds the images, not only their masks."""
        return bool(self.attributes.get("images", False))

    def image(self, image: int | str, out: NDArray[np.uint8] | None = None) -> NDArray[np.uint8]:
        """Decode an image, (height, width, 3) uint8 RGB; a grey one has three equal channels.

        ``out`` takes the pixels if given; it must be in C order.
        """
        self._require_images()
        if out is not None:
            check_out(out, self._jpegs.shape[1:], (self._jpegs.dtype,))
        return self._jpegs.read(self.index(image), out)

    def image_bytes(self, image: int | str) -> bytes:
        """Return the image file, byte for byte as it was converted."""
        self._require_images()
        return self._jpegs.raw(self.index(image))

    def fetch_ahead(self, image: int | str) -> None:
        """Ask the system for an image's bytes, which will be read soon; returns at once."""
        self._require_images()
        self._jpegs.fetch_ahead(self.index(image))

    def semantic(self, image: int | str, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Read a semantic mask, (height, width) uint8 or uint16 of category ids; 0 is background.

        ``out`` takes the pixels if given; it must be in C order.
        """
        if out is not None:
            check_out(out, self._masks.shape[1:], (self._masks.dtype,))
        return self._masks.read(self.index(image), out)

    def instances(self, image: int | str, variant: str | None = None) -> RunTable:
        """Return the instances of an image, as one annotation file of the source lists them.

        Parameters
        ----------
        image : int or str
        variant : str, optional
            One of :attr:`variants`; by default the one that the semantic masks were painted from.

        Raises
        ------
        StoreError
            If there is no such variant, or it does not list the image.
        """
        return self._annotations.of_image(self.index(image), variant or self.semantic_variant)

    def lists(self, image: int | str, variant: str | None = None) -> bool:
        """Whether an annotation file of the source lists an image, with instances or without."""
        return self._annotations.lists(self.index(image), variant or self.semantic_variant)

    def table(self, variant: str | None = None) -> RunTable:
        """Return a whole annotation file of the source; its images in the file's order."""
        return self._annotations.table(variant or self.semantic_variant)

    def images_of(self, variant: str | None = None) -> NDArray[np.int64]:
        """Indices of the images that a variant lists, in its order."""
        return self._annotations.images_of(variant or self.semantic_variant)

    @property
    def variants(self) -> tuple[str, ...]:
        """Names of the annotation files that the store holds."""
        return tuple(self._annotations.variants)

    @property
    def semantic_dtype(self) -> np.dtype[Any]:
        """Of the semantic masks: uint8 or uint16."""
        return self._masks.dtype

    @property
    def semantic_variant(self) -> str:
        """The variant that the semantic masks were painted from."""
        return str(self.attributes["semantic_variant"])

    def categories(self, variant: str | None = None) -> tuple[Category, ...]:
        """Return the categories of a variant."""
        return self._annotations.categories_of(variant or self.semantic_variant)

    @cached_property
    def _annotations(self) -> Annotations:
        return Annotations(self._path, self._files, self.names, (self.height, self.width))

    @cached_property
    def _masks(self) -> ImageArray:
        return open_image_array(self._path / schema.SEMANTIC, self._files)

    @cached_property
    def _jpegs(self) -> ImageArray:
        return open_image_array(self._path / schema.JPEG, self._files)

    @cached_property
    def _windows(self) -> WindowReader:
        return WindowReader(self._path, self._jpegs, self._files)

    def _require_images(self) -> None:
        if not self.has_images:
            raise StoreError(
                f"split {self.name!r} holds masks only; expected images; "
                f"convert the set again with --images jpeg"
            )


class Sample:
    """One image of a split with its masks; each part is read and decoded when it is first used."""

    def __init__(self, split: Split, index: int) -> None:
        self._split = split
        self.index = index

    def __repr__(self) -> str:
        return f"<sample {self.index} of {self._split.name}: {self.name}>"

    @property
    def name(self) -> str:
        """File name of the image."""
        return str(self._split.names[self.index])

    @cached_property
    def image(self) -> NDArray[np.uint8]:
        """The image, (height, width, 3) uint8 RGB."""
        return self._split.image(self.index)

    @cached_property
    def semantic(self) -> NDArray[Any]:
        """The semantic mask, (height, width) uint8 or uint16."""
        return self._split.semantic(self.index)

    @cached_property
    def instances(self) -> RunTable:
        """The instances, from the variant that the semantic mask was painted from."""
        return self._split.instances(self.index)


class Crop(Sample):
    """A window of one image; :meth:`mtfast.store.reading.store.Split.crop` makes it.

    Masks are painted from the runs that the window cuts, so nothing of the rest is made.
    """

    def __init__(self, split: Split, index: int, window: Window) -> None:
        super().__init__(split, index)
        self.window = window

    def __repr__(self) -> str:
        return f"<window {self.window} of sample {self.index} of {self._split.name}: {self.name}>"

    @cached_property
    def image(self) -> NDArray[np.uint8]:
        """The window of the image, (height, width, 3) uint8 RGB."""
        return self._split.crop_image(self.index, *self.window)

    @cached_property
    def semantic(self) -> NDArray[Any]:
        """The window of the semantic mask, (height, width) uint8 or uint16."""
        _, _, height, width = self.window
        mask = np.zeros((height, width), self._split.semantic_dtype)
        # An image that the variant does not list has an empty mask.
        if self._split.lists(self.index):
            semantic(self.instances, out=mask[None])
        return mask

    @cached_property
    def instances(self) -> RunTable:
        """The instances that have a pixel in the window, in its frame."""
        return crop_table(self._split.instances(self.index), self.window)


def _open_split(path: Path, name: str) -> Split:
    return open_store(path)[name]
