from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pycocotools.mask as coco
import pytest

import mtfast
from mtfast import MtfastError, RLEError, RunTable
from mtfast.table import PER_IMAGE, PER_INSTANCE, explain
from tables import make_table, random_masks

COLUMNS = (*PER_IMAGE, *PER_INSTANCE, "image_offsets", "rle", "rle_offsets")


@pytest.fixture
def masks(rng):
    return [random_masks(rng, (17, 23), n) for n in (3, 0, 5, 1)]


@pytest.fixture
def table(masks):
    return make_table(masks, (17, 23))


def test_measures_equal_pycocotools(table, masks):
    flat = [coco.encode(np.asfortranarray(m)) for image in masks for m in image]
    assert table.area().tolist() == coco.area(flat).tolist()
    np.testing.assert_array_equal(table.bbox(), coco.toBbox(flat))
    assert table.area().dtype == np.int64
    assert [table.text(k) for k in range(9)] == [rle["counts"] for rle in flat]


def test_slices_are_tables(table):
    part = table[2:4]
    assert (part.n_images, part.n_instances, len(part)) == (2, 6, 2)
    assert part.area().tolist() == table.area()[3:].tolist()
    assert table[-1].names.tolist() == ["003.jpg"]
    assert table[1].n_instances == 0
    empty = table[3:1]
    assert (empty.n_images, empty.image_offsets.tolist(), empty.bbox().shape) == (0, [0], (0, 4))
    assert [image.n_instances for image in table] == [3, 0, 5, 1]
    for bad in (4, -5):
        with pytest.raises(IndexError, match=f"image {bad} of a table of 4 images"):
            table[bad]
    with pytest.raises(MtfastError, match="step"):
        table[::2]


def test_select_orders_within_images(table):
    chosen = table.select([2, 0, 6, 4, 8])
    assert chosen.n_images == 4
    assert np.diff(chosen.image_offsets).tolist() == [2, 0, 2, 1]
    assert chosen.instance_ids.tolist() == [3, 1, 7, 5, 9]
    assert chosen.area().tolist() == table.area()[[2, 0, 6, 4, 8]].tolist()
    by_mask = table.select(table.category_ids == 2)
    assert by_mask.instance_ids.tolist() == [2, 5, 8]
    with pytest.raises(MtfastError, match="jumps back"):
        table.select([5, 0])
    assert table.select([]).n_instances == 0


def test_columns_cannot_be_written_and_pickle(table):
    with pytest.raises(ValueError, match="read-only"):
        table.rle[0] = 1
    copy = pickle.loads(pickle.dumps(table))
    assert copy.names.tolist() == table.names.tolist()
    assert copy.area().tolist() == table.area().tolist()
    assert repr(table) == "RunTable(4 images, 9 instances, 3 categories)"


def test_given_arrays_stay_writable_and_columns_are_not():
    table = make_table([[np.ones((2, 2), np.uint8)]], (2, 2))
    columns = {name: np.array(getattr(table, name)) for name in COLUMNS}
    made = replace(table, **columns)
    for name, column in columns.items():
        assert column.flags.writeable
        for some in (made, made[:1], made.select([0])):
            assert not getattr(some, name).flags.writeable, name


def test_scratch_holds_the_longest_text(monkeypatch):
    """Kernels write as many counts as the longest text has characters, in whichever block it is."""
    monkeypatch.setattr("mtfast.table._BLOCK", 2)
    texts = [b"6", b"132", b"6", b"015", b"11112", b"6", b"6"]
    for k in range(len(texts)):
        table = RunTable.of_texts((1, 6), [[*texts[k:], *texts[:k]]])
        assert table.scratch().size == 5
    assert RunTable.of_texts((1, 6), []).scratch().size == 0


def test_of_texts():
    table = RunTable.of_texts((1, 6), [[b"132", b"231"], [], [b"6"]], [7, 2, 7])
    expected = [[[0, 7, 2, 2, 2, 0]], [[0] * 6], [[0] * 6]]
    np.testing.assert_array_equal(mtfast.semantic(table), expected)
    assert table.names.tolist() == ["0.jpg", "1.jpg", "2.jpg"]
    assert table.image_ids.tolist() == table.instance_ids.tolist() == [1, 2, 3]
    assert table.positions.tolist() == [0, 1, 2]
    assert np.isnan(table.stated_area).all()
    assert np.isnan(table.stated_bbox).all()
    assert table.categories == ((2, "class 2"), (7, "class 7"))
    assert RunTable.of_texts((1, 6), [[b"6"]]).category_ids.tolist() == [1]
    with pytest.raises(MtfastError, match="category_ids has shape"):
        RunTable.of_texts((1, 6), [[b"6"]], [1, 2])
    with pytest.raises(MtfastError, match="-1 x 6 pixels"):
        RunTable.of_texts((-1, 6), [[]])


def test_common_size():
    table = make_table([[], [], []], (17, 23))
    assert table.common_size() == (17, 23)
    assert table[0].common_size() == (17, 23)
    assert table[:0].common_size() == (0, 0)
    for sizes in ({"heights": [17, 17, 18]}, {"widths": [23, 23, 24]}):
        with pytest.raises(MtfastError, match="'002.jpg' is .* and image '000.jpg' is 17 x 23"):
            replace(table, **sizes).common_size()


@pytest.mark.parametrize("column", PER_INSTANCE[1:])
def test_wrong_lengths_are_named(table, column):
    with pytest.raises(MtfastError, match=f"{column} has shape .*; expected .*n_instances"):
        replace(table, **{column: getattr(table, column)[:-1]})


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("image_offsets", [0, 3, 3, 8]),
        ("image_offsets", [0, 3, 2, 8, 9]),
        ("image_offsets", [0, 3, 3, 8, 10]),
        ("image_offsets", [1, 3, 3, 8, 9]),
        ("rle_offsets", [0, 1]),
        ("heights", [17, 17, -1, 17]),
        ("widths", [23, 2**40, 23, 23]),
        ("heights", [17, 2**62, 17, 17]),
    ],
)
def test_broken_invariants(table, column, value):
    with pytest.raises(MtfastError, match="expected"):
        replace(table, **{column: value})


def test_malformed_text_is_named(table):
    rle = table.rle.copy()
    rle[table.rle_offsets[4]] = 255
    broken = replace(table, rle=rle)
    for call in (broken.check, broken.area, broken.bbox):
        with pytest.raises(RLEError, match=r"annotation 5 \(number 4\) of image '002.jpg': .*'0'"):
            call()
    table.check()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"", "empty"),
        (b"P", "ends inside a number"),
        (b"5", "end before the frame"),
        (b"7", "beyond the end"),
        (b"O", "negative"),
        (b"o" * 40, "60 bits"),
        (b" ", "outside '0'..'o'"),
    ],
)
def test_explain(text, reason):
    assert reason in explain(text, 2, 3)


def test_empty_table():
    table = make_table([], (4, 4))
    assert isinstance(table, RunTable)
    assert table.area().size == 0
    assert table.bbox().shape == (0, 4)
