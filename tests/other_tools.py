"""Sets as other tools write them, and what is asked of all of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pycocotools.mask as reference
from PIL import Image

import mtfast
from mtfast import RunTable
from mtfast.sources import Source


def put_image(path: Path, height: int = 40, width: int = 60, **options: Any) -> None:
    """Write an image file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((height, width, 3), np.uint8)).save(path, **options)


def put(path: Path, content: str | bytes) -> Path:
    """Write a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def rle_of(pixels: np.ndarray) -> dict[str, Any]:
    """The RLE of a mask, as pycocotools makes it."""
    rle = reference.encode(np.asfortranarray(pixels, np.uint8))
    return {"size": rle["size"], "counts": rle["counts"].decode()}


def box(top: int, left: int, height: int, width: int, size: tuple[int, int] = (40, 60)) -> Any:
    """The pixels of a rectangle."""
    pixels = np.zeros(size, np.uint8)
    pixels[top : top + height, left : left + width] = 1
    return pixels


def masks_of(table: RunTable) -> dict[str, list[tuple[int, bytes]]]:
    """Class and mask of every instance of each image, in order."""
    return {
        str(table.names[i]): [
            (int(table.image(i).category_ids[k]), table.image(i).text(k))
            for k in range(table.image(i).n_instances)
        ]
        for i in range(table.n_images)
    }


def table_of(path: Path, **options: Any) -> RunTable:
    """The table of the first split of a set."""
    source = mtfast.open_source(path, **options)
    return source.table(source.splits[0], "annotations")


def kinds_of(path: Path, **options: Any) -> dict[str, tuple[str, int, tuple[str, ...]]]:
    """What is said of the first split of a set, by kind."""
    source = mtfast.open_source(path, **options)
    found = source.read(source.splits[0], "annotations").found
    return {bad.kind: (bad.done, bad.n, bad.examples) for bad in found}


def expect_same_after_derive(source: Source, folder: Path) -> Source:
    """Make COCO files of a set; their masks, ids and classes are those of the set."""
    mtfast.derive_dataset(source, folder, min_areas=[3])
    derived = mtfast.open_source(folder)
    for split in source.splits:
        before = source.table(split, "annotations")
        full = next(v for v in derived.variants(split) if v.endswith("full"))
        after = derived.table(split, full)
        assert masks_of(after) == masks_of(before)
        assert after.instance_ids.tolist() == before.instance_ids.tolist()
        assert after.iscrowd.tolist() == before.iscrowd.tolist()
        assert after.categories == before.categories
    return derived
