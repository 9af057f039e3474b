"""Compiled code that reads few masks: right answers, and nothing that could hurt the process."""

from __future__ import annotations

import gc
import math
import os
import random
import subprocess
import sys
import threading
from collections import OrderedDict, UserDict
from typing import Any

import numpy as np
import pycocotools.mask as coco
import pytest

import naive
from fuzz_inputs import JUNK, Bytes, Dict, Int, List, Str, malformed, some_counts
from mtfast import MtfastError, mask
from mtfast.kernels import layout
from mtfast.kernels.objects import builtin, reading
from mtfast.mask import few
from tables import random_masks

if builtin.problem():
    pytest.skip(str(builtin.problem()), allow_module_level=True)

from mtfast.kernels.objects.overlaps import MAX_COMPARED
from mtfast.kernels.objects.scratch import (
    MAX_CHARACTERS,
    MAX_CLEAR_FRAME,
    MAX_FRAME,
    MAX_MASKS,
)


class Boxes(np.ndarray):
    pass


GOOD = {"size": [2, 2], "counts": b"22"}
BAD = {"size": [2, 2], "counts": b"23"}
CALLS = {
    "area": lambda rles: mask.area(rles),
    "toBbox": lambda rles: mask.toBbox(rles),
    "iou": lambda rles: mask.iou(rles, rles, [0] * len(rles), other_size="error"),
    "or": lambda rles: mask.merge(rles),
    "and": lambda rles: mask.merge(rles, 1),
}


def said(call, *arguments: Any) -> str:
    """What a call returns or raises."""
    try:
        return repr(call(*arguments))
    except MtfastError as error:
        return f"{type(error).__name__}: {error}"


@pytest.fixture
def plainly(monkeypatch):
    """Run a call without compiled code."""

    def run(call, *arguments: Any) -> str:
        with pytest.MonkeyPatch.context() as patch:
            for name in few.__all__:
                patch.setattr(few, name, lambda *arguments: False)
            return said(call, *arguments)

    return run


@pytest.fixture
def answers(monkeypatch):
    """Collect what the compiled functions answer."""
    found: list[Any] = []

    def watched(function):
        def call(*arguments: Any) -> Any:
            found.append(function(*arguments))
            return found[-1]

        return call

    for name in few.__all__:
        monkeypatch.setattr(few, name, watched(getattr(few, name)))
    return found


def rles_of(stack: np.ndarray) -> list[dict]:
    return coco.encode(np.asfortranarray(stack))


def usual_types(rng: random.Random, rle: dict) -> dict:
    """A mask of the types that compiled code answers."""
    size, text = rle["size"], rle["counts"]
    made = {"size": rng.choice((list, tuple))(size), "counts": rng.choice((text, text.decode()))}
    if rng.random() < 0.3:
        made = {"counts": made["counts"], "id": 7, 5: 6, None: 1.5, "size": made["size"]}
    if rng.random() < 0.3:
        # Equal keys that are other objects, as json makes them.
        made = {"".join([*key]) if isinstance(key, str) else key: made[key] for key in made}
    return made


def test_answers(rng, answers):
    """Every usual list is answered, and as pycocotools does."""
    dice = random.Random(0)
    for n in (*[1, 2, 3, 5] * 40, 30, 200, 1000):
        shape = tuple(rng.integers(1, 40, 2).tolist())
        theirs = rles_of(np.dstack(random_masks(rng, shape, n)))
        ours = [usual_types(dice, rle) for rle in theirs]
        crowd = rng.integers(0, 2, min(n, 255)).tolist()
        assert mask.area(ours[:255]).tolist() == coco.area(theirs[:255]).tolist()
        np.testing.assert_array_equal(mask.toBbox(ours), coco.toBbox(theirs))
        for given in (crowd, [*map(bool, crowd)], np.array(crowd), np.array(crowd, bool)):
            np.testing.assert_array_equal(
                mask.iou(ours, ours[:255], given), coco.iou(theirs, theirs[:255], crowd)
            )
        assert mask.merge(ours) == coco.merge(theirs)
        assert mask.merge(ours, True) == coco.merge(theirs, True)
        assert mask.area(ours[0]) == coco.area(theirs[0])
        np.testing.assert_array_equal(mask.toBbox(ours[0]), coco.toBbox(theirs[0]))
    assert len(answers) == 163 * 10
    # An area of 0 equals False.
    assert all(answer is not False for answer in answers)


