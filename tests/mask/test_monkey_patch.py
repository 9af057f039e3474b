"""Code that calls pycocotools runs on mtfast, with the same results."""

from __future__ import annotations

import json
import sys
import types

import numpy as np
import pycocotools.mask as coco

import naive
from mtfast import mask


def test_install():
    originals = {name: getattr(coco, name) for name in ("encode", "decode", "area", "iou")}
    with mask.install():
        assert coco.decode is mask.decode
        # More than pycocotools' own function takes with numpy 2.
        assert coco.area([{"size": [2, 2], "counts": b"22"}] * 300).tolist() == [2] * 300
        mask.install()
    for name, original in originals.items():
        assert getattr(coco, name) is original
    mask.uninstall()


def test_names_that_were_imported_before(monkeypatch):
    module = types.ModuleType("imports_names")
    exec("from pycocotools.mask import decode as to_pixels, merge, area", vars(module))
    monkeypatch.setitem(sys.modules, "imports_names", module)
    originals = dict(vars(module))
    compiled = dict(vars(sys.modules["pycocotools._mask"]))
    with mask.install():
        assert (module.to_pixels, module.merge) == (mask.decode, mask.merge)
        assert vars(sys.modules["pycocotools._mask"]) == compiled
        module.area = len
    assert module.to_pixels is originals["to_pixels"]
    assert module.merge is originals["merge"]
    # What has been set since is not touched.
    assert module.area is len


def evaluate(gt: dict, dt: list[dict], kind: str) -> np.ndarray:
    import contextlib
    import io

    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = json.loads(json.dumps(gt))
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(json.loads(json.dumps(dt))), kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats


def test_cocoeval_is_the_same(rng):
    """Unmodified COCO and COCOeval on mtfast: statistics equal to 1e-12, for boxes and masks."""
    size = (60, 80)
    images, annotations, detections = [], [], []
    for i in range(1, 13):
        images.append({"id": i, "file_name": f"{i}.jpg", "height": size[0], "width": size[1]})
        for _ in range(rng.integers(1, 8)):
            y, x = rng.integers(0, 40), rng.integers(0, 60)
            h, w = rng.integers(4, 30, 2)
            pixels = np.zeros(size, np.uint8)
            pixels[y : y + h, x : x + w] = 1
            crowd = int(rng.random() < 0.15)
            polygon = [float(v) for v in (x, y, x + w, y, x + w, y + h, x, y + h)]
            rle = coco.encode(np.asfortranarray(pixels))
            segmentation = {
                0: [polygon],
                1: {"size": list(size), "counts": rle["counts"].decode()},
                2: {"size": list(size), "counts": naive.counts_of_mask(pixels)},
            }[2 if crowd else int(rng.integers(0, 2))]
            category = int(rng.integers(1, 4))
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": i,
                    "category_id": category,
                    "segmentation": segmentation,
                    "area": float(pixels.sum()),
                    "bbox": [float(v) for v in (x, y, w, h)],
                    "iscrowd": crowd,
                }
            )
            moved = np.roll(pixels, rng.integers(-4, 5, 2), (0, 1))
            text = coco.encode(np.asfortranarray(moved))["counts"].decode()
            detections.append(
                {
                    "image_id": i,
                    "category_id": category,
                    "segmentation": {"size": list(size), "counts": text},
                    "score": float(rng.random()),
                }
            )
    truth = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": k, "name": str(k)} for k in (1, 2, 3)],
        "info": {},
    }
    for kind in ("segm", "bbox"):
        theirs = evaluate(truth, detections, kind)
        with mask.install():
            ours = evaluate(truth, detections, kind)
        assert 0.05 < theirs[0] < 0.95
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)
