"""What the painter of many images refuses."""

from __future__ import annotations

import numpy as np
import pytest

import naive
from mtfast.kernels.frames.paint import paint_images

TEXT = naive.text_of_counts([1, 2, 3])


@pytest.mark.parametrize("value", [-1, 256, 2**40, -(2**40)])
def test_a_value_that_does_not_fit(value):
    """The instance is named, and the frame of its image stays as it was."""
    assert painted([1, value])[0] == 1
    assert painted([1, value])[1] == [9] * 6
    assert painted([255, 0])[0] == -1


def test_a_bad_text():
    n, frame = painted([1, 2], b"p")
    assert (n, frame) == (1, [9] * 6)


def painted(values: list[int], second: bytes = TEXT) -> tuple[int, list[int]]:
    text = np.frombuffer(TEXT + second, np.uint8)
    frame = np.full(6, 9, np.uint8)
    n = paint_images(
        text,
        np.array([0, len(TEXT), text.size]),
        np.array([0, 2]),
        np.array(values),
        2,
        255,
        np.empty(text.size, np.int64),
        np.empty(2, np.int64),
        frame,
    )
    return n, frame.tolist()
