"""What convert is told about its source: bad records, classes, folders and several files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mtfast
from commands import call, invoke


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
    done = call("convert", path, tmp_path / "s.zarr", "--images", "none")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == (
        "mtfast: error: coco.json: 1 bad record: 1 x no segmentation (annotation 2 (number 1)); "
        "expected records as COCO describes them; correct them, or go on: --bad skip leaves them "
        "out; --bad repair draws their boxes as rectangles"
    )
    for bad, n, done_ in (("skip", 1, "skipped"), ("repair", 2, "repaired")):
        store = tmp_path / f"{bad}.zarr"
        done = call("convert", path, store, "--images", "none", "--bad", bad)
        assert done.returncode == 0, done.stderr
        said = f"coco.json: 1 x no segmentation (annotation 2 (number 1)): {done_}"
        assert said in done.stdout
        assert mtfast.open(store)["train"].instances(0).n_instances == n


def test_four_numbers_are_said_to_be_a_box(tmp_path, caplog):
    """They may have been meant as a polygon of two points."""
    path = write(tmp_path / "coco.json")
    content = json.loads(path.read_text())
    content["annotations"][1]["segmentation"] = [[4, 0, 2, 3]]
    path.write_text(json.dumps(content))
    Image.new("RGB", (6, 4)).save(tmp_path / "a.jpg")
    said = "1 x four numbers read as a box (annotation 2 of a.jpg): kept"
    for line in (("convert", path, tmp_path / "s.zarr"), ("preview", path, tmp_path / "p.png")):
        caplog.clear()
        status, out, errors = invoke(*map(str, line))
        assert status == 0, errors
        # Warnings go to standard error where no handler takes them, as here those of pytest do.
        warnings = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
        assert warnings == [f"coco.json: {said}"]
        assert (said in out) == (line[0] == "convert")
    assert mtfast.open(tmp_path / "s.zarr")["train"].semantic(0).sum() == 18
    found = {finding.check: finding for finding in mtfast.diagnose(path).findings}
    boxes = found["four numbers read as a box"]
    assert (boxes.severity, boxes.count) == ("warning", 1)


def test_classes_are_mapped(tmp_path):
    path = write(tmp_path / "coco.json", category=0)
    arguments = ("convert", path, tmp_path / "s.zarr", "--images", "none", "--bad", "skip")
    done = call(*arguments, "--map", "0=3", "--map", "1=4")
    assert done.returncode == 0, done.stderr
    assert "1 x category mapped (0 to 3): mapped" in done.stdout
    train = mtfast.open(tmp_path / "s.zarr")["train"]
    assert set(train.semantic(0).ravel().tolist()) == {0, 3}
    done = call(*arguments, "--map", "flake=3")
    assert done.returncode == 2
    assert (
        "'flake=3' is no pair of classes; expected FROM=TO such as 5=4; correct it" in done.stderr
    )


def test_several_files(tmp_path):
    one, two = write(tmp_path / "one.json"), write(tmp_path / "two.json", name="b.jpg")
    store = tmp_path / "s.zarr"
    done = call("convert", f"val={two}", f"train={one}", store, "--images=none", "--bad=skip")
    assert done.returncode == 0, done.stderr
    opened = mtfast.open(store)
    assert {name: opened[name].names for name in opened}.keys() == {"train", "val"}
    done = call("convert", one, two, store, "--images=none")
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
    done = call("doctor", path, "--image-folder", folder)
    assert done.returncode == (1 if there else 2)
    assert ("image without file" in done.stdout) == there
    assert ("no folder " in done.stderr) != there


LABELME = "JPEGImages/x.jpg"


def write_labelme(folder: Path, name: str = LABELME, *, there: bool = True) -> Path:
    """Write a set as labelme2coco.py does: names of images are relative to the JSON file."""
    (folder / "JPEGImages").mkdir(parents=True)
    if there:
        Image.new("RGB", (6, 4), "green").save(folder / "JPEGImages" / "x.jpg")
    path = write(folder / "annotations.json", name=name)
    content = json.loads(path.read_text())
    del content["annotations"][1]
    path.write_text(json.dumps(content))
    return path


def shows_image(picture: str) -> bool:
    """Whether a sheet shows the green image."""
    pixels = np.asarray(Image.open(picture)).astype(int)
    return int((abs(pixels - (0, 128, 0)).max(axis=2) < 3).sum()) > 1000


GREY = "train is without images: outlines are drawn on grey"


def said_by(*arguments: object, status: int = 0) -> str:
    code, said, errors = invoke(*map(str, arguments))
    assert code == status, errors
    return said + errors


@pytest.mark.parametrize("given", [["l2"], ["l2/annotations.json"], ["l2", "--image-folder", "l2"]])
def test_every_command_finds_the_same_images(tmp_path, monkeypatch, caplog, given):
    monkeypatch.chdir(tmp_path)
    write_labelme(Path("l2"))
    dataset, *options = given
    assert ", with images\n" in said_by("info", dataset, *options)
    said_by("preview", dataset, "sheet.png", *options)
    assert GREY not in caplog.text
    assert "0 errors, 0 warnings" in said_by("doctor", dataset, *options)
    said_by("convert", dataset, "s.zarr", *options)
    assert ", with images\n" in said_by("info", "s.zarr")
    said_by("preview", "s.zarr", "store.png")
    said_by("preview", write_labelme(Path("grey"), there=False), "grey.png")
    drawn = [shows_image(name) for name in ("sheet.png", "store.png", "grey.png")]
    assert drawn == [True, True, False]


def test_a_preview_says_that_it_is_without_images(tmp_path, caplog):
    path = write_labelme(tmp_path / "set", "gone.jpg")
    # The picture is no image of the set, wherever it lies.
    for _ in range(2):
        caplog.clear()
        said_by("preview", path, path.with_name("sheet.png"))
        assert caplog.messages == [GREY]
    assert ", without images\n" in said_by("info", path)
    said_by("convert", path, tmp_path / "s.zarr", "--images", "none")
    caplog.clear()
    said_by("preview", tmp_path / "s.zarr", tmp_path / "sheet.png")
    assert caplog.messages == [GREY]


def test_missing_images_are_looked_for_where_it_is_said(tmp_path):
    path = write_labelme(tmp_path / "set", there=False)
    said = said_by("convert", path, tmp_path / "s.zarr", status=2)
    assert f"expected the file of every image in {path.parent} or its annotations_images/" in said
    for advice in ("name their folder with --image-folder DIR", "convert with --images none"):
        assert advice in said
    named = ("--image-folder", path.parent / "JPEGImages", "--bad", "repair")
    said = said_by("convert", path, tmp_path / "s.zarr", *named, status=2)
    assert f"in {path.parent / 'JPEGImages'}, names with folders in {path.parent} too; " in said
    assert "name their folder with --image-folder DIR" in said
    path = write_labelme(tmp_path / "plain", "x.jpg")
    said = said_by("convert", path, tmp_path / "s.zarr", status=2)
    assert "has no image folder; expected one with the images of its annotations in " in said
    assert "; add it, name their folder with --image-folder DIR, or convert with --images" in said


def test_no_folder_is_to_be_named_where_none_can_be(tmp_path):
    (tmp_path / "annotations").mkdir()
    write(tmp_path / "annotations" / "train_annotations.json")
    said = said_by("convert", tmp_path, tmp_path / "s.zarr", "--bad", "repair", status=2)
    assert f"in {tmp_path / 'train_images'}; add it, or convert with --images none" in said


def test_the_doctor_asks_for_images_unless_told_not_to(tmp_path):
    path = write_labelme(tmp_path / "set", there=False)
    assert "no image files in train" in said_by("doctor", path, status=1)
    assert "0 errors, 0 warnings" in said_by("doctor", path, "--images", "none")


def test_a_folder_of_images_goes_with_a_folder_of_one_file(tmp_path):
    path = write_labelme(tmp_path / "set", "my/x.jpg", there=False)
    source = write_labelme(tmp_path / "my").parent / "JPEGImages"
    said_by("convert", path.parent, tmp_path / "s.zarr", "--image-folder", source)
    assert mtfast.open(tmp_path / "s.zarr")["train"].has_images
