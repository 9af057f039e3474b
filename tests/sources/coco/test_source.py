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
    with pytest.raises(SourceError, match=r"is a folder, and a folder of images was given"):
        mtfast.open_source(tmp_path, images=tmp_path / "other")


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
    for part in ("train_images/", "train/", "images/", "open_source(path, image_folder=…)"):
        assert part in str(e.value)


def test_a_file_that_goes_away(tmp_path):
    path = make(tmp_path / "train.json", "a.jpg")
    src = mtfast.open_source(path)
    path.unlink()
    with pytest.raises(SourceError, match=r"train.json is missing in .*; expected it where it was"):
        src.table("train", "annotations")
