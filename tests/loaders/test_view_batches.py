"""Views of batches, against those that the reader chooses one by one."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

import mtfast
from mtfast.errors import MtfastError
from mtfast.loaders.reader import Reader
from mtfast.loaders.sampler import SampleKey
from mtfast.loaders.view_batches import ViewBatches
from mtfast.loaders.views import Augment
from mtfast.store.reading.store import Split
from tables import random_masks

SHOT = "5_shot/run_3/annotations_with_class_300"
N_IMAGES = 60


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """Frames of many sizes; masks of all kinds, empty ones and crowds too, and frames of none."""
    rng = np.random.default_rng(4)
    folder = tmp_path_factory.mktemp("views")
    images, annotations = [], []
    for number in range(1, N_IMAGES + 1):
        h, w = rng.integers(3, 90, 2).tolist() if number % 4 else (64, 64)
        images.append({"id": number, "file_name": f"{number}.png", "height": h, "width": w})
        for mask in random_masks(rng, (h, w), int(rng.integers(0, 6))):
            rle = coco_mask.encode(np.asfortranarray(mask))
            rle["counts"] = rle["counts"].decode()
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": int(rng.integers(1, 4)),
                    "segmentation": rle,
                    "iscrowd": int(rng.integers(4) == 0),
                }
            )
    categories = [{"id": k, "name": f"class {k}"} for k in (1, 2, 3)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "set.json").write_text(json.dumps(content))
    return mtfast.convert(folder / "set.json", folder / "set.zarr", images="none", shard=8)


def draw_keys(reader, n, seed):
    """Keys of few and many bits, with positions from both ends."""
    rng = np.random.default_rng(seed)

    def number():
        return int(rng.integers(0, 2 ** int(rng.integers(0, 64)), dtype=np.uint64))

    positions = rng.integers(-len(reader), len(reader), n).tolist()
    repeats = [number() if rng.integers(2) else int(rng.integers(3)) for _ in range(n)]
    return [SampleKey(number(), *pair) for pair in zip(positions, repeats, strict=True)]


def expect_equal(reader, keys, planner=None):
    planner = planner or ViewBatches(reader)
    found = planner.views(keys)
    assert found.dtype == np.int64
    assert found.flags.c_contiguous
    expected = [reader.view_of(key) for key in keys]
    assert list(map(tuple, found.tolist())) == [tuple(view) for _, _, view in expected]
    assert planner.images(keys).tolist() == [index for index, _, _ in expected]
    return found


SCALES = st.one_of(
    st.sampled_from([(1, 1), (1.0, 1.0), (0.8, 1.25), (2, 2), (0.3, 0.3)]),
    st.tuples(st.floats(0.02, 40), st.floats(0.02, 40)).map(lambda pair: tuple(sorted(pair))),
)
AUGMENTS = st.builds(
    Augment,
    near=st.one_of(st.sampled_from([0, 1, 0.5]), st.floats(0, 1)),
    mirror=st.booleans(),
    turn=st.booleans(),
    scale=SCALES,
)
CLASSES = st.sampled_from(
    [
        {},
        {"class_agnostic": True},
        {"classes": ["class 2"]},
        {"classes": [3, 1]},
    ]
)


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(
    crop=st.sampled_from([None, 1, 32, 64, (5, 9), (40, 60), (3, 80), (75, 20)]),
    augment=st.none() | AUGMENTS,
    crowds=st.sampled_from(["drop", "ignore", "keep"]),
    classes=CLASSES,
    seed=st.integers(0, 9) | st.integers(0, 2**140),
)
def test_views_are_those_of_the_reader(store, crop, augment, crowds, classes, seed):
    reader = Reader(
        store, crop=crop, augment=augment, crowds=crowds, seed=seed, images=False, **classes
    )
    expect_equal(reader, draw_keys(reader, 60, seed % 1000))


@pytest.mark.parametrize("crowds", ["drop", "ignore", "keep"])
def test_every_image_near_instances(store, crowds):
    """All instances that a window may be near are chosen, at the edges of images too."""
    reader = Reader(
        store, crop=12, augment=Augment(near=1), crowds=crowds, classes=[2, 3], images=False
    )
    keys = [SampleKey(epoch, k) for epoch in range(40) for k in range(N_IMAGES)]
    expect_equal(reader, keys)


def test_halves_of_pixels(store):
    """Windows of 2.5 x 4.5 pixels are rounded to even, as Python does."""
    reader = Reader(store, crop=(5, 9), augment=Augment(turn=False, scale=(2, 2)), images=False)
    views = expect_equal(reader, draw_keys(reader, 60, 0))
    assert {tuple(size) for size in views[:, 2:4].tolist()} == {(2, 4)}


def test_images_of_a_variant(small_set, tmp_path):
    """Positions in the set are not indices in the split."""
    path = mtfast.convert(small_set, tmp_path / "set.zarr", images="none")
    reader = Reader(
        path, variant=SHOT, crop=(100, 64), augment=Augment(near=0.7), images=False, seed=2**70
    )
    assert reader.indices.tolist() != list(range(len(reader)))
    expect_equal(reader, draw_keys(reader, 200, 0))


def test_a_batch_is_made_of_any_keys(store):
    """Of a sampler, of plain tuples and of numpy's integers; of none, and again of one planner."""
    reader = Reader(store, crop=24, augment=Augment(near=0.5, scale=(0.5, 2)), images=False)
    planner = pickle.loads(pickle.dumps(ViewBatches(reader)))
    order = reader.epoch_order(n_samples=3 * N_IMAGES)
    positions = order.of_epoch(4)
    repeats = order.repeats(positions)
    keys = [(4, *pair) for pair in zip(positions.tolist(), repeats.tolist(), strict=True)]
    assert repeats.max() > 0
    whole = expect_equal(reader, keys, planner)
    assert np.array_equal(whole, planner.views([SampleKey(*map(np.int32, key)) for key in keys]))
    parts = [planner.views(keys[k : k + 7]) for k in range(0, len(keys), 7)]
    assert np.array_equal(whole, np.concatenate(parts))
    assert planner.views([]).shape == (0, 8)
    assert planner.images([]).shape == (0,)


