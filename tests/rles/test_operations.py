"""Operations on runs against the same operations on pixels."""

from __future__ import annotations

import doctest
import importlib
import inspect

import numpy as np
import pycocotools.mask as coco
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import naive
from mtfast import MtfastError, RLEError
from mtfast import rles as operations
from mtfast.kernels.operations import erode, rotate
from mtfast.kernels.rle import coco_string, toggle_lists
from mtfast.ragged import offsets_of
from mtfast.rles import Rles, batch
from tables import make_table, random_masks, rles_of

SIDES = st.integers(1, 13)
SEEDS = st.integers(0, 2**32 - 1)
NS = st.integers(0, 4)

GUARD = -77


def encoded(pixels: np.ndarray) -> bytes:
    return coco.encode(np.asfortranarray(pixels, np.uint8))["counts"]


def check(rles: Rles, masks: list[np.ndarray]) -> None:
    """Expect what pycocotools makes of the pixels, to the byte."""
    assert rles.sizes() == [m.shape for m in masks]
    assert rles.texts() == [encoded(m) for m in masks]


def masks_of_sizes(rng: np.random.Generator, n: int) -> list[np.ndarray]:
    return [random_masks(rng, tuple(rng.integers(1, 14, 2)), 1)[0] for _ in range(n)]


@settings(deadline=None, max_examples=250)
@given(SIDES, SIDES, st.integers(1, 6), SEEDS)
def test_merge(height, width, n, seed):
    rng = np.random.default_rng(seed)
    masks = random_masks(rng, (height, width), n)
    rles = rles_of(masks, rng if n > 1 else None)
    check(operations.merge(rles), [np.bitwise_or.reduce(masks)])
    check(operations.merge(rles, intersect=True), [np.bitwise_and.reduce(masks)])


def test_merge_of_none_and_of_one():
    none = operations.merge(Rles.of([], []))
    assert (none.texts(), none.sizes()) == ([b""], [(0, 0)])
    assert coco.merge([]) == {"size": [0, 0], "counts": b""}
    odd = naive.text_of_counts([2, 0, 1, 3])
    assert operations.merge(Rles.of([odd], [(2, 3)]), 1).texts() == [odd]
    nothing = Rles.of([b"0", b"0"], [(0, 5)] * 2)
    assert operations.merge(nothing).texts() == operations.merge(nothing, True).texts() == [b"0"]


@settings(deadline=None, max_examples=250)
@given(st.lists(NS, max_size=4), SEEDS)
def test_union_areas(n_masks, seed):
    rng = np.random.default_rng(seed)
    groups = [random_masks(rng, tuple(rng.integers(1, 14, 2)), n) for n in n_masks]
    rles = rles_of([m for masks in groups for m in masks], rng)
    expected = [naive.area(np.bitwise_or.reduce(masks)) if masks else 0 for masks in groups]
    assert operations.union_areas(rles, offsets_of(n_masks)).tolist() == expected


@settings(deadline=None, max_examples=250)
@given(SIDES, SIDES, NS, st.sampled_from(["all", "first", "second"]), SEEDS)
def test_combine(height, width, n, single, seed):
    rng = np.random.default_rng(seed)
    first = random_masks(rng, (height, width), 1 if single == "first" else n)
    second = random_masks(rng, (height, width), 1 if single == "second" else n)
    a, b = rles_of(first, rng), rles_of(second, rng)
    pairs = [(first[k % len(first)], second[k % len(second)]) for k in range(n)]
    check(operations.combine(a, b, "or"), [p | q for p, q in pairs])
    check(operations.combine(a, b, "and"), [p & q for p, q in pairs])
    check(operations.minus(a, b), [p & (1 - q) for p, q in pairs])
    check(operations.xor(a, b), [p ^ q for p, q in pairs])


