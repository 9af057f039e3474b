"""Outlines and overlays, against pictures that are drawn pixel by pixel."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from mtfast import MtfastError
from mtfast.arguments import Window
from mtfast.pictures.outlines import draw_outlines, grow, instance_labels, places
from mtfast.pictures.overlay import overlay
from mtfast.pictures.palette import HALO, PALETTE
from tables import make_table, random_masks


def drawn(masks, width=1, ground=99):
    picture = np.full((*masks[0].shape, 3), ground, np.uint8)
    labels = instance_labels(make_table([masks], masks[0].shape))
    draw_outlines(picture, labels.map, labels.colours, width)
    return picture


def box(shape, top, left, height, width):
    mask = np.zeros(shape, np.uint8)
    mask[top : top + height, left : left + width] = 1
    return mask


@pytest.mark.parametrize("ground", [0, 99, 255])
def test_a_line_lies_around_an_instance_between_dark_ones(ground):
    square = box((60, 80), 20, 30, 20, 20)
    picture = drawn([square], width=2, ground=ground)
    row = picture[30]
    assert (row[28:30] == PALETTE[0]).all()
    assert (row[50:52] == PALETTE[0]).all()
    for column in (27, 30, 49, 52):
        assert tuple(row[column]) == HALO
    assert (np.delete(row, [*range(27, 31), *range(49, 53)], axis=0) == ground).all()


def test_where_two_touch_the_line_of_the_smaller_is_drawn():
    shape = (60, 80)
    picture = drawn([box(shape, 20, 30, 20, 20), box(shape, 20, 50, 20, 10)])
    assert tuple(picture[25, 29]) == PALETTE[0]
    assert tuple(picture[25, 60]) == PALETTE[1]
    assert tuple(picture[25, 49]) == PALETTE[1]


def test_an_instance_inside_another_is_seen_whichever_comes_first():
    shape = (40, 40)
    outer, inner = box(shape, 5, 5, 30, 30), box(shape, 15, 15, 6, 6)
    for masks in ([outer, inner], [inner, outer]):
        picture = drawn(masks)
        colours = [PALETTE[0], PALETTE[1]]
        expected = colours[1] if masks[0] is outer else colours[0]
        assert tuple(picture[18, 14]) == expected


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_growing_is_a_maximum_filter(rng, n):
    values = rng.integers(0, 9, (17, 23)).astype(np.uint16) * (rng.random((17, 23)) < 0.1)
    around = np.lib.stride_tricks.sliding_window_view(np.pad(values, n), (2 * n + 1, 2 * n + 1))
    expected = around.max(axis=(2, 3))
    np.testing.assert_array_equal(grow(values, n), expected)
    small = np.array([[3, 0]], np.uint16)
    np.testing.assert_array_equal(grow(small, n), [[3, 3]])


def test_no_instance_is_lost_when_a_picture_is_smaller(rng):
    shape = (200, 300)
    masks = [box(shape, *rng.integers(0, 199, 2), 1, 1) for _ in range(12)]
    labels = instance_labels(make_table([masks], shape))
    window = Window(0, 0, *shape)
    naive = labels.map[np.ix_(*places(window, 20, 30))]
    assert np.count_nonzero(np.unique(naive)) < 6
    assert labels.sample(window, 20, 30).classes() == labels.classes() == {1, 2, 3}
    at = np.argwhere(labels.sample(window, 20, 30).map)
    expected = {(y // 10, x // 10) for y, x in np.argwhere(labels.map).tolist()}
    assert set(map(tuple, at.tolist())) == expected


def test_a_window_shows_its_pixels(rng):
    shape = (30, 40)
    labels = instance_labels(make_table([random_masks(rng, shape, 6)], shape))
    shown = labels.sample(Window(3, 5, 10, 20), 20, 60).map
    np.testing.assert_array_equal(shown, np.kron(labels.map[3:13, 5:25], np.ones((2, 3), int)))


@pytest.mark.parametrize("alpha", [0, 0.35, 1])
def test_an_overlay_mixes_colours_as_pillow_does(rng, alpha):
    shape = (30, 40)
    mask = rng.random(shape) < 0.4
    table = make_table([[mask.astype(np.uint8)]], shape)
    image = rng.integers(0, 256, (*shape, 3), np.uint8)
    before = image.copy()
    shown = overlay(image, table, alpha=alpha, outlines=False)
    filled = Image.new("RGB", shape[::-1], PALETTE[0])
    mixed = np.asarray(Image.blend(Image.fromarray(image), filled, alpha))
    expected = np.where(mask[..., None], mixed, image)
    assert np.abs(shown.astype(int) - expected).max() <= 1
    np.testing.assert_array_equal(image, before)


def test_overlays_of_all_kinds_of_images():
    shape = (50, 60)
    table = make_table([[box(shape, 10, 10, 20, 20)]], shape)
    deep = np.linspace(500, 700, 3000).astype(np.uint16).reshape(shape)
    for image in (deep, np.stack([deep] * 3, axis=2), np.zeros(shape, np.uint8)):
        shown = overlay(image, table)
        assert shown.shape == (*shape, 3)
        assert shown.dtype == np.uint8
        assert tuple(shown[9, 15]) == PALETTE[0]
    none = replace(table[:0])
    np.testing.assert_array_equal(overlay(np.zeros(shape, np.uint8), none), 0)


@pytest.mark.parametrize(
    ("image", "pick", "options", "words"),
    [
        ((9, 9), [0], {}, r"shape \(9, 9\) for masks of 50 x 60"),
        ((50, 60), slice(0, 2), {}, "a table of 2 images"),
        ((50, 60), [0], {"alpha": 1.5}, "alpha"),
    ],
)
def test_what_cannot_be_overlaid(image, pick, options, words):
    shape = (50, 60)
    table = make_table([[box(shape, 10, 10, 20, 20)]] * 2, shape)
    with pytest.raises(MtfastError, match=words):
        overlay(np.zeros(image, np.uint8), table.images(pick), **options)
