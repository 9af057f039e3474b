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
from mtfast.pictures.overlay import as_8_bits
from mtfast.pictures.palette import PALETTE
from mtfast.pictures.sheet import (
    CAPTION,
    GAP,
    PAPER,
    TITLE_LINE,
    Tile,
    _wrap,
    compose,
    picture_path,
)
from mtfast.report.preview import preview
from mtfast.report.tiles import choose_images, draw_tiles, legend, tile_size
from mtfast.sources import open_source
from tables import make_table


def test_endings_in_capitals(tmp_path):
    assert picture_path(tmp_path / "A.PNG") == tmp_path / "A.PNG"


def test_long_lines_are_wrapped():
    items = [(10.0 * (3 + 7 * k % 40), k) for k in range(30)]
    lines = _wrap(items, 700)
    assert [k for line in lines for k in line] == list(range(30))
    assert len(lines) > 3
    widths = [[items[k][0] for k in line] for line in lines]
    for line, following in pairwise(widths):
        assert sum(line) <= 700
        assert sum(line) + following[0] > 700


def with_instances(counts):
    shape = (4, 6)
    return make_table([[np.ones(shape, np.uint8)] * n for n in counts], shape)


def test_images_with_instances_are_chosen_and_spread():
    table = with_instances([0, 3, 0, 1, 2])
    assert choose_images(table, 12).tolist() == [1, 3, 4]
    assert choose_images(table, 2).tolist() == [1, 4]
    assert choose_images(with_instances([0, 0]), 5).tolist() == [0, 1]
    assert len(set(choose_images(with_instances([1] * 100), 12).tolist())) == 12


def test_a_seed_chooses_the_same_images_again():
    table = with_instances([1, 0] * 50)
    chosen = choose_images(table, 5, seed=3).tolist()
    assert chosen == choose_images(table, 5, seed=3).tolist()
    assert chosen == sorted(set(chosen))
    assert not any(index % 2 for index in chosen)
    assert len({tuple(choose_images(table, 5, seed=k).tolist()) for k in range(9)}) > 5


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
    np.testing.assert_array_equal(a[TITLE_LINE:], b[TITLE_LINE:])


def test_a_mixed_set_and_its_store_are_drawn_alike(mixed_set, mixed_store, tmp_path):
    """All kinds, of which some are turned by EXIF and some have 16 bits."""
    for path, name in ((mixed_set.annotations, "a.png"), (mixed_store, "b.png")):
        preview(path, tmp_path / name, n=len(mixed_set.names))
    a, b = (np.asarray(Image.open(tmp_path / name)) for name in ("a.png", "b.png"))
    np.testing.assert_array_equal(a[TITLE_LINE:], b[TITLE_LINE:])


def test_images_of_all_kinds_are_shown_as_independent_libraries_show_them(mixed_set, monkeypatch):
    """In tiles of their own size, without outlines."""
    monkeypatch.setattr("mtfast.report.tiles.tile_size", lambda *size: size)
    view = open_dataset(mixed_set.annotations).split()
    table = view.table()
    tiles = draw_tiles(view, table[:0], range(len(mixed_set.names)), None)
    for tile, expected in zip(tiles, mixed_set.pixels.values(), strict=True):
        height, width = expected.shape[:2]
        shown = tile.pixels[:height, :width]
        if expected.dtype == np.uint8:
            np.testing.assert_array_equal(shown, expected)
        else:
            channels = expected if expected.ndim == 3 else np.stack([expected] * 3, axis=2)
            # The noise fills all 16 bits.
            assert np.abs(shown - (channels / 257)).max() < 3


def test_an_image_of_a_source_can_be_the_first_thing_asked_of_it(mixed_set):
    view = open_dataset(mixed_set.annotations).split()
    np.testing.assert_array_equal(view.image("shown.jpg"), mixed_set.pixels["shown.jpg"])


@pytest.mark.parametrize("orientation", [None, "stored", "shown"])
def test_an_image_that_fits_its_masks_is_not_turned(tmp_path, orientation):
    """Although its EXIF orientation, half of a turn, would fit too, unless a user says so."""
    content = {
        "images": [{"id": 1, "file_name": "a.png", "height": HEIGHT, "width": WIDTH}],
        "annotations": [],
        "categories": [],
    }
    (tmp_path / "set.json").write_text(json.dumps(content))
    (tmp_path / "images").mkdir()
    data = saved(an_image("RGB"), "PNG", exif=exif(3))
    (tmp_path / "images" / "a.png").write_bytes(data)
    source = mtfast.open_source(tmp_path / "set.json", orientation=orientation)
    expected = pixels()[::-1, ::-1] if orientation == "shown" else pixels()
    np.testing.assert_array_equal(open_dataset(source).split().image("a.png"), expected)


def test_16_bits_are_scaled_and_said(mixed_set):
    view = open_dataset(mixed_set.annotations).split()
    tiles = draw_tiles(view, view.table(), range(len(mixed_set.names)), None)
    captions = [(tile.name, tile.about) for tile in tiles]
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


@pytest.mark.parametrize(("shape", "size"), [((5, 4000), (1, 460)), ((4000, 5), (690, 1))])
def test_long_and_high_images_fit_into_a_tile(tmp_path, shape, size):
    assert tile_size(*shape) == size
    masks = [[np.ones(shape, np.uint8)]]
    view = SimpleNamespace(name="train", has_images=False)
    (tile,) = draw_tiles(view, make_table(masks, shape), [0], None)
    assert tile.pixels.shape == (*size, 3)


