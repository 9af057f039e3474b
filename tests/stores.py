"""Stores that tests change as another program would: with checksums that fit again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import google_crc32c
import numpy as np

from mtfast.store import schema
from mtfast.store.writing.consolidated import consolidate


def reseal(store: Path) -> None:
    """Make all checksums fit what is there: of the chunks of columns, and of the metadata."""
    for file in store.rglob("zarr.json"):
        node = json.loads(file.read_bytes())
        if schema.CHUNK_SUMS in node["attributes"]:
            chunks = sorted(
                (chunk for chunk in (file.parent / "c").rglob("*") if chunk.is_file()),
                key=lambda chunk: int(chunk.relative_to(file.parent / "c").parts[0]),
            )
            sums = [google_crc32c.value(chunk.read_bytes()) for chunk in chunks]
            node["attributes"][schema.CHUNK_SUMS] = sums
            file.write_text(json.dumps(node))
    consolidate(store, complete=True)


def exchange_slots(
    shard: bytes, choose: Callable[[list[int]], list[int]], n_slots: int | None = None
) -> bytes | None:
    """Give two chunks of a shard each other's place, in an index whose checksum fits.

    ``choose`` returns two of the slots that have a chunk; None if fewer have one. Where their
    number is not given, it is tried out.
    """
    for n in [n_slots] if n_slots else range(1, 1024):
        raw = shard[-16 * n - 4 : -4]
        if google_crc32c.value(raw).to_bytes(4, "little") != shard[-4:]:
            continue
        index = np.frombuffer(raw, "<u8").reshape(-1, 2).copy()
        there = np.flatnonzero(index[:, 0] != 2**64 - 1).tolist()
        if len(there) < 2:
            return None
        pair = choose(there)
        index[pair] = index[pair[::-1]]
        raw = index.tobytes()
        return shard[: -len(raw) - 4] + raw + google_crc32c.value(raw).to_bytes(4, "little")
    raise AssertionError("no index of a shard")
