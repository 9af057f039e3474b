"""Arrays of one item an image, read straight from their shards, without zarr.

Metadata is read once when an array is opened and the index of a shard once when it is first
touched; after that an item is one ``pread`` and one decode. An array in a form that is not known
here (another codec, another chunk shape), or any array on a system without ``pread``, is read
through zarr.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Hashable, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mtfast.errors import StoreError
from mtfast.store.reading.files import StoreFile, StoreFiles
from mtfast.store.reading.metadata import StoredArray, read_array
from mtfast.store.schema import JPEG_CODEC
from mtfast.store.shard import MISSING, index_bytes, read_index

__all__ = ["ImageArray", "open_image_array"]

logger = logging.getLogger(__name__)


class ImageArray(Protocol):
    """An array of one item an image, read in place or through zarr."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    holds_jpegs: bool
    """Whether the stored bytes of an item are a JPEG file."""

    def read(self, image: int, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Decode the item of an image.

        Parameters
        ----------
        image : int
        out : array, optional
            Takes the values; of the item's shape and the array's type, in C order.

        Returns
        -------
        array
            ``out`` if given.

        Raises
        ------
        StoreError
            If the item is missing or damaged.
        """
        ...

    def raw(self, image: int) -> bytes:
        """Return the stored bytes of an image's item.

        Parameters
        ----------
        image : int

        Returns
        -------
        bytes

        Raises
        ------
        StoreError
            If the item is missing, or only zarr knows where it is.
        """
        ...

    def ranges(self, image: int, ranges: Sequence[tuple[int, int]]) -> bytes:
        """Return ranges of the stored bytes of an image's item, joined.

        Parameters
        ----------
        image : int
        ranges : sequence of (start, stop)
            In bytes of the item.

        Returns
        -------
        bytes

        Raises
        ------
        StoreError
            As :meth:`raw`, or if a range leaves the item.
        """
        ...

    def fetch_ahead(self, image: int) -> None:
        """Start to fetch an item that will be read soon, if that is possible.

        Parameters
        ----------
        image : int
        """
        ...


class ShardedImages:
    """Items in shards, each an inner chunk of one image: zstd, JPEG or plain bytes."""

    def __init__(self, files: StoreFiles, stored: StoredArray) -> None:
        import imagecodecs

        self.shape = stored.shape
        self.dtype = stored.dtype
        self.holds_jpegs = stored.codecs == (JPEG_CODEC,)
        self._is_zstd = stored.codecs[-1] == "zstd"
        self._slots = stored.chunk[0]
        # Bound here: reading a mask takes so little that the look-up would show.
        self._zstd_decode, self._jpeg_decode = imagecodecs.zstd_decode, imagecodecs.jpeg8_decode
        self._files = files
        self._key = stored.key
        self._indexes: dict[int, tuple[Hashable, NDArray[np.uint64]]] = {}
        self._prefix, self._suffix = stored.file_name.split("{}")

    def _shard(self, shard: int) -> tuple[StoreFile, NDArray[np.uint64]]:
        key = f"{self._prefix}{shard}{self._suffix}"
        file = self._files.open(key)
        known = self._indexes.get(shard)
        if known is None:
            length = index_bytes(self._slots)
            where = self._files.where(key)
            if file.size < length:
                raise StoreError(
                    f"{where} has {file.size} bytes; expected an index of {length} at its end; "
                    f"convert the set again"
                )
            index = read_index(file.read(file.size - length, length), where)
            known = self._indexes[shard] = (file.identity, index)
        if known[0] != file.identity:
            raise StoreError(
                f"{self._files.where(key)} has changed since the store was opened; expected it to "
                f"stay; open the store again"
            )
        return file, known[1]

    def raw(self, image: int) -> bytes:
        file, start, length = self._place(image)
        return file.read(start, length)

    def ranges(self, image: int, ranges: Sequence[tuple[int, int]]) -> bytes:
        file, begin, length = self._place(image)
        if any(not 0 <= start <= stop <= length for start, stop in ranges):
            raise StoreError(
                f"ranges beyond the {length} bytes of image {image} in "
                f"{self._files.where(self._key)}; expected them inside; "
                f"run 'mtfast index --overwrite'"
            )
        return b"".join([file.read(begin + start, stop - start) for start, stop in ranges])

    def _place(self, image: int) -> tuple[StoreFile, int, int]:
        """Return where an item is: its file, and first byte and number of bytes in it."""
        shard, slot = divmod(image, self._slots)
        file, index = self._shard(shard)
        start, length = index[slot].tolist()
        if start == MISSING or start + length > file.size:
            raise StoreError(
                f"{self._files.where(f'{self._prefix}{shard}{self._suffix}')} holds no item for "
                f"image {image}; expected one for every image; convert the set again"
            )
        return file, start, length

    def fetch_ahead(self, image: int) -> None:
        file, start, length = self._place(image)
        file.fetch_ahead(start, length)

    def read(self, image: int, out: NDArray[Any] | None = None) -> NDArray[Any]:
        data = self.raw(image)
        if out is None:
            out = np.empty(self.shape[1:], self.dtype)
        try:
            if self.holds_jpegs:
                pixels = self._jpeg_decode(data, outcolorspace="RGB", out=out)
                whole = pixels.shape == out.shape
            elif self._is_zstd:
                flat = out.reshape(-1).view(np.uint8)
                whole = len(self._zstd_decode(data, out=flat)) == flat.size
            else:
                whole = len(data) == out.nbytes
                if whole:
                    out.reshape(-1).view(np.uint8)[:] = np.frombuffer(data, np.uint8)
        except (ValueError, RuntimeError, MemoryError) as error:
            raise self._damaged(image, str(error)) from error
        if not whole:
            raise self._damaged(image, "another size than the array's")
        return out

    def _damaged(self, image: int, reason: str) -> StoreError:
        return StoreError(
            f"the item of image {image} in {self._files.where(self._key)} does not decode "
            f"({reason}); expected {' x '.join(map(str, self.shape[1:]))} {self.dtype.name}; "
            f"convert the set again"
        )


class ZarrImages:
    """Items of an array in any form that zarr reads, through zarr."""

    holds_jpegs = False

    def __init__(self, files: StoreFiles, key: str) -> None:
        self._where = files.where(key)
        self._array = files.open_with_zarr(key)
        self.shape = tuple(self._array.shape)
        self.dtype = np.dtype(self._array.dtype)

    def read(self, image: int, out: NDArray[Any] | None = None) -> NDArray[Any]:
        pixels: NDArray[Any] = np.ascontiguousarray(self._array[image])
        if out is None:
            return pixels
        out[...] = pixels
        return out

    def raw(self, image: int) -> bytes:
        raise StoreError(
            f"{self._where} was rewritten in another form; expected one chunk an image; "
            f"read the pixels instead"
        )

    def ranges(self, image: int, ranges: Sequence[tuple[int, int]]) -> bytes:
        return self.raw(image)

    def fetch_ahead(self, image: int) -> None:
        """Do nothing: only zarr knows where its bytes are."""


_FORMS = {("bytes",), ("bytes", "zstd"), (JPEG_CODEC,)}


def open_image_array(files: StoreFiles, key: str) -> ImageArray:
    """Open an array of one item an image.

    Parameters
    ----------
    files : StoreFiles
    key : str
        Of the array.

    Returns
    -------
    ImageArray
        Read in place if the form is known, else through zarr.

    Raises
    ------
    StoreError
        If there is no array, or its metadata are damaged.
    """
    stored = read_array(files, key)
    if (
        hasattr(os, "pread")
        and stored.codecs in _FORMS
        and stored.has_whole_rows
        and stored.inner == (1, *stored.shape[1:])
    ):
        logger.info(
            "%s: read in place, %s in shards of %d images",
            files.where(key),
            "+".join(stored.codecs),
            stored.chunk[0],
        )
        return ShardedImages(files, stored)
    logger.warning(
        "%s: read through zarr, which is slower: its codecs or chunks are not those of convert",
        files.where(key),
    )
    return ZarrImages(files, key)
