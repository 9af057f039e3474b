"""Zarr arrays read straight from their files, without zarr.

Metadata is read once when an array is opened and the index of a shard once when it is first
touched; after that a chunk is one ``pread`` and one decode. What this path does not know (another
codec, another chunk shape, a platform without ``pread``) is read through zarr instead.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from mtfast.errors import StoreError
from mtfast.store.schema import JPEG_CODEC
from mtfast.store.shard import MISSING, index_bytes, read_index

__all__ = [
    "Files",
    "ImageArray",
    "TextArray",
    "open_image_array",
    "read_column",
    "read_metadata",
]

OPEN_FILES = 256
"""Shard files that one opened store keeps open at most."""

Metadata = dict[str, Any]


def read_metadata(path: Path) -> Metadata:
    """Read the ``zarr.json`` of an array or group."""
    file = path / "zarr.json"
    try:
        metadata = msgspec.json.decode(file.read_bytes())
    except FileNotFoundError:
        raise StoreError(
            f"no {file.name} in {path}; expected a Zarr v3 store; check the path"
        ) from None
    except msgspec.DecodeError as error:
        raise StoreError(
            f"{file} is damaged ({error}); expected JSON; convert the set again"
        ) from error
    except OSError as error:
        raise StoreError(f"{file} cannot be read: {error.strerror}; check its rights") from error
    if not isinstance(metadata, dict):
        raise StoreError(f"{file} holds no object; expected Zarr metadata; convert the set again")
    return metadata


class _File:
    """A file descriptor that closes itself, and what tells whether the file is still the same."""

    __slots__ = ("descriptor", "identity", "size")

    def __init__(self, path: str) -> None:
        self.descriptor = -1
        try:
            self.descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
        except OSError as error:
            raise StoreError(
                f"{path} cannot be opened: {error.strerror}; expected a file of the store; "
                f"convert the set again"
            ) from error
        status = os.fstat(self.descriptor)
        self.size = status.st_size
        self.identity = (status.st_ino, status.st_mtime_ns, status.st_size)

    def __del__(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)

    def read(self, start: int, length: int, path: str) -> bytes:
        data = os.pread(self.descriptor, length, start)
        while len(data) < length:
            more = os.pread(self.descriptor, length - len(data), start + len(data))
            if not more:
                raise StoreError(
                    f"{path} ends at byte {start + len(data)}; expected {start + length} bytes; "
                    f"convert the set again"
                )
            data += more
        return data


class Files:
    """The open files of a store: opened when first read, the least used closed beyond a limit.

    ``marker`` is a file of the store that is new if the store is. Descriptors are read with
    ``pread`` only, so threads and forked children share them safely; a pickled store opens its own.
    """

    def __init__(self, marker: Path) -> None:
        identity = _identify(marker)

        def open_(path: str) -> _File:
            # Another store in the same place has other names and offsets than those already read.
            if _identify(marker) != identity:
                raise StoreError(
                    f"{marker.parent} has been replaced since it was opened; expected it to stay; "
                    f"open the store again"
                )
            return _File(path)

        self.open: Callable[[str], _File] = lru_cache(OPEN_FILES)(open_)


def _identify(file: Path) -> tuple[int, int]:
    try:
        status = file.stat()
    except OSError:
        return 0, 0
    return status.st_ino, status.st_mtime_ns


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

    def _shard(self, shard: int) -> tuple[str, _File, NDArray[np.uint64]]:
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

    def _place(self, image: int) -> tuple[str, _File, int, int]:
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


def read_column(path: Path) -> NDArray[Any]:
    """Read a whole plain array: numbers or strings, compressed with zstd or not."""
    metadata = read_metadata(path)
    try:
        names = tuple(codec["name"] for codec in metadata["codecs"])
        shape = tuple(metadata["shape"])
        chunk_shape = tuple(metadata["chunk_grid"]["configuration"]["chunk_shape"])
        keys = metadata["chunk_key_encoding"]
        ours = (
            names in {("bytes",), ("bytes", "zstd"), ("vlen-utf8",), ("vlen-utf8", "zstd")}
            and chunk_shape[1:] == shape[1:]
            and keys["name"] == "default"
            and metadata["codecs"][0].get("configuration", {}).get("endian", "little") == "little"
        )
        separator = keys["configuration"]["separator"]
    except (KeyError, TypeError):
        ours = False
    if not ours:
        import zarr

        column: Any = zarr.open_array(path, mode="r")
        return np.asarray(column[...])
    parts: list[Any] = []
    for number in range(-(-shape[0] // chunk_shape[0]) if shape[0] else 0):
        file = path / separator.join(["c", str(number), *["0"] * (len(shape) - 1)])
        data = _read_chunk(file, names[-1] == "zstd")
        rows = min(chunk_shape[0], shape[0] - number * chunk_shape[0])
        try:
            if names[0] == "vlen-utf8":
                parts.append(_unpack_strings(data)[:rows])
            else:
                dtype = np.dtype(metadata["data_type"]).newbyteorder("<")
                parts.append(np.frombuffer(data, dtype).reshape(chunk_shape)[:rows])
        except (ValueError, IndexError) as error:
            raise StoreError(
                f"{file} is damaged ({error}); expected {rows} values; convert the set again"
            ) from error
    if names[0] == "vlen-utf8":
        strings = np.empty(shape, np.dtypes.StringDType())
        strings[...] = [value for part in parts for value in part]
        return strings
    return np.concatenate(parts) if parts else np.empty(shape, np.dtype(metadata["data_type"]))


class TextArray:
    """A plain uint8 array of ``size`` bytes, of which any range is read in place.

    A compressed one, as another program may have rewritten it, is read whole.
    """

    def __init__(self, path: Path, files: Files) -> None:
        metadata = read_metadata(path)
        self._files = files
        self._whole: bytes | None = None
        try:
            self.size = int(metadata["shape"][0])
            self._chunk = int(metadata["chunk_grid"]["configuration"]["chunk_shape"][0])
            codecs = [codec["name"] for codec in metadata["codecs"]]
            separator = metadata["chunk_key_encoding"]["configuration"]["separator"]
        except (KeyError, TypeError, IndexError, ValueError) as error:
            raise StoreError(
                f"{path} has damaged metadata ({error!r}); expected those of a Zarr v3 array; "
                f"convert the set again"
            ) from error
        if codecs != ["bytes"] or not hasattr(os, "pread"):
            self._whole = read_column(path).tobytes()
        self._prefix = f"{path}{os.sep}c{separator}"

    def __call__(self, start: int, stop: int) -> bytes:
        """Read the bytes of a range."""
        if self._whole is not None:
            return self._whole[start:stop]
        parts = []
        while start < stop:
            chunk = start // self._chunk
            end = min(stop, (chunk + 1) * self._chunk)
            path = f"{self._prefix}{chunk}"
            parts.append(
                self._files.open(path).read(start - chunk * self._chunk, end - start, path)
            )
            start = end
        return parts[0] if len(parts) == 1 else b"".join(parts)


def _read_chunk(file: Path, compressed: bool) -> bytes:
    import imagecodecs

    try:
        data = file.read_bytes()
        return bytes(imagecodecs.zstd_decode(data)) if compressed else data
    except OSError as error:
        raise StoreError(
            f"{file} cannot be read: {error.strerror}; expected a file of the store; "
            f"convert the set again"
        ) from error
    except (RuntimeError, ValueError) as error:
        raise StoreError(
            f"{file} is damaged ({error}); expected a zstd frame; convert the set again"
        ) from error


def _unpack_strings(data: bytes) -> list[str]:
    """Unpack the ``vlen-utf8`` form: a count, then length and bytes of each, all lengths uint32."""
    count = int.from_bytes(data[:4], "little")
    strings = []
    at = 4
    for _ in range(count):
        length = int.from_bytes(data[at : at + 4], "little")
        at += 4
        if at + length > len(data):
            raise ValueError("a string goes beyond the end")
        strings.append(data[at : at + length].decode())
        at += length
    return strings