@settings(deadline=None, max_examples=250)
@given(NS, SEEDS, st.sampled_from([4, 8]))
def test_components(n, seed, connectivity):
    rng = np.random.default_rng(seed)
    masks = masks_of_sizes(rng, n)
    found = operations.components(rles_of(masks, rng), connectivity)
    parts = [naive.components(m, connectivity) for m in masks]
    assert found.offsets.tolist() == np.cumsum([0, *map(len, parts)]).tolist()
    check(found.rles, [part for of_mask in parts for part in of_mask])


@pytest.mark.parametrize(
    ("art", "n_4", "n_8"),
    [
        ("#.# .#. #.#", 5, 1),
        ("### #.# ###", 1, 1),
        # Runs from the end of one column to the start of the next.
        ("... ..# ##.", 2, 1),
        (".# .# #.", 2, 1),
        ("..# ... #..", 2, 2),
        (".## ### ##.", 1, 1),
        # One run of a height, with no two pixels side by side.
        (".# #.", 2, 1),
        # Corners at the edge of the frame are none.
        ("#.. ... .#.", 2, 2),
        (".#. ... #..", 2, 2),
        # A snake, whose pieces meet late.
        ("##### #...# #.#.# #.#.# #.###", 1, 1),
        ("#.#.# #.#.# #####", 1, 1),
    ],
)
def test_drawn_components(art, n_4, n_8):
    pixels = naive.mask(art)
    for turned in (pixels, pixels.T, pixels[::-1], pixels[:, ::-1]):
        rles = rles_of([turned])
        for connectivity, n in ((4, n_4), (8, n_8)):
            assert operations.components(rles, connectivity).rles.n == n
            assert len(naive.components(turned, connectivity)) == n


@settings(deadline=None, max_examples=250)
@given(NS, SEEDS, st.integers(0, 7), st.sampled_from([4, 8]), st.sampled_from([0, 1]))
def test_erode(n, seed, size, connectivity, border):
    rng = np.random.default_rng(seed)
    masks = masks_of_sizes(rng, n)
    # Masks that last longer than noise does.
    masks += [1 - m * (rng.random(m.shape) < 0.1) for m in masks]
    left = [naive.eroded(m, size, connectivity, border) for m in masks]
    rles = rles_of(masks, rng)
    check(operations.erode(rles, size, connectivity, border), left)
    if border == 0:
        lost = [m - e for m, e in zip(masks, left, strict=True)]
        check(operations.boundary(rles, size, connectivity=connectivity), lost)


@pytest.mark.parametrize(("connectivity", "border"), [(8.0, 1.0), (np.float32(8), np.True_)])
def test_numbers_of_another_type(connectivity, border):
    """Kernels take no 1.0 and no True of numpy's; people pass them."""
    rles = rles_of([np.ones((4, 5), bool)])
    assert operations.erode(rles, 1, connectivity, border).texts() == (
        operations.erode(rles, 1, 8, 1).texts()
    )
    assert operations.components(rles, connectivity)[0].texts() == rles.texts()


def test_a_width_for_each_mask(rng):
    masks = [np.ones((9, 12), np.uint8) for _ in range(5)]
    check(
        operations.erode(rles_of(masks), np.arange(5), border=1),
        [naive.eroded(m, k, 8, 1) for k, m in enumerate(masks)],
    )
    check(
        operations.boundary(rles_of(masks), list(range(5))),
        [m - naive.eroded(m, k, 8, 0) for k, m in enumerate(masks)],
    )


@pytest.mark.parametrize("ratio", [0, 0.02, 0.1, 0.3, 5])
def test_width_from_the_diagonal(ratio, rng):
    """As in the code of boundary IoU: ``max(1, int(round(ratio * np.sqrt(h ** 2 + w ** 2))))``."""
    masks = [random_masks(rng, shape, 1)[0] for shape in ((20, 30), (7, 9), (1, 40), (33, 2))]
    masks.append(np.ones((24, 32), np.uint8))
    widths = [max(1, round(ratio * np.sqrt(h**2 + w**2))) for h, w in (m.shape for m in masks)]
    lost = [m - naive.eroded(m, k, 8, 0) for k, m in zip(widths, masks, strict=True)]
    check(operations.boundary(rles_of(masks), ratio=ratio), lost)


