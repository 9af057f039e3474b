"""Baselines: what people write with pycocotools, OpenCV, zarr-python and cp."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mtfast.demo import paint_with_pycocotools
from mtfast.table import RunTable


def decode_and_rewrite(
    images: Sequence[Path], tables: Sequence[RunTable], n_images: int, store: Path
) -> None:
    """Decode every JPEG and every mask and write both to Zarr arrays of n_images images."""
    import cv2
    import zarr

    size = (int(tables[0].heights[0]), int(tables[0].widths[0]))
    group = zarr.open_group(store, mode="w")
    pixels: Any = group.create_array(
        "image", shape=(n_images, *size, 3), chunks=(1, *size, 3), dtype="u1"
    )
    masks: Any = group.create_array(
        "semantic", shape=(n_images, *size), chunks=(1, *size), dtype="u1"
    )
    for i, (path, table) in enumerate(zip(images, tables, strict=True)):
        pixels[i] = cv2.imread(str(path))[:, :, ::-1]
        masks[i] = paint_with_pycocotools(table)


def copy_and_sync(folder: Path, copy: Path) -> None:
    """Copy a folder and wait until the copy is on the disk."""
    subprocess.run(["cp", "-r", folder, copy], check=True)
    os.sync()


def pngs_from_rle(tables: Sequence[RunTable], folder: Path) -> None:
    """Write the semantic mask of every image as a PNG file."""
    import cv2

    for i, table in enumerate(tables):
        cv2.imwrite(str(folder / f"{i}.png"), paint_with_pycocotools(table))


def pngs_from_coco(file: Path, folder: Path) -> None:
    """Write the semantic mask of every image of a COCO file as a PNG file."""
    import cv2
    from pycocotools.coco import COCO

    coco = COCO(file)
    for image in coco.loadImgs(coco.getImgIds()):
        mask = np.zeros((image["height"], image["width"]), np.uint8)
        for annotation in coco.loadAnns(coco.getAnnIds(imgIds=image["id"])):
            mask[coco.annToMask(annotation) > 0] = annotation["category_id"]
        cv2.imwrite(str(folder / f"{Path(image['file_name']).stem}.png"), mask)


def read_and_paint(image: Path, table: RunTable) -> tuple[Any, Any]:
    """Decode an image file and paint its mask, as training loops do."""
    import cv2

    return cv2.imread(str(image)), paint_with_pycocotools(table)


def read_with_pil(image: Path) -> Any:
    """Decode an image file."""
    from PIL import Image

    with Image.open(image) as picture:
        return np.asarray(picture)
