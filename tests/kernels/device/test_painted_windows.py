"""Masks, measures and weights of windows, compared with numpy and with the kernels for the CPU."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtfast.kernels.device import paint_windows, plan, resize_windows
from mtfast.kernels.device import window_table as fields
from mtfast.kernels.device.twice import DeviceKernel
from mtfast.kernels.frames.resize import n_taps, weigh
from mtfast.loaders.views import View
from strict_runs import run_strictly

IGNORE = 255


class Painted(NamedTuple):
    """Instances of images of one size, and windows of them."""

    masks: list[np.ndarray]
    toggles: np.ndarray
    starts: np.ndarray
    numbers: np.ndarray
    windows: np.ndarray
    views: list[View]


def toggles_of(mask: np.ndarray) -> np.ndarray:
    """Where runs begin and end, column by column."""
    flat = np.concatenate([[0], mask.ravel(order="F"), [0]])
    return np.flatnonzero(np.diff(flat)).astype(np.uint32)


def painted(masks: list[np.ndarray], views: list[View], numbers: np.ndarray) -> Painted:
    """``masks[k]`` holds the instances of image k, (n, height, width); ``views[k]`` its view."""
    lists = [toggles_of(mask) for image in masks for mask in image]
    ends = np.cumsum([0, *(len(image) for image in masks)])
    windows = np.zeros((len(views), fields.FIELDS), np.int64)
    windows[:, fields.FRAME_HEIGHT : fields.FRAME_WIDTH + 1] = masks[0].shape[1:]
    windows[:, fields.VIEW_Y : fields.TURNS + 1] = views
    windows[:, fields.INSTANCES], windows[:, fields.INSTANCES_END] = ends[:-1], ends[1:]
    return Painted(
        masks,
        np.concatenate([np.zeros(0, np.uint32), *lists]),
        np.cumsum([0, *map(len, lists)]),
        numbers.astype(np.int32),
        windows.reshape(-1),
        views,
    )


def shown(frame: np.ndarray, view: View, padding: int = 0) -> np.ndarray:
    """The pixels of a view of a frame: each the nearest one, by its definition."""
    height, width = frame.shape
    y = view.y + ((2 * np.arange(view.height) + 1) * view.h) // (2 * view.height)
    x = view.x + ((2 * np.arange(view.width) + 1) * view.w) // (2 * view.width)
    inside = ((y >= 0) & (y < height))[:, None] & ((x >= 0) & (x < width))
    pixels = frame[np.clip(y, 0, height - 1)][:, np.clip(x, 0, width - 1)]
    pixels = np.where(inside, pixels, padding).astype(frame.dtype)
    if view.mirrored:
        pixels = pixels[:, ::-1]
    return np.rot90(pixels, view.turns)


def semantic(case: Painted, dtype: type = np.uint8, run=DeviceKernel.run) -> np.ndarray:
    height, width = case.views[0].shape
    out = np.full((len(case.views), height, width), 99, dtype)
    flat = out.reshape(-1)
    is_wide = dtype == np.uint16
    kernel = paint_windows.paint_semantic_wide if is_wide else paint_windows.paint_semantic
    words = flat.view(np.uint8)[: flat.nbytes // 4 * 4].view(np.uint32)
    run(
        kernel, (n_tiles(height, width), len(case.views)), case.windows, case.toggles, case.starts,
        case.numbers, IGNORE, int(not is_wide), flat, words,
    )  # fmt: skip
    return out


def n_tiles(height: int, width: int) -> int:
    rows, columns = paint_windows.ROWS, paint_windows.COLUMNS
    sides = ((height, width), (width, height))
    return max(-(-a // rows) * -(-b // columns) for a, b in sides)


def expected_semantic(case: Painted) -> np.ndarray:
    found, number = [], 0
    for image, view in zip(case.masks, case.views, strict=True):
        frame = np.zeros(image.shape[1:], np.int64)
        for mask in image:
            frame[mask] = case.numbers[number]
            number += 1
        found.append(shown(frame, view, IGNORE))
    return np.array(found)


def views_of(data: st.DataObject, n: int, frame: tuple[int, int]) -> list[View]:
    """Views whose samples have one size, anywhere around the frame."""
    shape = data.draw(st.tuples(st.integers(1, 150), st.integers(1, 70)))
    views = []
    for _ in range(n):
        turns = data.draw(st.integers(0, 3))
        height, width = shape[::-1] if turns % 2 else shape
        h, w = height, width
        if data.draw(st.booleans()):
            h, w = data.draw(st.tuples(st.integers(1, 90), st.integers(1, 90)))
        y = data.draw(st.integers(-h - 2, frame[0] + 2))
        x = data.draw(st.integers(-w - 2, frame[1] + 2))
        views.append(View(y, x, h, w, height, width, data.draw(st.booleans()), turns))
    return views


@st.composite
def cases(draw):
    data = draw(st.data())
    frame = draw(st.tuples(st.integers(1, 40), st.integers(1, 40)))
    n_images = draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    masks = [
        rng.random((draw(st.integers(0, 4)), *frame))
        < draw(st.sampled_from((0.0, 0.02, 0.5, 0.97, 1.0)))
        for _ in range(n_images)
    ]
    n = sum(len(image) for image in masks)
    return painted(masks, views_of(data, n_images, frame), rng.integers(0, 255, n))


@settings(deadline=None, max_examples=150)
@given(cases())
def test_semantic_masks(case):
    expected = expected_semantic(case)
    assert np.array_equal(semantic(case), expected)
    assert np.array_equal(semantic(case, np.uint16), expected)


def pairs_of(case: Painted) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The instances whose boxes meet a window, by the kernel; their boxes by numpy."""
    flat = [mask for image in case.masks for mask in image]
    boxes = np.zeros((len(flat), 4), np.int64)
    for box, mask in zip(boxes, flat, strict=True):
        y, x = np.nonzero(mask)
        if y.size:
            box[:] = x.min(), y.min(), np.ptp(x) + 1, np.ptp(y) + 1
    shown_ones = np.ones(len(flat), np.uint8)
    shown_ones[2::3] = 0
    owners, instances = np.empty((2, len(flat)), np.int32)
    n = plan.find_pairs(case.windows, boxes.reshape(-1), shown_ones, owners, instances)
    return owners[:n], instances[:n], shown_ones


