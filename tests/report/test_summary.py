"""The numbers of a dataset, against the JSON files and pycocotools."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

import mtfast
from commands import call
from mtfast.dataset import count_categories, open_dataset
from mtfast.report.summary import summarise
from tables import make_table


def test_a_set_is_counted(small_set):
    summary = summarise(small_set)
    assert (summary.path, summary.kind) == (str(small_set), "maskterial")
    train = summary.splits[0]
    assert (train.name, train.n_images, train.height, train.width) == ("train", 20, 240, 320)
    assert (train.n_sizes, train.heights, train.widths) == (1, (240, 240), (320, 320))
    assert train.semantic_variant == "annotations_with_class_200"
    assert train.has_images
    assert len(train.n_shot_variants) == 100
    assert all("_shot/" in name for name in train.n_shot_variants)
    for variant in train.variants:
        path = small_set / "RLE_annotations" / f"train_{variant.name}.json"
        data = json.loads(path.read_bytes())
        areas = [int(coco_mask.area(a["segmentation"])) for a in data["annotations"]]
        shown = {a["image_id"] for a in data["annotations"]}
        assert variant.n_images == len(data["images"])
        assert variant.n_instances == len(areas)
        assert variant.n_empty_images == len(data["images"]) - len(shown)
        assert (variant.area_min, variant.area_max) == (min(areas), max(areas))
        assert variant.area_median == statistics.median(areas)
        for found, listed in zip(variant.categories, data["categories"], strict=True):
            n = sum(a["category_id"] == listed["id"] for a in data["annotations"])
            assert (found.id, found.name, found.n_instances) == (listed["id"], listed["name"], n)


def test_an_opened_dataset_is_as_good_as_its_path(small_set, tmp_path):
    path = mtfast.convert(small_set, tmp_path / "set.zarr", images="none")
    for given, opened in (
        (small_set, mtfast.open_source(small_set)),
        (path, mtfast.open(path)),
    ):
        assert summarise(opened) == summarise(given)
        view = open_dataset(opened)
        assert view.name == given.name
        assert view.split().name == "train"
        assert view.split("test").name == "test"
        with pytest.raises(mtfast.SourceError, match="no split 'tset' in .*; did you mean 'test'"):
            view.split("tset")


def test_a_variant_that_masks_are_painted_from_is_counted(small_set, tmp_path):
    few = "5_shot/run_0/annotations_with_class_300"
    path = mtfast.convert(
        small_set, tmp_path / "s.zarr", splits=["train"], variant=few, images="none"
    )
    (train,) = summarise(path).splits
    assert few in [variant.name for variant in train.variants]
    assert few not in train.n_shot_variants
    assert len(train.n_shot_variants) == 99
    assert not train.has_images


def test_files_that_list_other_images_and_sizes(damaged):
    folder = damaged / "RLE_annotations"
    (path,) = folder.glob("test_annotations_with_class_full.json")
    content = json.loads(path.read_text())
    gone = content["images"].pop()
    content["annotations"] = [a for a in content["annotations"] if a["image_id"] != gone["id"]]
    content["images"].append({"id": 999, "file_name": "new.jpg", "height": 9, "width": 8})
    path.write_text(json.dumps(content))
    (_, test) = summarise(damaged).splits
    assert test.n_images == 5
    assert (test.height, test.width) == (None, None)
    assert (test.n_sizes, test.heights, test.widths) == (2, (9, 96), (8, 128))


def test_images_without_instances_are_empty(damaged):
    (path,) = (damaged / "RLE_annotations").glob("test_annotations_with_class_full.json")
    content = json.loads(path.read_text())
    first, second, *_ = content["images"]
    one = next(a for a in content["annotations"] if a["image_id"] == second["id"])
    others = [a for a in content["annotations"] if a["image_id"] not in (first["id"], second["id"])]
    path.write_text(json.dumps(content | {"annotations": [one, *others]}))
    (_, test) = summarise(damaged).splits
    (full,) = [v for v in test.variants if v.name == "annotations_with_class_full"]
    assert full.n_empty_images == 1


def test_a_file_without_instances(tmp_path):
    content = {
        "images": [{"id": 1, "file_name": "a.jpg", "height": 4, "width": 5}],
        "annotations": [],
        "categories": [{"id": 3, "name": "x"}],
    }
    (tmp_path / "a.json").write_text(json.dumps(content))
    ((split,), kind) = summarise(tmp_path / "a.json").splits, summarise(tmp_path / "a.json").kind
    (variant,) = split.variants
    assert kind == "coco"
    assert (variant.area_min, variant.area_median, variant.area_max) == (None, None, None)
    assert variant.n_empty_images == 1


def test_categories_that_are_listed_or_used():
    table = make_table([[np.ones((3, 4), np.uint8)] * 5], (3, 4), n_categories=2)
    unlisted = mtfast.RunTable.unchecked(
        **{name: getattr(table, name) for name in table.__dataclass_fields__}
        | {"categories": (mtfast.Category(9, "nine"), mtfast.Category(1, "one"))}
    )
    assert [(c.id, c.name, c.n_instances) for c in count_categories(unlisted)] == [
        (1, "one", 3),
        (2, "(not listed)", 2),
        (9, "nine", 0),
    ]


def write_bad(folder: Path, name: str = "train.json") -> Path:
    """A file with four instances, of which one can be repaired and two cannot."""
    ring, short = [[0, 0, 4, 0, 4, 3, 0, 3]], {"size": [4, 6], "counts": [0, 5]}
    found = ([*ring], ring[0], short, "none")
    content = {
        "images": [{"id": 1, "file_name": "a.jpg", "height": 4, "width": 6}],
        "annotations": [
            {"id": k, "image_id": 1, "category_id": 1, "segmentation": segmentation}
            for k, segmentation in enumerate(found, 1)
        ],
        "categories": [{"id": 1, "name": "flake"}],
    }
    (folder / name).write_text(json.dumps(content))
    return folder / name


def test_bad_records_are_counted_and_the_rest_is_shown(tmp_path):
    path = write_bad(tmp_path)
    (split,) = summarise(path).splits
    assert split.variants[0].n_instances == 2
    assert split.variants[0].area_max == 12
    assert [(bad.kind, bad.n, bad.done) for bad in split.bad_records] == [
        ("flat polygon", 1, "repaired"),
        ("RLE that does not fill its frame", 1, "skipped"),
        ("malformed segmentation", 1, "skipped"),
    ]
    doctor = {f.check: f.count for f in mtfast.diagnose(path).findings}
    assert all(doctor[bad.kind] == bad.n for bad in split.bad_records)
    done = call("info", path)
    assert done.returncode == 0, done.stderr
    said = "train.json: 1 x flat polygon (annotation 2 (number 1)): repaired here"
    assert said in done.stdout.splitlines()


def test_a_store_says_what_was_bad_when_it_was_made(tmp_path):
    path = write_bad(tmp_path)
    store = mtfast.convert(path, tmp_path / "s.zarr", bad="skip", images="none")
    (split,) = summarise(store).splits
    assert [(bad.kind, bad.file, bad.n, bad.done) for bad in split.bad_records] == [
        ("flat polygon", "train.json", 1, "skipped"),
        ("RLE that does not fill its frame", "train.json", 1, "skipped"),
        ("malformed segmentation", "train.json", 1, "skipped"),
    ]


def test_what_can_be_read_is_shown_beside_what_cannot(damaged):
    (path,) = (damaged / "RLE_annotations").glob("test_annotations_with_class_200.json")
    path.write_bytes(path.read_bytes()[:100])
    (_, test) = summarise(damaged).splits
    assert list(test.unreadable) == ["annotations_with_class_200"]
    assert len(test.variants) == 3
    done = call("info", damaged)
    assert done.returncode == 2
    assert "annotations_with_class_300" in done.stdout
    (line,) = [line for line in done.stderr.splitlines() if "error" in line]
    assert "test_annotations_with_class_200.json is cut off" in line
    assert call("info", path).returncode == 2


def test_commands_that_are_told_what_becomes_of_bad_records(tmp_path):
    path = write_bad(tmp_path)
    for line in (
        ("preview", path, tmp_path / "a.png"),
        ("masks", path, tmp_path / "masks", "--format", "png"),
        ("info", path, "--areas", tmp_path / "a.csv"),
    ):
        for bad, status in (("refuse", 2), ("repair", 2), ("skip", 0)):
            done = call(*line, "--bad", bad)
            assert done.returncode == status, done.stderr
            assert ("3 bad records" in done.stderr) == (bad == "refuse")
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 2


def test_class_0_gets_another_number_in_masks(tmp_path):
    path = write_bad(tmp_path)
    content = json.loads(path.read_text())
    content["categories"] = [{"id": 0, "name": "mono"}]
    content["annotations"] = [content["annotations"][0] | {"category_id": 0}]
    path.write_text(json.dumps(content))
    done = call("masks", path, tmp_path / "masks", "--format", "png")
    assert done.returncode == 2
    assert "--map 0=" in done.stderr
    done = call("masks", path, tmp_path / "masks", "--format", "png", "--map", "0=5")
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "masks" / "train_semantic_masks" / "a.png") as mask:
        assert np.bincount(np.asarray(mask).ravel()).tolist() == [12, 0, 0, 0, 0, 12]
