"""Folders of COCO files as tools write them, and how image files are found by their names."""

from __future__ import annotations

import gzip
import json
import pickle
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mtfast
from mtfast.errors import MtfastError, SourceError
from mtfast.sources.bad_records import Ledger
from mtfast.sources.coco.names import split_named
from mtfast.sources.coco.peek import COCO, peek
from mtfast.sources.files import Folder
from mtfast.sources.image_folder import spellings


def write(path: Path, *names: str, **more: object) -> Path:
    images = [{"id": i, "file_name": name, "height": 2, "width": 3} for i, name in enumerate(names)]
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = {"images": images, "annotations": [], "categories": []} | more
    path.write_text(json.dumps(whole))
    return path


def put(path: Path, size: tuple[int, int] = (3, 2)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size).save(path)


def everything(source: mtfast.sources.Source) -> dict[str, dict[str, list[str]]]:
    """Names of the images of every variant; each of them is found."""
    found: dict[str, dict[str, list[str]]] = {}
    for split in source.splits:
        for variant in source.variants(split):
            names = source.table(split, variant).names.tolist()
            found.setdefault(split, {})[variant] = names
            assert all(source.read_image(split, name) for name in names)
    return found


def test_coco_itself(tmp_path):
    for year in ("train2017", "val2017"):
        write(tmp_path / "annotations" / f"instances_{year}.json", f"{year}.jpg")
        (tmp_path / "annotations" / f"captions_{year}.json").write_text("{}")
        (tmp_path / "annotations" / f"person_keypoints_{year}.json").write_text("{}")
        put(tmp_path / year / f"{year}.jpg")
    source = mtfast.open_source(tmp_path)
    assert everything(source) == {
        year: {"annotations": [f"{year}.jpg"]} for year in ("train2017", "val2017")
    }
    assert (source.kind, source.path) == ("coco", tmp_path)
    assert len(pickle.dumps(source)) < 2_000


def test_roboflow(tmp_path):
    for split in ("train", "valid", "test"):
        write(tmp_path / split / "_annotations.coco.json", f"{split}.jpg")
        put(tmp_path / split / f"{split}.jpg")
    expected = {split: {"annotations": [f"{split}.jpg"]} for split in ("train", "test", "valid")}
    source = mtfast.open_source(tmp_path)
    assert everything(source) == expected
    assert source.splits == ("train", "test", "valid")
    # One of its folders, and the file in it.
    for path in ("valid", "valid/_annotations.coco.json"):
        assert everything(mtfast.open_source(tmp_path / path)) == {"valid": expected["valid"]}


@pytest.mark.parametrize("inside", ["", "coco"])
def test_the_maskterial_trainer(tmp_path, inside):
    for split in ("train", "val"):
        for variant in ("annotations", "annotations_with_class"):
            write(tmp_path / "coco" / f"{split}_{variant}.json", f"{split}.jpg")
        put(tmp_path / "coco" / "images" / f"{split}.jpg")
    source = mtfast.open_source(tmp_path / inside)
    assert everything(source) == {
        split: {"annotations": [f"{split}.jpg"], "annotations_with_class": [f"{split}.jpg"]}
        for split in ("train", "val")
    }
    # The folder is shared: neither split has files that are not used.
    assert mtfast.diagnose(source).findings[-1].check != "file without image"


def test_one_file_beside_its_images(tmp_path):
    """As Label Studio writes it."""
    write(tmp_path / "result.json", "images/a.jpg", "images\\b.jpg")
    put(tmp_path / "images" / "a.jpg")
    put(tmp_path / "images" / "b.jpg")
    source = mtfast.open_source(tmp_path)
    assert everything(source) == {"train": {"annotations": ["images/a.jpg", "images\\b.jpg"]}}
    (said,) = source.findings("train")
    assert said.places == ("images\\b.jpg",)


def test_files_that_are_named_after_splits(tmp_path):
    for name in ("lvis_v1_train", "lvis_v1_val"):
        write(tmp_path / f"{name}.json", f"{name}.jpg")
        put(tmp_path / "images" / f"{name}.jpg")
    assert list(everything(mtfast.open_source(tmp_path))) == ["train", "val"]


