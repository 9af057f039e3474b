"""Files in a zip, beside what zipfile reads; and zips that are cut off, damaged or hostile."""

from __future__ import annotations

import os
import pickle
import struct
import zipfile
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context

import pytest

import mtfast
from mtfast.errors import SourceError
from mtfast.sources.trees.listed import ListedTree
from mtfast.sources.trees.places import place_of
from mtfast.sources.trees.zip_file import ZipContents
from own_sets import make_labelme_set, make_own_sets
from packing import pack

METHODS = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2]


@pytest.fixture
def contents(rng):
    return {
        "set/train_images/a.jpg": rng.bytes(5000),
        "set/train_images/empty.jpg": b"",
        "set/annotations/train.json": b'{"images": []}' * 3000,
        "set/deep/er/naïve 文.txt": b"x",
        "readme.txt": b"hello",
    }


def write(path, contents, method=zipfile.ZIP_STORED, comment=b""):
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.comment = comment
        for name, data in contents.items():
            archive.writestr(name, data)
    return path


def tree_of(path):
    return ListedTree(ZipContents(path))


def read_all(path):
    files = tree_of(path)
    return {name: files.read(name) for name in files.walk()}


@pytest.mark.parametrize("method", METHODS)
def test_all_files_are_read(tmp_path, contents, method):
    path = write(tmp_path / "a.zip", contents, method, b"a comment")
    assert read_all(path) == contents
    files = tree_of(path)
    assert (files.names(), files.folders()) == (["readme.txt"], ["set"])
    assert files.names("set/train_images") == ["a.jpg", "empty.jpg"]
    assert files.folders("set") == ["annotations", "deep", "train_images"]
    assert (files.names("none"), files.exists("set"), files.exists("readme.txt")) == (
        None,
        False,
        True,
    )
    inner = files.below("set/deep")
    assert (inner.name, inner.location, inner.parent) == (
        "deep",
        path / "set" / "deep",
        files.below("set"),
    )
    assert (files.parent, files.local("readme.txt"), files.name) == (None, None, "a")
    with zipfile.ZipFile(path) as archive:
        for found in archive.infolist():
            assert files.stamp(found.filename) == [found.file_size, found.CRC]
    for call in (files.read, files.open, files.stamp):
        with pytest.raises(FileNotFoundError):
            call("set/none")
        with pytest.raises(FileNotFoundError):
            call("set/../readme.txt")


@pytest.mark.parametrize("method", METHODS)
def test_an_open_file_is_read_at_any_place(tmp_path, rng, monkeypatch, method):
    """Also where it is too long to be held in memory."""
    monkeypatch.setattr("mtfast.sources.trees.zip_file._MOST_HELD", 1000)
    data = rng.bytes(300_000)
    files = tree_of(write(tmp_path / "a.zip", {"a.bin": data}, method))
    with files.open("a.bin") as file:
        assert file.read(10) == data[:10]
        assert file.seek(-5, os.SEEK_END) == len(data) - 5
        assert file.read() == data[-5:]
        file.seek(1234)
        assert file.read(200_000) == data[1234:201_234]
        assert file.read(7) == data[201_234:201_241]
        file.seek(0)
        assert file.read() == data
        file.seek(len(data) + 7)
        assert file.read(3) == b""
    path = tmp_path / "a.zip"
    whole = path.read_bytes()
    path.write_bytes(whole[:5000] + bytes([whole[5000] ^ 4]) + whole[5001:])
    with pytest.raises(SourceError, match=r"a.bin is damaged: it "):
        tree_of(path).open("a.bin")


def test_a_comment_that_looks_like_the_end(tmp_path, contents):
    path = write(tmp_path / "a.zip", contents, comment=b"PK\x05\x06" + bytes(30))
    assert read_all(path) == contents


def test_zip64_and_a_program_before_it(tmp_path, monkeypatch, contents):
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 2)
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in contents.items():
            with archive.open(name, "w", force_zip64=True) as file:
                file.write(data)
    data = path.read_bytes()
    assert data.count(b"PK\x06\x06") == 1
    # As it is where there are more entries than 16 bits count.
    path.write_bytes(data[:-14] + b"\xff" * 4 + data[-10:])
    assert read_all(path) == contents
    path.write_bytes(b"#!/bin/sh\nexit\n" * 10 + path.read_bytes())
    files = tree_of(path)
    assert {name: files.read(name) for name in contents} == contents


