"""Every kernel against its naive twin and against pycocotools."""

from __future__ import annotations

import numpy as np
import pycocotools.mask as coco
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import naive
from mtfast.kernels.frames import label_map, paint
from mtfast.kernels.operations import boolean, polygon
from mtfast.kernels.rle import coco_string, measure, ragged, toggle_lists

SHAPES = st.tuples(st.integers(1, 40), st.integers(1, 40))
MASKS = SHAPES.flatmap(lambda shape: arrays(np.uint8, shape, elements=st.integers(0, 1)))


def decode(text: bytes, n_pixels: int) -> tuple[int, list[int]]:
    places = np.full(len(text), -7)
    n = coco_string.decode_places(np.frombuffer(text, np.uint8), 0, len(text), n_pixels, places)
    return n, np.diff(places[: max(n, 0)], prepend=0).tolist()


def encode(counts: list[int]) -> bytes:
    text = np.zeros(coco_string.MAX_CHARACTERS * len(counts), np.uint8)
    end = coco_string.encode_counts(np.array(counts, np.int64), 0, len(counts), text, 0)
    return text[:end].tobytes()


def toggle_list(pixels: np.ndarray) -> np.ndarray:
    toggles = np.cumsum(naive.counts_of_mask(pixels))
    return np.append(toggles[: toggles.size // 2 * 2], toggle_lists.SENTINEL)


def coco_rle(pixels: np.ndarray) -> dict:
    return coco.encode(np.asfortranarray(pixels))


@settings(deadline=None)
@given(MASKS)
def test_text_is_pycocotools_text(pixels):
    counts = naive.counts_of_mask(pixels)
    assert encode(counts) == coco_rle(pixels)["counts"]
    assert decode(coco_rle(pixels)["counts"], pixels.size) == (len(counts), counts)


def test_text_of_drawn_mask():
    pixels = naive.mask("""
        .#..
        ###.
        .#..
    """)
    assert naive.counts_of_mask(pixels) == [1, 1, 1, 3, 1, 1, 4]
    assert coco_rle(pixels)["counts"] == encode([1, 1, 1, 3, 1, 1, 4]) == b"11120N3"


@settings(deadline=None)
@given(st.lists(st.integers(0, 2**38), min_size=1, max_size=20))
def test_long_counts_survive(counts):
    assert decode(encode(counts), sum(counts)) == (len(counts), counts)
    assert encode(counts) == naive.text_of_counts(counts)


def test_zero_length_runs_are_legal():
    assert decode(encode([2, 0, 1, 3]), 6) == (4, [2, 0, 1, 3])


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (b"\x2f", coco_string.BAD_CHARACTER),
        (b"p", coco_string.BAD_CHARACTER),
        (b"\xff", coco_string.BAD_CHARACTER),
        (b"P", coco_string.TRUNCATED),
        (b"1P", coco_string.TRUNCATED),
        (b"P" * 12 + b"0", coco_string.OVERLONG),
        (b"o" * 40, coco_string.OVERLONG),
        (b"O", coco_string.NEGATIVE_RUN),
        (b"6O", coco_string.NEGATIVE_RUN),
        (b"5", coco_string.TOO_SHORT),
        (b"", coco_string.TOO_SHORT),
        (b"7", coco_string.TOO_LONG),
        (b"o" * 11 + b"?", coco_string.TOO_LONG),
        # Eight numbers at a time are read from the third on.
        (b"1" * 10, coco_string.TOO_LONG),
        (b"1" * 18, coco_string.TOO_LONG),
    ],
)
def test_malformed_text(text, status):
    assert decode(text, 6)[0] == status


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=30), st.integers(0, 200))
def test_arbitrary_bytes_decode_or_are_refused(text, n_pixels):
    n, counts = decode(text, n_pixels)
    if n >= 0:
        assert sum(counts) == n_pixels
        assert min(counts, default=0) >= 0
    else:
        assert -6 <= n <= -1


@settings(deadline=None)
@given(MASKS, st.sampled_from([np.uint8, np.uint16]))
def test_paint(pixels, dtype):
    places = np.cumsum(naive.counts_of_mask(pixels))
    frame = np.full(pixels.size, 9, dtype)
    paint.paint_places(places, places.size, pixels.shape[0], 5, frame)
    expected = np.where(coco.decode(coco_rle(pixels)), 5, 9)
    np.testing.assert_array_equal(frame.reshape(pixels.shape), expected)


