"""Tables and batches of masks, made of pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

import naive
from mtfast.ragged import offsets_of
from mtfast.rles import Rles
from mtfast.table import Category, RunTable
from naive import text_of_mask


def make_table(
    masks_of_images: list[list[np.ndarray]], shape: tuple[int, int], n_categories: int = 3
) -> RunTable:
    """Make a table of images of one size from their instance masks."""
    masks = [m for masks in masks_of_images for m in masks]
    texts = [text_of_mask(m) for m in masks]
    n, n_images = len(masks), len(masks_of_images)
    return RunTable(
        names=[f"{i:03d}.jpg" for i in range(n_images)],
        image_ids=np.arange(n_images) + 1,
        heights=np.full(n_images, shape[0]),
        widths=np.full(n_images, shape[1]),
        image_offsets=offsets_of([len(masks) for masks in masks_of_images]),
        instance_ids=np.arange(n) + 1,
        category_ids=np.arange(n) % n_categories + 1,
        iscrowd=np.zeros(n),
        positions=np.arange(n),
        stated_area=[m.sum() for m in masks],
        stated_bbox=np.full((n, 4), np.nan),
        rle=np.frombuffer(b"".join(texts), np.uint8),
        rle_offsets=offsets_of([len(t) for t in texts]),
        categories=tuple(Category(k + 1, f"class {k + 1}") for k in range(n_categories)),
    )


def random_masks(rng: np.random.Generator, shape: tuple[int, int], n: int) -> list[np.ndarray]:
    """Blocks, noise, empty and full masks, which overlap."""
    masks = []
    for _ in range(n):
        pixels = np.zeros(shape, np.uint8)
        kind = rng.integers(5)
        if kind == 0:
            pixels[rng.random(shape) < rng.random()] = 1
        elif kind == 1:
            pixels[:] = 1
        elif kind <= 3:
            y, x = rng.integers(0, shape[0]), rng.integers(0, shape[1])
            pixels[y : y + rng.integers(1, 9), x : x + rng.integers(1, 9)] = 1
        masks.append(pixels)
    return masks


def rles_of(masks: list[np.ndarray], rng: np.random.Generator | None = None) -> Rles:
    """Make a batch, some of it with runs of no length if a generator is given."""
    counts = [naive.counts_of_mask(m) for m in masks]
    if rng is not None:
        counts = [naive.counts_with_empty_runs(c, rng) if rng.integers(2) else c for c in counts]
    return Rles.of([naive.text_of_counts(c) for c in counts], [m.shape for m in masks])


def read_only_frames(
    file: Path, shape: tuple[int, ...], dtype: Any, order: str = "C"
) -> list[np.ndarray]:
    """Make frames that may not be written to: an array, and a file of zeros that is mapped."""
    frame = np.zeros(shape, dtype, order)
    frame.flags.writeable = False
    file.write_bytes(frame.tobytes())
    return [frame, np.memmap(file, dtype, "r", shape=shape, order=order)]
