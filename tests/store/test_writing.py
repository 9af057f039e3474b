"""What is written of annotation files: every instance once, and nothing lost."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mtfast.store.writing.annotations import VariantTable, align, share
from mtfast.table import RunTable
from tables import make_table

SIZE = (4, 5)
NAMES = ("a.jpg", "b.jpg")


def table_of(**changes) -> RunTable:
    """Two images, an instance in each; changes replace columns."""
    mask = np.zeros(SIZE, np.uint8)
    mask[1:3, 2] = 1
    table = make_table([[mask], [mask]], SIZE)
    columns = {"names": np.array(NAMES, np.dtypes.StringDType())} | changes
    return replace(table, **columns)


def packed(*tables: RunTable, names=NAMES) -> tuple[dict, dict]:
    files = [VariantTable(str(k), f"{k}.json", t) for k, t in enumerate(tables)]
    shared = share(files)
    return shared.instance_columns(names), shared.variant_columns(names)


@pytest.mark.parametrize("names", [NAMES, NAMES[::-1], NAMES[1:]])
def test_one_file_alone_needs_no_comparison(names):
    table = table_of(instance_ids=np.array([7, 3]), stated_area=np.array([1.0, np.nan]))
    files = [VariantTable("a", "a.json", table)]
    one, compared = share(files, is_one=True), share(files)
    for columns, expected in (
        (one.instance_columns(names), compared.instance_columns(names)),
        (one.variant_columns(names), compared.variant_columns(names)),
    ):
        assert columns.keys() == expected.keys()
        for name, column in columns.items():
            np.testing.assert_array_equal(column, expected[name], name)


def test_equal_instances_are_stored_once():
    instances, variants = packed(table_of(), table_of(), table_of())
    assert instances["id"].size == 2
    assert variants["instance"].tolist() == [0, 1] * 3


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("instance_ids", [1, 9]),
        ("iscrowd", [0, 1]),
        ("stated_area", [1.0, np.nan]),
        ("stated_bbox", [[0, 0, 1, 1], [0, 0, 1, 2]]),
        ("stated_bbox", [[0, 0, 1, 1], [9, 0, 1, 1]]),
    ],
)
def test_instances_that_differ_are_kept(column, values):
    """In any column: both come back, each for the file that says so."""
    plain = table_of(
        instance_ids=np.array([1, 2]),
        stated_area=np.ones(2),
        stated_bbox=np.tile([0.0, 0, 1, 1], (2, 1)),
    )
    other = replace(plain, **{column: np.array(values, getattr(plain, column).dtype)})
    instances, variants = packed(plain, other)
    assert instances["id"].size == 3
    stored = {"instance_ids": "id", "stated_area": "area", "stated_bbox": "bbox"}.get(
        column, column
    )
    chosen = variants["instance"].reshape(2, 2)
    np.testing.assert_array_equal(instances[stored][chosen[0]], getattr(plain, column))
    np.testing.assert_array_equal(instances[stored][chosen[1]], getattr(other, column))


def test_texts_and_images_tell_instances_apart():
    full = make_table([[np.ones(SIZE, np.uint8)], [np.ones(SIZE, np.uint8)]], SIZE)
    names = np.array(NAMES, np.dtypes.StringDType())
    full = replace(full, names=names, stated_area=table_of().stated_area)
    assert packed(table_of(), full)[0]["id"].size == 4
    turned = table_of(names=np.array(NAMES[::-1], np.dtypes.StringDType()))
    instances, variants = packed(table_of(instance_ids=np.array([1, 1])), turned)
    assert (np.diff(instances["image"]) >= 0).all()
    assert variants["image"].tolist() == [0, 1, 1, 0]


@pytest.mark.parametrize("image", [0, 1])
def test_images_that_are_left_out(image):
    """It is as if no file had listed them."""
    files = [
        table_of(instance_ids=np.array([1, 2]), category_ids=np.array([3, 4])),
        table_of(instance_ids=np.array([1, 2]), iscrowd=np.array([1, 1], np.uint8)),
    ]
    measured = {"stated_area": np.ones(2), "stated_bbox": np.ones((2, 4))}
    files = [replace(table, **measured) for table in files]
    names = NAMES[image : image + 1]
    found = packed(*files, names=names)
    expected = packed(*(table.images(slice(image, image + 1)) for table in files), names=names)
    for columns, wanted in zip(found, expected, strict=True):
        assert {k: v.tolist() for k, v in columns.items()} == {
            k: v.tolist() for k, v in wanted.items()
        }


def sizes(n):
    return np.full(n, SIZE[0]), np.full(n, SIZE[1])


def test_a_table_over_other_images():
    aligned = align(table_of(), ("b.jpg", "c.jpg", "a.jpg"), *sizes(3))
    assert aligned.names.tolist() == ["b.jpg", "c.jpg", "a.jpg"]
    plain = table_of()
    assert aligned.image_ids.tolist() == [plain.image_ids[1], -1, plain.image_ids[0]]
    assert aligned.image_offsets.tolist() == [0, 1, 1, 2]
    assert aligned.instance_ids.tolist() == plain.instance_ids[::-1].tolist()
    assert align(plain, NAMES, *sizes(2)) is plain
