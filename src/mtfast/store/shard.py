"""Shards: files of many chunks with an index at their end, written once and read in place.

::

    chunk 0 | chunk 1 | … | index: (offset, length) of every chunk, little-endian uint64 | crc32c

A chunk that is not there has offset and length 2**64 - 1. Source: the ``sharding_indexed`` codec
of Zarr v3.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from mtfast.errors import StoreError
from mtfast.store.file_frames import Piece
from mtfast.work.folder_place import write_parts
from mtfast.work.records import FileSum

__all__ = [
    "MISSING",
    "Chunk",
    "Shard",
    "index_bytes",
    "plan",
    "read_index",
    "shard_of",
    "shard_parts",
    "write_shard",
]

MISSING = 2**64 - 1
_CHECKSUM = struct.Struct("<I")

Chunk = bytes | Sequence[Piece]
"""A chunk, or its pieces."""


class Shard(NamedTuple):
    """A unit of work: images start .. stop - 1 of a split are shard ``number`` of its arrays."""

    split: str
    number: int
    start: int
    stop: int

    @property
    def title(self) -> str:
        """What a person calls it: "train 12 (images 768..831)"."""
        return f"{self.split} {self.number} (images {self.start}..{self.stop - 1})"


def plan(n_images: Mapping[str, int], shard: int) -> tuple[Shard, ...]:
    """Cut the images of every split into shards.

    Parameters
    ----------
    n_images : mapping
        Name of each split -> number of its images.
    shard : int
        Images in a shard.

    Returns
    -------
    tuple of Shard
        In the order of the splits; the last one of a split may hold fewer images.

    Examples
    --------
    >>> plan({"train": 70, "test": 3}, 64)        # doctest: +NORMALIZE_WHITESPACE
    (Shard(split='train', number=0, start=0, stop=64),
     Shard(split='train', number=1, start=64, stop=70),
     Shard(split='test', number=0, start=0, stop=3))
    """
    return tuple(
        Shard(split, number, start, min(start + shard, n))
        for split, n in n_images.items()
        for number, start in enumerate(range(0, n, shard))
    )


def index_bytes(n_chunks: int) -> int:
    """Return the size in bytes of the index of a shard.

    Parameters
    ----------
    n_chunks : int

    Returns
    -------
    int

    Examples
    --------
    >>> index_bytes(64)
    1028
    """
    return 16 * n_chunks + _CHECKSUM.size


def write_shard(path: Path, chunks: Iterable[Chunk | None], n_chunks: int) -> FileSum:
    """Write a shard of up to n_chunks to a file, whole or not at all.

    The file takes its name only when all its bytes are on the disk.

    Parameters
    ----------
    path : Path
    chunks, n_chunks
        As for :func:`shard_parts`.

    Returns
    -------
    FileSum
        Bytes and checksum of the file.

    Raises
    ------
    StoreError
        If it cannot be written.
    IndexError
        If there are more chunks than slots.
    """
    return write_parts(path, shard_parts(chunks, n_chunks))


def shard_of(chunks: Iterable[Chunk | None], n_chunks: int) -> bytes:
    """Make a shard in memory; see :func:`shard_parts`.

    Parameters
    ----------
    chunks : iterable of bytes, sequences of pieces, or None
    n_chunks : int

    Returns
    -------
    bytes
    """
    return b"".join(shard_parts(chunks, n_chunks))


def shard_parts(chunks: Iterable[Chunk | None], n_chunks: int) -> Iterator[Piece]:
    """Make the bytes of a shard of up to n_chunks.

    Parameters
    ----------
    chunks : iterable of bytes, sequences of pieces, or None
        Consumed one by one, so that one is in memory at a time; None leaves a slot without a chunk.
    n_chunks : int
        Slots of the index; those without a chunk are marked as missing.

    Yields
    ------
    bytes or memoryview
        The pieces of the chunks that there are, then the index.

    Raises
    ------
    IndexError
        If there are more chunks than slots.
    """
    index = np.full((n_chunks, 2), MISSING, "<u8")
    at = 0
    for k, chunk in enumerate(chunks):
        if chunk is not None:
            pieces = (chunk,) if isinstance(chunk, bytes) else chunk
            yield from pieces
            n_bytes = sum(map(len, pieces))
            index[k] = at, n_bytes
            at += n_bytes
    raw = index.tobytes()
    yield raw + _CHECKSUM.pack(google_crc32c.value(raw))


def read_index(raw: bytes, path: str) -> NDArray[np.uint64]:
    """Check and unpack the index that a shard ends with.

    Parameters
    ----------
    raw : bytes
        The last ``index_bytes(n_chunks)`` bytes of the shard.
    path : str
        Of the shard, for the error.

    Returns
    -------
    (n_chunks, 2) uint64
        First byte and number of bytes of each chunk; both MISSING where there is none.

    Raises
    ------
    StoreError
        If its checksum does not match.
    """
    entries, checksum = raw[: -_CHECKSUM.size], raw[-_CHECKSUM.size :]
    if len(raw) % 16 != _CHECKSUM.size or _CHECKSUM.unpack(checksum)[0] != google_crc32c.value(
        entries
    ):
        raise StoreError(
            f"{path} has a damaged index; expected its checksum to match; "
            f"run 'mtfast check' on the store"
        )
    return np.frombuffer(entries, "<u8").reshape(-1, 2)
