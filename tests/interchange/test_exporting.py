"""Exports, read by others than mtfast: pycocotools, PIL, json; and by mtfast again."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pycocotools.mask as coco
import pytest
import yaml
from PIL import Image, ImageOps

import mtfast
from commands import invoke
from folders import names_in
from hard_set import SIZES, HardSet, make_hard_set
from mtfast import MtfastError
from mtfast.interchange import bridges, exporting, images, inputs, names
from mtfast.pictures.palette import class_colour
from mtfast.table import Category
from mtfast.work.folder import WorkFolder
from tables import make_table, random_masks

FORMATS = [
    ("coco", None),
    ("yolo", None),
    ("geojson", None),
    ("labelme", None),
    ("labelme", "polygon"),
]
FILES = ["run1/a.png", "run2/a.png", "stack[1].tif", "b.jpg"]
STEMS = [name.rpartition(".")[0] for name in FILES]


@pytest.fixture(scope="module")
def hard_set(tmp_path_factory) -> HardSet:
    return make_hard_set(tmp_path_factory.mktemp("hard"))


def painted(rings: list[list[float]], size: tuple[int, int]) -> np.ndarray:
    """The union of rings, by pycocotools."""
    return coco.decode(coco.merge(coco.frPyObjects(rings, *size)))


def expected(hard: HardSet, k: int, *, crowds: bool, empty: bool) -> list[dict]:
    image_id = hard.content["images"][k]["id"]
    return [
        a
        for a in hard.content["annotations"]
        if a["image_id"] == image_id
        and (crowds or not a["iscrowd"])
        and (empty or hard.pixels[a["id"]].any())
    ]


def class_name(hard: HardSet, annotation: dict) -> str:
    names_of = {c["id"]: c["name"] for c in hard.content["categories"]}
    return names_of[annotation["category_id"]]


def test_coco_keeps_ids_and_fields(hard_set, tmp_path):
    done = mtfast.export_annotations(hard_set.path, tmp_path / "out")
    assert (done.losses, done.n_instances, done.n_image_files) == ([], {"train": 18}, 4)
    found = json.loads((tmp_path / "out/annotations/instances_train.json").read_text())
    assert found.keys() == hard_set.content.keys()
    for key in ("info", "licenses", "categories"):
        assert found[key] == hard_set.content[key]
    assert found["images"] == [
        image | {"file_name": name}
        for image, name in zip(hard_set.content["images"], FILES, strict=True)
    ]
    for there, was in zip(found["annotations"], hard_set.content["annotations"], strict=True):
        assert type(there["iscrowd"]) is int
        assert type(there["segmentation"]["counts"]) is str
        assert there == was
    assert sorted(p for p in FILES if (tmp_path / "out/images/train" / p).is_file()) == sorted(
        FILES
    )


def test_coco_of_polygons_and_odd_records_is_plain(tmp_path):
    """Polygons and lists of counts become text, and iscrowd an integer that is there."""
    ring = [1.0, 1.0, 7.0, 1.0, 7.0, 5.0]
    counts = [3, 4, 41]
    content = {
        "images": [{"id": 1, "file_name": "a.jpg", "height": 6, "width": 8}],
        "annotations": [
            {"id": 9, "image_id": 1, "category_id": 2, "segmentation": [ring], "note": "é"},
            {"id": 4, "image_id": 1, "category_id": 2, "iscrowd": 1}
            | {"segmentation": {"size": [6, 8], "counts": counts}},
        ],
        "categories": [{"id": 2, "name": "flake", "colour": "red"}],
    }
    (tmp_path / "a.json").write_text(json.dumps(content))
    mtfast.export_annotations(tmp_path / "a.json", tmp_path / "out", images="none")
    (file,) = (tmp_path / "out").rglob("*.json")
    found = json.loads(file.read_text())
    assert found["categories"] == content["categories"]
    first, second = found["annotations"]
    rle = coco.merge(coco.frPyObjects([ring], 6, 8))
    assert first["segmentation"] == {"size": [6, 8], "counts": rle["counts"].decode()}
    assert first["note"] == "é"
    assert (first["id"], first["iscrowd"], first["area"]) == (9, 0, int(coco.area(rle)))
    assert first["bbox"] == coco.toBbox(rle).tolist()
    rle = coco.frPyObjects({"size": [6, 8], "counts": counts}, 6, 8)
    assert second["segmentation"]["counts"] == rle["counts"].decode()
    assert (second["id"], second["iscrowd"]) == (4, 1)


def test_yolo_labels_are_where_ultralytics_looks(tmp_path):
    """Label Studio's COCO export calls its files images/a.jpg."""
    (tmp_path / "set/images").mkdir(parents=True)
    Image.new("RGB", (8, 6)).save(tmp_path / "set/images/a.png")
    content = {
        "images": [{"id": 1, "file_name": "images/a.png", "height": 6, "width": 8}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [[1, 1, 7, 1, 7, 5]]}
        ],
        "categories": [{"id": 1, "name": "flake"}],
    }
    (tmp_path / "set/result.json").write_text(json.dumps(content))
    mtfast.export_annotations(tmp_path / "set", tmp_path / "out", format="yolo")
    (image,) = (tmp_path / "out/images").rglob("*.png")
    # As img2label_paths does.
    labels = "/labels/".join(str(image).rsplit("/images/", 1)).rsplit(".", 1)[0] + ".txt"
    assert len(Path(labels).read_text().splitlines()) == 1
    assert mtfast.open_source(tmp_path / "out")["train"].table().n_instances == 1


