"""COCO results: a list without images and classes."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import pytest
from pycocotools.coco import COCO

import mtfast
from mtfast import RunTable
from mtfast.cli.entry import cli
from mtfast.errors import SourceError
from other_tools import box, expect_same_after_derive, kinds_of, put, put_image, rle_of, table_of

TRUTH = {
    "images": [
        {"id": 3, "file_name": "a.jpg", "height": 40, "width": 60, "set": "x"},
        {"id": 8, "file_name": "b.jpg", "height": 40, "width": 60},
    ],
    "annotations": [
        {"id": 1, "image_id": 3, "category_id": 2, "segmentation": rle_of(box(0, 0, 5, 5))}
    ],
    "categories": [{"id": 2, "name": "flake", "supercategory": "y"}],
}
RESULTS: list[dict[str, Any]] = [
    {"image_id": 8, "category_id": 2, "segmentation": rle_of(box(5, 10, 10, 20)), "score": 0.75},
    {
        "image_id": 3,
        "category_id": 2,
        "segmentation": rle_of(box(1, 1, 3, 3)),
        "score": 0.5,
        "bbox": [1.0, 1.0, 3.0, 3.0],
    },
    {"image_id": 8, "category_id": 2, "segmentation": [[1, 1, 9, 1, 9, 9]], "score": 0.25},
]


def make(folder: Path, results: Any = RESULTS, truth: str = "val.json") -> Path:
    put(folder / truth, json.dumps(TRUTH))
    for name in ("a.jpg", "b.jpg"):
        put_image(folder / "images" / name)
    return put(folder / "results.json", json.dumps(results))


def test_results_are_those_that_pycocotools_loads(tmp_path):
    # It takes no polygons.
    path = make(tmp_path, RESULTS[:2])
    with contextlib.redirect_stdout(io.StringIO()):
        loaded = COCO(tmp_path / "val.json").loadRes(str(path))
    source = mtfast.open_source(path)
    assert (source.kind, source.splits, source.path) == ("coco_results", ("val",), path)
    table = source.table("val", "annotations")
    by_id = {int(id_): k for k, id_ in enumerate(table.instance_ids)}
    assert by_id.keys() == loaded.anns.keys() == {1, 2}
    for id_, k in by_id.items():
        found = loaded.anns[id_]
        assert table.text(k) == loaded.annToRLE(found)["counts"].encode()
        assert table.category_ids[k] == found["category_id"]
        assert table.image_ids[table.image_of_instance[k]] == found["image_id"]
    assert table.names.tolist() == ["a.jpg", "b.jpg"]
    assert table.categories == ((2, "flake"),)
    assert source.read_image("val", "a.jpg")


def test_scores_are_written_again(tmp_path):
    source = mtfast.open_source(make(tmp_path / "set"))
    scores = [
        r["score"] for r in json.loads(source.records("val", "annotations").text)["annotations"]
    ]
    assert scores == [0.75, 0.5, 0.25]
    derived = expect_same_after_derive(source, tmp_path / "derived")
    written = json.loads(derived.records("val", "annotations_with_class_full").text)
    assert [(r["id"], r["score"]) for r in written["annotations"]] == [
        (1, 0.75),
        (2, 0.5),
        (3, 0.25),
    ]
    assert written["images"][0]["set"] == "x"
    assert written["categories"] == TRUTH["categories"]


@pytest.mark.parametrize("truth", ["val.json", "annotations/instances_val2017.json"])
def test_the_ground_truth_beside_it(tmp_path, truth):
    assert table_of(make(tmp_path, truth=truth)).n_instances == 3
    assert RunTable.from_coco(tmp_path / "results.json").n_instances == 3


def test_a_ground_truth_that_is_named(tmp_path):
    path = make(tmp_path / "runs")
    truth = tmp_path / "data/annotations/instances_val2017.json"
    truth.parent.mkdir(parents=True)
    (tmp_path / "runs/val.json").rename(truth)
    (tmp_path / "runs/images").rename(tmp_path / "data/val2017")
    with pytest.raises(
        SourceError, match=r"^results.json is a list of COCO results, with no COCO file b"
    ):
        mtfast.open_source(path)
    source = mtfast.open_source(path, ground_truth=truth)
    assert source.splits == ("val2017",)
    assert source.read_image("val2017", "a.jpg")
    store = mtfast.convert(path, tmp_path / "a.zarr", ground_truth=truth)
    assert mtfast.open(store)["val2017"].table().n_instances == 3
    for command in (
        ["info", path],
        ["preview", path, tmp_path / "a.png"],
        ["derive", path, tmp_path / "out", "--min-area", "10"],
        ["convert", path, tmp_path / "b.zarr"],
        ["masks", path, tmp_path / "masks"],
        ["export", path, tmp_path / "export"],
    ):
        arguments = [*map(str, command), "--ground-truth", str(truth)]
        assert not cli.main(arguments, standalone_mode=False)


def test_several_that_may_be_the_ground_truth(tmp_path):
    path = make(tmp_path)
    put(tmp_path / "train.json", json.dumps(TRUTH))
    with pytest.raises(SourceError, match=r"several COCO files beside it \(train.json, val.json\)"):
        mtfast.open_source(path)
    assert table_of(path, ground_truth=tmp_path / "val.json").n_instances == 3
    with pytest.raises(SourceError, match=r"^images is a folder; .* make one .* mtfast export SRC"):
        mtfast.open_source(path, ground_truth=tmp_path / "images")
    with pytest.raises(SourceError, match="no such file or folder: "):
        mtfast.open_source(path, ground_truth=tmp_path / "none.json")


BAD: dict[str, dict[str, Any]] = {
    "annotation without image": {"image_id": 4},
    "no segmentation": {"segmentation": None, "bbox": [1, 1, 3, 3]},
    "category not listed": {"category_id": 9},
    "RLE of another size": {"segmentation": {"size": [60, 40], "counts": "1"}},
    "malformed segmentation": {"segmentation": "x"},
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_records(tmp_path, kind):
    path = make(tmp_path, [*RESULTS, RESULTS[0] | BAD[kind]])
    with pytest.raises(SourceError, match=f"1 bad record: 1 x {kind} "):
        table_of(path)
    assert kinds_of(path, bad="skip")[kind][:2] == ("skipped", 1)
    assert table_of(path, bad="skip").n_instances == 3


@pytest.mark.parametrize("record", [3, None, [], {}, "x"])
def test_records_that_are_none(tmp_path, record):
    path = make(tmp_path, [*RESULTS, record])
    assert sum(n for _, n, _ in kinds_of(path, bad="skip").values()) == 1
    assert table_of(path, bad="skip").n_instances == 3


def test_results_without_scores_and_of_a_long_first_mask(tmp_path):
    """The first bytes hold no score."""
    ring = [float(k % 50) for k in range(20_000)]
    results = [{"image_id": 3, "category_id": 2, "segmentation": [ring], "score": 1}]
    assert table_of(make(tmp_path, results)).n_instances == 1


@pytest.mark.parametrize(
    "text", ['[{"image_id": 3, "score": NaN}]', '[{"image_id": 3, "score": 0.5}, {"']
)
def test_files_that_are_none(tmp_path, text):
    path = make(tmp_path)
    put(path, text)
    with pytest.raises(SourceError, match=r"^results.json is no list of COCO results \(.*; expec"):
        table_of(path)


def test_a_ground_truth_without_images(tmp_path):
    path = make(tmp_path)
    put(tmp_path / "val.json", '{"annotations": [], "categories": []}')
    with pytest.raises(SourceError, match="val.json: no images in the file"):
        table_of(path, ground_truth=tmp_path / "val.json")
