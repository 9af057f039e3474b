"""Names of annotation variants: what they say, and which one speaks for a split."""

from __future__ import annotations

import logging
import random

import pytest

from mtfast.sources.variants import (
    default_variant,
    fullest_variant,
    has_classes,
    is_n_shot,
    taken_from,
    threshold_of,
    with_max_category,
    with_threshold,
    without_classes,
)

# name, whether it has classes, threshold, the class-agnostic name, whether it is an n-shot subset
NAMES = [
    ("annotations", False, None, "annotations", False),
    ("annotations_with_class", True, None, "annotations", False),
    ("annotations_300", False, 300, "annotations_300", False),
    ("annotations_0", False, 0, "annotations_0", False),
    ("annotations_full", False, 0, "annotations_full", False),
    ("annotations_with_class_full", True, 0, "annotations_full", False),
    ("annotations_with_class_200", True, 200, "annotations_200", False),
    ("annotations_with_class_300_max_10", True, None, "annotations_300_max_10", False),
    ("annotations_old", False, None, "annotations_old", False),
    ("5_shot/run_3/annotations_300", False, None, "5_shot/run_3/annotations_300", True),
    ("5_shot/run_3/annotations_with_class_300", True, None, "5_shot/run_3/annotations_300", True),
    # Only the last part of a name is about the file.
    ("tests_with_class/annotations_300", False, None, "tests_with_class/annotations_300", False),
]


@pytest.mark.parametrize(("name", "classes", "threshold", "agnostic", "n_shot"), NAMES)
def test_what_a_name_says(name, classes, threshold, agnostic, n_shot):
    assert has_classes(name) is classes
    assert threshold_of(name) == threshold
    assert without_classes(name) == agnostic
    assert is_n_shot(name) is n_shot
    assert taken_from(name) == name.split("/")[-1]
    assert not has_classes(without_classes(name))


def test_new_names_are_read_back():
    assert with_threshold("annotations_300", 45) == "annotations_45"
    assert threshold_of(with_threshold("annotations_with_class_full", 700)) == 700
    limited = with_max_category("annotations_with_class_300", 4)
    assert limited == "annotations_with_class_300_max_4"
    assert with_max_category(limited, 3) is None
    assert with_max_category("1_max_2/annotations_300", 4) == "1_max_2/annotations_300_max_4"


def test_the_default_is_the_one_of_the_published_masks_or_what_comes_next():
    order = [
        *(f"annotations_with_class_{px}" for px in (200, 201, 300, "full", 0, 100, 199)),
        *("annotations_with_class", "annotations_with_class_300_max_10"),
        *("annotations_200", "annotations_500", "annotations_full", "annotations"),
        *("1_shot/run_0/annotations_with_class_200", "1_shot/run_0/annotations_200"),
    ]
    # 0 and _full mean the same, and such names are sorted.
    order[3:5] = sorted(order[3:5])
    for n in range(1, len(order)):
        rest = order[-n:]
        random.Random(n).shuffle(rest)
        assert default_variant(rest) == order[-n], rest


def test_the_fullest_variant():
    order = [
        *("annotations_with_class_full", "annotations_with_class_100"),
        *("annotations_with_class_300", "annotations_full", "annotations_100"),
    ]
    others = ["annotations", "annotations_with_class_50_max_3", "5_shot/run_0/annotations_full"]
    for n in range(1, len(order) + 1):
        assert fullest_variant([*others, *reversed(order[-n:])]) == order[-n]
    assert fullest_variant(others) is None


def test_the_choice_is_logged_where_there_is_one(caplog):
    with caplog.at_level(logging.INFO, "mtfast"):
        default_variant(["annotations"])
        assert not caplog.messages
        default_variant(["annotations_300", "annotations_with_class_200"])
    assert caplog.messages == [
        "annotations_with_class_200 chosen by default, of 2 annotation files"
    ]
