"""A COCO set with all that is lost on the way to other tools: holes, parts, crowds, ids, fields."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pycocotools.mask as coco
import tifffile
from PIL import Image

SIZES = {
    "run1/a.png": (40, 60),
    "run2/a.png": (57, 33),
    "stack.tif[1]": (40, 60),
    "b.jpg": (30, 30),
}


class HardSet(NamedTuple):
    """The set, and the pixels of each instance by its id."""

    path: Path
    content: dict
    pixels: dict[int, np.ndarray]


def drawn(size: tuple[int, int], kind: str, rng: np.random.Generator) -> np.ndarray:
    """Draw a mask of a kind."""
    pixels = np.zeros(size, np.uint8)
    if kind != "empty":
        pixels[3:25, 4:28] = 1
    if kind in ("hole", "island"):
        pixels[6:20, 8:25] = 0
        pixels[22, 10] = pixels[21, 11] = 0
    if kind == "island":
        pixels[9:17, 11:22] = 1
        pixels[11:14, 13:18] = 0
        pixels[29, 29] = 1
    if kind == "noise":
        pixels[:] = rng.random(size) < 0.6
    return pixels


def make_hard_set(folder: Path) -> HardSet:
    """Write the set."""
    rng = np.random.default_rng(5)
    images, annotations, masks = [], [], {}
    for k, (name, size) in enumerate(SIZES.items()):
        height, width = size
        images.append({"id": 7 + 3 * k, "file_name": name, "height": height, "width": width})
        images[-1]["license"] = 2
        # An image without instances is there as well.
        for kind in ("plain", "hole", "island", "noise", "empty", "crowd")[: 0 if k == 3 else 6]:
            id_ = 100 - len(annotations)
            masks[id_] = drawn(size, kind, rng)
            rle = coco.encode(np.asfortranarray(masks[id_]))
            annotations.append(
                {
                    "id": id_,
                    "image_id": 7 + 3 * k,
                    "category_id": (5, 3)[len(annotations) % 2],
                    "segmentation": {"size": list(size), "counts": rle["counts"].decode()},
                    "area": int(masks[id_].sum()),
                    "bbox": coco.toBbox(rle).tolist(),
                    "iscrowd": int(kind == "crowd"),
                    "score": 0.25,
                    "attributes": {"layers": [1, 2]},
                }
            )
    categories = [
        {"id": 3, "name": "1L: thin", "supercategory": "flake"},
        {"id": 5, "name": 'ü "2L"', "supercategory": "flake"},
    ]
    content = {
        "info": {"year": 2024},
        "licenses": [{"id": 2, "name": "MIT"}],
        "images": images,
        "annotations": annotations,
        "categories": categories,
    }
    write_images(folder / "images", rng)
    (folder / "train.json").write_text(json.dumps(content))
    return HardSet(folder, content, masks)


def write_images(folder: Path, rng: np.random.Generator) -> None:
    pages = []
    for name, size in SIZES.items():
        pixels = rng.integers(0, 255, (*size, 3)).astype(np.uint8)
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if "[" in name:
            pages = [np.zeros_like(pixels), pixels]
            tifffile.imwrite(folder / "stack.tif", np.stack(pages), photometric="rgb")
        else:
            Image.fromarray(pixels).save(file)
