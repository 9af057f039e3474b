"""Stores in buckets and on web servers: equal to the folder they were copied from, and cheap."""

from __future__ import annotations

import os
import pickle
import shutil
import threading

import numpy as np
import pytest

import mtfast
from faulty_server import faulty_server
from mtfast.addresses import Address
from mtfast.cli import main
from mtfast.errors import MtfastError, RemoteError, StoreError
from mtfast.remote import objects_at
from mtfast.store.reading import chunks, remote_files

pytest.importorskip("obstore")


@pytest.fixture
def served(tiny_store, tmp_path, monkeypatch):
    """A server that has a copy of the tiny store as ``set.zarr``."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MTFAST_RETRIES", "2")
    shutil.copytree(tiny_store, tmp_path / "set.zarr")
    with faulty_server(tmp_path) as server:
        yield server


@pytest.fixture
def address(served):
    return f"{served.url}/set.zarr"


@pytest.fixture
def in_bucket(tiny_store, bucket):
    """The address of a copy of the tiny store in a bucket."""
    objects = objects_at(Address.parse(f"{bucket}/set.zarr"))
    for file in sorted(tiny_store.rglob("*")):
        if file.is_file():
            objects.write(file.relative_to(tiny_store).as_posix(), file.read_bytes())
    return f"{bucket}/set.zarr"


def opened(address):
    """Open the split, with all columns, of which some are read before anyone asks for them."""
    train = mtfast.open(address)["train"]
    train.image(0), train.instances(0)
    for column in list(train.store.files._columns.values()):
        column.result()
    return train


def expect_equal(store, expected):
    assert store.splits == expected.splits
    for name, split in expected.items():
        other = store[name]
        assert other.names.tolist() == split.names.tolist()
        assert np.array_equal(other.image(slice(None)), split.image(slice(None)))
        assert np.array_equal(other.semantic(slice(None)), split.semantic(slice(None)))
        for index in range(len(split)):
            assert other.image_bytes(index) == split.image_bytes(index)
            window = (index, 20 + index, 30, 40, 50)
            assert np.array_equal(other.crop_image(*window), split.crop_image(*window))
            ours, theirs = other.instances(index), split.instances(index)
            assert ours.rle.tobytes() == theirs.rle.tobytes()
            assert ours.category_ids.tolist() == theirs.category_ids.tolist()


def test_a_store_on_a_web_server_is_the_same(address, tiny_store):
    expect_equal(mtfast.open(address), mtfast.open(tiny_store))


def test_a_store_in_a_bucket_is_the_same(in_bucket, tiny_store):
    store = mtfast.open(in_bucket)
    expect_equal(store, mtfast.open(tiny_store))
    assert str(store.path) == in_bucket
    assert f"<mtfast store {in_bucket}" in repr(store)


def test_sizes_of_all_kinds_are_read(mixed_store, tmp_path):
    shutil.copytree(mixed_store, tmp_path / "set.zarr")
    local = mtfast.open(mixed_store)
    with faulty_server(tmp_path) as server:
        store = mtfast.open(f"{server.url}/set.zarr")
        for name, split in local.items():
            for index in range(len(split)):
                assert np.array_equal(store[name].image(index), split.image(index))
                assert np.array_equal(store[name].semantic(index), split.semantic(index))


def test_requests_are_as_few_as_the_documentation_says(served, address):
    store = mtfast.open(address)
    assert len(served.requests) == 1, "metadata are one file"
    assert store.splits == ("train", "test")
    train = opened(address)
    for index in (0, 4, 8):
        # One image, mask and window of each shard of four images: the warm-up.
        train.image(index), train.semantic(index), train.crop_image(index, 8, 8, 32, 32)
        train.instances(index)
    for index in (1, 5, 9):
        served.requests.clear()
        train.image(index)
        assert len(served.gets) == len(served.requests) == 1
    for index in (2, 6):
        served.requests.clear()
        train.crop_image(index, 8, 8, 32, 32)
        assert len(served.gets) == len(served.requests) == 1
    served.requests.clear()
    train.semantic(7), train.instances(3)
    assert served.requests == []


def test_a_window_of_a_large_file_takes_two_requests(served, address, monkeypatch):
    monkeypatch.setattr(remote_files, "GAP", 64)
    train = opened(address)
    train.crop_image(0, 8, 8, 16, 16)
    served.requests.clear()
    train.crop_image(2, 76, 8, 16, 16)
    assert len(served.requests) == 2
    assert sum(asked.n_bytes for asked in served.requests) < train.file_sizes[2]


def test_what_has_been_dropped_from_memory_is_read_by_ranges(served, address, monkeypatch):
    monkeypatch.setattr(remote_files, "HELD_BYTES", 1)
    monkeypatch.setattr(remote_files, "AHEAD_BYTES", 1)
    train = opened(address)
    for index in (0, 4, 8):
        train.semantic(index), train.crop_image(index, 8, 8, 32, 32)
    served.requests.clear()
    train.semantic(1)
    assert len(served.requests) == 1
    served.requests.clear()
    train.crop_image(2, 8, 8, 32, 32)
    # Three arrays of the crop index, and what of the file has not been dropped before it was used.
    assert 4 <= len(served.requests) <= 7


def test_columns_are_read_side_by_side(served, address):
    served.latency = 0.02
    train = mtfast.open(address)["train"]
    assert train.heights[0] == 96
    served.latency = 0.0
    assert served.most > 3


def test_many_images_are_read_side_by_side(served, address, tiny_store):
    train = opened(address)
    served.latency = 0.02
    images = train.image(list(range(10)))
    assert served.most > 3
    assert np.array_equal(images, mtfast.open(tiny_store)["train"].image(slice(None)))


def test_what_was_fetched_ahead_is_not_read_again(served, address):
    train = opened(address)
    train.crop_image(0, 0, 0, 8, 8)
    served.requests.clear()
    train.fetch_ahead(3)
    train.image(3), train.crop_image(3, 8, 8, 32, 32)
    assert len([asked for asked in served.requests if "images" in asked.path]) <= 2
    train.image(3)
    assert len([asked for asked in served.requests if "images" in asked.path]) <= 2


def test_indexes_of_shards_are_kept_up_to_a_limit(tiny_store, monkeypatch):
    monkeypatch.setattr(chunks, "INDEX_BYTES", 1)
    train = mtfast.open(tiny_store)["train"]
    for _ in range(2):
        for index in range(10):
            train.image_bytes(index)
            assert len(train._images.files._chunks._indexes) == 1


def test_a_store_that_was_replaced_is_told(served, address, tiny_store, monkeypatch):
    monkeypatch.setattr(remote_files, "LOOK_AGAIN", 0.0)
    train = opened(address)
    root = served.folder / "set.zarr" / "zarr.json"
    root.write_bytes(root.read_bytes() + b"\n")
    with pytest.raises(StoreError, match=r"set\.zarr has been replaced since it was opened"):
        train.image(5)


def test_a_shard_that_was_replaced_is_told(served, address):
    train = opened(address)
    shard = served.folder / "set.zarr/train/images/file/c.0.0"
    shard.write_bytes(shard.read_bytes())
    with pytest.raises(StoreError, match="has been replaced since it was opened"):
        train.image(1)


def test_a_store_that_was_removed_is_told(served, address):
    train = opened(address)
    shutil.rmtree(served.folder / "set.zarr")
    with pytest.raises(StoreError, match="has been replaced since it was opened"):
        train.image(5)


def test_a_file_that_is_missing_is_named(served, address):
    train = opened(address)
    (served.folder / "set.zarr/train/images/file/c.1.0").unlink()
    with pytest.raises(StoreError, match=r"set\.zarr/train/images/file/c\.1\.0 is not there"):
        train.image(5)


def test_what_is_no_store_is_told_in_one_line(served, bucket):
    for place in (served.url, bucket):
        with pytest.raises(StoreError, match=r"no zarr\.json in .*/none\.zarr; expected") as caught:
            mtfast.open(f"{place}/none.zarr")
        assert "\n" not in str(caught.value)
    with pytest.raises(MtfastError, match="begins with none://"):
        mtfast.open("none://host/set.zarr")


def test_a_conversion_that_did_not_finish_is_told(served, address):
    root = served.folder / "set.zarr/zarr.json"
    root.write_text(root.read_text().replace('"complete": true', '"complete": false'))
    with pytest.raises(StoreError, match="is incomplete, its conversion did not finish"):
        mtfast.open(address)


@pytest.mark.parametrize("fault", ["500", "cut"])
def test_faults_that_pass_are_not_noticed(served, address, tiny_store, fault):
    failed = set()

    def first_of_each(number, path):
        is_first = path not in failed
        failed.add(path)
        return fault if is_first else None

    served.fault = first_of_each
    images = mtfast.open(address)["train"].image([0, 5, 9])
    assert np.array_equal(images, mtfast.open(tiny_store)["train"].image([0, 5, 9]))


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("500", "cannot be reached"),
        ("cut", "cannot be reached"),
        ("short", "cannot be reached"),
        ("hang", "cannot be reached"),
        ("403", "is refused"),
        ("whole", "is on a server that sends whole files"),
    ],
)
def test_faults_that_stay_are_told_in_one_line(served, address, monkeypatch, fault, words):
    monkeypatch.setenv("MTFAST_TIMEOUT", "0.1")
    train = opened(address)
    served.requests.clear()
    served.fault = lambda number, path: fault
    with pytest.raises(RemoteError, match=words) as caught:
        train.image(1)
    assert "\n" not in str(caught.value)
    assert len(served.requests) <= 3, "a request and two more"


def test_bytes_that_are_wrong_are_no_pixels(served, address):
    train = opened(address)
    train.crop_image(0, 0, 0, 8, 8)
    served.fault = lambda number, path: "wrong"
    for read in (lambda: train.image(1), lambda: train.crop_image(2, 8, 8, 32, 32)):
        with pytest.raises(StoreError, match="checksum"):
            read()
    with pytest.raises(StoreError, match="damaged"):
        train.semantic(5)


def test_a_server_without_etags_serves(served, address, caplog):
    served.etags = False
    mtfast.open(address)["train"].image(0)
    served.dates = False
    mtfast.open(address)["train"].image(0)
    assert "sends neither ETag nor Last-Modified" in caplog.text


def test_settings_that_are_no_numbers_are_told(served, address, monkeypatch):
    monkeypatch.setenv("MTFAST_TIMEOUT", "soon")
    with pytest.raises(RemoteError, match="MTFAST_TIMEOUT is 'soon'; expected a number"):
        mtfast.open(address)


def test_a_pickled_store_opens_its_own(address, tiny_store, tmp_path):
    store = mtfast.open(address, disk_cache=tmp_path / "cache", disk_cache_bytes=10**8)
    expected = mtfast.open(tiny_store)["train"].image(3)
    split = pickle.loads(pickle.dumps(store))["train"]
    assert np.array_equal(split.image(3), expected)
    assert np.array_equal(pickle.loads(pickle.dumps(split)).image(3), expected)
    assert split.store.cache == store["train"].store.cache is not None


def in_child(function):
    """Call a function in a forked process; return what it returns."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            answer = pickle.dumps(function())
        except BaseException as error:
            answer = pickle.dumps(repr(error))
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(answer)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = pipe.read()
    os.waitpid(pid, 0)
    return pickle.loads(answer)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_forked_processes_read_while_the_parent_does(address, tiny_store):
    train, local = mtfast.open(address)["train"], mtfast.open(tiny_store)["train"]
    train.image(0)
    stopped = threading.Event()

    def read_on():
        while not stopped.is_set():
            train.store.files.fetch("train/images/file/c.0.0", 0, 100)

    threads = [threading.Thread(target=read_on) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        found = in_child(lambda: [train.image(5), in_child(lambda: train.image(6))])
    finally:
        stopped.set()
        for thread in threads:
            thread.join()
    assert np.array_equal(found[0], local.image(5))
    assert np.array_equal(found[1], local.image(6))


def test_the_disk_cache_saves_requests_and_survives_damage(served, address, tiny_store, tmp_path):
    folder, local = tmp_path / "cache", mtfast.open(tiny_store)["train"]

    def read():
        train = mtfast.open(address, disk_cache=folder)["train"]
        assert np.array_equal(train.image(3), local.image(3))
        assert np.array_equal(train.semantic(3), local.semantic(3))
        assert np.array_equal(train.crop_image(4, 8, 8, 32, 32), local.crop_image(4, 8, 8, 32, 32))

    read()
    served.requests.clear()
    read()
    assert [asked.path for asked in served.requests] == ["set.zarr/zarr.json"]
    for file in folder.rglob("*"):
        if file.is_file():
            data = bytearray(file.read_bytes())
            data[len(data) // 2] ^= 1
            file.write_bytes(data)
    served.requests.clear()
    read()
    assert len(served.requests) > 5


def test_a_disk_cache_is_of_one_version_of_a_store(served, address, tmp_path):
    mtfast.open(address, disk_cache=tmp_path / "cache")["train"].image(3)
    root = served.folder / "set.zarr" / "zarr.json"
    root.write_bytes(root.read_bytes() + b"\n")
    served.requests.clear()
    mtfast.open(address, disk_cache=tmp_path / "cache")["train"].image(3)
    assert len(served.requests) > 5


def test_a_folder_has_no_disk_cache(tiny_store, tmp_path):
    with pytest.raises(MtfastError, match="which is on this machine; expected an address"):
        mtfast.open(tiny_store, disk_cache=tmp_path)


def test_arrays_in_other_forms_are_read_through_zarr(served, address, tiny_store):
    zarr = pytest.importorskip("zarr")
    local = mtfast.open(tiny_store)["train"]
    path = served.folder / "set.zarr/train/semantic"
    shutil.rmtree(path)
    masks = local.semantic(slice(None))
    made = zarr.create_array(path, shape=masks.shape, chunks=(1, 96, 128), dtype=masks.dtype)
    made[:] = masks
    from mtfast.store.reading.files import StoreFiles
    from mtfast.store.reading.remote_files import RemoteFiles

    files: StoreFiles = RemoteFiles(Address.parse(address))
    array = files.open_with_zarr("train/semantic")
    assert np.array_equal(array[3], masks[3])


def test_a_signed_address_is_refused(address):
    with pytest.raises(StoreError, match=r"set\.zarr\?… is a signed address of one file"):
        mtfast.open(f"{address}?signature=secret")


@pytest.mark.parametrize(
    "command",
    [
        "info ADDRESS",
        "info ADDRESS --areas areas.csv",
        "preview ADDRESS -o sheet.png -n 2",
        "check ADDRESS",
        "masks ADDRESS masks --format png --workers 1",
        "bench ADDRESS --crop 32 --samples 4",
    ],
)
def test_commands_take_an_address(address, tmp_path, monkeypatch, capsys, command):
    pytest.importorskip("pycocotools")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(command.replace("ADDRESS", address).split())
    assert ended.value.code == 0, capsys.readouterr().err
    if "-" not in command:
        assert address in capsys.readouterr().out


@pytest.mark.parametrize("command", ["index ADDRESS", "check ADDRESS --repair ."])
def test_commands_that_write_into_a_store_refuse_an_address(address, capsys, command):
    with pytest.raises(SystemExit) as ended:
        main(command.replace("ADDRESS", address).split())
    assert ended.value.code == 2
    words = capsys.readouterr().err
    assert words.startswith("mtfast: error: ")
    assert words.count("\n") == 1


def test_check_reads_a_store_elsewhere(address, in_bucket, served):
    for place in (address, in_bucket):
        found = mtfast.check_store(place)
        assert found.is_whole, found.findings
        assert found.n_images == {"train": 10, "test": 4}
        assert found.path == place
    shard = served.folder / "set.zarr/train/images/file/c.1.0"
    data = bytearray(shard.read_bytes())
    data[len(data) // 3] ^= 1
    shard.write_bytes(data)
    (served.folder / "set.zarr/train/semantic/c.0.0.0").unlink()
    kinds = {finding.kind for finding in mtfast.check_store(address).findings}
    assert {"damaged image file", "missing file"} <= kinds


def test_what_writes_into_a_store_is_refused_elsewhere(address):
    with pytest.raises(StoreError, match="is elsewhere, where files are not made again"):
        mtfast.check_store(address, repair=True)
    from mtfast.conversion.crop_index import add_crop_index

    with pytest.raises(StoreError, match="is elsewhere, where no crop index can be added"):
        add_crop_index(address)
