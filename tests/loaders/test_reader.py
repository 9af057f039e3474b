"""Views and samples beside plain decoding, slicing and turning."""

from __future__ import annotations

import pickle
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

import mtfast
from mtfast.errors import MtfastError, StoreError
from mtfast.loaders.reader import Reader
from mtfast.loaders.sampler import SampleKey
from mtfast.loaders.views import Augment, View, choose_view
from tables import make_table, random_masks


@pytest.fixture(scope="module")
def store(small_set, tmp_path_factory):
    return mtfast.convert(small_set, tmp_path_factory.mktemp("loaders") / "s.zarr", shard=4)


@pytest.fixture(scope="module")
def train(store):
    return mtfast.open(store)["train"]


def turned(pixels, mirrored, turns):
    """The twin of a layout, for pixels of (h, w, ...)."""
    pixels = pixels[:, ::-1] if mirrored else pixels
    for _ in range(turns):
        pixels = np.swapaxes(pixels, 0, 1)[::-1]
    return pixels


def expect_targets(item, table, layout):
    """Compare the targets of an item with masks decoded by pycocotools, laid out by a function."""
    masks, labels, ids = [], [], []
    semantic = np.zeros(item.image.shape[:2], np.uint8)
    for k in range(table.n_instances):
        size = [int(table.heights[0]), int(table.widths[0])]
        mask = layout(coco_mask.decode({"size": size, "counts": table.text(k)}))
        if mask.any():
            masks.append(mask)
            labels.append(table.category_ids[k])
            ids.append(table.instance_ids[k])
            semantic[mask > 0] = table.category_ids[k]
    found = item.instances
    assert np.array_equal(item.semantic, semantic)
    assert found.masks.dtype == bool
    assert np.array_equal(found.masks, np.array(masks, bool).reshape(-1, *semantic.shape))
    assert found.labels.tolist() == labels
    assert found.ids.tolist() == ids
    assert found.areas.tolist() == [int(m.sum()) for m in masks]
    for box, mask in zip(found.boxes, masks, strict=True):
        rows, columns = np.nonzero(mask)
        edges = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        assert box.tolist() == edges


@pytest.mark.parametrize("crop", [None, 64, (40, 90)])
@pytest.mark.parametrize("augment", [None, Augment(near=0.5), Augment(turn=False)])
def test_samples_are_the_window_of_everything(store, train, crop, augment):
    reader = Reader(store, crop=crop, augment=augment, seed=3)
    layouts = set()
    for place in range(len(reader)):
        item = reader.read(SampleKey(2, place))
        assert item.index == place
        assert item.name == train.names[place]
        y, x, h, w, height, width, mirrored, turns = item.view
        assert (h, w) == (height, width)
        layouts.add((mirrored, turns))

        def layout(pixels, y=y, x=x, h=h, w=w, mirrored=mirrored, turns=turns):
            return turned(pixels[y : y + h, x : x + w], mirrored, turns)

        assert item.image.flags.c_contiguous
        assert np.array_equal(item.image, layout(train.image(place)))
        if not crop:
            assert np.array_equal(item.semantic, layout(train.semantic(place)))
        expect_targets(item, train.instances(place), layout)
        wanted = {None: item.semantic.shape, 64: (64, 64)}.get(crop, crop)
        assert item.image.shape[:2] == item.semantic.shape == wanted
    assert len(layouts) >= (1 if augment is None else 2)


def test_resizing_keeps_image_and_masks_together(store, train):
    reader = Reader(store, crop=64, augment=Augment(scale=(0.5, 2)))
    for place in range(len(reader)):
        item = reader.read(place)
        y, x, h, w, *_, mirrored, turns = item.view
        rows = ((np.arange(64) + 0.5) * h / 64).astype(int)
        columns = ((np.arange(64) + 0.5) * w / 64).astype(int)

        def layout(pixels, y=y, x=x, r=rows, c=columns, mirrored=mirrored, turns=turns):
            return turned(pixels[y + r][:, x + c], mirrored, turns)

        expect_targets(item, train.instances(place), layout)
        # Bilinear pixels lie near those next to them.
        plain = layout(train.image(place)).astype(int)
        assert item.image.shape == plain.shape
        assert np.abs(item.image - plain).mean() < 12
    sizes = {reader.read(SampleKey(epoch, 0)).view.h for epoch in range(40)}
    assert 32 <= min(sizes) < 45
    assert 90 < max(sizes) <= 128


def test_layouts_of_boxes():
    mask = np.zeros((5, 8), np.uint8)
    mask[1:3, 2:7] = 1
    for mirrored, turns in product((False, True), range(4)):
        view = View(0, 0, 5, 8, 5, 8, mirrored, turns)
        rows, columns = np.nonzero(view.orient(mask))
        (box,) = view.apply_to_boxes(np.array([[2, 1, 7, 3]], np.float32))
        assert box.tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


