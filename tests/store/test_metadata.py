"""What is read of a store beside its pixels: metadata, columns, text, and the layer of files."""

from __future__ import annotations

import json
import os
import shutil
import tracemalloc
from pathlib import Path

import google_crc32c
import imagecodecs
import numpy as np
import pytest
import zarr

import mtfast
from mtfast.errors import MtfastError, StoreError
from mtfast.store import schema
from mtfast.store.consolidated import CHECKSUM, metadata_checksum
from mtfast.store.file_frames import frame, seal, seal_pieces
from mtfast.store.reading import files as files_module
from mtfast.store.reading.chunks import ShardedChunks, is_sharded
from mtfast.store.reading.columns import StoredColumn, TextArray, read_column
from mtfast.store.reading.files import LocalFiles
from mtfast.store.reading.metadata import read_array, read_attributes
from mtfast.store.shard import MISSING, index_bytes, shard_of, write_shard
from mtfast.work.records import FileSum
from stores import reseal


@pytest.fixture(scope="module")
def store_path(tiny_set, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("stores") / "set.zarr"
    return mtfast.convert(tiny_set, path, shard=4, crop_index=True)


@pytest.fixture
def broken(store_path, tmp_path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(store_path, tmp_path / "broken.zarr"))


def change(path: Path, **changes) -> None:
    """Change entries of a zarr.json; ``a__b`` is the entry b of the entry a."""
    file = path / "zarr.json"
    metadata = json.loads(file.read_text())
    for key, value in changes.items():
        *outer, last = key.split("__")
        place = metadata
        for step in outer:
            place = place[int(step) if step.isdigit() else step]
        if value is None:
            del place[last]
        else:
            place[last] = value
    file.write_text(json.dumps(metadata))


def change_array(store: Path, key: str, **changes) -> None:
    """Change the metadata of an array, where the root repeats them; the checksum with them."""
    change(store / key, **changes)
    reseal(store)


def change_group(store: Path, key: str, sealed: bool = True, **attributes) -> None:
    """Change attributes of a group, where the root repeats them; the checksum with them."""
    file = store / "zarr.json"
    metadata = json.loads(file.read_text())
    nodes = metadata["consolidated_metadata"]["metadata"]
    for name, value in attributes.items():
        nodes[key]["attributes"][name] = value
    if sealed:
        metadata["attributes"][CHECKSUM] = metadata_checksum({"": metadata, **nodes})
    file.write_text(json.dumps(metadata))


def one_line(error: pytest.ExceptionInfo) -> bool:
    return len(str(error.value).splitlines()) == 1


# --- metadata


def test_arrays_are_what_zarr_says_they_are(store_path):
    files = LocalFiles(store_path)
    n = 0
    for path, array in zarr.open_group(store_path, mode="r").members(max_depth=None):
        if not isinstance(array, zarr.Array):
            continue
        found = read_array(files, path)
        assert found.shape == array.shape
        assert found.chunk == (array.shards or array.chunks)
        assert found.inner == (array.chunks if array.shards else ())
        assert found.has_whole_rows
        assert is_sharded(found) == bool(array.shards)
        if array.dtype.kind in "uif":
            assert found.dtype == array.dtype
        assert (store_path / found.file_name.format(0)).is_file() == (array.size > 0)
        n += 1
    assert n > 20


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"shape": "no list"}, r"Expected `array`, got `str` - at `\$.shape`"),
        ({"shape": [-1, 96, 128]}, ">= 0"),
        ({"shape": None}, "missing required field `shape`"),
        ({"codecs": [1]}, "Expected `object`"),
        ({"zarr_format": 2}, "Invalid enum value 2"),
        ({"node_type": "group"}, "Invalid enum value 'group'"),
        ({"chunk_grid__configuration": {}}, "regular: Object missing required field `chunk_shape`"),
        ({"chunk_grid__configuration__chunk_shape": [4, 0, 128]}, ">= 1"),
        (
            {"chunk_grid__configuration__chunk_shape": [4, 96]},
            "3 dimensions, other chunks",
        ),
        ({"codecs__0__configuration__chunk_shape": [1, 96]}, "3 dimensions, other chunks"),
        ({"codecs__0__configuration": {}}, "sharding_indexed: Object missing required"),
    ],
)
def test_damaged_metadata_of_an_array(broken, changes, words):
    change_array(broken, "train/semantic", **changes)
    with pytest.raises(StoreError, match=f"semantic/zarr.json is damaged .*{words}") as error:
        mtfast.open(broken)["train"].semantic(0)
    assert one_line(error)


