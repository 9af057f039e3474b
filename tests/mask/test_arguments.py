"""Malformed masks and arguments: input that kills pycocotools is refused in one line."""

from __future__ import annotations

import numpy as np
import pytest

import naive
from mtfast import MtfastError, RLEError, mask

MALFORMED = [
    {"size": [2, 3], "counts": b""},
    {"size": [2, 3], "counts": b"5"},
    {"size": [2, 3], "counts": b"7"},
    {"size": [2, 3], "counts": b"P"},
    {"size": [2, 3], "counts": b"\xff\xff"},
    {"size": [2, 3], "counts": b"o" * 50},
    {"size": [2, 3], "counts": "é6"},
    {"size": [2, 3], "counts": [1, 2]},
    {"size": [2, 3], "counts": [7, -1]},
    {"size": [2, 3], "counts": [2**40, 6]},
    {"size": [2, 3], "counts": [2**70]},
    {"size": [2, 3], "counts": [1.5, 4.5]},
    {"size": [2, 3], "counts": [np.nan, 6]},
    {"size": [2, 3], "counts": [np.inf, 6]},
    {"size": [2, 3], "counts": [2.0**70, 6.0]},
    {"size": [2, 3], "counts": []},
    {"size": [2, 3], "counts": None},
    {"size": [2, 3], "counts": {}},
    {"size": [2, 3]},
    {"counts": b"6"},
    {"size": [-2, -3], "counts": b"6"},
    {"size": [2], "counts": b"2"},
    {"size": [2, 3, 1], "counts": b"6"},
    {"size": [2.5, 3.0], "counts": b"6"},
    {"size": [np.nan, 3], "counts": b"6"},
    {"size": [2, np.inf], "counts": b"6"},
    {"size": [np.array([2]), 3], "counts": b"6"},
    {"size": [np.array(True), 6], "counts": b"6"},
    {"size": ["2", "3"], "counts": b"6"},
    {"size": None, "counts": b"6"},
    {"size": {2: 0, 3: 0}, "counts": b"6"},
    {"size": b"\2\3", "counts": b"6"},
    {"size": [True, 6], "counts": b"6"},
    {"size": np.ones((2, 2), int), "counts": b"6"},
    {"size": [2**20, 2**20], "counts": b"6"},
    {"size": [2**41, 0], "counts": b"0"},
    {"size": [2**21, 2**21], "counts": b"6"},
    {"size": [2**62, 4], "counts": b"0"},
    {"size": [2**70, 1], "counts": b"0"},
    {"size": [100_000, 100_000], "counts": b"6"},
    {"size": [0, 0], "counts": b"6"},
    None,
    7,
    "6",
    np.zeros(3),
]


@pytest.mark.parametrize("bad", MALFORMED, ids=str)
def test_malformed(bad):
    good = {"size": [2, 3], "counts": b"6"}
    assert mask.area([good, good]).tolist() == [0, 0]
    for call in (mask.decode, mask.area, mask.toBbox, mask.to_uncompressed):
        with pytest.raises(MtfastError):
            call(bad)
    for masks in ([good, bad], [bad, good], [bad]):
        calls = [
            lambda masks=masks: mask.decode(masks),
            lambda masks=masks: mask.area(masks),
            lambda masks=masks: mask.toBbox(masks),
            lambda masks=masks: mask.merge([*masks, good]),
            lambda masks=masks: mask.iou(masks, [good], [0]),
            lambda masks=masks: mask.to_label_map(masks),
            lambda masks=masks: mask.to_uncompressed(masks),
            lambda masks=masks: mask.frPyObjects([*masks, good], 2, 3),
        ]
        for call in calls:
            with pytest.raises(MtfastError) as caught:
                call()
            assert len(str(caught.value).splitlines()) == 1
    out = np.full((2, 2, 3), 9, np.uint8)
    with pytest.raises(MtfastError, match="RLE 1"):
        mask.decode([good, bad], order="C", out=out)
    assert (out == 9).all()
    ((number, problem),) = mask.validate([good, bad, good])
    assert number == 1
    assert problem.startswith("RLE 1")


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64, np.uint64])
def test_counts_in_arrays(dtype):
    """Their bytes are no text: 48 is a run of 48 pixels, not '0'."""
    counts = np.array([48, 52], dtype)
    rles = [{"size": [10, 10], "counts": form} for form in (counts, counts.tolist())]
    assert mask.area(rles).tolist() == [52, 52]
    assert mask.area(rles[0]) == 52
    text = naive.text_of_counts([48, 52])
    for form in (text.decode(), bytearray(text), memoryview(text)):
        assert mask.area([{"size": (10, np.int64(10)), "counts": form}]) == [52]