@settings(deadline=None, max_examples=60)
@given(
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.floats(0.1, 4),
    st.integers(0, 99),
)
def test_views_lie_in_the_image(frame, crop, low, seed):
    table = make_table([random_masks(np.random.default_rng(seed), frame, 3)], frame)
    augment = Augment(near=0.5, scale=(low, 2 * low))
    if max(crop) > min(frame):
        return
    view = choose_view(table, crop, augment, (seed, 0, 0))
    assert 0 <= view.y <= view.y + view.h <= frame[0]
    assert 0 <= view.x <= view.x + view.w <= frame[1]
    assert min(view.h, view.w) >= 1
    shape = (view.height, view.width)[:: -1 if view.turns % 2 else 1]
    assert shape == crop


def test_windows_near_instances():
    mask = np.zeros((200, 300), np.uint8)
    mask[150:154, 10:14] = 1
    table = make_table([[mask, np.zeros_like(mask)]], mask.shape)
    for seed in range(50):
        view = choose_view(table, (32, 32), Augment(near=1), (seed,))
        assert view.y <= 152 < view.y + view.h
        assert view.x <= 12 < view.x + view.w
    empty = make_table([[]], mask.shape)
    assert choose_view(empty, (32, 32), Augment(near=1), (0,)).h == 32


def test_every_choice_has_its_own_number():
    """Switching one augmentation off moves nothing else."""
    table = make_table([[]], (64, 64))
    for seed in range(20):
        both = choose_view(table, (16, 16), Augment(), (seed,))
        plain = choose_view(table, (16, 16), Augment(mirror=False, turn=False), (seed,))
        assert both[:6] == plain[:6]
    views = [choose_view(table, (16, 16), Augment(), (s,)) for s in range(400)]
    layouts = [(v.mirrored, v.turns) for v in views]
    assert all(layouts.count(layout) > 25 for layout in set(layouts))
    assert len(set(layouts)) == 8


def test_variants_classes_and_parts(store, train):
    shot = "5_shot/run_3/annotations_with_class_300"
    reader = Reader(store, variant=shot, class_agnostic=True, targets=["semantic"])
    assert len(reader) == len(train.images_of(shot)) < len(train)
    item = reader.read(0)
    assert item.instances is None
    assert reader.categories == ((1, "object"),)
    table = train.instances(item.index, shot)
    assert np.array_equal(item.semantic > 0, mtfast.semantic(table)[0] > 0)
    assert item.semantic.max() == 1
    item = Reader(store, targets=(), images=False).read(-1)
    assert item.index == len(train) - 1
    assert item.image is item.semantic is item.instances is None
    names = [c.name for c in Reader(store).categories]
    assert names == [c.name for c in sorted(train.categories())]


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
    kept.warm()
    assert sorted(decoded) == list(range(20))
    for epoch in range(2):
        for place in range(20):
            a, b = (r.read(SampleKey(epoch, place)).image for r in (kept, plain))
            assert np.array_equal(a, b)
    decoded.clear()
    kept.read(3)
    assert not decoded
    again = pickle.loads(pickle.dumps(kept))
    assert np.array_equal(again.read(3).image, kept.read(3).image)
    assert len(pickle.dumps(kept)) < 3000


def test_bad_readers(store, small_set, tmp_path):
    with pytest.raises(MtfastError, match="targets 'semantic'; expected some of"):
        Reader(store, targets="semantic")
    with pytest.raises(StoreError, match="no split 'tran'"):
        Reader(store, "tran")
    with pytest.raises(StoreError, match="no variant 'x'"):
        Reader(store, variant="x")
    with pytest.raises(MtfastError, match="a crop of 241 x 10 from an image of 240 x 320"):
        Reader(store, crop=(241, 10)).read(0)
    with pytest.raises(IndexError, match="sample 20 of a set of 20"):
        Reader(store).read(20)
    for bad in ({"near": 2}, {"scale": (0, 1)}, {"scale": (2, 1)}):
        with pytest.raises(MtfastError, match="correct them"):
            Augment(**bad)
    masks = mtfast.convert(small_set, tmp_path / "m.zarr", images="none")
    with pytest.raises(StoreError, match="or read with images=False"):
        Reader(masks)


def test_unlisted_categories_are_named(store, monkeypatch):
    reader = Reader(store)
    reader._listed = reader._listed[:1]
    with pytest.raises(MtfastError, match="has category .*; expected one of the 1 that"):
        [reader.read(place) for place in range(len(reader))]