@pytest.mark.parametrize("text", ["", "{", "[]", '"x"', "\xff", '{"zarr_format": 3}', "null"])
def test_damaged_metadata_of_a_group(broken, text):
    (broken / "zarr.json").write_text(text, encoding="latin-1")
    with pytest.raises(StoreError, match="zarr.json is damaged") as error:
        mtfast.open(broken)
    assert one_line(error)


@pytest.mark.parametrize("attributes", [[], "x", 3])
def test_attributes_are_an_object(broken, attributes):
    change(broken, attributes=attributes)
    with pytest.raises(StoreError, match="is damaged .*Expected `object`"):
        mtfast.open(broken)


@pytest.mark.parametrize(
    ("key", "changes"),
    [
        ("train", {"semantic_variant": "annotations_300"}),
        ("train", {"n_images": 9}),
        ("train", {"sets": []}),
        ("train/crop_index", {"version": 1}),
    ],
)
def test_changed_attributes_are_noticed(broken, key, changes):
    """No chunk's checksum covers them, and they say what the other bytes mean."""
    change_group(broken, key, sealed=False, **changes)
    with pytest.raises(StoreError, match="the metadata of .* are damaged: their checksum"):
        mtfast.open(broken)
    assert mtfast.open(broken, verify=False).splits == ("train", "test")


def test_the_root_repeats_all_metadata(store_path):
    """As zarr-python writes it, and in each group what is below it."""
    files = {
        str(file.parent.relative_to(store_path)): json.loads(file.read_text())
        for file in store_path.rglob("zarr.json")
    }
    inline = {k: node.pop("consolidated_metadata", None) for k, node in files.items()}
    for key, found in inline.items():
        assert (found is None) == (files[key]["node_type"] == "array")
        if found is not None:
            below = {
                str(Path(other).relative_to(key)): node
                for other, node in files.items()
                if other != key and Path(other).is_relative_to(key)
            }
            assert found == {"kind": "inline", "must_understand": False, "metadata": below}
    nodes = {"" if key == "." else key: node for key, node in files.items()}
    assert files["."]["attributes"][CHECKSUM] == metadata_checksum(nodes)


@pytest.mark.parametrize("names", [None, "train", [1], ["../other"], [".."], ["a\\b"], [""]])
def test_names_of_splits_stay_inside(broken, names):
    """They become folders that are read, and written to by 'mtfast index'."""
    change(broken, attributes__splits=names)
    with pytest.raises(StoreError, match="its attribute 'splits' is"):
        mtfast.open(broken)


@pytest.mark.parametrize("value", [None, "64", 0])
def test_the_number_of_images_in_a_shard(broken, value):
    change(broken, attributes__shard=value)
    with pytest.raises(StoreError, match="its attribute 'shard' is .*; expected a number"):
        mtfast.open(broken)


@pytest.mark.parametrize("value", [None, "9", 1.5, -1])
def test_the_number_of_images_of_a_split(broken, value):
    change_group(broken, "train", n_images=value)
    with pytest.raises(StoreError, match="its attribute 'n_images' is .*; expected a number"):
        mtfast.open(broken)


