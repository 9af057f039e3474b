"""Views: what their fields promise, and how they are distributed over many seeds."""

from __future__ import annotations

from itertools import product

import numpy as np
import PIL
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import mtfast.loaders
import mtfast.loaders.windows
import naive
from mtfast.errors import MtfastError
from mtfast.loaders.views import Augment, View, choose_view
from tables import make_table, random_masks

PLAIN = {"mirror": False, "turn": False}
# Before version 13 Pillow resizes rows first even where that is more work.
OLD_PILLOW = int(PIL.__version__.split(".")[0]) < 13


def views(table, crop, augment, n):
    return [choose_view(table, crop, augment, (seed,)) for seed in range(n)]


def test_both_import_paths_of_augment():
    assert mtfast.loaders.Augment is mtfast.loaders.windows.Augment is Augment


def test_orientations_of_boxes():
    mask = np.zeros((5, 8), np.uint8)
    mask[1:3, 2:7] = 1
    for mirrored, turns in product((False, True), range(4)):
        view = View(0, 0, 5, 8, 5, 8, mirrored, turns)
        rows, columns = np.nonzero(view.orient(mask))
        (box,) = view.apply_to_boxes(np.array([[2, 1, 7, 3]], np.float32))
        assert box.tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


def test_resizing_takes_the_nearest_label():
    """A pixel of the result has its centre in the pixel that it is taken from."""
    labels = np.arange(6 * 9).reshape(6, 9)
    found = View(0, 0, 6, 9, 4, 3).apply_to_labels(labels)
    for row, column in product(range(4), range(3)):
        y, x = int((row + 0.5) * 6 / 4), int((column + 0.5) * 9 / 3)
        assert found[row, column] == labels[y, x]


def test_resizing_averages_the_pixels_of_an_image():
    image = np.zeros((8, 12, 3), np.uint8)
    image[::2] = 200
    shrunk = View(0, 0, 8, 12, 2, 3).apply_to_image(image)
    assert shrunk.shape == (2, 3, 3)
    assert np.abs(shrunk.astype(int) - 100).max() < 20


SIZES = st.one_of(
    st.tuples(*4 * [st.integers(1, 6)]),
    st.tuples(*4 * [st.integers(1, 70)]),
    # One side, or none, is resized.
    st.tuples(*3 * [st.integers(1, 70)]).map(lambda s: (s[0], s[1], s[0], s[2])),
    st.tuples(*3 * [st.integers(1, 70)]).map(lambda s: (s[0], s[1], s[2], s[1])),
    st.tuples(*2 * [st.integers(1, 70)]).map(lambda s: (*s, *s)),
)
VIEWS = st.builds(
    lambda size, mirrored, turns: View(0, 0, *size, mirrored, turns),
    SIZES,
    st.booleans(),
    st.integers(0, 3),
)


@settings(deadline=None, max_examples=200)
@given(VIEWS, st.integers(0, 99))
def test_images_are_resized_as_the_naive_twin_does(view, seed):
    image = np.random.default_rng(seed).integers(0, 256, (view.h, view.w, 3), np.uint8)
    expected = view.orient(naive.resized(image, view.height, view.width))
    assert view.shape == expected.shape[:2]
    assert np.array_equal(view.apply_to_image(image), expected)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("longest", [3, 20, 300])