def test_yolo_keeps_holes_and_parts(hard_set, tmp_path):
    done = mtfast.export_annotations(hard_set.path, tmp_path / "out", format="yolo")
    lines = (tmp_path / "out/data.yaml").read_text().splitlines()
    assert lines[:3] == ["train: images/train", "val: images/train", "names:"]
    names_of = [json.loads(line.partition(": ")[2]) for line in lines[3:]]
    for k, (stem, size) in enumerate(zip(STEMS, SIZES.values(), strict=True)):
        lines = (tmp_path / f"out/labels/train/{stem}.txt").read_text().splitlines()
        wanted = expected(hard_set, k, crowds=False, empty=False)
        for line, annotation in zip(lines, wanted, strict=True):
            number, *fractions = line.split()
            assert names_of[int(number)] == class_name(hard_set, annotation)
            # As Ultralytics reads them.
            ring = np.array(fractions, np.float32).reshape(-1, 2) * size[::-1]
            pixels = painted([ring.ravel().tolist()], size)
            np.testing.assert_array_equal(pixels, hard_set.pixels[annotation["id"]])
    crowds = [a for a in hard_set.content["annotations"] if a["iscrowd"]]
    lost = {loss.instance_id: loss.n_pixels for loss in done.losses if loss.reason == "crowd"}
    assert lost == {a["id"]: a["area"] for a in crowds}
    assert done.n_lost_pixels == sum(lost.values())
    assert any("no split 'val'" in note for note in done.notes)


def small_set(folder: Path, *splits: str, names: tuple[str, ...] = ("a.jpg",), **image) -> Path:
    """Images of 8 x 6 with a square of class 2 each, as COCO in annotations/."""
    corners = [1, 1, 5, 1, 5, 5, 1, 5]
    for split in splits:
        records = [{"id": k, "file_name": n, "height": 6, "width": 8} for k, n in enumerate(names)]
        annotations = [
            {"id": k, "image_id": k, "category_id": 2, "segmentation": [corners]}
            for k in range(len(names))
        ]
        content = {"images": records, "annotations": annotations}
        content["categories"] = [{"id": 2, "name": "mono"}, {"id": 5, "name": "bi"}]
        (folder / "annotations").mkdir(parents=True, exist_ok=True)
        (folder / f"annotations/instances_{split}.json").write_text(json.dumps(content))
        for name in names:
            (folder / split / name).parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 6)).save(folder / split / name, **image)
    return folder


@pytest.mark.parametrize("name", ["images/a.jpg", "b/images/c/a.jpg"])
def test_ultralytics_finds_labels_of_names_with_images_in_them(tmp_path, name):
    """The last folder called images is labels, as ``img2label_paths`` has it."""
    mtfast.export_annotations(
        small_set(tmp_path / "set", "train", names=(name,)), tmp_path / "out", format="yolo"
    )
    (image,) = (tmp_path / "out").rglob("*.jpg")
    label = "/labels/".join(str(image).rsplit("/images/", 1)).rsplit(".", 1)[0] + ".txt"
    assert Path(label).read_text().startswith("0 ")
    assert mtfast.open_source(tmp_path / "out").table("train", "annotations").n_instances == 1


@pytest.mark.parametrize(
    ("splits", "expected"),
    [
        (("test", "train", "valid"), ["train", "valid"]),
        (("test2017", "train2017", "val2017"), ["train2017", "val2017"]),
        (("test", "train"), ["train", "test"]),
        (("test",), ["test", "test"]),
    ],
)
def test_data_yaml_names_the_splits_that_are_called_so(tmp_path, splits, expected):
    mtfast.export_annotations(
        small_set(tmp_path / "set", *splits), tmp_path / "out", format="yolo", images="none"
    )
    content = yaml.safe_load((tmp_path / "out/data.yaml").read_text())
    assert [content["train"], content["val"]] == [f"images/{split}" for split in expected]


@pytest.mark.parametrize("split", ["übung", "a b #c", "no", "x: y"])
def test_data_yaml_names_any_split(tmp_path, split):
    (path,) = (small_set(tmp_path / "set", "train") / "annotations").iterdir()
    source = mtfast.open_source({split: path})
    mtfast.export_annotations(source, tmp_path / "out", format="yolo", images="none")
    content = yaml.safe_load((tmp_path / "out/data.yaml").read_text("utf-8"))
    assert content[split] == content["train"] == f"images/{split}"


def test_geojson_has_holes_classes_and_colours(hard_set, tmp_path):
    done = mtfast.export_annotations(hard_set.path, tmp_path / "out", format="geojson")
    assert {loss.reason for loss in done.losses} == {"no pixel"}
    for k, (stem, size) in enumerate(zip(STEMS, SIZES.values(), strict=True)):
        found = json.loads((tmp_path / f"out/train/{stem}.geojson").read_text())
        assert found["type"] == "FeatureCollection"
        wanted = expected(hard_set, k, crowds=True, empty=False)
        for feature, annotation in zip(found["features"], wanted, strict=True):
            assert feature["type"] == "Feature"
            properties = feature["properties"]
            assert properties["objectType"] == "annotation"
            colour = list(class_colour(annotation["category_id"]))
            name = class_name(hard_set, annotation)
            assert properties["classification"] == {"name": name, "color": colour}
            assert properties["instance_id"] == annotation["id"]
            assert properties["measurements"] == {"score": 0.25}
            pixels = pixels_of(feature["geometry"], size)
            np.testing.assert_array_equal(pixels, hard_set.pixels[annotation["id"]])


