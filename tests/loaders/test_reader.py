"""Samples, compared with plain decoding, slicing and turning."""

from __future__ import annotations

import json
import logging
import pickle

import numpy as np
import pytest
from pycocotools import mask as coco_mask

import mtfast
from mtfast.errors import MtfastError, StoreError
from mtfast.loaders.reader import Reader
from mtfast.loaders.sampler import SampleKey
from mtfast.loaders.views import Augment

SHOT = "5_shot/run_3/annotations_with_class_300"


@pytest.fixture(scope="module")
def store(small_set, tmp_path_factory):
    return mtfast.convert(small_set, tmp_path_factory.mktemp("loaders") / "s.zarr", shard=4)


@pytest.fixture(scope="module")
def train(store):
    return mtfast.open(store)["train"]


@pytest.fixture(scope="module")
def indexed(tiny_set, tmp_path_factory):
    path = tmp_path_factory.mktemp("indexed") / "s.zarr"
    return mtfast.convert(tiny_set, path, splits=["train"], crop_index=True)


def oriented(pixels, mirrored, turns):
    """The twin of a view's orientation, for pixels of (h, w, ...)."""
    pixels = pixels[:, ::-1] if mirrored else pixels
    for _ in range(turns):
        pixels = np.swapaxes(pixels, 0, 1)[::-1]
    return pixels


def twin_of(view):
    """The twin of a view: what it makes of the labels of a whole image."""
    rows = ((np.arange(view.height) + 0.5) * view.h / view.height).astype(int)
    columns = ((np.arange(view.width) + 0.5) * view.w / view.width).astype(int)

    def apply(pixels):
        cut = pixels[view.y + rows][:, view.x + columns]
        return oriented(cut, view.mirrored, view.turns)

    return apply


def expect_targets(sample, table, apply):
    """Compare targets with masks decoded by pycocotools and transformed by a function."""
    masks, labels, ids = [], [], []
    semantic = np.zeros(sample.semantic.shape, np.uint8)
    for k in range(table.n_instances):
        size = [int(table.heights[0]), int(table.widths[0])]
        mask = apply(coco_mask.decode({"size": size, "counts": table.text(k)}))
        if mask.any():
            masks.append(mask)
            labels.append(table.category_ids[k])
            ids.append(table.instance_ids[k])
            semantic[mask > 0] = table.category_ids[k]
    found = sample.instances
    assert np.array_equal(sample.semantic, semantic)
    assert found.masks.dtype == bool
    assert found.masks.flags.c_contiguous
    assert np.array_equal(found.masks, np.array(masks, bool).reshape(-1, *semantic.shape))
    assert found.labels.tolist() == labels
    assert found.ids.tolist() == ids
    assert found.areas.tolist() == [int(m.sum()) for m in masks]
    assert found.boxes.dtype == np.float32
    for box, mask in zip(found.boxes, masks, strict=True):
        rows, columns = np.nonzero(mask)
        edges = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert box.tolist() == edges
    return len(masks)


@pytest.mark.parametrize("crop", [None, 64, (40, 90)])
@pytest.mark.parametrize("augment", [None, Augment(near=0.5), Augment(turn=False)])
def test_samples_are_the_window_of_everything(store, train, crop, augment):
    reader = Reader(store, crop=crop, augment=augment, seed=3)
    orientations = set()
    for position in range(len(reader)):
        sample = reader.read(SampleKey(2, position))
        assert sample.index == position
        assert sample.name == train.names[position]
        view = sample.view
        assert not view.resized
        orientations.add((view.mirrored, view.turns))
        apply = twin_of(view)
        assert sample.image.dtype == np.uint8
        assert sample.image.flags.c_contiguous
        assert sample.semantic.flags.c_contiguous
        assert np.array_equal(sample.image, apply(train.image(position)))
        if not crop:
            assert np.array_equal(sample.semantic, apply(train.semantic(position)))
        expect_targets(sample, train.instances(position), apply)
        wanted = {None: sample.semantic.shape, 64: (64, 64)}.get(crop, crop)
        assert sample.image.shape[:2] == sample.semantic.shape == wanted
    assert len(orientations) >= (1 if augment is None else 2)


