"""Plain Zarr arrays read straight from their files, without zarr: columns, and the text of RLEs.

What this path does not know (another codec, another chunk shape) is read through zarr instead.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtfast.errors import StoreError
from mtfast.store.files import Files, read_metadata

__all__ = ["TextArray", "read_column"]


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
