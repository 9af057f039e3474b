"""What stands in brackets after a split: numpy's own indexing of ``arange(n)`` is the oracle."""

from __future__ import annotations

import pickle
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mtfast
from mtfast.errors import MtfastError, StoreError
from mtfast.store.reading.positions import is_position, position_of, positions_of
from mtfast.store.reading.selection import Selection
from mtfast.store.reading.split_images import SplitImages

INTEGERS = (int, np.int8, np.uint8, np.int64, np.uint64)


def no_name(name):
    raise KeyError(name)


@pytest.fixture(scope="module")
def train(tiny_store):
    return mtfast.open(tiny_store)["train"]


@st.composite
def keys(draw, n):
    """A key that numpy takes for n things: of any kind, in range or not."""
    kind = draw(st.sampled_from(["int", "slice", "list", "array", "mask", "list of bool", "range"]))
    numbers = st.integers(-n - 2, n + 1)
    if kind == "int":
        as_type = draw(st.sampled_from(INTEGERS))
        number = draw(numbers)
        return number if as_type is int or number < 0 else as_type(number)
    if kind == "slice":
        return draw(st.slices(n + 3))
    if kind == "list":
        return draw(st.lists(numbers, max_size=2 * n + 1))
    if kind == "range":
        return range(*sorted(draw(st.tuples(numbers, numbers))))
    if kind == "array":
        dtype = draw(st.sampled_from([np.int8, np.int32, np.int64, np.uint8, np.uint64]))
        least = 0 if np.dtype(dtype).kind == "u" else -n - 2
        return np.array(draw(st.lists(st.integers(least, n + 1), max_size=2 * n + 1)), dtype)
    length = draw(st.sampled_from([n, n, n, n + 1]))
    mask = draw(st.lists(st.booleans(), min_size=length, max_size=length))
    return mask if kind == "list of bool" else np.array(mask, bool)


def by_numpy(key, n):
    """Return what numpy picks of n things; None if it refuses the key."""
    key = np.asarray(key, np.int64) if isinstance(key, list) and not key else key
    try:
        return np.arange(n)[key]
    except IndexError:
        return None


@settings(deadline=None, max_examples=500)
@given(st.data(), st.integers(0, 9))
def test_every_key_picks_what_it_picks_of_an_array(data, n):
    key = data.draw(keys(n))
    expected = by_numpy(key, n)
    if expected is None:
        with pytest.raises(IndexError):
            positions_of(key, n, no_name)
        return
    found = positions_of(key, n, no_name)
    assert isinstance(found, int) == (np.ndim(expected) == 0)
    np.testing.assert_array_equal(found, expected)
    if not isinstance(found, int):
        assert found.dtype == np.int64


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_a_selection_of_a_selection_is_that_of_an_array(train, data):
    first = data.draw(keys(10).filter(lambda key: np.ndim(by_numpy(key, 10)) == 1))
    chosen, expected = train[first], by_numpy(first, 10)
    assert isinstance(chosen, Selection)
    assert [sample.index for sample in chosen] == expected.tolist()
    second = data.draw(keys(len(expected)))
    picked = by_numpy(second, len(expected))
    if picked is None:
        with pytest.raises(IndexError):
            chosen[second]
    elif picked.ndim:
        np.testing.assert_array_equal(chosen[second].indices, expected[picked])
    else:
        assert chosen[second].index == expected[picked]


@pytest.mark.parametrize(
    "key",
    [
        1.0,
        np.float64(1),
        None,
        (1, 2),
        (),
        True,
        np.bool_(True),
        {1},
        b"x",
        1j,
        [None],
        [1.0],
        [[1]],
        np.zeros((2, 2), int),
        [0, None],
        np.array([1.0]),
        np.array([], float),
        np.array([None]),
        np.array(True),
        slice(1.5),
        ...,
    ],
    ids=repr,
)
def test_what_is_no_index_is_a_type_error_of_one_line(train, key):
    for call in (train.__getitem__, train[:].__getitem__, train.image, train.semantic):
        with pytest.raises(TypeError) as caught:
            call(key)
        assert "\n" not in str(caught.value)
    if not isinstance(key, slice | list | np.ndarray):
        with pytest.raises(TypeError, match="expected an index, a file name or a stem"):
            train.index(key)


@pytest.mark.parametrize("key", [10, -11, 2**70, np.uint64(2**63), [3, 10], [-11]], ids=repr)
def test_what_is_out_of_range_is_an_index_error(train, key):
    with pytest.raises(IndexError, match=r"of 10 images; expected an index from -10 to 9"):
        train[key]


@pytest.mark.parametrize("key", [np.ones(9, bool), [True] * 11], ids=repr)
def test_a_mask_of_another_length_is_an_index_error(train, key):
    with pytest.raises(IndexError, match=r"expected one of n_images = 10"):
        train[key]


def test_images_are_found_by_name_stem_and_uuid(train):
    names = train.names.tolist()
    for k, name in enumerate(names):
        stem = name.removesuffix(".jpg")
        assert [train[key].index for key in (name, stem, UUID(stem), np.str_(name))] == [k] * 4
        assert all(key in train for key in (name, stem, UUID(stem)))
    for several in (names[2:5], np.array(names)[2:5], train.names[2:5], [2, names[3], -6]):
        assert train[several].indices.tolist() == [2, 3, 4]


