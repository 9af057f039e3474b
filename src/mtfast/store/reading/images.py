"""Arrays of one item an image, read straight from their shards, without zarr.

Metadata is read once when an array is opened and the index of a shard once when it is first
touched; after that an item is one ``pread`` and one decode. What this path does not know (another
codec, another chunk shape, a platform without ``pread``) is read through zarr instead.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from mtfast.errors import StoreError
from mtfast.store.reading.files import File, Files, Metadata, read_metadata
from mtfast.store.schema import JPEG_CODEC
from mtfast.store.shard import MISSING, index_bytes, read_index

__all__ = ["ImageArray", "open_image_array"]


class ImageArray(Protocol):
    """An array of one item an image, by whatever path it is read."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    holds_jpegs: bool
    """Whether the stored bytes of an item are a JPEG file."""

    def read(self, image: int, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Decode the item of an image, into ``out`` if given."""
        ...

    def raw(self, image: int) -> bytes:
        """Return the stored bytes of an image's item."""
        ...

    def ranges(self, image: int, ranges: Sequence[tuple[int, int]]) -> bytes:
        """Return ranges (start, stop) of the stored bytes of an image's item, joined."""
        ...

    def fetch_ahead(self, image: int) -> None:
        """Ask the system for an item that will be read soon, where it can be asked."""
        ...


class ShardedImages:
    """Items in shards of ours: inner chunks of one image, zstd, JPEG or plain bytes."""

    def __init__(self, path: Path, metadata: Metadata, files: Files, codec: str, slots: int):
        import imagecodecs

        self.path = path
        self.shape = tuple(metadata["shape"])
        self.dtype = np.dtype(metadata["data_type"]).newbyteorder("<")
        self.holds_jpegs = codec == JPEG_CODEC
        self._codec = codec
        self._slots = slots
        # Bound here, as the path of a mask is short enough to notice the look-up.
        self._zstd_decode, self._jpeg_decode = imagecodecs.zstd_decode, imagecodecs.jpeg8_decode
        self._files = files
        self._indexes: dict[int, tuple[Any, NDArray[np.uint64]]] = {}
        separator = metadata["chunk_key_encoding"]["configuration"]["separator"]
        self._prefix = f"{path}{os.sep}c{separator}"
        self._suffix = f"{separator}0" * (len(self.shape) - 1)

    def _shard(self, shard: int) -> tuple[str, File, NDArray[np.uint64]]:
        path = f"{self._prefix}{shard}{self._suffix}"
        file = self._files.open(path)
        known = self._indexes.get(shard)
        if known is None:
            length = index_bytes(self._slots)
            if file.size < length:
                raise StoreError(
                    f"{path} has {file.size} bytes; expected an index of {length} at its end; "
                    f"convert the set again"
                )
            index = read_index(file.read(file.size - length, length, path), path)
            known = self._indexes[shard] = (file.identity, index)
        if known[0] != file.identity:
            raise StoreError(
                f"{path} has changed since the store was opened; expected it to stay; "
                f"open the store again"
            )
        return path, file, known[1]

    def raw(self, image: int) -> bytes:
        path, file, start, length = self._place(image)
        return file.read(start, length, path)

    def ranges(self, image: int, ranges: Sequence[tuple[int, int]]) -> bytes:
        path, file, begin, length = self._place(image)
        if any(not 0 <= start <= stop <= length for start, stop in ranges):
            raise StoreError(
                f"ranges beyond the {length} bytes of image {image} in {path}; expected them "
                f"inside; run 'mtfast index --overwrite'"
            )
        parts = [file.read(begin + start, stop - start, path) for start, stop in ranges]
        return b"".join(parts)

    def _place(self, image: int) -> tuple[str, File, int, int]:
        """Return where an item is: its file, and first byte and number of bytes in it."""
        path, file, index = self._shard(image // self._slots)
        start, length = index[image % self._slots].tolist()
        if start == MISSING or start + length > file.size:
            raise StoreError(
                f"{path} holds no item for image {image}; expected one for every image; "
                f"convert the set again"
            )
        return path, file, start, length

    def fetch_ahead(self, image: int) -> None:
        _, file, start, length = self._place(image)
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(file.descriptor, start, length, os.POSIX_FADV_WILLNEED)

    def read(self, image: int, out: NDArray[Any] | None = None) -> NDArray[Any]:
        data = self.raw(image)
        if out is None:
            out = np.empty(self.shape[1:], self.dtype)
        try:
            if self.holds_jpegs:
                pixels = self._jpeg_decode(data, outcolorspace="RGB", out=out)
                whole = pixels.shape == out.shape
            elif self._codec == "zstd":
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
            f"the item of image {image} in {self.path} does not decode ({reason}); "
            f"expected {' x '.join(map(str, self.shape[1:]))} {self.dtype.name}; "
            f"convert the set again"
        )


class ZarrImages:
    """Items of an array in any form that zarr reads, through zarr."""

    holds_jpegs = False

    def __init__(self, path: Path) -> None:
        import zarr

        self.path = path
        self._array: Any = zarr.open_array(path, mode="r")
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
            f"{self.path} was rewritten in another form; expected one chunk an image; "
            f"read the pixels instead"
        )

    def ranges(self, image: int, ranges: Sequence[tuple[int, int]]) -> bytes:
        return self.raw(image)

    def fetch_ahead(self, image: int) -> None:
        """Do nothing: where its bytes lie is known to zarr alone."""


class _Layout(NamedTuple):
    codec: str
    slots: int


def _layout(metadata: Metadata) -> _Layout | None:
    """Recognise an array in the form that we write; None if it is in another one."""
    try:
        shape = metadata["shape"]
        (sharding,) = metadata["codecs"]
        inner = sharding["configuration"]
        names = [codec["name"] for codec in inner["codecs"]]
        slots, *rest = metadata["chunk_grid"]["configuration"]["chunk_shape"]
        ours = (
            hasattr(os, "pread")
            and sharding["name"] == "sharding_indexed"
            and inner["chunk_shape"] == [1, *shape[1:]]
            and rest == shape[1:]
            and inner.get("index_location", "end") == "end"
            and [c["name"] for c in inner["index_codecs"]] == ["bytes", "crc32c"]
            and metadata["chunk_key_encoding"]["name"] == "default"
            and not metadata.get("storage_transformers")
            and inner["codecs"][0].get("configuration", {}).get("endian", "little") == "little"
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    codec = {("bytes",): "bytes", ("bytes", "zstd"): "zstd", (JPEG_CODEC,): JPEG_CODEC}.get(
        tuple(names)
    )
    return _Layout(codec, int(slots)) if ours and codec else None


def open_image_array(path: Path, files: Files) -> ImageArray:
    """Open an array of one item an image."""
    metadata = read_metadata(path)
    layout = _layout(metadata)
    if layout is None:
        return ZarrImages(path)
    return ShardedImages(path, metadata, files, layout.codec, layout.slots)
