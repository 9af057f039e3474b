"""Conversion: plans, schedulers, existing targets, and bad input."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image

import mtfast
from folders import names_in
from mtfast.atomic import PARTIAL
from mtfast.errors import MtfastError, SourceError, StoreError
from mtfast.jpeg import read_header
from mtfast.sources.variants import default_variant
from mtfast.store.shard import plan

SHAPE = (64, 96)


def test_plan_covers_every_image_once():
    for n_images in ({"train": 0}, {"train": 1}, {"train": 64}, {"train": 200, "test": 65}):
        for shard in (1, 7, 64, 1000):
            covered = {
                (one.split, i) for one in plan(n_images, shard) for i in range(one.start, one.stop)
            }
            assert covered == {(s, i) for s, n in n_images.items() for i in range(n)}
            for one in plan(n_images, shard):
                assert one.start == one.number * shard
                assert 0 < one.stop - one.start <= shard


def test_default_variant():
    with_class = [f"annotations_with_class_{k}" for k in ("100", "200", "300", "full")]
    others = ["annotations_300", "annotations_300_max_10", "1_shot/run_0/annotations_300"]
    assert default_variant(with_class + others) == "annotations_with_class_200"
    assert default_variant(with_class[2:] + others) == "annotations_with_class_300"
    assert default_variant([*with_class[3:], *others]) == "annotations_with_class_full"
    assert default_variant(others) == "annotations_300"
    assert default_variant(["annotations"]) == "annotations"
    n_shot = "1_shot/run_0/annotations"
    assert default_variant([n_shot, "annotations"]) == "annotations"
    assert default_variant([n_shot, "annotations_300_max_10"]) == "annotations_300_max_10"
    maxed = "annotations_with_class_300_max_10"
    assert default_variant(["annotations_300", maxed, n_shot]) == maxed


def write_coco(folder: Path, n: int = 3, **changes) -> Path:
    """A small COCO file with images beside it; changes replace top-level keys."""
    rng = np.random.default_rng(0)
    images = folder / "images"
    images.mkdir(parents=True)
    for i in range(n):
        pixels = rng.integers(0, 256, (*SHAPE, 3)).astype(np.uint8)
        (images / f"{i}.jpg").write_bytes(imagecodecs.jpeg8_encode(pixels))
    content = {
        "images": [
            {"id": i + 1, "file_name": f"{i}.jpg", "height": SHAPE[0], "width": SHAPE[1]}
            for i in range(n)
        ],
        "annotations": [
            {
                "id": i + 1,
                "image_id": i + 1,
                "category_id": 2,
                "segmentation": [[5, 5, 40, 8, 30, 50.5]],
                "area": 7,
                "bbox": [1, 2, 3, 4],
                "iscrowd": 0,
            }
            for i in range(n - 1)
        ],
        "categories": [{"id": 2, "name": "flake", "colour": "blue"}],
        "info": {"unknown": True},
    } | changes
    file = folder / "annotations.json"
    file.write_text(json.dumps(content))
    return file


@pytest.fixture
def coco(tmp_path):
    return write_coco(tmp_path / "set")


def assert_no_store(folder: Path, *others: str) -> None:
    """What is done may be kept for the next run, and nothing else."""
    assert [name for name in names_in(folder) if PARTIAL not in name] == ["set", *others]


@pytest.mark.parametrize("scheduler", ["sync", "threads", "processes"])
def test_schedulers_write_the_same(coco, tmp_path, scheduler):
    seen = []
    mtfast.convert(
        coco,
        tmp_path / "store.zarr",
        shard=2,
        scheduler=scheduler,
        workers=2,
        decode_check=True,
        progress=lambda *args: seen.append(args),
    )
    train = mtfast.open(tmp_path / "store.zarr")["train"]
    table = mtfast.open_source(coco).table("train", "annotations")
    np.testing.assert_array_equal([train.semantic(i) for i in range(3)], mtfast.semantic(table))
    for i in range(3):
        assert train.image_bytes(i) == (coco.parent / "images" / f"{i}.jpg").read_bytes()
    assert ("writing images", 0, 3) in seen
    assert seen[-1] == ("writing images", 3, 3)


def test_cluster(coco, tmp_path):
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=1,
        threads_per_worker=1,
        processes=False,
        dashboard_address="127.0.0.1:0",
        protocol="tcp",
        host="127.0.0.1",
    ) as cluster:
        target = tmp_path / "store.zarr"
        mtfast.convert(coco, target, shard=1, scheduler=cluster.scheduler_address)
        assert len(mtfast.open(target)["train"]) == 3
        words = bad_image(coco.parent, "truncated")
        with pytest.raises(SourceError, match=words):
            mtfast.convert(coco, tmp_path / "b.zarr", shard=1, scheduler=cluster.scheduler_address)
    assert_no_store(tmp_path, "store.zarr")


def test_no_cluster(coco, tmp_path, monkeypatch):
    from mtfast import cluster

    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 0.5)
    with pytest.raises(MtfastError, match="no Dask scheduler answers at tcp://127.0.0.1:9"):
        mtfast.convert(coco, tmp_path / "store.zarr", scheduler="tcp://127.0.0.1:9")
    assert_no_store(tmp_path)
    with pytest.raises(MtfastError, match="scheduler 'thread'; expected threads"):
        mtfast.convert(coco, tmp_path / "store.zarr", scheduler="thread")
    with pytest.raises(MtfastError, match="0 workers"):
        mtfast.convert(coco, tmp_path / "store.zarr", workers=0)


def test_options(small_set, tmp_path):
    store = mtfast.open(
        mtfast.convert(
            mtfast.open_source(small_set),
            tmp_path / "new" / "store.zarr",
            splits=["test"],
            variant="annotations_300",
            images="none",
        )
    )
    assert store.splits == ("test",)
    test = store["test"]
    assert not test.has_images
    assert test.semantic(0).max() <= 1
    with pytest.raises(StoreError, match="masks only; expected images"):
        test.image(0)
    assert set(test.set_names.tolist()) == set(test.attributes["sets"])
    for options, words in [
        ({"splits": ["val"]}, "no split 'val'"),
        ({"variant": "annotations_9"}, "no variant 'annotations_9'"),
        ({"images": "png"}, "images is 'png'"),
        ({"shard": 0}, "shard is 0; expected an integer from 1 to 1048576"),
    ]:
        with pytest.raises(MtfastError, match=words):
            mtfast.convert(small_set, tmp_path / "bad.zarr", **options)
        assert not (tmp_path / "bad.zarr").exists()


def test_large_category_ids_make_wide_masks(tmp_path):
    file = write_coco(tmp_path / "set")
    content = json.loads(file.read_text())
    content["annotations"][1]["category_id"] = 1000
    content["categories"] += [{"id": 1000, "name": "thousand"}, {"id": 70000, "name": "more"}]
    file.write_text(json.dumps(content))
    train = mtfast.open(mtfast.convert(file, tmp_path / "store.zarr"))["train"]
    assert [train.semantic(i).max() for i in range(3)] == [2, 1000, 0]
    assert train.semantic(0).dtype == np.uint16
    content["annotations"][1]["category_id"] = 70000
    file.write_text(json.dumps(content))
    with pytest.raises(MtfastError, match=r"1 x category id beyond 65535 .* 70000\)"):
        mtfast.convert(file, tmp_path / "other.zarr")
    assert not (tmp_path / "other.zarr").exists()


def test_variants_may_list_different_images(small_set, tmp_path):
    """The split is the union; an image that the painted variant does not list has an empty mask."""
    folder = Path(shutil.copytree(small_set, tmp_path / "set"))
    file = folder / "RLE_annotations" / "train_annotations_with_class_200.json"
    content = json.loads(file.read_text())
    content["images"] = content["images"][:4:-1]
    kept = {image["id"] for image in content["images"]}
    content["annotations"] = [a for a in content["annotations"] if a["image_id"] in kept]
    file.write_text(json.dumps(content))
    train = mtfast.open(mtfast.convert(folder, tmp_path / "store.zarr", images="none"))["train"]
    assert len(train) == 20
    whole = mtfast.open_source(small_set).table("train", "annotations_with_class_200")
    expected = mtfast.semantic(whole)
    listed = {image["file_name"] for image in content["images"]}
    for name, mask in zip(whole.names.tolist(), expected, strict=True):
        np.testing.assert_array_equal(train.semantic(name), mask if name in listed else 0)
    assert train.table().names.tolist() == [image["file_name"] for image in content["images"]]


def test_grey_and_turned_images(tmp_path):
    file = write_coco(tmp_path / "set")
    folder = tmp_path / "set" / "images"
    grey = np.random.default_rng(1).integers(0, 256, SHAPE).astype(np.uint8)
    Image.fromarray(grey).save(folder / "0.jpg")
    turned = Image.fromarray(np.dstack([grey] * 3))
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(folder / "1.jpg", exif=exif)
    Image.fromarray(np.dstack([grey, grey.T.reshape(SHAPE), grey])).save(
        folder / "2.jpg", progressive=True, subsampling=1
    )
    train = mtfast.open(mtfast.convert(file, tmp_path / "store.zarr"))["train"]
    for i in range(3):
        expected = np.asarray(Image.open(folder / f"{i}.jpg").convert("RGB"))
        np.testing.assert_array_equal(train.image(i), expected)


def test_names_with_folders(tmp_path):
    """As COCO files of several folders have them, relative to the file or to the images."""
    file = write_coco(tmp_path / "set")
    content = json.loads(file.read_text())
    (tmp_path / "set" / "images" / "deep").mkdir()
    (tmp_path / "set" / "images" / "1.jpg").rename(tmp_path / "set" / "images" / "deep" / "1.jpg")
    for image, name in zip(content["images"], ("images/0.jpg", "deep/1.jpg", "2.jpg"), strict=True):
        image["file_name"] = name
    file.write_text(json.dumps(content))
    train = mtfast.open(mtfast.convert(file, tmp_path / "store.zarr"))["train"]
    assert train.image("deep/1.jpg").shape == (*SHAPE, 3)
    assert train.index("1") == 1
    (tmp_path / "set" / "images" / "deep" / "1.jpg").unlink()
    with pytest.raises(SourceError, match=r"1 x image without file \('deep/1.jpg'\)"):
        mtfast.convert(file, tmp_path / "other.zarr")
    content["images"][1]["file_name"] = "elsewhere/2.jpg"
    file.write_text(json.dumps(content))
    with pytest.raises(SourceError, match=r"1 x image without file \('elsewhere/2.jpg'\)"):
        mtfast.convert(file, tmp_path / "other.zarr")
    assert not (tmp_path / "other.zarr").exists()


def bad_image(folder: Path, case: str) -> str:
    file = folder / "images" / "1.jpg"
    data = file.read_bytes()
    if case == "missing":
        file.unlink()
        return r"1 x image without file \('1.jpg'\); expected the file of every image"
    unreadable = r"^train: 1 bad record: 1 x unreadable image \(1.jpg is "
    if case == "truncated":
        file.write_bytes(data[: len(data) // 2])
        return unreadable + "a JPEG that is cut off"
    if case == "empty":
        file.write_bytes(b"")
        return unreadable + "an empty file"
    if case == "text":
        file.write_text("not an image")
        return unreadable + "a text file"
    if case == "gif":
        Image.fromarray(np.zeros((*SHAPE, 3), np.uint8)).save(file, "GIF")
        return unreadable + "a GIF"
    if case == "size":
        file.write_bytes(imagecodecs.jpeg8_encode(np.zeros((64, 95, 3), np.uint8)))
        return r"1 x sizes disagree \(1.jpg: 64 x 96 in annotations, 64 x 95 pixels\)"
    shutil.rmtree(folder / "images")
    return "has no image folder|image without file"


@pytest.mark.parametrize(
    "case", ["missing", "truncated", "empty", "text", "gif", "size", "no folder"]
)
def test_bad_images(coco, tmp_path, case):
    words = bad_image(coco.parent, case)
    with pytest.raises(SourceError, match=words) as caught:
        mtfast.convert(coco, tmp_path / "store.zarr", shard=1)
    assert len(str(caught.value).splitlines()) == 1
    assert_no_store(tmp_path)


@pytest.mark.parametrize("scheduler", ["sync", "threads"])
@pytest.mark.parametrize("at_the_open", [True, False])
@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OSError(5, "Input/output error"), "Input/output error"),
        (PermissionError(13, "Permission denied", "images/1.jpg"), "Permission denied"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_image_that_cannot_be_read(
    coco, tmp_path, monkeypatch, scheduler, at_the_open, error, reason
):
    """It is the image that is named, not the store, which was written well."""
    from mtfast.sources.files import Folder

    whole = Folder.open

    class Failing(io.BytesIO):
        def read(self, *_):
            raise error

    def open_(self, path):
        if "1.jpg" not in path:
            return whole(self, path)
        if at_the_open:
            raise error
        return Failing()

    source = mtfast.open_source(coco)
    monkeypatch.setattr(Folder, "open", open_)
    with pytest.raises(SourceError, match=f"1.jpg.* cannot be read.*{reason}") as caught:
        mtfast.convert(source, tmp_path / "store.zarr", scheduler=scheduler)
    assert "store.zarr" not in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1
    assert_no_store(tmp_path)


def test_an_image_that_vanishes(coco, tmp_path, monkeypatch):
    """Between the look at the folder and the read."""
    from mtfast.conversion import image_checks

    read = image_checks.read_image

    def late(source, split, name):
        (coco.parent / "images" / "1.jpg").unlink(missing_ok=True)
        return read(source, split, name)

    monkeypatch.setattr(image_checks, "read_image", late)
    with pytest.raises(SourceError, match=r"1 x image without file \('1.jpg'\)"):
        mtfast.convert(coco, tmp_path / "store.zarr", scheduler="sync")
    assert_no_store(tmp_path)


def test_a_store_is_complete_last(coco, tmp_path, monkeypatch):
    """Whoever finds it after a power cut finds all of its bytes."""
    from mtfast.work import folder

    seen = []
    move = folder.move

    def sync_tree(content):
        assert mtfast.open(content)["train"].n_images == 3
        seen.append("on the disk")

    def look_and_move(content, target):
        seen.append("in its place")
        move(content, target)

    monkeypatch.setattr(folder, "sync_tree", sync_tree)
    monkeypatch.setattr(folder, "move", look_and_move)
    mtfast.convert(coco, tmp_path / "store.zarr")
    assert seen == ["on the disk", "in its place"]


def test_columns_that_cannot_be_written(coco, tmp_path, monkeypatch):
    """They are written beside the images, and their error ends the conversion too."""
    from mtfast.conversion import convert as conversion

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(conversion, "write_image_columns", fail)
    with pytest.raises(StoreError, match="cannot be written: No space left on device"):
        mtfast.convert(coco, tmp_path / "store.zarr")
    assert_no_store(tmp_path)


def test_a_missing_image_folder_is_found_early(damaged, tmp_path, monkeypatch):
    """After the first annotation file: the others take a minute to read."""
    shutil.rmtree(damaged / "train_images")
    source = mtfast.open_source(damaged)
    read = []
    read_one = type(source).read

    def counted(self, split, variant):
        read.append(variant)
        return read_one(self, split, variant)

    monkeypatch.setattr(type(source), "read", counted)
    with pytest.raises(SourceError, match="train.* has no image folder"):
        mtfast.convert(source, tmp_path / "store.zarr")
    assert len(read) == 1


def test_files_of_several_sizes(damaged, tmp_path):
    file = damaged / "RLE_annotations" / "train_annotations_300.json"
    content = json.loads(file.read_text())
    for image in content["images"]:
        image["height"] = 97
    content["annotations"] = []
    file.write_text(json.dumps(content))
    with pytest.raises(SourceError, match=r"\d+ x sizes disagree \(.*: 96 x 128 and 97 x 128"):
        mtfast.convert(damaged, tmp_path / "store.zarr")


def test_the_log_says_what_is_decided(coco, tmp_path, caplog):
    with caplog.at_level("INFO", logger="mtfast"):
        mtfast.convert(coco, tmp_path / "store.zarr")
        assert "train: masks are painted from annotations, one of 1 variants" in caplog.text
        assert "replaced" not in caplog.text
        mtfast.convert(coco, tmp_path / "store.zarr", overwrite=True)
    assert f"{tmp_path / 'store.zarr'} is replaced; until the new store has" in caplog.text


def test_older_names_of_options(small_set, tmp_path):
    options = {"splits": ["test"], "semantic": "annotations_300"}
    store = mtfast.convert(small_set, tmp_path / "store.zarr", images="jpeg", **options)
    assert mtfast.open(store)["test"].has_images
    assert mtfast.open(store)["test"].semantic_variant == "annotations_300"


def test_errors_cross_processes(coco, tmp_path):
    words = bad_image(coco.parent, "truncated")
    with pytest.raises(SourceError, match=words) as caught:
        mtfast.convert(coco, tmp_path / "store.zarr", shard=1, scheduler="processes")
    assert len(str(caught.value).splitlines()) == 1
    assert_no_store(tmp_path)


def test_decode_check_finds_what_markers_hide(coco, tmp_path):
    file = coco.parent / "images" / "1.jpg"
    data = bytearray(file.read_bytes())
    # A Huffman table with impossible code lengths: the markers are all in place.
    at = data.index(b"\xff\xc4")
    data[at + 5 : at + 21] = bytes([255] * 16)
    file.write_bytes(data)
    assert read_header(bytes(data)) == (*SHAPE, 3)
    with pytest.raises(SourceError, match=r"unreadable image \(1.jpg .* does not decode"):
        mtfast.convert(coco, tmp_path / "store.zarr", decode_check=True)
    assert_no_store(tmp_path)


def test_a_target_is_left_alone(coco, tmp_path):
    target = tmp_path / "store.zarr"
    mtfast.convert(coco, target)
    before = (target / "zarr.json").stat().st_mtime_ns
    with pytest.raises(StoreError, match="complete store.*overwrite=True"):
        mtfast.convert(coco, target)
    assert (target / "zarr.json").stat().st_mtime_ns == before
    metadata = json.loads((target / "zarr.json").read_text())
    metadata["attributes"]["complete"] = False
    (target / "zarr.json").write_text(json.dumps(metadata))
    with pytest.raises(StoreError, match="incomplete store"):
        mtfast.convert(coco, target)
    mtfast.convert(coco, target, overwrite=True)
    assert len(mtfast.open(target)["train"]) == 3
    assert names_in(tmp_path) == ["set", "store.zarr"]


def test_overwrite_never_removes_what_is_no_store(coco, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_text("precious")
    (tmp_path / "notes.txt").write_text("precious")
    group = {"zarr_format": 3, "node_type": "group", "attributes": {"title": "precious"}}
    (tmp_path / "other.zarr").mkdir()
    (tmp_path / "other.zarr" / "zarr.json").write_text(json.dumps(group))
    for target in ("photos", "notes.txt", "other.zarr"):
        with pytest.raises(StoreError, match="is no mtfast store"):
            mtfast.convert(coco, tmp_path / target, overwrite=True)
    assert (tmp_path / "photos" / "a.jpg").read_text() == "precious"
    assert (tmp_path / "notes.txt").read_text() == "precious"
    assert json.loads((tmp_path / "other.zarr" / "zarr.json").read_text()) == group


def test_overwrite_never_removes_what_lies_beside_a_store(coco, tmp_path):
    target = mtfast.convert(coco, tmp_path / "store.zarr")
    (target / ".DS_Store").touch()
    (target / "thesis.pdf").write_text("precious")
    with pytest.raises(StoreError, match=r"store\.zarr has thesis\.pdf beside a store or unfinish"):
        mtfast.convert(coco, target, overwrite=True)
    assert (target / "thesis.pdf").read_text() == "precious"
    (target / "thesis.pdf").unlink()
    mtfast.convert(coco, target, overwrite=True)


def test_a_failed_overwrite_keeps_the_old_store(coco, tmp_path):
    target = mtfast.convert(coco, tmp_path / "store.zarr")
    old = mtfast.open(target)["train"].image_bytes(1)
    bad_image(coco.parent, "truncated")
    with pytest.raises(SourceError):
        mtfast.convert(coco, target, overwrite=True)
    assert mtfast.open(target)["train"].image_bytes(1) == old
    assert_no_store(tmp_path, "store.zarr")


def test_a_kill_before_the_new_store_has_its_place(coco, tmp_path, monkeypatch):
    """The older one is aside, and the next run has nothing left to do but to put the new one."""
    target = mtfast.convert(coco, tmp_path / "store.zarr")
    aside = tmp_path / ".store.zarr.replaced"
    target.rename(aside)
    with pytest.raises(StoreError, match=r"one that was to be replaced is .*\.store\.zarr\.repl"):
        mtfast.open(target)
    with pytest.raises(StoreError, match="whose replacement was cut short"):
        mtfast.convert(coco, target)
    mtfast.convert(coco, target, overwrite=True)
    assert len(mtfast.open(target)["train"]) == 3
    assert names_in(tmp_path) == ["set", "store.zarr"]


def test_a_kill_after_the_new_store_has_its_place(coco, tmp_path):
    """It stays, and the older one goes, when the next conversion fails or not."""
    target = mtfast.convert(coco, tmp_path / "store.zarr")
    shutil.copytree(target, tmp_path / ".store.zarr.replaced")
    (tmp_path / ".store.zarr.replaced" / "older").touch()
    mtfast.convert(coco, target, overwrite=True)
    assert not (target / "older").exists()
    assert names_in(tmp_path) == ["set", "store.zarr"]


def n_shards(store: Path) -> int:
    return len(list((store / "train" / "semantic").glob("c.*")))


@pytest.mark.parametrize("overwrite", [False, True])
def test_two_conversions_to_one_place(coco, tmp_path, monkeypatch, overwrite):
    """The second is refused while the first is at work, even with overwrite."""
    refused = []

    def convert_again(*arguments):
        with pytest.raises(StoreError, match="being written by another run"):
            mtfast.convert(coco, tmp_path / "store.zarr", overwrite=overwrite)
        refused.append(True)
        return write_columns(*arguments)

    from mtfast.conversion import convert

    write_columns = convert.write_image_columns
    monkeypatch.setattr(convert, "write_image_columns", convert_again)
    mtfast.convert(coco, tmp_path / "store.zarr")
    assert refused
    assert names_in(tmp_path) == ["set", "store.zarr"]


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("what", ["store", "folder", "file"])
def test_what_appears_meanwhile_is_left_alone(coco, tmp_path, monkeypatch, what, overwrite):
    """Nobody waits for a conversion of an hour with the name in mind."""
    target = tmp_path / "store.zarr"

    def meanwhile(*arguments):
        if what == "store":
            shutil.copytree(other, target)
        elif what == "folder":
            target.mkdir()
            (target / "precious.txt").write_text("precious")
        else:
            target.write_text("precious")
        return write_columns(*arguments)

    from mtfast.conversion import convert

    other = mtfast.convert(coco, tmp_path / "other.zarr", shard=2)
    write_columns = convert.write_image_columns
    with monkeypatch.context() as patch:
        patch.setattr(convert, "write_image_columns", meanwhile)
        if what == "store" and overwrite:
            # As asked for: a complete store is replaced.
            mtfast.convert(coco, target, overwrite=True)
            assert n_shards(target) == 1
            return
        with pytest.raises(StoreError, match=f"{target} exists and is .*; run the same again"):
            mtfast.convert(coco, target, overwrite=overwrite)
    if what == "store":
        assert n_shards(target) == 2
        shutil.rmtree(target)
    elif what == "folder":
        assert (target / "precious.txt").read_text() == "precious"
        shutil.rmtree(target)
    else:
        assert target.read_text() == "precious"
        target.unlink()
    mtfast.convert(coco, target)
    assert names_in(tmp_path) == ["other.zarr", "set", "store.zarr"]


def test_places_for_a_store(coco, tmp_path):
    (tmp_path / "empty.zarr").mkdir()
    store = mtfast.convert(coco, tmp_path / "empty.zarr")
    with pytest.raises(StoreError, match="which is a Zarr store; expected a place outside"):
        mtfast.convert(coco, store / "inner.zarr")
    store.rename(tmp_path / ".gone.zarr.replaced")
    with pytest.raises(StoreError, match="whose replacement was cut short"):
        mtfast.convert(coco, tmp_path / "gone.zarr")
    with pytest.raises(StoreError, match=r"to be replaced is .*\.gone\.zarr\.replaced"):
        mtfast.open(tmp_path / "gone.zarr")
    mtfast.convert(coco, tmp_path / "gone.zarr", overwrite=True)
    assert names_in(tmp_path) == ["gone.zarr", "set"]


def test_a_folder_without_rights(coco, tmp_path):
    if os.geteuid() == 0:
        target = Path("/proc/store.zarr")
    else:
        (tmp_path / "locked").mkdir(mode=0o500)
        target = tmp_path / "locked" / "store.zarr"
    with pytest.raises(StoreError, match="cannot be written: .*; expected a folder with room"):
        mtfast.convert(coco, target)


def test_a_full_disk(coco, tmp_path, monkeypatch):
    """A write to a full disk is one line, and nothing is left."""

    def no_room(path, parts):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("mtfast.work.folder_place.write_parts", no_room)
    with pytest.raises(StoreError, match="cannot be written: No space left on device"):
        mtfast.convert(coco, tmp_path / "store.zarr")
    assert_no_store(tmp_path)


SLOW = """
import signal, sys, time
# A shell that starts the tests in the background has told them to ignore it.
signal.signal(signal.SIGINT, signal.default_int_handler)
from mtfast.work import folder_place
write = folder_place.write_parts
def slow(*args):
    # One write, as two threads may be here at once.
    sys.stdout.write("writing\\n")
    sys.stdout.flush()
    time.sleep(0.4)
    return write(*args)