def test_erosion_of_many_holes():
    """Where the runs multiply: a hole in every column and at every height."""
    pixels = np.ones((60, 61), np.uint8)
    pixels[np.arange(61) * 17 % 60, np.arange(61)] = 0
    for n in (1, 2, 3, 20):
        for border in (0, 1):
            check(
                operations.erode(rles_of([pixels]), n, 8, border),
                [naive.eroded(pixels, n, 8, border)],
            )
    check(operations.boundary(rles_of([pixels])), [pixels - naive.eroded(pixels, 1, 8, 0)])


@settings(deadline=None, max_examples=250)
@given(NS, SEEDS, st.data())
def test_crop(n, seed, data):
    rng = np.random.default_rng(seed)
    masks = masks_of_sizes(rng, n)
    height = min((m.shape[0] for m in masks), default=0)
    width = min((m.shape[1] for m in masks), default=0)
    y, x = data.draw(st.integers(0, height)), data.draw(st.integers(0, width))
    h, w = data.draw(st.integers(0, height - y)), data.draw(st.integers(0, width - x))
    if data.draw(st.booleans()):
        y, h = 0, height
    windows = [m[y : y + h, x : x + w] for m in masks]
    filled = [bool(window.any()) for window in windows]
    cut, nonempty = operations.crop(rles_of(masks, rng), y, x, h, w)
    check(cut, windows)
    assert nonempty.tolist() == filled
    cut, nonempty = operations.crop(rles_of(masks, rng), y, x, h, w, drop_empty=True)
    check(cut, [window for window in windows if window.any()])
    assert nonempty.tolist() == filled


@settings(deadline=None, max_examples=250)
@given(NS, SEEDS, st.tuples(*[st.integers(0, 3)] * 4), st.sampled_from([0, 1]))
def test_pad(n, seed, sides, value):
    rng = np.random.default_rng(seed)
    masks = masks_of_sizes(rng, n)
    top, bottom, left, right = sides
    expected = [np.pad(m, ((top, bottom), (left, right)), constant_values=value) for m in masks]
    check(operations.pad(rles_of(masks, rng), *sides, value), expected)
    only_sideways = [np.pad(m, ((0, 0), (left, right)), constant_values=value) for m in masks]
    check(operations.pad(rles_of(masks, rng), 0, 0, left, right, value), only_sideways)


@settings(deadline=None, max_examples=250)
@given(NS, SEEDS)
def test_flip_and_rot90(n, seed):
    rng = np.random.default_rng(seed)
    masks = masks_of_sizes(rng, n)
    rles = rles_of(masks, rng)
    check(operations.flip(rles, "horizontal"), [np.fliplr(m) for m in masks])
    check(operations.flip(rles, "vertical"), [np.flipud(m) for m in masks])
    for k in (-5, -1, 0, 1, 2, 3, 6):
        check(operations.rot90(rles, k), [np.rot90(m, k) for m in masks])


def test_turning_stripes():
    """Far more row runs than column runs, and the other way round."""
    stripes = np.zeros((40, 50), np.uint8)
    stripes[::2] = 1
    for pixels in (stripes, stripes.T, 1 - stripes, np.ones_like(stripes)):
        for k in (1, 3):
            check(operations.rot90(rles_of([pixels]), k), [np.rot90(pixels, k)])


@pytest.mark.parametrize("shape", [(0, 0), (0, 4), (4, 0), (1, 1), (1, 30), (30, 1)])
def test_thin_frames(shape, rng):
    masks = random_masks(rng, shape, 8) if 0 not in shape else [np.zeros(shape, np.uint8)] * 2
    rles = rles_of(masks)
    for border in (0, 1):
        for connectivity in (4, 8):
            for n in (0, 1, 3, 40):
                left = [naive.eroded(m, n, connectivity, border) for m in masks]
                check(operations.erode(rles, n, connectivity, border), left)
    for value in (0, 1):
        padded = [np.pad(m, ((1, 2), (3, 0)), constant_values=value) for m in masks]
        check(operations.pad(rles, 1, 2, 3, 0, value), padded)
    for k in range(4):
        check(operations.rot90(rles, k), [np.rot90(m, k) for m in masks])
    check(operations.flip(rles, "horizontal"), [np.fliplr(m) for m in masks])
    check(operations.flip(rles, "vertical"), [np.flipud(m) for m in masks])
    check(operations.merge(rles), [np.bitwise_or.reduce(masks)])
    parts = [naive.components(m, 8) for m in masks]
    check(operations.components(rles, 8).rles, [part for of_mask in parts for part in of_mask])
    check(operations.crop(rles, 0, 0, *shape)[0], masks)
    check(operations.crop(rles, *shape, 0, 0)[0], [m[:0, :0] for m in masks])


