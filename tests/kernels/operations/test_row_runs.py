"""Row-major runs of the semantic mask against painting it and looking at its rows."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import naive
from mtfast.kernels.operations.row_runs import lay_run, row_runs, runs_of_images, scratch_size
from mtfast.kernels.rle import coco_string
from tables import make_table, random_masks

GUARD = -77


def runs_of_texts(
    texts: list[bytes], values: list[int], height: int, width: int, capacity: int = 2000
) -> int | list[tuple[int, int, int]]:
    """Call the kernel with buffers of exactly the stated size; return a status or the runs."""
    rle = np.frombuffer(b"".join(texts), np.uint8)
    offsets = np.cumsum([0, *(len(text) for text in texts)])
    size = scratch_size(max(map(len, texts), default=0), height, capacity)
    scratch = np.full(size + 1, GUARD)
    out = np.full((3, 2 * capacity + 1), GUARD)
    n = row_runs(
        rle,
        offsets,
        np.array(values, np.int64),
        0,
        len(texts),
        height,
        width,
        scratch[:size],
        *(column[:-1] for column in out),
    )
    assert scratch[-1] == GUARD
    assert (out[:, -1] == GUARD).all()
    if n < 0:
        assert (out == GUARD).all()
        return n
    return list(zip(*out[:, :n].tolist(), strict=True))


def joined(runs: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """Leave out zeros and join neighbours of one value in one row; expect ascending runs."""
    assert all(start < stop for start, stop, _ in runs)
    assert all(a[1] <= b[0] for a, b in pairwise(runs))
    out: list[tuple[int, int, int]] = []
    for start, stop, value in runs:
        if value and out and out[-1][1:] == (start, value):
            start = out.pop()[0]
        if value:
            out.append((start, stop, value))
    return out


def split_at_rows(runs: list[tuple[int, int, int]], width: int) -> list[tuple[int, int, int]]:
    """Cut runs that :func:`joined` has joined over the end of a row."""
    out = []
    for start, stop, value in runs:
        while start < stop:
            end = min(stop, (start // width + 1) * width)
            out.append((start, end, value))
            start = end
    return out


def check(masks: list[np.ndarray], values: list[int], shape: tuple[int, int]) -> None:
    runs = runs_of_texts([naive.text_of_mask(m) for m in masks], values, *shape)
    assert all(start // shape[1] == (stop - 1) // shape[1] for start, stop, _ in runs)
    expected = naive.row_runs(naive.semantic(masks, values, shape))
    assert split_at_rows(joined(runs), shape[1]) == expected


def test_drawn_masks():
    first = naive.mask("""
        .....
        .###.
        .##..
        ..#..
    """)
    second = naive.mask("""
        ....#
        ..#..
        .....
        ..###
    """)
    runs = runs_of_texts([naive.text_of_mask(first), naive.text_of_mask(second)], [1, 2], 4, 5)
    assert runs == [(4, 5, 2), (6, 7, 1), (7, 8, 2), (8, 9, 1), (11, 13, 1), (17, 20, 2)]


@settings(deadline=None)
@given(
    st.tuples(st.integers(1, 24), st.integers(1, 24)),
    st.lists(st.integers(0, 3), max_size=6),
    st.integers(0, 2**32),
)
def test_runs_are_those_of_the_painted_frame(shape, values, seed):
    check(random_masks(np.random.default_rng(seed), shape, len(values)), values, shape)


@settings(deadline=None)
@given(
    st.tuples(st.integers(1, 9), st.integers(1, 9)).flatmap(
        lambda shape: st.lists(arrays(np.uint8, shape, elements=st.integers(0, 1)), max_size=4)
    )
)
def test_noise(masks):
    if masks:
        check(masks, list(range(1, len(masks) + 1)), masks[0].shape)


@pytest.mark.parametrize("shape", [(1, 60), (60, 1), (1, 1), (2, 31)])
def test_thin_frames(shape, rng):
    for _ in range(20):
        check(random_masks(rng, shape, 4), [1, 2, 0, 3], shape)


@settings(deadline=None)
@given(st.lists(st.integers(0, 3 * 400), min_size=2, max_size=12), st.integers(1, 9))
def test_wide_runs(places, height):
    """They begin, end and meet at any place of the strips of 64 columns, and cover many."""
    width = 1200 // height
    places = sorted(place for place in places if place < height * width)
    counts = np.diff([0, *places, height * width]).tolist()
    runs = runs_of_texts([naive.text_of_counts(counts)], [5], height, width)
    mask = naive.mask_of_counts(counts, height, width)
    expected = naive.row_runs(naive.semantic([mask], [5], (height, width)))
    assert split_at_rows(joined(runs), width) == expected


@pytest.mark.parametrize("start", [0, 1, 190, 192, 195])
@pytest.mark.parametrize("stop", [575, 576, 577, 3 * 256, 3 * 300])
@pytest.mark.parametrize("more", [0, 1, 4])
def test_runs_over_whole_strips(start, stop, more):
    """From places at and beside the edges of strips of three rows, and a second run after it."""
    counts = [start, stop - start, more, 1, 3 * 302 - stop - more - 1]
    check([naive.mask_of_counts(counts, 3, 302)], [5], (3, 302))


@settings(deadline=None)
@given(st.data())
def test_counts_of_zero(data):
    """Runs of no length, and counts that end with or without background."""
    height, width = data.draw(st.integers(1, 8)), data.draw(st.integers(1, 8))
    cuts = data.draw(st.lists(st.integers(0, height * width), max_size=12))
    places = sorted(cuts + data.draw(st.sampled_from([[], cuts])))
    counts = np.diff([0, *places, height * width]).tolist()
    runs = runs_of_texts([naive.text_of_counts(counts)], [5], height, width)
    mask = naive.mask_of_counts(counts, height, width)
    expected = naive.row_runs(naive.semantic([mask], [5], (height, width)))
    assert split_at_rows(joined(runs), width) == expected


def test_a_full_frame_has_one_run_a_row():
    assert runs_of_texts([naive.text_of_counts([0, 12])], [3], 3, 4) == [
        (0, 4, 3),
        (4, 8, 3),
        (8, 12, 3),
    ]


@pytest.mark.parametrize("size", [(0, 0), (0, 5), (5, 0)])
def test_frames_of_no_pixels(size):
    for counts in ([0], [0, 0], [0, 0, 0]):
        assert runs_of_texts([naive.text_of_counts(counts)], [1], *size) == []


def test_no_instances():
    assert runs_of_texts([], [], 7, 9) == []


def test_zero_erases():
    assert runs_of_texts([naive.text_of_counts([0, 6]), b"222"], [1, 0], 1, 6) == [
        (0, 2, 1),
        (2, 4, 0),
        (4, 6, 1),
    ]


def test_wide_frames():
    """Columns beyond 2**32, which no mask of such a width needs a frame for."""
    width = 2**38
    counts = [3 * (width - 2) + 1, 4, 1]
    assert runs_of_texts([naive.text_of_counts(counts)], [9], 3, width) == [
        (width - 1, width, 9),
        (2 * width - 2, 2 * width, 9),
        (3 * width - 2, 3 * width - 1, 9),
    ]
    whole = naive.text_of_counts([0, 2**40])
    assert runs_of_texts([whole, whole], [1, 2], 1, 2**40) == [(0, 2**40, 2)]


def test_tall_frames():
    height = 2**17 + 3
    counts = [height - 1, 2, height - 1]
    assert runs_of_texts([naive.text_of_counts(counts)], [9], height, 2) == [
        (1, 2, 9),
        (2 * height - 2, 2 * height - 1, 9),
    ]


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (b"p", coco_string.BAD_CHARACTER),
        (b"1P", coco_string.TRUNCATED),
        (b"P" * 12 + b"0", coco_string.OVERLONG),
        (b"6O", coco_string.NEGATIVE_RUN),
        (b"", coco_string.TOO_SHORT),
        (b"111111O", coco_string.TOO_SHORT),
        (b"=", coco_string.TOO_LONG),
    ],
)
def test_malformed_texts(text, status):
    sound = naive.text_of_counts([1, 3, 8])
    assert runs_of_texts([sound, text, sound], [1, 2, 3], 3, 4) == status


@settings(deadline=None)
@given(st.binary(max_size=12), st.integers(0, 9), st.integers(0, 9))
def test_any_text_stays_inside_the_buffers(text, height, width):
    runs_of_texts([text], [1], height, width, capacity=4)


def test_capacity_for_exactly_as_many_runs():
    """Also where overlaps cut as many runs in two as possible."""
    texts = [naive.text_of_counts([0, 21])]
    texts += [naive.text_of_counts([k, 1, 20 - k]) for k in range(1, 20, 2)]
    values = list(range(1, 12))
    assert len(runs_of_texts(texts, values, 1, 21, capacity=11)) == 21
    assert runs_of_texts(texts, values, 1, 21, capacity=10) == coco_string.OUTPUT_FULL
    tall = naive.text_of_counts([0, 6])
    assert len(runs_of_texts([tall], [1], 3, 2, capacity=3)) == 3
    assert runs_of_texts([tall], [1], 3, 2, capacity=2) == coco_string.OUTPUT_FULL
    assert runs_of_texts([naive.text_of_counts([6])], [1], 3, 2, capacity=0) == []


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 29), st.integers(1, 30)), max_size=12))
def test_laying_runs_is_painting_a_row(laid):
    line = np.zeros((1, 40), np.int64)
    columns = np.full((3, 2 * len(laid) + 2), GUARD)
    n = 0
    for value, (start, length) in enumerate(laid, 1):
        stop = min(start + length, 40)
        n = lay_run(start, stop, value, *columns[:, 1:], n)
        line[0, start:stop] = value
        runs = list(zip(*columns[:, 1 : n + 1].tolist(), strict=True))
        assert joined(runs) == naive.row_runs(line)
        assert n <= 2 * value - 1
    assert (columns[:, [0, -1]] == GUARD).all()


class Batch:
    """A table with the buffers of :func:`runs_of_images`, for one image and ``spare`` runs."""

    def __init__(self, table, capacity, spare):
        self.table, self.capacity = table, capacity
        self.size = int(table.heights[0]), int(table.widths[0])
        longest = table.scratch().size
        self.scratch = np.zeros(scratch_size(longest, self.size[0], capacity), np.int64)
        self.runs = np.zeros((3, 2 * capacity + spare), np.int64)
        self.ends = np.zeros(table.n_images, np.int64)

    def read(self, first, category_ids=None, rle=None):
        table = self.table
        n = runs_of_images(
            table.rle if rle is None else rle,
            table.rle_offsets,
            table.image_offsets,
            table.category_ids if category_ids is None else np.array(category_ids),
            first,
            *self.size,
            self.capacity,
            self.scratch,
            self.runs.reshape(-1),
            self.ends,
        )
        runs = [tuple(run) for run in self.runs.T.tolist()]
        return [runs[a:b] for a, b in pairwise([0, *self.ends[:n].tolist()])]


def painted(runs, shape):
    frame = np.zeros(shape[0] * shape[1], np.int64)
    for start, stop, value in runs:
        frame[start:stop] = value
    return frame.reshape(shape)


def test_many_images_in_one_call(rng):
    shape = (19, 27)
    masks = [random_masks(rng, shape, n) for n in (2, 0, 5, 1, 3)]
    table = make_table(masks, shape)
    found = Batch(table, 4000, 1 << 16).read(0)
    assert len(found) == 5
    for runs, image, drawn in zip(found, map(table.image, range(len(masks))), masks, strict=True):
        expected = naive.semantic(drawn, image.category_ids.tolist(), shape)
        np.testing.assert_array_equal(painted(runs, shape), expected)
    # One image at a time, as more do not fit.
    batch = Batch(table, 4000, 0)
    one_by_one = [batch.read(first)[0] for first in range(5)]
    assert one_by_one == found
    assert len(Batch(table, 4000, len(found[0])).read(0)) == 3
    assert len(Batch(table, 4000, len(found[0]) - 1).read(0)) == 1


def test_a_call_stops_before_what_it_cannot_write():
    shape = (4, 9)
    block = naive.mask("#" * 9 + " " + "#" * 9 + " " + "." * 9 + " " + "." * 9)
    table = make_table([[block], [block, block], [block]], shape)
    batch = Batch(table, 4, 1000)
    assert len(batch.read(0)) == 3
    assert len(Batch(table, 3, 1000).read(0)) == 1
    assert len(Batch(table, 3, 1000).read(1)) == 0
    assert len(Batch(table, 3, 1000).read(2)) == 1
    for value in (256, -1, 2**40, -(2**40)):
        assert len(batch.read(0, category_ids=[1, 2, value, 3])) == 1
        assert len(batch.read(0, category_ids=[1, 255, 0, value])) == 2
    broken = table.rle.copy()
    broken[table.rle_offsets[2]] = ord("p")
    assert len(batch.read(0, rle=broken)) == 1
    assert len(batch.read(1, rle=broken)) == 0
    assert batch.read(2, rle=broken) == batch.read(2)
