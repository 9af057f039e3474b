"""Which of the annotation variants of a split speaks for it."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = [
    "default_variant",
    "fullest_variant",
    "has_classes",
    "is_n_shot",
    "taken_from",
    "threshold_of",
    "without_classes",
]


def default_variant(variants: Sequence[str]) -> str:
    """Pick the variant that semantic masks are painted from.

    The with-class ``_200`` one, from which the masks of the published sets were made; else the
    with-class one with the next larger threshold, ``_full`` last; else a class-agnostic one.

    Examples
    --------
    >>> default_variant(["annotations_300", "annotations_with_class_300",
    ...                  "annotations_with_class_full"])
    'annotations_with_class_300'
    """

    def rank(variant: str) -> tuple[bool, bool, bool, int, str]:
        threshold = threshold_of(variant)
        # `_full` comes after all thresholds but those below 200.
        place = 1 << 62 if threshold == 0 else threshold or 0
        return (
            is_n_shot(variant),
            not has_classes(variant),
            threshold is None,
            place if place >= 200 else 2 << 62,
            variant,
        )

    return min(variants, key=rank)


def fullest_variant(variants: Sequence[str]) -> str | None:
    """Pick the variant that leaves out the fewest instances; None if no name states a threshold.

    With classes if there are such, ``_full`` before any number.

    Examples
    --------
    >>> fullest_variant(["annotations_100", "annotations_with_class_300_max_10",
    ...                  "annotations_with_class_300", "annotations_with_class_200"])
    'annotations_with_class_200'
    """
    limits = {v: limit for v in variants if (limit := threshold_of(v)) is not None}
    return min(limits, key=lambda v: (not has_classes(v), limits[v]), default=None)


def threshold_of(variant: str) -> int | None:
    """Return the minimum area that a variant's name states, 0 for ``_full``; None for others.

    Examples
    --------
    >>> threshold_of("annotations_with_class_300"), threshold_of("annotations_full")
    (300, 0)
    >>> threshold_of("annotations_300_max_10")
    """
    match = re.fullmatch(r"annotations_(?:with_class_)?(?:(\d+)|full)", variant)
    return int(match[1] or 0) if match else None


def has_classes(variant: str) -> bool:
    """Whether the name of a variant says that its categories are classes."""
    return "with_class" in variant


def is_n_shot(variant: str) -> bool:
    """Whether a variant is one of the n-shot subsets, such as "5_shot/run_3/annotations_300"."""
    return "_shot/" in variant


def taken_from(variant: str) -> str:
    """Name of the variant that an n-shot subset was taken from, if it is one.

    Examples
    --------
    >>> taken_from("5_shot/run_3/annotations_300")
    'annotations_300'
    """
    return variant.rpartition("/")[2]


def without_classes(variant: str) -> str:
    """Name of the class-agnostic variant with the annotations of a variant.

    Examples
    --------
    >>> without_classes("5_shot/run_3/annotations_with_class_300")
    '5_shot/run_3/annotations_300'
    """
    return variant.replace("with_class_", "")