def pixels_of(geometry: dict, size: tuple[int, int]) -> np.ndarray:
    parts = geometry["coordinates"]
    pixels = np.zeros(size, np.uint8)
    for outer, *holes in parts if geometry["type"] == "MultiPolygon" else [parts]:
        assert outer[0] == outer[-1]
        part = painted([np.ravel(outer).tolist()], size)
        for hole in holes:
            part -= painted([np.ravel(hole).tolist()], size)
        pixels += part
    return pixels


@pytest.mark.parametrize("shapes", [None, "mask", "polygon"])
def test_labelme_has_masks_or_polygons(hard_set, tmp_path, shapes):
    mtfast.export_annotations(hard_set.path, tmp_path / "out", format="labelme", shapes=shapes)
    for k, (stem, size) in enumerate(zip(STEMS, SIZES.values(), strict=True)):
        content = json.loads((tmp_path / f"out/train/{stem}.json").read_text())
        file = tmp_path / f"out/train/{stem}.json"
        assert (file.parent / content["imagePath"]).is_file()
        assert (content["imageHeight"], content["imageWidth"]) == size
        wanted = expected(hard_set, k, crowds=True, empty=False)
        grouped: dict[object, list[dict]] = {}
        for i, shape in enumerate(content["shapes"]):
            group = shape["group_id"]
            grouped.setdefault(("one", i) if group is None else group, []).append(shape)
        for parts, annotation in zip(grouped.values(), wanted, strict=True):
            assert {part["label"] for part in parts} == {class_name(hard_set, annotation)}
            assert bool(parts[0]["flags"]) == annotation["iscrowd"]
            pixels = (by_polygons if shapes == "polygon" else by_mask)(parts, size)
            np.testing.assert_array_equal(pixels, hard_set.pixels[annotation["id"]])


@pytest.mark.parametrize("shapes", ["mask", "polygon"])
def test_labelme_keeps_crowds(hard_set, tmp_path, shapes):
    mtfast.export_annotations(hard_set.path, tmp_path / "out", format="labelme", shapes=shapes)
    source = mtfast.open_source(tmp_path / "out")
    table, found, _ = source.read("train", "annotations")
    n_crowds = sum(
        a["iscrowd"] and hard_set.pixels[a["id"]].any() for a in hard_set.content["annotations"]
    )
    assert table.iscrowd.sum() == n_crowds > 0
    assert [(bad.kind, bad.n) for bad in found] == [("iscrowd", n_crowds)]


def by_mask(parts: list[dict], size: tuple[int, int]) -> np.ndarray:
    (part,) = parts
    assert part["shape_type"] == "mask"
    (x, y), (last_x, last_y) = part["points"]
    cut = np.asarray(Image.open(io.BytesIO(base64.b64decode(part["mask"]))))
    assert cut.shape == (last_y - y + 1, last_x - x + 1)
    pixels = np.zeros(size, np.uint8)
    pixels[y : last_y + 1, x : last_x + 1] = cut != 0
    return pixels


def by_polygons(parts: list[dict], size: tuple[int, int]) -> np.ndarray:
    assert {part["shape_type"] for part in parts} == {"polygon"}
    return painted([np.ravel(part["points"]).tolist() for part in parts], size)