def test_no_masks():
    none = Rles.of([], [])
    assert operations.iou(none, none).shape == (0, 0)
    for rles in (
        operations.erode(none),
        operations.boundary(none, ratio=0.02),
        operations.crop(none, 0, 0, 3, 3)[0],
        operations.pad(none, 1, 1, 1, 1, 1),
        operations.flip(none, "vertical"),
        operations.rot90(none),
        operations.components(none).rles,
        operations.xor(none, none),
    ):
        assert (rles.n, rles.texts(), rles.sizes()) == (0, [], [])


def test_huge_frames():
    """The work grows with the runs, not with the pixels."""
    side = 2**20
    full = Rles.of([naive.text_of_counts([0, side * side])], [(side, side)])
    corner = [naive.text_of_counts([side * side - 1, 1])]
    cut, _ = operations.crop(full, 5, 6, side - 9, side - 8)
    assert cut.texts() == [naive.text_of_counts([0, (side - 9) * (side - 8)])]
    assert operations.flip(full, "vertical").texts() == full.texts()
    assert operations.flip(Rles.of(corner, [(side, side)]), "horizontal").texts() == [
        naive.text_of_counts([side - 1, 1, side * (side - 1)])
    ]
    for k in range(4):
        assert operations.rot90(full, k).texts() == full.texts()
    assert operations.components(full).rles.texts() == full.texts()
    for connectivity in (4, 8):
        assert operations.erode(full, 10**9, connectivity, border=1).texts() == full.texts()
    for n in (2**40, np.uint64(2**64 - 1)):
        assert operations.erode(full, n).texts() == [naive.text_of_counts([side * side])]
    assert operations.pad(full, 0, 0, 0, 0, 1).texts() == full.texts()
    frame = naive.text_of_counts([0, side])
    ring = operations.boundary(Rles.of([frame], [(1, side)]))
    assert ring.texts() == [frame]
    assert operations.iou(full, full).tolist() == [[1.0]]


def test_one_run_that_becomes_many():
    """More runs than the first buffer holds: one for each of very many columns."""
    shape = (3, 40_000)
    inside = np.zeros(shape, np.uint8)
    inside[1, 1:-1] = 1
    check(operations.erode(rles_of([np.ones(shape, np.uint8)])), [inside])


@pytest.mark.parametrize(
    ("ratio", "width"), [(0.001, 1), (0.09, 1), (0.1, 2), (0.11, 2), (0.16, 2), (0.17, 3)]
)
def test_ratios_of_the_diagonal_are_rounded(ratio, width):
    """As ``mask_to_boundary`` of boundary IoU does; the diagonal of 9 x 12 pixels is 15."""
    assert width == max(1, round(ratio * 15))
    full = rles_of([np.ones((9, 12), np.uint8)])
    found = operations.boundary(full, ratio=ratio)
    assert found.texts() == operations.boundary(full, width).texts()


@pytest.mark.parametrize("operation", [operations.erode, lambda r: operations.pad(r, 1, 0, 0, 0)])
def test_results_that_fit_nowhere(operation):
    """A single run that would become 2**38."""
    full = Rles.of([naive.text_of_counts([0, 3 * 2**38])], [(3, 2**38)])
    with pytest.raises(MtfastError, match="fit into memory"):
        operation(full)


