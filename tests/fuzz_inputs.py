"""Inputs for fuzzing: masks of every accepted type, and malformed ones."""

from __future__ import annotations

import ctypes
import math
import mmap
import random
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

import naive
from mtfast import RunTable
from mtfast.ragged import offsets_of

# The most pixels, and the longest side, of a frame that the slow twins work on.
SMALL = 2**18

NUMBERS: tuple[Any, ...] = (
    *(None, True, -1, 0, 1, 7, 2.5, math.nan, math.inf, 1e9, 2**31, 2**63, 2**70, 10**400),
    *(np.uint8(200), np.int64(3), np.float32(2), np.bool_(True), np.uint64(2**63)),
)
JUNK: tuple[Any, ...] = (
    *NUMBERS,
    *("", "6", "é", "\udc80", b"", b"6", (), [], {}, [[]], [1, [2]], [None], [1, 2, 3], {2, 3}),
    *({2: 3, 4: 5}, {"size": [1, 1]}, [{}], b"23", np.zeros(3), np.zeros((2, 2), int), object),
    *(np.array(5), np.array(["a", "b"]), [10**400] * 6, [True, False], range(2), [1e9] * 4),
)


def a_shape(rng: random.Random) -> tuple[int, int]:
    sides = (0, 1, 1, 2, 3, 7, 8, 9, 31, 40, 64, 65)
    height, width = rng.choice(sides), rng.choice(sides)
    if rng.random() < 0.06:
        height, width = rng.choice((65535, 65536, 65537)), rng.choice((1, 2, 3))
    return (width, height) if rng.random() < 0.5 else (height, width)


def some_counts(rng: random.Random, n_pixels: int) -> list[int]:
    """Runs that tile a frame; those of no length are sound too."""
    n = rng.choice((0, 1, 2, 3, 5, 20, 70)) if rng.random() < 0.95 else rng.randint(500, 4000)
    cuts = rng.choices(range(n_pixels + 1), k=n)
    cuts = sorted(cuts if rng.random() < 0.3 else set(cuts))
    return [b - a for a, b in zip([0, *cuts], [*cuts, n_pixels], strict=True)]


