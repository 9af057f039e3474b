"""Annotation files that are read in parts, beside the same ones read whole."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

import mtfast


@pytest.fixture(scope="module")
def store(small_set, tmp_path_factory):
    path = tmp_path_factory.mktemp("parts") / "set.zarr"
    return mtfast.convert(small_set, path, images=False)


@pytest.mark.parametrize("images", [1, 3, 7, 20, 1000])
@pytest.mark.parametrize("verify", [True, False])
def test_parts_together_are_the_table(store, images, verify):
    train = mtfast.open(store, verify=verify)["train"]
    # Of the ten runs of each n-shot subset one.
    for variant in (name for name in train.variants if "run_" not in name or "run_3" in name):
        whole, parts = train.table(variant), list(train.tables(images, variant))
        assert len(parts) == -(-whole.n_images // images)
        for number, part in enumerate(parts):
            start = images * number
            assert part.equals(whole.images(slice(start, start + images)))


def test_parts_of_a_file_that_lists_images_in_another_order(small_set, tmp_path):
    source = mtfast.open_source(small_set)
    table = source.table("train", "annotations_with_class_200")
    order = np.random.default_rng(1).permutation(table.n_images)
    paths = {}
    for name, coco in (("a", table), ("b", table.images(order))):
        paths[name] = tmp_path / f"instances_{name}.json"
        paths[name].write_text(json.dumps(coco.to_coco()))
    merged = tmp_path / "merged"
    (merged / "RLE_annotations").mkdir(parents=True)
    shutil.copy(paths["a"], merged / "RLE_annotations" / "train_annotations_with_class_200.json")
    shutil.copy(paths["b"], merged / "RLE_annotations" / "train_annotations_with_class_300.json")
    train = mtfast.open(mtfast.convert(merged, tmp_path / "m.zarr", images=False))["train"]
    for variant in train.variants:
        whole = train.table(variant)
        for number, part in enumerate(train.tables(6, variant)):
            assert part.equals(whole.images(slice(6 * number, 6 * number + 6)))


def test_nothing_of_parts_is_kept(store):
    train = mtfast.open(store)["train"]
    for _ in train.tables(5):
        assert not train._annotations._read
        assert "_instances" not in vars(train._annotations)


def test_a_part_that_is_damaged_is_refused(store, tmp_path):
    path = shutil.copytree(store, tmp_path / "damaged.zarr")
    file = path / "train" / "instances" / "rle" / "c" / "0"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    parts = mtfast.open(path)["train"].tables(1, "annotations_with_class_full")
    with pytest.raises(mtfast.StoreError, match="checksum does not match"):
        list(parts)


@pytest.mark.parametrize("images", [0, -1, 1.5, "2"])
def test_a_part_has_images(store, images):
    with pytest.raises(mtfast.MtfastError, match="images is"):
        mtfast.open(store)["train"].tables(images)
