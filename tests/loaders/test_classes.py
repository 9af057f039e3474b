"""Classes and crowds of training sets, compared with pycocotools and plain painting."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest
from pycocotools import mask as coco_mask

import jpegs
import mtfast
from mtfast.errors import MtfastError
from mtfast.loaders.classes import ClassLabel, ClassTable
from mtfast.loaders.reader import Reader

SIZE = (6, 8)
CATEGORIES = [{"id": 0, "name": "flakes"}, {"id": 7, "name": "thick"}, {"id": 2, "name": "thin"}]


def rectangle(category, y, x, h, w, crowd=0):
    mask = np.zeros(SIZE, np.uint8, order="F")
    mask[y : y + h, x : x + w] = 1
    rle = coco_mask.encode(mask)
    segmentation = {"size": rle["size"], "counts": rle["counts"].decode()}
    return {"category_id": category, "segmentation": segmentation, "iscrowd": crowd}, mask > 0


def make_store(folder, annotations, categories=CATEGORIES, name="set"):
    """One image for each list of annotations, without image files."""
    images, rows = [], []
    for number, listed in enumerate(annotations, 1):
        images.append({"id": number, "file_name": f"{number}.jpg", "height": 6, "width": 8})
        rows += [{**a, "id": len(rows) + k + 1, "image_id": number} for k, a in enumerate(listed)]
    content = {"images": images, "annotations": rows, "categories": categories}
    (folder / f"{name}.json").write_text(json.dumps(content))
    return mtfast.convert(folder / f"{name}.json", folder / f"{name}.zarr", images=False)


def test_an_unused_root_category_has_no_number(tmp_path):
    """As Roboflow writes it: labels are those of the store."""
    path = make_store(tmp_path, [[rectangle(2, 0, 0, 2, 2)[0]], [rectangle(7, 1, 1, 3, 3)[0]]])
    reader = Reader(path, images=False)
    assert reader.classes == ((1, 2, "thin"), (2, 7, "thick"))
    assert json.loads(json.dumps(reader.classes)) == [[1, 2, "thin"], [2, 7, "thick"]]
    used = make_store(tmp_path, [[rectangle(2, 0, 0, 2, 2)[0]]], CATEGORIES[1:], "used")
    assert Reader(used, images=False).classes.names == ("thin", "thick")


def test_classes_are_chosen_and_ordered(tmp_path):
    thin, thin_mask = rectangle(2, 0, 0, 4, 4)
    thick, thick_mask = rectangle(7, 2, 2, 4, 4)
    path = make_store(tmp_path, [[thin, thick], [thin]])
    for chosen in (["thick", "thin"], [7, 2], [np.int64(7), "thin"], ("thick", 2)):
        reader = Reader(path, images=False, classes=chosen)
        assert reader.classes == ((1, 7, "thick"), (2, 2, "thin"))
        expected = np.where(thick_mask, 1, np.where(thin_mask, 2, 0))
        sample = reader.read(0)
        assert np.array_equal(sample.semantic, expected)
        assert sample.instances.labels.tolist() == [2, 1]
        assert reader.class_counts().tolist() == [[1, 1], [0, 1]]
    only = Reader(path, images=False, classes=["thin"])
    sample = only.read(0)
    assert np.array_equal(sample.semantic, thin_mask)
    assert np.array_equal(sample.instances.masks, thin_mask[None])
    assert Reader(path, images=False, classes=["thick"]).read(1).instances.labels.size == 0


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (["tick"], "no class 'tick' in annotations; .*did you mean 'thick'"),
        ([3], "no class '3'"),
        ([0], "no class '0'"),
        ([True], "no class 'True'"),
        ([["thin"]], "no class .*thin"),
        (["thin", 2], "name one class twice"),
        ("thin", "expected a list of names or category ids"),
        ([], "expected a list of names"),
        (5, "expected a list of names"),
    ],
)
def test_bad_classes(tmp_path, chosen, message):
    path = make_store(tmp_path, [[rectangle(2, 0, 0, 2, 2)[0]]])
    with pytest.raises(MtfastError, match=message):
        Reader(path, images=False, classes=chosen)
    with pytest.raises(MtfastError, match="classes and class_agnostic; expected one"):
        Reader(path, images=False, classes=["thin"], class_agnostic=True)


def test_numbers_are_the_same_in_every_split(small_set, tmp_path):
    """Also where a split lists other categories than the others."""
    for split, categories in (("train", CATEGORIES[1:]), ("test", CATEGORIES[2:])):
        folder = tmp_path / "set" / "RLE_annotations"
        folder.mkdir(parents=True, exist_ok=True)
        thin, _ = rectangle(2, 0, 0, 3, 3)
        row = {**thin, "id": 1, "image_id": 1, "area": 9, "bbox": [0, 0, 3, 3]}
        image = {"id": 1, "file_name": f"{split}.jpg", "height": 6, "width": 8}
        content = {"images": [image], "annotations": [row], "categories": categories}
        (folder / f"{split}_annotations_with_class_200.json").write_text(json.dumps(content))
        (tmp_path / "set" / f"{split}_images").mkdir()
        (tmp_path / "set" / f"{split}_images" / f"{split}.jpg").write_bytes(jpegs.flat(*SIZE))
    path = mtfast.convert(tmp_path / "set", tmp_path / "set.zarr")
    tables = [Reader(path, split).classes for split in ("train", "test")]
    assert tables[0] == tables[1] == ((1, 2, "thin"), (2, 7, "thick"))


@pytest.mark.parametrize("class_agnostic", [False, True])
def test_crowds(tmp_path, caplog, class_agnostic):
    """A crowd over the frame, listed after the flake that it covers."""
    flake, flake_mask = rectangle(2, 1, 1, 3, 3)
    crowd, _ = rectangle(7, 0, 0, *SIZE, crowd=1)
    path = make_store(tmp_path, [[flake, crowd], [flake]])
    options = {"images": False, "class_agnostic": class_agnostic}
    with caplog.at_level(logging.WARNING, "mtfast"):
        dropped = Reader(path, **options)
    assert "1 of 3 annotations are crowds and are left out" in caplog.text
    sample = dropped.read(0)
    assert np.array_equal(sample.semantic, flake_mask)
    assert sample.instances.labels.tolist() == [1]
    ignored = Reader(path, crowds="ignore", **options)
    assert ignored.ignore_value == 255
    sample = ignored.read(0)
    assert np.array_equal(sample.semantic, np.where(flake_mask, 1, 255))
    assert np.array_equal(sample.instances.masks, flake_mask[None])
    assert np.array_equal(ignored.read(1).semantic, flake_mask)
    caplog.clear()
    kept = Reader(path, crowds="keep", **options).read(0)
    assert np.all(kept.semantic == (1 if class_agnostic else 2))
    assert kept.instances.labels.tolist() == [1, 1 if class_agnostic else 2]
    assert not caplog.text
    assert dropped.class_counts().sum() == ignored.class_counts().sum() == 2
    with pytest.raises(MtfastError, match="crowds is 'none'; expected one of"):
        Reader(path, crowds="none", **options)


@pytest.mark.parametrize(("n", "value", "dtype"), [(254, 255, np.uint8), (255, 65535, np.uint16)])
def test_the_ignore_value_is_no_class(tmp_path, n, value, dtype):
    """255 or, from 255 classes on, 65535: whether or not an image shows the last class."""
    categories = [{"id": k, "name": str(k)} for k in range(1, n + 1)]
    flake, flake_mask = rectangle(n, 1, 1, 3, 3)
    crowd, _ = rectangle(1, 0, 0, *SIZE, crowd=1)
    path = make_store(tmp_path, [[crowd, flake], []], categories)
    reader = Reader(path, images=False, crowds="ignore")
    sample = reader.read(0)
    assert sample.semantic.dtype == reader.read(1).semantic.dtype == dtype
    assert reader.ignore_value == value
    assert np.array_equal(sample.semantic, np.where(flake_mask, n, value))


def test_windows_are_placed_near_ordinary_instances(tmp_path):
    from mtfast.loaders.views import Augment

    flake, _ = rectangle(2, 0, 0, 1, 1)
    crowd, _ = rectangle(7, 3, 3, 3, 5, crowd=1)
    path = make_store(tmp_path, [[crowd, flake]])
    for crowds in ("drop", "ignore"):
        reader = Reader(path, images=False, crop=2, augment=Augment(near=1), crowds=crowds, seed=3)
        for epoch in range(20):
            assert reader.read((epoch, 0, 0)).instances.areas.tolist() == [1]


def test_numbers_of_categories():
    table = ClassTable([ClassLabel(1, 9, "a"), ClassLabel(2, 4, "b")])
    assert table.numbers_of(np.array([4, 9, 5, 0, 100])).tolist() == [2, 1, 0, 0, 0]
    assert ClassTable().numbers_of(np.array([1, 2])).tolist() == [0, 0]
    assert table.numbers_of(np.array([], np.int64)).size == 0