def test_files_whose_names_do_not_say_what_they_are(tmp_path):
    write(tmp_path / "a.json")
    write(tmp_path / "b.json")
    with pytest.raises(
        SourceError, match=r"holds 2 JSON files whose names do not say .* a.json, b"
    ):
        mtfast.open_source(tmp_path)
    (tmp_path / "a.json").write_text(LABELME)
    (tmp_path / "b.json").write_text(LABELME)
    assert mtfast.open_source(tmp_path).kind == "labelme"


LABELME = json.dumps(
    {
        "version": "5.4.1",
        "flags": {},
        # Longer than what is looked at.
        "shapes": [{"label": "flake, \\ {", "points": [[1.5, 2], [3, 4]] * 2_000}],
        "imagePath": "a.jpg",
        "imageData": None,
    }
)


def test_a_coco_file_among_those_of_labelme(tmp_path, caplog):
    """Many of these, and the COCO file is the last by name: labelme's are called as images."""
    for k in range(60):
        put(tmp_path / f"{k:02}.jpg")
        (tmp_path / f"{k:02}.json").write_text(LABELME)
    write(tmp_path / "coco.json", "01.jpg")
    with caplog.at_level("INFO", "mtfast"):
        source = mtfast.open_source(tmp_path)
    assert everything(source) == {"train": {"annotations": ["01.jpg"]}}
    assert "read coco.json, and not 60 JSON files of other formats (47 x a labelme file)" in (
        caplog.text
    )


def test_few_files_are_opened_to_find_the_coco_file(tmp_path, monkeypatch):
    for k in range(200):
        (tmp_path / f"{k:03}.json").write_text(LABELME)
    write(tmp_path / "coco.json", "01.jpg")
    opened = []
    inner = Folder.open
    monkeypatch.setattr(Folder, "open", lambda *a: opened.append(a) or inner(*a))
    assert mtfast.open_source(tmp_path).kind == "labelme"
    assert len(opened) < 70


def test_no_coco_file_is_lost_beyond_the_files_that_are_opened(tmp_path):
    """Their images are elsewhere, so that nothing says that the rest is labelme's."""
    for k in range(60):
        (tmp_path / f"m{k:02}.json").write_text(LABELME)
    write(tmp_path / "a_train.json", "1.jpg")
    write(tmp_path / "val.json", "2.jpg")
    with pytest.raises(SourceError, match=r"holds 62 JSON files whose names do not say"):
        mtfast.open_source(tmp_path)


def test_the_coco_files_of_two_splits_among_those_of_labelme(tmp_path):
    (tmp_path / "a.json").write_text(LABELME)
    for split in ("train", "val"):
        write(tmp_path / f"{split}.json", f"{split}.jpg")
        put(tmp_path / f"{split}.jpg")
    assert list(everything(mtfast.open_source(tmp_path))) == ["train", "val"]


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("{}", r"c.json \(1 x a labelme file, 1 x a COCO file, 1 x an unknown format\); expected"),
        (None, r"c.json \(2 x a COCO file, 1 x a labelme file\); expected one, or names such as"),
    ],
)
def test_what_is_counted_among_files_of_several_formats(tmp_path, more, words):
    (tmp_path / "a.json").write_text(LABELME)
    write(tmp_path / "b.json")
    write(tmp_path / "c.json")
    if more:
        (tmp_path / "c.json").write_text(more)
    with pytest.raises(SourceError, match=rf"holds 3 JSON files whose names .* a.json, .*{words}"):
        mtfast.open_source(tmp_path)


