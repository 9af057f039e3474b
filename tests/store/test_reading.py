"""Stores: what convert writes, read by mtfast, by plain zarr and by xarray."""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import pickle
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest
import xarray
import zarr
from PIL import Image

import mtfast
from mtfast.demo import paint_with_pycocotools
from mtfast.errors import MtfastError, StoreError
from mtfast.store import schema
from mtfast.store.file_frames import seal
from mtfast.store.reading.columns import read_column
from mtfast.store.reading.files import OPEN_FILES, LocalFiles
from mtfast.store.reading.split import Split
from mtfast.store.shard import index_bytes, read_index, write_shard
from stores import reseal
from tables import read_only_frames

SPLITS = ("train", "test")


@pytest.fixture(scope="module")
def store_path(small_set, tmp_path_factory):
    path = tmp_path_factory.mktemp("stores") / "set.zarr"
    return mtfast.convert(small_set, path, shard=7)


@pytest.fixture
def store(store_path):
    return mtfast.open(store_path)


@pytest.fixture
def broken(store_path, tmp_path):
    """A copy of the store to damage."""
    return Path(shutil.copytree(store_path, tmp_path / "broken.zarr"))


@pytest.mark.parametrize("split", SPLITS)
def test_masks_are_pycocotools_masks(store, small_set, split):
    source = mtfast.open_source(small_set)
    table = source.table(split, "annotations_with_class_200")
    assert len(store[split]) == table.n_images == len(store[split].names)
    assert store[split].semantic_variant == "annotations_with_class_200"
    for image in map(table.image, range(table.n_images)):
        name = str(image.names[0])
        expected = paint_with_pycocotools(image)
        np.testing.assert_array_equal(store[split].semantic(name), expected)
        shipped = small_set / f"{split}_semantic_masks" / name.replace(".jpg", ".png")
        np.testing.assert_array_equal(np.asarray(Image.open(shipped)), expected)


@pytest.mark.parametrize("split", SPLITS)
def test_images_are_the_files(store, small_set, split):
    for sample in store[split]:
        file = small_set / f"{split}_images" / sample.name
        assert store[split].image_bytes(sample.index) == file.read_bytes()
        np.testing.assert_array_equal(sample.image, np.asarray(Image.open(file)))
        assert store[split].kinds[sample.index] == "jpeg"
        assert store[split].size(sample.name) == sample.image.shape[:2]


@pytest.mark.parametrize("split", SPLITS)
def test_every_variant_comes_back(store, small_set, split):
    """Column for column, whole and image by image, in the order of the file."""
    source = mtfast.open_source(small_set)
    assert store[split].variants == source.variants(split)
    for variant in source.variants(split):
        theirs = source.table(split, variant)
        ours = store[split].table(variant)
        assert ours.categories == theirs.categories == store[split].categories(variant)
        for column in theirs.__dataclass_fields__.keys() - {"categories"}:
            np.testing.assert_array_equal(getattr(ours, column), getattr(theirs, column))
        assert store[split].names[store[split].images_of(variant)].tolist() == list(theirs.names)
        for image in map(theirs.image, range(theirs.n_images)):
            one = store[split].instances(str(image.names[0]), variant)
            assert one.rle.tobytes() == image.rle.tobytes()
            assert one.category_ids.tolist() == image.category_ids.tolist()
            assert one.rle_offsets.tolist() == image.rle_offsets.tolist()
            one.check()


def test_instances_are_stored_once(store_path, small_set):
    full = mtfast.open_source(small_set).table("train", "annotations_with_class_full")
    group = zarr.open_group(store_path / "train", mode="r")
    assert group["instances/id"].shape == (full.n_instances,)
    assert group["instances/rle"].shape == (full.rle.size,)
    assert sorted(group["instances/id"][:].tolist()) == sorted(full.instance_ids.tolist())
    image = group["instances/image"][:]
    assert (np.diff(image) >= 0).all()


