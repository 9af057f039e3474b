"""Many images or masks in one call: PIL and single calls say what they have to be."""

from __future__ import annotations

import threading
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

import mtfast
from mtfast.errors import StoreError
from mtfast.parallel import map_threads
from mtfast.store.reading.split_images import SplitImages
from mtfast.store.reading.split_masks import SplitMasks


@pytest.fixture(scope="module")
def train(tiny_store):
    return mtfast.open(tiny_store)["train"]


@pytest.fixture(scope="module")
def mixed(mixed_store):
    store = mtfast.open(mixed_store)
    return store[store.splits[0]]


def by_pil(split, index):
    return np.asarray(Image.open(BytesIO(split.image_bytes(index))).convert("RGB"))


ORDERS = ([3, 1, 3, -1], [0], slice(None), slice(None, None, -3), np.arange(10) % 2 == 1)


@pytest.mark.parametrize("key", ORDERS, ids=repr)
def test_images_of_one_size_are_one_array_in_the_order_asked_for(train, key):
    expected = [by_pil(train, k) for k in np.arange(10)[key]]
    found = train.image(key)
    assert (found.shape, found.dtype) == ((len(expected), 96, 128, 3), np.uint8)
    np.testing.assert_array_equal(found, expected)
    masks = train.semantic(key)
    assert masks.shape == found.shape[:3]
    np.testing.assert_array_equal(masks, [train.semantic(int(k)) for k in np.arange(10)[key]])
    some = train[key]
    np.testing.assert_array_equal(some.image(), expected)
    np.testing.assert_array_equal(some.image([-1, 0]), [expected[-1], expected[0]])
    np.testing.assert_array_equal(some.semantic(), masks)
    np.testing.assert_array_equal(some.image(0), expected[0])


def test_names_are_taken_as_well(train):
    names = train.names[[5, 2]]
    np.testing.assert_array_equal(train.image(names), train.image([5, 2]))
    np.testing.assert_array_equal(train[2:6].image(names.tolist()), train.image([5, 2]))


@pytest.mark.parametrize("key", [[], slice(3, 3), np.zeros(10, bool)], ids=repr)
def test_no_image_is_an_array_of_none(train, key):
    assert train.image(key).shape == (0, 96, 128, 3)
    assert train.semantic(key).shape == (0, 96, 128)
    assert len(train[key]) == 0
    assert list(train[key]) == []
    assert train[key].image().shape == (0, 96, 128, 3)


def test_an_out_is_filled_and_returned(train):
    out = np.full((2, 96, 128, 3), 7, np.uint8)
    assert train.image([4, 1], out) is out
    np.testing.assert_array_equal(out, [by_pil(train, 4), by_pil(train, 1)])
    mask = np.full((2, 96, 128), 7, train.semantic_dtype)
    assert train.semantic([4, 1], out=mask) is mask
    np.testing.assert_array_equal(mask, [train.semantic(4), train.semantic(1)])
    assert train[1:3].image(out=out) is out


@pytest.mark.parametrize(
    ("out", "message"),
    [
        (np.empty((3, 96, 128, 3), np.uint8), r"out has shape \(3, 96, 128, 3\)"),
        (np.empty((2, 96, 128, 3), np.uint16), "uint16"),
        (np.empty((3, 128, 96, 2), np.uint8).T, "not in C order"),
        (np.frombuffer(bytes(2 * 96 * 128 * 3), np.uint8).reshape(2, 96, 128, 3), "read-only"),
        ([1, 2], "out is a list"),
    ],
)
def test_an_out_that_does_not_fit_is_refused_before_anything_is_read(
    train, out, message, monkeypatch
):
    monkeypatch.setattr(SplitImages, "read", lambda *_: pytest.fail("an image is decoded"))
    monkeypatch.setattr(SplitMasks, "read", lambda *_: pytest.fail("a mask is read"))
    for read in (train.image, train.semantic):
        with pytest.raises(StoreError, match=message) as caught:
            read([0, 1], out)
        assert "\n" not in str(caught.value)


def test_images_of_several_sizes_are_a_list(mixed):
    keys = list(range(len(mixed)))
    found, masks = mixed.image(keys), mixed.semantic(keys)
    assert isinstance(found, list)
    for k in keys:
        np.testing.assert_array_equal(found[k], mixed.image(k))
        np.testing.assert_array_equal(masks[k], mixed.semantic(k))
    for read in (mixed.image, mixed.semantic):
        with pytest.raises(StoreError, match="images of several sizes; expected images that are"):
            read(keys, np.empty(1))


def test_images_of_one_size_and_any_kind_are_an_array_or_a_list(mixed):
    """Of a PNG or TIFF file only the file says whether it has 16 bits."""
    sizes = np.stack([mixed.heights, mixed.widths], axis=1)
    n_arrays = 0
    for size in np.unique(sizes, axis=0):
        keys = np.flatnonzero((sizes == size).all(axis=1))
        expected = [mixed.image(int(k)) for k in keys]
        kinds = {(image.shape, image.dtype) for image in expected}
        found = mixed.image(keys)
        assert isinstance(found, np.ndarray) == (len(kinds) == 1)
        for image, one in zip(found, expected, strict=True):
            np.testing.assert_array_equal(image, one)
            assert image.dtype == one.dtype
        if len(kinds) == 1:
            n_arrays += 1
            out = np.empty_like(found)
            assert mixed.image(keys, out) is out
            np.testing.assert_array_equal(out, found)
            with pytest.raises(StoreError, match="out has shape"):
                mixed.image(keys, out[1:])
    assert n_arrays


def test_an_error_is_that_of_the_image_and_leaves_no_thread(train, monkeypatch):
    decode = SplitImages.read

    def fail(images, index, out=None):
        if index == 6:
            raise StoreError("image 6 is damaged")
        return decode(images, index, out)

    monkeypatch.setattr(SplitImages, "read", fail)
    before = threading.active_count()
    with pytest.raises(StoreError, match="image 6 is damaged"):
        train.image(slice(None))
    assert threading.active_count() == before


def test_more_images_than_memory_are_refused(train, monkeypatch):
    def no_memory(*_):
        raise MemoryError

    monkeypatch.setattr("mtfast.store.reading.many.np.empty", no_memory)
    with pytest.raises(StoreError, match="2 images of 96 x 128 x 3; expected them to fit into mem"):
        train.image([0, 1])


def test_a_split_without_images_says_so(tiny_set, tmp_path):
    path = mtfast.convert(tiny_set, tmp_path / "masks.zarr", images="none", splits=["test"])
    test = mtfast.open(path)["test"]
    with pytest.raises(StoreError, match="holds masks only"):
        test.image([0])
    assert test.semantic([0, 1]).shape == (2, 96, 128)


@pytest.mark.parametrize("n", [0, 1, 2, 5, 100])
def test_threads_keep_the_order_and_are_few(n):
    threads = set()

    def square(k):
        threads.add(threading.get_ident())
        return k * k

    before = threading.active_count()
    assert map_threads(square, range(n), workers=3) == [k * k for k in range(n)]
    assert len(threads) <= 3
    assert threading.active_count() == before


def test_threads_run_side_by_side():
    meeting = threading.Barrier(2, timeout=30)
    assert sorted(map_threads(lambda _: meeting.wait(), range(2), workers=2)) == [0, 1]
