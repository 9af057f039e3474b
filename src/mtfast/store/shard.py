"""Shards: files of many chunks with an index at their end, written once and read in place.

::

    chunk 0 | chunk 1 | … | index: (offset, length) of every chunk, little-endian uint64 | crc32c

A chunk that is not there has offset and length 2**64 - 1. Source: the ``sharding_indexed`` codec
of Zarr v3.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from mtfast.errors import StoreError

__all__ = [
    "MISSING",
    "Shard",
    "index_bytes",
    "plan",
    "read_index",
    "shard_is_whole",
    "sync",
    "write_shard",
]

MISSING = 2**64 - 1
_CHECKSUM = struct.Struct("<I")


class Shard(NamedTuple):
    """A unit of work: images start .. stop - 1 of a split are shard ``number`` of its arrays."""

    split: str
    number: int
    start: int
    stop: int


def plan(n_images: Mapping[str, int], shard: int) -> tuple[Shard, ...]:
    """Cut the images of every split into shards.

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
    """Size in bytes of the index of a shard of n_chunks."""
    return 16 * n_chunks + _CHECKSUM.size


def write_shard(path: Path, chunks: Iterable[Any], n_chunks: int) -> None:
    """Write a shard of up to n_chunks, whole or not at all.

    Chunks are bytes-like and written as they come, so that one at a time is in memory. The file
    takes its name only when all its bytes are on the disk.
    """
    index = np.full((n_chunks, 2), MISSING, "<u8")
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb", buffering=1 << 20) as file:
            at = 0
            for k, chunk in enumerate(chunks):
                file.write(chunk)
                index[k] = at, len(chunk)
                at += len(chunk)
            raw = index.tobytes()
            file.write(raw + _CHECKSUM.pack(google_crc32c.value(raw)))
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def read_index(raw: bytes, path: str) -> NDArray[np.uint64]:
    """Check and unpack the index that a shard ends with, (n_chunks, 2) uint64."""
    entries, checksum = raw[: -_CHECKSUM.size], raw[-_CHECKSUM.size :]
    if len(raw) % 16 != _CHECKSUM.size or _CHECKSUM.unpack(checksum)[0] != google_crc32c.value(
        entries
    ):
        raise StoreError(
            f"{path} has a damaged index; expected its checksum to match; convert the set again"
        )
    return np.frombuffer(entries, "<u8").reshape(-1, 2)


def shard_is_whole(path: Path, n_chunks: int, n_written: int) -> bool:
    """Whether a file is a shard of n_chunks of which the first n_written are there, all of them."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(size - index_bytes(n_chunks), 0))
            index = read_index(file.read(), str(path))
    except (OSError, StoreError):
        return False
    there = index[:, 0] != MISSING
    return (
        len(index) == n_chunks
        and bool(there[:n_written].all() and not there[n_written:].any())
        and size == int(index[there, 1].sum()) + index_bytes(n_chunks)
    )


def sync(path: Path) -> None:
    """Put the bytes of a file, or the names in a folder, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
