"""COCO as CVAT and Roboflow export it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import mtfast
from other_tools import box, expect_same_after_derive, kinds_of, put, put_image, rle_of


def cvat(folder: Path, inner: str, prefix: str) -> Path:
    """CVAT's "COCO 1.0": masks are lists of counts and crowds are 0 or 1, attributes an object."""
    counts = [205, 10, 30, 10, 2145]
    annotations = [
        {
            "id": 1,
            "image_id": 1,
            "category_id": 1,
            "segmentation": [[10.0, 5.0, 30.0, 5.0, 30.0, 15.0]],
            "area": 100.0,
            "bbox": [10.0, 5.0, 20.0, 10.0],
            "iscrowd": 0,
            "attributes": {"occluded": False, "Layers, in all": "2", "score": None},
        },
        {
            "id": 2,
            "image_id": 1,
            "category_id": 2,
            "segmentation": {"counts": counts, "size": [40, 60]},
            "area": 20.0,
            "bbox": [5.0, 5.0, 2.0, 10.0],
            "iscrowd": 1,
            "attributes": {"occluded": False},
        },
    ]
    image = {
        "id": 1,
        "width": 60,
        "height": 40,
        "file_name": f"{prefix}a 1.jpg",
        "license": 0,
        "flickr_url": "",
        "coco_url": "",
        "date_captured": 0,
    }
    content = {
        "licenses": [{"name": "", "id": 0, "url": ""}],
        "info": {"contributor": "", "date_created": "", "version": "", "year": ""},
        "categories": [
            {"id": 1, "name": "mono", "supercategory": ""},
            {"id": 2, "name": "bi", "supercategory": ""},
        ],
        "images": [image],
        "annotations": annotations,
    }
    put(folder / "annotations/instances_default.json", json.dumps(content))
    put_image(folder / f"images/{inner}{prefix}a 1.jpg")
    return folder


@pytest.mark.parametrize("inner", ["", "default/"])
@pytest.mark.parametrize("prefix", ["", "batch 1/"])
def test_cvat(tmp_path, inner, prefix):
    source = mtfast.open_source(cvat(tmp_path / "set", inner, prefix))
    assert (source.kind, source.splits) == ("coco", ("train",))
    table = source.table("train", "annotations")
    assert table.categories == ((1, "mono"), (2, "bi"))
    assert table.iscrowd.tolist() == [0, 1]
    assert table.area()[1] == 20
    name = f"{prefix}a 1.jpg"
    assert source.find_images("train", [name]) == {
        name: str(tmp_path / f"set/images/{inner}{prefix}a 1.jpg")
    }
    derived = expect_same_after_derive(source, tmp_path / "derived")
    written = json.loads(derived.records("train", "annotations_with_class_full").text)
    assert written["annotations"][0]["attributes"]["Layers, in all"] == "2"
    store = mtfast.open(mtfast.convert(source, tmp_path / "a.zarr"))
    assert store["train"].image(0).shape == (40, 60, 3)


def test_splits_of_cvat(tmp_path):
    """Subsets of a project are files, and folders of images."""
    cvat(tmp_path, "default/", "")
    whole = json.loads((tmp_path / "annotations/instances_default.json").read_text())
    for split in ("Train", "Validation"):
        put(tmp_path / f"annotations/instances_{split}.json", json.dumps(whole))
        put_image(tmp_path / f"images/{split}/a 1.jpg")
    (tmp_path / "annotations/instances_default.json").unlink()
    source = mtfast.open_source(tmp_path)
    assert source.splits == ("Train", "Validation")
    for split in source.splits:
        found = source.find_image(split, "a 1.jpg")
        assert found == str(tmp_path / f"images/{split}/a 1.jpg")


def roboflow(folder: Path) -> Path:
    """Roboflow's "COCO Segmentation": class 0 is the root of the others, and numbers are texts."""
    for split in ("train", "valid", "test"):
        name = f"{split}_png.rf.0a1b2c3d.jpg"
        annotation: dict[str, Any] = {
            "id": 0,
            "image_id": 0,
            "category_id": 1,
            "bbox": [10, 5, 20, 10],
            "area": 200,
            "segmentation": [[30, 15, 30, 5, 10, 5, 10, 15, 30, 15]],
            "iscrowd": 0,
        }
        rle = {"id": 1, "segmentation": rle_of(box(20, 10, 5, 8)), "category_id": 2}
        content = {
            "info": {"year": "2025", "version": "1", "description": "Exported from Roboflow"},
            "licenses": [{"id": 1, "url": "https://…", "name": "CC BY 4.0"}],
            "categories": [
                {"id": 0, "name": "flakes-x", "supercategory": "none"},
                {"id": 1, "name": "mono", "supercategory": "flakes-x"},
                {"id": 2, "name": "bi", "supercategory": "flakes-x"},
            ],
            "images": [
                {
                    "id": 0,
                    "license": 1,
                    "file_name": name,
                    "height": 40,
                    "width": 60,
                    "date_captured": "2025-01-01T00:00:00+00:00",
                    "extra": {"name": f"{split}.png"},
                }
            ],
            "annotations": [annotation, annotation | rle],
        }
        put(folder / split / "_annotations.coco.json", json.dumps(content))
        put_image(folder / split / name)
    put(folder / "README.roboflow.txt", "")
    put(folder / "README.dataset.txt", "")
    return folder


def test_roboflow(tmp_path):
    source = mtfast.open_source(roboflow(tmp_path / "set"))
    assert (source.kind, source.splits) == ("coco", ("train", "test", "valid"))
    for split in source.splits:
        table = source.table(split, "annotations")
        assert table.categories == ((1, "mono"), (2, "bi"))
        assert table.instance_ids.tolist() == [0, 1]
        assert table.area().tolist() == [200, 40]
        assert source.read_image(split, table.names[0])
    assert kinds_of(tmp_path / "set").keys() == {"unused category 0"}
    expect_same_after_derive(source, tmp_path / "derived")
    mtfast.convert(source, tmp_path / "a.zarr")


def test_one_split_of_roboflow(tmp_path):
    source = mtfast.open_source(roboflow(tmp_path) / "valid")
    assert source.splits == ("valid",)
    assert source.table("valid", "annotations").n_instances == 2
