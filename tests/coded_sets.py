"""A set of small JPEG files of every kind, with crowds, many classes and an image without masks."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco_mask

from image_samples import exif
from jpegs import encoded, photograph

HEIGHT, WIDTH = 45, 70
LARGE = 140, 150
KINDS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("420", {}),
    ("422", {"restart_marker_blocks": 3}),
    ("444", {"optimize": True}),
    ("440", {}),
    ("grey", {}),
    ("rgb", {}),
    ("411", {}),
    ("420", {"progressive": True}),
    ("420", {"exif": exif(6)}),
    ("420", {"optimize": True, "restart_marker_rows": 1}),
    ("444", {"progressive": True, "optimize": True}),
    ("420", {}),
)
# Those that a GPU does not decode: 4:1:1 and progressive ones.
N_ON_CPU = 3
# The image that shows nothing, and classes, of which the last ones do not fit into a byte.
EMPTY = 3
N_CLASSES = 300


def make_coded_set(folder: Path, *, outlier: bool = False) -> Path:
    """Write the set; returns the annotation file. An outlier is a larger image at its end."""
    (folder / "images").mkdir(parents=True)
    rng = random.Random(11)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, (kind, options) in enumerate((*KINDS, *[("420", {})] * outlier), 1):
        name = f"{number}.jpg"
        height, width = (HEIGHT, WIDTH) if number <= len(KINDS) else LARGE
        data = encoded(photograph(rng, height, width), kind, rng.choice((60, 90)), **options)
        (folder / "images" / name).write_bytes(data)
        images.append({"id": number, "file_name": name, "height": height, "width": width})
        if number - 1 == EMPTY:
            continue
        for k in range(rng.randint(1, 6)):
            rle = coco_mask.encode(_blob(rng, height, width))
            annotations.append(
                {
                    "id": 1000 + len(annotations),
                    "image_id": number,
                    "category_id": rng.choice((1, 2, 3, 254, 255, N_CLASSES)),
                    "segmentation": {"size": rle["size"], "counts": rle["counts"].decode()},
                    "area": int(coco_mask.area(rle)),
                    "bbox": coco_mask.toBbox(rle).tolist(),
                    "iscrowd": int(k == 2),
                }
            )
    categories = [{"id": k, "name": f"class {k}"} for k in range(1, N_CLASSES + 1)]
    file = folder / "annotations.json"
    file.write_text(
        json.dumps({"images": images, "annotations": annotations, "categories": categories})
    )
    return file


def _blob(rng: random.Random, height: int, width: int) -> np.ndarray:
    """An ellipse, or scattered pixels."""
    y, x = np.mgrid[:height, :width]
    if rng.random() < 0.3:
        mask = np.random.default_rng(rng.getrandbits(32)).random((height, width)) < 0.03
    else:
        top, left, size = rng.randrange(height), rng.randrange(width), rng.randint(2, 20)
        mask = (y - top) ** 2 + 2 * (x - left) ** 2 < size**2
    return np.asfortranarray(mask, np.uint8)
