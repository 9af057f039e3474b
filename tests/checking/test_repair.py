"""A damaged store becomes what it was, bit for bit, or says why not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

import mtfast
from checking.damages import both, cut, exchange, flip, remove, set_attribute
from checking.test_check import BITS, FILES, HEIGHT, MASKS, ONE_FILE, TEXTS
from commands import call
from folders import names_in
from kill_commands import digest
from mtfast.atomic import locked
from mtfast.checking import repair as repairing
from mtfast.conversion.crop_index import add_crop_index
from mtfast.errors import MtfastError, StoreError
from schemas import validate

# What no other part of the store tells.
FROM_OUTSIDE = {
    *("no root", "no column", "no texts", "no images", "height", "names", "boxes", "variants"),
    *("text", "image"),
}


@pytest.fixture(scope="module")
def expected(whole_store):
    return digest(whole_store)


@pytest.mark.parametrize("name", ONE_FILE)
def test_one_file(store, expected, tiny_set, name):
    """First from the store alone, which is enough for some of them."""
    _, file, damage = ONE_FILE[name]
    damage(store)
    alone = mtfast.check_store(store, repair=True)
    assert alone.is_whole == (name not in FROM_OUTSIDE)
    assert set(alone.why_not) == ({file} if name in FROM_OUTSIDE else set())
    if not alone.is_whole:
        done = mtfast.check_store(store, repair=tiny_set)
        assert done.is_whole
        assert (done.repaired, done.why_not) == ((file,), {})
        assert {finding.file for finding in done.mended} == {file}
    assert digest(store) == expected
    assert names_in(store.parent) == [store.name]


SEVERAL = {
    "no split": remove("train"),
    "no columns": remove("train/columns"),
    "no annotations": remove("test/instances", "test/variants", "test/name"),
    "no crop index": remove("train/crop_index"),
    "nothing but images": remove(*(f"train/{n}" for n in ("columns", "semantic", "crop_index"))),
    "exchanged": both(
        exchange("train/semantic/c.0.0.0", MASKS),
        exchange("train/images/file/c.0.0", FILES),
        exchange(HEIGHT, "train/columns/width/c/0"),
        exchange(f"{BITS}/c.0.0", f"{BITS}/c.1.0"),
    ),
    "attributes of the root": set_attribute("zarr.json", shard=5, splits=["train", "other"]),
    "checksum of the root": set_attribute("zarr.json", metadata_crc32c=1),
    "no root and a column": remove("zarr.json", HEIGHT),
    "everywhere": both(*(ONE_FILE[n][2] for n in ("root cut", "names", "text", "masks cut", "image",
                                                   "index of images", "index of crop index"))),
}  # fmt: skip


@pytest.mark.parametrize("name", SEVERAL)
@pytest.mark.parametrize("source", ["dataset", "copy"])
def test_several_files(store, whole_store, expected, tiny_set, name, source):
    SEVERAL[name](store)
    assert not mtfast.check_store(store).is_whole
    done = mtfast.check_store(store, repair=tiny_set if source == "dataset" else whole_store)
    assert done.is_whole
    assert digest(store) == expected


def test_whole_files_are_left_alone(store, tiny_set):
    """No byte of them is written, and nothing at all if the store is whole."""
    before = {file: file.stat().st_mtime_ns for file in store.rglob("*") if file.is_file()}
    assert mtfast.check_store(store, repair=tiny_set).repaired == ()
    flip(MASKS, 0.1)(store)
    flip(FILES)(store)
    assert mtfast.check_store(store, repair=tiny_set).repaired == (FILES, MASKS)
    after = {file: file.stat().st_mtime_ns for file in before}
    changed = {file.relative_to(store).as_posix() for file in before if after[file] != before[file]}
    assert changed == {FILES, MASKS}


def test_stores_of_other_options(tiny_set, tmp_path):
    for name, options in (
        ("masks", {"images": "none", "shard": 3}),
        ("other", {"variant": "annotations_with_class_300", "splits": ["test"]}),
        ("index", {"shard": 100}),
    ):
        store = mtfast.convert(tiny_set, tmp_path / f"{name}.zarr", **options)
        if name == "index":
            add_crop_index(store)
        expected = digest(store)
        split = "test" if name == "other" else "train"
        both(remove(f"{split}/semantic", f"{split}/name", "zarr.json"))(store)
        if name != "masks":
            flip(f"{split}/images/file/c.0.0")(store)
        assert mtfast.check_store(store, repair=mtfast.open_source(tiny_set)).is_whole
        assert digest(store) == expected


def test_mixed_sizes_and_kinds(mixed_set, mixed_store, tmp_path):
    store = Path(shutil.copytree(mixed_store, tmp_path / "mixed.zarr"))
    both(
        remove("train/semantic/c.2.0.0", "train/columns/orientation", "train/columns/kind"),
        flip("train/images/file/c.2.0"),
        flip("train/crop_index/dc/c.1.0.0"),
    )(store)
    assert mtfast.check_store(store, repair=mixed_set.annotations).is_whole
    assert digest(store) == digest(mixed_store)


def test_bad_records_are_treated_as_they_were(tiny_set, tmp_path):
    """Store and dataset agree only if what was skipped and mapped then is so again."""
    source = Path(shutil.copytree(tiny_set, tmp_path / "set"))
    file = source / "RLE_annotations" / "train_annotations_with_class_200.json"
    content = json.loads(file.read_text())
    content["annotations"][0]["segmentation"]["counts"] = "no RLE"
    content["annotations"][1]["category_id"] = 0
    file.write_text(json.dumps(content))
    store = mtfast.convert(
        source, tmp_path / "s.zarr", bad="skip", mapping={0: 5}, splits=["train"]
    )
    assert {f["done"] for f in mtfast.open(store).attributes["findings"]["train"]} >= {"skipped"}
    expected = digest(store)
    remove("train/instances", "train/variants")(store)
    assert mtfast.check_store(store, repair=source).is_whole
    assert digest(store) == expected


def test_what_the_store_was_not_made_from_is_refused(store, tiny_set, small_set, tmp_path):
    """Another set, one whose annotations have changed, and a store of another set."""
    other = Path(shutil.copytree(tiny_set, tmp_path / "other"))
    file = other / "RLE_annotations" / "test_annotations_with_class_300.json"
    content = json.loads(file.read_text())
    content["annotations"][0]["area"] += 1
    file.write_text(json.dumps(content))
    of_other = mtfast.convert(other, tmp_path / "other.zarr", shard=4, crop_index=True)
    flip(FILES)(store)
    damaged = digest(store)
    for source in (other, small_set, of_other):
        with pytest.raises(StoreError, match="is not what .* was made from: .*; give that"):
            mtfast.check_store(store, repair=source)
        assert digest(store) == damaged
        assert names_in(store.parent) == ["flakes.zarr", "other", "other.zarr"]


def test_an_image_that_has_changed_mends_nothing(store, tiny_set, tmp_path):
    """Whatever else is damaged is mended all the same."""
    other = Path(shutil.copytree(tiny_set, tmp_path / "other"))
    image = other / "train_images" / str(mtfast.open(store)["train"].names[5])
    data = bytearray(image.read_bytes())
    data[-30] ^= 1
    image.write_bytes(data)
    both(flip(FILES), flip("train/images/file/c.0.0"), cut(TEXTS))(store)
    done = mtfast.check_store(store, repair=other)
    assert {f.file for f in done.findings} == set(done.why_not) == {FILES}
    assert "does not have its checksum" in done.why_not[FILES]
    assert set(done.repaired) == {"train/images/file/c.0.0", TEXTS}


def test_without_images_annotations_are_mended(store, tiny_set, tmp_path):
    source = tmp_path / "set"
    shutil.copytree(tiny_set, source, ignore=shutil.ignore_patterns("*_images"))
    both(flip(FILES), cut(TEXTS), remove("test/variants"))(store)
    done = mtfast.check_store(store, repair=source)
    assert {f.file for f in done.findings} == set(done.why_not) == {FILES}
    assert "no image folder" in done.why_not[FILES]


def test_two_damaged_copies_make_a_whole_one(store, whole_store, expected, tmp_path):
    """Unless the same file is damaged in both."""
    copy = Path(shutil.copytree(whole_store, tmp_path / "copy.zarr"))
    both(cut("zarr.json"), flip(FILES), flip(HEIGHT))(copy)
    both(flip("train/name/c/0"), flip("train/images/file/c.0.0"), flip(HEIGHT))(store)
    done = mtfast.check_store(store, repair=copy)
    assert done.why_not == {HEIGHT: "what was made in its place does not have its checksum"}
    flip(HEIGHT)(copy)
    assert mtfast.check_store(store, repair=copy).is_whole
    assert digest(store) == expected


def test_a_repair_that_is_stopped_is_gone_on_with(store, expected, tiny_set, monkeypatch):
    """After the first of three files has its place."""
    both(flip(MASKS, 0.1), flip(FILES), flip(TEXTS))(store)
    move, moved = repairing.move, []

    def stop(source: Path, target: Path) -> None:
        if moved:
            raise KeyboardInterrupt
        moved.append(target)
        move(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(repairing, "move", stop)
        with pytest.raises(KeyboardInterrupt):
            mtfast.check_store(store, repair=tiny_set)
    assert len(moved) == 1
    assert names_in(store.parent) == [store.name]
    done = mtfast.check_store(store, repair=tiny_set)
    assert len(done.repaired) == 2
    assert digest(store) == expected


def test_one_run_at_a_time(store, tiny_set):
    with locked(store), pytest.raises(StoreError, match="by another run"):
        mtfast.check_store(store, repair=tiny_set)


def test_what_is_no_store_is_not_written_to(tiny_set, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(StoreError, match="no zarr.json"):
        mtfast.check_store(folder, repair=tiny_set)
    with pytest.raises(MtfastError):
        mtfast.check_store(tmp_path / "nothing", repair=tiny_set)
    assert names_in(tmp_path) == ["folder"]
    assert names_in(folder) == []


def test_the_command(store, expected, tiny_set):
    both(flip(MASKS, 0.1), flip(FILES))(store)
    done = call("check", store, "--repair")
    assert done.returncode == 1
    assert f"1 file was made again: {MASKS}" in done.stdout
    assert f"{FILES} could not be made again" in done.stdout
    done = call("check", store, "--json", "--repair", tiny_set)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    validate(said, "check.schema.json")
    assert (said["repaired"], said["is_whole"]) == ([FILES], True)
    assert digest(store) == expected
