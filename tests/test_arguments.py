"""Arguments of callers: which values are accepted, and what is said about others."""

from __future__ import annotations

import numpy as np
import pytest

from mtfast.arguments import Window, as_integer, check_size, check_window, wants_images
from mtfast.errors import MtfastError

BAD_VALUES = [None, "ab", b"", 128.0, np.float32(128), [], {}]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (7, (7, 7)),
        (np.int64(7), (7, 7)),
        (np.array(7, np.uint8), (7, 7)),
        ((1, 2), (1, 2)),
        ([np.int32(3), np.uint16(4)], (3, 4)),
        (np.array([5, 6]), (5, 6)),
        ((1, 1), (1, 1)),
    ],
)
def test_sizes_of_any_integer_type(given, expected):
    size = check_size(given)
    assert size == expected
    assert [type(side) for side in size] == [int, int]


@pytest.mark.parametrize(
    "given",
    [
        *BAD_VALUES,
        0,
        -1,
        (128,),
        (1, 2, 3),
        (1.0, 2),
        [1, [2, 3]],
        (1, np.nan),
        (0, 5),
        (5, -1),
        np.ones((2, 2), np.int64),
        np.array([1.0, 2.0]),
        ["1", "2"],
    ],
)
def test_what_is_no_size(given):
    with pytest.raises(
        MtfastError, match=r"^crop is [^\n]*; expected one side or [^\n]*; correct it$"
    ):
        check_size(given, "crop")


def test_windows_of_any_integer_type():
    for given in ((0, 1, 2, 3), [*map(np.int64, range(4))], np.arange(4, dtype=np.uint8)):
        window = check_window(given, 10, 20)
        assert window == Window(0, 1, 2, 3)
        assert {type(value) for value in window} == {int}


@pytest.mark.parametrize("given", [*BAD_VALUES, (1, 2, 3), (1, 2, 3, 4, 5), (0, 0, 1.0, 1), 5])
def test_what_is_no_window(given):
    with pytest.raises(MtfastError, match=r"^a window [^\n]*; expected four integers; give y, x"):
        check_window(given, 10, 20)


@pytest.mark.parametrize(
    "window", [(0, 0, 10, 20), (9, 19, 1, 1), (0, 19, 10, 1), (9, 0, 1, 20), (3, 4, 5, 6)]
)
def test_windows_up_to_the_edges(window):
    assert check_window(window, 10, 20) == window


@pytest.mark.parametrize(
    "window",
    [
        (-1, 0, 1, 1),
        (0, -1, 1, 1),
        (0, 0, 0, 1),
        (0, 0, 1, 0),
        (0, 0, -1, 1),
        (0, 0, 11, 1),
        (0, 0, 1, 21),
        (10, 0, 1, 1),
        (0, 20, 1, 1),
        (1, 0, 10, 20),
        (0, 1, 10, 20),
        (2**63, 0, 1, 1),
    ],
)
def test_windows_that_leave_the_image(window):
    with pytest.raises(MtfastError, match="inside an image of 10 x 20; move it"):
        check_window(window, 10, 20)


@pytest.mark.parametrize(
    ("bounds", "inside", "outside", "expected"),
    [
        ((), [-(2**70), 0, 5], [], "an integer;"),
        ((1,), [1, 2**70], [0, -1], "an integer of at least 1;"),
        ((-2, 3), [-2, 3], [-3, 4], "an integer from -2 to 3;"),
    ],
)
def test_integers_and_their_bounds(bounds, inside, outside, expected):
    for value in inside:
        assert as_integer("n", value, *bounds) == value
    for value in [*outside, *BAD_VALUES, True, np.True_, "1", 1.0]:
        with pytest.raises(MtfastError, match=f"^n is [^\n]*; expected {expected} correct it$"):
            as_integer("n", value, *bounds)
    assert type(as_integer("n", np.uint8(2), *bounds)) is int


@pytest.mark.parametrize(
    ("given", "expected"),
    [(True, True), (np.False_, False), ("keep", True), ("jpeg", True), ("none", False)],
)
def test_whether_images_are_wanted(given, expected):
    assert wants_images(given) is expected


@pytest.mark.parametrize("given", [None, 0, 1, "", "all", "folder/", ["keep"], {}])
def test_what_does_not_say_whether_images_are_wanted(given):
    with pytest.raises(MtfastError, match=r"^images is [^\n]*; expected True or False, 'keep' or"):
        wants_images(given)
