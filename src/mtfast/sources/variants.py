"""What the name of an annotation variant says, and which variant speaks for a split.

::

    [{n}_shot/run_{r}/]annotations[_with_class][_{min_area}|_full][_max_{category}]

====================  ======================================================================
``{n}_shot/run_{r}``  a subset that has n instances of each class, or more
``_with_class``       categories are classes; without it, one category stands for all of them
``_{min_area}``       only instances larger than that many pixels
``_full``             all instances
``_max_{category}``   only instances of categories up to that id
====================  ======================================================================

The single variant of datasets without variants is called ``annotations``, whatever its categories.
No other module takes a name apart.

Source: the MaskTerial data sets, https://zenodo.org/records/15765514.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence

__all__ = [
    "default_variant",
    "fullest_variant",
    "has_classes",
    "is_n_shot",
    "taken_from",
    "threshold_of",
    "with_max_category",
    "with_threshold",
    "without_classes",
]

logger = logging.getLogger(__name__)

# The published masks were painted from the instances larger than this.
_OF_PUBLISHED_MASKS = 200
_LAST = 1 << 62


def default_variant(variants: Sequence[str]) -> str:
    """Pick the variant that semantic masks are painted from.

    The with-class ``_200`` one, from which the masks of the published sets were made; else the
    with-class one with the next larger threshold, ``_full`` last; else a class-agnostic one.

    Parameters
    ----------
    variants : sequence of str
        Those of a split, at least one.

    Returns
    -------
    str
        One of them.

    Examples
    --------
    >>> default_variant(["annotations_300", "annotations_with_class_300",
    ...                  "annotations_with_class_full"])
    'annotations_with_class_300'
    """

    def rank(variant: str) -> tuple[bool, bool, bool, int, str]:
        threshold = threshold_of(variant)
        # `_full` comes after all thresholds but those below that of the published masks.
        place = _LAST if threshold == 0 else threshold or 0
        return (
            is_n_shot(variant),
            not has_classes(variant),
            threshold is None,
            place if place >= _OF_PUBLISHED_MASKS else 2 * _LAST,
            variant,
        )

    chosen = min(variants, key=rank)
    if len(variants) > 1:
        logger.info("%s chosen by default, of %d annotation files", chosen, len(variants))
    return chosen


def fullest_variant(variants: Sequence[str]) -> str | None:
    """Pick the variant that leaves out the fewest instances.

    Parameters
    ----------
    variants : sequence of str

    Returns
    -------
    str or None
        One with classes if there are such, ``_full`` before any number; None if no name states a
        threshold.

    Examples
    --------
    >>> fullest_variant(["annotations_100", "annotations_with_class_300_max_10",
    ...                  "annotations_with_class_300", "annotations_with_class_200"])
    'annotations_with_class_200'
    """
    limits = {v: limit for v in variants if (limit := threshold_of(v)) is not None}
    return min(limits, key=lambda v: (not has_classes(v), limits[v]), default=None)


def threshold_of(variant: str) -> int | None:
    """Return the area that the instances of a variant exceed.

    Parameters
    ----------
    variant : str

    Returns
    -------
    int or None
        Pixels, 0 for ``_full``. None for names that state no threshold, and for those of variants
        that leave out more than small instances: n-shot subsets and ``_max_…``.

    Examples
    --------
    >>> threshold_of("annotations_with_class_300"), threshold_of("annotations_full")
    (300, 0)
    >>> threshold_of("annotations_300_max_10")
    """
    match = re.fullmatch(r"annotations_(?:with_class_)?(?:(\d+)|full)", variant)
    return int(match[1] or 0) if match else None


def with_threshold(variant: str, min_area: int) -> str:
    """Name the variant of the instances of another one that are larger than an area.

    Parameters
    ----------
    variant : str
        One whose name states a threshold; see :func:`threshold_of`.
    min_area : int
        Pixels.

    Returns
    -------
    str

    Examples
    --------
    >>> with_threshold("annotations_with_class_full", 300)
    'annotations_with_class_300'
    """
    return re.sub(r"(\d+|full)$", str(min_area), variant)


def with_max_category(variant: str, category: int) -> str | None:
    """Name the variant of the instances of another one whose category is not above an id.

    Parameters
    ----------
    variant : str
    category : int

    Returns
    -------
    str or None
        None if that one has such a limit already.

    Examples
    --------
    >>> with_max_category("annotations_300", 10)
    'annotations_300_max_10'
    >>> with_max_category("annotations_300_max_10", 4)
    """
    return None if "_max_" in taken_from(variant) else f"{variant}_max_{category}"


def has_classes(variant: str) -> bool:
    """Whether the name of a variant says that its categories are classes.

    Parameters
    ----------
    variant : str

    Returns
    -------
    bool

    Examples
    --------
    >>> has_classes("annotations_with_class"), has_classes("annotations")
    (True, False)
    """
    return "_with_class" in taken_from(variant)


def without_classes(variant: str) -> str:
    """Name the class-agnostic variant that has the annotations of a variant.

    Parameters
    ----------
    variant : str

    Returns
    -------
    str
        The same name if that one is class-agnostic.

    Examples
    --------
    >>> without_classes("5_shot/run_3/annotations_with_class_300")
    '5_shot/run_3/annotations_300'
    >>> without_classes("annotations_with_class")
    'annotations'
    """
    folder, slash, name = variant.rpartition("/")
    return f"{folder}{slash}{name.replace('_with_class', '')}"


def is_n_shot(variant: str) -> bool:
    """Whether a variant is an n-shot subset.

    Parameters
    ----------
    variant : str

    Returns
    -------
    bool

    Examples
    --------
    >>> is_n_shot("5_shot/run_3/annotations_300"), is_n_shot("annotations_300")
    (True, False)
    """
    return "_shot/" in variant


def taken_from(variant: str) -> str:
    """Name the variant that an n-shot subset was taken from.

    Parameters
    ----------
    variant : str

    Returns
    -------
    str
        The same name if it is no n-shot subset.

    Examples
    --------
    >>> taken_from("5_shot/run_3/annotations_300")
    'annotations_300'
    """
    return variant.rpartition("/")[2]
