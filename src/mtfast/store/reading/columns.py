"""Plain Zarr arrays read straight from their files, without zarr: columns, and the text of RLEs.

An array in a form that is not known here (another codec, another chunk shape) is read with zarr.
"""

from __future__ import annotations

import math
from typing import Any

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from mtfast.errors import StoreError
from mtfast.store import schema
from mtfast.store.file_frames import decoded_bytes
from mtfast.store.reading.files import StoreFiles, explain_zarr
from mtfast.store.reading.metadata import StoredArray, read_array

__all__ = ["HeldColumn", "StoredColumn", "TextArray", "read_column"]

# A block of zstd that repeats one byte has four bytes for up to 128 KiB.
_MOST_BYTES_A_BYTE = 1 << 15

_FORMS = {("bytes",), ("bytes", "zstd"), ("vlen-utf8",), ("vlen-utf8", "zstd")}


def read_column(files: StoreFiles, key: str) -> NDArray[Any]:
    """Read a whole plain array: numbers or strings, compressed with zstd or not.

    Parameters
    ----------
    files : StoreFiles
    key : str
        Of the array.

    Returns
    -------
    (n, …) array
        Of the stored type; strings as StringDType.

    Raises
    ------
    StoreError
        If it is not there or damaged.
    """
    return StoredColumn(files, key).read()


class HeldColumn:
    """A column that has been read already, with the methods of :class:`StoredColumn`.

    Parameters
    ----------
    values : (n, …) array
    """

    def __init__(self, values: NDArray[Any]) -> None:
        self._values = values

    def __len__(self) -> int:
        return len(self._values)

    def read(self, start: int = 0, stop: int | None = None) -> NDArray[Any]:
        """Return a range of rows, as a view.

        Parameters
        ----------
        start, stop : int
            Rows start .. stop - 1; by default all.

        Returns
        -------
        (stop - start, …) array
        """
        return self._values[start:stop]


class StoredColumn:
    """A plain array of numbers or strings, compressed with zstd or not.

    Attributes
    ----------
    shape : tuple of int
    """

    def __init__(self, files: StoreFiles, key: str) -> None:
        self._files = files
        self._stored = read_array(files, key)
        self.shape = self._stored.shape
        if not self.shape:
            raise StoreError(
                f"{files.where(key)} is a single value; expected a column; "
                f"run 'mtfast check' on the store"
            )
        self._sums = self._stored.attributes.get(schema.CHUNK_SUMS)

    def __len__(self) -> int:
        return self.shape[0]

    def read(self, start: int = 0, stop: int | None = None) -> NDArray[Any]:
        """Read a range of rows, from no more chunks than hold it.

        Parameters
        ----------
        start, stop : int
            Rows start .. stop - 1; by default all.

        Returns
        -------
        (stop - start, …) array

        Raises
        ------
        StoreError
            If a chunk is missing or damaged.
        """
        stored = self._stored
        stop = self.shape[0] if stop is None else stop
        if stored.codecs not in _FORMS or stored.inner or not stored.has_whole_rows:
            with explain_zarr(self._files.where(stored.key)):
                return np.asarray(self._files.open_with_zarr(stored.key)[start:stop])
        rows = stored.chunk[0]
        numbers = range(start // rows, -(-stop // rows)) if start < stop else ()
        # Before memory is taken for what the metadata promise.
        chunks = [self._read_chunk(number) for number in numbers]
        out = np.empty((stop - start, *self.shape[1:]), stored.dtype)
        for number, values in zip(numbers, chunks, strict=True):
            first = number * rows
            here = values[max(start - first, 0) : stop - first]
            at = max(first - start, 0)
            out[at : at + len(here)] = here
        return out

    def _read_chunk(self, number: int) -> Any:
        """Decode a chunk; the last one may have rows beyond the end of the column."""
        stored = self._stored
        n = min(stored.chunk[0], self.shape[0] - number * stored.chunk[0])
        file = stored.file_name.format(number)
        try:
            data = self._files.read(file)
            if self._sums is not None and google_crc32c.value(data) != self._sums[number]:
                raise StoreError(
                    f"{self._files.where(file)} is damaged: its checksum does not match; expected "
                    f"the bytes that were written; run 'mtfast check' on the store"
                )
            if stored.codecs[-1] == "zstd":
                data = _decompress(data, stored)
            if stored.codecs[0] == "vlen-utf8":
                values: Any = _unpack_strings(data)
            else:
                values = np.frombuffer(data, stored.dtype).reshape(stored.chunk)
            if len(values) < n:
                raise ValueError(f"{len(values)} values")
        except StoreError:
            raise
        except (ValueError, TypeError, LookupError, RuntimeError, MemoryError) as error:
            raise StoreError(
                f"{self._files.where(file)} is damaged ({error}); expected {n} values; "
                f"run 'mtfast check' on the store"
            ) from error
        return values


class TextArray:
    """A plain uint8 array of ``size`` bytes, of which any range is read in place.

    A compressed one, as another program may have rewritten it, is read whole.
    """

    def __init__(self, files: StoreFiles, key: str) -> None:
        stored = read_array(files, key)
        self._files = files
        self._whole: bytes | None = None
        self._prefix = stored.file_name.removesuffix("{}")
        self.size = stored.shape[0] if stored.shape else 0
        in_place = stored.codecs == ("bytes",) and not stored.inner and stored.dtype == np.uint8
        if in_place and len(stored.shape) == 1:
            self._chunk = stored.chunk[0]
        else:
            self._whole = read_column(files, key).tobytes()

    def __call__(self, start: int, stop: int) -> bytes:
        """Read the bytes of a range.

        Parameters
        ----------
        start, stop : int
            Bytes start .. stop - 1, within ``size``.

        Returns
        -------
        bytes
        """
        if self._whole is not None:
            return self._whole[start:stop]
        pieces = []
        while start < stop:
            number, first = divmod(start, self._chunk)
            length = min(stop - start, self._chunk - first)
            file = self._files.open(f"{self._prefix}{number}")
            pieces.append(file.read(first, length))
            start += length
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _decompress(data: bytes, stored: StoredArray) -> bytes:
    import imagecodecs

    # Before memory is taken for what the frame or the metadata promise.
    claimed = decoded_bytes(data) or 0
    if claimed > len(data) * _MOST_BYTES_A_BYTE:
        raise ValueError(f"{len(data)} bytes that claim to be {claimed}")
    decoded = bytes(imagecodecs.zstd_decode(data))
    expected = math.prod(stored.chunk) * stored.dtype.itemsize
    if stored.codecs[0] == "bytes" and len(decoded) != expected:
        raise ValueError(f"{len(decoded)} bytes instead of {expected}")
    return decoded


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
