"""Stores with a crop index: windows of their images, how it is made, and damage."""

from __future__ import annotations

import json
import pickle
import random
import re
import shutil
from pathlib import Path

import google_crc32c
import numpy as np
import pytest
import zarr
from imagecodecs import zstd_decode

import mtfast
from folders import names_in
from jpegs import encoded, photograph
from mtfast.conversion.crop_index import add_crop_index
from mtfast.errors import MtfastError, StoreError
from mtfast.jpeg.index import build_index
from mtfast.painting.instance_targets import instance_targets
from mtfast.store import schema
from mtfast.store.reading.columns import read_column
from mtfast.store.reading.files import LocalFiles
from mtfast.store.reading.store import Split
from mtfast.store.writing import crop_index
from mtfast.work.folder import working
from mtfast.work.records import Plan
from stores import reseal


@pytest.fixture(scope="module")
def indexed(small_set, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("stores") / "set.zarr"
    return mtfast.convert(small_set, path, shard=7, crop_index=True)


@pytest.fixture(scope="module")
def plain(small_set, tmp_path_factory) -> Path:
    return mtfast.convert(small_set, tmp_path_factory.mktemp("stores") / "plain.zarr", shard=7)


@pytest.fixture
def broken(indexed, tmp_path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(indexed, tmp_path / "broken.zarr"))


@pytest.fixture
def copy(plain, tmp_path) -> Path:
    """A copy of a store without an index."""
    return Path(shutil.copytree(plain, tmp_path / "copy.zarr"))


def windows(split: Split, n: int, seed: int = 0) -> list[tuple[int, int, int, int, int]]:
    rng = random.Random(seed)
    found = []
    for _ in range(n):
        h, w = rng.randint(1, split.height), rng.randint(1, split.width)
        y, x = rng.randint(0, split.height - h), rng.randint(0, split.width - w)
        found.append((rng.randrange(len(split)), y, x, h, w))
    return found


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("kind", ["indexed", "plain"])
def test_windows_are_those_of_whole_images(split, kind, request):
    split = mtfast.open(request.getfixturevalue(kind))[split]
    assert split.has_crop_index == (kind == "indexed")
    for i, y, x, h, w in windows(split, 30):
        sample = split.crop(i, y, x, h, w)
        assert (sample.index, sample.name) == (i, split.names[i])
        assert sample.image.flags.c_contiguous
        np.testing.assert_array_equal(sample.image, split.image(i)[y : y + h, x : x + w])
        assert sample.semantic.dtype == split.semantic(i).dtype
        np.testing.assert_array_equal(sample.semantic, split.semantic(i)[y : y + h, x : x + w])
        targets = instance_targets(split.instances(i), (y, x, h, w))
        assert sample.instances.instance_ids.tolist() == targets.ids.tolist()
        assert sample.instances.area().tolist() == targets.areas.tolist()


def test_no_image_is_decoded_whole(indexed, monkeypatch):
    train = mtfast.open(indexed)["train"]
    expected = train.image(5)[100:170, 30:130]
    monkeypatch.setattr(train._images.files, "read", None)
    np.testing.assert_array_equal(train.crop(5, 100, 30, 70, 100).image, expected)
    np.testing.assert_array_equal(train.crop_image(5, 100, 30, 70, 100), expected)


def test_samples_by_name_and_in_other_processes(indexed):
    train = mtfast.open(indexed)["train"]
    name = str(train.names[4])
    sample = pickle.loads(pickle.dumps(train.crop(name, 3, 4, 50, 60)))
    assert "of sample 4 of split 'train'" in repr(sample)
    np.testing.assert_array_equal(sample.image, train.image(4)[3:53, 4:64])


def test_an_image_that_the_variant_does_not_list(tiny_set, tmp_path):
    few = "1_shot/run_0/annotations_300"
    store = mtfast.convert(tiny_set, tmp_path / "s.zarr", splits=["train"], variant=few)
    train = mtfast.open(store)["train"]
    listed = train.images_of().tolist()
    other = next(i for i in range(len(train)) if i not in listed)
    assert [train.lists(other), train.lists(listed[0])] == [False, True]
    assert not train.crop(other, 1, 2, 30, 40).semantic.any()
    with pytest.raises(StoreError, match="is not in variant"):
        train.crop(other, 1, 2, 30, 40).instances


def test_what_is_written(indexed):
    """By plain zarr: what each entry says is where its MCU begins."""
    for name in ("train", "test"):
        split = mtfast.open(indexed)[name]
        group = zarr.open_group(indexed / name / schema.CROP_GROUP, mode="r")
        assert group.attrs["version"] == 2
        assert group["bits"].metadata.dimension_names == ("name", "entry")
        assert group["crc32c"].metadata.dimension_names == ("name", "check")
        assert group["dc"].metadata.dimension_names == ("name", "component", "entry")
        n_entries = crop_index.n_entries((split.height, split.width))
        assert group["dc"].shape == (len(split), 3, n_entries)
        for i in range(0, len(split), 5):
            data = split.image_bytes(i)
            index = build_index(data, int(group["step"][i]))
            n = index.positions.size
            positions = np.cumsum(group["bits"][i].astype(np.int64))
            np.testing.assert_array_equal(positions[:n], index.positions)
            np.testing.assert_array_equal(group["dc"][i][:, :n], index.dcs)
            assert not group["bits"][i][n:].any()
            # Every other entry has a checksum, and the last one.
            of_entries = [*range(0, n - 1, 2), n - 1]
            for k in (0, len(of_entries) // 2, len(of_entries) - 1):
                before, bits = divmod(int(index.positions[of_entries[k]]), 8)
                head = data[:before] + bytes([data[before] & 0xFF00 >> bits & 0xFF])[: bits > 0]
                assert group["crc32c"][i, k] == google_crc32c.value(head)
            assert not group["crc32c"][i][len(of_entries) :].any()
            step, *chunks = crop_index.encode_index(data, (split.height, split.width), n_entries)
            assert step == index.step
            assert sum(map(len, chunks)) <= crop_index.LARGEST_SHARE * len(data)


@pytest.mark.parametrize("scheduler", ["sync", "processes"])
def test_an_index_that_is_added_is_that_of_convert(copy, indexed, scheduler):
    before = files_of(copy)
    reports = []
    found = add_crop_index(
        copy, scheduler=scheduler, workers=2, progress=lambda *report: reports.append(report)
    )
    assert [(s.name, s.n_images, s.n_indexed) for s in found] == [("train", 20, 20), ("test", 6, 6)]
    assert reports[-1] == ("indexing images of test", 6, 6)
    after = files_of(copy)
    assert {k: after[k] for k in before if "zarr.json" not in k} == {
        k: data for k, data in before.items() if "zarr.json" not in k
    }
    assert after == files_of(indexed)
    added = sum(map(len, after.values())) - sum(map(len, before.values()))
    assert 0 < sum(s.n_bytes for s in found) < added < 1.5 * sum(s.n_bytes for s in found) + 60_000
    assert names_in(copy.parent) == [copy.name]
    train = mtfast.open(copy)["train"]
    assert train.has_crop_index
    np.testing.assert_array_equal(train.crop(0, 5, 6, 70, 80).image, train.image(0)[5:75, 6:86])


def test_an_index_is_made_again_when_asked_to(broken):
    sound = files_of(broken)
    assert add_crop_index(broken) == ()
    (broken / "train" / schema.CROP_GROUP / "bits" / "c.1.0").write_bytes(b"")
    assert add_crop_index(broken) == ()
    assert len(add_crop_index(broken, overwrite=True, scheduler="sync")) == 2
    assert files_of(broken) == sound


def test_a_run_that_fails_leaves_the_store_as_it_was(copy, monkeypatch):
    before = files_of(copy)

    def fail(job):
        raise StoreError("no more; expected more; get more")

    with monkeypatch.context() as patch:
        patch.setattr("mtfast.conversion.crop_index._index_shard", fail)
        with pytest.raises(StoreError, match=r"get more$"):
            add_crop_index(copy, scheduler="sync")
    assert files_of(copy) == before
    assert names_in(copy.parent) == [copy.name]
    assert mtfast.open(copy)["train"].has_crop_index is False
    add_crop_index(copy, scheduler="sync")
    assert mtfast.open(copy)["train"].has_crop_index


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_run_that_was_stopped_goes_on(copy, indexed, monkeypatch, overwrite):
    from mtfast.conversion import crop_index as adding

    before, index_shard, made = files_of(copy), adding._index_shard, []

    def stop_at_test(job):
        if job.split.name == "test":
            raise KeyboardInterrupt
        made.append(job.number)
        return index_shard(job)

    with monkeypatch.context() as patch:
        patch.setattr(adding, "_index_shard", stop_at_test)
        with pytest.raises(KeyboardInterrupt, match=r"what is done is kept in .*; run the same"):
            add_crop_index(copy, scheduler="sync", overwrite=overwrite)
        assert made
        assert files_of(copy) == before
        made.clear()
        with pytest.raises(KeyboardInterrupt):
            add_crop_index(copy, scheduler="sync", overwrite=overwrite)
        assert not made
    add_crop_index(copy, scheduler="sync", overwrite=overwrite)
    assert files_of(copy) == files_of(indexed)
    assert names_in(copy.parent) == [copy.name]


def test_an_old_index_goes_back_where_a_new_one_cannot_go(broken, monkeypatch):
    before = files_of(broken)
    from mtfast.conversion import crop_index as adding

    move = adding.move

    def fail(source, target):
        if target.name == schema.CROP_GROUP and "replaced" not in source.name:
            raise OSError(5, "Input/output error", str(target))
        move(source, target)

    monkeypatch.setattr(adding, "move", fail)
    with pytest.raises(StoreError, match="cannot be written: Input/output error"):
        add_crop_index(broken, overwrite=True, scheduler="sync")
    assert files_of(broken) == before


def test_an_index_that_another_run_has_added_is_left_alone(copy):
    opened = mtfast.open(copy)
    add_crop_index(copy, scheduler="sync")
    before = files_of(copy)
    with pytest.raises(StoreError, match="has got a crop index meanwhile"):
        add_crop_index(opened, scheduler="sync")
    assert files_of(copy) == before


def test_a_store_that_is_open_goes_on(copy):
    """It has no index then, or the new one; another can be added to an opened store."""
    store = mtfast.open(copy)
    whole = store["train"].crop(0, 5, 6, 70, 80).image
    assert len(add_crop_index(store, scheduler="sync")) == 2
    np.testing.assert_array_equal(store["train"].crop(0, 5, 6, 70, 80).image, whole)
    np.testing.assert_array_equal(mtfast.open(copy)["train"].crop(0, 5, 6, 70, 80).image, whole)


def test_two_runs_do_not_meet(copy):
    other = working(copy, Plan("convert", {}, {}), lambda: None)
    with other, pytest.raises(StoreError, match="being written by another run"):
        add_crop_index(copy, scheduler="sync")


def test_images_that_cannot_be_cut(tmp_path, caplog):
    """Progressive and damaged files have no index; their windows are those of the whole image."""
    caplog.set_level("INFO", "mtfast")
    rng = random.Random(0)
    pixels = photograph(rng, 64, 96)
    sound = encoded(pixels, "420", 95)
    files = {
        "a": sound,
        "b": encoded(pixels, "420", 95, progressive=True),
        "c": sound[:1500] + sound[1900:],
        "d": encoded(pixels, "grey", 95),
        "e": encoded(pixels, "444", 95, restart_marker_rows=1),
    }
    source = tmp_path / "set"
    (source / "images").mkdir(parents=True)
    images = [{"id": k, "width": 96, "height": 64, "file_name": f"{k}.jpg"} for k in files]
    for k, data in files.items():
        (source / "images" / f"{k}.jpg").write_bytes(data)
    for number, image in enumerate(images):
        image["id"] = number + 1
    document = {"images": images, "annotations": [], "categories": [{"id": 1, "name": "flake"}]}
    (source / "annotations.json").write_text(json.dumps(document))
    store = mtfast.convert(
        source / "annotations.json", tmp_path / "s.zarr", crop_index=True, scheduler="sync"
    )
    why = [r.message for r in caplog.records if "without a crop index" in r.message]
    assert len(why) == 2
    assert "SOF2; expected a baseline one" in why[0]
    assert "expected one scan of sound codes" in why[1]
    caplog.clear()
    train = mtfast.open(store)["train"]
    steps = read_column(LocalFiles(store), f"train/{schema.CROP_GROUP}/step")
    assert [step > 0 for step in steps] == [True, False, False, True, True]
    for i, y, x, h, w in windows(train, 60):
        window = train.image(i)[y : y + h, x : x + w]
        np.testing.assert_array_equal(train.crop(i, y, x, h, w).image, window)
    told = sorted(r.message for r in caplog.records if "decoded whole" in r.message)
    assert [message.split(" of ")[0] for message in told] == ["image 1", "image 2"]


def test_an_index_stays_small():
    """Of files that are small for their size, there are fewer entries."""
    pixels = photograph(random.Random(1), 600, 960)
    shares, steps = [], []
    for quality in (100, 75, 20):
        data = encoded(pixels, "420", quality)
        capacity = crop_index.n_entries((600, 960))
        step, *chunks = crop_index.encode_index(data, (600, 960), capacity)
        shares.append(sum(map(len, chunks)) / len(data))
        steps.append(step)
    assert max(shares) <= 0.02
    assert steps == sorted(steps)
    assert steps[0] < steps[-1]
    step, *chunks = crop_index.encode_index(data, (96, 960), capacity)
    assert (step, max(map(len, chunks))) < (1, 60)
    # One entry a row at least: a file that is much larger than the others has none.
    step, *chunks = crop_index.encode_index(data, (600, 960), 39)
    assert step >= 60
    step, *chunks = crop_index.encode_index(data, (600, 960), 38)
    assert (step, max(map(len, chunks))) < (1, 60)


def test_an_index_has_no_more_entries_for_a_larger_image_beside_it():
    data = encoded(photograph(random.Random(1), 600, 960), "420", 100)
    alone, beside = (
        crop_index.encode_index(data, (600, 960), crop_index.n_entries(size))
        for size in ((600, 960), (2500, 2500))
    )
    assert alone[0] == beside[0]
    for dtype, one, other in zip(("<u4", "<i2", "<u4"), alone[1:], beside[1:], strict=True):
        found, expected = (np.frombuffer(zstd_decode(c[:-4]), dtype) for c in (other, one))
        assert np.array_equal(found[found != 0], expected[expected != 0])


def test_an_index_of_another_version_is_left_alone(broken):
    file = broken / "zarr.json"
    metadata = json.loads(file.read_text())
    group = f"train/{schema.CROP_GROUP}"
    metadata["consolidated_metadata"]["metadata"][group]["attributes"]["version"] = 1
    file.write_text(json.dumps(metadata))
    train = mtfast.open(broken, verify=False)["train"]
    assert not train.has_crop_index
    np.testing.assert_array_equal(train.crop(0, 5, 6, 70, 80).image, train.image(0)[5:75, 6:86])


@pytest.mark.parametrize("array", ["bits", "dc", "crc32c"])
def test_an_index_of_other_images(broken, array, small_set):
    """Shards in the wrong place: never another image, never a crash."""
    folder = broken / "train" / schema.CROP_GROUP / array
    first, second = sorted(folder.glob("c.*"))[:2]
    kept = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(kept)
    train = mtfast.open(broken)["train"]
    for i, y, x, h, w in windows(train, 40):
        try:
            window = train.crop(i, y, x, h, w).image
        except StoreError as error:
            assert re.search("mtfast index --overwrite|run 'mtfast check' on the store", str(error))  # noqa: PT017
        else:
            assert window.shape == (h, w, 3)


@pytest.mark.parametrize("array", ["bits", "dc", "crc32c"])
def test_a_damaged_index_is_never_another_window(broken, array, rng):
    """For a flipped bit anywhere in its chunks."""
    (file, *_) = sorted((broken / "train" / schema.CROP_GROUP / array).glob("c.*"))
    sound = file.read_bytes()
    index = np.frombuffer(sound[-4 - 7 * 16 : -4], "<u8").reshape(7, 2)
    assert index[0, 0] == 0
    for at in rng.integers(0, index[0, 1], 40).tolist():
        file.write_bytes(sound[:at] + bytes([sound[at] ^ (1 << at % 8)]) + sound[at + 1 :])
        train = mtfast.open(broken)["train"]
        try:
            window = train.crop(0, 20, 30, 40, 50).image
        except StoreError as error:
            assert array in str(error)  # noqa: PT017
        else:
            np.testing.assert_array_equal(window, train.image(0)[20:60, 30:80])


def test_numbers_that_do_not_fit(broken):
    path = broken / "train" / schema.CROP_GROUP
    train = mtfast.open(broken)["train"]
    number = zarr.open_array(path / "step", mode="r+")
    number[0] = 1
    reseal(broken)
    with pytest.raises(StoreError, match="does not fit .* a crop index of"):
        mtfast.open(broken)["train"].crop(0, 0, 0, 9, 9).image
    zarr.create_array(path / "step", data=np.ones(3, np.uint16), overwrite=True)
    reseal(broken)
    with pytest.raises(StoreError, match="it is one of 3 images"):
        mtfast.open(broken)["train"].crop(0, 0, 0, 9, 9).image
    shutil.rmtree(path / "bits")
    reseal(broken)
    with pytest.raises(StoreError, match="has no metadata of 'train/crop_index/bits'"):
        mtfast.open(broken)["train"].crop(0, 0, 0, 9, 9).image
    assert train.has_crop_index


def test_ranges_stay_inside_an_image(indexed):
    jpegs = mtfast.open(indexed)["train"]._images.files
    whole = jpegs.read(3)
    assert jpegs.ranges(3, [(0, 5), (7, 7), (len(whole) - 2, len(whole))]) == (
        whole[:5] + whole[-2:]
    )
    for bad in ((0, len(whole) + 1), (-1, 3), (5, 4)):
        with pytest.raises(StoreError, match="ranges beyond"):
            jpegs.ranges(3, [bad])


def test_windows_of_images_that_are_not_there(small_set, tmp_path):
    with pytest.raises(MtfastError, match="a crop index without images"):
        mtfast.convert(small_set, tmp_path / "a.zarr", images="none", crop_index=True)
    store = mtfast.convert(small_set, tmp_path / "b.zarr", images="none", splits=["test"])
    assert add_crop_index(store) == ()
    sample = mtfast.open(store)["test"].crop(0, 3, 4, 50, 60)
    assert sample.semantic.shape == (50, 60)
    with pytest.raises(StoreError, match="holds masks only"):
        sample.image


def test_windows_outside(indexed):
    train = mtfast.open(indexed)["train"]
    with pytest.raises(MtfastError, match="inside an image of 240 x 320"):
        train.crop(0, 200, 0, 41, 9)
    with pytest.raises(IndexError, match="image 20 of 20 images"):
        train.crop(20, 0, 0, 9, 9)
