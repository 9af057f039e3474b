"""Data frames and Arrow tables, against pycocotools and Arrow's own checks."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pycocotools.mask as coco
import pytest

from mtfast import MtfastError, RLEError, RunTable
from tables import make_table, random_masks

N_PER_IMAGE = (3, 0, 5, 1)


@pytest.fixture
def masks(rng):
    return [random_masks(rng, (17, 23), n) for n in N_PER_IMAGE]


@pytest.fixture
def table(masks):
    """With a class that is not listed, crowds, and areas that are not stated."""
    made = make_table(masks, (17, 23))
    stated = made.stated_area.copy()
    stated[[1, 4]] = np.nan
    return replace(
        made, categories=made.categories[:2], iscrowd=np.arange(9) % 2, stated_area=stated
    )


def expected_columns(masks, table):
    image = [k for k, n in enumerate(N_PER_IMAGE) for _ in range(n)]
    rles = [coco.encode(np.asfortranarray(m)) for some in masks for m in some]
    boxes = coco.toBbox(rles)
    names = {1: "class 1", 2: "class 2"}
    return {
        "image_id": [k + 1 for k in image],
        "name": [f"{k:03d}.jpg" for k in image],
        "instance_id": list(range(1, 10)),
        "category_id": table.category_ids.tolist(),
        "category": [names.get(c) for c in table.category_ids.tolist()],
        "area": coco.area(rles).tolist(),
        "bbox_x": boxes[:, 0].tolist(),
        "bbox_y": boxes[:, 1].tolist(),
        "bbox_width": boxes[:, 2].tolist(),
        "bbox_height": boxes[:, 3].tolist(),
        "stated_area": [None if np.isnan(a) else a for a in table.stated_area.tolist()],
        "iscrowd": [k % 2 for k in range(9)],
        "height": [17] * 9,
        "width": [23] * 9,
        "rle": [rle["counts"].decode() for rle in rles],
    }


def test_data_frame(masks, table):
    pandas = pytest.importorskip("pandas")
    frame = table.to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert frame.index.tolist() == list(range(9))
    found = frame.astype(object).where(frame.notna(), None).to_dict("list")
    assert found == expected_columns(masks, table)
    frame.loc[0, "area"] = -1
    assert table.area()[0] != -1
    assert table[:0].to_pandas().columns.tolist() == frame.columns.tolist()


def test_rows_of_a_data_frame_select_instances(table):
    pandas = pytest.importorskip("pandas")
    frame = table.to_pandas()
    assert table[frame.query("category_id == 2").index].instance_ids.tolist() == [2, 5, 8]
    areas = table.area()
    assert table[frame["area"] > 20].area().tolist() == areas[areas > 20].tolist()
    assert table.images(pandas.Series(["003.jpg"])).instance_ids.tolist() == [9]
    assert table.images(frame["name"].unique()).n_images == 3


def test_arrow_table(masks, table):
    pytest.importorskip("pyarrow")
    arrow = table.to_arrow()
    arrow.validate(full=True)
    assert arrow.to_pydict() == expected_columns(masks, table)
    for some in (table[:0], table[4:6], table.images([]), table.image(1)):
        some.to_arrow().validate(full=True)
        assert some.to_arrow().num_rows == some.n_instances


def test_arrow_shares_the_memory_of_the_table(table):
    pytest.importorskip("pyarrow")
    arrow = table.to_arrow()
    shared = {"rle": "rle", "instance_id": "instance_ids", "stated_area": "stated_area"}
    for name, column in shared.items():
        buffers = arrow[name].chunk(0).buffers()
        assert buffers[-1].address == getattr(table, column).ctypes.data, name
    assert arrow["rle"].chunk(0).buffers()[1].address == table.rle_offsets.ctypes.data


def test_malformed_texts_are_refused(table):
    broken = replace(table, rle=np.full_like(table.rle, 255))
    for library, convert in (("pandas", broken.to_pandas), ("pyarrow", broken.to_arrow)):
        pytest.importorskip(library)
        with pytest.raises(RLEError, match="annotation 1"):
            convert()


@pytest.mark.parametrize("library", ["pandas", "pyarrow"])
def test_a_library_that_is_missing_is_named(table, monkeypatch, library):
    monkeypatch.setitem(sys.modules, library, None)
    convert = table.to_pandas if library == "pandas" else table.to_arrow
    with pytest.raises(MtfastError, match=f"run: pip install {library}$"):
        convert()


def test_arrow_and_back(table):
    pyarrow = pytest.importorskip("pyarrow")
    arrow = table.to_arrow()
    back = RunTable.from_arrow(arrow)
    expected = replace(
        table.without_empty_images(),
        positions=np.arange(9),
        stated_bbox=np.full((9, 4), np.nan),
    )
    assert back.equals(expected)
    # In pieces, with dictionaries of their own, from the middle of a larger table.
    pieces = pyarrow.concat_tables([arrow.slice(1, 2), table.images(slice(2, 4)).to_arrow()])
    assert RunTable.from_arrow(pieces).equals(RunTable.from_arrow(arrow.slice(1)))


def test_parquet_in_parts(table, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    parts = [table.images(slice(k, k + 1)).to_arrow() for k in (0, 2, 3)]
    with parquet.ParquetWriter(tmp_path / "a.parquet", parts[0].schema) as writer:
        for part in parts:
            writer.write_table(part)
    with parquet.ParquetFile(tmp_path / "a.parquet") as file:
        read = [RunTable.from_arrow(file.read_row_group(k)) for k in range(file.num_row_groups)]
    assert [part.names.tolist() for part in read] == [["000.jpg"], ["002.jpg"], ["003.jpg"]]
    for part, k in zip(read, (0, 2, 3), strict=True):
        assert part.rle.tobytes() == table.image(k).rle.tobytes()


def test_an_empty_arrow_table(table):
    pytest.importorskip("pyarrow")
    empty = RunTable.from_arrow(table.to_arrow().slice(0, 0))
    assert (empty.n_images, empty.n_instances) == (0, 0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.drop_columns(["rle"]), "no column 'rle'"),
        (lambda t: t.take([0, 3, 1]), "side by side"),
        (lambda t: t.set_column(12, "height", [[17, *range(1, 9)]]), "in several places"),
        (lambda t: t.set_column(12, "height", [[17, None] + [17] * 7]), "1 values missing"),
        (lambda t: t.set_column(12, "height", [["x"] * 9]), "column 'height' of string"),
    ],
)
def test_arrow_tables_that_are_refused(table, change, words):
    pytest.importorskip("pyarrow")
    with pytest.raises(MtfastError, match=words) as error:
        RunTable.from_arrow(change(table.to_arrow()))
    assert "\n" not in str(error.value)


def test_a_malformed_text_of_arrow_is_refused(table):
    pytest.importorskip("pyarrow")
    arrow = table.to_arrow()
    texts = ["99", *arrow["rle"].to_pylist()[1:]]
    with pytest.raises(RLEError):
        RunTable.from_arrow(arrow.set_column(14, "rle", [texts]))


def test_a_class_of_two_names_is_refused():
    """Of joined tables, for instance: a number is one class."""
    pytest.importorskip("pyarrow")
    arrow = RunTable.of_texts((1, 6), [[b"132", b"222"]], [1, 1]).to_arrow()
    place = arrow.schema.names.index("category")
    arrow = arrow.set_column(place, "category", [["mono", "bi"]])
    with pytest.raises(MtfastError, match="with class 1 called 'mono' and 'bi'; expected"):
        RunTable.from_arrow(arrow)
