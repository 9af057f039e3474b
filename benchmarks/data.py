"""Inputs of the benchmarks: synthetic sets and masks from a seed, and the real demo masks.

Sets are kept in the folder of :func:`cache` and reused by later runs, with any Python.
"""

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path

import numpy as np

import mtfast
import mtfast.mask
from mtfast.mask.dicts import RLE
from mtfast.synth.shapes import flake
from mtfast.table import RunTable

SEED = 0
CLASSES = 10
# Flakes of that many images larger than that area: 440 bytes for each annotation.
COCO_LABELS = 256
COCO_AREA = 1500
# Masks from sparse to dense: one small flake, half of the frame in one piece, scattered single
# pixels, and every other pixel at random.
KINDS = ("flake", "blob", "specks", "noise")
FLAKE_AREA = 800
SHARES = {"specks": 44_000 / (1200 * 1920), "noise": 0.5}
BLOB_POINTS = 60


@dataclass(frozen=True)
class Scale:
    """How much data there is."""

    size: tuple[int, int]
    """Height and width of an image."""
    images: int
    """Images of the set that has image files."""
    labels: int
    """Images of the set that has annotations only."""
    annotations: int
    """Annotations of the COCO file."""
    frames: tuple[tuple[int, int], tuple[int, int]] = ((480, 640), (1200, 1920))
    """Height and width of a small and a large frame of masks."""


TINY = Scale((96, 128), 4, 8, 40, ((24, 32), (60, 96)))
SUITE = Scale((1200, 1920), 16, 1024, 20_000)

scale = SUITE
"""What the asv suite uses; its test sets TINY."""


def cache() -> Path:
    """Folder of the sets: $MTFAST_BENCH_CACHE, or one in the system's temporary folder."""
    fallback = Path(tempfile.gettempdir()) / "mtfast-bench"
    folder = Path(os.environ.get("MTFAST_BENCH_CACHE", fallback))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def scratch() -> tempfile.TemporaryDirectory:
    """Make a folder that is removed after use, on the file system of the cache."""
    return tempfile.TemporaryDirectory(prefix="scratch-", dir=cache())


def jpeg_set(wanted: Scale) -> Path:
    """Return a set of images, masks and annotations."""
    return _set("images", wanted.images, wanted.size)


def label_set(wanted: Scale) -> Path:
    """Return a set of annotations without images."""
    return _set("labels", wanted.labels, wanted.size)


def coco_file(wanted: Scale) -> Path:
    """Return a COCO JSON file: large flakes of a set, repeated as often as needed."""
    height, width = wanted.size
    path = cache() / f"coco-{wanted.annotations}-{height}x{width}.json"
    if not path.exists():
        table = label_table(replace(wanted, labels=COCO_LABELS), "annotations_with_class_full")
        large = table.area() > COCO_AREA * height * width / (1200 * 1920)
        text = json.dumps(_document(table[large], wanted.annotations))
        partial = path.with_suffix(".partial")
        partial.write_text(text)
        partial.replace(path)
    return path


def labelme_set(wanted: Scale) -> Path:
    """Return a folder of labelme's files, of ten flakes each, without images."""
    height, width = wanted.size
    folder = cache() / f"labelme-{wanted.labels}-{height}x{width}"
    if not folder.exists():
        partial = folder.with_suffix(".partial")
        partial.mkdir(exist_ok=True)
        outlines = rings("flake", wanted.size, 10 * wanted.labels)
        for number in range(wanted.labels):
            shapes = [
                {
                    "label": f"{k % CLASSES}L",
                    "points": np.reshape(outlines[10 * number + k], (-1, 2)).tolist(),
                    "shape_type": "polygon",
                    "group_id": None,
                }
                for k in range(10)
            ]
            sides = {"imageHeight": height, "imageWidth": width}
            content = {"version": "6.3.1", "flags": {}, "shapes": shapes, **sides}
            content |= {"imagePath": f"{number}.jpg", "imageData": None}
            (partial / f"{number}.json").write_text(json.dumps(content, indent=2))
        partial.rename(folder)
    return folder


def label_table(wanted: Scale, variant: str = "annotations_with_class_200") -> RunTable:
    """Return the annotations of the set that has no images."""
    return mtfast.open_source(label_set(wanted)).table("train", variant)


