"""Damage to a store is an error, and never other values: of every kind of file."""

from __future__ import annotations

import json
import math
import shutil
from functools import partial
from pathlib import Path

import imagecodecs
import numpy as np
import pytest

import fuzz_store
import fuzzing
import mtfast
from mixed_sets import make_mixed_set
from mtfast.conversion.crop_index import add_crop_index
from mtfast.errors import StoreError
from mtfast.store import schema
from mtfast.store.file_frames import decoded_bytes
from stores import exchange_slots


def test_a_short_run_of_the_fuzzer(monkeypatch, tmp_path):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    report = fuzzing.fuzz(fuzz_store.make_trial, seed=0, n_trials=50, limit=60)
    assert report.problems == {}
    assert report.n_calls == 50
    for kind in ("in_metadata", "in_shards", "in_columns", "in_texts"):
        assert report.outcomes[kind, "refused"] >= 5


def test_the_fuzzer_tells_other_values(monkeypatch, tmp_path):
    """There are some where no checksum is compared."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    trials = [fuzz_store.make_trial(1, number) for number in range(80)]
    monkeypatch.setattr(mtfast, "open", partial(mtfast.open, verify=False))
    problems = (fuzzing.judge(trial)[1] for trial in trials)
    assert any("OtherValuesError" in problem for problem in problems if problem)
    fuzz_store.stores.cache_clear()
    fuzz_store.expected.cache_clear()


@pytest.fixture(scope="module")
def several_chunks(tmp_path_factory) -> Path:
    """A store with several chunks in a mask and in image files, three shards and more."""
    folder = tmp_path_factory.mktemp("chunks")
    made = make_mixed_set(folder, outlier=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schema, "FILE_CHUNK", 1 << 10)
        return mtfast.convert(made.annotations, folder / "set.zarr", shard=4, crop_index=True)


@pytest.fixture
def broken(several_chunks, tmp_path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(several_chunks, tmp_path / "broken.zarr"))


@pytest.fixture(scope="module")
def whole_flakes(tiny_set, tmp_path_factory) -> Path:
    """A store of two splits, of several shards each."""
    path = tmp_path_factory.mktemp("flakes") / "flakes.zarr"
    return mtfast.convert(tiny_set, path, shard=3, crop_index=True)


@pytest.fixture
def flakes(whole_flakes, tmp_path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(whole_flakes, tmp_path / "flakes.zarr"))


def exchange(first: Path, second: Path) -> None:
    kept = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(kept)


@pytest.mark.parametrize(
    ("array", "read"), [("semantic", "semantic"), ("images/file", "image_bytes")]
)
def test_exchanged_chunks_within_an_image(broken, array, read):
    """Each is whole, and the image is the right one."""
    split = mtfast.open(broken)["train"]
    image = split.index("large.png")
    (file,) = (broken / "train" / array).glob(f"c.{image // 4}.0*")
    n_chunks = math.prod(_chunks(broken, array))
    reader = split._masks.reader if array == "semantic" else split._images.files
    # The first that differs from chunk 0.
    chunks = (reader._chunks.read(image, k) for k in range(n_chunks))
    first = next(chunks)
    other = next(k for k, chunk in enumerate(chunks, 1) if chunk != first)
    slots = [image % 4 * n_chunks, image % 4 * n_chunks + other]
    file.write_bytes(exchange_slots(file.read_bytes(), lambda _: slots, 4 * n_chunks))
    with pytest.raises(StoreError, match=f"image {image} in .* is damaged: its checksum"):
        getattr(mtfast.open(broken)["train"], read)(image)


def _chunks(store: Path, array: str) -> list[int]:
    node = json.loads((store / "train" / array / "zarr.json").read_text())
    shard = node["chunk_grid"]["configuration"]["chunk_shape"]
    (sharding,) = node["codecs"]
    inner = sharding["configuration"]["chunk_shape"]
    return [a // b for a, b in zip(shard[1:], inner[1:], strict=True)]


def test_windows_of_files_of_several_chunks(several_chunks):
    """Parts of chunks that are read for a window give the pixels of the whole file."""
    train = mtfast.open(several_chunks)["train"]
    for name in ("jpg0.jpg", "jpg2.jpg"):
        assert len(train.image_bytes(name)) > 2 << 10
        pixels = train.image(name)
        h, w = pixels.shape[:2]
        found = train.crop_image(name, h // 3, w // 4, h // 2, w // 2)
        assert np.array_equal(found, pixels[h // 3 :, w // 4 :][: h // 2, : w // 2])


def test_exchanged_chunks_are_found_by_a_window(broken):
    train = mtfast.open(broken)["train"]
    image = train.index("jpg0.jpg")
    file = broken / "train" / "images" / "file" / f"c.{image // 4}.0"
    (n_chunks,) = _chunks(broken, "images/file")
    first = image % 4 * n_chunks
    file.write_bytes(exchange_slots(file.read_bytes(), lambda _: [first, first + 1], 4 * n_chunks))
    with pytest.raises(StoreError, match=r"images.file is damaged: its checksum"):
        mtfast.open(broken)["train"].crop_image(image, 0, 0, 8, 8)


@pytest.mark.parametrize(
    "arrays",
    [
        ["crop_index/bits"],
        ["crop_index/dc"],
        ["crop_index/crc32c"],
        ["crop_index/bits", "crop_index/dc", "crop_index/crc32c"],
        ["images/file", "crop_index/bits", "crop_index/dc", "crop_index/crc32c"],
    ],
    ids="+".join,
)
def test_exchanged_shards_are_found_by_a_window(flakes, arrays):
    """A whole file of another image, with a whole index that fits it, is not this one."""
    for array in arrays:
        first, second, *_ = sorted((flakes / "train" / array).glob("c.*"))
        exchange(first, second)
    train = mtfast.open(flakes)["train"]
    for image in range(3):
        with pytest.raises(StoreError, match="those of another one|its checksum does not match"):
            train.crop_image(image, 30, 40, 20, 20)


UNREAD = Path("variants/file")
"""A column that is there for other readers alone."""


def read_all(store: Path) -> None:
    for what, read in fuzz_store.reads(store):
        assert what
        read()


def test_columns_in_each_others_place(flakes):
    """They have as many values, of the same type."""
    exchange(*(flakes / "train" / "columns" / name / "c" / "0" for name in ("height", "width")))
    with pytest.raises(StoreError, match="height.c.0 is damaged: its checksum does not match"):
        read_all(flakes)


def test_missing_files(tiny_set, tmp_path):
    """Each of them, but for metadata that the root repeats; of a store with few files."""
    flakes = mtfast.convert(
        tiny_set, tmp_path / "flakes.zarr", splits=["test"], shard=2, crop_index=True
    )
    files = [file for file in sorted(flakes.rglob("*")) if file.is_file() and file.stat().st_size]
    for file in files:
        unread = file.is_relative_to(flakes / file.relative_to(flakes).parts[0] / UNREAD)
        repeated = unread or (file.name == "zarr.json" and file.parent != flakes)
        data = file.read_bytes()
        file.unlink()
        if not repeated:
            with pytest.raises(StoreError):
                read_all(flakes)
        else:
            read_all(flakes)
        file.write_bytes(data)


@pytest.mark.parametrize(
    ("key", "place", "value"),
    [
        ("train/semantic", "shape", [10, 96, 127]),
        ("train/semantic", "data_type", "int8"),
        ("train/columns/height", "data_type", "uint32"),
        ("train/columns/height", "fill_value", 1),
        ("train/instances/rle_offsets", "data_type", "uint64"),
        ("train/name", "dimension_names", ["names"]),
    ],
)
def test_changed_metadata_of_arrays_are_noticed(flakes, key, place, value):
    """Also those with which everything could still be read."""
    root = json.loads((flakes / "zarr.json").read_text())
    root["consolidated_metadata"]["metadata"][key][place] = value
    (flakes / "zarr.json").write_text(json.dumps(root))
    with pytest.raises(StoreError, match="the metadata of .* are damaged: their checksum"):
        mtfast.open(flakes)


def test_an_index_that_is_added_gives_no_damage_a_checksum(flakes):
    """The root is written anew from the metadata that were checked."""
    file = flakes / "train" / "columns" / "height" / "zarr.json"
    root = json.loads((flakes / "zarr.json").read_text())
    for text in (file.read_text().replace("int32", "uint8"), "{"):
        file.write_text(text)
        add_crop_index(flakes, overwrite=True)
        written = json.loads((flakes / "zarr.json").read_text())
        nodes, before = (r["consolidated_metadata"]["metadata"] for r in (written, root))
        assert nodes["train/columns/height"] == before["train/columns/height"]
        read_all(flakes)


@pytest.mark.parametrize("n", [0, 1, 255, 256, 257, 65_791, 65_792, 100_000])
@pytest.mark.parametrize("level", [1, 5])
def test_a_frame_says_what_it_decodes_to(n, level):
    frame = imagecodecs.zstd_encode(bytes(n), level=level)
    assert decoded_bytes(frame) == n
    assert decoded_bytes(frame + b"1234") == n