def test_plain_zarr_reads_the_same(store_path, store):
    for split in SPLITS:
        masks = zarr.open_array(store_path / split / "semantic", mode="r")
        files = zarr.open_array(store_path / split / "images" / "file", mode="r")
        lengths = zarr.open_array(store_path / split / "columns" / "file_bytes", mode="r")[:]
        assert masks.metadata.dimension_names == ("name", "y", "x")
        assert masks.attrs["flag_values"] == [0, 1, 2, 3, 4]
        for i in range(len(store[split])):
            np.testing.assert_array_equal(store[split].semantic(i), masks[i])
        for i in range(len(store[split])):
            data = files[i, : lengths[i]].tobytes()
            assert data == store[split].image_bytes(i)
            assert not files[i, lengths[i] :].any()
        pixels = np.asarray(Image.open(io.BytesIO(data)))
        np.testing.assert_array_equal(store[split].image(i), pixels)


def test_the_schema_is_what_is_there(store_path):
    for folder, declared in {
        "train": schema.NAMES,
        "train/columns": schema.COLUMNS,
        "train/instances": schema.INSTANCES,
        "train/variants": schema.VARIANTS,
    }.items():
        group = zarr.open_group(store_path / folder, mode="r")
        found = dict(group.arrays())
        found.pop("semantic", None)
        assert found.keys() == declared.keys()
        for name, column in declared.items():
            assert found[name].metadata.dimension_names == column.dimensions
            ours = read_column(LocalFiles(store_path), f"{folder}/{name}")
            np.testing.assert_array_equal(ours, found[name][...])
            expected = np.dtypes.StringDType() if column.dtype == "str" else column.dtype
            assert ours.dtype == found[name].dtype == expected


def test_xarray_opens_every_group(store_path):
    for split in SPLITS:
        for group in ("", "/columns", "/images", "/instances", "/variants"):
            for consolidated in (True, False):
                found = xarray.open_zarr(store_path, group=split + group, consolidated=consolidated)
                found.load()
        masks = xarray.open_zarr(store_path, group=split).semantic
        name = str(masks["name"].values[3])
        assert np.array_equal(masks.sel(name=name), mtfast.open(store_path)[split].semantic(name))


WITHOUT_MTFAST = """
import sys, warnings
warnings.simplefilter("error")
sys.modules["mtfast"] = None
import zarr, xarray
path = sys.argv[1]
total = 0
for split in ("train", "test"):
    for group in ("", "/columns", "/images", "/instances", "/variants"):
        group = split + group
        for name, array in zarr.open_group(path, path=group, mode="r").arrays():
            array[...]
            total += 1
        xarray.open_zarr(path, group=group).load()
print(total, int(zarr.open_array(path, path="train/semantic", mode="r")[:].sum()))
"""