def rings(kind: str, size: tuple[int, int], n: int, shift: float = 0) -> list[list[float]]:
    """Return n outlines [x, y, x, y, ...]: flakes all over the frame, or blobs that fill half.

    With a shift they are the same ones, moved that many pixels to the right and down.
    """
    if kind in SHARES:
        # asv skips a benchmark whose setup raises this.
        raise NotImplementedError(f"{kind} have no outlines")
    rng = np.random.default_rng(SEED)
    height, width = size
    found = []
    for _ in range(n):
        if kind == "blob":
            angles = 2j * np.pi * np.arange(BLOB_POINTS) / BLOB_POINTS
            # Half axes of 0.8 in half a frame of 1: pi * 0.8**2 / 4 is a half.
            ring = rng.uniform(0.75, 0.85, BLOB_POINTS) * np.exp(angles)
            ring = (ring.real + 1) * width / 2 + 1j * (ring.imag + 1) * height / 2
        else:
            area = min(FLAKE_AREA, height * width / 10)
            ring = flake(rng, area) + rng.random() * width + 1j * rng.random() * height
        found.append((ring + shift + 1j * shift).view(np.float64).tolist())
    return found


def masks(kind: str, size: tuple[int, int], n: int, shift: float = 0) -> list[RLE]:
    """Return n masks of a kind, which differ."""
    if kind not in SHARES:
        return mtfast.mask.frPyObjects(rings(kind, size, n, shift), *size)
    rng = np.random.default_rng(SEED)
    return [mtfast.mask.encode(rng.random(size, np.float32) < SHARES[kind]) for _ in range(n)]


def images_of(table: RunTable) -> list[RunTable]:
    """Return the table of each image."""
    return [table.image(i) for i in range(table.n_images)]


def table_of(rles: list[RLE]) -> RunTable:
    """Return masks of one size as the instances of one image."""
    categories = np.arange(len(rles)) % CLASSES + 1
    return RunTable.of_texts(rles[0]["size"], [[rle["counts"] for rle in rles]], categories)


def demo_table() -> RunTable | None:
    """Return the masks of ten real microscope images, or None where they are missing."""
    beside = Path(__file__).parents[2] / "shared" / "data" / "maskterial-demo"
    folder = Path(os.environ.get("MTFAST_DEMO_DATA", beside))
    if not folder.is_dir():
        return None
    return mtfast.open_source(folder).table("train", "annotations")


def _set(kind: str, n: int, size: tuple[int, int]) -> Path:
    height, width = size
    folder = cache() / f"{kind}-{n}-{height}x{width}"
    # While a set is being made, its annotations are in another folder.
    if not (folder / "RLE_annotations").exists():
        options = {"train": n, "test": 0, "size": f"{height}x{width}", "classes": CLASSES}
        command = [sys.executable, "-m", "mtfast", "synth", folder, "--seed", SEED]
        command += [text for key, value in options.items() for text in (f"--{key}", value)]
        command += ["--no-images"] * (kind == "labels")
        # In a process of its own: workers are spawned, and would import the main module again.
        subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL)
    return folder


def _document(table: RunTable, n_annotations: int) -> dict:
    """Make a COCO document; images repeat, with new numbers, until there are enough annotations."""
    bbox, area = table.bbox().tolist(), table.area().tolist()
    filled = np.flatnonzero(np.diff(table.image_offsets))
    images, annotations = [], []
    for number, i in enumerate(cycle(filled.tolist()), 1):
        if len(annotations) >= n_annotations:
            break
        size = [int(table.heights[i]), int(table.widths[i])]
        images.append(
            {"id": number, "width": size[1], "height": size[0], "file_name": f"{number:06d}.jpg"}
        )
        annotations += [
            {
                "id": len(annotations) + 1 + j,
                "image_id": number,
                "category_id": int(table.category_ids[k]),
                "segmentation": {"size": size, "counts": table.text(k).decode("ascii")},
                "area": area[k],
                "bbox": bbox[k],
                "iscrowd": 0,
            }
            for j, k in enumerate(range(*table.image_offsets[i : i + 2].tolist()))
        ]
    return {
        "images": images,
        "annotations": annotations[:n_annotations],
        "categories": [{"id": c.id, "name": c.name} for c in table.categories],
    }