def test_shapes_that_contradict_each_other(broken):
    change_group(broken, "train", n_images=9)
    train = mtfast.open(broken)["train"]
    for read in (lambda: train.semantic(0), lambda: train.image(0), lambda: train.names):
        with pytest.raises(StoreError, match=r"has shape \(10,.*; expected \(9,"):
            read()
    change_group(broken, "train", n_images=10)
    for name, kind, words in (
        ("semantic", "semantic", "expected room for images of 96 x 128"),
        ("images/file", "image", r"expected \(10, [0-9]+\), as the columns"),
    ):
        metadata = json.loads((broken / "train" / name / "zarr.json").read_text())
        shape = [
            n - 1 if k == len(metadata["shape"]) - 1 else n for k, n in enumerate(metadata["shape"])
        ]
        change_array(broken, f"train/{name}", shape=shape)
        with pytest.raises(StoreError, match=words):
            getattr(mtfast.open(broken)["train"], kind)(0)


@pytest.mark.parametrize(
    "changes",
    [
        {"chunk_key_encoding__name": "v2"},
        {"codecs__0__configuration__index_location": "start"},
        {"codecs__0__configuration__index_codecs": [{"name": "bytes"}]},
        {"codecs__0__configuration__codecs__0__configuration": {"endian": "big"}},
        {"codecs__0__configuration__index_codecs__0__configuration__endian": "big"},
        {"codecs__0__configuration__codecs": [{"name": "bytes"}, {"name": "gzip"}]},
        {"codecs__0__configuration__chunk_shape": [2, 96, 128]},
        {"chunk_grid__configuration__chunk_shape": [4, 192, 128]},
        {"chunk_grid__name": "rectilinear"},
        {"storage_transformers": [{"name": "other"}]},
        {"data_type": {"name": "numpy.datetime64"}},
        {"data_type": "complex64"},
    ],
    ids=str,
)
def test_other_forms_are_left_to_zarr(broken, changes, monkeypatch, caplog):
    """Whatever is not the form that convert writes, down to the order of the bytes."""
    opened = []

    class Array(np.ndarray):
        pass

    def open_with_zarr(self, key):
        opened.append(key)
        return np.full((10, 96, 128), 7, np.uint8).view(Array)

    assert is_sharded(read_array(LocalFiles(broken), "train/semantic"))
    change_array(broken, "train/semantic", **changes)
    monkeypatch.setattr(LocalFiles, "open_with_zarr", open_with_zarr)
    with caplog.at_level("WARNING", logger="mtfast"):
        mask = mtfast.open(broken)["train"].semantic(0)
    assert mask.shape == (96, 128)
    assert np.all(mask == 7)
    assert opened == ["train/semantic"]
    assert "read through zarr, which is slower" in caplog.text


# --- columns and text


def make_array(root: Path, name: str, values: np.ndarray, **options) -> LocalFiles:
    if not (root / "zarr.json").exists():
        zarr.create_group(root)
    dtype = str if values.dtype.kind == "T" else values.dtype
    options["config"] = {"write_empty_chunks": True}
    zarr.create_array(root / name, shape=values.shape, dtype=dtype, **options)[...] = values
    return LocalFiles(root)


@pytest.mark.parametrize("rows", [1, 3, 10, 64])
@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("kind", ["<i8", "<f4", "str", "table"])
def test_ranges_of_columns(tmp_path, rows, compressed, kind):
    """Every range of rows, over chunks of every length, equals the slice."""
    values = np.arange(10).astype("<i8")
    if kind == "str":
        values = np.array([f"ü{k}" * (k % 4) for k in range(10)], np.dtypes.StringDType())
    elif kind == "table":
        values = np.arange(40.0).reshape(10, 4)
    else:
        values = values.astype(kind)
    chunks = (rows, *values.shape[1:])
    options = {} if compressed else {"compressors": None}
    files = make_array(tmp_path, "a", values, chunks=chunks, **options)
    column = StoredColumn(files, "a")
    assert len(column) == 10
    np.testing.assert_array_equal(column.read(), values)
    assert column.read().dtype == values.dtype
    for start in range(11):
        for stop in range(start, 11):
            np.testing.assert_array_equal(column.read(start, stop), values[start:stop])


def test_big_endian_columns_are_read_through_zarr(tmp_path):
    values = np.arange(9, dtype=np.int32)
    serializer = zarr.codecs.BytesCodec(endian="big")
    files = make_array(tmp_path, "a", values, chunks=(4,), serializer=serializer)
    np.testing.assert_array_equal(read_column(files, "a"), values)