def a_place(rng: random.Random, n: int) -> int:
    """A place in a text, often near the block boundaries of fast decoders."""
    block = rng.choice((1, 64, 1024))
    if n <= block or block == 1:
        return rng.randint(0, n)
    return max(0, min(n, block * rng.randint(1, n // block) + rng.randint(-2, 2)))


def stretched(rng: random.Random, last: bytes) -> bytes:
    """The last group of a number, with more groups after it that do not change its value."""
    more, end = (b"o", b"O") if last and last[0] - 48 & 16 else (b"P", b"0")
    more_of_it = bytes(c + 32 if c < 80 else c for c in last)
    return more_of_it + more * rng.choice((0, 1, 9, 10, 11, 12)) + end


def mutated(rng: random.Random, text: bytes) -> bytes:
    i, j = sorted((a_place(rng, len(text)), a_place(rng, len(text))))
    head, tail = text[:i], text[j:]
    kind = rng.randrange(8)
    if kind == 0:
        bit = 1 << rng.randrange(8)
        return head + bytes(c ^ bit for c in text[i : i + 1]) + text[i + 1 :]
    if kind == 1:
        return head
    if kind == 2:
        return head + tail
    if kind == 3:
        return text[:j] + text[i:]
    if kind == 4:
        return head + rng.randbytes(rng.choice((1, 2, 70))) + text[i:]
    if kind == 5:
        return head + naive.text_of_counts(some_counts(rng, rng.choice((0, 9, 5000)))) + tail
    if kind == 6:
        return head + rng.choice((b"o", b"P", b"0", b"O")) * rng.choice((1, 11, 13, 1100)) + tail
    return head + stretched(rng, text[i : i + 1]) + text[i + 1 :]


def malformed(rng: random.Random, rle: dict[str, Any]) -> Any:
    """A mask with a fault, which by chance may still be sound."""
    height, width = rle["size"]
    kind = rng.random()
    if kind < 0.6:
        for _ in range(rng.randint(1, 3)):
            rle["counts"] = mutated(rng, rle["counts"])
        counts = naive.counts_of_text(rle["counts"])
        if counts is not None and rng.random() < 0.7:
            rle["size"] = [1, int(counts.sum())][:: rng.choice((1, -1))]
    elif kind < 0.7:
        data = rng.randbytes(rng.choice((0, 1, 5, 64, 65, 1500)))
        rle["counts"] = data if rng.random() < 0.3 else bytes(48 + c % 64 for c in data)
    elif kind < 0.85:
        other = rng.choice(NUMBERS)
        sizes = [[width, height], [height + 1, width], [height, width, 1], [2**20] * 2, [2**33] * 2]
        sizes += [[-height, -width], [other, width], [2**41, 0], [0, other], rng.choice(JUNK)]
        rle["size"] = rng.choice(sizes)
    elif kind < 0.9:
        counts = naive.counts_of_text(rle["counts"]).tolist()
        counts[rng.randrange(len(counts))] = rng.choice(NUMBERS)
        # numpy turns True into an integer, so that counts with it are sound.
        rle["counts"] = [c for c in counts if not isinstance(c, bool | np.bool_)]
    elif kind < 0.95:
        rle[rng.choice(("size", "counts"))] = rng.choice(JUNK)
    else:
        return rng.choice((*JUNK, {"size": rle["size"]}, {"counts": rle["counts"]}, [rle]))
    return rle


def retyped(rng: random.Random, rle: dict[str, Any]) -> dict[str, Any]:
    """A sound mask with its size and counts as another of the accepted types."""
    text, size = rle["counts"], rle["size"]
    types: list[Callable[[], Any]] = [text.decode, lambda: bytearray(text), lambda: text]
    types += [lambda: naive.counts_of_text(text), lambda: naive.counts_of_text(text).tolist()]
    types += [lambda: Bytes(text), lambda: Str(text.decode()), lambda: naive_floats(text)]
    sizes = (tuple(size), np.array(size), size, List(size), [*map(Int, size)], [*map(float, size)])
    sizes += ([*map(np.array, size)], np.array(size, float))
    made = {"size": rng.choice(sizes), "counts": rng.choice(types)()}
    if rng.random() < 0.2:
        made = {"area": 7.0, 5: None, **made, "score": "x"}
    if rng.random() < 0.2:
        # Keys that are equal to those of every other dict, and not the same objects.
        made = {"".join([*key]) if isinstance(key, str) else key: made[key] for key in made}
    return Dict(made) if rng.random() < 0.1 else made


def naive_floats(text: bytes) -> list[float]:
    return naive.counts_of_text(text).astype(float).tolist()


class Dict(dict):
    """One that compiled code must not take for a dict, nor the others below for what they are."""


class List(list):
    pass


class Int(int):
    pass


class Bytes(bytes):
    pass


class Str(str):
    pass


class Batch(NamedTuple):
    """Masks as they are passed, and as the twin reads each: height, width, counts; or None."""

    given: Any
    read: list[tuple[int, int, np.ndarray] | None]

    @property
    def single(self) -> bool:
        return isinstance(self.given, dict)

    def pixels(self) -> list[np.ndarray] | None:
        """Pixels of all masks; None if one is malformed or sizes differ."""
        if None in self.read or len({read[:2] for read in self.read}) > 1:
            return None
        return [naive.mask_of_counts(counts, *size) for *size, counts in self.read]


def a_batch(
    rng: random.Random,
    shape: tuple[int, int] | None = None,
    large: bool = False,
    single: bool = True,
) -> Batch:
    """Some masks, mostly of one size; sound ones of large frames only with ``large``."""
    shape = shape or a_shape(rng)
    n = rng.choice((1, 1, 1, 2, 3, 6)) if rng.random() < 0.99 else 0
    soundness = rng.choice((0, 0.8, 1, 1)) if n > 1 else 0.4
    masks, read = [], []
    for _ in range(n):
        counts = some_counts(rng, shape[0] * shape[1])
        sound = {"size": list(shape), "counts": naive.text_of_counts(counts)}
        rle, found = sound, (*shape, np.array(counts))
        if rng.random() >= soundness:
            rle = malformed(rng, dict(sound))
            new = naive.read_rle(rle)
            if new and max(*new[:2], new[0] * new[1]) > SMALL and not large:
                rle = sound
            else:
                found = new
        elif rng.random() < 0.2:
            rle = retyped(rng, sound)
        masks.append(rle)
        read.append(found)
    kind = rng.random()
    if kind < 0.3 and all(fits_a_table(rle) for rle in masks):
        return Batch(a_table(masks), read)
    if single and n == 1 and kind < 0.7 and isinstance(masks[0], dict):
        return Batch(masks[0], read)
    return Batch(tuple(masks) if kind > 0.9 else masks, read)


def fits_a_table(rle: Any) -> bool:
    """Whether a table can hold a mask, be its text sound or not."""
    if not isinstance(rle, dict) or not isinstance(rle.get("counts"), bytes):
        return False
    size = rle.get("size")
    whole = type(size) is list and len(size) == 2 and {*map(type, size)} == {int}
    return whole and min(size) >= 0 and max(size) <= 2**20


def a_table(masks: list[dict[str, Any]]) -> RunTable:
    """One image for each mask; the texts end where readable memory ends."""
    n = len(masks)
    ids, texts = np.arange(n) + 1, [rle["counts"] for rle in masks]
    heights, widths = np.array([rle["size"] for rle in masks], np.int64).reshape(-1, 2).T
    return RunTable(
        names=[f"{i}.jpg" for i in ids],
        image_ids=ids,
        heights=heights,
        widths=widths,
        image_offsets=np.arange(n + 1),
        instance_ids=ids,
        category_ids=ids,
        iscrowd=np.zeros(n),
        positions=ids,
        stated_area=np.zeros(n),
        stated_bbox=np.zeros((n, 4)),
        rle=before_a_guard_page(b"".join(texts)),
        rle_offsets=offsets_of([len(text) for text in texts]),
        categories=(),
    )


def before_a_guard_page(data: bytes) -> np.ndarray:
    """Place bytes right before a guard page, where the system has such pages."""
    n_bytes = -(-len(data) // mmap.PAGESIZE) * mmap.PAGESIZE
    array = np.frombuffer(mmap.mmap(-1, n_bytes + mmap.PAGESIZE), np.uint8)
    array[n_bytes - len(data) : n_bytes] = np.frombuffer(data, np.uint8)
    if sys.platform != "win32":
        guard = ctypes.c_void_p(array.ctypes.data + n_bytes)
        ctypes.CDLL(None).mprotect(guard, ctypes.c_size_t(mmap.PAGESIZE), 0)
    return array[n_bytes - len(data) : n_bytes]
