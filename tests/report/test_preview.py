from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

import mtfast
from mtfast.pictures.sheet import PALETTE, _wrap, picture_path
from mtfast.pictures.tiles import _draw_outlines, _spread
from mtfast.report.preview import preview
from tables import make_table


def test_outlines_lie_around_instances():
    square = np.zeros((60, 80), np.uint8)
    square[20:40, 30:50] = 1
    touching = np.zeros_like(square)
    touching[20:40, 50:60] = 1
    table = make_table([[square, touching]], square.shape)
    picture = np.zeros((60, 80, 3), np.uint8)
    _draw_outlines(picture, table, {1: PALETTE[0], 2: PALETTE[1]})
    drawn = picture.any(axis=2)
    assert not drawn[21:39, 31:49].any()
    assert (picture[19, 30:49] == PALETTE[0]).all()
    assert (picture[25, 29] == PALETTE[0]).all()
    assert (picture[25, 60] == PALETTE[1]).all()
    # Where two touch, the line is drawn once, on the first.
    assert (picture[25, 49] == PALETTE[1]).all()
    assert not drawn[25, 50]
    assert not drawn[:18].any()
    assert not drawn[42:].any()


def test_endings_in_capitals(tmp_path):
    assert picture_path(tmp_path / "A.PNG") == tmp_path / "A.PNG"


def test_a_long_legend_is_wrapped():
    legend = [((1, 2, 3), "x" * (3 + 7 * k % 40)) for k in range(30)]
    lines = _wrap(legend, 700)
    assert [text for line in lines for _, text, _ in line] == [text for _, text in legend]
    assert len(lines) > 3
    for line, following in pairwise(lines):
        assert sum(step for *_, step in line) <= 700
        assert sum(step for *_, step in line) + following[0][2] > 700


def test_spread_prefers_images_with_instances():
    assert _spread(np.array([0, 3, 0, 1, 2]), 12).tolist() == [1, 3, 4]
    assert _spread(np.array([0, 3, 0, 1, 2]), 2).tolist() == [1, 4]
    assert _spread(np.array([0, 0]), 5).tolist() == [0, 1]
    assert len(set(_spread(np.ones(1000, int), 12).tolist())) == 12


def test_colours_of_classes_show(small_set, tmp_path):
    store = mtfast.convert(small_set, tmp_path / "set.zarr")
    for path, name in ((small_set, "a.png"), (store, "b.png")):
        preview(path, tmp_path / name, split="test", n=6)
    a, b = (np.asarray(Image.open(tmp_path / name)) for name in ("a.png", "b.png"))
    table = mtfast.open(store)["test"].table()
    for number in np.unique(table.category_ids):
        colour = PALETTE[int(number) - 1]
        assert (a == colour).all(axis=2).sum() > 100
    # Only the title, the name of the folder, differs.
    assert a.shape == b.shape
    np.testing.assert_array_equal(a[62:], b[62:])


def test_without_images_and_as_jpeg(small_set, tmp_path):
    store = mtfast.convert(small_set, tmp_path / "set.zarr", images="none")
    preview(store, tmp_path / "sheet.jpg", n=2)
    with Image.open(tmp_path / "sheet.jpg") as sheet:
        assert sheet.format == "JPEG"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"split": "val"}, "no split 'val' in .*Graphene; expected one of: train, test; "),
        ({"n": 0}, "0 images"),
        ({"out": "sheet.gif"}, "expected .png"),
        ({"out": "nowhere/sheet.png"}, "cannot be written"),
    ],
)
def test_bad_options(small_set, tmp_path, options, words):
    out = tmp_path / options.pop("out", "sheet.png")
    with pytest.raises(mtfast.MtfastError, match=words):
        preview(small_set, out, **options)