def instances_of(case: Painted, run=DeviceKernel.run):
    """Masks, boxes, areas, labels and ids of the instances that are kept, and counts."""
    owners, instances, _ = pairs_of(case)
    n, n_windows = len(owners), len(case.views)
    height, width = case.views[0].shape
    counts = np.zeros(n_windows, np.int32)
    masks = np.full((n, height, width), 99, np.uint8)
    boxes = np.full((n, 4), np.nan, np.float32)
    areas, labels, ids = np.zeros((3, n), np.int64)
    if n:
        measures, places = np.empty(n * paint_windows.MEASURES, np.int32), np.empty(n, np.int32)
        shared = case.windows, case.toggles, case.starts, owners, instances
        run(paint_windows.measure_instances, (n, 1), *shared, measures)
        run(
            paint_windows.keep_instances, (1, 1), case.windows, n, n_windows, owners, instances,
            measures, case.numbers, 1000 + np.arange(len(case.numbers)), places, boxes.reshape(-1),
            areas, labels, ids, counts,
        )  # fmt: skip
        flat = masks.reshape(-1)
        grid = n, n_tiles(height, width)
        words = flat[: flat.size // 4 * 4].view(np.uint32)
        run(paint_windows.paint_instances, grid, *shared, places, flat, words)
    n_kept = int(counts.sum())
    return [a[:n_kept] for a in (masks, boxes, areas, labels, ids)], counts


@settings(deadline=None, max_examples=150)
@given(cases())
def test_instances(case):
    """Those with a pixel in the window, in order; those that are not shown are left out."""
    _, _, shown_ones = pairs_of(case)
    (masks, boxes, areas, labels, ids), counts = instances_of(case)
    expected, number = [], 0
    for k, (image, view) in enumerate(zip(case.masks, case.views, strict=True)):
        n_before = len(expected)
        for mask in image:
            found = shown(mask, view)
            if shown_ones[number] and found.any():
                y, x = np.nonzero(found)
                box = [x.min(), y.min(), x.max() + 1, y.max() + 1]
                expected.append((found, box, found.sum(), case.numbers[number], 1000 + number))
            number += 1
        assert counts[k] == len(expected) - n_before
    assert len(masks) == len(expected)
    for k, wanted in enumerate(expected):
        for column, value in zip((masks, boxes, areas, labels, ids), wanted, strict=True):
            assert np.array_equal(column[k], value)


@pytest.mark.parametrize("turns", range(4))
def test_nothing_outside_of_the_arrays_is_touched(turns, rng):
    """Also with toggles that are not in order and beyond the frame, which no store has."""
    masks = [rng.random((2, 9, 11)) < 0.5, np.zeros((1, 9, 11), bool)]
    views = [View(-3, 2, 12, 10, 13, 7, True, turns), View(2, -4, 13, 7, 13, 7, False, turns)]
    case = painted(masks, views, np.array([1, 2, 3]))
    assert np.array_equal(semantic(case, run=run_strictly), expected_semantic(case))
    instances_of(case, run_strictly)
    for value in (0, 2**32 - 1, 50):
        wrong = case.toggles.copy()
        wrong[rng.integers(0, wrong.size, 6)] = value
        semantic(case._replace(toggles=wrong), run=run_strictly)
        instances_of(case._replace(toggles=wrong), run_strictly)


def test_many_pairs_are_numbered_in_order(rng):
    """More than there are threads that number them."""
    masks = [rng.random((700, 3, 4)) < 0.2, rng.random((500, 3, 4)) < 0.2]
    case = painted(
        masks, [View(0, 0, 2, 3, 2, 3), View(1, 1, 2, 3, 2, 3)], rng.integers(1, 9, 1200)
    )
    (found, *_, ids), counts = instances_of(case)
    assert len(found) == counts.sum() > paint_windows.KEEPERS
    assert (np.diff(ids) > 0).all()
    parts = [
        image[:, v.y : v.y + 2, v.x : v.x + 3] for image, v in zip(masks, case.views, strict=True)
    ]
    flat = np.concatenate(parts)
    assert np.array_equal(found, flat[ids - 1000])
    assert np.array_equal(ids - 1000, [k for k in range(1200) if k % 3 != 2 and flat[k].any()])


@pytest.mark.parametrize("seed", range(6))
def test_weights_are_those_of_the_cpu(seed):
    """Bit for bit, for sizes of which each axis is resized or not."""
    rng = np.random.default_rng(seed)
    n = 40
    sizes = rng.integers(1, rng.choice((20, 700)), (n, 4))
    sizes[rng.random(n) < 0.2, 2] = 1
    windows = np.zeros((n, fields.FIELDS), np.int64)
    windows[:, [fields.VIEW_H, fields.VIEW_W, fields.HEIGHT, fields.WIDTH]] = sizes
    passes = np.empty(n * resize_windows.PASS_FIELDS, np.int64)
    totals, chosen = np.empty(3, np.int64), np.arange(n, dtype=np.int32)
    plan.place_passes(windows.reshape(-1), chosen, passes, totals)
    starts, weights = np.full(totals[0], -1), np.full(totals[1], -1, np.int32)
    n_blocks = -(-int(sizes[:, 2:].sum(axis=1).max()) // resize_windows.THREADS)
    resize_windows.weigh_windows.run(
        (n_blocks, n), windows.reshape(-1), chosen, passes, starts, weights
    )
    axes = (
        (0, resize_windows.DOWN_STARTS, resize_windows.DOWN_WEIGHTS, resize_windows.DOWN_TAPS),
        (
            1,
            resize_windows.ACROSS_STARTS,
            resize_windows.ACROSS_WEIGHTS,
            resize_windows.ACROSS_TAPS,
        ),
    )
    for row, size in zip(passes.reshape(n, -1), sizes, strict=True):
        for axis, start_at, weight_at, taps_at in axes:
            before, after = size[axis], size[2 + axis]
            taps = row[taps_at]
            if before == after:
                assert taps == 0
                continue
            assert taps == n_taps(before, after)
            first, of_each = np.empty(after, np.int64), np.empty(after * taps, np.int32)
            weigh(before, after, False, first, of_each)
            assert np.array_equal(starts[row[start_at] :][:after], first)
            assert np.array_equal(weights[row[weight_at] :][: after * taps], of_each)