def test_boxes_of_small_integers():
    """200 + 100 is 300, in uint8 too."""
    expected = mask.frPyObjects([200, 1, 100, 3], 5, 400)
    for box in ([np.array([200, 1, 100, 3], np.uint8)], np.array([[200, 1, 100, 3]], np.uint8)):
        assert mask.frPyObjects(box, 5, 400) == [expected]


RAGGED = [[1], [2, 3]]


def test_malformed_arguments():
    rle = {"size": [2, 3], "counts": b"6"}
    for call in [
        lambda: mask.encode(RAGGED),
        lambda: mask.decode(rle, order=np.zeros(2)),
        lambda: mask.decode(rle, value=1.5),
        lambda: mask.decode(rle, value="1"),
        lambda: mask.to_label_map([rle], RAGGED),
        lambda: mask.to_label_map([rle], overlap=np.zeros(2)),
        lambda: mask.to_label_map([rle], dtype="x"),
        lambda: mask.from_label_map(RAGGED),
        lambda: mask.from_label_map(np.ones((2, 2), int), background="1"),
        lambda: mask.from_label_map(np.ones((2, 2), int), background=2**63),
        lambda: mask.iou([rle], [rle], RAGGED),
        lambda: mask.iou(np.array([["1"] * 4]), [[1, 2, 3, 4]], [0]),
        lambda: mask.erode(rle, RAGGED),
        lambda: mask.frPyObjects([[]], 2, 3),
        lambda: mask.frPyObjects([[1, 1, 3, 1, 3, 3], [7]], 2, 3),
        lambda: mask.frPyObjects([[10**400] * 6], 2, 3),
        lambda: mask.frPyObjects([10**400] * 4, 2, 3),
        lambda: mask.frPyObjects(np.array([["1"] * 4]), 2, 3),
        lambda: mask.frPyObjects([[1, 1, 3, 1, 3, 3]], -2, 3),
        lambda: mask.frPyObjects([[1, 1, 3, 1, 3, 3]], 2.5, 3),
        lambda: mask.frPyObjects([[1, 1, 3, 1, 3, 3]], 2**40, 2**40),
        lambda: mask.encode(np.zeros(3, np.uint8)),
        lambda: mask.encode(np.zeros((2, 3))),
        lambda: mask.decode([rle, {"size": [3, 2], "counts": b"6"}]),
        lambda: mask.decode(rle, order="K"),
        lambda: mask.decode(rle, value=256),
        lambda: mask.decode(rle, value=-1),
        lambda: mask.area("6"),
        lambda: mask.area(7),
        lambda: mask.frPyObjects(7, 2, 3),
        lambda: mask.frPyObjects([7, "x"], 2, 3),
        lambda: mask.frPyObjects(np.zeros((2, 3)), 2, 3),
        lambda: mask.frPyObjects([[np.nan] * 6], 2, 3),
        lambda: mask.frPyObjects([[1e9] * 6], 2, 3),
        lambda: mask.frPyObjects([[np.inf, 1, 2, 3, 4, 5]], 2, 3),
        lambda: mask.iou(rle, rle, [0]),
        lambda: mask.iou(np.zeros((2, 3)), np.zeros((2, 4)), [0, 0]),
        lambda: mask.iou([[0, 0, 10**400, 1]], [[0, 0, 2, 1]], [0]),
        lambda: mask.iou(np.array([[0, 0, np.nan, 1]]), [[0, 0, 2, 1]], [0]),
        lambda: mask.components([rle]),
    ]:
        with pytest.raises(MtfastError, match="expected") as caught:
            call()
        assert len(str(caught.value).splitlines()) == 1
    assert mask.erode(rle, np.uint8(200)) == rle


def test_polygons_of_two_points_are_named():
    ring = [1.0, 1, 4, 1, 4, 3, 1, 3]
    said = "object 0 has 4 numbers, which is a box or a polygon of two points, and object 1 has 8"
    with pytest.raises(MtfastError, match=said):
        mask.frPyObjects([ring[:4], ring], 4, 5)


def test_validate_reports_all():
    found = mask.validate([*MALFORMED, {"size": [2, 3], "counts": b"6"}])
    assert [number for number, _ in found] == list(range(len(MALFORMED)))


def test_a_malformed_mask_is_named_before_the_size_of_its_frame():
    huge = {"size": [2**20, 2**20], "counts": b"6"}
    with pytest.raises(RLEError, match="RLE 0: runs that end before the frame does"):
        mask.decode(huge)


def test_a_malformed_mask_is_named_before_an_overlap():
    rles = [{"size": [2, 3], "counts": text} for text in (b"06", b"5", b"06")]
    with pytest.raises(RLEError, match="RLE 1: runs that end before the frame does"):
        mask.to_label_map(rles, overlap="error")


def test_labels_below_zero_are_named():
    rles = [{"size": [2, 3], "counts": b"06"}] * 2
    with pytest.raises(MtfastError, match="labels from -1 to 2; expected 0 up to"):
        mask.to_label_map(rles, [-1, 2])