@pytest.mark.parametrize(("form", "shapes"), FORMATS)
def test_a_store_gives_the_same_files_as_its_source(hard_set, tmp_path, form, shapes):
    source = mtfast.open_source(hard_set.path)
    mtfast.convert(source, tmp_path / "set.zarr")
    for given, out in [(source, "a"), (mtfast.open(tmp_path / "set.zarr"), "b")]:
        mtfast.export_annotations(given, tmp_path / out, format=form, shapes=shapes)
    files = {p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*") if p.is_file()}
    assert files == {
        p.relative_to(tmp_path / "b") for p in (tmp_path / "b").rglob("*") if p.is_file()
    }
    for file in files:
        first, second = ((tmp_path / out / file).read_bytes() for out in "ab")
        # A store does not keep the other fields of a COCO file.
        first = first.replace(b',"measurements":{"score":0.25}', b"")
        assert first == second or form == "coco"


def test_coco_reads_back_as_the_same_table(hard_set, tmp_path):
    mtfast.export_annotations(hard_set.path, tmp_path / "out")
    before = mtfast.open_source(hard_set.path)["train"].table()
    after = mtfast.open_source(tmp_path / "out")["train"]
    columns = ("heights", "widths", "image_ids", "instance_ids", "category_ids", "iscrowd", "rle")
    assert after.table().digest(columns) == before.digest(columns)
    assert after.image("stack[1].tif").shape == (40, 60, 3)


@pytest.mark.parametrize("how", ["link", "copy", "none"])
def test_images_are_linked_copied_or_left_out(hard_set, tmp_path, how):
    done = mtfast.export_annotations(hard_set.path, tmp_path / "out", images=how)
    assert done.n_image_files == (0 if how == "none" else 4)
    image = tmp_path / "out/images/train/run1/a.png"
    assert image.exists() == (how != "none")
    if how != "none":
        original = hard_set.path / "images/run1/a.png"
        assert image.samefile(original) == (how == "link")
        assert image.read_bytes() == original.read_bytes()


def test_classes_of_one_name_are_said_for_labelme(tmp_path):
    path = small_set(tmp_path / "set", "train")
    (file,) = (path / "annotations").iterdir()
    file.write_text(file.read_text().replace('"bi"', '"mono"'))
    done = mtfast.export_annotations(path, tmp_path / "out", format="labelme")
    assert "classes 2, 5 are all called 'mono', and one in these files" in done.notes


def test_a_file_is_put_for_one_image_alone(tmp_path):
    """Two names may lead to one file, which then has the masks of neither."""
    folder = small_set(tmp_path / "set", "train", names=("run1/a.jpg", "run2/a.jpg", "b.jpg"))
    for name in ("run1", "run2"):
        (folder / f"train/{name}/a.jpg").rename(folder / "train/a.jpg")
    done = mtfast.export_annotations(folder, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").rglob("*.jpg")] == ["b.jpg"]
    assert done.n_image_files == 1
    assert any("2 images of train without a file of its own" in note for note in done.notes)


def turned_set(folder: Path, ending: str = "jpg", orientation: int = 6) -> Path:
    """Image a has an EXIF orientation and masks on pixels as stored, image b none."""
    exif = Image.Exif()
    exif[0x112] = orientation
    path = small_set(folder, "train", names=(f"a.{ending}", f"b.{ending}"), exif=exif)
    Image.new("RGB", (8, 6)).save(path / f"train/b.{ending}")
    return path


def size_as_shown(file: Path) -> tuple[int, int]:
    with Image.open(file) as image:
        return ImageOps.exif_transpose(image).size


@pytest.mark.parametrize("form", ["yolo", "labelme", "coco", "geojson"])
@pytest.mark.parametrize("kind", ["source", "store", "zip"])
@pytest.mark.parametrize("ending", ["jpg", "png", "tif", "webp"])
def test_images_with_masks_on_pixels_as_stored_are_written_upright(tmp_path, form, kind, ending):
    path = turned_set(tmp_path / "set", ending)
    was = (path / f"train/a.{ending}").read_bytes()
    if kind == "store":
        path = mtfast.convert(path, tmp_path / "set.zarr")
    if kind == "zip":
        path = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path / "set"))
    done = mtfast.export_annotations(path, tmp_path / "out", format=form)
    (turned,) = (tmp_path / "out").rglob(f"a.{ending}")
    assert size_as_shown(turned) == (8, 6)
    with Image.open(turned) as image, Image.open(tmp_path / f"set/train/a.{ending}") as before:
        if ending != "tif":  # Which Pillow turns.
            assert np.array_equal(np.asarray(image), np.asarray(before))
    assert (tmp_path / f"set/train/a.{ending}").read_bytes() == was, "a link would change it"
    assert [note for note in done.notes if "EXIF" in note] == [
        f"1 image of train with an EXIF orientation and masks on pixels as stored, such as "
        f"a.{ending}: written without it, so that all programs show masks where they lie"
    ]


def test_other_images_are_still_links(tmp_path):
    path = turned_set(tmp_path / "set")
    mtfast.export_annotations(path, tmp_path / "out")
    assert (tmp_path / "out/images/train/b.jpg").samefile(path / "train/b.jpg")
    assert not (tmp_path / "out/images/train/a.jpg").samefile(path / "train/a.jpg")


def test_without_images_those_that_are_turned_are_said(tmp_path):
    done = mtfast.export_annotations(turned_set(tmp_path / "set"), tmp_path / "out", images="none")
    assert [note for note in done.notes if "EXIF" in note] == [
        "1 image of train with an EXIF orientation and masks on pixels as stored, such as a.jpg: "
        "programs that turn images show masks apart from them"
    ]


@pytest.mark.parametrize("images", ["link", "none"])
def test_images_of_one_size_both_ways_stay_until_it_is_said(tmp_path, images):
    path = turned_set(tmp_path / "set", orientation=3)
    done = mtfast.export_annotations(path, tmp_path / "out", images=images)
    assert [note for note in done.notes if "EXIF" in note] == [
        "1 image of train with an EXIF orientation and one size both ways, such as a.jpg: left as "
        "they are; pass orientation='stored' or orientation='shown'"
    ]
    for name in ("a.jpg", "b.jpg") if images == "link" else ():
        assert (tmp_path / f"out/images/train/{name}").samefile(path / "train" / name)


@pytest.mark.parametrize(("orientation", "is_same"), [("stored", False), ("shown", True)])
def test_images_of_one_size_both_ways_are_as_a_user_says(tmp_path, orientation, is_same):
    path = turned_set(tmp_path / "set", orientation=3)
    said = invoke("export", str(path), str(tmp_path / "out"), "--orientation", orientation)
    assert said[0] == 0
    file = tmp_path / "out/images/train/a.jpg"
    assert file.samefile(path / "train/a.jpg") is is_same
    with Image.open(file) as image:
        assert image.getexif()[0x112] == (3 if is_same else 1)
    assert "one size both ways" not in said[1]


@pytest.mark.parametrize("is_store", [False, True])
def test_masks_on_images_as_shown_need_no_word(tmp_path, is_store):
    exif = Image.Exif()
    exif[0x112] = 3
    (tmp_path / "set/images").mkdir(parents=True)
    (tmp_path / "set/labels").mkdir()
    Image.new("RGB", (8, 6)).save(tmp_path / "set/images/a.jpg", exif=exif)
    (tmp_path / "set/labels/a.txt").write_text("0 0.1 0.1 0.9 0.1 0.9 0.9")
    path = tmp_path / "set"
    if is_store:
        mtfast.convert(path, tmp_path / "set.zarr")
        path = tmp_path / "set.zarr"
    done = mtfast.export_annotations(path, tmp_path / "out", format="labelme")
    assert done.n_image_files == 1
    assert not any("EXIF" in note for note in done.notes)


