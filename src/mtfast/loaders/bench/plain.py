"""The plain way to make the same samples: decode whole files, then crop."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtfast.loaders.order import Pick
from mtfast.loaders.reader import Item, Reader, boxes_of
from mtfast.loaders.views import choose_view
from mtfast.painting.targets import InstanceTargets

__all__ = ["Loaded", "PlainReader", "decode_file"]


Annotation = tuple[dict[str, Any], int, int]
"""COCO's RLE of an instance, the number of its class, and its id."""


class Loaded(NamedTuple):
    """All of an image, of which a sample is cropped."""

    image: int
    pixels: NDArray[np.uint8] | None
    annotations: list[Annotation]


class PlainReader(Reader):
    """Reads the samples of another reader from JPEG files and COCO's RLE, as most loaders do.

    Parameters
    ----------
    reader : Reader
        One whose views are windows that are neither resized nor turned.
    folder : Path
        Gets the JPEG files of its images.
    """

    def __init__(self, reader: Reader, folder: Path) -> None:
        self.__dict__.update(reader.__getstate__())
        self._files: dict[int, Path] = {}
        self._annotations: dict[int, list[Annotation]] = {}
        for index in self.indices.tolist():
            if self.images:
                self._files[index] = folder / f"{index}.jpg"
                self._files[index].write_bytes(self.split.image_bytes(index))
            table = self.numbered(self.split.instances(index, self.variant))
            size = [self.split.height, self.split.width]
            columns = zip(table.category_ids.tolist(), table.instance_ids.tolist(), strict=True)
            self._annotations[index] = [
                ({"size": size, "counts": table.text(k)}, label, number)
                for k, (label, number) in enumerate(columns)
            ]

    @property
    def way(self) -> str:
        """What it does, in words."""
        decoder = f"{'cv2.imread' if find_spec('cv2') else 'PIL'}, " if self.images else ""
        return f"{decoder}pycocotools, crop"

    def fetch_ahead(self, place: int) -> None:
        """Do nothing."""

    def load(self, place: int) -> Loaded:
        """Read all of an image."""
        index = int(self.indices[place])
        pixels = decode_file(self._files[index]) if self.images else None
        return Loaded(index, pixels, self._annotations[index])

    def read(self, pick: Pick | int) -> Item:
        """Read a sample the plain way."""
        from pycocotools import mask as coco_mask

        epoch, place = pick if isinstance(pick, tuple) else (0, pick)
        index, pixels, annotations = self.load(place)
        table = self.split.instances(index, self.variant)
        view = choose_view(table, self.crop, self.augment, (self.seed, epoch, 1 + index))
        window = slice(view.y, view.y + view.h), slice(view.x, view.x + view.w)
        semantic = np.zeros((view.h, view.w), self.semantic_dtype)
        kept: list[tuple[NDArray[np.bool_], int, int]] = []
        for rle, label, number in annotations:
            mask = coco_mask.decode(rle)[window].astype(bool)
            if mask.any():
                semantic[mask] = label
                kept.append((mask, label, number))
        instances = None
        if "instances" in self.targets:
            masks = np.array([m for m, *_ in kept]).reshape(-1, view.h, view.w).astype(bool)
            labels, ids = np.array([rest for _, *rest in kept], np.int64).reshape(-1, 2).T
            instances = InstanceTargets(masks, boxes_of(masks), labels, masks.sum((1, 2)), ids)
        return Item(
            index,
            str(self.split.names[index]),
            view,
            None if pixels is None else np.ascontiguousarray(pixels[window]),
            semantic if "semantic" in self.targets else None,
            instances,
        )


def decode_file(file: Path) -> NDArray[np.uint8]:
    """Decode a JPEG file, (height, width, 3) uint8 RGB, with OpenCV or, without it, Pillow."""
    if find_spec("cv2"):
        import cv2

        pixels: Any = cv2.imread(str(file))
        return np.asarray(pixels[:, :, ::-1])
    from PIL import Image

    with Image.open(file) as image:
        return np.asarray(image.convert("RGB"))