def test_a_column_of_more_than_memory(broken):
    """Metadata that promise it are damaged, and no memory is taken for them."""
    change_array(broken, "train/instances/id", shape=[10**15])
    tracemalloc.start()
    with pytest.raises(
        StoreError, match="is damaged|cannot be read|has 81 entries; expected 10"
    ) as error:
        mtfast.open(broken)["train"].instances(0)
    assert tracemalloc.get_traced_memory()[1] < 100e6
    tracemalloc.stop()
    assert one_line(error)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "0 values"),
        (b"\x02\0\0\0\x01\0\0\0a", "beyond the end|1 values"),
        (b"\x01\0\0\0\x05\0\0\0abc", "a string goes beyond the end"),
        (b"\x02\0\0\0\x01\0\0\0\xff\x01\0\0\0b", "utf-8"),
    ],
)
def test_damaged_strings(tmp_path, data, words):
    names = np.array(["a", "b"], np.dtypes.StringDType())
    files = make_array(tmp_path, "a", names, compressors=None)
    (tmp_path / "a" / "c" / "0").write_bytes(data)
    with pytest.raises(StoreError, match=f"damaged .*({words})") as error:
        read_column(files, "a")
    assert one_line(error)


def test_ranges_of_text(tmp_path):
    text = bytes(range(100))
    values = np.frombuffer(text, np.uint8)
    files = make_array(tmp_path, "plain", values, chunks=(7,), compressors=None)
    make_array(tmp_path, "packed", values, chunks=(7,))
    for name in ("plain", "packed"):
        array = TextArray(files, name)
        assert array.size == 100
        for start in (0, 6, 7, 8, 50, 99):
            for stop in (start, start + 1, min(start + 20, 100), 100):
                assert array(start, stop) == text[start:stop]


# --- shards


def test_chunks_beyond_the_end_of_a_shard(tmp_path):
    import google_crc32c

    files = make_array(
        tmp_path,
        "a",
        np.zeros((4, 8), np.uint8),
        chunks=(1, 8),
        shards=(4, 8),
        compressors=(zarr.codecs.ZstdCodec(), zarr.codecs.Crc32cCodec()),
        chunk_key_encoding={"name": "default", "separator": "."},
    )
    path = tmp_path / "a" / "c.0.0"
    chunk = seal(imagecodecs.zstd_encode(bytes(range(8))))
    write_shard(path, [chunk] * 3, 4)
    images = ShardedChunks(files, read_array(files, "a"))
    assert images.decode(2).tolist() == list(range(8))
    with pytest.raises(StoreError, match="holds no chunk for image 3"):
        images.read(3)
    raw = path.read_bytes()
    length = index_bytes(4)
    index = np.frombuffer(raw[-length:-4], "<u8").reshape(4, 2).copy()
    assert index[3].tolist() == [MISSING, MISSING]

    for start, n_bytes in ((len(raw) - 7, 8), (2**63, 8), (0, 2**63), (len(raw), 1), (0, 3)):
        index[0] = start, n_bytes
        entries = index.tobytes()
        checksum = google_crc32c.value(entries).to_bytes(4, "little")
        path.write_bytes(raw[:-length] + entries + checksum)
        files = LocalFiles(tmp_path)
        with pytest.raises(StoreError, match="holds no chunk for image 0"):
            ShardedChunks(files, read_array(files, "a")).read(0)


def test_a_shard_in_memory_is_that_of_a_file(tmp_path):
    path = tmp_path / "c.0"
    for chunks in ([b"ab", b"c"], [b"ab", None, b"c"], []):
        written = write_shard(path, chunks, 3)
        assert shard_of(chunks, 3) == path.read_bytes()
        assert written == FileSum(len(path.read_bytes()), google_crc32c.value(path.read_bytes()))
    for write in (shard_of, lambda chunks, n: write_shard(path, chunks, n)):
        with pytest.raises(IndexError):
            write([b"a"] * 4, 3)