def test_frames_beyond_the_limit():
    for size in ((2**21, 2**20), (2**41, 0), (0, 2**41), (2**32, 2**32), (-1, 4), (4, -1)):
        with pytest.raises(RLEError, match=r"rles\[1\]: a frame of"):
            operations.flip(Rles.of([b"1", b"0"], [(1, 1), size]), "vertical")
    full = Rles.of([naive.text_of_counts([2**40])], [(2**20, 2**20)])
    with pytest.raises(MtfastError, match="after padding"):
        operations.pad(full, 0, 0, 1, 0)


OPERATIONS = [
    operations.merge,
    lambda r: operations.xor(r, r),
    operations.components,
    operations.erode,
    operations.boundary,
    lambda r: operations.crop(r, 0, 0, 1, 1),
    lambda r: operations.pad(r, 1, 1, 1, 1),
    lambda r: operations.flip(r, "vertical"),
    operations.rot90,
    lambda r: operations.iou(r, r),
]


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (b"p", "a character outside"),
        (b"1P", "ends inside a number"),
        (b"P" * 12 + b"0", "more than 60 bits"),
        (b"6O", "negative length"),
        (b"1", "end before the frame does"),
        (b"=", "beyond the end of the frame"),
        (b"", "an empty RLE text"),
    ],
)
def test_malformed_texts(operation, text, reason):
    sound = naive.text_of_counts([1, 3, 8])
    rles = Rles.of([sound, text, sound], [(3, 4)] * 3)
    with pytest.raises(RLEError, match=rf"\[1\]: .*{reason}"):
        operation(rles)


@settings(deadline=None, max_examples=200)
@given(
    st.lists(
        st.tuples(
            st.one_of(st.binary(max_size=8), st.text("0123456789:PQo", max_size=6).map(str.encode)),
            st.integers(0, 4),
            st.integers(0, 4),
        ),
        max_size=3,
    )
)
def test_any_text_is_refused_or_sound(given_texts):
    rles = Rles.of([text for text, *_ in given_texts], [size for _, *size in given_texts])
    try:
        for operation in (operations.components, operations.erode, operations.rot90):
            operation(rles)
        operations.flip(operations.pad(rles, 1, 0, 2, 1, 1), "horizontal")
    except RLEError:
        return
    for text, height, width in given_texts:
        places = np.empty(len(text), np.int64)
        data = np.frombuffer(text, np.uint8)
        assert coco_string.decode_places(data, 0, len(text), height * width, places) >= 0


@settings(deadline=None, max_examples=250)
@given(SEEDS, st.integers(0, 6))
def test_buffers_of_the_stated_size(seed, n):
    rng = np.random.default_rng(seed)
    masks = masks_of_sizes(rng, n)
    rles = rles_of(masks, rng)
    places = np.full(rles.text.size + n + 1, GUARD)
    offsets = np.empty(n + 1, np.int64)
    longest = toggle_lists.decode_lists(*rles, 2**40, places[:-1], offsets)
    assert places[-1] == GUARD
    assert longest == np.diff(offsets).max(initial=0)
    for k, pixels in enumerate(masks):
        list_ = places[offsets[k] : offsets[k + 1]].tolist()
        flat = np.concatenate([[0], pixels.flatten("F"), [0]])
        assert list_ == [*np.flatnonzero(np.diff(flat)).tolist(), toggle_lists.SENTINEL]
    text = np.full(coco_string.MAX_CHARACTERS * int(offsets[-1]) + 1, 7, np.uint8)
    n_bytes = toggle_lists.encode_lists(
        places[:-1], offsets, rles.heights, rles.widths, text[:-1], np.empty(n + 1, np.int64)
    )
    assert text[-1] == 7
    assert text[:n_bytes].tobytes() == b"".join(encoded(m) for m in masks)


