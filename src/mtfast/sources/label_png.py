"""A folder of images with one PNG of instance labels for each.

::

    NAME/
      images/            STEM.jpg
      instance_masks/    STEM.png: 0 is background, every other value one instance
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtfast.errors import SourceError
from mtfast.rles import Rles
from mtfast.rles.label_map import scan_labels
from mtfast.sources.coco.records import Records, records_of
from mtfast.sources.files import Files
from mtfast.sources.source import OneSplit, expect_one_of, find_listed, image_names, read_listed
from mtfast.table import Category, RunTable, offsets_of

__all__ = ["IMAGES", "MASKS", "LabelPng", "find_label_png"]

IMAGES = "images"
MASKS = "instance_masks"
FLAKE = Category(1, "flake")


@dataclass(frozen=True)
class LabelPng(OneSplit):
    """A folder of images and instance-mask PNGs; see :class:`mtfast.sources.Source`."""

    files: Files
    kind: str = "label_png"

    @property
    def path(self) -> Path:
        """Absolute path of the folder."""
        return self.files.root

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.files.root.name

    def variant_file(self, split: str, variant: str) -> str:
        """Name of the folder of masks."""
        expect_one_of(variant, self.variants(split), f"variant of {split}", self.name)
        return MASKS

    def table(self, split: str, variant: str) -> RunTable:
        """Turn the masks into a table, each PNG in one pass; all instances are of category 1.

        Raises
        ------
        SourceError
            If an image has no mask, a mask has no image, or a mask is not a PNG of labels.
        """
        self.variant_file(split, variant)
        images = _by_stem(image_names(self.files, IMAGES) or (), IMAGES)
        masks = _by_stem(
            (n for n in self.files.names(MASKS) or () if n.lower().endswith(".png")), MASKS
        )
        for stem, image in images.items():
            if stem not in masks:
                raise SourceError(
                    f"image {image!r} has no mask; expected {MASKS}/{stem}.png, all 0 if nothing "
                    f"is to be seen; add it, or remove the image"
                )
        for stem, mask in masks.items():
            if stem not in images:
                raise SourceError(
                    f"mask {mask!r} has no image; expected {IMAGES}/{stem}.jpg; "
                    f"add it, or remove the mask"
                )
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            scans = list(pool.map(self._scan, (masks[stem] for stem in images)))
        return _table(tuple(images.values()), scans)

    def records(self, split: str, variant: str) -> Records:
        """Write the masks as COCO JSON."""
        return records_of(self.table(split, variant), MASKS)

    def image_names(self, split: str) -> tuple[str, ...] | None:
        """Sorted names of the image files; None if there is no folder of them."""
        self._expect_split(split)
        return image_names(self.files, IMAGES)

    def find_image(self, split: str, name: str) -> str | None:
        """Path of the file of an image; None if it is missing."""
        self._expect_split(split)
        return find_listed(self.files, IMAGES, name)

    def read_image(self, split: str, name: str) -> bytes:
        """Contents of the file of an image; SourceError if it is missing."""
        self._expect_split(split)
        return read_listed(self.files, IMAGES, name, "image")

    def _scan(self, mask: str) -> tuple[tuple[int, int], Rles]:
        labels = decode_labels(read_listed(self.files, MASKS, mask, "mask"), f"{MASKS}/{mask}")
        return (labels.shape[0], labels.shape[1]), scan_labels(labels)[1]


def find_label_png(files: Files) -> LabelPng | None:
    """Find ``images/`` and ``instance_masks/`` in a folder; None if one of them is missing."""
    folders = files.folders()
    return LabelPng(files) if IMAGES in folders and MASKS in folders else None


def decode_labels(data: bytes, file: str) -> NDArray[Any]:
    """Decode a PNG of labels: grey values as they are, of a palette the indices.

    Returns
    -------
    (height, width) uint8 or uint16

    Raises
    ------
    SourceError
        If it is not a PNG, is damaged, or has colours instead of labels.
    """
    if data[:8] != b"\x89PNG\r\n\x1a\n" or len(data) < 33:
        raise SourceError(
            f"{file} is not a PNG; expected a grey or palette PNG of labels; save it as one"
        )
    bit_depth, colour_type = data[24], data[25]
    if colour_type not in (0, 3):
        kind = {2: "RGB", 4: "grey and alpha", 6: "RGBA"}.get(colour_type, "damaged")
        raise SourceError(
            f"{file} is a PNG of {kind} pixels; expected grey or palette pixels, one label each; "
            f"save it with one channel"
        )
    decode = _decode_whole_bytes if colour_type == 0 and bit_depth >= 8 else _decode_any
    try:
        return decode(data)
    except (ValueError, RuntimeError, OSError, SyntaxError, MemoryError) as error:
        raise SourceError(
            f"{file} cannot be decoded ({error}); expected a whole PNG; copy it again"
        ) from error


def _decode_whole_bytes(data: bytes) -> NDArray[Any]:
    import imagecodecs

    labels: NDArray[Any] = imagecodecs.png_decode(data)
    # A grey level that is declared transparent brings a second channel with it.
    return labels if labels.ndim == 2 else labels[..., 0]


def _decode_any(data: bytes) -> NDArray[Any]:
    """Decode palettes, and pixels of fewer than eight bits, which come out in a byte each."""
    from PIL import Image

    try:
        with Image.open(BytesIO(data), formats=("PNG",)) as image:
            return np.asarray(image)
    except Image.DecompressionBombError as error:
        raise ValueError(error) from error


def _by_stem(names: Iterable[str], folder: str) -> dict[str, str]:
    stems: dict[str, str] = {}
    for name in names:
        other = stems.setdefault(PurePosixPath(name).stem, name)
        if other != name:
            raise SourceError(
                f"{other!r} and {name!r} in {folder}/ have one stem; "
                f"expected a stem for each image and its mask; rename or remove one"
            )
    return stems


def _table(names: tuple[str, ...], scans: list[tuple[tuple[int, int], Rles]]) -> RunTable:
    sizes = np.array([size for size, _ in scans], np.int64).reshape(-1, 2)
    n_images = len(names)
    lengths = [np.diff(rles.offsets) for _, rles in scans]
    rle_offsets = offsets_of(np.concatenate([np.zeros(0, np.int64), *lengths]))
    n_instances = rle_offsets.size - 1
    return RunTable(
        names=np.array(names, np.dtypes.StringDType()),
        image_ids=np.arange(1, n_images + 1),
        heights=sizes[:, 0],
        widths=sizes[:, 1],
        image_offsets=offsets_of([rles.n for _, rles in scans]),
        instance_ids=np.arange(1, n_instances + 1),
        category_ids=np.full(n_instances, FLAKE.id),
        iscrowd=np.zeros(n_instances, np.uint8),
        positions=np.arange(n_instances),
        stated_area=np.full(n_instances, np.nan),
        stated_bbox=np.full((n_instances, 4), np.nan),
        rle=np.concatenate([np.zeros(0, np.uint8), *(rles.text for _, rles in scans)]),
        rle_offsets=rle_offsets,
        categories=(FLAKE,),
    )