def test_missing_images_are_said(hard_set, tmp_path):
    shutil.copytree(hard_set.path, tmp_path / "set")
    (tmp_path / "set/images/b.jpg").unlink()
    done = mtfast.export_annotations(tmp_path / "set", tmp_path / "out", format="labelme")
    assert "1 image of train without a file of its own in the dataset, such as b.jpg" in done.notes
    assert done.n_image_files == 3


def coco_file(path: Path, file_names: list[str], categories: list[dict]) -> None:
    content = {
        "images": [
            {"id": k, "file_name": name, "height": 4, "width": 5}
            for k, name in enumerate(file_names)
        ],
        "annotations": [
            {"id": k, "image_id": k, "category_id": categories[0]["id"], "iscrowd": 0}
            | {"segmentation": {"size": [4, 5], "counts": "461"}}
            for k in range(len(file_names))
        ],
        "categories": categories,
    }
    for annotation in content["annotations"]:
        annotation["segmentation"]["counts"] = coco.encode(np.ones((4, 5), np.uint8, "F"))[
            "counts"
        ].decode()
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("file_names", "form"),
    [
        (["a.jpg", "a.png"], "yolo"),
        (["a.jpg", "a.png"], "labelme"),
        (["../a.jpg", "a.jpg"], "coco"),
        (["stack.tif[1]", "stack[1].tif"], "coco"),
    ],
)
def test_no_file_takes_the_place_of_another(tmp_path, file_names, form):
    coco_file(tmp_path / "train.json", file_names, [{"id": 1, "name": "flake"}])
    with pytest.raises(MtfastError, match=r"images .* would both have the file .*; expected one"):
        mtfast.export_annotations(tmp_path / "train.json", tmp_path / "out", format=form)
    assert names_in(tmp_path) == ["train.json"]


def test_endings_alone_differ_where_images_have_no_file(tmp_path):
    coco_file(tmp_path / "train.json", ["a.jpg", "a.png"], [{"id": 1, "name": "flake"}])
    done = mtfast.export_annotations(tmp_path / "train.json", tmp_path / "out")
    assert done.n_instances == {"train": 2}


def test_a_disk_that_is_blind_to_case_is_noticed(tmp_path):
    """The last look is at the disk itself."""
    images.create(tmp_path / "a.txt", b"")
    with pytest.raises(MtfastError, match=r"two images would both have the file a\.txt"):
        images.create(tmp_path / "a.txt", b"")


def test_splits_may_not_disagree_about_a_class(tmp_path):
    coco_file(tmp_path / "train.json", ["a.jpg"], [{"id": 1, "name": "thin"}])
    coco_file(tmp_path / "val.json", ["b.jpg"], [{"id": 1, "name": "thick"}])
    with pytest.raises(
        MtfastError, match="class 1 is 'thin' in split 'train' and 'thick' in 'val'"
    ):
        mtfast.export_annotations(tmp_path, tmp_path / "out", format="yolo")
    done = mtfast.export_annotations(tmp_path, tmp_path / "out", format="yolo", splits=["val"])
    assert done.n_images == {"val": 1}
    yaml = (tmp_path / "out/data.yaml").read_text()
    assert yaml == 'train: images/val\nval: images/val\nnames:\n  0: "thick"\n'


def test_classes_that_are_not_listed_have_names(rng):
    table = make_table([random_masks(rng, (5, 5), 4)], (5, 5), 2)
    columns = {field.name: getattr(table, field.name) for field in dataclasses.fields(table)}
    table = mtfast.RunTable(**columns | {"categories": [Category(1, "thin")]})
    split = inputs.SplitInput("train", "annotations", None, table, ["a.jpg"])
    assert inputs.all_categories([split]) == ((1, "thin"), (2, "class 2"))


def test_what_is_there_is_left_alone(hard_set, tmp_path):
    (tmp_path / "mine.txt").touch()
    with pytest.raises(MtfastError, match="is not empty; expected an empty folder"):
        mtfast.export_annotations(hard_set.path, tmp_path)
    assert names_in(tmp_path) == ["mine.txt"]


def test_a_run_that_fails_leaves_no_folder(hard_set, tmp_path, monkeypatch):
    """Nothing half-made stays; the next run makes the whole."""
    whole = exporting.Yolo.whole_files
    monkeypatch.setattr(exporting.Yolo, "whole_files", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        mtfast.export_annotations(hard_set.path, tmp_path / "out", format="yolo")
    assert names_in(tmp_path) == []
    monkeypatch.setattr(exporting.Yolo, "whole_files", whole)
    mtfast.export_annotations(hard_set.path, tmp_path / "out", format="yolo")
    assert names_in(tmp_path) == ["out"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "voc"}, "format is 'voc'; expected one of"),
        ({"images": "keep"}, "images is 'keep'; expected one of"),
        ({"shapes": "mask"}, "shapes for coco; expected labelme"),
        ({"format": "labelme", "shapes": "box"}, "shapes is 'box'; expected one of"),
        ({"splits": ["tset"]}, "no split 'tset'"),
        ({"variant": "none"}, "no variant of train 'none'"),
    ],
)
def test_options_that_are_none_are_refused(hard_set, tmp_path, options, message):
    with pytest.raises(MtfastError, match=message):
        mtfast.export_annotations(hard_set.path, tmp_path / "out", **options)
    assert names_in(tmp_path) == []


