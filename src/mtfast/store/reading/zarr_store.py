"""What zarr reads a store from that is neither in a folder nor in the form that convert writes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable

from zarr.abc.store import (
    ByteRequest,
    OffsetByteRequest,
    RangeByteRequest,
    Store,
    SuffixByteRequest,
)
from zarr.core.buffer import Buffer, BufferPrototype

from mtfast.remote.objects import Objects

__all__ = ["ObjectsStore"]


class ObjectsStore(Store):
    """The objects below an address, for zarr; read only.

    Parameters
    ----------
    objects : Objects
    """

    supports_writes = supports_deletes = supports_partial_writes = supports_listing = False

    def __init__(self, objects: Objects) -> None:
        super().__init__(read_only=True)
        self._objects = objects

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ObjectsStore) and other._objects.address == self._objects.address

    __hash__ = None  # type: ignore[assignment]

    def __str__(self) -> str:
        return str(self._objects.address)

    async def get(
        self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None
    ) -> Buffer | None:
        """Read an object or a part of it; None if there is none."""
        data = await asyncio.to_thread(self._read, key, byte_range)
        return None if data is None else prototype.buffer.from_bytes(data)

    def _read(self, key: str, part: ByteRequest | None) -> bytes | None:
        try:
            if isinstance(part, RangeByteRequest):
                return self._objects.read_range(key, part.start, part.end - part.start)
            if isinstance(part, SuffixByteRequest):
                return self._objects.read_part(key, None, part.suffix)[0]
            data = self._objects.read(key)
        except FileNotFoundError:
            return None
        return data[part.offset :] if isinstance(part, OffsetByteRequest) else data

    async def get_partial_values(
        self, prototype: BufferPrototype, key_ranges: Iterable[tuple[str, ByteRequest | None]]
    ) -> list[Buffer | None]:
        """Read parts of objects, side by side."""
        return await asyncio.gather(*(self.get(key, prototype, part) for key, part in key_ranges))

    async def exists(self, key: str) -> bool:
        """Whether there is such an object."""
        try:
            await asyncio.to_thread(self._objects.stat, key)
        except FileNotFoundError:
            return False
        return True

    async def set(self, key: str, value: Buffer) -> None:
        """Refuse to write."""
        raise PermissionError(f"{self} is read only")

    async def delete(self, key: str) -> None:
        """Refuse to delete."""
        raise PermissionError(f"{self} is read only")

    async def list(self) -> AsyncIterator[str]:
        """List nothing: readers of one array ask for its chunks by name."""
        keys: tuple[str, ...] = ()
        for key in keys:
            yield key

    def list_prefix(self, prefix: str) -> AsyncIterator[str]:
        """List nothing."""
        return self.list()

    def list_dir(self, prefix: str) -> AsyncIterator[str]:
        """List nothing."""
        return self.list()