@pytest.mark.parametrize("packed", [False, True])
def test_the_first_bytes_of_a_file_tell_what_it_is(tmp_path, packed):
    path = tmp_path / ("a.json.gz" if packed else "a.json")
    whole = json.loads(
        write(tmp_path / "b.json", *(f"{k:04}.jpg" for k in range(1_000))).read_text()
    )
    studio = [{"id": 1, "data": {"image": "a"}, "annotations": [{"result": ["x" * 20_000]}]}]
    via = {f"{k}.jpg": {"filename": f"{k}.jpg", "size": 9, "regions": []} for k in range(1_000)}
    for content, expected in (
        (json.loads(LABELME), "a labelme file"),
        (studio, "a Label Studio export"),
        (via, "a VGG Image Annotator (VIA) project"),
        ({"annotations": [{"id": 1, "caption": "x" * 9}, {"note": "x" * 20_000}]}, COCO),
        (whole, COCO),
        ({"info": {}, "annotations": [], "categories": [], "images": []}, COCO),
        ({"info": {}, "note": "x" * 20_000}, None),
        ({"images": [1, 2], "categories": []}, "a COCO file of images without annotations"),
    ):
        text = json.dumps(content).encode()
        path.write_bytes(gzip.compress(text) if packed else text)
        assert peek(Folder(tmp_path), path.name) == expected
    path.write_bytes(b"\x1f\x8b is no gzip")
    assert peek(Folder(tmp_path), path.name) is None


@pytest.mark.parametrize(
    "place",
    ["labels", "json", "annotations", "Annotations", "labels/train", "train/labels", "images", ""],
)
def test_labelme_beside_a_folder_of_images(tmp_path, place):
    """All masks would be empty, were they taken for images alone."""
    put(tmp_path / "images" / "a.jpg")
    (tmp_path / place).mkdir(parents=True, exist_ok=True)
    (tmp_path / place / "a.json").write_text(LABELME)
    source = mtfast.open_source(tmp_path)
    (split,) = source.splits
    (name,) = source.examine(split, "annotations").table.names
    assert (source.kind, split) == ("labelme", "train")
    assert source.find_image("train", name) == str(tmp_path / "images" / "a.jpg")


@pytest.mark.parametrize("inner", ["", "labels/"])
def test_labelme_in_folders_of_splits(tmp_path, inner):
    for split in ("train", "val"):
        put(tmp_path / split / "a.jpg")
        (tmp_path / split / inner).mkdir(exist_ok=True)
        (tmp_path / split / inner / "a.json").write_text(LABELME)
    source = mtfast.open_source(tmp_path)
    assert source.splits == ("train", "val")
    for split in source.splits:
        assert source.examine(split, "annotations").table.names.tolist() == ["a.jpg"]
        assert source.find_image(split, "a.jpg") == str(tmp_path / split / "a.jpg")


def test_coco_where_it_is_not_looked_for(tmp_path):
    put(tmp_path / "images" / "a.jpg")
    write(tmp_path / "labels" / "any.json", "a.jpg")
    with pytest.raises(SourceError, match=r"COCO where none is looked for \(labels/any.json\)"):
        mtfast.open_source(tmp_path)


def test_other_json_beside_images_is_none_of_annotations(tmp_path):
    put(tmp_path / "images" / "a.jpg")
    (tmp_path / "images" / "camera.json").write_text('{"exposure": 1}')
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "a.json").write_text(LABELME)
    results = [{"image_id": 1, "category_id": 1, "score": 0.5}]
    (tmp_path / "json").mkdir()
    (tmp_path / "json" / "results.json").write_text(json.dumps(results))
    assert mtfast.open_source(tmp_path).kind == "images"


def test_several_files_as_splits(tmp_path):
    put(tmp_path / "one" / "images" / "a.jpg")
    put(tmp_path / "two" / "images" / "b.jpg")
    paths = {
        "val": write(tmp_path / "two" / "any.json", "b.jpg"),
        "train": write(tmp_path / "one" / "file.json", "a.jpg"),
    }
    source = mtfast.open_source(paths)
    assert everything(source) == {
        "train": {"annotations": ["a.jpg"]},
        "val": {"annotations": ["b.jpg"]},
    }
    assert source.variant_file("val", "annotations") == "two/any.json"
    assert source.splits == ("train", "val")
    put(tmp_path / "all" / "a.jpg")
    put(tmp_path / "all" / "b.jpg")
    moved = mtfast.open_source(paths, image_folder=tmp_path / "all")
    assert moved.find_image("val", "b.jpg") == str(tmp_path / "all" / "b.jpg")
    for given, words in (
        ({}, "no split; expected"),
        ({"../x": paths["val"]}, r"a split called '\.\./x'"),
        ({"..": paths["val"]}, "a split called"),
        ({"val": tmp_path}, "is a folder; expected a COCO .json file for each split"),
        ({"val": tmp_path / "none.json"}, "no such file or folder"),
    ):
        with pytest.raises(MtfastError, match=words):
            mtfast.open_source(given)


