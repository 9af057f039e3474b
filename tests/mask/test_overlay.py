"""Masks painted over what a frame holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pycocotools.mask as coco
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mtfast import MtfastError, RLEError, mask
from tables import make_table, random_masks

STACKS = st.tuples(st.integers(1, 30), st.integers(1, 20), st.integers(0, 4)).flatmap(
    lambda shape: arrays(np.uint8, shape, elements=st.integers(0, 1))
)
DTYPES = (np.uint8, np.int8, np.uint16, np.int32, np.uint64, np.int64, np.float32, np.float64)
# A frame of a shape inside a larger array.
LAYOUTS = {
    "C order": lambda shape, dtype: np.zeros(shape, dtype),
    "F order": lambda shape, dtype: np.zeros(shape, dtype, "F"),
    "every other": lambda shape, dtype: np.zeros([2 * n for n in shape], dtype)[::2, ::2][..., :],
    "turned": lambda shape, dtype: np.zeros(shape[1::-1] + shape[2:], dtype).swapaxes(0, 1)[::-1],
    "part of a row": lambda shape, dtype: np.zeros((shape[0], shape[1] + 5, *shape[2:]), dtype)[
        :, 2:-3
    ],
}


def coco_rles(stack: np.ndarray) -> list[dict]:
    return coco.encode(np.asfortranarray(stack)) if stack.shape[2] else []


def painted(stack: np.ndarray, background: np.ndarray, values: Any) -> np.ndarray:
    expected = background.copy()
    for k in range(stack.shape[2]):
        expected[stack[:, :, k] > 0] = values[k]
    return expected


@settings(deadline=None)
@given(STACKS, st.sampled_from(DTYPES), st.sampled_from(sorted(LAYOUTS)), st.data())
def test_paint(stack, dtype, layout, data):
    n = stack.shape[2]
    frame = LAYOUTS[layout](stack.shape[:2], dtype)
    frame[:] = np.arange(frame.size).reshape(frame.shape) % 50
    around = frame if frame.base is None else frame.base
    before, outside = frame.copy(), around.sum() - frame.sum() if frame.size else 0
    values = data.draw(st.lists(st.integers(60, 127), min_size=n, max_size=n))
    assert mask.paint(coco_rles(stack), frame, values) is frame
    np.testing.assert_array_equal(frame, painted(stack, before, values))
    assert around.sum() - frame.sum() == outside


@settings(deadline=None)
@given(STACKS, st.sampled_from(["C order", "F order", "turned", "part of a row"]))
def test_paint_colours(stack, layout):
    n = stack.shape[2]
    colours = np.arange(3 * n).reshape(n, 3) + 60
    for values, expected in (
        (colours, colours),
        (colours.tolist(), colours),
        ((9, 8, 7), [(9, 8, 7)] * n),
        (200, [(200, 200, 200)] * n),
    ):
        frame = LAYOUTS[layout]((*stack.shape[:2], 3), np.uint8)
        frame[:] = 5
        before = frame.copy()
        mask.paint(coco_rles(stack), frame, values)
        np.testing.assert_array_equal(frame, painted(stack, before, expected))


def test_paint_without_channels():
    rles = coco_rles(np.ones((2, 3, 2), np.uint8))
    frame = np.empty((2, 3, 0), np.uint8)
    for values in (np.empty((2, 0), np.uint8), [[], []], []):
        assert mask.paint(rles, frame, values) is frame


def test_paint_integers_of_64_bits():
    rles = coco_rles(np.eye(3, dtype=np.uint8)[:, :, None]) * 2
    frame = np.zeros((3, 3), np.uint64)
    for values in ([1, 2**64 - 1], [2**64 - 1, 2**63 + 1], np.array([1, 2**64 - 1], np.uint64)):
        assert mask.paint(rles, frame, values).tolist() == np.diag([int(values[1])] * 3).tolist()
    for values in ([1, 2**64], [1.0, 2**63], [-1, 2**64 - 1]):
        with pytest.raises(MtfastError, match="values"):
            mask.paint(rles, frame, values)


def test_paint_bool_and_one_value():
    rles = coco_rles(np.eye(4, dtype=np.uint8)[:, :, None])
    frame = np.zeros((4, 4), bool)
    assert mask.paint(rles[0], frame, True).tolist() == np.eye(4, dtype=bool).tolist()
    values = np.full((4, 4), np.nan)
    mask.paint(rles, values, 0.1)
    assert values[0, 0] == 0.1
    assert np.isnan(values[0, 1])
    assert mask.paint([], frame, 3 == 3) is frame


def test_a_table_is_painted(rng):
    masks = random_masks(rng, (17, 23), 6)
    frame, other = np.zeros((17, 23), np.uint16), np.zeros((17, 23), np.uint16)
    mask.paint(make_table([masks[:4], masks[4:]], (17, 23)), frame, range(300, 306))
    mask.to_label_map(coco_rles(np.dstack(masks)), range(300, 306), out=other)
    np.testing.assert_array_equal(frame, other)


RLE = {"size": [2, 3], "counts": b"06"}


@pytest.mark.parametrize(
    ("frame", "values", "said"),
    [
        (np.zeros((3, 2)), 1, "3 x 2 pixels for masks of 2 x 3"),
        (np.zeros(6), 1, r"shape \(6,\)"),
        (np.zeros((2, 3, 1, 1)), 1, "expected \\(height, width\\)"),
        (np.zeros((2, 3), complex), 1, "complex128"),
        (np.zeros((2, 3), np.float16), 1, None),
        (np.zeros((2, 3), np.longdouble), 1, "float128|longdouble"),
        (np.zeros((2, 3), ">u2"), 1, ">u2"),
        (np.broadcast_to(np.zeros((1, 3)), (2, 3)), 1, "read-only"),
        ([[0] * 3] * 2, 1, "frame is a list"),
        (np.zeros((2, 3), np.uint8), 256, "values 256 for pixels of uint8"),
        (np.zeros((2, 3), np.uint8), -1, "values -1"),
        (np.zeros((2, 3), np.int8), 128, "values 128"),
        (np.zeros((2, 3), bool), 2, "values 2"),
        (np.zeros((2, 3), np.uint8), 1.5, "values 1.5"),
        (np.zeros((2, 3), np.uint8), "red", "values 'red'"),
        (np.zeros((2, 3), np.uint8), [1, 2], r"shape \(2,\); expected .* of shape \(1,\);"),
        (np.zeros((2, 3), np.uint8), [[1]], r"shape \(1, 1\)"),
        (np.zeros((2, 3, 3), np.uint8), [[1, 2]], r"of shape \(1, 3\) or \(3,\);"),
        (np.zeros((2, 3, 3), np.uint8), [[1], [2, 3]], "values is"),
    ],
)
def test_what_cannot_be_painted(frame, values, said):
    before = np.array(frame)
    if said is None:
        mask.paint([RLE], frame, values)
        assert (frame == values).all()
        return
    with pytest.raises(MtfastError, match=said) as caught:
        mask.paint([RLE], frame, values)
    assert len(str(caught.value).splitlines()) == 1
    np.testing.assert_array_equal(np.array(frame), before)


def test_nothing_is_painted_of_malformed_masks():
    frame = np.zeros((2, 3), np.uint8)
    with pytest.raises(RLEError, match=r"rles\[1\]: runs that end before the frame"):
        mask.paint([RLE, RLE | {"counts": b"5"}], frame, 1)
    with pytest.raises(MtfastError, match="expected one size"):
        mask.paint([RLE, {"size": [3, 2], "counts": b"06"}], frame, 1)
    assert not frame.any()