def test_the_command_says_what_is_lost(hard_set, tmp_path):
    status, out, err = invoke(
        "export", str(hard_set.path), str(tmp_path / "out"), "--format", "yolo"
    )
    assert status == 0, err
    assert "12 instances on 4 images of train (annotations); 4 image files" in out
    assert "note: 3 instances, 1,584 pixels: left out, as the format has no crowds" in out
    status, out, _ = invoke("export", str(hard_set.path), str(tmp_path / "coco"))
    assert "note: every mask is kept pixel for pixel" in out


def test_a_ring_that_is_not_exact_is_counted(hard_set, tmp_path, monkeypatch):
    """The loss is measured, not assumed."""
    monkeypatch.setattr("mtfast.interchange.yolo.bridged", lambda outer, holes: outer)
    done = mtfast.export_annotations(hard_set.path, tmp_path / "out", format="yolo")
    lost = [loss for loss in done.losses if loss.reason == "outline"]
    assert lost
    assert all(loss.n_pixels > 0 for loss in lost)
    assert any("read back with other pixels; the first is 9" in line for line in done.loss_lines())


def test_one_ring_has_the_pixels_of_all(rng):
    """Also where holes are bridged to holes, and parts to parts."""
    for _ in range(200):
        size = tuple(rng.integers(1, 22, 2).tolist())
        pixels = (rng.random(size) < rng.random()).astype(np.uint8)
        parts = mtfast.mask.polygons(coco.encode(np.asfortranarray(pixels)))
        if parts:
            ring = bridges.joined([bridges.bridged(*part) for part in parts])
            np.testing.assert_array_equal(painted([ring.ravel().tolist()], size), pixels)


def test_names_never_lead_out_of_the_folder():
    for name in ("../../a.jpg", "/etc/a.jpg", "C:\\x\\a.jpg", "..\\a.jpg", "s3://b/a.jpg"):
        assert names.exported_name(name) in ("a.jpg", "s3:/b/a.jpg", "b/a.jpg")
    for name in ("", "..", "/"):
        with pytest.raises(MtfastError, match="names no file"):
            names.exported_name(name)


def test_bad_records_are_left_out_of_coco_and_classes_get_their_numbers(tmp_path):
    coco_file(tmp_path / "train.json", ["a.jpg", "b.jpg"], [{"id": 5, "name": "x", "note": 1}])
    content = json.loads((tmp_path / "train.json").read_text())
    content["annotations"].insert(0, content["annotations"][0] | {"id": 9, "image_id": 77})
    content["annotations"][2]["score"] = 0.5
    (tmp_path / "train.json").write_text(json.dumps(content))
    source = mtfast.open_source(tmp_path / "train.json", bad="skip", mapping={5: 2})
    mtfast.export_annotations(source, tmp_path / "out", images="none")
    found = json.loads((tmp_path / "out/annotations/instances_train.json").read_text())
    assert [(a["id"], a["category_id"]) for a in found["annotations"]] == [(0, 2), (1, 2)]
    assert [a.get("score") for a in found["annotations"]] == [None, 0.5]
    assert found["categories"] == [{"id": 2, "name": "x", "note": 1}]


def test_a_set_of_label_pngs_becomes_coco(tmp_path):
    for folder in ("images", "instance_masks"):
        (tmp_path / "set" / folder).mkdir(parents=True)
    labels = np.zeros((6, 8), np.uint8)
    labels[1:3, 2:5] = 4
    labels[4:, 6:] = 9
    Image.fromarray(labels).save(tmp_path / "set/instance_masks/a.png")
    Image.fromarray(labels).save(tmp_path / "set/images/a.png")
    mtfast.export_annotations(tmp_path / "set", tmp_path / "out")
    (file,) = (tmp_path / "out/annotations").iterdir()
    first, second = json.loads(file.read_text())["annotations"]
    for annotation, value in ((first, 4), (second, 9)):
        rle = annotation["segmentation"]
        np.testing.assert_array_equal(coco.decode(rle), labels == value)


@pytest.mark.parametrize(("form", "shapes"), FORMATS)
def test_a_set_without_images_is_exported(tmp_path, form, shapes):
    coco_file(tmp_path / "a.json", [], [{"id": 5, "name": "x"}])
    done = mtfast.export_annotations(
        tmp_path / "a.json", tmp_path / "out", format=form, shapes=shapes
    )
    assert (done.n_images, done.losses) == ({"train": 0}, [])
    assert (tmp_path / "out").is_dir()


def predictions(folder: Path, names: dict[int, str]) -> Path:
    """COCO with scores, of the last class alone."""
    content = {
        "images": [{"id": 1, "file_name": "a.png", "height": 6, "width": 8}],
        "annotations": [
            {"id": k, "image_id": 1, "category_id": max(names), "score": k / 4}
            | {"segmentation": [[k, 1, 7, 1, 7, 5]]}
            for k in (1, 2)
        ],
        "categories": [{"id": id_, "name": name} for id_, name in names.items()],
    }
    (folder / "a.json").write_text(json.dumps(content))
    return folder / "a.json"