def test_sizes_beyond_32_bits(tmp_path):
    """A file of 5 GB that is one hole, and another after it: only where things are is read."""
    path = tmp_path / "a.zip"
    hole = 5 << 30
    name, after = b"big.bin", b"after.txt"
    wide = struct.pack("<HHQQ", 1, 16, hole, hole)
    local = struct.pack("<4s5H3L2H", b"PK\3\4", 45, 0, 0, 0, 33, 0, *[2**32 - 1] * 2, 7, 20)
    at = len(local + name + wide) + hole
    small = struct.pack("<4s5H3L2H", b"PK\3\4", 20, 0, 0, 0, 33, 0xED82CD11, 4, 4, 9, 0)
    entry = "<4s6H3L5H2L"
    wide_after = struct.pack("<HHQ", 1, 8, at)
    directory = (
        struct.pack(entry, b"PK\1\2", 45, 45, 0, 0, 0, 33, 0, *[2**32 - 1] * 2, 7, 20, *[0] * 5)
        + name
        + wide
        + struct.pack(
            entry, b"PK\1\2", 45, 45, 0, 0, 0, 33, 0xED82CD11, 4, 4, 9, 12, 0, 0, 0, 0, 2**32 - 1
        )
        + after
        + wide_after
    )
    start = at + len(small + after) + 4
    end64 = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 2, 2, len(directory), start)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, start + len(directory), 1)
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 2, 2, len(directory), 2**32 - 1, 0)
    with path.open("wb") as file:
        file.write(local + name + wide)
        file.seek(at)
        file.write(small + after + b"abcd" + directory + end64 + locator + end)
    with zipfile.ZipFile(path) as archive:
        assert archive.read("after.txt") == b"abcd"
    files = tree_of(path)
    assert files.stamp("big.bin") == [hole, 0]
    assert files.read("after.txt") == b"abcd"
    with pytest.raises(SourceError, match=r"^big.bin has 5,368,709,120 bytes; expected at most 10"):
        files.read("big.bin", 10)


@pytest.mark.parametrize(
    ("stored", "flags", "host", "read"),
    [
        (b"caf\x82.jpg", 0, 0, "café.jpg"),
        ("café.jpg".encode(), 0, 3, "café.jpg"),
        ("café.jpg".encode(), 0x800, 0, "café.jpg"),
        (rb"run\a.jpg", 0, 0, "run/a.jpg"),
        (rb"run\a.jpg", 0, 3, r"run\a.jpg"),
        (b"./run//a.jpg", 0, 3, "run/a.jpg"),
    ],
)
def test_names(tmp_path, stored, flags, host, read):
    path = write(tmp_path / "a.zip", {"x" * len(stored): b"abc"})
    data = path.read_bytes().replace(b"x" * len(stored), stored)
    at = data.index(b"PK\1\2")
    head = data[at + 4 : at + 5] + bytes([host]) + data[at + 6 : at + 8] + struct.pack("<H", flags)
    path.write_bytes(data[: at + 4] + head + data[at + 10 :])
    assert read_all(path) == {read: b"abc"}


