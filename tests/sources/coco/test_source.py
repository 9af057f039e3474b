"""COCO files: where their images are looked for."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

import mtfast
from mtfast.errors import SourceError
from mtfast.sources import SetNames, Source


def make(path: Path, *names: str) -> Path:
    images = [{"id": i, "file_name": name, "height": 2, "width": 3} for i, name in enumerate(names)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"images": images, "annotations": [], "categories": []}))
    return path


def put(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(str(path.parent.name).encode())


def test_one_split_and_one_variant(tmp_path):
    src = mtfast.open_source(make(tmp_path / "flakes.json", "b.jpg", "a.jpg"))
    assert isinstance(src, Source)
    assert (src.kind, src.name, src.path) == ("coco", "flakes", tmp_path / "flakes.json")
    assert src.splits == ("train",)
    assert src.variants("train") == ("annotations",)
    assert src.variant_file("train", "annotations") == "flakes.json"
    assert src.table("train", "annotations").names.tolist() == ["b.jpg", "a.jpg"]
    assert src.set_names("train") == SetNames((), {})
    assert src.mask_names("train") is None
    assert len(pickle.dumps(src)) < 1_000
    for call in (src.variants, src.image_names, src.set_names, src.mask_names):
        with pytest.raises(SourceError, match=r"no split 'test' in flakes; expected one of: train"):
            call("test")
    with pytest.raises(SourceError, match=r"no variant of train 'x' in flakes; expected one of"):
        src.table("train", "x")
    with pytest.raises(SourceError, match=r"semantic mask 'a.png' of flakes;"):
        src.read_mask("train", "a.png")


@pytest.mark.parametrize(
    ("file", "folder"),
    [
        ("train.json", "train_images"),
        ("train.json", "train"),
        ("train.json", "images"),
        ("train.json", "images/train"),
        ("train.json", "."),
        ("instances_train2017.json", "train2017"),
        ("annotations/instances_train2017.json", "train2017"),
        ("annotations/instances_train2017.json", "images/train2017"),
        ("RLE_annotations/train_annotations_300.json", "train_images"),
    ],
)
def test_folders_of_images_that_are_found(tmp_path, file, folder):
    put(tmp_path / folder / "b.jpg")
    put(tmp_path / folder / "a.JPEG")
    put(tmp_path / folder / "._b.jpg")
    src = mtfast.open_source(make(tmp_path / file, "b.jpg"))
    (split,) = src.splits
    assert split == ("train2017" if "2017" in file else "train")
    assert src.image_names(split) == ("a.JPEG", "b.jpg")
    assert src.read_image(split, "b.jpg")


def test_a_folder_with_images_is_preferred_and_a_named_one_wins(tmp_path):
    (tmp_path / "train").mkdir()
    put(tmp_path / "images" / "a.jpg")
    put(tmp_path / "other" / "a.jpg")
    path = make(tmp_path / "train.json", "a.jpg")
    assert mtfast.open_source(path).read_image("train", "a.jpg") == b"images"
    named = mtfast.open_source(path, image_folder=str(tmp_path / "other"))
    assert named.read_image("train", "a.jpg") == b"other"
    with pytest.raises(SourceError, match=r"no folder .*nowhere; expected the folder of the im"):
        mtfast.open_source(path, image_folder=tmp_path / "nowhere")


def test_a_folder_of_images_goes_with_a_folder_of_one_coco_file(tmp_path):
    put(tmp_path / "set" / "images" / "a.jpg")
    put(tmp_path / "other" / "a.jpg")
    path = make(tmp_path / "set" / "dataset.json", "a.jpg")
    named = mtfast.open_source(path.parent, tmp_path / "other")
    assert (named.path, named.splits) == (path.parent, ("train",))
    assert named.read_image("train", "a.jpg") == b"other"
    with pytest.raises(SourceError, match=r"no folder .*nowhere; expected the folder of the im"):
        mtfast.open_source(path.parent, tmp_path / "nowhere")
    path.rename(path.with_name("train.json"))
    make(path.with_name("val.json"), "a.jpg")
    with pytest.raises(SourceError, match=r"is a folder, and .*, or a folder that holds one alone"):
        mtfast.open_source(path.parent, images=tmp_path / "other")


def test_a_folder_of_images_does_not_go_with_other_layouts(tmp_path):
    put(tmp_path / "other" / "a.jpg")
    (tmp_path / "set" / "annotations").mkdir(parents=True)
    make(tmp_path / "set" / "annotations" / "train_annotations.json", "a.jpg")
    for folder in ("set", "other"):
        with pytest.raises(SourceError, match=rf"{folder} is a folder, and a folder of images was"):
            mtfast.open_source(tmp_path / folder, tmp_path / "other")


def test_it_is_said_where_images_are_looked_for(tmp_path):
    path = make(tmp_path / "set" / "dataset.json", "a.jpg")
    words = mtfast.open_source(path).looked_for("train")
    assert words == f"{path.parent} or its dataset_images/, dataset/, train/, images/"
    (tmp_path / "other").mkdir()
    words = mtfast.open_source(path, tmp_path / "other").looked_for("train")
    assert words == f"{tmp_path / 'other'}, names with folders in {path.parent} too"
    put(path.with_name("b.jpg"))
    assert mtfast.open_source(path).looked_for("train") == str(path.parent)


@pytest.mark.parametrize("layout", ["beside", "further down", "named"])
def test_a_split_has_the_images_that_are_found(tmp_path, layout):
    """Whatever else is in the folder where they are looked for."""
    folder = tmp_path / "set"
    name = "JPEGImages/a.jpg" if layout == "beside" else "a.jpg"
    put(folder / {"further down": "images", "named": "x"}.get(layout, "") / name)
    images = folder / "x" if layout == "named" else None
    train = mtfast.open_source(make(folder / "dataset.json", name), images)["train"]
    assert train.has_images
    train = mtfast.open_source(make(folder / "dataset.json", "gone.jpg"), images)["train"]
    assert not train.has_images


def test_names_with_folders(tmp_path):
    put(tmp_path / "images" / "x" / "a.jpg")
    put(tmp_path / "images" / "b.jpg")
    put(tmp_path / "more" / "c.jpg")
    # Beside the JSON file, and another one without its folder in the folder of images.
    put(tmp_path / "more" / "b.jpg")
    names = (
        "x/a.jpg",
        "train/b.jpg",
        "more/c.jpg",
        "more/b.jpg",
        "C:\\data\\b.jpg",
        "/data/b.jpg",
        "../b.jpg",
    )
    src = mtfast.open_source(make(tmp_path / "coco.json", *names))
    assert src.table("train", "annotations").names.tolist() == list(names)
    contents = [src.read_image("train", name) for name in names]
    assert contents == [b"x", b"images", b"more", b"more", b"images", b"images", b"images"]
    with pytest.raises(SourceError, match=r"image 'x/z.jpg' is missing in images/; expected"):
        src.read_image("train", "x/z.jpg")


def test_images_only_further_down(tmp_path):
    put(tmp_path / "images" / "x" / "a.jpg")
    src = mtfast.open_source(make(tmp_path / "coco.json", "x/a.jpg"))
    assert src.image_names("train") == ()
    assert src.read_image("train", "x/a.jpg") == b"x"


def test_no_folder_of_images(tmp_path):
    src = mtfast.open_source(make(tmp_path / "train.json", "a.jpg"))
    assert src.image_names("train") is None
    with pytest.raises(
        SourceError, match=r"image 'a.jpg' of train.json is missing: no folder"
    ) as e:
        src.read_image("train", "a.jpg")
    for part in ("train_images/", "train/", "images/", "image_folder=…"):
        assert part in str(e.value)


def test_a_file_that_goes_away(tmp_path):
    path = make(tmp_path / "train.json", "a.jpg")
    src = mtfast.open_source(path)
    path.unlink()
    with pytest.raises(SourceError, match=r"train.json is missing in .*; expected it where it was"):
        src.table("train", "annotations")
