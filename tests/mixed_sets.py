"""Sets of images of several sizes and kinds, with masks of rectangles that overlap."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from PIL import Image, ImageOps
from pycocotools import mask as coco_mask

from image_samples import exif

CATEGORIES = [{"id": number, "name": f"class {number}"} for number in (1, 2, 3)]


@dataclass(frozen=True)
class MixedSet:
    """A set, and what independent libraries make of it.

    ``pixels`` holds the images by name, by Pillow and tifffile; ``masks`` the semantic masks, by
    pycocotools.
    """

    annotations: Path
    names: list[str]
    pixels: dict[str, np.ndarray]
    masks: dict[str, np.ndarray]

    @property
    def images(self) -> Path:
        return self.annotations.parent / "images"

    def sizes(self) -> dict[str, tuple[int, int]]:
        return {name: mask.shape for name, mask in self.masks.items()}


def make_mixed_set(folder: Path, *, outlier: bool = False, deep: bool = True) -> MixedSet:
    """Make a set of all kinds.

    With an outlier, one image is much larger than the others; with deep, some have 16 bits.
    """
    rng = np.random.default_rng(5)
    made = _Maker(folder / "set", rng)

    def noise(*shape: int, dtype: type = np.uint8) -> np.ndarray:
        return rng.integers(0, np.iinfo(dtype).max + 1, shape).astype(dtype)

    for number, size in enumerate([(48, 64), (64, 48), (30, 200), (50, 50), (33, 77)]):
        image = Image.fromarray(noise(*size, 3))
        for kind in ("jpg", "png", "webp"):
            # Stems differ, as they name masks.
            made.with_pillow(f"{kind}{number}.{kind}", image)
    made.with_pillow("grey.png", Image.fromarray(noise(41, 52)))
    made.with_pillow("palette.png", Image.fromarray(noise(41, 52)).convert("P"))
    made.with_pillow("plain.bmp", Image.fromarray(noise(39, 45, 3)))
    made.with_pillow("named_wrongly.jpg", Image.fromarray(noise(40, 60, 3)), "PNG")
    made.with_tifffile("grey8.tif", noise(40, 61), photometric="minisblack")
    if deep:
        made.with_tifffile("grey16.tif", noise(40, 60, dtype=np.uint16), photometric="minisblack")
        made.with_tifffile(
            "colour16.tif",
            noise(48, 64, 3, dtype=np.uint16),
            photometric="rgb",
            compression="zlib",
            tile=(16, 16),
        )
        made.with_pillow("deep.png", Image.fromarray(noise(40, 60, dtype=np.uint16)))
    for name, turned in (("shown.jpg", True), ("stored.jpg", False)):
        image = Image.fromarray(noise(48, 64, 3))
        made.with_pillow(name, image, turned=turned, exif=exif(6))
    if outlier:
        made.with_pillow("large.png", Image.fromarray(noise(350, 450, 3)))
    return made.finish()


class _Maker:
    def __init__(self, folder: Path, rng: np.random.Generator) -> None:
        self.folder, self.rng = folder, rng
        (folder / "images").mkdir(parents=True)
        self.pixels: dict[str, np.ndarray] = {}
        self.masks: dict[str, np.ndarray] = {}
        self.images: list[dict[str, Any]] = []
        self.annotations: list[dict[str, Any]] = []

    def with_pillow(
        self,
        name: str,
        image: Image.Image,
        kind: str | None = None,
        turned: bool = False,
        **options: Any,
    ) -> None:
        image.save(self.folder / "images" / name, kind, **options)
        with Image.open(self.folder / "images" / name) as opened:
            shown = ImageOps.exif_transpose(opened) if turned else opened
            deep = shown.mode.startswith("I;16")
            self._add(name, np.asarray(shown if deep else shown.convert("RGB")))

    def with_tifffile(self, name: str, samples: np.ndarray, **options: Any) -> None:
        tifffile.imwrite(self.folder / "images" / name, samples, **options)
        pixels = tifffile.imread(self.folder / "images" / name)
        grey8 = pixels.ndim == 2 and pixels.dtype == np.uint8
        self._add(name, np.stack([pixels] * 3, axis=2) if grey8 else pixels)

    def _add(self, name: str, pixels: np.ndarray) -> None:
        height, width = pixels.shape[:2]
        number = len(self.images) + 1
        entry = {"id": number, "file_name": name, "height": height, "width": width}
        self.images.append(entry)
        self.pixels[name] = pixels
        self.masks[name] = np.zeros((height, width), np.uint8)
        for category in (1, 2, 3):
            y, x = (int(self.rng.integers(0, side // 2)) for side in (height, width))
            one = np.zeros((height, width), np.uint8, order="F")
            one[y : y + height // 3 + 1, x : x + width // 3 + 1] = 1
            rle = coco_mask.encode(one)
            self.masks[name][coco_mask.decode(rle) > 0] = category
            self.annotations.append(
                {
                    "id": len(self.annotations) + 1,
                    "image_id": number,
                    "category_id": category,
                    "segmentation": {
                        "size": [height, width],
                        "counts": rle["counts"].decode(),
                    },
                    "area": int(coco_mask.area(rle)),
                    "bbox": coco_mask.toBbox(rle).tolist(),
                    "iscrowd": 0,
                }
            )

    def finish(self) -> MixedSet:
        annotations = self.folder / "annotations.json"
        content = {
            "images": self.images,
            "annotations": self.annotations,
            "categories": CATEGORIES,
        }
        annotations.write_text(json.dumps(content))
        return MixedSet(annotations, list(self.pixels), self.pixels, self.masks)
