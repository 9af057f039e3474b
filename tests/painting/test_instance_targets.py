"""Targets made from runs, against the pixels of whole masks."""

from __future__ import annotations

import numpy as np
import pytest

import naive
from mtfast.errors import MtfastError
from mtfast.painting.crop import crop_table
from mtfast.painting.instance_targets import instance_targets, measure_masks
from mtfast.painting.paint import semantic
from tables import make_table, random_masks

SHAPE = (30, 40)


def naive_targets(masks: list[np.ndarray], window: tuple[int, ...]) -> list[tuple]:
    """Number, pixels, box and area of each mask that has a pixel in the window."""
    y, x, h, w = window
    found = []
    for k, mask in enumerate(masks):
        part = mask[y : y + h, x : x + w]
        if part.any():
            left, top, width, height = naive.bbox(part)
            found.append((k, part, [left, top, left + width, top + height], int(part.sum())))
    return found


def a_window(rng: np.random.Generator) -> tuple[int, int, int, int]:
    h, w = (int(rng.integers(1, side + 1)) for side in SHAPE)
    return int(rng.integers(0, SHAPE[0] - h + 1)), int(rng.integers(0, SHAPE[1] - w + 1)), h, w


def test_instances_of_a_window(rng):
    for _ in range(40):
        masks = random_masks(rng, SHAPE, int(rng.integers(0, 9)))
        table, window = make_table([masks], SHAPE), a_window(rng)
        targets, expected = instance_targets(table, window), naive_targets(masks, window)
        kept = [k for k, *_ in expected]
        assert targets.ids.tolist() == table.instance_ids[kept].tolist()
        assert targets.labels.tolist() == table.category_ids[kept].tolist()
        assert targets.masks.shape == (len(kept), *window[2:])
        for k, (_, part, box, area) in enumerate(expected):
            np.testing.assert_array_equal(targets.masks[k], part)
            assert targets.boxes[k].tolist() == box
            assert targets.areas[k] == area
        kinds = [(column.dtype.name, column.flags.c_contiguous) for column in targets]
        assert kinds == [(t, True) for t in ("bool", "float32", "int64", "int64", "int64")]


def test_without_a_window_it_is_the_frame(rng):
    masks = random_masks(rng, SHAPE, 6)
    whole = instance_targets(make_table([masks], SHAPE), (0, 0, *SHAPE))
    for column, other in zip(instance_targets(make_table([masks], SHAPE)), whole, strict=True):
        np.testing.assert_array_equal(column, other)


def test_tables_of_several_images(rng):
    masks = [random_masks(rng, SHAPE, n) for n in (3, 0, 5)]
    table, window = make_table(masks, SHAPE), a_window(rng)
    y, x, h, w = window
    cut = crop_table(table, window)
    cut.check()
    assert cut.names.tolist() == table.names.tolist()
    np.testing.assert_array_equal(semantic(cut), semantic(table)[:, y : y + h, x : x + w])
    np.testing.assert_array_equal(cut.stated_area, cut.area())
    np.testing.assert_array_equal(cut.stated_bbox, cut.bbox())
    for image, expected in zip(map(cut.image, range(3)), masks, strict=True):
        kept = naive_targets(expected, window)
        assert image.positions.tolist() == [k + image.positions[0] - kept[0][0] for k, *_ in kept]
    with pytest.raises(ValueError, match="read-only"):
        cut.rle[:1] = 0


@pytest.mark.parametrize(
    ("window", "words"),
    [
        ((0, 0, 31, 1), "31 x 1 pixels from row 0, column 0 on; .* 30 x 40"),
        ((-1, 0, 3, 3), "from row -1"),
        ((0, 38, 3, 3), "column 38"),
        ((0, 0, 0, 3), "at least one"),
        ((0, 0, 3), r"a window \(0, 0, 3\); expected four integers"),
        ((0, 0, 3, 2.5), "four integers"),
        (7, "four integers"),
    ],
)
def test_windows_that_are_none(rng, window, words):
    with pytest.raises(MtfastError, match=words):
        instance_targets(make_table([random_masks(rng, SHAPE, 2)], SHAPE), window)


def test_several_images_are_refused(rng):
    with pytest.raises(MtfastError, match="a table of 2 images; expected one"):
        instance_targets(make_table([[], []], SHAPE))


def test_empty_instances_of_a_whole_image_are_dropped(rng):
    masks = [np.zeros(SHAPE, np.uint8), *random_masks(rng, SHAPE, 2), np.zeros(SHAPE, np.uint8)]
    masks[1][3, 4] = masks[2][5, 6] = 1
    table = make_table([masks], SHAPE)
    found = instance_targets(table)
    assert found.ids.tolist() == table.instance_ids[1:3].tolist()
    assert np.array_equal(found.masks, np.array(masks[1:3], bool))
    assert found.areas.tolist() == [masks[1].sum(), masks[2].sum()]
    empty = instance_targets(make_table([[masks[0]]], SHAPE))
    assert [column.shape for column in empty] == [(0, *SHAPE), (0, 4), (0,), (0,), (0,)]


@pytest.mark.parametrize("shape", [(1, 1), (7, 5), (3, 70), (70, 3)])
def test_masks_are_measured(rng, shape):
    masks = np.array([np.zeros(shape), *random_masks(rng, shape, 30)]).astype(bool)
    areas, boxes = measure_masks(masks)
    assert areas.dtype == np.int64
    assert boxes.dtype == np.float32
    for mask, area, box in zip(masks, areas.tolist(), boxes.tolist(), strict=True):
        rows, columns = np.nonzero(mask)
        assert area == rows.size
        if rows.size:
            corner = [columns.max() + 1, rows.max() + 1]
            assert box == [columns.min(), rows.min(), *corner]
        else:
            assert box == [0, 0, 0, 0]
    assert [column.shape for column in measure_masks(masks[:0])] == [(0,), (0, 4)]
