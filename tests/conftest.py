"""Shared fixtures: random tables, a small synthetic set, the real demo images where present."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from mtfast.table import Category, RunTable, offsets_of
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


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def small_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A synthetic set of small images with everything that a set can hold."""
    from mtfast.synth import make_set

    return make_set(
        tmp_path_factory.mktemp("synth") / "Graphene",
        train=20,
        test=6,
        size=(240, 320),
        seed=7,
        workers=1,
    )


@pytest.fixture(scope="session")
def demo_data() -> Path:
    """Ten real microscope images with instance masks, which are not part of the project."""
    beside = Path(__file__).parents[2] / "shared" / "data" / "maskterial-demo"
    folder = Path(os.environ.get("MTFAST_DEMO_DATA", beside))
    if not folder.is_dir():
        pytest.skip("no demo images; set MTFAST_DEMO_DATA to their folder")
    return folder


@pytest.fixture(scope="session")
def tiny_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A synthetic set of few and small images, to be copied and damaged."""
    from mtfast.synth import make_set

    folder = tmp_path_factory.mktemp("tiny") / "Graphene"
    return make_set(folder, train=10, test=4, size=(96, 128), seed=3, workers=1)


@pytest.fixture
def damaged(tiny_set: Path, tmp_path: Path) -> Path:
    """A copy of the tiny set, to plant faults in."""
    return Path(shutil.copytree(tiny_set, tmp_path / "Graphene"))