def test_a_chunk_in_pieces_is_stored_as_one_that_is_whole(tmp_path):
    """Image files are not copied for the headers between their blocks and for the checksum."""
    file = np.random.default_rng(0).integers(0, 256, 300_000, np.uint8).tobytes()
    pieces = seal_pieces(frame(file, 400_000))
    views = [piece for piece in pieces if isinstance(piece, memoryview)]
    assert sum(map(len, views)) == len(file)
    assert all(view.obj is file for view in views)
    whole = b"".join(pieces)
    assert whole == seal(whole[:-4])
    assert imagecodecs.zstd_decode(whole[:-4]) == file + bytes(100_000)
    written = write_shard(tmp_path / "pieces", [pieces, None, b"x"], 3)
    assert written == write_shard(tmp_path / "whole", [whole, None, b"x"], 3)
    assert (tmp_path / "pieces").read_bytes() == (tmp_path / "whole").read_bytes()


# --- the layer of files


def test_everything_is_read_through_the_files(store_path, monkeypatch):
    """A store elsewhere is one more class with these methods: nothing else opens a file."""
    root = store_path.resolve()
    contents = {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}

    class MemoryFile:
        def __init__(self, data):
            self.data, self.size, self.identity = data, len(data), hash(data)

        def read(self, start, length):
            return self.data[start : start + length]

        def fetch_ahead(self, start, length):
            fetched.append((start, length))

    class MemoryFiles:
        is_remote = keeps_files = False

        def __init__(self, root, marker=None, nodes=None):
            self.nodes = nodes

        def where(self, key):
            return f"memory:{key}"

        def exists(self, key):
            return key in contents

        def read(self, key):
            return contents[key]

        def open(self, key, tail=0):
            return MemoryFile(contents[key])

        def soon(self, function, *arguments):
            function(*arguments)

    expected = mtfast.open(store_path)["train"]
    fetched: list = []
    monkeypatch.setattr("mtfast.store.reading.root.LocalFiles", MemoryFiles)
    train = mtfast.open(store_path)["train"]
    # Kernels are compiled before, as numba opens files too.
    expected.crop_image(0, 3, 4, 50, 60)
    monkeypatch.setattr(os, "open", None)
    for i in range(len(train)):
        train.fetch_ahead(i)
        np.testing.assert_array_equal(train.semantic(i), expected_masks(contents, i, train))
        assert train.image_bytes(i)[:2] == b"\xff\xd8"
        assert train.crop(i, 3, 4, 50, 60).image.shape == (50, 60, 3)
        assert train.instances(i).n_images == 1
    assert len(fetched) == len(train)
    assert train.has_crop_index
    assert train.names.tolist() == [s.name for s in train]
    assert expected.height == train.height


def expected_masks(contents, image, train) -> np.ndarray:
    raw = contents[f"train/semantic/c.{image // 4}.0.0"]
    index = np.frombuffer(raw[-index_bytes(4) : -4], "<u8").reshape(4, 2)
    start, length = index[image % 4].tolist()
    pixels = imagecodecs.zstd_decode(raw[start : start + length - 4])
    return np.frombuffer(pixels, np.uint8).reshape(train.height, train.width)


