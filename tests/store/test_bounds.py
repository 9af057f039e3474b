"""Sizes that a store states are checked before memory is taken for them, and names lead nowhere."""

from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import zarr

import mtfast
from mtfast.errors import MtfastError
from mtfast.store import schema
from stores import reseal

LARGEST = 2**31 - 1


def change_column(key, place, value):
    def change(store):
        old = zarr.open_array(store / key, mode="r")
        values = old[:]
        values[place] = value
        names = old.metadata.dimension_names
        options = {"chunks": values.shape, "dimension_names": names, "overwrite": True}
        zarr.create_array(store / key, data=values, **options)

    return change


def change_shape(key, shape, inner):
    """Declare another shape of an array in shards, with chunks that fit it."""

    def change(store):
        file = store / key / "zarr.json"
        node = json.loads(file.read_text())
        sides = [-(-side // chunk) * chunk for side, chunk in zip(shape[1:], inner, strict=True)]
        node["shape"] = shape
        node["chunk_grid"]["configuration"]["chunk_shape"][1:] = sides
        node["codecs"][0]["configuration"]["chunk_shape"][1:] = inner
        file.write_text(json.dumps(node))

    return change


def change_attribute(key, **attributes):
    def change(store):
        file = store / key / "zarr.json"
        node = json.loads(file.read_text())
        node["attributes"] |= attributes
        file.write_text(json.dumps(node))

    return change


def change_all_lengths(n):
    """Say that there are n images, in one chunk of each column."""

    def change(store):
        change_attribute("train", n_images=n)(store)
        for file in (store / "train").rglob("zarr.json"):
            node = json.loads(file.read_text())
            if node["node_type"] == "array" and node["dimension_names"][0] == "name":
                node["shape"][0] = n
                if node["codecs"][0]["name"] != "sharding_indexed":
                    node["chunk_grid"]["configuration"]["chunk_shape"][0] = n
                    del node["attributes"][schema.CHUNK_SUMS]
                file.write_text(json.dumps(node))

    return change


def change_frame(key, claimed):
    """Write a frame of zstd that claims a size and holds nothing."""

    def change(store):
        frame = struct.pack("<IBBQ", 0xFD2FB528, 0xC0, 7 << 3, claimed) + b"\x01\0\0"
        (store / key).write_bytes(frame)

    return change


def huge_image(*inner):
    return [
        change_column("train/columns/height", 0, LARGEST),
        change_column("train/columns/width", 0, LARGEST),
        change_shape("train/semantic", [10, LARGEST, LARGEST], inner),
    ]


def huge_file(chunk):
    n = 2**40
    return [
        change_column("train/columns/file_bytes", 0, n),
        change_shape("train/images/file", [10, n], [chunk]),
    ]


CASES = {
    "an image in one chunk": (huge_image(LARGEST, LARGEST), "semantic", "bytes instead of"),
    "an image in small chunks": (huge_image(96, 128), "semantic", "expected an index of"),
    "an image in tiny chunks": (huge_image(1, 1), "semantic", "expected an index of"),
    "sizes alone": (huge_image(96, 128)[:2], "semantic", "expected room for images of 2147483647"),
    "sizes of an image file": (huge_image(96, 128)[:2], "image", "it has 96 x 128 pixels"),
    "no rows": ([change_column("train/columns/height", 0, 0)], "semantic", "it has 0 pixels"),
    "less than none": ([change_column("train/columns/width", 0, -1)], "semantic", "has -1 pixels"),
    "images": ([change_attribute("train", n_images=10**12)], "semantic", "has shape"),
    "images, all": ([change_all_lengths(10**12)], "semantic", "is damaged"),
    "a file of one chunk": (huge_file(2**40), "image", "expected at least"),
    "a file of many chunks": (huge_file(1 << 22), "image", "expected an index of"),
    "a file of less than none": (
        [change_column("train/columns/file_bytes", 3, -1)],
        "image",
        "a file of -1 bytes",
    ),
    "a frame": ([change_frame("train/name/c/0", 2**40)], "names", "that claim to be"),
    "a frame of numbers": (
        [change_frame("train/columns/height/c/0", 2**40)],
        "semantic",
        "that claim to be",
    ),
    "offsets": (
        [change_column("train/instances/rle_offsets", -1, 2**62)],
        "instances",
        "expected ascending offsets",
    ),
    "offsets that go back": (
        [change_column("train/instances/rle_offsets", 3, 0)],
        "instances",
        "expected ascending offsets",
    ),
    "slots of a shard": (
        [change_attribute("", shard=2**62)],
        "semantic",
        "its attribute 'shard' is 4611686018427387904; expected a number of images, up to 1048576",
    ),
    "entries of a crop index": (
        [
            change_shape("train/crop_index/bits", [10, 2**50], [2**50]),
            change_shape("train/crop_index/dc", [10, 3, 2**50], [3, 2**50]),
            change_shape("train/crop_index/crc32c", [10, 2**49 + 1], [2**49 + 1]),
        ],
        "window",
        "bytes instead of",
    ),
}

READ = """
import resource, sys
import mtfast

READS = {
    "semantic": lambda train: train.semantic(0),
    "image": lambda train: train.image(0),
    "window": lambda train: train.crop_image(0, 3, 4, 20, 30),
    "instances": lambda train: train.instances(0),
    "names": lambda train: train.names,
}
sound, *jobs = sys.argv[1:]
for read in READS.values():
    read(mtfast.open(sound)["train"])
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (256 << 20),) * 2)
for path, read in zip(jobs[::2], jobs[1::2]):
    try:
        READS[read](mtfast.open(path)["train"])
    except mtfast.MtfastError as error:
        print(repr(str(error)))
    else:
        print(repr("nothing was raised"))
"""


@pytest.fixture(scope="module")
def sound(tiny_set, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("bounds") / "sound.zarr"
    return mtfast.convert(tiny_set, path, splits=["train"], shard=4, crop_index=True)


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited by RLIMIT_AS, on Linux")
def test_stated_sizes_take_no_memory(sound, tmp_path):
    """In a process that may take 256 MiB more; each is one line."""
    jobs = []
    for number, (changes, read, _) in enumerate(CASES.values()):
        store = Path(shutil.copytree(sound, tmp_path / f"{number}.zarr"))
        for change in changes:
            change(store)
        reseal(store)
        jobs += [store, read]
    done = subprocess.run(
        [sys.executable, "-c", READ, sound, *jobs],
        capture_output=True,
        text=True,
        timeout=300,
        # Other checks than that of the number of pixels.
        env=os.environ | {"MTFAST_MAX_PIXELS": str(2**62)},
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    for (case, (_, _, words)), line in zip(CASES.items(), lines, strict=True):
        assert words in line, case
        assert "\\n" not in line, case


@pytest.mark.parametrize("names", [["..", "train"], ["train/columns"], ["/etc"], ["a\\b"], [""]])
def test_splits_lead_nowhere(sound, tmp_path, names):
    store = Path(shutil.copytree(sound, tmp_path / "other.zarr"))
    change_attribute("", splits=names)(store)
    reseal(store)
    with pytest.raises(MtfastError, match="expected a list of names of folders in it"):
        mtfast.open(store)


@pytest.mark.parametrize("name", ["../../../far.jpg", "/tmp/far.jpg", "C:\\x\\far.jpg"])
def test_masks_of_names_with_folders_stay_in_theirs(sound, tmp_path, name):
    from mtfast.export.masks import export_masks

    store = Path(shutil.copytree(sound, tmp_path / "other.zarr"))
    change_column("train/name", 0, name)(store)
    reseal(store)
    export_masks(store, tmp_path / "a" / "b" / "masks", format="png")
    found = [file.relative_to(tmp_path) for file in tmp_path.rglob("far*")]
    assert found == [Path("a/b/masks/train_semantic_masks/far.png")]


def test_sides_that_a_store_cannot_state(tmp_path, monkeypatch):
    monkeypatch.setenv("MTFAST_MAX_PIXELS", str(2**40))
    content = {
        "images": [{"id": 1, "file_name": "a.jpg", "height": 2**31, "width": 2}],
        "annotations": [],
        "categories": [{"id": 1, "name": "flake"}],
    }
    (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.raises(MtfastError, match="'a.jpg' is 2147483648 x 2 pixels; expected at most"):
        mtfast.convert(tmp_path / "a.json", tmp_path / "a.zarr", images="none")


def test_images_in_a_shard(tiny_set, tmp_path):
    for shard in (0, 2**20 + 1):
        with pytest.raises(MtfastError, match="expected an integer from 1 to 1048576"):
            mtfast.convert(tiny_set, tmp_path / "a.zarr", shard=shard)
    assert np.iinfo(np.int32).max == schema.LARGEST_SIDE