@pytest.mark.parametrize("connectivity", [4, 8])
@pytest.mark.parametrize("outside", [0, 1])
@pytest.mark.parametrize("lost", [0, 1])
def test_erosion_in_buffers_of_any_size(connectivity, outside, lost, rng):
    """Right, or refused: never a value after the buffers."""
    masks = [np.ones((6, 7), np.uint8), *random_masks(rng, (6, 7), 3), np.ones((7, 6), np.uint8)]
    masks[-1][np.arange(6), np.arange(6)] = 0
    lists = batch.toggles_of(rles_of(masks), "rles")
    sizes = np.array([1, 1, 2, 0, 1])
    expected = [
        naive.eroded(m, n, connectivity, outside) for m, n in zip(masks, sizes, strict=True)
    ]
    if lost:
        expected = [m & (1 - left) for m, left in zip(masks, expected, strict=True)]
    refused = set()
    for part in [*range(60), 400]:
        for n_out in range(0, 120, 1 if part == 400 else 119):
            scratch = np.full(erode.N_SCRATCH * part + 1, GUARD)
            out, offsets = np.full(n_out + 1, GUARD), np.empty(6, np.int64)
            arguments = (sizes, connectivity, outside, lost, scratch[:-1], out[:-1], offsets)
            n = erode.erosions(*lists[:4], *arguments)
            assert scratch[-1] == out[-1] == GUARD
            refused.add(n < 0)
            if n >= 0:
                made = batch.rles_of_toggles(out[:n], offsets, lists.heights, lists.widths)
                check(made, expected)
            else:
                assert n == coco_string.OUTPUT_FULL
    assert refused == {False, True}


@pytest.mark.parametrize("left", [0, 1])
def test_turning_in_buffers_of_any_size(left, rng):
    masks = random_masks(rng, (6, 7), 5)
    lists = batch.toggles_of(rles_of(masks), "rles")
    expected = [np.rot90(m, 1 if left else 3) for m in masks]
    refused = set()
    for most in range(30):
        for n_out in range(0, 160, 3):
            rows = np.full((4, most + 1), GUARD)
            height, out = np.full((3, 8), GUARD), np.full(n_out + 1, GUARD)
            scratch = (*height[:, :7], *rows[:, :most])
            offsets = np.empty(6, np.int64)
            n = rotate.quarter_turns(*lists[:4], left, *scratch, out[:-1], offsets)
            assert out[-1] == GUARD
            assert (height[:, -1] == GUARD).all()
            assert (rows[:, -1] == GUARD).all()
            refused.add(n < 0)
            if n >= 0:
                made = batch.rles_of_toggles(out[:n], offsets, lists.widths, lists.heights)
                check(made, expected)
    assert refused == {False, True}


def test_instances_of_a_table(rng):
    images = [random_masks(rng, (9, 14), n) for n in (2, 0, 3)]
    table = make_table(images, (9, 14))
    masks = [m for image in images for m in image]
    check(operations.flip(Rles.of_table(table), "horizontal"), [m[:, ::-1] for m in masks])
    check(operations.rot90(Rles.of_table(table.image(2))), [np.rot90(m) for m in images[2]])
    assert Rles.of_table(table.image(1)).n == 0


