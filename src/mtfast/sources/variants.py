"""Which of the annotation variants of a split speaks for it."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["default_variant", "is_n_shot"]


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
        match = re.fullmatch(r"annotations_(?:with_class_)?(?:(\d+)|full)", variant)
        threshold = int(match[1]) if match and match[1] else 1 << 62
        return (
            is_n_shot(variant),
            "with_class" not in variant,
            match is None,
            # Thresholds below 200 come after all others.
            threshold if threshold >= 200 else 2 << 62,
            variant,
        )

    return min(variants, key=rank)


def is_n_shot(variant: str) -> bool:
    """Whether a variant is one of the n-shot subsets, such as "5_shot/run_3/annotations_300"."""
    return "_shot/" in variant
