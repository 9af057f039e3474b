"""COCO's dicts, against pycocotools and the reader of files."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace

import numpy as np
import pycocotools.mask as coco
import pytest
from pycocotools.coco import COCO

import mtfast
from mtfast import MtfastError, RLEError, RunTable
from mtfast.errors import SourceError
from tables import make_table, random_masks


@pytest.fixture
def masks(rng):
    return [random_masks(rng, (17, 23), n) for n in (3, 0, 5, 1)]


@pytest.fixture
def table(masks):
    made = make_table(masks, (17, 23))
    stated_bbox = np.full((9, 4), np.nan)
    stated_bbox[::2] = np.arange(20).reshape(5, 4) + 0.5
    return replace(
        made,
        iscrowd=np.arange(9) % 2,
        stated_bbox=stated_bbox,
        stated_area=np.where(np.arange(9) % 3, 7.25, np.nan),
        instance_ids=np.arange(9) * 10 - 5,
        image_ids=[9, 2**40, 3, 4],
        names=["b.jpg", "a/ü.png", "c.tif", "d"],
    )


def read_by_pycocotools(content, tmp_path):
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps(content))
    return COCO(str(path))


def test_pycocotools_reads_it(table, masks, tmp_path, capsys):
    content = table.to_coco()
    read = read_by_pycocotools(content, tmp_path)
    flat = [m for image in masks for m in image]
    assert [image["file_name"] for image in read.dataset["images"]] == table.names.tolist()
    assert read.getImgIds() == table.image_ids.tolist()
    assert read.loadCats([2]) == [{"id": 2, "name": "class 2"}]
    image = table.image_ids[table.image_of_instance].tolist()
    for k, (id_, mask) in enumerate(zip(table.instance_ids.tolist(), flat, strict=True)):
        (annotation,) = read.loadAnns([id_])
        assert np.array_equal(read.annToMask(annotation), mask)
        rle = coco.encode(np.asfortranarray(mask))
        assert annotation["area"] == coco.area(rle)
        assert annotation["bbox"] == coco.toBbox(rle).tolist()
        assert annotation["image_id"] == image[k]
        assert annotation["iscrowd"] == k % 2


def test_it_holds_the_types_of_python_alone(table):
    content = table.to_coco()
    # Of equal contents, JSON has but one text: a tuple or a numpy number would differ.
    assert repr(json.loads(json.dumps(content))) == repr(content)


def test_every_column_comes_back(table):
    again = RunTable.from_coco(table.to_coco(stated=True))
    assert again.equals(table)
    assert RunTable.from_coco(table[:0].to_coco()).equals(table[:0])
    measured = replace(table, stated_area=table.area(), stated_bbox=table.bbox())
    assert RunTable.from_coco(table.to_coco()).equals(measured)


def test_half_stated_boxes_are_left_out(table):
    half = table.stated_bbox.copy()
    half[0, 2] = np.nan
    content = replace(table, stated_bbox=half).to_coco(stated=True)
    assert ["bbox" in annotation for annotation in content["annotations"][:3]] == [False] * 2 + [
        True
    ]


def test_a_set_comes_back(small_set, tmp_path):
    """Also from files, and with annotations that are not in the order of their images."""
    table = mtfast.open_source(small_set).table("train", "annotations_with_class_200")
    content = table.to_coco(stated=True)
    path = tmp_path / "train.json"
    path.write_text(json.dumps(content))
    packed = tmp_path / "packed.json.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    for given in (content, path, str(path), packed):
        assert RunTable.from_coco(given).equals(
            replace(table, positions=np.arange(table.n_instances))
        )
    mixed = {**content, "annotations": content["annotations"][::-1]}
    first = table.n_instances - table.image(0).n_instances
    assert RunTable.from_coco(mixed).positions[0] == first


def test_masks_of_every_kind(masks):
    """As pycocotools and numpy leave them: bytes, counts, polygons, numbers of numpy."""
    mask = masks[0][0] | True
    rle = coco.encode(np.asfortranarray(mask))
    polygon = [[2.0, 3.0, 9.0, 3.0, 9.0, 12.0]]
    content = {
        "images": [{"id": np.int64(1), "file_name": "a.jpg", "height": 17, "width": 23}],
        "annotations": [
            {"id": k, "image_id": 1, "category_id": 1, "segmentation": segmentation}
            for k, segmentation in enumerate(
                [rle, {"size": [17, 23], "counts": [0, 17 * 23]}, polygon, np.array(polygon)], 1
            )
        ],
        "categories": [{"id": 1, "name": "flake"}],
    }
    table = RunTable.from_coco(content)
    outline = coco.merge(coco.frPyObjects(polygon, 17, 23))
    texts = [rle["counts"]] * 2 + [outline["counts"]] * 2
    assert [table.text(k) for k in range(4)] == texts
    assert isinstance(rle["counts"], bytes)


def test_what_is_refused(table, tmp_path):
    results = [{"image_id": 1, "category_id": 1, "segmentation": {}, "score": 0.5}]
    content = table.to_coco()
    content["annotations"][3]["segmentation"]["counts"] = "1"
    background = replace(table, category_ids=[0, *[1] * 8]).to_coco()
    for given, error, message in (
        (results, SourceError, "list of 1 record; expected a dict .* results .* an id"),
        (7, SourceError, "of type int; expected a dict"),
        ({"shapes": [], "imagePath": "a.jpg"}, SourceError, "the dict is a labelme file"),
        ({**content, "images": {1, 2}}, SourceError, r"it holds \{1, 2\}"),
        (content, RLEError, "the dict: 1 bad record: .*annotation 25 .number 3.: runs that end"),
        (background, SourceError, "category id 0"),
        (tmp_path, SourceError, "expected"),
        (tmp_path / "no.json", SourceError, "no such file"),
    ):
        with pytest.raises(error, match=message) as raised:
            RunTable.from_coco(given)
        assert "\n" not in str(raised.value)
    assert RunTable.from_coco(content, bad="skip").n_instances == 8
    assert RunTable.from_coco(background, mapping={0: 3}).category_ids[0] == 3
    with pytest.raises(MtfastError, match="bad is 'ignore'"):
        RunTable.from_coco(content, bad="ignore")


def test_a_folder_of_several_files_is_refused(small_set):
    with pytest.raises(SourceError, match=r"open_source\(path\).table\(split, variant\)"):
        RunTable.from_coco(small_set)


def test_malformed_texts_are_refused(table):
    broken = replace(table, rle=np.full_like(table.rle, ord("!")))
    for stated in (False, True):
        with pytest.raises(RLEError):
            broken.to_coco(stated=stated)