def test_readable_without_mtfast(store_path, store):
    """Everything, in a process that has no mtfast, without a warning."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_MTFAST, store_path], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    n, total = map(int, done.stdout.split())
    columns = (schema.COLUMNS, schema.INSTANCES, schema.VARIANTS)
    assert n == 2 * (2 + 1 + sum(map(len, columns)))
    assert total == sum(int(s.semantic.sum()) for s in store["train"])


def test_lookup(store):
    train = store["train"]
    name = str(train.names[5])
    assert train.index(name) == train.index(name.removesuffix(".jpg")) == train.index(5) == 5
    assert train.index(np.int64(-1)) == len(train) - 1
    assert train[name].index == 5
    assert train[-1].name == train.names[-1]
    with pytest.raises(StoreError, match=f"no image .*; did you mean '{name}'"):
        train.index(name.replace(".jpg", ".png"))
    for bad in (len(train), -len(train) - 1):
        with pytest.raises(IndexError, match="of 20 images; expected an index from -20 to 19"):
            train.semantic(bad)
    with pytest.raises(StoreError, match="no split 'val' .*train"):
        store["val"]
    with pytest.raises(StoreError, match="no variant 'annotations_30' .*annotations_300"):
        train.instances(0, "annotations_30")
    absent = set(range(20)) - set(train.images_of("1_shot/run_0/annotations_300").tolist())
    with pytest.raises(StoreError, match="not in variant"):
        train.instances(absent.pop(), "1_shot/run_0/annotations_300")


def test_out(store):
    train = store["train"]
    mask, image = np.full((240, 320), 9, np.uint8), np.full((240, 320, 3), 9, np.uint8)
    assert train.semantic(2, out=mask) is mask
    np.testing.assert_array_equal(mask, train.semantic(2))
    assert train.image(2, out=image) is image
    np.testing.assert_array_equal(image, train.image(2))
    for bad in (np.zeros((3, 3), np.uint8), mask.astype(np.uint16), np.asfortranarray(mask)):
        with pytest.raises(StoreError, match=r"expected \(240, 320\), uint8, in C order"):
            train.semantic(2, out=bad)


def test_out_that_is_read_only(store, tmp_path):
    """Decoders write through the address: a mapped file would kill the process."""
    train = store["train"]
    for read, shape in ((train.semantic, (240, 320)), (train.image, (240, 320, 3))):
        for out in read_only_frames(tmp_path / "pixels", shape, np.uint8):
            with pytest.raises(MtfastError, match=r"uint8, read-only; expected \(240, 320"):
                read(2, out=out)
            assert not out.any()


def test_reads_are_reads(store):
    """No result is kept: changing one does not change the next."""
    train = store["train"]
    first = train.semantic(0)
    before = first.copy()
    first[:] = 200
    np.testing.assert_array_equal(train.semantic(0), before)


def test_pickles_small(store):
    store["train"].instances(0)
    store["train"].semantic(0)
    for thing in (store, store["train"]):
        data = pickle.dumps(thing)
        assert len(data) < 1000
        assert len(pickle.loads(data)) == len(thing)


def checksum(split) -> list[int]:
    return [int(split.semantic(i).sum()) + int(split.image(i)[0, 0, 0]) for i in range(len(split))]


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_survives_other_processes(store, method):
    expected = checksum(store["train"])
    store["train"].semantic(0)
    n = 2 if method == "fork" else 1
    with multiprocessing.get_context(method).Pool(n) as pool:
        assert pool.map(checksum, [store["train"]] * 3) == [expected] * 3


@pytest.mark.parametrize("open_files", [OPEN_FILES, 1])
def test_threads_share_a_store(store, monkeypatch, open_files):
    """Also where each closes the files that the others read."""
    monkeypatch.setattr("mtfast.store.reading.files.OPEN_FILES", open_files)
    expected = checksum(store["train"])
    fresh = mtfast.open(store.path)["train"]
    with ThreadPoolExecutor(8) as pool:
        for result in pool.map(lambda _: checksum(fresh), range(16)):
            assert result == expected


@pytest.mark.parametrize("name", ["image", "semantic", "instances"])
@pytest.mark.parametrize("cropped", [False, True])
def test_threads_decode_at_once(store, monkeypatch, cropped, name):
    """Each waits for the other while it decodes; they get on only if no lock is held."""
    split = store["train"]
    window = 10, 20, 40, 50

    def sample(image):
        return split.crop(image, *window) if cropped else split[image]

    expected = [getattr(sample(image), name) for image in (3, 8)]
    both = Barrier(2, timeout=30)

    def waiting(method):
        def wait_and_call(self, image, *arguments):
            both.wait()
            return method(self, image, *arguments)

        return wait_and_call

    for door in ("image", "semantic", "instances", "crop_image"):
        monkeypatch.setattr(Split, door, waiting(getattr(Split, door)))
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda image: getattr(sample(image), name), (3, 8)))
    if name == "instances":
        found, expected = ([table.rle for table in tables] for tables in (found, expected))
    for pixels, wanted in zip(found, expected, strict=True):
        assert np.array_equal(pixels, wanted)


def test_a_file_that_is_read_stays_open(tmp_path):
    """Another thread may open so many files meanwhile that this one is dropped."""
    for k in range(OPEN_FILES + 20):
        (tmp_path / str(k)).write_bytes(b"%d" % k)
    files = LocalFiles(tmp_path)
    first = files.open("0")
    others = [files.open(str(k)) for k in range(1, OPEN_FILES + 20)]
    assert files.open("0") is not first
    assert first.read(0, 1) == b"0"
    assert others[0].read(0, 1) == b"1"


def test_open_files_are_bounded(tmp_path):
    for k in range(OPEN_FILES + 20):
        (tmp_path / str(k)).write_bytes(b"x")
    before = len(os.listdir("/dev/fd"))
    files = LocalFiles(tmp_path)
    for k in range(OPEN_FILES + 20):
        assert files.open(str(k)).read(0, 1) == b"x"
    assert len(os.listdir("/dev/fd")) - before <= OPEN_FILES
    del files
    assert len(os.listdir("/dev/fd")) <= before


def test_other_codecs_are_read_through_zarr(broken, store):
    """A store that another program has rewritten still reads."""
    from zarr.codecs import BloscCodec

    for name in ("semantic", "name", "instances/rle", "instances/id"):
        path = broken / "train" / name
        data = zarr.open_array(path, mode="r")[...]
        dims = zarr.open_array(path, mode="r").metadata.dimension_names
        shutil.rmtree(path)
        zarr.create_array(
            path,
            shape=data.shape,
            dtype=str if name == "name" else data.dtype,
            chunks=(min(data.shape[0], 4000), *data.shape[1:]),
            compressors=BloscCodec(typesize=1),
            dimension_names=dims,
        )[...] = data
    reseal(broken)
    for i in range(20):
        ours, theirs = mtfast.open(broken)["train"], store["train"]
        assert ours.names[i] == theirs.names[i]
        np.testing.assert_array_equal(ours.semantic(i), theirs.semantic(i))
        assert ours.instances(i).area().tolist() == theirs.instances(i).area().tolist()


def test_shards_hold_what_they_say(tmp_path):
    path = tmp_path / "c.0"
    write_shard(path, [b"first", b"", b"third"], 5)
    raw = path.read_bytes()
    index = read_index(raw[-index_bytes(5) :], str(path))
    assert [raw[a : a + n] for a, n in index[:3].tolist()] == [b"first", b"", b"third"]
    assert (index[3:] == 2**64 - 1).all()
    assert os.listdir(tmp_path) == ["c.0"]

    def failing():
        yield b"first"
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        write_shard(tmp_path / "c.1", failing(), 5)
    assert os.listdir(tmp_path) == ["c.0"]


def set_attributes(path: Path, **attributes) -> None:
    metadata = json.loads((path / "zarr.json").read_text())
    metadata["attributes"].update(attributes)
    (path / "zarr.json").write_text(json.dumps(metadata))


def test_open_refuses(broken, tmp_path):
    with pytest.raises(StoreError, match="no store at"):
        mtfast.open(tmp_path / "nothing")
    with pytest.raises(StoreError, match=r"no zarr\.json"):
        mtfast.open(tmp_path)
    set_attributes(broken, complete=False)
    with pytest.raises(StoreError, match="incomplete.*overwrite=True"):
        mtfast.open(broken)
    set_attributes(broken, complete=True)
    metadata = (broken / "zarr.json").read_text()
    (broken / "zarr.json").write_text(metadata.replace("n_images", "n_pictures"))
    with pytest.raises(StoreError, match="are damaged: their checksum does not match"):
        mtfast.open(broken)
    with pytest.raises(StoreError, match="damaged: its attribute 'n_images' is None"):
        mtfast.open(broken, verify=False)
    set_attributes(broken, mtfast_format=schema.FORMAT + 1)
    with pytest.raises(StoreError, match="layout version 3; expected 2; update mtfast or"):
        mtfast.open(broken)
    set_attributes(broken, mtfast_format=1)
    with pytest.raises(StoreError, match="layout version 1; expected 2; convert the set again"):
        mtfast.open(broken)
    zarr.create_group(tmp_path / "other.zarr")
    with pytest.raises(StoreError, match="did not write"):
        mtfast.open(tmp_path / "other.zarr")
    (broken / "zarr.json").write_text("{")
    with pytest.raises(StoreError, match="damaged"):
        mtfast.open(broken)


def damage(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 0x55
    path.write_bytes(data)


def test_damaged_shards_are_errors(broken):
    shard = broken / "train" / "semantic" / "c.0.0.0"
    whole = shard.read_bytes()
    damage(shard, -10)
    with pytest.raises(StoreError, match="damaged index"):
        mtfast.open(broken)["train"].semantic(0)
    shard.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(StoreError, match="index"):
        mtfast.open(broken)["train"].semantic(0)
    shard.write_bytes(b"")
    with pytest.raises(StoreError, match="expected an index"):
        mtfast.open(broken)["train"].semantic(0)
    shard.unlink()
    with pytest.raises(StoreError, match="cannot be read"):
        mtfast.open(broken)["train"].semantic(0)
    damage(broken / "train" / "images" / "file" / "c.0.0", 17)
    with pytest.raises(StoreError, match=r"image 0 in .*images.file is damaged: its checksum"):
        mtfast.open(broken)["train"].image(0)
    with pytest.raises(StoreError, match="image 0 .* does not decode"):
        mtfast.open(broken, verify=False)["train"].image(0)
    assert mtfast.open(broken)["train"].semantic(7).shape == (240, 320)


def test_mask_of_another_size_is_an_error(broken):
    import imagecodecs

    for wrong in (np.zeros(100, np.uint8), np.zeros(240 * 320 + 1, np.uint8)):
        chunk = seal(imagecodecs.zstd_encode(wrong.tobytes()))
        write_shard(broken / "train" / "semantic" / "c.0.0.0", [chunk] * 7, 7)
        with pytest.raises(StoreError, match="does not decode"):
            mtfast.open(broken, verify=False)["train"].semantic(0)
        with pytest.raises(StoreError, match="its checksum does not match"):
            mtfast.open(broken)["train"].semantic(0)


def test_a_store_that_is_replaced_while_it_is_open(broken, tmp_path):
    train = mtfast.open(broken)["train"]
    train.semantic(0)
    shutil.copytree(broken, tmp_path / "new.zarr", copy_function=shutil.copyfile)
    shutil.rmtree(broken)
    (tmp_path / "new.zarr").rename(broken)
    with pytest.raises(StoreError, match="has been replaced since it was opened"):
        train.semantic(19)
    assert mtfast.open(broken)["train"].semantic(19).shape == (240, 320)


def test_relative_paths_survive_a_change_of_folder(store_path, tmp_path, monkeypatch):
    monkeypatch.chdir(store_path.parent)
    relative = mtfast.open(store_path.name)
    pickled = pickle.dumps(relative)
    monkeypatch.chdir(tmp_path)
    assert relative["train"].semantic(0).shape == (240, 320)
    assert pickle.loads(pickled)["train"].semantic(0).shape == (240, 320)


def test_a_shard_that_changes_under_an_open_store(broken):
    """Also to one of the same length: it has other offsets than those already read."""
    shard = broken / "train" / "semantic" / "c.0.0.0"
    whole = shard.read_bytes()
    for write in (
        lambda: write_shard(shard, [b"x"] * 7, 7),
        lambda: shard.write_bytes(whole[::-1]),
    ):
        shard.write_bytes(whole)
        os.utime(shard, ns=(1, 1))
        train = mtfast.open(broken)["train"]
        train.semantic(0)
        write()
        train._files.open.cache_clear()
        with pytest.raises(StoreError, match="changed since"):
            train.semantic(0)


@pytest.mark.parametrize(
    "column",
    [
        "instances/rle_offsets",
        "instances/area",
        "variants/instance",
        "variants/image",
        "variants/row_offsets",
        "variants/entry_offsets",
        "variants/position",
    ],
)
def test_damaged_columns_are_errors(broken, column):
    def read_all():
        train = mtfast.open(broken)["train"]
        return [train.table(variant) for variant in train.variants]

    path = broken / "train" / column
    values = read_column(LocalFiles(broken), f"train/{column}")
    shutil.copytree(path / "c", path / "kept")
    damage(path / "c" / "0", -20)
    with pytest.raises(StoreError, match="damaged"):
        read_all()
    shutil.rmtree(path / "c")
    with pytest.raises(StoreError, match="cannot be read"):
        read_all()
    (path / "kept").rename(path / "c")
    assert len(read_all()) > 1
    array = zarr.open_array(path, mode="r+")
    wrong = values.copy()
    wrong[-1] = 10**9
    array[...] = wrong
    with pytest.raises(StoreError, match="its checksum does not match"):
        read_all()
    reseal(broken)
    if column not in ("instances/area", "variants/position"):
        with pytest.raises(StoreError, match="is damaged; expected"):
            read_all()
    array.resize((len(values) - 1,))
    reseal(broken)
    with pytest.raises(StoreError, match="expected"):
        read_all()


@pytest.mark.parametrize(
    "column", ["instances/rle_offsets", "variants/row_offsets", "variants/entry_offsets"]
)
def test_offsets_before_the_beginning(broken, column):
    """They would be read from the end."""
    array = zarr.open_array(broken / "train" / column, mode="r+")
    array[0] = -1
    reseal(broken)
    train = mtfast.open(broken)["train"]
    with pytest.raises(StoreError, match="is damaged; expected ascending offsets from 0"):
        train.table(train.variants[0])


@pytest.mark.parametrize("column", ["variants/image", "variants/instance"])
def test_indices_outside(broken, column):
    """One before the first, or one after the last."""
    n = {"variants/image": 20, "variants/instance": None}[column]
    n = n or zarr.open_array(broken / "train" / "instances" / "id", mode="r").shape[0]
    array = zarr.open_array(broken / "train" / column, mode="r+")
    for wrong in (-1, n):
        array[0] = wrong
        reseal(broken)
        train = mtfast.open(broken)["train"]
        with pytest.raises(StoreError, match=f"is damaged; expected indices from 0 to {n - 1}"):
            train.table(train.variants[0])


@pytest.mark.parametrize("column", ["instances/rle_offsets", "variants/entry_offsets"])
def test_offsets_that_descend(broken, column):
    array = zarr.open_array(broken / "train" / column, mode="r+")
    array[1] = array[2] + 1
    reseal(broken)
    train = mtfast.open(broken)["train"]
    with pytest.raises(StoreError, match="is damaged; expected ascending offsets"):
        train.table(train.variants[0])


@pytest.mark.parametrize("complete", [None, False, "true", 1])
def test_only_a_complete_store_is_opened(broken, complete):
    file = broken / "zarr.json"
    metadata = json.loads(file.read_text())
    del metadata["attributes"]["complete"]
    if complete is not None:
        metadata["attributes"]["complete"] = complete
    file.write_text(json.dumps(metadata))
    with pytest.raises(StoreError, match="is incomplete"):
        mtfast.open(broken)


def test_malformed_text_in_a_store_is_an_error(broken):
    zarr.open_array(broken / "train" / "instances" / "rle", mode="r+")[:] = 255
    with pytest.raises(StoreError, match="the masks of image 0 in .* are damaged"):
        mtfast.open(broken)["train"].instances(0)
    with pytest.raises(mtfast.RLEError, match="outside '0'"):
        mtfast.open(broken, verify=False)["train"].instances(0).area()


def exchange(folder: Path, first: str, second: str) -> None:
    kept = (folder / first).read_bytes()
    (folder / first).write_bytes((folder / second).read_bytes())
    (folder / second).write_bytes(kept)


@pytest.mark.parametrize(
    ("array", "ends", "read"),
    [("semantic", ".0.0", "semantic"), ("images/file", ".0", "image")],
)
def test_exchanged_shards_are_noticed(broken, array, ends, read):
    """Each is whole, and of other images."""
    exchange(broken / "train" / array, f"c.0{ends}", f"c.1{ends}")
    with pytest.raises(StoreError, match="image 2 in .* is damaged: its checksum"):
        getattr(mtfast.open(broken)["train"], read)(2)


@pytest.mark.parametrize("name", ["semantic", "images/file", "instances/rle", "crop_index/bits"])
def test_no_flipped_bit_gives_other_pixels(indexed_store, tmp_path, name, rng):
    """Of masks, images, windows and instances: an error, or what it was before."""
    path = Path(shutil.copytree(indexed_store, tmp_path / "flipped.zarr"))
    (file, *_) = sorted(f for f in (path / "train" / name).rglob("*[0-9]") if f.is_file())
    sound = file.read_bytes()
    expected = [read(mtfast.open(indexed_store)["train"]) for read in READS]
    found = 0
    for at in rng.integers(0, 8 * len(sound), 60).tolist():
        flipped = bytearray(sound)
        flipped[at >> 3] ^= 1 << (at & 7)
        file.write_bytes(flipped)
        train = mtfast.open(path)["train"]
        for read, wanted in zip(READS, expected, strict=True):
            try:
                got = read(train)
            except StoreError:
                found += 1
            else:
                assert all(map(np.array_equal, got, wanted))
    assert found > 5


READS = (
    lambda train: [train.semantic(k) for k in range(7)],
    lambda train: [train.image(k) for k in range(7)],
    lambda train: [train.crop_image(k, 30, 40, 60, 70) for k in range(7)],
    lambda train: [train.instances(k).rle for k in range(7)],
)


@pytest.fixture(scope="module")
def indexed_store(small_set, tmp_path_factory):
    path = tmp_path_factory.mktemp("stores") / "indexed.zarr"
    return mtfast.convert(small_set, path, shard=7, splits=["train"], crop_index=True)


def test_two_hundred_images(tmp_path):
    """Images, files and masks of a set of several shards equal the source."""
    from mtfast.synth import make_set

    folder = make_set(tmp_path / "set", train=200, test=0, size=(96, 128), workers=1)
    train = mtfast.open(mtfast.convert(folder, tmp_path / "set.zarr"))["train"]
    source = mtfast.open_source(folder)
    table = source.table("train", train.semantic_variant)
    for image in map(table.image, range(table.n_images)):
        name = str(image.names[0])
        np.testing.assert_array_equal(train.semantic(name), paint_with_pycocotools(image))
        assert train.image_bytes(name) == source.read_image("train", name)
        expected = np.asarray(Image.open(folder / "train_images" / name))
        np.testing.assert_array_equal(train.image(name), expected)


def test_a_thousand_images_of_labels(tmp_path):
    """Every mask of a larger set equals painting with pycocotools in annotation order."""
    from mtfast.synth import make_set

    folder = make_set(
        tmp_path / "set", train=1000, test=0, size=(120, 160), images=False, classes=10, workers=1
    )
    train = mtfast.open(mtfast.convert(folder, tmp_path / "set.zarr", images="none"))["train"]
    table = mtfast.open_source(folder).table("train", "annotations_with_class_200")
    masks = zarr.open_array(tmp_path / "set.zarr" / "train" / "semantic", mode="r")[:]
    assert table.n_images == len(train) == 1000
    assert table.n_instances > 1000
    for image in map(table.image, range(table.n_images)):
        expected = paint_with_pycocotools(image)
        np.testing.assert_array_equal(train.semantic(str(image.names[0])), expected)
        np.testing.assert_array_equal(masks[train.index(str(image.names[0]))], expected)
