"""Ways to damage the store of the tiny set, and what each damages."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from stores import exchange_slots

Damage = Callable[[Path], object]


def flip(key: str, at: float = 0.5) -> Damage:
    """Flip a bit at a part of a file."""

    def damage(store: Path) -> None:
        data = bytearray((store / key).read_bytes())
        data[int(at * (len(data) - 1))] ^= 16
        (store / key).write_bytes(data)

    return damage


def cut(key: str) -> Damage:
    """Keep the first half of a file."""

    def damage(store: Path) -> None:
        data = (store / key).read_bytes()
        (store / key).write_bytes(data[: len(data) // 2])

    return damage


def remove(*keys: str) -> Damage:
    """Remove files and folders."""

    def damage(store: Path) -> None:
        for key in keys:
            path = store / key
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    return damage


def exchange(first: str, second: str) -> Damage:
    """Give two files each other's content."""

    def damage(store: Path) -> None:
        kept = (store / first).read_bytes()
        (store / first).write_bytes((store / second).read_bytes())
        (store / second).write_bytes(kept)

    return damage


def drop_chunk(key: str, n_slots: int) -> Damage:
    """Mark the first chunk of a shard as absent, in an index whose checksum fits."""

    def damage(store: Path) -> None:
        import google_crc32c

        data = (store / key).read_bytes()
        index = np.frombuffer(data[-16 * n_slots - 4 : -4], "<u8").copy()
        index[:2] = 2**64 - 1
        raw = index.tobytes()
        whole = data[: -len(raw) - 4] + raw + google_crc32c.value(raw).to_bytes(4, "little")
        (store / key).write_bytes(whole)

    return damage


def exchange_chunks(key: str) -> Damage:
    """Give the first two images of a shard each other's chunk."""

    def damage(store: Path) -> None:
        data = exchange_slots((store / key).read_bytes(), lambda there: there[:2])
        assert data is not None
        (store / key).write_bytes(data)

    return damage


def set_attribute(key: str, **values: object) -> Damage:
    """Change attributes in the metadata of a group."""

    def damage(store: Path) -> None:
        node = json.loads((store / key).read_bytes())
        node["attributes"].update(values)
        text = json.dumps(node, indent=1, ensure_ascii=False)
        (store / key).write_bytes(text.encode())

    return damage


def both(*damages: Damage) -> Damage:
    def damage(store: Path) -> None:
        for one in damages:
            one(store)

    return damage