@settings(deadline=None)
@given(MASKS)
def test_measures(pixels):
    places = np.cumsum(naive.counts_of_mask(pixels))
    box = np.empty(4)
    measure.bbox_of_places(places, places.size, pixels.shape[0], box)
    assert box.tolist() == naive.bbox(pixels) == coco.toBbox(coco_rle(pixels)).tolist()
    area = measure.area_of_places(places, places.size)
    assert area == naive.area(pixels) == coco.area(coco_rle(pixels))


def test_zero_length_runs_have_no_box():
    places = np.array([3, 3, 12])
    box = np.full(4, 7.0)
    measure.bbox_of_places(places, 3, 4, box)
    assert box.tolist() == [0, 0, 0, 0]


@settings(deadline=None)
@given(
    SHAPES.flatmap(
        lambda shape: st.tuples(
            arrays(np.uint8, shape, elements=st.integers(0, 1)),
            arrays(np.uint8, shape, elements=st.integers(0, 1)),
        )
    )
)
def test_combine_lists(pair):
    a, b = pair
    first, second = map(toggle_list, pair)
    for table, expected in {
        boolean.OR: a | b,
        boolean.AND: a & b,
        boolean.MINUS: a & (1 - b),
        boolean.XOR: a ^ b,
    }.items():
        out = np.full(first.size + second.size + 1, -7)
        n = boolean.combine_lists(first, second, table, out[:-1])
        assert out[:n].tolist() == toggle_list(expected).tolist()
        assert out[-1] == -7
    out = np.full(first.size + second.size + 1, -7)
    n = boolean.intersect_lists(first, second, out[:-1])
    assert out[:n].tolist() == toggle_list(a & b).tolist()
    assert out[-1] == -7


def rasterise(ring: np.ndarray, height: int, width: int) -> bytes:
    n_points = ring.size // 2
    toggles = np.empty(n_points * (width + 1), np.int64)
    n = polygon.outline_toggles(ring, n_points, height, width, toggles)
    toggles = np.sort(toggles[:n])
    n = toggle_lists.drop_pairs(toggles, n)
    toggles = np.append(toggles[:n], toggle_lists.SENTINEL)
    n_counts = toggle_lists.counts_of_list(toggles, n, height * width)
    return encode(toggles[:n_counts].tolist())


COORDINATES = st.one_of(
    st.floats(-60, 120, allow_nan=False),
    st.integers(-10, 60).map(float),
    st.integers(-100, 600).map(lambda v: v / 10),
)


@settings(deadline=None, max_examples=400)
@given(
    st.lists(COORDINATES, min_size=6, max_size=24).map(lambda v: v[: len(v) // 2 * 2]),
    st.integers(1, 50),
    st.integers(1, 50),
)
def test_polygon_is_pycocotools_polygon(ring, height, width):
    """Self-crossing, outside the frame, degenerate, with repeated points."""
    expected = coco.frPyObjects([ring], height, width)[0]["counts"]
    assert rasterise(np.array(ring), height, width) == expected


@settings(deadline=None)
@given(
    SHAPES.flatmap(lambda shape: arrays(np.uint8, shape, elements=st.integers(0, 4))),
    st.integers(0, 2),
)
def test_column_changes_stop_at_their_capacity(labels, background):
    args = (labels.reshape(-1), *labels.shape, background)
    padded = np.vstack([np.full((1, labels.shape[1]), background), labels])
    expected = int((np.diff(padded.astype(int), axis=0) != 0).sum())
    for capacity in (0, 1, labels.size):
        places, values = np.full((2, capacity), -1)
        assert label_map.column_changes(*args, places, values) == min(expected, capacity + 1)
        assert (places[: min(capacity, expected)] >= 0).all()


@settings(deadline=None)
@given(st.lists(st.binary(max_size=5), min_size=1), st.data())
def test_gather_pieces(pieces, data):
    picks = data.draw(st.lists(st.integers(0, len(pieces) - 1)))
    offsets = np.cumsum([0, *map(len, pieces)])
    expected = b"".join(pieces[k] for k in picks)
    out = np.zeros(len(expected) + 3, np.uint8)
    source = np.frombuffer(b"".join(pieces), np.uint8)
    n = ragged.gather_pieces(source, offsets, np.array(picks, np.int64), out)
    assert out[:n].tobytes() == expected
    assert not out[n:].any()