def test_images_are_resized_as_pillow_does(longest, seed):
    rng = np.random.default_rng(seed)
    for n in range(50):
        sizes = rng.integers(1, longest + 1, 4)
        # As windows of photographs: the two sides change by nearly one factor.
        if n % 2:
            sizes[2:] = np.maximum(sizes[:2] * rng.uniform(0.5, 2) + rng.integers(0, 2, 2), 1)
        h, w, height, width = sizes.tolist()
        if OLD_PILLOW and h > height and h - height > 2 * (w - width):
            continue
        image = rng.integers(0, 256, (h, w, 3), np.uint8)
        view = View(0, 0, h, w, height, width, bool(n % 2), n // 2 % 4)
        expected = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
        assert np.array_equal(view.apply_to_image(image), view.orient(np.asarray(expected))), view


def test_extreme_pixels_stay_in_range():
    """Weights are rounded, so their sum may be above 1."""
    for value, h, height in product((0, 255), range(1, 60, 7), range(1, 60, 5)):
        image = np.full((h, 2 * h, 3), value, np.uint8)
        assert (View(0, 0, h, 2 * h, height, height).apply_to_image(image) == value).all()


@settings(deadline=None, max_examples=200)
@given(VIEWS, st.sampled_from([bool, np.uint8, np.uint16, np.int32, np.float64]), st.data())
def test_labels_are_resized_to_the_nearest(view, dtype, data):
    others = data.draw(st.sampled_from([(), (0,), (1,), (3,), (2, 2)]))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    labels = rng.integers(0, 40000, (*others, view.h, view.w)).astype(dtype)
    rows = (2 * np.arange(view.height) + 1) * view.h // (2 * view.height)
    columns = (2 * np.arange(view.width) + 1) * view.w // (2 * view.width)
    expected = view.orient(labels[..., rows[:, None], columns], len(others))
    found = view.apply_to_labels(labels)
    assert found.dtype == labels.dtype
    assert found.flags.c_contiguous
    assert np.array_equal(found, expected)


@pytest.mark.parametrize(
    "view",
    [
        View(0, 0, 40, 50, 40, 50),
        View(0, 0, 40, 50, 40, 50, True, 1),
        View(0, 0, 40, 50, 36, 30),
        View(0, 0, 40, 50, 36, 70, True, 3),
    ],
)
def test_results_are_written_into_a_buffer(view):
    rng = np.random.default_rng(0)
    # Neither is contiguous, as a window of a larger frame.
    image = rng.integers(0, 256, (45, 60, 3), np.uint8)[2:42, 3:53]
    labels = rng.integers(0, 2, (2, 45, 60)).astype(bool)[:, 2:42, 3:53]
    for apply, pixels in ((view.apply_to_image, image), (view.apply_to_labels, labels)):
        expected = apply(pixels)
        buffer = np.full(expected.nbytes + 64, 7, np.uint8)
        out = buffer[32:-32].view(expected.dtype).reshape(expected.shape)
        assert apply(pixels, out=out) is out
        assert np.array_equal(out, expected)
        assert (buffer[:32] == 7).all()
        assert (buffer[-32:] == 7).all()
        out.flags.writeable = False
        with pytest.raises(MtfastError, match="read-only"):
            apply(pixels, out=out)
        with pytest.raises(MtfastError, match="expected .* in C order"):
            apply(pixels, out=np.empty((*expected.shape, 1), expected.dtype))


def test_pixels_of_another_window_are_refused():
    view = View(0, 0, 40, 50, 36, 30)
    with pytest.raises(MtfastError, match="50 x 40 pixels for a view of 40 x 50"):
        view.apply_to_image(np.zeros((50, 40, 3), np.uint8))
    with pytest.raises(MtfastError, match="39 x 50 pixels for a view of 40 x 50"):
        view.apply_to_labels(np.zeros((1, 39, 50), bool))
    for wrong in (np.zeros((40, 50), np.uint8), np.zeros((40, 50, 3), np.int16)):
        with pytest.raises(MtfastError, match="expected three channels of uint8"):
            view.apply_to_image(wrong)


@settings(deadline=None, max_examples=60)
@given(
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.floats(0.1, 4),
    st.integers(0, 99),
)
def test_views_stay_in_the_image(frame, crop, low, seed):
    table = make_table([random_masks(np.random.default_rng(seed), frame, 3)], frame)
    augment = Augment(near=0.5, scale=(low, 2 * low))
    view = choose_view(table, crop, augment, (seed, 0, 0))
    wanted = crop[::-1] if view.turns % 2 else crop
    sides = zip(wanted, frame, (view.y, view.x), (view.h, view.w), strict=True)
    for n, side, start, length in sides:
        if n <= side:
            assert 0 <= start <= start + length <= side
        else:
            # Of a side that is too short all is shown, unless things appear larger.
            assert start <= 0 <= side <= start + length or 0 <= start <= start + length <= side
    assert min(view.h, view.w) >= 1
    shape = (view.height, view.width)[:: -1 if view.turns % 2 else 1]
    assert shape == crop


@pytest.mark.parametrize(
    ("frame", "crop", "turns"),
    [
        ((48, 64), (48, 64), {0, 2}),
        ((48, 64), None, {0, 2}),
        ((48, 64), (40, 60), {0, 2}),
        ((48, 64), (40, 48), {0, 1, 2, 3}),
        ((48, 64), (64, 40), {1, 3}),
        ((48, 48), None, {0, 1, 2, 3}),
    ],
)
def test_quarter_turns_only_where_they_fit(frame, crop, turns):
    augment = Augment(scale=(0.5, 2))
    found = views(make_table([[]], frame), crop, augment, 60)
    assert {view.turns for view in found} == turns
    shapes = {(v.height, v.width)[:: -1 if v.turns % 2 else 1] for v in found}
    assert shapes == {crop or frame}


def test_without_augmentation_it_is_the_middle():
    table = make_table([[]], (11, 20))
    assert choose_view(table, (5, 8), None, (0,)) == (3, 6, 5, 8, 5, 8, False, 0)
    assert choose_view(table, None, None, (0,)) == (0, 0, 11, 20, 11, 20, False, 0)


def test_windows_are_anywhere():
    found = views(make_table([[]], (20, 30)), (16, 16), Augment(**PLAIN), 600)
    for starts, n in ((([v.y for v in found]), 5), ([v.x for v in found], 15)):
        counts = np.bincount(starts, minlength=n)
        assert len(counts) == n
        assert counts.min() > 600 / n / 2


def test_windows_near_instances():
    mask = np.zeros((200, 300), np.uint8)
    mask[150:154, 10:14] = 1
    table = make_table([[mask, np.zeros_like(mask)]], mask.shape)
    for view in views(table, (32, 32), Augment(near=1), 50):
        assert view.y <= 152 < view.y + view.h
        assert view.x <= 12 < view.x + view.w
    empty = make_table([[]], mask.shape)
    assert choose_view(empty, (32, 32), Augment(near=1), (0,)).h == 32


def test_the_centre_of_an_instance_is_anywhere_in_its_windows():
    mask = np.zeros((200, 300), np.uint8)
    mask[90:111, 140:161] = 1
    found = views(make_table([[mask]], mask.shape), (16, 32), Augment(near=1, **PLAIN), 900)
    for offsets, n in (([100 - v.y for v in found], 16), ([150 - v.x for v in found], 32)):
        counts = np.bincount(offsets, minlength=n)
        assert len(counts) == n
        assert counts.min() > 900 / n / 3


def test_every_instance_is_chosen_as_often():
    masks = np.zeros((4, 100, 100), np.uint8)
    corners = [(5, 5), (5, 95), (95, 5)]
    for mask, (y, x) in zip(masks, corners, strict=False):
        mask[y, x] = 1
    table = make_table([list(masks)], (100, 100))
    found = views(table, (20, 20), Augment(near=1, **PLAIN), 600)
    nearest = [(v.y > 40, v.x > 40) for v in found]
    assert set(nearest) == {(y > 40, x > 40) for y, x in corners}
    assert all(140 < nearest.count(n) < 260 for n in set(nearest))


def test_the_share_of_windows_near_instances():
    mask = np.zeros((400, 400), np.uint8)
    mask[300, 300] = 1
    found = views(make_table([[mask]], mask.shape), (10, 10), Augment(near=0.25, **PLAIN), 800)
    near = sum(v.y <= 300 < v.y + 10 and v.x <= 300 < v.x + 10 for v in found)
    assert 150 < near < 250


def test_factors_are_as_likely_as_their_inverse():
    table = make_table([[]], (1000, 1000))
    found = views(table, (100, 100), Augment(scale=(0.25, 4), **PLAIN), 600)
    factors = np.log([100 / v.h for v in found])
    assert abs(factors.mean()) < 0.12
    assert factors.std() == pytest.approx(2 * np.log(4) / 12**0.5, rel=0.08)
    assert factors.min() == pytest.approx(-np.log(4), abs=0.05)
    assert factors.max() == pytest.approx(np.log(4), abs=0.05)


def test_every_choice_has_its_own_number():
    """Switching one augmentation off moves nothing else."""
    table = make_table([[]], (64, 64))
    for seed in range(20):
        both = choose_view(table, (16, 16), Augment(), (seed,))
        plain = choose_view(table, (16, 16), Augment(**PLAIN), (seed,))
        assert both[:6] == plain[:6]
    upright = views(table, (16, 16), Augment(turn=False), 40)
    assert {(v.mirrored, v.turns) for v in upright} == {(False, 0), (True, 0)}
    unmirrored = views(table, (16, 16), Augment(mirror=False), 40)
    assert {(v.mirrored, v.turns) for v in unmirrored} == {(False, n) for n in range(4)}
    layouts = [(v.mirrored, v.turns) for v in views(table, (16, 16), Augment(), 400)]
    assert all(layouts.count(layout) > 25 for layout in set(layouts))
    assert len(set(layouts)) == 8


def test_views_of_a_seed_stay_the_same():
    """Golden, from the first version: a checkpoint resumes with the views that it had."""
    mask = np.zeros((60, 80), np.uint8)
    mask[10:20, 50:60] = 1
    table = make_table([[mask]], mask.shape)
    augment = Augment(near=0.5, scale=(0.8, 1.25))
    assert [tuple(choose_view(table, (24, 32), augment, (5, 1, k))) for k in range(4)] == [
        (26, 21, 27, 36, 24, 32, False, 2),
        (0, 41, 20, 27, 24, 32, False, 2),
        (30, 60, 26, 20, 32, 24, False, 3),
        (8, 39, 36, 27, 32, 24, True, 1),
    ]


@pytest.mark.parametrize(
    "bad",
    [
        {"near": 2},
        {"near": -0.1},
        {"near": float("nan")},
        {"near": "0.5"},
        {"near": None},
        {"scale": (0, 1)},
        {"scale": (2, 1)},
        {"scale": (1, float("inf"))},
        {"scale": (float("nan"), 1)},
        {"scale": 1.5},
        {"scale": (1, 1, 2)},
        {"scale": ("1", "2")},
        {"scale": None},
        {"mirror": 0.5},
        {"turn": 4},
        {"turn": "no"},
    ],
)
def test_bad_augmentations(bad):
    (name,) = bad
    with pytest.raises(MtfastError, match=f"{name} is .*; expected .*; correct it"):
        Augment(**bad)


def test_numbers_of_numpy_are_welcome():
    augment = Augment(np.float32(0.5), np.True_, np.False_, np.array([0.5, 2]))
    table = make_table([[]], (64, 64))
    plain = Augment(0.5, True, False, (0.5, 2))
    assert views(table, (16, 16), augment, 9) == views(table, (16, 16), plain, 9)
    assert augment == plain
    # Of other types, choose_view would round elsewhere.
    assert {type(number) for number in (augment.near, *augment.scale)} == {float}
