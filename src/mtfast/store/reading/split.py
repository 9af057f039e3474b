"""One split of a store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from mtfast.addresses import Address
from mtfast.arguments import Window, as_integer, check_window
from mtfast.caching import cached_property
from mtfast.errors import StoreNameError, no_such
from mtfast.jpeg.device import CodedHead, CodedImage
from mtfast.paths import stem_of
from mtfast.remote.disk_cache import CacheOptions
from mtfast.store.reading.annotations import Annotations
from mtfast.store.reading.describe import describe
from mtfast.store.reading.positions import (
    ImageKey,
    ImageKeys,
    is_position,
    position_of,
    positions_of,
)
from mtfast.store.reading.root import StoreRoot, open_root
from mtfast.store.reading.sample import CroppedSample, Sample
from mtfast.store.reading.selection import Selection
from mtfast.store.reading.split_images import SplitImages
from mtfast.store.reading.split_masks import SplitMasks
from mtfast.store.reading.split_metadata import SplitMetadata
from mtfast.store.reading.windows import WindowReader, has_crop_index
from mtfast.table import Category, RunTable

if TYPE_CHECKING:
    import torch

__all__ = ["CroppedSample", "Sample", "Selection", "Split"]


class Split:
    """One split of a store. Every access reads and decodes; nothing is kept.

    ``mtfast.open(path)[name]`` makes it. Wherever a method takes an image, that is its index, its
    file name or its stem, which is the UUID in published sets.

    It is a sequence of samples. A slice, a list, an array of indices or a mask in brackets makes a
    :class:`Selection`, as light as a slice of a range; ``train.image([3, 7])`` decodes many at
    once.

    Attributes
    ----------
    name : str
    height, width : int
        Size in pixels of the largest image: the most rows and the most columns of any.
    n_images : int
        The same as ``len(split)``.
    attributes : dict
        Of its group; docs/FORMAT.md names them.
    store : StoreRoot
        What it is a split of.

    Examples
    --------
    >>> train = mtfast.open("graphene.zarr")["train"]
    >>> train                                                   # doctest: +ELLIPSIS
    <split 'train': 10 images of up to 96 x 128, 4 classes, 106 variants...>
    >>> [sample.index for sample in train[2:5]]
    [2, 3, 4]
    >>> sample = train[3]
    >>> sample.image.shape, sample.semantic.shape, sample.instances.n_images
    ((96, 128, 3), (96, 128), 1)
    """

    def __init__(self, store: StoreRoot, name: str) -> None:
        self.store = store
        self.name = name
        if name not in store.splits:
            raise StoreNameError(no_such("split", name, store.splits, str(store.path)))
        self._files = store.files
        self._metadata = SplitMetadata(store, name)
        self.attributes = self._metadata.attributes
        self.n_images = self._metadata.n_images

    def __reduce__(self) -> tuple[Any, ...]:
        return _open_split, (self.name, *self.store.opened_by)

    def __repr__(self) -> str:
        return f"<split {self.name!r}: {describe(self)}>"

    def _repr_html_(self) -> str:
        from mtfast.store.reading.notebook import split_html

        return split_html(self)

    def __len__(self) -> int:
        return self.n_images

    def __iter__(self) -> Iterator[Sample]:
        return (Sample(self, index) for index in range(self.n_images))

    def __contains__(self, image: object) -> bool:
        if isinstance(image, Sample):
            place = image.split.store.path, image.split.name
            return place == (self.store.path, self.name)
        if isinstance(image, str | UUID):
            return str(image) in self._metadata.places
        return is_position(image, self.n_images)

    @overload
    def __getitem__(self, images: ImageKey) -> Sample: ...

    @overload
    def __getitem__(self, images: ImageKeys) -> Selection: ...

    def __getitem__(self, images: ImageKey | ImageKeys) -> Sample | Selection:
        """Return one image with its masks, or a selection of several; nothing is read yet.

        Parameters
        ----------
        images : int, str, UUID, slice, list or array
            One image by its index, where negative ones count from the end, by its file name or
            its stem. Several by a slice, a list or an array of these, or a mask, a bool for each
            image of the split.

        Returns
        -------
        Sample or Selection

        Raises
        ------
        StoreError, IndexError, TypeError
            As :meth:`index`.

        Examples
        --------
        >>> train = mtfast.open("graphene.zarr")["train"]
        >>> len(train[0:5]), len(train[[1, 3]]), len(train[train.heights > 100])
        (5, 2, 0)
        """
        found = positions_of(images, self.n_images, self._metadata.find)
        return Sample(self, found) if isinstance(found, int) else Selection(self, found)

    def crop(self, image: ImageKey, y: int, x: int, h: int, w: int) -> CroppedSample:
        """Return a window of one image with its masks, each made when it is first used.

        The pixels are those of the window of :meth:`image`. With a crop index no others are
        decoded, and hardly more bytes are read than hold them.

        Parameters
        ----------
        image : int or str
        y, x, h, w : int
            First row and column, height and width of the window, in pixels.

        Returns
        -------
        CroppedSample
            Its instances are cut to the window; those with no pixel in it are dropped.

        Raises
        ------
        MtfastError
            If the window has no pixel or leaves the image.
        StoreError, IndexError
            As :meth:`index`.

        Examples
        --------
        >>> sample = mtfast.open("graphene.zarr")["train"].crop(3, 10, 20, 64, 48)
        >>> sample.image.shape, sample.semantic.shape
        ((64, 48, 3), (64, 48))
        """
        index = self.index(image)
        return CroppedSample(self, index, check_window((y, x, h, w), *self.size(index)))

    def crop_image(self, image: ImageKey, y: int, x: int, h: int, w: int) -> NDArray[np.uint8]:
        """Decode a window of an image.

        Parameters
        ----------
        image : int or str
        y, x, h, w : int
            First row and column, height and width of the window, in pixels.

        Returns
        -------
        (h, w, 3) uint8
            RGB, in C order.

        Raises
        ------
        MtfastError
            If the window has no pixel or leaves the image.
        StoreError
            If the split holds no images, or the bytes are damaged.
        """
        images = self._images
        index = self.index(image)
        return images.crop(index, check_window((y, x, h, w), *self.size(index)))

    def images_gpu(
        self, images: Sequence[ImageKey], device: torch.device | str = "cuda"
    ) -> torch.Tensor:
        """Decode images of one size on a GPU.

        Parameters
        ----------
        images : sequence of int or str
            At least one.
        device : torch.device or str
            A CUDA device; on "cpu" the same kernels run one thread after another, for tests.

        Returns
        -------
        (n, 3, height, width) uint8 tensor
            RGB, on the device, in the memory format ``channels_last``; the pixels of
            :meth:`image`. What kernels cannot decode is decoded on the CPU and copied.

        Raises
        ------
        MtfastError
            If the sizes differ, an image has 16 bits, there is no such device, or a library is
            missing.
        StoreError
            If the split holds no images, bytes are damaged, or as :meth:`index`.

        Examples
        --------
        >>> train.images_gpu([3, 7]).shape                                       # doctest: +SKIP
        torch.Size([2, 3, 1200, 1920])
        """
        sizes = [(image, 0, 0, *self.size(image)) for image in images]
        return self.crops_gpu(sizes, device)

    def crops_gpu(
        self,
        windows: Sequence[tuple[ImageKey, int, int, int, int]],
        device: torch.device | str = "cuda",
    ) -> torch.Tensor:
        """Decode windows of one size on a GPU, with the crop index where there is one.

        Parameters
        ----------
        windows : sequence of (image, y, x, h, w)
            At least one: the image, first row and column, height and width in pixels.
        device : torch.device or str
            As for :meth:`images_gpu`.

        Returns
        -------
        (n, 3, h, w) uint8 tensor
            RGB, on the device, in the memory format ``channels_last``; the pixels of
            :meth:`crop_image`.

        Raises
        ------
        MtfastError
            If a window leaves its image, or as :meth:`images_gpu`.
        StoreError
            If the split holds no images, bytes are damaged, or as :meth:`index`.

        Examples
        --------
        >>> train.crops_gpu([(3, 10, 20, 512, 512), (5, 0, 0, 512, 512)]).shape  # doctest: +SKIP
        torch.Size([2, 3, 512, 512])
        """
        from mtfast.store.reading.gpu_windows import decode_on_gpu

        self._metadata.require_images()
        return decode_on_gpu(self, windows, device)

    def coded_window(self, image: int, window: Window) -> CodedImage | None:
        """Read the coded data of a window, for the kernels of a GPU.

        Parameters
        ----------
        image : int
            Its index.
        window : Window

        Returns
        -------
        CodedImage or None
            None where only the whole image can be decoded, or not by these kernels.

        Raises
        ------
        StoreError
            If the split holds no images, or the bytes are damaged.
        """
        return self._images.coded_window(image, window)

    def coded_head(self, image: int) -> CodedHead | None:
        """Read what all windows of an image share, for the kernels of a GPU.

        Parameters
        ----------
        image : int
            Its index.

        Returns
        -------
        CodedHead or None
            None where :class:`mtfast.store.reading.coded_windows.CodedWindows` reads no windows of
            the image.

        Raises
        ------
        StoreError
            If the split holds no images, or the bytes are damaged.
        """
        return self._images.coded_head(image)

    @property
    def heights(self) -> NDArray[np.int64]:
        """Height of each image in pixels, (n_images,) int64."""
        return self._metadata.heights

    @property
    def widths(self) -> NDArray[np.int64]:
        """Width of each image in pixels, (n_images,) int64."""
        return self._metadata.widths

    @property
    def height(self) -> int:
        """Rows of the image that has most, in pixels."""
        return self._metadata.height

    @property
    def width(self) -> int:
        """Columns of the image that has most, in pixels."""
        return self._metadata.width

    def size(self, image: ImageKey) -> tuple[int, int]:
        """Return the size of an image.

        Parameters
        ----------
        image : int or str

        Returns
        -------
        height, width : int
            In pixels.

        Raises
        ------
        StoreError, IndexError
            As :meth:`index`.

        Examples
        --------
        >>> mtfast.open("graphene.zarr")["train"].size(3)
        (96, 128)
        """
        return self._metadata.size(self.index(image))

    @property
    def mask_chunk(self) -> tuple[int, int]:
        """Height and width of a chunk of the semantic masks: the usual size of the images."""
        return self._masks.reader.chunk

    @property
    def kinds(self) -> NDArray[Any]:
        """Kind of each image file, (n_images,) str."""
        return self._metadata.kinds

    @property
    def orientations(self) -> NDArray[np.uint8]:
        """EXIF orientation that is applied to each image, (n_images,) uint8; 1 for none."""
        return self._metadata.orientations

    @property
    def file_sizes(self) -> NDArray[np.int64]:
        """Bytes of each image file, (n_images,) int64.

        Raises
        ------
        StoreError
            If the split holds no images.
        """
        self._metadata.require_images()
        return self._metadata.column("file_bytes").astype(np.int64)

    @property
    def has_crop_index(self) -> bool:
        """Whether windows of images are decoded without the rest of the image."""
        return has_crop_index(self.store, self.name)

    @property
    def names(self) -> NDArray[Any]:
        """File names of all images, (n_images,) str."""
        return self._metadata.names

    @property
    def set_names(self) -> NDArray[Any]:
        """Exfoliation run of each image, (n_images,) str; empty where it is not known."""
        return self._metadata.set_names

    @property
    def set_members(self) -> dict[str, str]:
        """Exfoliation run of each image whose run is known, by the stem of its name."""
        stems = map(stem_of, self.names.tolist())
        return {k: v for k, v in zip(stems, self.set_names.tolist(), strict=True) if v}

    def index(self, image: ImageKey) -> int:
        """Return the index of an image.

        Parameters
        ----------
        image : int, str or UUID
            Its index, where negative ones count from the end; its file name; or its stem.

        Returns
        -------
        int
            0 .. n_images - 1.

        Raises
        ------
        StoreError
            Also a KeyError: if no image has that name.
        IndexError
            If the index is out of range.
        TypeError
            If it is none of these.

        Examples
        --------
        >>> train = mtfast.open("graphene.zarr")["train"]
        >>> name = str(train.names[3])
        >>> train.index(name), train.index(name.removesuffix(".jpg")), train.index(-7)
        (3, 3, 3)
        """
        return position_of(image, self.n_images, self._metadata.find)

    @property
    def has_images(self) -> bool:
        """Whether the store holds the images, not only their masks."""
        return self._metadata.has_images

    @overload
    def image(self, image: ImageKey, out: NDArray[Any] | None = None) -> NDArray[Any]: ...

    @overload
    def image(
        self, image: ImageKeys, out: NDArray[Any] | None = None
    ) -> NDArray[Any] | list[NDArray[Any]]: ...

    def image(
        self, image: ImageKey | ImageKeys, out: NDArray[Any] | None = None
    ) -> NDArray[Any] | list[NDArray[Any]]:
        """Decode an image, or several side by side on the cores of this machine.

        Parameters
        ----------
        image : int, str, UUID, slice, list or array
            One image, or several as in brackets: ``train.image([3, 1, 3])``.
        out : array, optional
            Takes the pixels; of the shape and type of the result, in C order. Where an image turns
            out to be damaged, those of others may have been written.

        Returns
        -------
        (height, width, 3) uint8, or (height, width) or (height, width, 3) uint16
            RGB, in C order: ``out`` if given. A grey image of 8 bits has three equal channels;
            files of 16 bits keep theirs. Alpha is left out. It is turned as its masks are, see
            :attr:`orientations`.

            Of several images (n, height, width, 3) or (n, height, width), in the order in which
            they were asked for; a list of n arrays where their sizes or types differ.

        Raises
        ------
        StoreError
            If the split holds no images, bytes are damaged, ``out`` has another shape, type or
            memory order or is read-only, or as :meth:`index`.
        IndexError, TypeError
            As :meth:`index`.

        Examples
        --------
        >>> train = mtfast.open("graphene.zarr")["train"]
        >>> train.image([3, 1, 3]).shape
        (3, 96, 128, 3)
        """
        images = self._images
        found = positions_of(image, self.n_images, self._metadata.find)
        return (
            images.read(found, out) if isinstance(found, int) else images.read_several(found, out)
        )

    def image_bytes(self, image: ImageKey) -> bytes:
        """Return the image file, byte for byte as it was converted.

        Parameters
        ----------
        image : int or str

        Returns
        -------
        bytes

        Raises
        ------
        StoreError
            If the split holds no images, the shard is damaged, or as :meth:`index`.
        """
        return self._images.files.read(self.index(image))

    def fetch_ahead(self, image: ImageKey) -> None:
        """Ask for an image's bytes, which will be read soon; return at once.

        The system reads them from the disk. Of a store elsewhere, a thread requests them and they
        stay in memory until they are read, up to 256 MiB.

        Parameters
        ----------
        image : int or str

        Raises
        ------
        StoreError
            As :meth:`image_bytes`.
        """
        self._images.files.fetch_ahead(self.index(image))

    @overload
    def semantic(self, image: ImageKey, out: NDArray[Any] | None = None) -> NDArray[Any]: ...

    @overload
    def semantic(
        self, image: ImageKeys, out: NDArray[Any] | None = None
    ) -> NDArray[Any] | list[NDArray[Any]]: ...

    def semantic(
        self, image: ImageKey | ImageKeys, out: NDArray[Any] | None = None
    ) -> NDArray[Any] | list[NDArray[Any]]:
        """Read a semantic mask, or several into one array.

        Parameters
        ----------
        image : int, str, UUID, slice, list or array
            One image, or several as in brackets: ``train.semantic(train.heights == 480)``.
        out : array, optional
            Takes the pixels; of the shape of the result and of :attr:`semantic_dtype`, in C order.
            Where a mask turns out to be damaged, those of others may have been written.

        Returns
        -------
        (height, width) uint8 or uint16
            Category ids, in C order: ``out`` if given. 0 is background. Of several images
            (n, height, width), in the order in which they were asked for; a list of n arrays where
            their sizes differ.

        Raises
        ------
        StoreError
            If bytes are damaged, ``out`` has another shape, type or memory order or is read-only,
            or as :meth:`index`.
        IndexError, TypeError
            As :meth:`index`.
        """
        found = positions_of(image, self.n_images, self._metadata.find)
        masks = self._masks
        return masks.read(found, out) if isinstance(found, int) else masks.read_several(found, out)

    def instances(self, image: ImageKey, variant: str | None = None) -> RunTable:
        """Return the instances of an image, as one annotation file of the source lists them.

        Parameters
        ----------
        image : int or str
        variant : str, optional
            One of :attr:`variants`; by default the one that the semantic masks were painted from.

        Returns
        -------
        RunTable
            Of one image.

        Raises
        ------
        StoreError
            If there is no such variant, it does not list the image, or as :meth:`index`.

        Examples
        --------
        >>> train = mtfast.open("graphene.zarr")["train"]
        >>> found = train.instances(3)
        >>> len(found.area()) == found.n_instances
        True
        """
        return self._annotations.of_image(self.index(image), variant or self.semantic_variant)

    def lists(self, image: ImageKey, variant: str | None = None) -> bool:
        """Return whether an annotation file of the source lists an image, even without instances.

        Parameters
        ----------
        image : int or str
        variant : str, optional
            As for :meth:`instances`.

        Returns
        -------
        bool

        Raises
        ------
        StoreError
            If there is no such variant, or as :meth:`index`.
        """
        return self._annotations.lists(self.index(image), variant or self.semantic_variant)

    def table(self, variant: str | None = None) -> RunTable:
        """Return a whole annotation file of the source.

        Parameters
        ----------
        variant : str, optional
            As for :meth:`instances`.

        Returns
        -------
        RunTable
            Its images are in the order of the file.

        Raises
        ------
        StoreError
            If there is no such variant.
        """
        return self._annotations.table(variant or self.semantic_variant)

    def tables(self, images: int = 100_000, variant: str | None = None) -> Iterator[RunTable]:
        """Read a whole annotation file of the source in parts, for tables larger than memory.

        Only the part itself is in memory, if the file lists the images in the order of the store;
        otherwise all between the first and the last of a part are read with it.

        Parameters
        ----------
        images : int
            Images of a part.
        variant : str, optional
            As for :meth:`instances`.

        Yields
        ------
        RunTable
            Its images are the next of the file.

        Raises
        ------
        MtfastError
            If there are no images in a part.
        StoreError
            If there is no such variant, or what is read is damaged.

        Examples
        --------
        >>> train = mtfast.open("graphene.zarr")["train"]
        >>> [part.n_images for part in train.tables(images=6)]
        [6, 4]
        """
        n_images = as_integer("images", images, 1)
        return self._annotations.tables(variant or self.semantic_variant, n_images)

    def images_of(self, variant: str | None = None) -> NDArray[np.int64]:
        """Return which images a variant lists.

        Parameters
        ----------
        variant : str, optional
            As for :meth:`instances`.

        Returns
        -------
        (n,) int64
            Their indices in the split, in the order of the file.

        Raises
        ------
        StoreError
            If there is no such variant.
        """
        return self._annotations.images_of(variant or self.semantic_variant)

    @property
    def variants(self) -> tuple[str, ...]:
        """Names of the annotation files that the store holds."""
        return tuple(self._annotations.variants)

    @property
    def semantic_dtype(self) -> np.dtype[Any]:
        """Of the semantic masks: uint8 or uint16."""
        return self._masks.reader.dtype

    @property
    def semantic_variant(self) -> str:
        """The variant that the semantic masks were painted from."""
        return self._metadata.semantic_variant

    def categories(self, variant: str | None = None) -> tuple[Category, ...]:
        """Return the categories of a variant.

        Parameters
        ----------
        variant : str, optional
            As for :meth:`instances`.

        Returns
        -------
        tuple of Category

        Raises
        ------
        StoreError
            If there is no such variant.
        """
        return self._annotations.categories_of(variant or self.semantic_variant)

    def labels(self, variant: str | None = None) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the categories of all annotations of a variant, without their masks.

        Parameters
        ----------
        variant : str, optional
            As for :meth:`instances`.

        Returns
        -------
        category_ids : (n,) int64
        image_offsets : (n_images + 1,) int64
            The annotations of image k of :meth:`images_of` are image_offsets[k] to
            image_offsets[k + 1] - 1.

        Raises
        ------
        StoreError
            If there is no such variant.

        Examples
        --------
        >>> train = mtfast.open("graphene.zarr")["train"]
        >>> category_ids, offsets = train.labels()
        >>> len(category_ids) == train.table().n_instances
        True
        """
        return self._annotations.labels_of(variant or self.semantic_variant)

    def crowds(self, variant: str | None = None) -> NDArray[np.bool_]:
        """Return which annotations of a variant are crowds, regions that hold many objects.

        Parameters
        ----------
        variant : str, optional
            As for :meth:`instances`.

        Returns
        -------
        (n,) bool
            In the order of :meth:`labels`.

        Raises
        ------
        StoreError
            If there is no such variant.
        """
        return self._annotations.crowds_of(variant or self.semantic_variant)

    @cached_property
    def _annotations(self) -> Annotations:
        return Annotations(
            self._files, self.name, self.names, (self.heights, self.widths), self.store.verify
        )

    @cached_property
    def _masks(self) -> SplitMasks:
        return SplitMasks(self.store, self.name, self._metadata)

    @cached_property
    def _images(self) -> SplitImages:
        self._metadata.require_images()
        return SplitImages(self.store, self.name, self._metadata)

    @property
    def window_reader(self) -> WindowReader:
        """What reads windows of the image files."""
        return self._images.windows


def _open_split(name: str, path: Path | Address, verify: bool, cache: CacheOptions | None) -> Split:
    return Split(open_root(path, verify, cache), name)
