"""``verify`` and ``derive`` of a set with bad records, which their errors advise on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pycocotools.mask as pm
import pytest
from PIL import Image

from mtfast.cli import main


def status(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.fixture
def bad_set(damaged: Path) -> Path:
    """Class 1 is called 0 by all annotations; the masks that are shipped show it as 1."""
    for path in (damaged / "RLE_annotations").rglob("*with_class*.json"):
        content = json.loads(path.read_text())
        for annotation in content["annotations"]:
            annotation["category_id"] %= 4
        for category in content["categories"]:
            category["id"] %= 4
        path.write_text(json.dumps(content))
    return damaged


@pytest.mark.parametrize(
    ("options", "expected"), [([], 2), (["--map", "0=4"], 0), (["--bad", "skip"], 1)]
)
def test_verify(bad_set, options, expected, capsys):
    assert status("verify", bad_set, *options) == expected
    advised = "map class 0 to a free number (convert with --map 0=4), or go on: --bad skip"
    assert (advised in capsys.readouterr().err) == (not options)


def test_derive(bad_set, tmp_path, capsys):
    """What is left out is in no new file, and areas are those of the annotations that are left."""
    assert status("derive", bad_set, tmp_path / "new", "--min-area", "40") == 2
    assert "or go on: --bad skip" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
    assert status("derive", bad_set, tmp_path / "new", "--min-area", "40", "--bad", "skip") == 0
    full = bad_set / "RLE_annotations/train_annotations_with_class_full.json"
    sound = [a for a in json.loads(full.read_text())["annotations"] if a["category_id"]]
    files = {p.name: p for p in (tmp_path / "new/RLE_annotations").glob("train_*with_class_*.json")}
    ids = {
        name: [annotation["id"] for annotation in json.loads(path.read_text())["annotations"]]
        for name, path in files.items()
    }
    assert ids[full.name] == [a["id"] for a in sound]
    large = [a["id"] for a in sound if pm.area(a["segmentation"]) > 40]
    assert ids["train_annotations_with_class_40.json"] == large
    assert 0 < len(large) < len(sound) < len(json.loads(full.read_text())["annotations"])


def write_crowds(folder: Path) -> Path:
    """Two images of a class and a crowd of another, in COCO's layout."""
    text = pm.encode(np.ones((8, 9), np.uint8, order="F"))["counts"].decode()
    rle = {"size": [8, 9], "counts": text}
    content = {
        "images": [{"id": k, "file_name": f"{k}.jpg", "height": 8, "width": 9} for k in (1, 2)],
        "annotations": [
            {"id": k, "image_id": k, "category_id": k, "segmentation": rle, "iscrowd": k - 1}
            for k in (1, 2)
        ],
        "categories": [{"id": 1, "name": "mono"}, {"id": 2, "name": "bi"}],
    }
    (folder / "annotations").mkdir()
    (folder / "val2017").mkdir()
    (folder / "test2017").mkdir()
    for name in ("val2017/1.jpg", "val2017/2.jpg", "test2017/3.jpg"):
        Image.new("RGB", (9, 8)).save(folder / name)
    (folder / "annotations" / "instances_val2017.json").write_text(json.dumps(content))
    return folder


def test_masks_say_that_crowds_are_painted(tmp_path, capsys):
    assert status("masks", write_crowds(tmp_path), tmp_path / "masks") == 0
    assert "note: 1 crowd painted as other instances are\n" in capsys.readouterr().out


def test_a_class_that_is_joined_with_another_is_said(tmp_path, capsys):
    coco = write_crowds(tmp_path)
    assert status("convert", coco, tmp_path / "a.zarr", "--map", "1=2") == 0
    assert "category mapped (1 to 2, joined with 'bi'): mapped" in capsys.readouterr().out
    assert status("convert", coco, tmp_path / "b.zarr", "--map", "1=2", "--map", "2=1") == 0
    assert "category mapped (1 to 2, 2 to 1): mapped" in capsys.readouterr().out


def test_the_images_of_a_split_are_not_taken_for_a_set(tmp_path, tiny_set, capsys):
    """All of its masks would be empty; images without annotations are a set for predictions."""
    coco = write_crowds(tmp_path)
    for folder in (coco / "val2017", tiny_set / "train_images"):
        assert status("info", folder) == 2
        assert f"expected the dataset; give the path {folder.parent}" in capsys.readouterr().err
    assert status("info", coco / "test2017") == 0
