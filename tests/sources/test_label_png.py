"""Folders of images and instance-mask PNGs."""

from __future__ import annotations

import pickle
import zlib
from io import BytesIO
from pathlib import Path

import imagecodecs
import numpy as np
import pycocotools.mask as reference
import pytest
from PIL import Image

import mtfast
from mtfast.errors import SourceError
from mtfast.sources import SetNames, Source
from mtfast.sources.label_png import decode_labels


def text_of_mask(pixels: np.ndarray) -> bytes:
    text: bytes = reference.encode(np.asfortranarray(pixels, np.uint8))["counts"]
    return text


def png(labels: np.ndarray, mode: str | None = None, **options: int) -> bytes:
    image = Image.fromarray(labels)
    if mode == "P":
        image.putpalette([value for k in range(256) for value in (k, 255 - k, 7)])
    file = BytesIO()
    image.save(file, "PNG", **options)
    return file.getvalue()


@pytest.fixture
def labels(rng: np.random.Generator) -> list[np.ndarray]:
    sizes = [(9, 14), (8, 5), (9, 14)]
    noise = [rng.integers(0, high, size) for high, size in zip((4, 1, 400), sizes, strict=True)]
    return [noise[0].astype(np.uint8), noise[1].astype(np.uint8), noise[2].astype(np.uint16)]


@pytest.fixture
def folder(tmp_path: Path, labels: list[np.ndarray]) -> Path:
    for name in ("images", "instance_masks"):
        (tmp_path / "demo" / name).mkdir(parents=True)
    for stem, suffix, found in zip("cab", (".jpg", ".jpeg", ".JPG"), labels, strict=True):
        (tmp_path / "demo/images" / (stem + suffix)).write_bytes(stem.encode())
        ending = ".PNG" if stem == "c" else ".png"
        (tmp_path / "demo/instance_masks" / (stem + ending)).write_bytes(png(found))
    (tmp_path / "demo/images/._a.jpg").write_bytes(b"")
    (tmp_path / "demo/instance_masks/.DS_Store").write_bytes(b"")
    return tmp_path / "demo"


def test_table(folder, labels):
    src = mtfast.open_source(folder)
    assert isinstance(src, Source)
    assert (src.kind, src.name, src.path) == ("label_png", "demo", folder)
    assert (src.splits, src.variants("train")) == (("train",), ("annotations",))
    assert src.variant_file("train", "annotations") == "instance_masks"
    assert src.image_names("train") == ("a.jpeg", "b.JPG", "c.jpg")
    assert src.read_image("train", "c.jpg") == b"c"
    assert src.mask_names("train") is None
    assert src.set_names("train") == SetNames((), {})
    assert len(pickle.dumps(src)) < 1_000

    table = src.table("train", "annotations")
    assert table.names.tolist() == ["a.jpeg", "b.JPG", "c.jpg"]
    assert table.image_ids.tolist() == [1, 2, 3]
    in_order = [labels[1], labels[2], labels[0]]
    assert list(zip(table.heights, table.widths, strict=True)) == [m.shape for m in in_order]
    expected = [text_of_mask(m == label) for m in in_order for label in np.unique(m) if label != 0]
    assert [table.text(k) for k in range(table.n_instances)] == expected
    assert np.diff(table.image_offsets).tolist() == [np.unique(m[m > 0]).size for m in in_order]
    assert table.instance_ids.tolist() == list(range(1, len(expected) + 1))
    assert table.positions.tolist() == list(range(len(expected)))
    assert set(table.category_ids.tolist()) == {1}
    assert table.categories == ((1, "flake"),)
    assert np.isnan(table.stated_area).all()
    assert np.isnan(table.stated_bbox).all()


def test_an_empty_folder_is_an_empty_table(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "instance_masks").mkdir()
    table = mtfast.open_source(tmp_path).table("train", "annotations")
    assert (table.n_images, table.n_instances) == (0, 0)