def test_resizing_keeps_image_and_masks_together(store, train):
    reader = Reader(store, crop=64, augment=Augment(scale=(0.5, 2)))
    for position in range(len(reader)):
        sample = reader.read(position)
        apply = twin_of(sample.view)
        expect_targets(sample, train.instances(position), apply)
        # Bilinear values are close to those of the nearest pixels.
        plain = apply(train.image(position)).astype(int)
        assert sample.image.shape == plain.shape
        assert np.abs(sample.image - plain).mean() < 12
    sizes = {reader.read(SampleKey(epoch, 0)).view.h for epoch in range(40)}
    assert 32 <= min(sizes) < 45
    assert 90 < max(sizes) <= 128


def test_instances_left_empty_by_resizing_are_dropped(tmp_path):
    """Flakes of a few pixels in an image that shrinks to a quarter: most have no pixel left."""
    rng = np.random.default_rng(1)
    annotations = []
    for k in range(40):
        mask = np.zeros((64, 64), np.uint8, order="F")
        y, x = rng.integers(0, 62, 2)
        mask[y : y + 1 + k % 3, x : x + 1 + k % 3] = 1
        rle = coco_mask.encode(mask)
        rle["counts"] = rle["counts"].decode()
        annotations.append({"id": k + 1, "image_id": 1, "category_id": 1, "segmentation": rle})
    image = {"id": 1, "file_name": "a.jpg", "height": 64, "width": 64}
    content = {"images": [image], "annotations": annotations, "categories": [{"id": 1}]}
    (tmp_path / "dots.json").write_text(json.dumps(content))
    path = mtfast.convert(tmp_path / "dots.json", tmp_path / "dots.zarr", images="none")
    table = mtfast.open(path)["train"].instances(0)
    reader = Reader(path, crop=16, images=False, augment=Augment(scale=(0.25, 0.25)))
    for epoch in range(8):
        sample = reader.read(SampleKey(epoch, 0))
        assert sample.view[2:6] == (64, 64, 16, 16)
        assert 0 < expect_targets(sample, table, twin_of(sample.view)) < 30


def test_turned_windows_that_do_not_fit(store, train):
    """A crop as large as the image, with quarter turns asked for: every sample has its size."""
    reader = Reader(store, crop=(240, 320), augment=Augment())
    turns = set()
    for epoch in range(8):
        sample = reader.read(SampleKey(epoch, 0))
        assert sample.image.shape == (240, 320, 3)
        assert np.array_equal(sample.image, twin_of(sample.view)(train.image(0)))
        turns.add(sample.view.turns)
    assert turns == {0, 2}


def test_views_differ_by_seed_epoch_and_image(store):
    options = {"crop": 32, "augment": Augment(), "images": False, "targets": []}
    views = [
        Reader(store, seed=seed, **options).read(SampleKey(epoch, position)).view
        for seed in range(3)
        for epoch in range(3)
        for position in range(3)
    ]
    assert len(set(views)) == 27


def test_a_view_is_that_of_the_image_in_every_variant(store, train):
    """It follows from the index in the split, not from the position in a subset."""
    options = {"crop": 32, "augment": Augment(), "targets": []}
    subset = Reader(store, variant=SHOT, **options)
    whole = Reader(store, **options)
    for position in range(len(subset)):
        sample = subset.read(SampleKey(1, position))
        assert sample.index == train.images_of(SHOT)[position]
        assert sample.view == whole.read(SampleKey(1, sample.index)).view
        assert np.array_equal(sample.image, whole.read(SampleKey(1, sample.index)).image)


def test_the_order_knows_the_shards_and_the_seed(store, train):
    reader = Reader(store, variant=SHOT, seed=4)
    order = reader.epoch_order()
    assert (order.shard, order.seed, order.shuffle) == (4, 4, True)
    assert np.array_equal(order.images, train.images_of(SHOT))
    assert not reader.epoch_order(shuffle=False).shuffle


