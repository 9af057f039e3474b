from __future__ import annotations

import json
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import mtfast
from image_samples import HEIGHT, WIDTH, an_image, exif, pixels, saved
from mtfast.dataset import open_dataset
from mtfast.errors import MtfastError
from mtfast.pictures.sheet import (
    CAPTION,
    GAP,
    PALETTE,
    PAPER,
    _wrap,
    compose,
    make_tile,
    picture_path,
)
from mtfast.pictures.tiles import _draw_outlines, _spread, as_8_bits, draw_tiles, tile_size
from mtfast.report.preview import preview
from mtfast.sources import open_source
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


def test_a_mixed_set_and_its_store_are_drawn_alike(mixed_set, mixed_store, tmp_path):
    """All kinds, of which some are turned by EXIF and some have 16 bits."""
    for path, name in ((mixed_set.annotations, "a.png"), (mixed_store, "b.png")):
        preview(path, tmp_path / name, n=len(mixed_set.names))
    a, b = (np.asarray(Image.open(tmp_path / name)) for name in ("a.png", "b.png"))
    np.testing.assert_array_equal(a[62:], b[62:])


def test_images_of_all_kinds_are_shown_as_independent_libraries_show_them(mixed_set, monkeypatch):
    """In tiles of their own size, without outlines."""
    monkeypatch.setattr("mtfast.pictures.tiles.tile_size", lambda *size: size)
    view = open_dataset(mixed_set.annotations).split()
    table = view.table()
    table = table.select(np.empty(0, np.int64))
    tiles = draw_tiles(view, table, len(mixed_set.names), None)
    for tile, expected in zip(tiles, mixed_set.pixels.values(), strict=True):
        height, width = expected.shape[:2]
        shown = np.asarray(tile)[:height, :width]
        if expected.dtype == np.uint8:
            np.testing.assert_array_equal(shown, expected)
        else:
            channels = expected if expected.ndim == 3 else np.stack([expected] * 3, axis=2)
            # The noise fills all 16 bits.
            assert np.abs(shown - (channels / 257)).max() < 3


def test_an_image_of_a_source_can_be_the_first_thing_asked_of_it(mixed_set):
    view = open_dataset(mixed_set.annotations).split()
    np.testing.assert_array_equal(view.image("shown.jpg"), mixed_set.pixels["shown.jpg"])


def test_an_image_that_fits_its_masks_is_not_turned(tmp_path):
    """Although its EXIF orientation, half of a turn, would fit too: convert asks which is right."""
    content = {
        "images": [{"id": 1, "file_name": "a.png", "height": HEIGHT, "width": WIDTH}],
        "annotations": [],
        "categories": [],
    }
    (tmp_path / "set.json").write_text(json.dumps(content))
    (tmp_path / "images").mkdir()
    data = saved(an_image("RGB"), "PNG", exif=exif(3))
    (tmp_path / "images" / "a.png").write_bytes(data)
    view = open_dataset(tmp_path / "set.json").split()
    np.testing.assert_array_equal(view.image("a.png"), pixels())


def test_16_bits_are_scaled_and_said(mixed_set, monkeypatch):
    captions = []
    monkeypatch.setattr("mtfast.pictures.tiles.make_tile", lambda *tile: captions.append(tile[1:]))
    view = open_dataset(mixed_set.annotations).split()
    draw_tiles(view, view.table(), len(mixed_set.names), None)
    said = {name for name, about in captions if "16 bits, " in about}
    assert said == {name for name, a in mixed_set.pixels.items() if a.dtype == np.uint16}
    assert all(about.startswith("3 instances") for _, about in captions)