def test_a_name_that_is_not_there_is_a_key_error_that_says_which_are(train):
    near = str(train.names[0])[:-5]
    with pytest.raises(KeyError, match=r"^no image .*; did you mean") as caught:
        train[near]
    assert isinstance(caught.value, StoreError)
    some = train[:3]
    with pytest.raises(KeyError, match="in this selection of split 'train'; expected one of"):
        some[str(train.names[5])]
    assert pickle.loads(pickle.dumps(caught.value)).args == caught.value.args


def test_membership_asks_for_what_can_be_indexed(train):
    for value in ("x", "", 10, -11, 1.0, None, True, (), [], {}, slice(2), np.zeros(3), 2**80):
        assert value not in train
        assert value not in train[:3]
    assert all(value in train for value in (0, -10, np.int64(9), train[3], pickle_of(train[3])))
    some = train[[4, 2, 4]]
    assert train[4] in some
    assert train[3] not in some
    assert str(train.names[2]) in some
    assert str(train.names[3]) not in some
    assert (2 in some, 3 in some) == (True, False)
    assert (some.index(str(train.names[4])), some.index(-1)) == (0, 2)


def pickle_of(value):
    return pickle.loads(pickle.dumps(value))


def test_membership_of_a_name_looks_at_no_other_name(train, monkeypatch):
    assert "x" not in train
    columns = type(train._metadata)
    monkeypatch.setattr(columns, "names", property(lambda _: pytest.fail("names are read")))
    monkeypatch.setattr(type(train), "__iter__", lambda split: pytest.fail("images are looked at"))
    assert "x" not in train


def test_iteration_is_lazy(train, monkeypatch):
    monkeypatch.setattr(SplitImages, "read", lambda *_: pytest.fail("an image is decoded"))
    assert [sample.index for sample in train] == list(range(10))
    assert [sample.index for sample in reversed(train)] == list(range(10))[::-1]
    assert next(iter(train[5:])).index == 5
    assert len(train[2:4]) == 2


def test_a_selection_keeps_its_own_indices(train):
    chosen = np.array([1, 2])
    some = train[chosen]
    chosen[:] = 0
    assert some.indices.tolist() == [1, 2]
    with pytest.raises(ValueError, match="read-only"):
        some.indices[0] = 5
    assert pickle_of(some).indices.tolist() == [1, 2]
    assert some.names.tolist() == train.names[1:3].tolist()
    assert (some.heights.tolist(), some.widths.tolist()) == ([96, 96], [128, 128])


def test_arrays_of_other_libraries_are_indices(train):
    pandas = pytest.importorskip("pandas")
    assert train[pandas.Series([False] * 8 + [True, True])].indices.tolist() == [8, 9]
    torch = pytest.importorskip("torch")
    assert train[torch.tensor([3, -1])].indices.tolist() == [3, 9]
    assert train[torch.tensor(3)].index == 3


def test_a_bool_is_no_position():
    assert not is_position(False, 3)
    with pytest.raises(TypeError):
        position_of(False, 3, no_name)


@pytest.mark.parametrize("opened", ["store", "source"])
def test_stores_and_sources_are_mappings_of_their_splits(tiny_store, tiny_set, opened):
    data = mtfast.open(tiny_store) if opened == "store" else mtfast.open_source(tiny_set)
    assert list(data) == list(data.keys()) == list(data.splits) == ["train", "test"]
    assert [name for name, _ in data.items()] == [split.name for split in data.values()]
    assert (len(data), data["test"].name, data.get("val"), dict(data)["train"].name) == (
        2,
        "test",
        None,
        "train",
    )
    assert [name in data for name in ("train", "val", 0, None, [])] == [True] + [False] * 4
    with pytest.raises(KeyError, match=r"^no split 'trian' in .*train, test; did you mean 'train'"):
        data["trian"]
    with pytest.raises(MtfastError, match="did you mean 'train'"):
        data["trian"]
    for key in (0, None, ("train",)):
        with pytest.raises(TypeError, match="expected its name; give one of: train, test"):
            data[key]
    assert data._ipython_key_completions_() == ["train", "test"]
    assert data == data
    assert opened == "source" or {data: 1}[data] == 1


def test_a_split_of_a_source_is_a_split(tiny_set, train):
    split = mtfast.open_source(tiny_set)["train"]
    assert split.table().names.tolist() == train.table().names.tolist()
    np.testing.assert_array_equal(split.image(str(train.names[3])), train[3].image)


def test_masks_of_pandas_are_taken_in_the_order_of_the_split(train):
    pandas = pytest.importorskip("pandas")
    sizes = pandas.Series(train.heights + np.arange(len(train)))
    assert train[sizes > sizes[4]].indices.tolist() == [5, 6, 7, 8, 9]
    for call in (train.__getitem__, train[:].__getitem__, train.image):
        with pytest.raises(IndexError, match="index is not 0 to 9 in order"):
            call(sizes[::-1] > sizes[4])