def tile_of(height, colour=(9, 9, 9), name="a.jpg", about=""):
    return Tile(np.full((height, 460, 3), colour, np.uint8), name, about)


def test_a_row_is_as_high_as_its_highest_tile():
    colours = [(9 * k, 200, 90) for k in range(4)]
    heights = (40, 10, 25, 60)
    tiles = [tile_of(h, c) for h, c in zip(heights, colours, strict=True)]
    sheet = np.asarray(compose(tiles, "t", "a", [], n_columns=2))
    found = [np.argwhere((sheet == colour).all(axis=2)) for colour in colours]
    assert [np.ptp(at[:, 0]) + 1 for at in found] == [*heights]
    tops = [int(at[0, 0]) for at in found]
    assert tops[0] == tops[1]
    assert tops[2] == tops[3] == tops[0] + 40 + CAPTION + GAP


@pytest.mark.parametrize("n", [1, 4, 12, 30, 200])
def test_a_sheet_has_a_bounded_size(n):
    tiles = [tile_of(1)] * n
    sheet = compose(tiles, "W" * 300, "word " * 200, [((1, 2, 3), "x" * 120)] * 90)
    assert sheet.width <= 8 * 478 + GAP
    assert sheet.height < 10_000


def test_what_is_too_long_ends_inside_and_keeps_its_ends():
    """Names of images differ at the ends; all text stays left of the next tile."""
    long, same, other = ("A" + "W" * 90 + end for end in "XXZ")
    drawn = [
        np.asarray(compose([tile_of(4, name=name, about=name)] * 2, name, "", []))
        for name in (long, same, other)
    ]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert (drawn[0] != drawn[2]).any()
    margins = [slice(0, GAP), slice(GAP + 460 + 1, GAP + 478), slice(-GAP + 1, None)]
    for margin in margins[::2]:
        assert (drawn[0][:, margin] == PAPER).all()
    assert (drawn[0][-CAPTION - GAP - GAP :, margins[1]] == PAPER).all()


def test_a_zoom_shows_windows_of_all_classes():
    """Four images of 300 x 400; two classes, of which each has its turn."""
    shape = (300, 400)

    def box(top, left, side):
        mask = np.zeros(shape, np.uint8)
        mask[top : top + side, left : left + side] = 1
        return mask

    masks = [[box(40, 50, 40), box(200, 300, 10)] for _ in range(4)]
    table = make_table(masks, shape, n_categories=2)
    view = SimpleNamespace(name="train", has_images=False)
    tiles = draw_tiles(view, table, range(4), None, zoom=True)
    assert [tile.classes for tile in tiles] == [{1}, {2}, {1}, {2}]
    # 2 x 40 pixels of height are 107 of width; 64 at least.
    assert tiles[0].about == "4.3x at row 20, column 16"
    assert tiles[1].about == "7.19x at row 181, column 273"
    assert {tile.pixels.shape for tile in tiles} == {(344, 460, 3), (345, 460, 3)}
    # The outline of 40 pixels at 4.3 x, in the middle.
    y, x = np.nonzero((tiles[0].pixels == PALETTE[0]).all(axis=2))
    assert np.ptp(x) + 1 == pytest.approx(40 * 4.3 + 4, abs=2)
    assert (x.min() + x.max()) / 2 == pytest.approx(230, abs=3)
    assert (y.min() + y.max()) / 2 == pytest.approx(172, abs=3)
    # Only classes that show are in the legend.
    assert [text for _, text in legend(table, tiles[:1])] == ["class 1  (4)"]


def test_magnified_pixels_are_those_of_the_image():
    shape = (61, 83)
    image = np.random.default_rng(3).integers(0, 256, (*shape, 3), np.uint8)
    view = SimpleNamespace(name="train", has_images=True, image=lambda name: image)
    table = make_table([[np.ones(shape, np.uint8)]], shape)
    (tile,) = draw_tiles(view, table, [0], None, zoom=True)
    assert tile.about == "5.54x at row 0, column 0"
    # The pixel that the middle of each lies in.
    y, x = ((2 * np.arange(n) + 1) * side // (2 * n) for n, side in ((338, 61), (460, 83)))
    np.testing.assert_array_equal(tile.pixels, image[y][:, x])


def test_a_variant_is_drawn(small_set, tmp_path):
    sheets = {}
    for variant in (None, "annotations_with_class_200", "annotations_with_class_full"):
        path = preview(small_set, tmp_path / "a.png", variant=variant, n=2)
        sheets[variant] = np.asarray(Image.open(path))
    np.testing.assert_array_equal(sheets[None], sheets["annotations_with_class_200"])
    assert not np.array_equal(sheets[None], sheets["annotations_with_class_full"])
    with pytest.raises(mtfast.MtfastError, match="no variant.* 'x'"):
        preview(small_set, tmp_path / "a.png", variant="x")


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
        ({"n": 201}, "201 images for a preview; expected 1 to 200"),
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


@pytest.mark.parametrize(
    ("text", "other", "are_alike"),
    [
        ("WSe₂ ü u\u0308 3 µm²", "WSe2 u u 3 \\xb5m2", True),
        ("中 ß", "\\u4e2d \\xdf", True),
        ("20 °C", "20 \\xb0C", False),
    ],
)
def test_what_the_font_cannot_draw_is_spelled(text, other, are_alike):
    """Pillow's font has one box for all of it, so that names and classes looked alike."""
    sheets = [
        np.asarray(compose([tile_of(4, name=t, about=t)], t, t, [((1, 2, 3), t)]))
        for t in (text, other)
    ]
    assert np.array_equal(*sheets) == are_alike
