"""Damage any file of a store, and read everything: each read is an error, or what it was before.

    python tests/fuzz_store.py --seconds 3600 --seed 0

Nothing may be read as other values, and every error is one line.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import fuzzing
import mtfast
from fuzzing import ANYTHING, Trial, same
from mixed_sets import make_mixed_set
from mtfast.errors import MtfastError
from mtfast.store import schema
from stores import exchange_slots

Read = tuple[str, Callable[[], Any]]
"""What is read, and how."""


class OtherValuesError(Exception):
    """A damaged store was read as another one, in silence."""


# --- stores, made once in each process


@cache
def stores() -> dict[str, Path]:
    """Make two small stores.

    One has images of several sizes and kinds, an outlier and files of several chunks, the other has
    two splits and several annotation files.
    """
    from mtfast.synth import make_set

    folder = Path(tempfile.mkdtemp(prefix="fuzz_store_"))
    made = make_mixed_set(folder / "mixed", outlier=True)
    with small_chunks("mixed"):
        mtfast.convert(made.annotations, folder / "mixed.zarr", shard=4, crop_index=True)
    flakes = make_set(folder / "set", train=10, test=4, size=(64, 80), seed=3, workers=1)
    mtfast.convert(flakes, folder / "flakes.zarr", shard=4, crop_index=True)
    return {name: folder / f"{name}.zarr" for name in ("mixed", "flakes")}


@contextmanager
def small_chunks(name: str) -> Iterator[None]:
    """Cut the image files of the mixed store into several chunks each."""
    whole = schema.FILE_CHUNK
    schema.FILE_CHUNK = 1 << 14 if name == "mixed" else whole
    try:
        yield
    finally:
        schema.FILE_CHUNK = whole


@cache
def expected(name: str) -> dict[str, Any]:
    return {what: read() for what, read in reads(stores()[name])}


def reads(path: Path) -> Iterator[Read]:
    """Everything that can be read of a store, one by one."""
    store = mtfast.open(path)
    yield "attributes", lambda: store.attributes
    for name in store:
        for what, read in reads_of_split(store[name]):
            yield f"{name} {what}", read


def reads_of_split(split: Any) -> Iterator[Read]:
    for column in ("names", "heights", "widths", "kinds", "orientations", "set_names"):
        yield column, lambda column=column: np.asarray(getattr(split, column))
    for variant in split.variants:
        yield f"table {variant}", lambda variant=variant: columns_of(split.table(variant))
        yield f"crowds {variant}", lambda variant=variant: split.crowds(variant)
    for i in range(len(split)):
        yield f"mask {i}", lambda i=i: split.semantic(i)
        yield f"image {i}", lambda i=i: split.image(i)
        yield f"file {i}", lambda i=i: np.frombuffer(split.image_bytes(i), np.uint8)
        yield f"instances {i}", lambda i=i: columns_of(split.instances(i))
        yield f"window {i}", lambda i=i: window_of(split, i)


def columns_of(table: mtfast.RunTable) -> list[Any]:
    return [np.asarray(getattr(table, name)) for name in TABLE] + [list(table.categories)]


TABLE = (
    *("names", "image_ids", "heights", "widths", "image_offsets", "instance_ids", "category_ids"),
    *("iscrowd", "positions", "stated_area", "stated_bbox", "rle", "rle_offsets"),
)


def window_of(split: Any, image: int) -> np.ndarray:
    height, width = split.size(image)
    return split.crop_image(image, height // 3, width // 4, height // 2, width // 2)


def read_everything(name: str) -> None:
    """Raise OtherValuesError if anything is read as something else; else the first StoreError."""
    wanted = expected(name)
    errors = []
    try:
        for what, read in reads(stores()[name]):
            try:
                found = read()
            except MtfastError as error:
                errors.append(error)
            else:
                if not same(found, wanted[what]):
                    raise OtherValuesError(what)
    except MtfastError as error:
        errors.append(error)
    several = [error for error in errors if len(str(error).splitlines()) != 1]
    if errors:
        raise (several or errors)[0]


# --- damage


def flip(data: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(8 * len(data))
    changed = bytearray(data)
    changed[at >> 3] ^= 1 << (at & 7)
    return bytes(changed)


def cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data))]


def lengthen(data: bytes, rng: random.Random) -> bytes:
    return data + rng.randbytes(rng.randint(1, 100))


def zero(data: bytes, rng: random.Random) -> bytes:
    """Blank a block, as a disk does that lost it."""
    at = rng.randrange(0, len(data), 4096)
    return data[:at] + bytes(len(data[at : at + 4096])) + data[at + 4096 :]


def exchange_chunks(data: bytes, rng: random.Random) -> bytes:
    """Give two chunks of a shard each other's place."""
    return exchange_slots(data, lambda there: rng.sample(there, 2)) or flip(data, rng)


DAMAGES = {damage.__name__: damage for damage in (flip, cut, lengthen, zero, exchange_chunks)}
KINDS = (*["flip"] * 6, "cut", "lengthen", "zero", "remove", "exchange")


@contextmanager
def damaged(path: Path, key: str, how: str, other: str, seed: int) -> Iterator[None]:
    """Damage a file for as long as the block lasts."""
    file = path / key
    kept = {name: (path / name).read_bytes() for name in (key, other)}
    try:
        if how == "remove":
            file.unlink()
        elif how == "exchange":
            file.write_bytes(kept[other])
            (path / other).write_bytes(kept[key])
        else:
            file.write_bytes(DAMAGES[how](kept[key], random.Random(seed)))
        yield
    finally:
        for name, data in kept.items():
            (path / name).write_bytes(data)


def in_metadata(name: str, key: str, how: str, other: str, seed: int) -> None:
    with damaged(stores()[name], key, how, other, seed):
        read_everything(name)


def in_shards(*damage: Any) -> None:
    in_metadata(*damage)


def in_columns(*damage: Any) -> None:
    in_metadata(*damage)


def in_texts(*damage: Any) -> None:
    in_metadata(*damage)


def kind_of(key: str) -> Callable[..., None]:
    if key.endswith("zarr.json"):
        return in_metadata
    if Path(key).name.startswith("c."):
        return in_shards
    return in_texts if key.split("/")[-3] == "rle" else in_columns


@cache
def files(name: str) -> dict[Callable[..., None], list[str]]:
    """Keys of the files of a store that are not empty, by kind."""
    path = stores()[name]
    found: dict[Callable[..., None], list[str]] = {}
    for file in sorted(path.rglob("*")):
        if file.is_file() and file.stat().st_size:
            key = file.relative_to(path).as_posix()
            found.setdefault(kind_of(key), []).append(key)
    return found


def make_trial(seed: int, number: int) -> Trial:
    rng = random.Random(f"{seed} {number}")
    name = rng.choice(list(stores()))
    expected(name)
    kind = rng.choice(list(files(name)))
    keys = files(name)[kind]
    # Of the metadata, those of the root are read.
    key = "zarr.json" if kind is in_metadata and rng.random() < 0.8 else rng.choice(keys)
    how = rng.choice(KINDS)
    if kind is in_shards and rng.random() < 0.2:
        how = "exchange_chunks"
    return Trial(kind, (name, key, how, rng.choice(keys), rng.getrandbits(32)), {}, ANYTHING)


if __name__ == "__main__":
    fuzzing.main(make_trial, __doc__)
