"""Weights of rare classes, compared with loops, and what loaders draw by them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mtfast.errors import MtfastError
from mtfast.loaders.classes import ClassLabel, ClassTable
from mtfast.loaders.weights import repeat_factors, weights_by_class

CLASSES = ClassTable([ClassLabel(1, 5, "one"), ClassLabel(2, 6, "two"), ClassLabel(3, 9, "three")])


def test_repeat_factors_are_those_of_lvis(rng):
    counts = (rng.random((200, 5)) < [0.5, 0.1, 0.01, 0.3, 0]) * rng.integers(1, 4, (200, 5))
    threshold = 0.2
    found = repeat_factors(counts, threshold)
    share = [sum(bool(row[k]) for row in counts) / len(counts) for k in range(5)]
    for row, factor in zip(counts, found, strict=True):
        of_classes = [max(1, math.sqrt(threshold / share[k])) for k in range(5) if row[k]]
        assert factor == pytest.approx(max(of_classes, default=1))
    assert repeat_factors(np.empty((0, 3)), 0.5).size == 0
    assert repeat_factors(np.empty((3, 0)), 0.5).tolist() == [1, 1, 1]


def test_weights_by_class():
    counts = [[1, 0, 0], [1, 2, 0], [0, 0, 0], [0, 1, 1]]
    found = weights_by_class(counts, CLASSES, {"two": 4, 3: 0.5})
    assert found.tolist() == [1, 4, 1, 4]
    assert weights_by_class(counts, CLASSES, {"one": 0}).tolist() == [0, 1, 1, 1]
    of_numpy = {np.int64(2): np.float32(4), "three": np.int64(1)}
    assert weights_by_class(counts, CLASSES, of_numpy).tolist() == [1, 4, 1, 4]
    assert repeat_factors([[1]], np.float32(0.5)).tolist() == [1]


@pytest.mark.parametrize("threshold", [0, -1, 1.5, math.nan, "0.5", None])
def test_bad_thresholds(threshold):
    with pytest.raises(MtfastError, match=r"threshold is .*; expected a share above 0"):
        repeat_factors([[1]], threshold)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"tow": 2}, "no class 'tow' in the weights; .*did you mean 'two'"),
        ({4: 2}, "number of a class in the weights is 4; expected an integer from 1 to 3"),
        ({"one": -1}, "the weight of 'one' is -1; expected a number from 0 on"),
        ({"one": math.inf}, "the weight of 'one' is inf"),
        ({"one": "2"}, "the weight of 'one' is '2'"),
    ],
)
def test_bad_weights_of_classes(weights, message):
    with pytest.raises(MtfastError, match=message):
        weights_by_class([[1, 0, 0]], CLASSES, weights)