@pytest.mark.parametrize(("format_", "shapes"), FORMATS)
def test_scores_that_a_format_has_no_place_for_are_said(tmp_path, format_, shapes):
    path = predictions(tmp_path, {1: "flake"})
    options = {"format": format_, "shapes": shapes, "images": "none"}
    done = mtfast.export_annotations(path, tmp_path / "out", **options)
    lost = "scores of 2 predictions are not kept, as the format has none"
    written = any(b"score" in p.read_bytes() for p in (tmp_path / "out").rglob("*.*json"))
    assert (lost in done.notes) is not written
    assert written is (format_ in ("coco", "geojson"))


def test_labelme_keeps_the_order_of_classes(tmp_path):
    names = {1: "thick", 2: "dirt", 3: "bulk"}
    done = mtfast.export_annotations(
        predictions(tmp_path, names), tmp_path / "out", format="labelme", images="none"
    )
    assert (tmp_path / "out/labels.txt").read_text().splitlines() == list(names.values())
    table = mtfast.open_source(tmp_path / "out")["train"].table()
    assert {c.id: c.name for c in table.categories} == names
    assert set(table.category_ids.tolist()) == {3}
    assert not any("numbers classes" in note for note in done.notes)


@pytest.mark.parametrize(
    ("names", "moved"),
    [
        ({2: "1L", 5: "2L"}, "2 is 1, 5 is 2"),
        ({1: "1L", 2: "2L", 3: "1L", 4: "z"}, "3 is 1, 4 is 3"),
    ],
)
def test_labelme_says_which_classes_it_renumbers(tmp_path, names, moved):
    done = mtfast.export_annotations(
        predictions(tmp_path, names), tmp_path / "out", format="labelme", images="none"
    )
    assert f"labelme numbers classes from 1: {moved}" in done.notes
    table = mtfast.open_source(tmp_path / "out")["train"].table()
    assert table.category_ids[0] == int(moved[-1])


def test_labelme_has_no_list_of_names_that_are_no_lines(tmp_path):
    path = predictions(tmp_path, {1: "1\nL"})
    mtfast.export_annotations(path, tmp_path / "out", format="labelme", images="none")
    assert not (tmp_path / "out/labels.txt").exists()
    assert mtfast.open_source(tmp_path / "out")["train"].table().n_instances == 2


# --- a place that is taken


def content(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*.*")}


def test_an_export_is_replaced_when_it_is_to_be(tmp_path):
    path = small_set(tmp_path / "set", "train", "val")
    out = tmp_path / "out"
    mtfast.export_annotations(path, out, format="labelme")
    first = content(out)
    with pytest.raises(MtfastError, match=r"out exists and is an export; .* overwrite=True$"):
        mtfast.export_annotations(path, out, splits=["val"])
    assert content(out) == first
    mtfast.export_annotations(path, out, splits=["val"], overwrite=True)
    expected = mtfast.export_annotations(path, tmp_path / "expected", splits=["val"])
    assert content(out) == content(expected.path)
    assert names_in(tmp_path) == ["expected", "out", "set"]
    assert (path / "train/a.jpg").is_file(), "images were links to it"
    status, _, said = invoke("export", str(path), str(out), "--format", "yolo", "--overwrite")
    assert status == 0, said
    assert (out / "data.yaml").is_file()
    assert not (out / "annotations").exists()


@pytest.mark.parametrize("overwrite", [False, True])
def test_what_is_no_export_is_never_replaced(tmp_path, overwrite):
    path, out = small_set(tmp_path / "set", "train"), tmp_path / "out"
    out.mkdir()
    (out / "thesis.tex").write_text("years")
    with pytest.raises(MtfastError, match="out is not empty; expected an empty folder"):
        mtfast.export_annotations(path, out, overwrite=overwrite)
    assert names_in(out) == ["thesis.tex"]


def test_what_is_beside_an_export_is_never_removed(tmp_path):
    path, out = small_set(tmp_path / "set", "train"), tmp_path / "out"
    mtfast.export_annotations(path, out)
    (out / "thesis.tex").write_text("years")
    first = content(out)
    with pytest.raises(MtfastError, match=r"has thesis\.tex beside an export; "):
        mtfast.export_annotations(path, out, overwrite=True)
    assert content(out) == first


def test_an_export_that_somebody_has_worked_on_is_never_removed(tmp_path):
    """Shapes corrected in labelme, say, or a file more in one of its folders."""
    path, out = small_set(tmp_path / "set", "train"), tmp_path / "out"
    mtfast.export_annotations(path, out, format="labelme")
    (file,) = (out / "train").glob("*.json")
    before = file.stat()
    file.write_text(file.read_text().replace("}", "} "))
    # A clock may be coarse.
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns + 10**9))
    first = content(out)
    changed = r"out has train/a\.json, which was changed after the export; expected .*; move the"
    with pytest.raises(MtfastError, match=changed):
        mtfast.export_annotations(path, out, format="yolo", overwrite=True)
    assert content(out) == first
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    (out / "train/notes.txt").write_text("mine")
    os.utime(out / "train/notes.txt", ns=(0, 0))
    with pytest.raises(MtfastError, match=r"out has 4 files and not the 3 of the export; "):
        mtfast.export_annotations(path, out, format="yolo", overwrite=True)
    (out / "train/notes.txt").unlink()
    file.unlink()
    mtfast.export_annotations(path, out, format="yolo", overwrite=True)
    assert (out / "data.yaml").is_file()