def test_kinds_of_png():
    labels = np.array([[0, 3, 1], [2, 2, 0]], np.uint8)
    for data in (png(labels), png(labels, "P"), png(labels, "P", bits=2)):
        np.testing.assert_array_equal(decode_labels(data, "x.png"), labels)
    wide = labels.astype(np.uint16) * 999
    np.testing.assert_array_equal(decode_labels(png(wide), "x.png"), wide)
    np.testing.assert_array_equal(decode_labels(png(labels > 0), "x.png"), labels > 0)
    for transparent in (labels, wide):
        data = png(transparent, transparency=0)
        np.testing.assert_array_equal(decode_labels(data, "x.png"), transparent)


@pytest.mark.parametrize(("mode", "side"), [(None, 2**31 - 1), (None, 10**6), ("P", 30_000)])
def test_absurd_sizes_are_refused(mode, side):
    data = bytearray(png(np.zeros((3, 3), np.uint8), mode))
    data[16:24] = side.to_bytes(4) * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4)
    with pytest.raises(SourceError, match=r"^x.png is a PNG of .* pixels; expected at most"):
        decode_labels(bytes(data), "x.png")


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", "instance_masks/a.png is not a PNG"),
        (imagecodecs.jpeg8_encode(np.zeros((8, 8), np.uint8)), "is not a PNG"),
        (png(np.zeros((3, 3, 3), np.uint8)), "is a PNG of RGB pixels"),
        (png(np.zeros((3, 3, 4), np.uint8)), "is a PNG of RGBA pixels"),
        (png(np.zeros((3, 3, 2), np.uint8)), "is a PNG of grey and alpha pixels"),
        (png(np.zeros((30, 30), np.uint8))[:50], "cannot be decoded"),
        (png(np.zeros((30, 30), np.uint8), "P")[:-30], "cannot be decoded"),
        (png(np.zeros((3, 3), np.uint8))[:40].ljust(99, b"\0"), "cannot be decoded"),
    ],
)
def test_bad_masks(folder, data, found):
    (folder / "instance_masks" / "a.png").write_bytes(data)
    for bad in ("refuse", "repair"):
        with pytest.raises(SourceError) as caught:
            mtfast.open_source(folder, bad=bad).table("train", "annotations")
        assert "1 x unreadable mask (instance_masks/a.png " in str(caught.value)
        assert found in str(caught.value)
    reading = mtfast.open_source(folder, bad="skip").read("train", "annotations")
    assert reading.table.names.tolist() == ["b.JPG", "c.jpg"]
    assert [(bad.kind, bad.places, bad.done) for bad in reading.found] == [
        ("unreadable mask", ("a.png",), "skipped")
    ]


def test_an_image_without_a_mask_is_no_negative(folder, labels):
    (folder / "instance_masks" / "b.png").unlink()
    for bad in ("refuse", "skip", "repair"):
        reading = mtfast.open_source(folder, bad=bad).read("train", "annotations")
        assert reading.table.names.tolist() == ["a.jpeg", "c.jpg"]
        assert [(bad.kind, bad.places, bad.done) for bad in reading.found] == [
            ("image without mask", ("b.JPG",), "dropped")
        ]


def test_a_mask_without_an_image(folder):
    (folder / "images" / "b.JPG").unlink()
    with pytest.raises(SourceError, match=r"1 x mask without image \('b.png'\)"):
        mtfast.open_source(folder).table("train", "annotations")
    reading = mtfast.open_source(folder, bad="skip").read("train", "annotations")
    assert reading.table.names.tolist() == ["a.jpeg", "c.jpg"]
    (folder / "images" / "c.jpeg").write_bytes(b"")
    with pytest.raises(SourceError, match=r"'c.jpeg' and 'c.jpg' in images/ have one stem"):
        mtfast.open_source(folder).table("train", "annotations")