@pytest.mark.parametrize("dtype", [np.uint8, bool])
def test_small_frames(dtype, rng, answers):
    """Answered in F order up to a size, and by the plain way in any other."""
    for shape in ((1, 1), (1, 9), (9, 1), (28, 28), (64, 3), (63, 65), (256, 256)):
        for share in (0, 0.1, 0.5, 1):
            pixels = np.asfortranarray(rng.random(shape) < share).astype(dtype)
            theirs = coco.encode(pixels.view(np.uint8))
            assert mask.encode(pixels) == theirs
            assert mask.encode(np.asfortranarray(3 * pixels.view(np.uint8))) == theirs
            for rle in (theirs, theirs | {"counts": theirs["counts"].decode()}):
                got = mask.decode(rle)
                np.testing.assert_array_equal(got, pixels)
                assert (got.dtype, got.flags.f_contiguous, got.flags.owndata) == (np.uint8, 1, 1)
    assert len(answers) == 7 * 4 * 4
    assert False not in answers


def test_frames_that_are_left_to_the_plain_way(rng, answers):
    pixels = np.asfortranarray(rng.random((724, 725)) < 0.3, np.uint8)
    assert pixels.size > MAX_FRAME
    (theirs,) = rles_of(pixels[:, :, None])
    assert mask.encode(pixels) == theirs
    np.testing.assert_array_equal(mask.decode(theirs), pixels)
    small = pixels[:20, :30]
    (theirs,) = rles_of(small[:, :, None])
    for array in (
        small,
        np.ascontiguousarray(small),
        np.asfortranarray(small, np.int16),
        np.asfortranarray(small, np.dtype(np.uint8).newbyteorder(">")).view(Array),
        np.asfortranarray(small)[:, :, None],
        small.tolist(),
    ):
        assert mask.encode(array) in (theirs, [theirs])
    assert answers == [False] * 7
    for array in (None, 5, "x", np.float64(3), np.zeros((), np.uint8), np.zeros((2, 2), "m8[s]")):
        assert not few.encoded(array)