folder_place.write_parts = slow
from mtfast.cli import main
main(["convert", *sys.argv[1:], "--shard", "1", "--workers", "1"])
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_interruption(coco, tmp_path, how):
    target = tmp_path / "store.zarr"
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, coco, target],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    # Two files a shard: the fourth is begun some time after the first shard is done.
    assert [process.stdout.readline() for _ in range(4)] == ["writing\n"] * 4
    process.send_signal(how)
    _, errors = process.communicate(timeout=60)
    if how == signal.SIGINT:
        assert process.returncode == 130
        assert "Traceback" not in errors
        assert errors.count("mtfast: error: interrupted; what is done is kept in") == 1
    assert all(name == "set" or PARTIAL in name or ".lock" in name for name in names_in(tmp_path))
    with pytest.raises(StoreError, match=r"no store at .*; run what began .*\.partial-\w+ again"):
        mtfast.open(target)
    mtfast.convert(coco, target, shard=1)
    assert len(mtfast.open(target)["train"]) == 3
    assert names_in(tmp_path) == ["set", "store.zarr"]


def test_demo_images(demo_data, tmp_path):
    """Real images: masks, pixels and files are those of the source."""
    store = mtfast.open(mtfast.convert(demo_data, tmp_path / "demo.zarr", shard=4))
    train = store["train"]
    assert len(train) == 10
    for sample in train:
        label_file = demo_data / "instance_masks" / sample.name.replace(".jpg", ".png")
        labels = np.asarray(Image.open(label_file))
        np.testing.assert_array_equal(sample.semantic, (labels > 0).astype(np.uint8))
        assert sample.instances.n_instances == np.unique(labels[labels > 0]).size
        file = demo_data / "images" / sample.name
        np.testing.assert_array_equal(sample.image, np.asarray(Image.open(file)))
        assert train.image_bytes(sample.index) == file.read_bytes()