def test_short_reads_are_continued(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(bytes(range(50)))
    file = LocalFiles(tmp_path).open("a")
    pread = os.pread
    monkeypatch.setattr(os, "pread", lambda fd, n, at: pread(fd, min(n, 7), at))
    assert file.read(3, 40) == bytes(range(3, 43))
    with pytest.raises(StoreError, match=r"a ends at byte 50; expected 60 bytes"):
        file.read(40, 20)


def test_a_disk_that_fails_is_an_error_of_the_store(store_path, monkeypatch):
    train = mtfast.open(store_path)["train"]
    train.semantic(0)

    def fail(*_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "pread", fail)
    with pytest.raises(StoreError, match=r"c.0.0.0 cannot be read: Input/output error") as error:
        train.semantic(0)
    assert one_line(error)


def test_columns_of_a_store_that_is_replaced(broken, store_path):
    """They are read late, and another store has other ones."""
    train = mtfast.open(broken)["train"]
    shutil.rmtree(broken)
    shutil.copytree(store_path, broken)
    os.utime(broken / "train" / "name" / "zarr.json", ns=(1, 1))
    with pytest.raises(StoreError, match="has been replaced since it was opened"):
        _ = train.names
    assert len(mtfast.open(broken)["train"].names) == 10


def test_the_least_used_files_are_closed(tmp_path, monkeypatch):
    monkeypatch.setattr(files_module, "OPEN_FILES", 2)
    for name in "abc":
        (tmp_path / name).write_text(name)
    files = LocalFiles(tmp_path)
    first = files.open("a")
    assert files.open("a") is first
    files.open("b")
    files.open("c")
    assert files.open("a") is not first


# --- names


def test_names_from_windows(tiny_set, tmp_path):
    """A backslash separates folders on every system, as in the names of exported masks."""
    folder = tmp_path / "set"
    (folder / "images").mkdir(parents=True)
    images = sorted((tiny_set / "train_images").iterdir())[:2]
    names = ["run1\\a1.jpg", "run2\\a1.tile.jpg"]
    for image, name in zip(images, names, strict=True):
        shutil.copy(image, folder / "images" / name)
    document = {
        "images": [
            {"id": k + 1, "file_name": name, "height": 96, "width": 128}
            for k, name in enumerate(names)
        ],
        "annotations": [],
        "categories": [{"id": 1, "name": "flake"}],
    }
    (folder / "annotations.json").write_text(json.dumps(document))
    store = mtfast.convert(folder / "annotations.json", tmp_path / "s.zarr", images="none")
    train = mtfast.open(store)["train"]
    assert [train.index(name) for name in (*names, "a1", "a1.tile")] == [0, 1, 0, 1]


def test_equal_stems(tiny_set, tmp_path):
    """A full name wins over a stem, and the first of equal stems over the others."""
    names = ["b.png", "deep/b.jpg", "x.y", "x"]
    document = {
        "images": [
            {"id": k + 1, "file_name": name, "height": 4, "width": 5}
            for k, name in enumerate(names)
        ],
        "annotations": [],
        "categories": [],
    }
    (tmp_path / "a.json").write_text(json.dumps(document))
    train = mtfast.open(mtfast.convert(tmp_path / "a.json", tmp_path / "s.zarr", images="none"))[
        "train"
    ]
    assert [train.index(name) for name in ("b", *names)] == [0, 0, 1, 2, 3]


def test_a_name_among_many_is_looked_for_quickly(store_path, monkeypatch):
    """By no more comparisons than for a few hundred names."""
    import difflib

    train = mtfast.open(store_path)["train"]
    compared = []
    close = difflib.get_close_matches
    monkeypatch.setattr(
        difflib, "get_close_matches", lambda w, p, *a: compared.append(len(p)) or close(w, p, *a)
    )
    names = np.array([f"{k:05}.jpg" for k in range(40_000)], np.dtypes.StringDType())
    train._metadata.__dict__["names"] = names
    with pytest.raises(StoreError, match="no image '12345.png' in split 'train'.*did you mean"):
        train.index("12345.png")
    assert compared[0] <= 500


def test_addresses_that_pathlib_has_shortened_are_refused(tiny_set, tmp_path, monkeypatch):
    from mtfast.conversion.crop_index import add_crop_index

    monkeypatch.chdir(tmp_path)
    address = Path("s3://bucket/g")
    for use in (
        lambda: mtfast.open(address),
        lambda: mtfast.convert(tiny_set, address),
        lambda: mtfast.convert(address, tmp_path / "s.zarr"),
        lambda: add_crop_index(address),
    ):
        with pytest.raises(MtfastError, match="one slash after"):
            use()
    assert not list(tmp_path.iterdir())


def test_attributes_of_a_group(store_path):
    files = LocalFiles(store_path)
    assert read_attributes(files)["mtfast_format"] == schema.FORMAT
    assert read_attributes(files, "train")["n_images"] == 10
    with pytest.raises(StoreError, match=r"no zarr\.json in .*val; expected a Zarr v3 store"):
        read_attributes(files, "val")