def test_entries_that_are_no_files_of_the_set(tmp_path):
    path = write(
        tmp_path / "a.zip",
        {"set/": b"", "set/empty/": b"", "__MACOSX/set/._a.jpg": b"x", "../out.jpg": b"x"},
    )
    files = tree_of(path)
    assert (files.folders(), files.folders("set"), files.names("set")) == (["set"], ["empty"], [])
    assert list(files.walk()) == []


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_file_that_is_there_twice(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in (("same", b"1"), ("same", b"1"), ("other", b"1"), ("other", b"2")):
            archive.writestr(name, data)
    files = tree_of(path)
    assert files.read("same") == b"1"
    with pytest.raises(SourceError, match=r"a.zip/other is there several times, with different"):
        files.read("other")


@pytest.mark.parametrize("n", [1, 21, 22, 100, 1000, 6000])
def test_a_zip_that_is_cut_off(tmp_path, contents, n):
    path = write(tmp_path / "a.zip", contents)
    whole = path.read_bytes()
    path.write_bytes(whole[:-n])
    with pytest.raises(SourceError, match=r"a.zip is cut off or damaged: .*; download it again$"):
        mtfast.open_source(path)
    path.write_bytes(whole[: n - 1] + whole[n + 300 :] if n < 5000 else b"")
    with pytest.raises(SourceError, match=r"a.zip is (cut off or damaged|no zip)|overlap|end;"):
        tree_of(path)


def test_every_wrong_byte_is_noticed_or_none(tmp_path, rng):
    """A bit is turned in every byte: the files are as they were, or the zip is refused."""
    contents = {"a/b.jpg": rng.bytes(40), "a/c.txt": b"abcabcabcabc" * 5}
    path = tmp_path / "a.zip"
    n_noticed = 0
    for method in METHODS[:2]:
        whole = write(path, contents, method).read_bytes()
        for k in range(len(whole)):
            path.write_bytes(whole[:k] + bytes([whole[k] ^ 1 << k % 8]) + whole[k + 1 :])
            try:
                found = read_all(path)
            except SourceError:
                n_noticed += 1
                continue
            # A name has no checksum; where files lie in other folders, they are what they were.
            assert set(found.values()) <= set(contents.values()), k
    assert n_noticed > 200


def test_what_is_not_read_is_said(tmp_path):
    path = write(tmp_path / "a.zip", {"a.jpg": b"abc"}, zipfile.ZIP_LZMA)
    with pytest.raises(SourceError, match=r"a.zip/a.jpg is packed with LZMA; expected Deflate"):
        tree_of(path).read("a.jpg")
    data = bytearray(write(path, {"a.jpg": b"abc"}).read_bytes())
    data[data.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(data)
    with pytest.raises(SourceError, match=r"a.zip/a.jpg is encrypted; expected files that are not"):
        tree_of(path).read("a.jpg")
    path.write_bytes(b"something else")
    with pytest.raises(SourceError, match=r"a.zip is no zip; expected a whole zip; check that"):
        mtfast.open_source(path)


def test_a_local_header_of_another_file(tmp_path):
    path = write(tmp_path / "a.zip", {"a.jpg": b"abc", "b.jpg": b"abc"})
    path.write_bytes(path.read_bytes().replace(b"b.jpg", b"a.jpg", 1))
    files = tree_of(path)
    assert files.read("a.jpg") == b"abc"
    with pytest.raises(SourceError, match=r"b.jpg is damaged: what stands before it is of another"):
        files.read("b.jpg")


def test_small_zips_that_unpack_to_much(tmp_path):
    path = write(tmp_path / "a.zip", {"a": b"abc", "b": b"abcd"})
    data = path.read_bytes()
    second = data.rindex(b"PK\1\2")
    path.write_bytes(data[: second + 42] + bytes(4) + data[second + 46 :])
    with pytest.raises(SourceError, match=r"has 1 entries that overlap; expected a whole zip"):
        tree_of(path)
    write(path, {"a": bytes(1 << 20)}, zipfile.ZIP_DEFLATED)
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\1\2") + 24 :][:4] = b""
    at = data.index(b"PK\1\2") + 24
    data[at : at + 4] = struct.pack("<L", 1 << 30)
    path.write_bytes(data)
    with pytest.raises(SourceError, match=r"a has 1,073,741,824 bytes unpacked; expected at most"):
        tree_of(path).read("a")
    data[at : at + 4] = struct.pack("<L", 1 << 10)
    path.write_bytes(data)
    with pytest.raises(SourceError, match=r"a is damaged: "):
        tree_of(path).read("a")


def read_in_process(files):
    return {name: files.read(name) for name in files.walk()}


@pytest.mark.parametrize("method", ["fork", "spawn"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_threads_and_processes_read_at_once(tmp_path, rng, method):
    contents = {f"{k}.jpg": rng.bytes(20_000) for k in range(40)}
    files = tree_of(write(tmp_path / "a.zip", contents, zipfile.ZIP_DEFLATED))
    with ThreadPoolExecutor(8) as pool:
        for name, data in zip(contents, pool.map(files.read, contents), strict=True):
            assert data == contents[name]
    with get_context(method).Pool(2) as processes:
        found = processes.map_async(read_in_process, [files] * 4)
        assert files.read("7.jpg") == contents["7.jpg"]
        assert found.get(60) == [contents] * 4
    assert pickle.loads(pickle.dumps(files)) == files
    assert len(pickle.dumps(files)) < 500


def test_a_zip_that_has_changed_since_it_was_opened(tmp_path, contents):
    path = write(tmp_path / "a.zip", contents)
    packed = pickle.dumps(tree_of(path))
    write(path, contents)
    os.utime(path, ns=(5, 5))
    with pytest.raises(SourceError, match=r"a.zip has changed; expected it as it was when the dat"):
        pickle.loads(packed)


@pytest.mark.parametrize("inside", ["", "Graphene", "other"])
def test_the_dataset_in_a_zip(tmp_path, tiny_set, inside):
    path = pack(tiny_set, tmp_path / "Graphene.zip", inside=inside)
    source, folder = mtfast.open_source(path), mtfast.open_source(tiny_set)
    assert source.name == (inside or "Graphene")
    assert source.path == path / inside
    assert (source.kind, source.splits) == (folder.kind, folder.splits)
    again = mtfast.open_source(source.path)
    for opened in (source, again):
        table = opened.table("test", opened.variants("test")[0])
        assert table.n_images == 4
        name = str(table.names[0])
        assert opened.read_image("test", name) == folder.read_image("test", name)
        assert opened.find_image("test", name) == str(source.path / "test_images" / name)
    with pytest.raises(SourceError, match=r"^no such file or folder: .*none; expected a folder"):
        mtfast.open_source(path / "none")


@pytest.fixture(scope="module")
def own_sets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    make_own_sets(folder)
    make_labelme_set(folder / "wafers")
    return folder


@pytest.mark.parametrize("name", ["cells", "coco", "fruits", "wafers"])
@pytest.mark.parametrize("is_nested", [False, True])
def test_other_layouts_in_a_zip(tmp_path, own_sets, name, is_nested):
    """Under any name of their folder, also one that is part of other layouts."""
    folder = mtfast.open_source(own_sets / name, bad="skip")
    path = pack(own_sets / name, tmp_path / f"{name}.zip", inside=name if is_nested else "")
    source = mtfast.open_source(path, bad="skip")
    assert (source.name, source.kind, source.splits) == (name, folder.kind, folder.splits)
    for split in folder.splits:
        names = folder[split].table().names.tolist()
        assert source[split].table().names.tolist() == names
        assert source.read_image(split, names[0]) == folder.read_image(split, names[0])


def test_coco_in_a_zip(tmp_path, mixed_set):
    """A file of a zip is given by its path in it; images lie beside it as they do in a folder."""
    folder = mixed_set.annotations.parent
    path = pack(folder, tmp_path / "mixed.zip", inside="mixed")
    expected = mtfast.open_source(mixed_set.annotations)
    at = path / "mixed" / mixed_set.annotations.name
    for given in (path, at, {"train": at}):
        source = mtfast.open_source(given)
        assert source.table("train", "annotations").names.tolist() == (
            expected.table("train", "annotations").names.tolist()
        )
        names = expected.table("train", "annotations").names.tolist()
        assert source.read_image("train", names[0]) == expected.read_image("train", names[0])
    with pytest.raises(SourceError, match=r"are in different places; expected COCO files in one"):
        mtfast.open_source({"train": at, "test": mixed_set.annotations})
    alone = tmp_path / "alone.json"
    alone.write_bytes(mixed_set.annotations.read_bytes())
    source = mtfast.open_source(alone, path / "mixed" / "images")
    assert source.read_image("train", names[0]) == expected.read_image("train", names[0])


def test_a_zip_of_another_name_is_one_by_its_first_bytes(tmp_path, contents):
    path = write(tmp_path / "set.data", contents)
    files, file = place_of(path)
    assert (files.location, file) == (path / "set", "")