@pytest.mark.parametrize("name", [".git", ".notes", "thesis.tex"])
def test_what_comes_beside_an_export_is_never_removed_either(tmp_path, monkeypatch, name):
    path, out = small_set(tmp_path / "set", "train"), tmp_path / "out"
    mtfast.export_annotations(path, out)
    first = content(out)
    (out / name).mkdir()
    with pytest.raises(MtfastError, match=rf"out has {re.escape(name)} beside an export; "):
        mtfast.export_annotations(path, out, overwrite=True)
    (out / name).rmdir()
    put_image = exporting.put_image

    def put_and_add(*arguments: Any) -> bool:
        (out / name).mkdir(exist_ok=True)
        return put_image(*arguments)

    monkeypatch.setattr(exporting, "put_image", put_and_add)
    with pytest.raises(MtfastError, match=rf"out has {re.escape(name)} beside an export; "):
        mtfast.export_annotations(path, out, overwrite=True)
    (out / name).rmdir()
    assert content(out) == first


def test_files_of_systems_beside_an_export_are_nothing(tmp_path):
    path, out = small_set(tmp_path / "set", "train"), tmp_path / "out"
    mtfast.export_annotations(path, out)
    (out / ".DS_Store").write_bytes(b"")
    mtfast.export_annotations(path, out, format="yolo", overwrite=True)
    assert (out / "data.yaml").is_file()


@pytest.mark.parametrize("given", ["out", "out/annotations/instances_train.json", "set"])
def test_an_export_that_is_read_is_never_replaced(tmp_path, given):
    """Such as one that is to be exported in another format, to its own place."""
    path, out = small_set(tmp_path / "set", "train"), tmp_path / "out"
    mtfast.export_annotations(path, out)
    first = content(out)
    link = tmp_path / "link"
    link.symlink_to(out)
    shutil.rmtree(path / "train")
    (path / "train").symlink_to(out / "images/train")
    for place in (out, link):
        with pytest.raises(MtfastError, match=r"out holds what is read here, .*; choose one$"):
            mtfast.export_annotations(tmp_path / given, place, format="yolo", overwrite=True)
    assert content(out) == first


def test_a_store_inside_of_an_export_is_never_removed(tmp_path):
    path, out = small_set(tmp_path / "set", "train"), tmp_path / "out"
    mtfast.export_annotations(path, out)
    store = out / "annotations/set.zarr"
    mtfast.convert(path, store)
    with pytest.raises(MtfastError, match=r"out has annotations/set\.zarr/.*changed after"):
        mtfast.export_annotations(store, out, overwrite=True)
    assert mtfast.open(store)["train"].n_images == 1


def test_an_export_stays_until_the_new_one_is_on_the_disk(tmp_path, monkeypatch):
    path, out = small_set(tmp_path / "set", "train"), tmp_path / "out"
    mtfast.export_annotations(path, out)
    there = []
    sync = WorkFolder.sync

    def watched(work: WorkFolder) -> None:
        there.append((out / "annotations").exists())
        sync(work)

    monkeypatch.setattr(WorkFolder, "sync", watched)
    mtfast.export_annotations(path, out, format="yolo", overwrite=True)
    assert there[0], "to write everything to the disk takes minutes"


def make_nothing_beside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put work folders inside of their targets, as where nothing can be made beside these."""
    for module in ("folder", "folder_state"):
        monkeypatch.setattr(f"mtfast.work.{module}.place_of", lambda target: target)


@pytest.mark.parametrize("is_inside", [False, True])
def test_an_export_stays_where_the_new_one_cannot_be_made(tmp_path, monkeypatch, is_inside):
    path, out = small_set(tmp_path / "set", "train"), tmp_path / "out"
    mtfast.export_annotations(path, out)
    first = content(out)
    if is_inside:
        make_nothing_beside(monkeypatch)

    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mtfast.work.folder.WorkFolder.put", fail)
    with pytest.raises(MtfastError, match="No space left"):
        mtfast.export_annotations(path, out, format="yolo", overwrite=True)
    assert content(out) == first


def test_an_export_is_replaced_where_nothing_can_be_made_beside_it(tmp_path, monkeypatch):
    path, out = small_set(tmp_path / "set", "train"), tmp_path / "out"
    mtfast.export_annotations(path, out)
    make_nothing_beside(monkeypatch)
    mtfast.export_annotations(path, out, format="yolo", overwrite=True)
    monkeypatch.undo()
    expected = mtfast.export_annotations(path, tmp_path / "expected", format="yolo")
    assert content(out) == content(expected.path)
    assert names_in(out) == names_in(expected.path)


@pytest.mark.parametrize("is_mount", [False, True])
def test_an_export_is_replaced_in_a_folder_that_has_to_stay(tmp_path, monkeypatch, is_mount):
    """As a volume of a container has to, or a folder below another user's."""
    path, out = small_set(tmp_path / "set", "train"), tmp_path / "out"
    mtfast.export_annotations(path, out)
    before = out.stat().st_ino
    if is_mount:
        monkeypatch.setattr(Path, "is_mount", lambda place: place == out)
    else:
        access = os.access
        monkeypatch.setattr(os, "access", lambda at, how: at != tmp_path and access(at, how))
    mtfast.export_annotations(path, out, format="yolo", overwrite=True)
    monkeypatch.undo()
    expected = mtfast.export_annotations(path, tmp_path / "expected", format="yolo")
    assert content(out) == content(expected.path)
    assert names_in(out) == names_in(expected.path)
    assert out.stat().st_ino == before
