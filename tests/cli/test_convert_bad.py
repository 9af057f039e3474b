"""What convert is told about its source: bad records, classes, folders and several files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import mtfast
from commands import run


def write(path: Path, *, category: int = 1, name: str = "a.jpg") -> Path:
    ring = [[0, 0, 4, 0, 4, 3, 0, 3]]
    annotation = {
        "image_id": 1,
        "category_id": category,
        "segmentation": ring,
        "bbox": [0, 0, 4, 3],
    }
    content = {
        "images": [{"id": 1, "file_name": name, "height": 4, "width": 6}],
        "annotations": [annotation | {"id": 1}, annotation | {"id": 2, "segmentation": []}],
        "categories": [{"id": category, "name": "flake"}],
    }
    path.write_text(json.dumps(content))
    return path


def test_bad_records(tmp_path):
    path = write(tmp_path / "coco.json")
    done = run("convert", path, tmp_path / "s.zarr", "--images", "none")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        "mtfast: error: coco.json: 1 bad record: 1 x no segmentation (annotation 2 (number 1)); "
        "expected records as COCO describes them; correct them, or go on: --bad skip leaves them "
        "out; --bad repair draws their boxes as rectangles"
    )
    for bad, n, done_ in (("skip", 1, "skipped"), ("repair", 2, "repaired")):
        store = tmp_path / f"{bad}.zarr"
        done = run("convert", path, store, "--images", "none", "--bad", bad)
        assert done.returncode == 0, done.stderr
        said = f"coco.json: 1 x no segmentation (annotation 2 (number 1)): {done_}"
        assert said in done.stdout
        assert mtfast.open(store)["train"].instances(0).n_instances == n


def test_classes_are_mapped(tmp_path):
    path = write(tmp_path / "coco.json", category=0)
    arguments = ("convert", path, tmp_path / "s.zarr", "--images", "none", "--bad", "skip")
    done = run(*arguments, "--map", "0=3", "--map", "1=4")
    assert done.returncode == 0, done.stderr
    assert "1 x category mapped (0 to 3): mapped" in done.stdout
    train = mtfast.open(tmp_path / "s.zarr")["train"]
    assert set(train.semantic(0).ravel().tolist()) == {0, 3}
    done = run(*arguments, "--map", "flake=3")
    assert done.returncode == 2
    assert (
        "'flake=3' is no pair of classes; expected FROM=TO such as 5=4; correct it" in done.stderr
    )


def test_several_files(tmp_path):
    one, two = write(tmp_path / "one.json"), write(tmp_path / "two.json", name="b.jpg")
    store = tmp_path / "s.zarr"
    done = run("convert", f"val={two}", f"train={one}", store, "--images=none", "--bad=skip")
    assert done.returncode == 0, done.stderr
    opened = mtfast.open(store)
    assert {name: opened[name].names for name in opened}.keys() == {"train", "val"}
    done = run("convert", one, two, store, "--images=none")
    assert done.returncode == 2
    assert "2 sources: " in done.stderr
    assert (
        "expected one, or a COCO file for each split, such as train=a.json val=b.json"
        in done.stderr
    )


@pytest.mark.parametrize("there", [True, False])
def test_a_folder_of_images_is_named(tmp_path, there):
    path = write(tmp_path / "coco.json")
    folder = tmp_path / "elsewhere"
    if there:
        folder.mkdir()
    done = run("doctor", path, "--image-folder", folder)
    assert done.returncode == (1 if there else 2)
    assert ("image without file" in done.stdout) == there
    assert ("no folder " in done.stderr) != there