def test_packed_files(tmp_path):
    path = write(tmp_path / "instances_val2017.json", "a.jpg")
    packed = tmp_path / "instances_val2017.json.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    put(tmp_path / "val2017" / "a.jpg")
    for given in (packed, tmp_path):
        source = mtfast.open_source(given)
        assert everything(source) == {"val2017": {"annotations": ["a.jpg"]}}
        assert json.loads(source.records("val2017", "annotations").text)["categories"] == []
    packed.write_bytes(packed.read_bytes()[:-9])
    with pytest.raises(
        SourceError, match=r"json.gz cannot be unpacked \(.*\); expected a whole gz"
    ):
        source.table("val2017", "annotations")


@pytest.mark.parametrize("folder", ["", "images"])
def test_images_without_annotations(tmp_path, folder):
    put(tmp_path / folder / "a.png", (5, 4))
    put(tmp_path / folder / "b.jpg", (7, 6))
    source = mtfast.open_source(tmp_path)
    assert (source.kind, source.splits) == ("images", ("train",))
    table = source.table("train", "annotations")
    assert table.names.tolist() == ["a.png", "b.jpg"]
    assert table.heights.tolist() == [4, 6]
    assert table.widths.tolist() == [5, 7]
    assert (table.n_instances, table.categories) == (0, ())
    assert mtfast.diagnose(source).is_sound
    assert json.loads(source.records("train", "annotations").text)["annotations"] == []
    (tmp_path / folder / "c.jpg").write_text("no image")
    with pytest.raises(
        SourceError, match=r"1 bad record: 1 x unreadable image \(c.jpg is a text file"
    ):
        source.table("train", "annotations")
    skipping = mtfast.open_source(tmp_path, bad="skip")
    assert np.array_equal(skipping.table("train", "annotations").heights, [4, 6])


@pytest.mark.parametrize(
    ("file", "folder", "split"),
    [
        ("train.json", "", "train"),
        ("instances_val2017.json", "annotations", "val2017"),
        ("image_info_test-dev2017.json", "", "test-dev2017"),
        ("instances_minival2014.json", "", "minival2014"),
        ("_annotations.coco.json", "valid", "valid"),
        ("flakes_test.json", "train", "test"),
        ("testing.json", "", "testing"),
        ("contrast.json", "", "train"),
        ("strain_values.json", "test_run_3", "train"),
        ("coco.json", "", "train"),
    ],
)
def test_what_names_say(file, folder, split):
    assert split_named(file, folder) == split


@pytest.mark.parametrize(
    ("listed", "there"),
    [
        ("a.jpg", "a.jpg"),
        ("x\\a.jpg", "x/a.jpg"),
        (".\\a.jpg", "a.jpg"),
        ("..\\..\\media\\a.jpg", "a.jpg"),
        ("/home/me/set/x/a.jpg", "x/a.jpg"),
        ("C:\\sets\\a.jpg", "a.jpg"),
        ("https://host/data/x/a%20b.jpg?token=1", "x/a b.jpg"),
        ("s3://bucket/a.jpg", "a.jpg"),
        (unicodedata.normalize("NFC", "ä.jpg"), unicodedata.normalize("NFD", "ä.jpg")),
        (unicodedata.normalize("NFD", "ä.jpg"), unicodedata.normalize("NFC", "ä.jpg")),
        ("a.jpg", "A.JPG"),
        ("x\\A.jpg", "x/a.JPG"),
        ("/data/A.jpg", "a.JPG"),
    ],
)
def test_names_of_files(tmp_path, listed, there):
    put(tmp_path / "images" / there)
    source = mtfast.open_source(write(tmp_path / "coco.json", listed))
    assert source.find_image("train", listed) == str(tmp_path / "images" / there)
    assert source.read_image("train", listed)
    found = source.findings("train")
    if listed == there:
        assert found == ()
    else:
        (said,) = found
        assert (said.kind, said.done, said.places) == (
            "file of another spelling",
            "matched",
            (listed,),
        )