@pytest.mark.parametrize("augment", [None, Augment()])
def test_wrong_keys(store, augment):
    planner = ViewBatches(Reader(store, crop=24, augment=augment, images=False))
    for position in (N_IMAGES, -N_IMAGES - 1):
        for choose in (planner.views, planner.images):
            with pytest.raises(IndexError, match=f"sample {position} of a set of {N_IMAGES}"):
                choose([SampleKey(0, 0), SampleKey(0, position)])
    for wrong in ([SampleKey(0, 1.5)], [3], [SampleKey(0, None)]):
        with pytest.raises(TypeError):
            planner.views(wrong)
    with pytest.raises(TypeError, match="2 keys of 4 integers; expected three"):
        planner.views([(0, 1), (0, 1)])


def test_negative_epochs(store):
    planner = ViewBatches(Reader(store, crop=24, augment=Augment(), images=False))
    with pytest.raises(MtfastError, match="epoch -2; expected one from 0 on"):
        planner.views([SampleKey(0, 0), SampleKey(-2, 0)])


def test_windows_that_no_memory_holds(store):
    """A side that is shorter than the crop gives a scale no bound."""
    augment = Augment(near=0.5, scale=(1e-300, 1e-300))
    planner = ViewBatches(Reader(store, crop=64, augment=augment, images=False))
    with pytest.raises(MtfastError, match=r"need a window of more than 2\*\*41 pixels"):
        planner.views([SampleKey(0, k) for k in range(N_IMAGES)])


def test_instances_are_measured_only_where_they_matter(store, monkeypatch):
    def fail(*_):
        raise AssertionError("the table is read")

    monkeypatch.setattr(Split, "table", fail)
    for augment in (None, Augment(near=0.0)):
        planner = ViewBatches(Reader(store, crop=24, augment=augment, images=False))
        assert planner.views([SampleKey(0, 0)]).shape == (1, 8)
    with pytest.raises(AssertionError, match="the table is read"):
        ViewBatches(Reader(store, crop=24, augment=Augment(near=0.1), images=False))