def test_text_that_begins_elsewhere():
    rles = Rles.of([b"o", b"132", b"231", b"o"], [(1, 6)] * 4)
    part = rles._replace(
        offsets=rles.offsets[1:4], heights=rles.heights[:2], widths=rles.widths[:2]
    )
    assert operations.merge(part).texts() == [b"141"]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"offsets": np.array([0, 3])}, "2 heights, 2 widths and 2 offsets"),
        ({"offsets": np.array([0, 3, 9])}, "from 0 to 9"),
        ({"offsets": np.array([-1, 3, 6])}, "from -1 to 6"),
        ({"offsets": np.array([6, 3, 0])}, "from 6 to 0"),
        ({"offsets": np.array([0, 7, 6])}, r"rles\[0\]: a text from byte 0 to 7"),
        ({"offsets": np.array([4, 3, 6])}, r"rles\[0\]: a text from byte 4 to 3"),
        ({"offsets": np.array([0.0, 3, 6])}, "float64"),
        ({"heights": np.ones((2, 1), np.int64)}, "2-dimensional"),
        ({"widths": [6, 6]}, "list"),
        ({"text": np.zeros(6, np.int8)}, "int8"),
    ],
)
def test_batches_that_do_not_fit_together(change, match):
    rles = Rles.of([b"132", b"231"], [(1, 6)] * 2)._replace(**change)
    with pytest.raises(MtfastError, match=match):
        operations.merge(rles)


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda r: operations.crop(r, 0, 0, 3, 5), r"a window of 3 x 5 .* rles\[0\], 3 x 4 pixels"),
        (lambda r: operations.crop(r, 1, 0, 3, 4), "from row 1, column 0"),
        (lambda r: operations.crop(r, -1, 0, 1, 1), "y is -1"),
        (lambda r: operations.crop(r, 0, 0.5, 1, 1), "x is 0.5"),
        (lambda r: operations.crop(r, 2**41, 0, 1, 1), "y is 2199"),
        (lambda r: operations.pad(r, 0, -1, 0, 0), "bottom is -1"),
        (lambda r: operations.pad(r, 0, 0, 0, 0, 2), "value is 2"),
        (lambda r: operations.flip(r, "sideways"), "axis is 'sideways'"),
        (lambda r: operations.rot90(r, 0.5), "k is 0.5"),
        (lambda r: operations.components(r, 6), "connectivity is 6"),
        (lambda r: operations.erode(r, -1), "a width of -1"),
        (lambda r: operations.erode(r, 1.5), "a width of 1.5"),
        (lambda r: operations.erode(r, [1, 2]), "one for each of the 1 masks"),
        (lambda r: operations.erode(r, border=2), "border is 2"),
        (lambda r: operations.boundary(r, ratio=-1), "ratio -1"),
        (lambda r: operations.boundary(r, ratio="0.02"), "ratio '0.02'; expected a number"),
        (lambda r: operations.boundary(r, ratio=np.nan), "ratio nan"),
        (lambda r: operations.combine(r, r, "nor"), "operation is 'nor'"),
        (
            lambda r: operations.minus(Rles.of([b"1"] * 2, [(1, 1)] * 2), Rles.of([], [])),
            "2 masks and 0 masks",
        ),
        (
            lambda r: operations.minus(r, Rles.of([b"<"], [(4, 3)])),
            r"first\[0\] has 3 x 4 pixels and second\[0\] 4 x 3",
        ),
        (
            lambda r: operations.merge(Rles.of([b"<", b"<", b"<"], [(3, 4), (3, 4), (4, 3)])),
            r"rles\[0\] has 3 x 4 pixels and rles\[2\] 4 x 3",
        ),
        (lambda r: Rles.of([b"<"], [(3.0, 4)]), "a pair of integers for each"),
        (lambda r: Rles.of([b"<"], []), "1 texts"),
        (lambda r: Rles.of([b"1", b"1"], [(1, 1, 1, 1)]), "2 texts"),
        (
            lambda r: operations.minus(r, Rles.of([b"9"], [(3, 3)])),
            r"first\[0\] has 3 x 4 pixels and second\[0\] 3 x 3",
        ),
        (lambda r: Rles.of([b"<"], [(2**70, 4)]), "a pair of integers for each"),
    ],
)
def test_bad_arguments(call, match):
    with pytest.raises(MtfastError, match=match):
        call(Rles.of([naive.text_of_counts([12])], [(3, 4)]))


MODULES = ("batch", "boolean", "label_map", "measures", "morphology", "transforms")


@pytest.mark.parametrize("module", MODULES)
def test_examples(module):
    found = importlib.import_module(f"mtfast.rles.{module}")
    results = doctest.testmod(found)
    assert results.failed == 0
    functions = [f for f in vars(found).values() if inspect.isfunction(f)]
    public = [
        f for f in functions if f.__module__ == found.__name__ and f.__name__ in operations.__all__
    ]
    assert results.attempted >= len([f for f in public if f.__name__ not in ("minus", "xor")])


def test_allocation_is_refused_not_overcommitted():
    with pytest.raises(MtfastError, match="fit into memory"):
        batch.allocate(batch.MAX_BYTES)