def test_few_of_16_bits_are_spread_over_8():
    ramp = np.linspace(1000, 3000, 5000).astype(np.uint16).reshape(50, 100)
    shown, said = as_8_bits(ramp)
    assert said == "16 bits, 1002-2997 shown"
    assert (shown.dtype, shown.min(), shown.max()) == (np.uint8, 0, 255)
    expected = np.clip((ramp - 1002.0) * 255 / 1995, 0, 255)
    assert np.abs(shown - expected).max() < 1
    flat, said = as_8_bits(np.full((4, 5, 3), 700, np.uint16))
    assert said == "16 bits, 700-700 shown"
    assert not flat.any()
    shown, said = as_8_bits(flat)
    assert shown is flat
    assert said == ""


@pytest.mark.parametrize(("shape", "size"), [((5, 4000), (1, 460)), ((4000, 5), (920, 1))])
def test_long_and_high_images_fit_into_a_tile(tmp_path, shape, size):
    assert tile_size(*shape) == size
    masks = [[np.ones(shape, np.uint8)]]
    view = SimpleNamespace(name="train", has_images=False)
    (tile,) = draw_tiles(view, make_table(masks, shape), 1, None)
    assert tile.size == (460, size[0] + CAPTION)


def test_a_row_is_as_high_as_its_highest_tile():
    colours = [(9 * k, 200, 90) for k in range(4)]
    heights = (40, 10, 25, 60)
    tiles = [Image.new("RGB", (460, h), c) for h, c in zip(heights, colours, strict=True)]
    sheet = np.asarray(compose(tiles, "t", "a", [], n_columns=2))
    found = [np.argwhere((sheet == colour).all(axis=2)) for colour in colours]
    assert [np.ptp(at[:, 0]) + 1 for at in found] == [*heights]
    tops = [int(at[0, 0]) for at in found]
    assert tops[0] == tops[1]
    assert tops[2] == tops[3] == tops[0] + 40 + GAP


def test_a_long_name_ends_where_the_count_begins():
    """A caption that is said in full, and names that are cut."""
    pixels = np.zeros((4, 460, 3), np.uint8)
    right = "1,234 instances, 16 bits, 10234-60234 shown"
    tile = np.asarray(make_tile(pixels, "W" * 60, right))
    alone = np.asarray(make_tile(pixels, "", right))
    drawn = (alone[4:] != PAPER).any(axis=(0, 2))
    first = int(np.argmax(drawn))
    assert (tile[:, first:] == alone[:, first:]).all()
    assert (tile[4:, :first] != PAPER).any()


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


def test_names_that_break_lines(tmp_path):
    """Names of images and classes come from strangers; Pillow refuses to draw several lines."""
    content = {
        "images": [{"id": 1, "file_name": "a\nb.png", "height": 4, "width": 6}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [[0, 0, 4, 0, 4, 3, 0, 3]]}
        ],
        "categories": [{"id": 1, "name": "mono\nlayer\x1b[31m"}],
    }
    (tmp_path / "a.json").write_text(json.dumps(content))
    assert preview(tmp_path / "a.json", tmp_path / "sheet.png").stat().st_size > 0


def test_images_that_cannot_be_read_are_skipped_where_asked(tmp_path):
    (tmp_path / "images").mkdir()
    Image.new("RGB", (6, 4), (9, 99, 9)).save(tmp_path / "images" / "a.png")
    (tmp_path / "images" / "b.png").write_text("damaged")
    ring = [[0, 0, 4, 0, 4, 3, 0, 3]]
    content = {
        "images": [
            {"id": k, "file_name": f"{name}.png", "height": 4, "width": 6}
            for k, name in enumerate("abc", 1)
        ],
        "annotations": [
            {"id": k, "image_id": k, "category_id": 1, "segmentation": ring} for k in (1, 2, 3)
        ],
        "categories": [{"id": 1, "name": "flake"}],
    }
    (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.raises(MtfastError, match="b.png"):
        preview(tmp_path / "a.json", tmp_path / "sheet.png")
    source = open_source(tmp_path / "a.json", bad="skip")
    assert preview(source, tmp_path / "sheet.png").stat().st_size > 0
