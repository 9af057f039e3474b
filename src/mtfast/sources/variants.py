"""Which of the annotation variants of a split speaks for it."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["area_limit", "default_variant", "is_n_shot", "taken_from", "without_classes"]

_NAME = re.compile(r"annotations_(?:with_class_)?(?:(\d+)|full)")


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
        limit = area_limit(variant)
        threshold = 1 << 62 if limit is None else limit
        return (
            is_n_shot(variant),
            "with_class" not in variant,
            _NAME.fullmatch(variant) is None,
            # Thresholds below 200 come after all others.
            threshold if threshold >= 200 else 2 << 62,
            variant,
        )

    return min(variants, key=rank)


def area_limit(variant: str) -> int | None:
    """Return the smallest area in pixels that the name of a variant speaks of, if it does.

    Examples
    --------
    >>> area_limit("annotations_with_class_300"), area_limit("annotations_with_class_full")
    (300, None)
    """
    match = _NAME.fullmatch(variant)
    return int(match[1]) if match and match[1] else None


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
