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
from mtfast.store.reading.files import Files, read_metadata

__all__ = ["StoredColumn", "TextArray", "read_column"]


def read_column(path: Path) -> NDArray[Any]:
    """Read a whole plain array: numbers or strings, compressed with zstd or not."""
    return StoredColumn(path).read()


class StoredColumn:
    """A plain array of numbers or strings, compressed with zstd or not.

    Attributes
    ----------
    path : Path
    shape : tuple of int
    """

    def __init__(self, path: Path) -> None:
        metadata = read_metadata(path)
        self.path = path
        self._codecs: tuple[str, ...] = ()
        try:
            self.shape: tuple[int, ...] = tuple(map(int, metadata["shape"]))
            codecs = tuple(str(codec["name"]) for codec in metadata["codecs"])
            chunk = tuple(metadata["chunk_grid"]["configuration"]["chunk_shape"])
            endian = metadata["codecs"][0].get("configuration", {}).get("endian", "little")
            keys = metadata["chunk_key_encoding"]
            if (
                codecs in {("bytes",), ("bytes", "zstd"), ("vlen-utf8",), ("vlen-utf8", "zstd")}
                and chunk[1:] == self.shape[1:]
                and keys["name"] == "default"
                and endian == "little"
            ):
                self._codecs, self._chunk = codecs, chunk
                self._separator = keys["configuration"]["separator"]
                self._dtype: Any = np.dtypes.StringDType()
                if "vlen-utf8" not in codecs:
                    self._dtype = np.dtype(metadata["data_type"]).newbyteorder("<")
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise StoreError(
                f"{path} has damaged metadata ({error!r}); expected those of a Zarr v3 array; "
                f"convert the set again"
            ) from error

    def __len__(self) -> int:
        return self.shape[0]

    def read(self, start: int = 0, stop: int | None = None) -> NDArray[Any]:
        """Read a range of rows, from no more chunks than hold it."""
        stop = self.shape[0] if stop is None else stop
        if not self._codecs:
            import zarr

            column: Any = zarr.open_array(self.path, mode="r")
            return np.asarray(column[start:stop])
        out = np.empty((stop - start, *self.shape[1:]), self._dtype)
        rows = self._chunk[0]
        for number in range(start // rows, -(-stop // rows) if start < stop else 0):
            first = number * rows
            here = self._read_chunk(number)[max(start - first, 0) : stop - first]
            at = max(first - start, 0)
            out[at : at + len(here)] = here
        return out

    def _read_chunk(self, number: int) -> Any:
        """Decode a chunk, without what it may have beyond the end of the column."""
        n = min(self._chunk[0], self.shape[0] - number * self._chunk[0])
        suffix = ["0"] * (len(self.shape) - 1)
        file = self.path / self._separator.join(["c", str(number), *suffix])
        data = _read_file(file, self._codecs[-1] == "zstd")
        try:
            if self._codecs[0] == "vlen-utf8":
                values: Any = _unpack_strings(data)
            else:
                values = np.frombuffer(data, self._dtype).reshape(self._chunk)
            if len(values) < n:
                raise ValueError(f"{len(values)} values")
        except (ValueError, IndexError) as error:
            raise StoreError(
                f"{file} is damaged ({error}); expected {n} values; convert the set again"
            ) from error
        return values[:n]


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


def _read_file(file: Path, compressed: bool) -> bytes:
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