def test_variants_classes_and_targets(store, train):
    reader = Reader(store, variant=SHOT, class_agnostic=True, targets=["semantic"])
    assert len(reader) == len(train.images_of(SHOT)) < len(train)
    sample = reader.read(0)
    assert sample.instances is None
    assert reader.classes == ((1, 1, "object"),)
    table = train.instances(sample.index, SHOT)
    assert np.array_equal(sample.semantic > 0, mtfast.semantic(table)[0] > 0)
    assert sample.semantic.max() == 1
    sample = Reader(store, targets=(), images=False).read(-1)
    assert sample.index == len(train) - 1
    assert sample.image is sample.semantic is sample.instances is None
    names = [c.name for c in Reader(store).classes]
    assert names == [c.name for c in sorted(train.categories())]


def test_classes_are_numbered_in_the_order_of_their_ids(tmp_path):
    mask = coco_mask.encode(np.ones((2, 2), np.uint8, order="F"))
    mask["counts"] = mask["counts"].decode()
    annotations = [
        {"id": k, "image_id": k, "category_id": category, "segmentation": mask}
        for k, category in enumerate((40, 7, 900), 1)
    ]
    images = [{"id": k, "file_name": f"{k}.jpg", "height": 2, "width": 2} for k in (1, 2, 3)]
    categories = [{"id": k, "name": f"class {k}"} for k in (900, 7, 40)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (tmp_path / "set.json").write_text(json.dumps(content))
    path = mtfast.convert(tmp_path / "set.json", tmp_path / "set.zarr", images="none")
    reader = Reader(path, images=False)
    assert reader.classes == ((1, 7, "class 7"), (2, 40, "class 40"), (3, 900, "class 900"))
    samples = [reader.read(position) for position in range(3)]
    assert [sample.instances.labels.tolist() for sample in samples] == [[2], [1], [3]]
    assert [int(sample.semantic.max()) for sample in samples] == [2, 1, 3]
    assert {sample.semantic.dtype for sample in samples} == {np.dtype(np.uint8)}


def test_the_cache_decodes_once_and_is_bounded(store, monkeypatch):
    from mtfast.store.reading.store import Split

    decoded = []
    decode = Split.image
    monkeypatch.setattr(Split, "image", lambda self, i: decoded.append(i) or decode(self, i))
    image_bytes = 3 * 240 * 320
    plain, kept, full = (
        Reader(store, crop=32, augment=Augment(), cache_bytes=b)
        for b in (0, 20 * image_bytes, 20 * image_bytes - 1)
    )
    assert (plain.is_cached, kept.is_cached, full.is_cached) == (False, True, False)
    assert not Reader(store, images=False, cache_bytes=2**40).is_cached
    kept.warm()
    assert sorted(decoded) == list(range(20))
    for epoch in range(2):
        for position in range(20):
            a, b = (r.read(SampleKey(epoch, position)).image for r in (kept, plain))
            assert np.array_equal(a, b)
    decoded.clear()
    kept.read(3)
    assert not decoded
    again = pickle.loads(pickle.dumps(kept))
    assert np.array_equal(again.read(3).image, kept.read(3).image)
    assert len(pickle.dumps(kept)) < 3000


def test_cached_images_are_not_changed_by_their_samples(store, train):
    """Samples are copies, so that training code may write into them."""
    reader = Reader(store, cache_bytes=2**28)
    sample = reader.read(0)
    sample.image[:] = 0
    assert np.array_equal(reader.read(0).image, train.image(0))


def test_bytes_are_requested_of_the_right_image(store, train, monkeypatch):
    from mtfast.store.reading.store import Split

    requested = []
    monkeypatch.setattr(Split, "fetch_ahead", lambda self, index: requested.append(index))
    reader = Reader(store, variant=SHOT)
    for position in range(len(reader)):
        reader.fetch_ahead(position)
    assert requested == train.images_of(SHOT).tolist()


@pytest.mark.parametrize("crop", [64, np.int64(64), np.uint8(64), (64, 64), np.array([64, 64])])
def test_integers_of_any_type_are_sizes(store, crop):
    reader = Reader(store, crop=crop, seed=np.int32(3), cache_bytes=np.uint64(0))
    assert reader.crop == (64, 64)
    assert reader.read(0).image.shape == (64, 64, 3)
    assert type(reader.epoch_order().fingerprint()["seed"]) is int


@pytest.mark.parametrize("crop", [64.0, "64", (64,), (64, 64, 3), (64, 6.5), 0, -1, (64, 0), {}])
def test_bad_sizes(store, crop):
    with pytest.raises(MtfastError, match="crop is .*; expected one side or .*; correct it"):
        Reader(store, crop=crop)


@pytest.mark.parametrize(
    "bad",
    [
        {"seed": -1},
        {"seed": 1.5},
        {"seed": None},
        {"cache_bytes": -1},
        {"cache_bytes": 2e9},
        {"cache_bytes": "1 GB"},
    ],
)
def test_bad_integers(store, bad):
    (name,) = bad
    with pytest.raises(MtfastError, match=f"{name} is .*; expected an integer of at least 0"):
        Reader(store, **bad)


@pytest.mark.parametrize("targets", ["semantic", None, 1, ["masks"], ["semantic", "masks"], [[]]])
def test_bad_targets(store, targets):
    with pytest.raises(MtfastError, match="targets .*; expected some of .*; give a list"):
        Reader(store, targets=targets)


def test_bad_readers(store, small_set, tmp_path):
    with pytest.raises(StoreError, match="no split 'tran'"):
        Reader(store, "tran")
    for variant in ("x", ""):
        with pytest.raises(StoreError, match=f"no variant '{variant}'"):
            Reader(store, variant=variant)
    for augment in (True, {"near": 0.5}, Augment):
        with pytest.raises(MtfastError, match="augment is .*; expected an mtfast.loaders.Augment"):
            Reader(store, augment=augment)
    for crop in ((241, 10), (10, 321), 500):
        with pytest.raises(MtfastError, match="a crop of .* from an image of 240 x 320"):
            Reader(store, crop=crop)
    with pytest.raises(MtfastError, match="xyz://bucket/set.zarr begins with xyz://"):
        Reader("xyz://bucket/set.zarr")
    for position in (20, -21):
        with pytest.raises(IndexError, match=f"sample {position} of a set of 20"):
            Reader(store).read(position)
    for position in (1.0, "1", slice(3), None):
        with pytest.raises(TypeError, match="cannot be interpreted as an integer"):
            Reader(store).read(position)
    masks = mtfast.convert(small_set, tmp_path / "m.zarr", images="none")
    with pytest.raises(StoreError, match="or read with images=False"):
        Reader(masks)


def test_unlisted_categories_are_named(store, monkeypatch):
    from mtfast.store.reading.store import Split

    listed = Split.categories
    monkeypatch.setattr(Split, "categories", lambda *given: listed(*given)[:1])
    with pytest.raises(MtfastError, match="has category .*; expected one of the 1 that"):
        Reader(store)
    assert Reader(store, class_agnostic=True).classes.names == ("object",)


def test_what_a_reader_chooses_is_logged(store, indexed, caplog):
    """At INFO; a cache that is too small is a warning."""

    def said(path, **options):
        caplog.clear()
        with caplog.at_level(logging.INFO, "mtfast"):
            Reader(path, **options)
        return [(r.levelname, r.getMessage().partition(".zarr: ")[2]) for r in caplog.records]

    first, decoding = said(indexed, crop=32)
    assert first == ("INFO", "variant annotations_with_class_200, 10 images")
    assert decoding == ("INFO", "windows are decoded with the crop index")
    assert "as samples are whole images" in said(indexed)[1][1]
    assert "with the crop index" in said(indexed, augment=Augment(turn=False, scale=(1, 2)))[1][1]
    assert "masks only" in said(indexed, images=False)[1][1]
    assert "no crop index; 'mtfast index' adds one" in said(store, crop=32)[1][1]
    shots = said(store, variant=SHOT, crop=32, cache_bytes=2**28)
    assert shots[0][1].startswith(f"variant {SHOT}, ")
    assert "decoded once and kept" in shots[1][1]
    warning = said(store, crop=32, cache_bytes=4_607_999)[2]
    assert warning == (
        "WARNING",
        "nothing is cached; cache_bytes is 4,607,999, the decoded images take 4,608,000",
    )
    assert "two of four turns" in said(store, augment=Augment())[2][1]
    assert len(said(store, crop=240, augment=Augment())) == 2