def test_the_nearest_spelling_wins(tmp_path):
    for name in ("x/a.jpg", "a.jpg", "A.jpg"):
        put(tmp_path / "images" / name)
    source = mtfast.open_source(write(tmp_path / "coco.json", "data\\x\\a.jpg", "A.jpg", "a.JPG"))
    assert source.find_image("train", "data\\x\\a.jpg") == str(tmp_path / "images" / "x" / "a.jpg")
    assert source.find_image("train", "A.jpg") == str(tmp_path / "images" / "A.jpg")
    # Two files would do.
    assert source.find_image("train", "a.JPG") is None
    with pytest.raises(SourceError, match="image 'a.JPG' is missing"):
        source.read_image("train", "a.JPG")


def test_the_end_of_a_path_is_looked_for_in_the_folder_of_images(tmp_path):
    put(tmp_path / "a.jpg")
    put(tmp_path / "images" / "a.jpg")
    source = mtfast.open_source(write(tmp_path / "coco.json", "data/a.jpg"))
    assert source.find_image("train", "data/a.jpg") == str(tmp_path / "images" / "a.jpg")


def test_unicode_form_goes_before_case(tmp_path):
    decomposed = unicodedata.normalize("NFD", "ä.jpg")
    put(tmp_path / "images" / decomposed)
    put(tmp_path / "images" / "Ä.jpg")
    source = mtfast.open_source(write(tmp_path / "coco.json", "ä.jpg"))
    assert source.find_image("train", "ä.jpg") == str(tmp_path / "images" / decomposed)


def test_no_spelling_leads_out_of_the_folder(tmp_path):
    put(tmp_path / "secret.jpg")
    (tmp_path / "set" / "images").mkdir(parents=True)
    source = mtfast.open_source(write(tmp_path / "set" / "coco.json", "../secret.jpg"))
    for name in (
        "../secret.jpg",
        "..\\secret.jpg",
        "images/../../secret.jpg",
        str(tmp_path / "secret.jpg"),
    ):
        assert source.find_image("train", name) is None
    assert spellings("") == [""]


def test_a_file_is_that_of_one_image(tmp_path):
    for name in ("a.jpg", "b.jpg"):
        put(tmp_path / "images" / name)
    names = ["x/a.jpg", "y/a.jpg", "b.jpg", "z/b.jpg", "c.jpg"]
    path = write(tmp_path / "coco.json", *names)
    source = mtfast.open_source(path)
    assert source.find_images("train", names) == {"b.jpg": str(tmp_path / "images" / "b.jpg")}
    (said,) = source.matched("train", ["z/b.jpg", "a.jpg"])
    assert (said.kind, said.places) == ("file of another spelling", ("z/b.jpg",))
    found = {f.check: f.count for f in mtfast.diagnose(path).findings}
    assert found["image without file"] == 4
    # One of them beside the JSON file, the other in the folder of images: the same file.
    assert source.find_images("train", ["a.jpg", "images/a.jpg"]) == {}


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ([{"version": 0, "tags": [], "shapes": [], "tracks": []}], "a backup of a CVAT task"),
        ({"info": {}, "categories": {}, "items": []}, "a Datumaro dataset"),
        ([{"type": "Feature", "geometry": {}, "properties": {}}], "GeoJSON"),
        ([], "an empty list"),
    ],
)
def test_other_json_is_called_by_its_name(tmp_path, content, name):
    (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.raises(SourceError, match=rf"^a\.json is {name}; expected a JSON file of COCO, "):
        mtfast.open_source(tmp_path / "a.json").table("train", "annotations")


def test_names_that_command_a_terminal_are_escaped():
    ledger = Ledger("a.json", "skip")
    ledger.keep("unreadable image", "x", "\x1b[31m\n.jpg is damaged")
    assert ledger.found()[0].examples == ("\\x1b[31m\\n.jpg is damaged",)
