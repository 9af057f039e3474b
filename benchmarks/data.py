"""What the benchmarks work on: synthetic sets and masks from a seed, and the real demo masks.

Sets are kept in the folder of :func:`cache` and used again by every later run, on any Python.
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
from mtfast.table import RunTable, offsets_of

SEED = 0
CLASSES = 10
# Flakes of that many images above that area: 440 bytes an annotation.
COCO_LABELS = 256
COCO_AREA = 1500
# Masks from sparse to dense: one small flake, half of the frame in one piece, single pixels that
# lie apart, and every other pixel at random.
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
    """Return a set of annotations alone."""
    return _set("labels", wanted.labels, wanted.size)


def coco_file(wanted: Scale) -> Path:
    """Return a COCO JSON file: large flakes of a set, repeated as often as needed."""
    height, width = wanted.size
    path = cache() / f"coco-{wanted.annotations}-{height}x{width}.json"
    if not path.exists():
        table = label_table(replace(wanted, labels=COCO_LABELS), "annotations_with_class_full")
        large = table.area() > COCO_AREA * height * width / (1200 * 1920)
        text = json.dumps(_document(table.select(large), wanted.annotations))
        partial = path.with_suffix(".partial")
        partial.write_text(text)
        partial.replace(path)
    return path


def label_table(wanted: Scale, variant: str = "annotations_with_class_200") -> RunTable:
    """Return the annotations of the set that has nothing else."""
    return mtfast.open_source(label_set(wanted)).table("train", variant)


def rings(kind: str, size: tuple[int, int], n: int, shift: float = 0) -> list[list[float]]:
    """Return n outlines [x, y, x, y, ...]: flakes all over the frame, or blobs that fill half.

    Shifted ones are the same ones, that many pixels to the right and down.
    """
    if kind in SHARES:
        # asv leaves a benchmark out whose setup raises this.
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


def table_of(rles: list[RLE]) -> RunTable:
    """Return masks of one size as the instances of one image."""
    height, width = rles[0]["size"]
    numbers = np.arange(len(rles))
    return RunTable(
        names=["0.jpg"],
        image_ids=[1],
        heights=[height],
        widths=[width],
        image_offsets=[0, len(rles)],
        instance_ids=numbers + 1,
        category_ids=numbers % CLASSES + 1,
        iscrowd=np.zeros(len(rles)),
        positions=numbers,
        stated_area=np.full(len(rles), np.nan),
        stated_bbox=np.full((len(rles), 4), np.nan),
        rle=np.frombuffer(b"".join(rle["counts"] for rle in rles), np.uint8),
        rle_offsets=offsets_of([len(rle["counts"]) for rle in rles]),
        categories=[(k + 1, f"class {k + 1}") for k in range(CLASSES)],
    )


def demo_table() -> RunTable | None:
    """Return the masks of ten real microscope images, None where they are not at hand."""
    beside = Path(__file__).parents[2] / "shared" / "data" / "maskterial-demo"
    folder = Path(os.environ.get("MTFAST_DEMO_DATA", beside))
    if not folder.is_dir():
        return None
    return mtfast.open_source(folder).table("train", "annotations")


def _set(kind: str, n: int, size: tuple[int, int]) -> Path:
    height, width = size
    folder = cache() / f"{kind}-{n}-{height}x{width}"
    # The annotations of a set that is still being made lie elsewhere.
    if not (folder / "RLE_annotations").exists():
        options = {"train": n, "test": 0, "size": f"{height}x{width}", "classes": CLASSES}
        command = [sys.executable, "-m", "mtfast", "synth", folder, "--seed", SEED]
        command += [text for key, value in options.items() for text in (f"--{key}", value)]
        command += ["--no-images"] * (kind == "labels")
        # A process of its own starts its workers without a look at who is asking.
        subprocess.run([str(part) for part in command], check=True, stdout=subprocess.DEVNULL)
    return folder


def _document(table: RunTable, n_annotations: int) -> dict:
    """Number the images and their annotations anew, in as many turns as it takes."""
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
