from __future__ import annotations

import copy
import pickle
from dataclasses import replace

import numpy as np
import pycocotools.mask as coco
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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


def test_images_are_tables(table):
    part = table.images(slice(2, 4))
    assert (part.n_images, part.n_instances) == (2, 6)
    assert part.area().tolist() == table.area()[3:].tolist()
    assert table.image(-1).names.tolist() == ["003.jpg"]
    assert table.image(1).n_instances == 0
    assert table.image("002.jpg").equals(table.image(np.int64(2)))
    empty = table.images(slice(3, 1))
    assert (empty.n_images, empty.image_offsets.tolist(), empty.bbox().shape) == (0, [0], (0, 4))
    assert [table.image(i).n_instances for i in range(table.n_images)] == [3, 0, 5, 1]
    for bad in (4, -5):
        with pytest.raises(IndexError, match=f"image {bad} of 4 images; expected .* -4 to 3"):
            table.image(bad)
    with pytest.raises(MtfastError, match="no image '2' in the table"):
        table.image("2")


@pytest.mark.parametrize(
    ("use", "advice"),
    [
        (len, "write table.n_images or table.n_instances"),
        (iter, r"n_images or n_instances; .* in range\(table.n_images\): table.image\(i\)"),
        (bool, "table.n_images > 0 or table.n_instances > 0"),
        (lambda table: "000.jpg" in table, "name in table.names"),
        (lambda table: table[3], r"write table.image\(3\) .* or table\[\[3\]\]"),
        (lambda table: table[np.int64(-1)], r"table.image\(.*-1"),
        (lambda table: table["a.jpg"], r"write table.image\('a.jpg'\) for an image$"),
        (lambda table: table[1, 2], r"write table\[\[1, 2\]\]"),
        (lambda table: table[None], "a mask of n_instances = 9"),
        (lambda table: table[...], "a mask of n_instances = 9"),
        (lambda table: table[[0.5]], "dtype float64; expected bool or integers"),
        (lambda table: table[[[1], [2, 3]]], "expected one dimension"),
        (lambda table: table[["a.jpg"]], "expected bool or integers"),
        (lambda table: table.image(1.0), "expected an integer; give one from 0 to 3"),
        (lambda table: table.image(True), "expected an integer"),
        (lambda table: table.images(2), r"write image\(2\), or images\(\[2\]\)"),
        (lambda table: table.images("000.jpg"), "names one image"),
        (lambda table: table.images([1.5]), "a mask of n_images = 4"),
        (lambda table: table + 1, "unsupported operand"),
    ],
)
def test_uses_that_could_mean_two_things_are_refused(table, use, advice):
    with pytest.raises(TypeError, match=advice) as error:
        use(table)
    assert "\n" not in str(error.value)


def test_masks_of_another_length_are_refused(table):
    with pytest.raises(IndexError, match=r"a mask of 5; expected one of n_instances = 9"):
        table[np.ones(5, bool)]
    with pytest.raises(IndexError, match=r"n_images = 4; .* n_instances = 9; .*images\(mask\)"):
        table[table.heights > 0]
    with pytest.raises(IndexError, match="a mask of 9; expected one of n_images = 4"):
        table.images(table.area() > 0)
    for bad in (9, -10):
        with pytest.raises(IndexError, match=f"instance {bad} of 9 instances"):
            table[[0, bad]]
    with pytest.raises(MtfastError, match=r"'001.jpg' is selected twice"):
        table.images([1, 2, -3])
    with pytest.raises(IndexError, match="instance 0 of 0 instances; expected none"):
        table[:0][[0]]


def test_instances_keep_the_given_order_within_images(table):
    chosen = table[[2, 0, 6, 4, -1]]
    assert chosen.n_images == 4
    assert np.diff(chosen.image_offsets).tolist() == [2, 0, 2, 1]
    assert chosen.instance_ids.tolist() == [3, 1, 7, 5, 9]
    assert chosen.area().tolist() == table.area()[[2, 0, 6, 4, 8]].tolist()
    with pytest.raises(MtfastError, match="jumps back"):
        table[[5, 0]]
    with pytest.raises(MtfastError, match="jumps back"):
        table[::-1]
    assert table[[]].n_instances == 0


def rows_of(table):
    """The instances of a table as tuples, each with all that is known of it."""
    image = np.repeat(np.arange(table.n_images), np.diff(table.image_offsets))
    columns = [getattr(table, name)[image].tolist() for name in PER_IMAGE]
    columns += [np.nan_to_num(getattr(table, name), nan=-1).tolist() for name in PER_INSTANCE]
    return list(zip(*columns, [table.text(k) for k in range(table.n_instances)], strict=True))


N_PER_IMAGE = (3, 0, 5, 1)
N = sum(N_PER_IMAGE)


@pytest.fixture(scope="module")
def fixed_table():
    rng = np.random.default_rng(5)
    return make_table([random_masks(rng, (7, 9), n) for n in N_PER_IMAGE], (7, 9))


@settings(deadline=None)
@given(
    st.one_of(
        st.slices(N).filter(lambda s: s.step is None or s.step > 0),
        st.lists(st.booleans(), min_size=N, max_size=N),
        st.lists(st.integers(0, N - 1), unique=True).map(sorted),
    )
)
def test_square_brackets_select_as_numpy_does(fixed_table, selector):
    chosen = fixed_table[selector]
    rows = rows_of(fixed_table)
    expected = np.arange(N)[selector if isinstance(selector, slice) or selector else slice(0)]
    assert rows_of(chosen) == [rows[k] for k in expected]
    for name in PER_IMAGE:
        assert getattr(chosen, name).tolist() == getattr(fixed_table, name).tolist()
    image = np.repeat(np.arange(4), N_PER_IMAGE)[expected]
    assert np.diff(chosen.image_offsets).tolist() == np.bincount(image, minlength=4).tolist()
    assert replace(chosen).equals(chosen)
    assert not any(getattr(chosen, name).flags.writeable for name in COLUMNS)
    filled = chosen.without_empty_images()
    assert filled.image_ids.tolist() == np.unique(image + 1).tolist()
    assert rows_of(filled) == rows_of(chosen)