@pytest.mark.parametrize("shape", [(2048, 4096), (8, 2**20), (4095, 2048)])
def test_large_frames_of_short_texts(shape, answers):
    """Frames that numpy clears are answered up to another size."""
    assert shape[0] * shape[1] <= MAX_CLEAR_FRAME
    for last in (0, 1, 9):
        pixels = np.zeros(shape, np.uint8, "F")
        pixels[0, 5:7] = pixels[shape[0] // 2, 3:9] = pixels[-1, shape[1] - last :] = 1
        theirs = coco.encode(pixels)
        np.testing.assert_array_equal(mask.decode(theirs), pixels)
    assert answers == [True] * 3
    larger = {"size": [2, 2**22 + 1], "counts": naive.text_of_counts([2**23 + 2])}
    assert not mask.decode(larger).any()
    assert answers == [True] * 3


def test_boxes(rng, answers):
    """Arrays and lists of floats and integers are answered, as pycocotools does."""
    for m, n in ((1, 1), (1, 7), (5, 3), (200, 300)):
        dt, gt = rng.uniform(-9, 40, (m, 4)), rng.uniform(0, 40, (n, 4)).round()
        dt[0, 2] = gt[0, 3] = 0
        crowd = rng.integers(0, 2, n).tolist()
        expected = coco.iou(dt, gt, crowd)
        for first, second in (
            (dt, gt),
            (dt.tolist(), gt.tolist()),
            (dt, gt.astype(int).tolist()),
            (dt.tolist(), gt),
        ):
            for flags in (crowd, [*map(bool, crowd)], np.array(crowd)):
                np.testing.assert_array_equal(mask.iou(first, second, flags), expected)
    assert answers == [True] * 4 * 4 * 3


BOXES = np.array([[1.0, 2, 3, 4], [5, 6, 7, 8]])
STRANGE_BOXES = [
    *(BOXES.astype(np.float32), BOXES[:, ::-1], BOXES.T, np.asfortranarray(BOXES), BOXES[0]),
    *(BOXES[:0], [], [[]], [[1.0, 2, 3]], [[1.0, 2, 3, 4, 5]], [(1.0, 2, 3, 4)], BOXES.tolist()[0]),
    *([[1.0, 2, 3, bad]] for bad in (None, "4", 10**30, np.float64(4), True, [4], math.nan)),
    *(np.array([[1, 2, 3, math.inf]]), np.array(5.0), BOXES.astype(">f8"), BOXES.view(Boxes)),
    *(BOXES[:, :, None], BOXES.astype(object), GOOD, [GOOD], [[1.0, 2, 3, 4], GOOD], None, 5),
]


@pytest.mark.parametrize("strange", STRANGE_BOXES, ids=str)
def test_what_is_no_usual_box(strange, answers):
    outcomes = []
    for use in (True, False):
        for pair in ((strange, BOXES), (BOXES, strange), (strange, strange)):
            with pytest.MonkeyPatch.context() as patch:
                if not use:
                    patch.setattr(few, "box_overlaps", lambda *arguments: False)
                try:
                    outcomes.append(repr(mask.iou(*pair, [0] * len(pair[1]))))
                except (MtfastError, TypeError) as error:
                    outcomes.append(f"{type(error).__name__}: {error}")
    assert outcomes[:3] == outcomes[3:]


def test_windows(rng, answers):
    """Every usual list is answered, and as its pixels are cut."""
    dice = random.Random(0)
    for n in (*[1, 2, 3, 5] * 20, 30, 200):
        h, w = rng.integers(1, 40, 2).tolist()
        stack = np.dstack(random_masks(rng, (h, w), n))
        y, x = int(rng.integers(0, h + 1)), int(rng.integers(0, w + 1))
        window = y, x, int(rng.integers(0, h - y + 1)), int(rng.integers(0, w - x + 1))
        cut = np.asfortranarray(stack[y : y + window[2], x : x + window[3]])
        rles = [usual_types(dice, rle) for rle in rles_of(stack)]
        expected = [naive.text_of_mask(cut[:, :, k]) for k in range(n)]
        assert mask.crop(rles, *window) == [
            {"size": [*window[2:]], "counts": text} for text in expected
        ]
        assert mask.crop(rles[0], *window) == {"size": [*window[2:]], "counts": expected[0]}
    assert len(answers) == 2 * 82
    assert False not in answers


def test_windows_that_are_left_to_the_plain_way(answers, plainly):
    rles = [GOOD, {"size": [2, 3], "counts": "222"}]
    for window in ((0, 0, 3, 1), (0, 1, 2, 2), (-1, 0, 1, 1), (0, 0, True, 1), (0, 0, 1.0, 1)):
        assert said(mask.crop, rles, *window) == plainly(mask.crop, rles, *window)
    for masks in ([], (GOOD,), [GOOD, BAD], [GOOD, 5]):
        assert said(mask.crop, masks, 0, 0, 1, 1) == plainly(mask.crop, masks, 0, 0, 1, 1)
    assert answers == [False] * 8


class Array(np.ndarray):
    pass


def some_ring(rng: np.random.Generator, integers: bool) -> list:
    numbers = rng.uniform(-9, 60, rng.integers(5, 60))
    return numbers.astype(int).tolist() if integers else numbers.tolist()


def test_polygons(rng, answers):
    for n in (*[1, 2, 3] * 60, 30, 200):
        size = rng.integers(1, 60, 2).tolist()
        rings = [some_ring(rng, rng.random() < 0.3) for _ in range(n)]
        assert mask.frPyObjects(rings, *size) == coco.frPyObjects(rings, *size)
        boxes = rng.uniform(-9, 60, (n, 4))
        assert mask.frPyObjects(boxes, *size) == coco.frPyObjects(boxes, *size)
    assert len(answers) == 181 * 2 + 4
    assert False not in answers


def test_counts(rng, answers):
    dice = random.Random(3)
    for _ in range(200):
        height, width = dice.choice((1, 3, 40, 700)), dice.choice((1, 2, 33, 900))
        rle = {"size": [height, width], "counts": some_counts(dice, height * width)}
        expected = naive.text_of_counts(rle["counts"])
        assert mask.frPyObjects(rle, 0, 0) == rle | {"counts": expected}
    assert len(answers) == 200
    assert False not in answers


@pytest.mark.parametrize(
    ("size", "counts"),
    [
        *(([2, 3], [1, 2]), ([2, 3], [7, -1]), ([2, 3], [-1, 7]), ([2, 3], [2**62, 2**62, 6])),
        *(([2, 3], [10**30, 6]), ([2, 3], [-(10**30), 6]), ([2, 3], []), ([0, 3], [])),
        *(([2, 3], [2, 4.0]), ([2, 3], [2.5, 3.5]), ([2, 3], [True, 5]), ([2, 3], [None, 6])),
        *(([2, 3], (2, 4)), ([2, 3], List([2, 4])), ([2, 3], [Int(2), 4]), ([2, 3], "06")),
        *(((2, 3), [2, 4]), ([2.0, 3], [2, 4]), ([2, 3, 1], [6]), ([-2, -3], [6]), (None, [6])),
        *(([0, 0], [0]), ([2, 3], [0, 0, 6]), ([2**20, 2**20], [2**40]), ([10**30, 1], [1])),
        ([1, MAX_CHARACTERS + 1], [1] * (MAX_CHARACTERS + 1)),
    ],
    ids=lambda value: str(value)[:40],
)
def test_counts_that_are_not_usual(size, counts, plainly):
    def call():
        return mask.frPyObjects({"size": size, "counts": counts}, 4, 5)

    assert said(call) == plainly(call)


RING = [1.0, 1, 4, 1, 4, 3, 1, 3]
STRANGE_NUMBERS = [*(None, True, "1", 1 + 0j, 10**30, -(10**30), 10**400, np.float64(2), Int(2))]
STRANGE_NUMBERS += [float("nan"), float("inf"), -(2.0**21), 2**21, [1.0], b"1"]
STRANGE_RINGS = [
    *([*RING, number] for number in (*STRANGE_NUMBERS, 5)),
    *([number, *RING] for number in STRANGE_NUMBERS),
    *(RING[:4], RING[:5], [], [1.0], List(RING), tuple(RING), np.array(RING), None, 7.0, GOOD),
]


@pytest.mark.parametrize("strange", STRANGE_RINGS, ids=str)
def test_what_is_no_usual_polygon(strange, plainly):
    for rings in ([strange], [RING, strange], [strange, RING]):
        for size in ((4, 5), (4.0, 5), (np.int64(4), 5), (-1, 5), (10**30, 1), (True, 5), (0, 0)):

            def call(rings=rings, size=size):
                return mask.frPyObjects(rings, *size)

            assert said(call) == plainly(call)


def test_many_polygons_are_left_to_the_plain_way(rng, answers):
    many = [RING] * (MAX_MASKS + 1)
    assert few.outlined(many, 4, 5, np.empty(len(many) + 1, np.int64)) is False
    assert mask.frPyObjects(many, 4, 5) == coco.frPyObjects(many, 4, 5)
    assert answers.pop(0) is False
    assert False not in answers
    # Each edge passes all columns.
    long = [[0.5, 1.5, 999.5, 2.5] * 10]
    for n, answered in ((1, True), (3, False)):
        got = mask.frPyObjects(long * n, 9, 1000)
        assert got == coco.frPyObjects(long * n, 9, 1000)
        assert (answers[-1] is not False) == answered


def test_a_frame_of_another_size_is_not_written():
    frame = np.full((3, 2), 7, np.uint8, "F")
    assert few.decoded(GOOD, False, frame) is False
    assert few.decoded([GOOD, GOOD], False, frame) is False
    assert (frame == 7).all()


def test_results_are_of_the_usual_types():
    assert type(mask.area(GOOD)) is np.uint32
    assert few.area({"size": [2**15, 2**16], "counts": naive.text_of_counts([0, 2**31])}) == 2**31
    assert mask.area([GOOD]).dtype == np.uint32
    for made in (mask.area([GOOD] * 3), mask.toBbox([GOOD]), mask.iou([GOOD], [GOOD], [0])):
        assert made.flags.owndata
        assert made.flags.writeable
    merged = mask.merge([{"size": (2, 2), "counts": "22"}, GOOD])
    assert merged == GOOD
    assert (type(merged["counts"]), type(merged["size"]), type(merged["size"][0])) == (
        *(bytes, list, int),
    )


def test_malformed_masks_get_the_same_verdict(rng, plainly):
    """With and without compiled code: the same answer, or the same words."""
    dice = random.Random(1)
    outcomes = {True: 0, False: 0}
    for _ in range(1500):
        height, width = dice.choice((1, 3, 9, 40)), dice.choice((1, 2, 8, 33))
        rles = []
        for _ in range(dice.choice((1, 2, 4))):
            text = naive.text_of_counts(some_counts(dice, height * width))
            rle: Any = {"size": [height, width], "counts": text}
            rles.append(malformed(dice, rle) if dice.random() < 0.4 else rle)
        for call in CALLS.values():
            for given in (rles, rles[:1]):
                here = said(call, given)
                assert here == plainly(call, given)
                outcomes["Error: " in here] += 1
        if isinstance(rles[0], dict):
            for measure in (mask.area, mask.toBbox):
                assert said(measure, rles[0]) == plainly(measure, rles[0])
    assert min(outcomes.values()) > 1000


SUBCLASSES = [
    Dict(GOOD),
    OrderedDict(GOOD),
    UserDict(GOOD),
    {"size": List([2, 2]), "counts": b"22"},
    {"size": [Int(2), 2], "counts": b"22"},
    {"size": [np.int64(2), 2], "counts": b"22"},
    {"size": [2.0, 2], "counts": b"22"},
    {"size": np.array([2, 2]), "counts": b"22"},
    {"size": [2, 2], "counts": Bytes(b"22")},
    {"size": [2, 2], "counts": Str("22")},
    {"size": [2, 2], "counts": bytearray(b"22")},
    {"size": [2, 2], "counts": [2, 2]},
    {Str("size"): [2, 2], "counts": b"22"},
]
STRANGE = [
    *JUNK,
    *({}, {"size": [2, 2]}, {"counts": b"22"}, {"size": None, "counts": b"22"}),
    *({"size": [2], "counts": b"22"}, {"size": [2, 2, 2], "counts": b"22"}),
    *({"size": [True, 4], "counts": b"22"}, {"size": [10**30, 2], "counts": b"22"}),
    *({"size": [-(10**30), 2], "counts": b"22"}, {"size": [-2, -2], "counts": b"22"}),
    *({"size": [2, 2], "counts": "\ud800"}, {"size": [2, 2], "counts": "2é"}),
    *({"size": [2, 2], "counts": "22\U0001f600"}, {"size": [2, 2], "counts": ""}),
    *({"size": [2**20, 2**20], "counts": b"0"}, {"size": [2**20 + 1, 0], "counts": b"0"}),
    *({"size": [0, 0], "counts": b""}, {"size": [0, 0], "counts": "0"}),
    *({"size": "22", "counts": b"22"}, {"size": {2: 0, 3: 0}, "counts": b"22"}),
    *({1: 2, "counts": b"22", None: [2, 2]}, {"siz": [2, 2], "count": b"22"}),
]


@pytest.mark.parametrize("strange", [*SUBCLASSES, *STRANGE], ids=str)
def test_what_is_not_usual(strange, answers, plainly):
    """It is left to the plain way, and is no end of the process."""
    for rles in ([strange], [GOOD, strange], [strange, GOOD], strange):
        for call in CALLS.values():
            if isinstance(rles, list) or call in (CALLS["area"], CALLS["toBbox"]):
                assert said(call, rles) == plainly(call, rles)
    if any(strange is one for one in SUBCLASSES):
        assert answers
        assert not any(answers)
        assert mask.area([strange, GOOD]).tolist() == [2, 2]


@pytest.mark.parametrize(
    "crowd",
    [
        *([1, 0], [], 1, None, (1,), [None], [2], [-1], [10**30], [-(10**30)], [1.0], [0.5]),
        *(np.array([1.0]), np.array([[1]]), np.array(1), ["1"], [np.int64(1)], [np.True_], "1"),
    ],
    ids=str,
)
def test_flags_of_crowds(crowd, plainly):
    def call():
        return mask.iou([GOOD], [{"size": [2, 2], "counts": b"13"}], crowd)

    assert said(call) == plainly(call)


class Key:
    """A key with the hash of another, which would run code if it were looked at."""

    def __init__(self, text: str, rles: list) -> None:
        self.text, self.rles, self.n_asked = text, rles, 0

    def __hash__(self) -> int:
        return hash(self.text)

    def __eq__(self, other: object) -> bool:
        self.n_asked += 1
        self.rles.clear()
        gc.collect()
        return False


def test_keys_are_not_asked_whether_they_are_equal():
    for text in ("counts", "size"):
        rles: list[dict] = []
        key = Key(text, rles)
        evil: dict[Any, Any] = {key: 1}
        evil.update(GOOD)
        asked = key.n_asked
        rles += [dict(GOOD), evil, dict(GOOD)]
        assert mask.area(rles).tolist() == [2, 2, 2]
        assert mask.toBbox(rles).shape == (3, 4)
        assert mask.iou(rles, rles, [0] * 3).tolist() == [[1.0] * 3] * 3
        assert mask.merge(rles) == GOOD
        assert key.n_asked == asked


def test_nothing_leaks():
    """Neither references nor memory, of answers and of refusals."""
    rles = [{"size": [2, 2], "counts": "2" + "2"} for _ in range(5)]
    bad: list[Any] = [*rles, {"size": [2, 2], "counts": "\ud800"}, Dict(GOOD), None]
    areas, boxes, overlaps = np.empty(5, np.uint32), np.empty((5, 4)), np.empty((5, 5))
    two, box_ious = np.arange(8.0).reshape(2, 4), np.empty((2, 2))
    frame, offsets = np.eye(2, dtype=np.uint8).copy("F"), np.empty(3, np.int64)
    rings = [[1.5, 2, 9.5, 1, 7, 300], [1.25, 2.0, 7.5, 9, 3, 4, 10**30]]
    rings[1].pop()
    watched = [*rings, rings[0][0], rings[0][-1], frame, offsets, areas, rles, bad, *bad[:-1]]
    watched += [*rles[0].values(), *rles[0], *bad[5].values()]

    def use(n: int) -> None:
        for _ in range(n):
            few.areas(rles, areas)
            few.areas(bad, areas)
            few.boxes(rles, boxes)
            few.overlaps(rles, rles, [0, True, 2, -1, 10**30][:5], overlaps)
            few.overlaps(rles, rles, [0, True, 2, -1, 1], overlaps)
            few.merged(rles, True)
            few.merged(rles, False)
            few.merged(bad, False)
            few.outlined(rings, 20, 20, offsets)
            few.outlined([*rings, [1.5] * 5 + [None]], 20, 20, offsets)
            few.compressed([300, 400, 100], 20, 40)
            few.compressed([300, 10**30], 20, 40)
            few.encoded(frame)
            few.encoded(frame.T)
            few.decoded(rles[0], False, frame)
            few.decoded(bad[-2], False, frame)
            few.box_overlaps(two, two.tolist(), [0, 1], box_ious)
            few.box_overlaps([[1.0, 2, 3, None]], two, [0, 1], box_ious)
            few.area(rles[0])
            few.area(bad[-2])
            few.cropped(rles, 0, 1, 2, 1, offsets)
            few.cropped(bad, 0, 1, 2, 1, offsets)

    use(1000)
    gc.collect()
    before = [sys.getrefcount(one) for one in (*watched, True, False)]
    blocks = sys.getallocatedblocks()
    use(12_500)
    gc.collect()
    assert [sys.getrefcount(one) for one in (*watched, True, False)] == before
    assert abs(sys.getallocatedblocks() - blocks) < 50


def test_lists_that_change_while_they_are_read():
    """Threads that shorten, extend and refill what others measure."""
    rles = [dict(GOOD) for _ in range(50)]
    enough = threading.Event()
    others: list[str] = []

    def change() -> None:
        dice = random.Random(2)
        while not enough.is_set():
            rles.append({"size": [2, 2], "counts": "2" + "2"})
            del rles[dice.randrange(len(rles))]
            rles[-1]["counts"] = "".join(["2", "2"])
            if len(rles) > 40 and dice.random() < 0.1:
                del rles[20:]

    def measure() -> None:
        for _ in range(300):
            for call in CALLS.values():
                try:
                    call(rles)
                except MtfastError as error:
                    # One flag too many, or too few.
                    if "iscrowd" not in str(error):
                        others.append(str(error))

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        changing = threading.Thread(target=change)
        measuring = [threading.Thread(target=measure) for _ in range(2)]
        for thread in (changing, *measuring):
            thread.start()
        for thread in measuring:
            thread.join()
        enough.set()
        changing.join()
    finally:
        sys.setswitchinterval(interval)
    assert others == []


def test_too_much_is_left_to_the_plain_way(rng, answers):
    """The GIL is not held for long, and scratch does not overflow."""
    noise = rles_of(rng.integers(0, 2, (400, 900, 2), dtype=np.uint8))
    texts = [len(rle["counts"]) for rle in noise]
    assert texts[0] < MAX_CHARACTERS < sum(texts)
    theirs = [coco.area([rle])[0] for rle in noise]
    assert mask.area(noise[:1]).tolist() == theirs[:1]
    assert answers == [True]
    assert mask.area(noise).tolist() == theirs
    assert mask.merge(noise) == coco.merge(noise)
    np.testing.assert_array_equal(mask.toBbox(noise), coco.toBbox(noise))
    np.testing.assert_array_equal(mask.iou(noise, noise, [0, 1]), coco.iou(noise, noise, [0, 1]))
    many = [GOOD] * (MAX_MASKS + 1)
    assert mask.area(many).tolist() == [2] * len(many)
    assert mask.iou(many[1:], [GOOD], [0]).tolist() == [[1.0]] * MAX_MASKS
    assert answers[1:] == [False] * 6


def test_as_much_as_there_is_room_for(answers):
    """Scratch that is full to its last element."""
    text = b"111" + b"0" * (MAX_CHARACTERS // 64 - 3)
    rle = {"size": [1, len(text)], "counts": text}
    full = [rle] * 64
    assert sum(len(one["counts"]) for one in full) == MAX_CHARACTERS
    areas = mask.area(full).tolist()
    assert areas == [len(text) // 2] * 64
    assert mask.merge(full)["counts"] == mask.merge(full, 1)["counts"] == text
    assert mask.area([*full, GOOD])[-1] == 2
    assert answers[0] is True
    assert answers[1] == answers[2] == text
    assert answers[3] is False
    most = [GOOD] * MAX_MASKS
    assert mask.merge(most) == GOOD
    assert mask.toBbox(most).shape == (MAX_MASKS, 4)
    assert answers[4:] == [b"22", True]


def test_many_pairs_of_long_masks(rng, answers):
    (rle,) = rles_of(rng.integers(0, 2, (60, 60, 1), dtype=np.uint8))
    n = int((MAX_COMPARED / 2 / len(rle["counts"])) ** 0.5)
    assert mask.iou([rle] * n, [rle] * n, [0] * n).shape == (n, n)
    assert mask.iou([rle] * (n + 1), [rle] * (n + 1), [0] * (n + 1)).min() == 1
    assert answers == [True, False]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ((sys.implementation, "name", "pypy"), "pypy"),
        ((builtin, "IS_COMPILED", False), "compile nothing"),
        ((layout, "OBJECT_TYPE", 0), "type of an object"),
        ((layout, "ARRAY_SHAPE", 40), "arrays of numpy"),
        ((layout, "ARRAY_N_DIMENSIONS", 28), "arrays of numpy"),
        ((layout, "ARRAY_DATA", 24), "objects begin with 16 bytes"),
        ((layout, "SCALAR_VALUE", 8), "scalars of numpy"),
        ((reading, "FUNCTIONS", {"PyNothing_AtAll": None}), "no function PyNothing_AtAll"),
    ],
    ids=str,
)
def test_the_plain_way_is_taken_where_objects_are_otherwise(change, message, monkeypatch):
    monkeypatch.setattr(*change)
    found = builtin.problem()
    assert found is not None
    assert message in found
    assert {few._load(name)([GOOD], None) for name in few.__all__} == {False}


def test_a_python_without_its_lock(monkeypatch):
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: False, raising=False)
    assert builtin.problem() == "this Python runs without its lock"


SWITCHED = """
import sys
import mtfast.mask as mask
assert "numba" not in sys.modules
rle = {"size": [2, 2], "counts": b"22"}
assert mask.area([rle]).tolist() == [2]
print("mtfast.kernels.objects.measures" in sys.modules)
"""


@pytest.mark.parametrize(("value", "loaded"), [("0", False), ("1", True), (None, True)])
def test_it_can_be_switched_off(value, loaded):
    variables = {key: text for key, text in os.environ.items() if key != few.SWITCH}
    if value is not None:
        variables[few.SWITCH] = value
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SWITCHED],
        env=variables,
        capture_output=True,
        text=True,
    )
    assert (done.stdout, done.stderr) == (f"{loaded}\n", "")


def test_unknown_names():
    with pytest.raises(AttributeError, match="nothing"):
        few.nothing