@pytest.fixture
def materials(tmp_path: Path) -> Path:
    """As MaskTerial ships its demo: materials as folders, masks for some of some."""
    root = tmp_path / "demo"
    rng = np.random.default_rng(4)
    for material, masks in {"WSe2": "ab", "GrapheneH": "abc", "hBN_Thin": ""}.items():
        for kind in ("images", "instance_masks"):
            (root / kind / material).mkdir(parents=True)
        for stem in "abc":
            pixels = rng.integers(0, 256, (9, 14, 3)).astype(np.uint8)
            Image.fromarray(pixels).save(root / "images" / material / f"{stem}.jpg")
        for stem in masks:
            found = rng.integers(0, 4, (9, 14)).astype(np.uint8)
            (root / "instance_masks" / material / f"{stem}.png").write_bytes(png(found))
    (root / "instance_masks" / "hBN_Thin").rmdir()
    return root


def test_materials_are_splits(materials, tmp_path):
    src = mtfast.open_source(materials)
    assert src.splits == ("GrapheneH", "WSe2")
    assert src.variant_file("WSe2", "annotations") == "instance_masks/WSe2"
    store = mtfast.open(mtfast.convert(materials, tmp_path / "s.zarr"))
    for split, stems in {"GrapheneH": "abc", "WSe2": "ab"}.items():
        assert list(store[split].names) == [f"{stem}.jpg" for stem in stems]
        for stem in stems:
            file = materials / "images" / split / f"{stem}.jpg"
            np.testing.assert_array_equal(store[split].image(stem), np.asarray(Image.open(file)))
            with Image.open(materials / "instance_masks" / split / f"{stem}.png") as mask:
                found = store[split].semantic(stem)
                np.testing.assert_array_equal(found, np.asarray(mask) > 0)
    findings = store.attributes["findings"]
    assert [(f["kind"], f["n"], f["examples"]) for f in findings["GrapheneH"]] == [
        ("image without mask", 3, ["'hBN_Thin/a.jpg'", "'hBN_Thin/b.jpg'", "'hBN_Thin/c.jpg'"])
    ]
    assert [(f["kind"], f["n"], f["examples"]) for f in findings["WSe2"]] == [
        ("image without mask", 1, ["'c.jpg'"])
    ]


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ("images", "images holds images whose masks are in instance_masks/; .* give the path"),
        ("images/WSe2", "WSe2 holds images whose masks are in instance_masks/; .* give the path"),
        ("instance_masks", "instance_masks holds masks, as instance_masks/ says; .* give the path"),
        ("instance_masks/WSe2", "WSe2 holds masks, as instance_masks/ says; expected images; give"),
    ],
)
def test_a_part_of_a_set_is_refused(materials, part, words):
    """All masks of its images would be empty, or masks would be images."""
    with pytest.raises(SourceError, match=f"{words}.*{materials}$"):
        mtfast.open_source(materials / part)


def test_other_splits_and_masks_are_refused(folder):
    src = mtfast.open_source(folder)
    with pytest.raises(SourceError, match=r"no split 'test' in demo; expected one of: train"):
        src.table("test", "annotations")
    with pytest.raises(SourceError, match=r"semantic mask 'a.png' of demo; expected a dataset"):
        src.read_mask("train", "a.png")
    with pytest.raises(SourceError, match=r"image 'q.jpg' is missing in images/"):
        src.read_image("train", "q.jpg")


def test_the_demo_images(demo_data):
    src = mtfast.open_source(demo_data)
    table = src.table("train", "annotations")
    assert src.kind == "label_png"
    assert table.names.tolist() == list(src.image_names("train") or ())
    for image in map(table.image, range(table.n_images)):
        mask = demo_data / "instance_masks" / f"{Path(image.names[0]).stem}.png"
        labels = np.asarray(Image.open(mask))
        assert (image.heights[0], image.widths[0]) == labels.shape
        wanted = [text_of_mask(labels == k) for k in np.unique(labels) if k]
        assert [image.text(k) for k in range(image.n_instances)] == wanted
        expected = np.bincount(labels.ravel())[1:]
        assert image.area().tolist() == expected[expected > 0].tolist()
