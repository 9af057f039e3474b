"""Samples of images of several sizes and of 16 bits, compared with padding and cutting in numpy."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile
from PIL import Image
from pycocotools import mask as coco_mask

import mtfast
from mtfast.errors import MtfastError
from mtfast.loaders.reader import Reader
from mtfast.loaders.views import Augment

SIZES = [(40, 60), (60, 40), (20, 30), (64, 64), (12, 80)]
DEEP = {"a.tif": (48, 48), "b.tif": (48, 48, 3)}


def make_set(folder, rng, pixels):
    """A COCO set of given images, three instances in each."""
    (folder / "images").mkdir(parents=True)
    images, annotations = [], []
    for number, (name, image) in enumerate(pixels.items(), 1):
        if name.endswith(".tif"):
            tifffile.imwrite(folder / "images" / name, image)
        else:
            Image.fromarray(image).save(folder / "images" / name)
        h, w = image.shape[:2]
        images.append({"id": number, "file_name": name, "height": h, "width": w})
        for label in (1, 2, 3):
            mask = np.zeros((h, w), np.uint8, order="F")
            y, x = rng.integers(0, h - 5), rng.integers(0, w - 5)
            mask[y : y + h // 2, x : x + w // 2] = 1
            rle = coco_mask.encode(mask)
            segmentation = {"size": [h, w], "counts": rle["counts"].decode()}
            row = {"id": len(annotations) + 1, "image_id": number, "category_id": label}
            annotations.append(
                {**row, "segmentation": segmentation, "area": 1, "bbox": [0, 0, 1, 1]}
            )
    categories = [{"id": k, "name": f"class {k}"} for k in (1, 2, 3)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "annotations.json").write_text(json.dumps(content))
    return mtfast.convert(folder / "annotations.json", folder / "set.zarr", crop_index=True)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    rng = np.random.default_rng(5)
    pixels = {
        f"{k}.{'png' if k % 2 else 'jpg'}": rng.integers(0, 256, (*size, 3), np.uint8)
        for k, size in enumerate(SIZES)
    }
    return make_set(tmp_path_factory.mktemp("mixed") / "set", rng, pixels)


@pytest.fixture(scope="module")
def deep(tmp_path_factory):
    rng = np.random.default_rng(6)
    pixels = {name: rng.integers(0, 65536, shape, np.uint16) for name, shape in DEEP.items()}
    return make_set(tmp_path_factory.mktemp("deep") / "set", rng, pixels)


def padded(array, view, value):
    """The window of a view, of an array that is padded far beyond the image."""
    room = 200
    width = [(room, room)] * 2 + [(0, 0)] * (array.ndim - 2)
    far = np.pad(array, width, constant_values=value)
    return far[room + view.y : room + view.y + view.h, room + view.x : room + view.x + view.w]


@pytest.mark.parametrize("crop", [48, (50, 30), (16, 60)])
@pytest.mark.parametrize("augment", [None, Augment(near=0.5, mirror=False, turn=False)])
def test_smaller_images_are_padded(mixed, crop, augment, caplog):
    train = mtfast.open(mixed)["train"]
    reader = Reader(mixed, crop=crop, augment=augment, seed=2)
    assert "are smaller than the crop and are padded" in caplog.text
    assert reader.has_one_size
    for epoch in range(3):
        for position in range(len(reader)):
            sample = reader.read((epoch, position, 0))
            index, view = sample.index, sample.view
            assert sample.image.shape[:2] == reader.crop
            assert np.array_equal(sample.image, padded(train.image(index), view, 0))
            assert np.array_equal(sample.semantic, padded(train.semantic(index), view, 255))
            table = train.instances(index)
            masks = [
                coco_mask.decode({"size": table.common_size(), "counts": table.text(k)})
                for k in range(table.n_instances)
            ]
            windows = [padded(mask, view, 0) > 0 for mask in masks]
            expected = [window for window in windows if window.any()]
            assert np.array_equal(
                sample.instances.masks, np.array(expected).reshape(-1, *reader.crop)
            )
            for box, mask in zip(sample.instances.boxes.tolist(), expected, strict=True):
                rows, columns = mask.any(1).nonzero()[0], mask.any(0).nonzero()[0]
                assert box == [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]


def test_padded_samples_are_turned_and_scaled(mixed):
    reader = Reader(mixed, crop=(56, 44), augment=Augment(near=0.5, scale=(0.6, 1.7)), seed=3)
    for epoch in range(10):
        for position in range(len(reader)):
            sample = reader.read((epoch, position, 0))
            assert sample.image.shape == (56, 44, 3)
            assert sample.semantic.shape == (56, 44)
            beyond = sample.semantic == 255
            # Where there is nothing to blend with, padding is black.
            assert not sample.instances.masks[:, beyond].any()


def test_a_crop_that_fits_no_image_is_refused(mixed):
    for crop in (81, (65, 65), (13, 81)):
        with pytest.raises(MtfastError, match="into none of which it fits; expected one"):
            Reader(mixed, crop=crop)


def test_whole_images_of_several_sizes(mixed):
    pytest.importorskip("torch", reason="PyTorch is the extra 'torch'")
    from mtfast.loaders.torch import Dataset, Loader

    assert not Reader(mixed).has_one_size
    with pytest.raises(MtfastError, match="several sizes in the form 'tensors'; .*form='dicts'"):
        Loader(Dataset(mixed), 2)
    assert len(list(Loader(Dataset(mixed), 1))) == 5
    batches = list(Loader(Dataset(mixed, form="dicts"), 2, shuffle=False))
    sizes = [tuple(sample["image"].shape[1:]) for batch in batches for sample in batch]
    assert sizes == SIZES


def test_images_of_16_bits(deep):
    train = mtfast.open(deep)["train"]
    reader = Reader(deep, crop=32)
    for position, channels in ((0, 1), (1, 3)):
        sample = reader.read(position)
        y, x, h, w = sample.view[:4]
        window = train.image(position)[y : y + h, x : x + w].reshape(h, w, channels)
        assert sample.image.dtype == np.uint16
        assert np.array_equal(sample.image, window)
        narrow = Reader(deep, crop=32, intensity=(1000, 30_000)).read(position).image
        expected = np.rint(np.clip((window.astype(float) - 1000) / 29_000, 0, 1) * 255)
        assert narrow.dtype == np.uint8
        assert np.abs(narrow - np.broadcast_to(expected, (h, w, 3))).max() <= 1
    resized = Reader(deep, crop=32, augment=Augment(scale=(1.5, 1.5))).read(0)
    assert resized.image.shape == (32, 32, 1)
    assert resized.image.dtype == np.uint16
    for bad in ((3, 3), (5, 2), (0, float("inf")), 7, "ab", (1, 2, 3)):
        with pytest.raises(MtfastError, match=r"intensity is .*; expected \(low, high\)"):
            Reader(deep, intensity=bad)


def noise(*shape):
    return np.random.default_rng(8).integers(0, 256, shape, np.uint8)


ODD = {
    "one pixel": {"a.png": noise(1, 1, 3), "b.jpg": noise(64, 64, 3), "c.jpg": noise(64, 1, 3)},
    "a row": {"a.png": noise(1, 200, 3), "b.jpg": noise(64, 64, 3)},
    "grey": {"a.png": noise(20, 30), "b.jpg": noise(64, 64), "c.jpg": noise(64, 64, 3)},
    "flat": {
        "a.tif": np.full((64, 64), 777, np.uint16),
        "b.tif": np.full((30, 64, 3), 12_345, np.uint16),
        "c.jpg": noise(64, 64, 3),
    },
}


@pytest.mark.parametrize("case", ODD)
@pytest.mark.parametrize("n_classes", [3, 300])
def test_odd_images_are_padded(case, n_classes, tmp_path):
    """Of one pixel, one row, grey among colour, all pixels alike; with masks of both widths."""
    store = make_odd_set(tmp_path / "set", ODD[case], n_classes)
    train = mtfast.open(store)["train"]
    reader = Reader(store, crop=48, intensity=(100, 5000), augment=Augment(0.5, False, False))
    assert reader.ignore_value == (255 if n_classes < 255 else 65535)
    for epoch in range(3):
        for position in range(len(reader)):
            sample = reader.read((epoch, position, 0))
            image, mask = train.image(sample.index), train.semantic(sample.index)
            if image.dtype == np.uint16:
                shades = np.rint(np.clip((image.astype(float) - 100) / 4900, 0, 1) * 255)
                image = np.broadcast_to(np.atleast_3d(shades), (*mask.shape, 3)).astype(np.uint8)
            assert np.array_equal(sample.image, padded(image, sample.view, 0))
            wide = mask.astype(reader.semantic_dtype)
            assert np.array_equal(sample.semantic, padded(wide, sample.view, reader.ignore_value))
            assert len(sample.instances.labels) == len(np.unique(sample.instances.ids))


def make_odd_set(folder, pixels, n_classes):
    """A set of given images with one instance in each but the last, of the last class."""
    (folder / "images").mkdir(parents=True)
    images, annotations = [], []
    for number, (name, image) in enumerate(pixels.items(), 1):
        if name.endswith(".tif"):
            tifffile.imwrite(folder / "images" / name, image)
        else:
            Image.fromarray(image).save(folder / "images" / name)
        h, w = image.shape[:2]
        images.append({"id": number, "file_name": name, "height": h, "width": w})
        runs = {"size": [h, w], "counts": [0, h * w // 2 or 1, h * w - (h * w // 2 or 1)]}
        row = {"id": number, "image_id": number, "category_id": n_classes, "segmentation": runs}
        annotations.append({**row, "area": 1, "bbox": [0, 0, 1, 1], "iscrowd": 0})
    categories = [{"id": k, "name": f"class {k}"} for k in range(1, n_classes + 1)]
    content = {"images": images, "annotations": annotations[:-1], "categories": categories}
    (folder / "annotations.json").write_text(json.dumps(content))
    return mtfast.convert(folder / "annotations.json", folder / "set.zarr", crop_index=True)


def test_a_batch_of_8_and_16_bits_is_told_of_intensity(deep):
    pytest.importorskip("torch", reason="PyTorch is the extra 'torch'")
    from mtfast.loaders.torch import Dataset, Loader

    with pytest.raises(MtfastError, match="give intensity= for 8 bits"):
        list(Loader(Dataset(deep, crop=32), 2))
    (batch,) = Loader(Dataset(deep, crop=32, intensity=(0, 4095)), 2)
    assert batch["image"].shape == (2, 3, 32, 32)
