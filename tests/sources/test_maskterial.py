"""MaskTerial folders: what is found, what is read, and what is said about missing parts."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO

import mtfast
from mtfast.errors import RLEError, SourceError
from mtfast.sources import SetNames, Source

TRAIN = (
    "annotations_300",
    "annotations_with_class_200",
    "annotations_with_class_300_max_10",
    "annotations_with_class_full",
    "2_shot/run_0/annotations_with_class_300",
    "2_shot/run_3/annotations_300",
    "2_shot/run_3/annotations_with_class_300",
    "2_shot/run_10/annotations_300",
    "10_shot/run_0/annotations_300",
)
TEST = ("annotations_300", "annotations_with_class_300")
DOCUMENT = {
    "images": [{"id": 1, "file_name": "a.jpg", "height": 2, "width": 3}],
    "annotations": [
        {
            "id": 1,
            "image_id": 1,
            "category_id": 4,
            "segmentation": {"size": [2, 3], "counts": "132"},
        }
    ],
    "categories": [{"id": 4, "name": "4L"}],
}


def write(path: Path, content: bytes | dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())


def make(root: Path, annotations: str = "RLE_annotations") -> Path:
    for split, variants in (("train", TRAIN), ("test", TEST)):
        for variant in variants:
            folder, _, name = variant.rpartition("/")
            write(root / annotations / folder / f"{split}_{name}.json", DOCUMENT)
        for name in ("b.jpg", "a.jpg", "._a.jpg", ".DS_Store", "notes.txt"):
            write(root / f"{split}_images" / name, f"{split} {name}".encode())
        for name in ("a.png", "._a.png"):
            write(root / f"{split}_semantic_masks" / name, b"mask")
    write(root / annotations / "._train_annotations_300.json", b"\0\5\x16\7")
    write(root / annotations / "README.txt", b"")
    return root


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make(tmp_path / "Graphene")


def test_everything_is_found_in_natural_order(folder):
    src = mtfast.open_source(folder)
    assert isinstance(src, Source)
    assert (src.kind, src.name, src.path) == ("maskterial", "Graphene", folder)
    assert src.splits == ("train", "test")
    assert src.variants("train") == TRAIN
    assert src.variants("test") == TEST
    assert src.variant_file("test", TEST[0]) == "RLE_annotations/test_annotations_300.json"
    shot = src.variant_file("train", "2_shot/run_3/annotations_300")
    assert shot == "RLE_annotations/2_shot/run_3/train_annotations_300.json"
    for split in src.splits:
        for variant in src.variants(split):
            assert (folder / src.variant_file(split, variant)).is_file()
            table = src.table(split, variant)
            assert table.text(0) == b"132"
            assert table.categories == ((4, "4L"),)


def test_splits_with_other_names_come_last(folder):
    write(folder / "RLE_annotations" / "val_annotations_300.json", DOCUMENT)
    write(folder / "RLE_annotations" / "extra_annotations_300.json", DOCUMENT)
    assert mtfast.open_source(folder).splits == ("train", "test", "extra", "val")


def test_older_name_of_the_folder_and_a_nested_set(tmp_path):
    make(tmp_path / "unzipped" / "Graphene", annotations="annotations")
    write(tmp_path / "unzipped" / "__MACOSX" / "x", b"")
    src = mtfast.open_source(str(tmp_path / "unzipped"))
    assert (src.name, src.path) == ("Graphene", tmp_path / "unzipped" / "Graphene")
    assert src.variant_file("test", TEST[0]) == "annotations/test_annotations_300.json"
    assert src.table("test", TEST[0]).n_instances == 1


def test_several_nested_sets_are_not_one(tmp_path):
    make(tmp_path / "CrI3")
    make(tmp_path / "hBN")
    with pytest.raises(SourceError, match="holds several datasets: CrI3, hBN; expected one; give"):
        mtfast.open_source(tmp_path)


def test_images_and_masks(folder):
    src = mtfast.open_source(folder)
    assert src.image_names("train") == ("a.jpg", "b.jpg")
    assert src.read_image("test", "b.jpg") == b"test b.jpg"
    assert src.read_image("train", "some/where\\a.jpg") == b"train a.jpg"
    assert src.mask_names("train") == ("a.png",)
    assert src.read_mask("train", "a.png") == b"mask"


def test_missing_images(folder):
    src = mtfast.open_source(folder)
    with pytest.raises(SourceError, match=r"^image 'x.jpg' is missing in train_images/; expected"):
        src.read_image("train", "x.jpg")
    # Nothing outside the folder can be read, and no name is a crash.
    for name in ("../test_images/../../x", "/etc/hostname", "a\0.jpg", "", "a.jpg/b", "x" * 999):
        with pytest.raises(SourceError):
            src.read_image("train", name)
    shutil.rmtree(folder / "train_images")
    assert src.image_names("train") is None
    with pytest.raises(SourceError, match=r"missing, as is its folder train_images/ in Graphene;"):
        src.read_image("train", "a.jpg")


def test_missing_parts_are_no_error_until_asked_for(tmp_path):
    write(tmp_path / "RLE_annotations" / "test_annotations_300.json", DOCUMENT)
    src = mtfast.open_source(tmp_path)
    assert src.splits == ("test",)
    assert src.image_names("test") is None
    assert src.mask_names("test") is None
    assert src.set_names("test") == SetNames((), {})
    with pytest.raises(SourceError, match=r"no split 'tset' .* one of: test; did you mean 'test'"):
        src.image_names("tset")
    with pytest.raises(
        SourceError, match=r"no variant of test 'annotations_200' in .*: annotations_300; did"
    ):
        src.table("test", "annotations_200")
    with pytest.raises(SourceError, match=r"mask 'a.png' is missing"):
        src.read_mask("test", "a.png")
    (tmp_path / "RLE_annotations" / "test_annotations_300.json").unlink()
    with pytest.raises(SourceError, match=r"test_annotations_300.json is missing in .*; put it"):
        src.table("test", "annotations_300")


def test_a_long_list_of_variants_is_cut(folder):
    for run in range(40):
        path = folder / "RLE_annotations/1_shot" / f"run_{run}" / "train_annotations_300.json"
        write(path, DOCUMENT)
    with pytest.raises(SourceError, match=r" and 41 more; pick one of them$"):
        mtfast.open_source(folder).variant_file("train", "zzz")


@pytest.mark.parametrize("name", ["RLE_annotations", "annotations"])
def test_no_annotation_file(tmp_path, name):
    (tmp_path / name).mkdir()
    with pytest.raises(
        SourceError, match=rf"^{name}/ of {tmp_path} holds no annotation file; expected"
    ):
        mtfast.open_source(tmp_path)
    write(tmp_path / name / "instances.json", DOCUMENT)
    if name == "annotations":
        # As COCO has it.
        assert mtfast.open_source(tmp_path).kind == "coco"
        return
    with pytest.raises(SourceError, match=r"of a MaskTerial set but instances.json; .* own path$"):
        mtfast.open_source(tmp_path)


def test_a_coco_set_further_down_is_named(tmp_path):
    write(tmp_path / "set" / "annotations" / "instances.json", DOCUMENT)
    with pytest.raises(SourceError, match=rf"give the path of a COCO set, {tmp_path / 'set'}$"):
        mtfast.open_source(tmp_path)
    assert mtfast.open_source(tmp_path / "set").kind == "coco"


def test_bad_files_are_named(folder):
    src = mtfast.open_source(folder)
    path = folder / "RLE_annotations" / "train_annotations_300.json"
    text = json.dumps(DOCUMENT)
    path.write_text(text[:-20])
    with pytest.raises(SourceError, match=r"^RLE_annotations/train_annotations_300.json is cut"):
        src.table("train", "annotations_300")
    path.write_text(text.replace('"132"', '"133"'))
    with pytest.raises(
        RLEError,
        match=r"^RLE_annotations/train_annotations_300.json: 1 bad record: .*\(annotation 1 ",
    ):
        src.table("train", "annotations_300")


def test_both_shapes_of_set_names(folder):
    src = mtfast.open_source(folder)
    assert src.set_names("train") == SetNames((), {})
    write(
        folder / "meta_data" / "train_set_name_to_uuid.json",
        {"Set_A": ["a.png", "b.png"], "Set_B": ["c.jpg"]},
    )
    write(folder / "meta_data" / "test_set_name_to_uuid.json", {"test sets": ["Set_X", "Set_Y"]})
    members = {"a": "Set_A", "b": "Set_A", "c": "Set_B"}
    assert src.set_names("train") == SetNames(("Set_A", "Set_B"), members)
    assert src.set_names("test") == SetNames(("Set_X", "Set_Y"), {})
    # Neither case nor a set that is listed twice matters.
    write(folder / "meta_data" / "test_set_name_to_uuid.json", {"Test Sets": ["X"], "sets": ["X"]})
    assert src.set_names("test") == SetNames(("X",), {})
    assert src.set_lists("test") == {"Test Sets": ["X"], "sets": ["X"]}


@pytest.mark.parametrize("content", [b'{"Set_A": 5}', b"[]", b'{"Set', b"\xff", b"[" * 100_000])
def test_bad_set_names(folder, content):
    write(folder / "meta_data" / "train_set_name_to_uuid.json", content)
    with pytest.raises(SourceError, match=r"^meta_data/train_set_name_to_uuid.json: .*; expected"):
        mtfast.open_source(folder).set_names("train")


def test_sources_pickle_small(folder):
    src = mtfast.open_source(folder)
    src.table("train", "annotations_300")
    src.image_names("train")
    data = pickle.dumps(src)
    assert len(data) < 2_000
    assert pickle.loads(data).variants("train") == TRAIN


def test_relative_paths_become_absolute(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    src = mtfast.open_source("Graphene")
    monkeypatch.chdir("/")
    assert src.path == folder
    assert src.image_names("train") == ("a.jpg", "b.jpg")


def test_a_synthetic_set_reads_as_pycocotools_reads_it(small_set, capsys):
    src = mtfast.open_source(small_set)
    for split in src.splits:
        for variant in src.variants(split)[:4]:
            table = src.table(split, variant)
            coco = COCO(src.path / src.variant_file(split, variant))
            capsys.readouterr()
            assert table.n_instances == len(coco.anns)
            for k, id_ in enumerate(table.instance_ids.tolist()):
                annotation = coco.anns[id_]
                counts = coco.annToRLE(annotation)["counts"]
                assert table.text(k) == (counts.encode() if isinstance(counts, str) else counts)
                name = table.names[int(table.image_of_instance[k])]
                assert coco.imgs[annotation["image_id"]]["file_name"] == name
            assert set(table.names.tolist()) <= set(src.image_names(split) or ())
            np.testing.assert_array_equal(table.area(), table.stated_area)
