"""Joined tables, against pandas-like concatenation of rows that is done in plain Python."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtfast import MtfastError, RunTable
from mtfast.table import Category
from tables import make_table, random_masks

TEXTS = [b"132", b"231", b"6", b"015", b"222"]


@st.composite
def tables(draw):
    """Tables of some of six images, with ids that collide or do not."""
    names = draw(st.lists(st.sampled_from("abcdef"), unique=True))
    counts = [draw(st.integers(0, 3)) for _ in names]
    n = sum(counts)
    texts = iter(draw(st.lists(st.sampled_from(TEXTS), min_size=n, max_size=n)))
    ids = st.integers(-3, 20)
    return replace(
        RunTable.of_texts((1, 6), [[next(texts) for _ in range(count)] for count in counts]),
        names=np.array(names, np.dtypes.StringDType()),
        image_ids=draw(st.lists(ids, min_size=len(names), max_size=len(names), unique=True)),
        instance_ids=draw(st.lists(ids, min_size=n, max_size=n, unique=True)),
        category_ids=draw(st.lists(st.integers(1, 3), min_size=n, max_size=n)),
        iscrowd=draw(st.lists(st.integers(0, 1), min_size=n, max_size=n)),
        stated_area=np.arange(n),
        categories=[(1, "one"), (2, "two"), (3, "three")],
    )


def by_image(table):
    """All that is known of the instances of each image, but ids and places in a file."""
    return {
        name: [
            (
                part.text(k),
                part.category_ids[k],
                part.iscrowd[k],
                part.stated_area[k],
            )
            for part in [table.image(name)]
            for k in range(part.n_instances)
        ]
        for name in table.names.tolist()
    }


@settings(deadline=None)
@given(tables(), tables())
def test_nothing_is_lost(first, second):
    joined = first + second
    a, b = by_image(first), by_image(second)
    expected = {name: a.get(name, []) + b.get(name, []) for name in [*a, *b]}
    assert list(by_image(joined).items()) == list(expected.items())
    assert joined.n_instances == first.n_instances + second.n_instances
    for ids in (joined.image_ids, joined.instance_ids, joined.positions):
        assert len(set(ids.tolist())) == ids.size
    assert joined.image_ids[: first.n_images].tolist() == first.image_ids.tolist()
    kept = set(first.instance_ids.tolist()) | set(second.instance_ids.tolist())
    assert kept <= set(joined.instance_ids.tolist())
    assert replace(joined).equals(joined)


def test_splits_are_joined_one_after_the_other(rng):
    first = make_table([random_masks(rng, (7, 9), n) for n in (2, 1)], (7, 9))
    second = make_table([random_masks(rng, (5, 4), n) for n in (1, 2)], (5, 4))
    second = replace(second, names=["x.jpg", "y.jpg"])
    joined = first + second
    assert joined.names.tolist() == ["000.jpg", "001.jpg", "x.jpg", "y.jpg"]
    assert joined.heights.tolist() == [7, 7, 5, 5]
    assert joined.image_ids.tolist() == [1, 2, 3, 4]
    assert joined.instance_ids.tolist() == [1, 2, 3, 4, 5, 6]
    assert joined.positions.tolist() == [0, 1, 2, 3, 4, 5]
    assert joined.rle.tobytes() == first.rle.tobytes() + second.rle.tobytes()
    assert joined.categories == first.categories
    assert joined.area().tolist() == [*first.area().tolist(), *second.area().tolist()]
    nothing = first.images([])
    assert (first + nothing).equals(first)
    assert (nothing + first).equals(first)


def test_instances_of_one_image_are_painted_in_order():
    first = RunTable.of_texts((1, 6), [[b"132"], [b"6"]], [1, 2])
    second = replace(RunTable.of_texts((1, 6), [[b"222"]], [3]), names=["0.jpg"], iscrowd=[1])
    joined = first + second
    assert joined.image(0).category_ids.tolist() == [1, 3]
    assert joined.iscrowd.tolist() == [0, 1, 0]
    # The id 1 is taken, and 3 is the lowest that is free.
    assert joined.instance_ids.tolist() == [1, 3, 2]
    assert joined.categories == ((1, "class 1"), (2, "class 2"), (3, "class 3"))


def test_sum():
    parts = [replace(RunTable.of_texts((1, 6), [[b"132"]]), names=[f"{k}.jpg"]) for k in range(3)]
    assert sum(parts).instance_ids.tolist() == [1, 2, 3]
    assert sum(parts[:1]) is parts[0]
    with pytest.raises(TypeError, match="unsupported operand"):
        sum(parts, 1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"heights": [2]}, r"'0.jpg' is 1 x 6 pixels in one table and 2 x 6 in the other"),
        ({"widths": [7]}, r"'0.jpg' is 1 x 6 pixels in one table and 1 x 7 in the other"),
        (
            {"categories": [Category(1, "other")]},
            "category 1 is 'class 1' in one table and 'other' in the other; .*mapping",
        ),
    ],
)
def test_what_contradicts_is_refused(changes, message):
    table = RunTable.of_texts((1, 6), [[b"132"]])
    with pytest.raises(MtfastError, match=message):
        table + replace(table, **changes)


def test_a_name_that_is_twice_in_a_table_is_refused():
    table = RunTable.of_texts((1, 6), [[b"132"], [b"6"]])
    twice = replace(table, names=["0.jpg", "0.jpg"])
    for first, second in ((table, twice), (twice, table)):
        with pytest.raises(MtfastError, match="'0.jpg' is twice in a table"):
            first + second
