"""Sets as users have them, in the layouts of the README's section on own sets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pycocotools.mask
import tifffile
from PIL import Image

Images = dict[str, np.ndarray]


def make_own_sets(folder: Path) -> None:
    """Make ``fruits`` as of Roboflow, ``coco`` as of COCO, and ``cells`` as of a microscope."""
    rng = np.random.default_rng(4)
    for split, n in (("train", 5), ("valid", 2), ("test", 2)):
        place = folder / "fruits" / split
        named = {f"{split}_{k}_jpg.rf.{k:032x}.jpg": noise(rng, (400, 640)) for k in range(n)}
        named |= {f"{split}_tall_jpg.rf.{n:032x}.jpg": noise(rng, (640, 416))}
        # Roboflow lists a supercategory as category 0, which no annotation uses.
        categories = ["fruits", "apple", "pear"]
        write(place, place / "_annotations.coco.json", named, dict(enumerate(categories)), (1, 2))
    named = {f"{k:012d}.jpg": noise(rng, size) for k, size in enumerate([(427, 640), (640, 480)])}
    categories = {1: "person", 2: "bicycle", 13: "stop sign", 90: "toothbrush"}
    file = folder / "coco" / "annotations" / "instances_val2017.json"
    write(folder / "coco" / "val2017", file, named, categories, (1, 13, 90), crowds=True)
    named = {f"{name}.tif": deep(rng, (700, 900)) for name in "ab"}
    named |= {"c.png": noise(rng, (520, 600))}
    file = folder / "cells" / "annotations.json"
    write(folder / "cells" / "images", file, named, {1: "cell"}, (1,))


def make_labelme_set(folder: Path) -> None:
    """Make images, each with a file as labelme writes it beside it."""
    folder.mkdir()
    rng = np.random.default_rng(5)
    polygon = ("polygon", "thin", [[1.5, 2], [20, 2], [20, 30.5]])
    of_image: dict[str, list[tuple[str | None, str, list[list[float]]]]] = {
        # Old files do not say that a shape is a polygon; rectangles are drawn from any corner.
        "a": [polygon, ("rectangle", "bulk", [[40, 30], [30, 10]]), (None, *polygon[1:])],
        "b": [("point", "dust", [[5, 5]]), ("polygon", "thin", [[1, 1], [9, 9]])],
    }
    for name, shapes in of_image.items():
        Image.fromarray(noise(rng, (48, 64))).save(folder / f"{name}.jpg")
        content = {
            "version": "5.4.1",
            "flags": {},
            "shapes": [
                {"label": label, "points": points, "group_id": None, "shape_type": kind}
                for kind, label, points in shapes
            ],
            "imagePath": f"{name}.jpg",
            "imageData": None,
            "imageHeight": 48,
            "imageWidth": 64,
        }
        (folder / f"{name}.json").write_text(json.dumps(content))


def make_label_studio_set(folder: Path) -> None:
    """Make images, and the export of a project in which two people have annotated them."""
    (folder / "images").mkdir(parents=True)
    rng = np.random.default_rng(6)
    tasks = []
    for number in range(3):
        Image.fromarray(noise(rng, (48, 64))).save(folder / "images" / f"{number}.jpg")
        annotations = []
        for who in (1, 2):
            points = (rng.uniform(0, 100, (5, 2))).tolist()
            value = {"points": points, "closed": True, "polygonlabels": [f"{who}L"]}
            region = {"id": f"r{who}", "type": "polygonlabels", "value": value}
            sides = {"original_width": 64, "original_height": 48, "image_rotation": 0}
            made = {"completed_by": who, "created_at": f"2025-01-0{who}T10:00:00Z"}
            annotations.append({"id": who, **made, "result": [region | sides]})
        upload = f"/data/upload/4/cb0618f{number}-{number}.jpg"
        tasks.append({"id": number, "annotations": annotations, "data": {"image": upload}})
    (folder / "project.json").write_text(json.dumps(tasks))


def make_sets_of_tools(folder: Path) -> None:
    """Make a set of each format of docs/how-to/formats.md; ``runs`` holds results for ``coco``."""
    rng = np.random.default_rng(6)
    square = np.zeros((48, 64), np.uint8)
    square[10:30, 20:40] = 1
    rle = pycocotools.mask.encode(np.asfortranarray(square))
    rle = {"size": [48, 64], "counts": rle["counts"].decode()}

    def image(path: str, size: tuple[int, int] = (48, 64)) -> None:
        put(folder / path, b"")
        Image.fromarray(noise(rng, size)).save(folder / path)

    for split in ("train", "val"):
        image(f"leaves/images/{split}/a.jpg")
        put(folder / f"leaves/labels/{split}/a.txt", "1 0.1 0.1 0.9 0.1 0.9 0.9")
    put(folder / "leaves/data.yaml", "train: images/train\nval: images/val\nnames: [oak, elm]")
    image("anything/sa_000020/sa_1.jpg")
    mask = {"id": 1, "segmentation": rle, "area": 400, "bbox": [20, 10, 20, 20]}
    sizes = {"image_id": 1, "height": 48, "width": 64, "file_name": "sa_1.jpg"}
    content = {"image": sizes, "annotations": [mask | {"predicted_iou": 0.9}]}
    put(folder / "anything/sa_000020/sa_1.json", json.dumps(content))
    image("rooms/val/a.jpg")
    segment = {"id": 7, "category_id": 1, "area": 400, "bbox": [20, 10, 20, 20], "iscrowd": 0}
    content = {
        "images": [{"id": 1, "height": 48, "width": 64, "file_name": "a.jpg"}],
        "annotations": [{"image_id": 1, "file_name": "a.png", "segments_info": [segment]}],
        "categories": [{"id": 1, "name": "wall", "isthing": 0}],
    }
    put(folder / "rooms/annotations/panoptic_val.json", json.dumps(content))
    put(folder / "rooms/annotations/panoptic_val/a.png", b"")
    ids = np.stack([7 * square, 0 * square, 0 * square], -1)
    Image.fromarray(ids).save(folder / "rooms/annotations/panoptic_val/a.png")
    truth = json.loads((folder / "coco/annotations/instances_val2017.json").read_text())
    keys = ("image_id", "category_id", "segmentation")
    results = [{key: a[key] for key in keys} | {"score": 0.5} for a in truth["annotations"]]
    put(folder / "runs/predictions.json", json.dumps(results))
    image("streets/images/a.jpg")
    put(folder / "streets/masks/a.png", b"")
    Image.fromarray(square).save(folder / "streets/masks/a.png")
    put(folder / "streets/classes.txt", "road\npavement\n")


def put(path: Path, content: str | bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def noise(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    return rng.integers(0, 256, (*size, 3), np.uint8)


def deep(rng: np.random.Generator, size: tuple[int, int]) -> np.ndarray:
    """Make pixels of 12 bits, as cameras give them."""
    return rng.integers(0, 4096, size, np.uint16)


def write(
    place: Path,
    file: Path,
    named: Images,
    categories: dict[int, str],
    used: tuple[int, ...],
    crowds: bool = False,
) -> None:
    """Write images into a folder, and a COCO file with a polygon of each used category."""
    place.mkdir(parents=True)
    file.parent.mkdir(parents=True, exist_ok=True)
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for number, (name, pixels) in enumerate(named.items(), 1):
        if name.endswith(".tif"):
            tifffile.imwrite(place / name, pixels)
        else:
            Image.fromarray(pixels).save(place / name)
        height, width = pixels.shape[:2]
        images.append({"id": number, "file_name": name, "height": height, "width": width})
        for k, category in enumerate(used):
            x, y = 20.5 + 60 * k, 30.25 + 20 * k
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": category,
                    "segmentation": [[x, y, x + 90, y + 10, x + 40, y + 120]],
                    "area": 5250,
                    "bbox": [x, y, 90, 120],
                    "iscrowd": 0,
                }
            )
    if crowds:
        height, width = images[0]["height"], images[0]["width"]
        runs = [height * 100, height * 50, height * (width - 150)]
        annotations[-1] |= {
            "image_id": 1,
            "iscrowd": 1,
            "segmentation": {"size": [height, width], "counts": runs},
            "area": height * 50,
            "bbox": [100, 0, 50, height],
        }
    listed = [{"id": k, "name": name, "supercategory": "none"} for k, name in categories.items()]
    file.write_text(
        json.dumps({"images": images, "annotations": annotations, "categories": listed})
    )
