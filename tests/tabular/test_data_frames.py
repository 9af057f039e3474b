"""Data frames and Arrow tables, against pycocotools and Arrow's own checks."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import pycocotools.mask as coco
import pytest

from mtfast import MtfastError, RLEError
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