@settings(deadline=None)
@given(
    st.one_of(
        st.slices(4),
        st.lists(st.booleans(), min_size=4, max_size=4),
        st.lists(st.integers(-4, 3), unique_by=lambda k: k % 4),
        st.lists(st.sampled_from([f"{k:03d}.jpg" for k in range(4)]), unique=True),
    )
)
def test_images_are_selected_as_numpy_does(fixed_table, selector):
    chosen = fixed_table.images(selector)
    if isinstance(selector, list) and selector and isinstance(selector[0], str):
        expected = [int(name[:3]) for name in selector]
    else:
        key = selector if isinstance(selector, slice) or selector else np.empty(0, int)
        expected = np.arange(4)[key].tolist()
    assert chosen.image_ids.tolist() == [k + 1 for k in expected]
    by_image = [rows_of(fixed_table.image(k)) for k in expected]
    assert rows_of(chosen) == [row for rows in by_image for row in rows]
    assert np.diff(chosen.image_offsets).tolist() == [len(rows) for rows in by_image]
    assert replace(chosen).equals(chosen)
    assert not any(getattr(chosen, name).flags.writeable for name in COLUMNS)


@pytest.mark.parametrize("twice", [[1, 1], np.zeros(N, np.uint8), [0, -N]])
def test_an_instance_is_selected_once(fixed_table, twice):
    """A column of 0 and 1, such as iscrowd, is no mask: it would select two instances often."""
    with pytest.raises(MtfastError, match=r"an instance twice; .* table\[table.iscrowd == 1\]"):
        fixed_table[twice]


def test_masks_of_pandas_are_taken_in_the_order_of_the_table(fixed_table):
    pandas = pytest.importorskip("pandas")
    area = pandas.Series(fixed_table.area())
    chosen = fixed_table[area > 20]
    assert chosen.equals(fixed_table[fixed_table.area() > 20])
    with pytest.raises(IndexError, match=r"index is not 0 to 8 in order; .* mask.sort_index\(\)"):
        fixed_table[area[::-1] > 20]
    assert fixed_table[(area[::-1] > 20).sort_index()].equals(chosen)


def test_images_by_columns_of_names(table):
    assert table.images(table.names[[2, 0]]).names.tolist() == ["002.jpg", "000.jpg"]
    assert table.images(np.array(["003.jpg"], object)).instance_ids.tolist() == [9]
    assert table.images(np.array(["003.jpg"])).instance_ids.tolist() == [9]
    assert table.images(table.names == "000.jpg").n_instances == 3


def test_repr_is_short(table):
    text = "class 1 (3), class 2 (3), class 3 (3)"
    assert repr(table) == f"<RunTable of 4 images, 9 instances, 3 classes: {text}>"
    assert repr(table[:0]) == "<RunTable of 4 images, 0 instances, 3 classes>"
    names = [(1, "x" * 999), (2, "a\nb"), (3, "c"), (4, "d"), (5, "e")]
    many = replace(table, categories=names, category_ids=[1, 2, 2, 2, 9, 5, 5, 4, 4])
    found = r"6 classes: a\nb (3), d (2), e (2), xxxxxxxxxxxxxxxxxxxxx... (1), ...>"
    assert repr(many).endswith(found)
    assert many.category_counts() == {1: 1, 2: 3, 3: 0, 4: 2, 5: 2, 9: 1}


@pytest.mark.parametrize(
    "copied", [copy.copy, copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))]
)
def test_copies_are_equal_and_read_only(table, copied):
    assert table.image("000.jpg").n_instances == 3
    again = copied(table)
    assert again.equals(table)
    assert again != table
    assert again.__dict__.keys() == table.__dataclass_fields__.keys()
    assert not any(getattr(again, name).flags.writeable for name in COLUMNS)


@pytest.mark.parametrize("column", COLUMNS)
def test_equals_sees_every_column(table, column):
    values = getattr(table, column).copy()
    if column == "names":
        values[0] = "other.jpg"
    elif column.endswith("offsets"):
        values[1] -= 1
    else:
        values.reshape(-1)[0] = 0 if np.isnan(values.reshape(-1)[0]) else values.reshape(-1)[0] + 1
    assert table.equals(replace(table))
    assert not table.equals(replace(table, **{column: values}))
    assert not table.equals(replace(table, categories=()))
    assert not table.equals(table.names)


def test_columns_cannot_be_written(table):
    with pytest.raises(ValueError, match="read-only"):
        table.rle[0] = 1


def test_given_arrays_stay_writable_and_columns_are_not():
    table = make_table([[np.ones((2, 2), np.uint8)]], (2, 2))
    columns = {name: np.array(getattr(table, name)) for name in COLUMNS}
    made = replace(table, **columns)
    for name, column in columns.items():
        assert column.flags.writeable
        for some in (made, made[:1], made[[0]], made.images([0])):
            assert not getattr(some, name).flags.writeable, name


def test_scratch_holds_the_longest_text(monkeypatch):
    """Kernels write as many counts as the longest text has characters, in whichever block it is."""
    monkeypatch.setattr("mtfast.table.run_table._BLOCK", 2)
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
    assert table.image(0).common_size() == (17, 23)
    assert table.images([]).common_size() == (0, 0)
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
