"""mtfast and its peers: each operation under one name, with equal arguments and results.

Where a peer has several functions for the same, the fastest is used. What it needs to get the same
result is part of the time: a conversion of the memory order, a loop over masks or labels.
"""

from collections.abc import Callable
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

Operation = Callable[..., Any]

# With numpy 2, pycocotools' area fails on longer lists.
PYCOCOTOOLS_AREAS = 255


def mtfast() -> dict[str, Operation]:
    from mtfast import mask

    return {
        "decode, F order": mask.decode,
        "decode, C order": lambda rle: mask.decode(rle, order="C"),
        "decode into": lambda rle, frame: mask.decode(rle, order="C", out=frame),
        "encode, F order": mask.encode,
        "encode, C order": mask.encode,
        "paint": lambda rles, labels, frame: mask.to_label_map(rles, labels, out=frame),
        "labels": lambda label_map: mask.from_label_map(label_map)[1],
        "area": mask.area,
        "area of one": mask.area,
        "box": mask.toBbox,
        "iou": lambda dt, gt: mask.iou(dt, gt, [0] * len(gt)),
        "box iou": lambda dt, gt: mask.iou(dt, gt, [0] * len(gt)),
        "or": mask.merge,
        "and": lambda rles: mask.merge(rles, intersect=True),
        "polygons": mask.frPyObjects,
        "crop": mask.crop,
    }


def pycocotools() -> dict[str, Operation]:
    from pycocotools import mask

    def paint(rles: list[dict], labels: list[int], frame: Any) -> Any:
        frame.fill(0)
        for rle, label in zip(rles, labels, strict=True):
            frame[mask.decode(rle) > 0] = label
        return frame

    def area(rles: list[dict]) -> Any:
        if len(rles) <= PYCOCOTOOLS_AREAS:
            return mask.area(rles)
        starts = range(0, len(rles), PYCOCOTOOLS_AREAS)
        return np.concatenate([mask.area(rles[k : k + PYCOCOTOOLS_AREAS]) for k in starts])

    return {
        **_with_the_names_of_pycocotools(mask),
        "encode, C order": lambda pixels: mask.encode(np.asfortranarray(pixels)),
        "paint": paint,
        "labels": lambda label_map: [
            mask.encode(np.asfortranarray(pixels).view(np.uint8))
            for label in range(1, label_map.max() + 1)
            if (pixels := label_map == label).any()
        ],
        "area": area,
    }


def faster_coco_eval() -> dict[str, Operation]:
    from faster_coco_eval.core import mask

    return _with_the_names_of_pycocotools(mask)


def hotcoco() -> dict[str, Operation]:
    from hotcoco import mask

    return _with_the_names_of_pycocotools(mask)


def ultrafast_pycocotools() -> dict[str, Operation]:
    from ultrafast_pycocotools import mask

    return _with_the_names_of_pycocotools(mask)


def rlemasklib() -> dict[str, Operation]:
    import rlemasklib
    from rlemasklib import BoolFunc, RLEMask

    def decode_into(rle: dict, frame: Any) -> Any:
        RLEMask.from_dict(rle).decode_into(frame, 1, 0)
        return frame

    def paint(rles: list[dict], labels: list[int], frame: Any) -> Any:
        frame.fill(0)
        for rle, label in zip(rles, labels, strict=True):
            RLEMask.from_dict(rle).decode_into(frame, label)
        return frame

    def iou(dt: list[dict], gt: list[dict]) -> Any:
        return RLEMask.iou_matrix(*([RLEMask.from_dict(rle) for rle in side] for side in (dt, gt)))

    return {
        "decode, F order": rlemasklib.decode,
        "decode, C order": lambda rle: RLEMask.from_dict(rle).to_array(order="C"),
        "decode into": decode_into,
        "encode, F order": rlemasklib.encode,
        "encode, C order": rlemasklib.encode,
        "paint": paint,
        "labels": lambda label_map: [
            found.to_dict() for found in RLEMask.from_label_map(label_map).values()
        ],
        "area": rlemasklib.area,
        "area of one": rlemasklib.area,
        "box": rlemasklib.to_bbox,
        "iou": iou,
        "or": lambda rles: rlemasklib.merge(rles, BoolFunc.UNION),
        "and": lambda rles: rlemasklib.merge(rles, BoolFunc.INTERSECTION),
        "polygons": lambda rings, h, w: [
            rlemasklib.from_polygon(ring, imshape=(h, w)) for ring in rings
        ],
        "crop": lambda rles, y, x, h, w: rlemasklib.crop(rles, [x, y, w, h]),
    }


PEERS = {
    "pycocotools": pycocotools,
    "faster-coco-eval": faster_coco_eval,
    "hotcoco": hotcoco,
    "rlemasklib": rlemasklib,
    "ultrafast-pycocotools": ultrafast_pycocotools,
}


def installed() -> list[str]:
    """Return the names of the peers that are installed."""
    found = []
    for name in PEERS:
        try:
            import_module(name.replace("-", "_"))
            version(name)
            found.append(name)
        except (ImportError, PackageNotFoundError):
            continue
    return found


def _with_the_names_of_pycocotools(mask: Any) -> dict[str, Operation]:
    return {
        "decode, F order": mask.decode,
        "decode, C order": lambda rle: np.ascontiguousarray(mask.decode(rle)),
        "encode, F order": mask.encode,
        "encode, C order": mask.encode,
        "area": mask.area,
        "area of one": mask.area,
        "box": mask.toBbox,
        "iou": lambda dt, gt: mask.iou(dt, gt, [0] * len(gt)),
        "box iou": lambda dt, gt: mask.iou(dt, gt, [0] * len(gt)),
        "or": mask.merge,
        "and": lambda rles: mask.merge(rles, True),
        "polygons": mask.frPyObjects,
    }
