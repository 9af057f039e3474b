"""How one annotation file is made from another: by area, by category, without classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np
from numpy.typing import NDArray

from mtfast.errors import MtfastError
from mtfast.sources.coco.records import Records, edited, fields_of
from mtfast.sources.variants import (
    fullest_variant,
    has_classes,
    is_n_shot,
    threshold_of,
    with_max_category,
    with_threshold,
    without_classes,
)
from mtfast.table import RunTable

__all__ = ["FLAKE", "VariantRule", "areas_in_file_order", "plan_rules"]

Int64 = NDArray[np.int64]

FLAKE = msgspec.Raw(b'{"id":1,"name":"flake"}')
"""The category of class-agnostic files, unless a set has another one."""


@dataclass(frozen=True)
class VariantRule:
    """What the annotation file ``name`` takes from the file ``base``: all of it by default.

    Attributes
    ----------
    name, base : str
        Variants of one split.
    min_area : int, optional
        Only instances larger than this many pixels.
    max_category : int, optional
        Only instances of categories up to this id.
    one_class : bool
        Whether all annotations get one category, the class-agnostic one.
    """

    name: str
    base: str
    min_area: int | None = None
    max_category: int | None = None
    one_class: bool = False

    def choose(self, areas: Int64 | None, category_ids: Int64) -> Int64:
        """Choose the annotations that stay.

        Parameters
        ----------
        areas : (n_annotations,) int64 or None
            Pixels, measured from the RLE, in file order; only needed with ``min_area``.
        category_ids : (n_annotations,) int64

        Returns
        -------
        (n_chosen,) int64
            Positions in the file, ascending.

        Examples
        --------
        >>> rule = VariantRule("annotations_300", "annotations_full", min_area=300)
        >>> rule.choose(np.array([301, 300, 999]), np.array([1, 1, 2])).tolist()
        [0, 2]
        """
        keep = np.ones(category_ids.size, np.bool_)
        if self.min_area is not None and areas is not None:
            keep &= areas > self.min_area
        if self.max_category is not None:
            keep &= category_ids <= self.max_category
        return np.flatnonzero(keep)

    def apply(self, records: Records, areas: Int64 | None, flake: msgspec.Raw = FLAKE) -> bytes:
        """Make the file.

        Parameters
        ----------
        records : Records
            The file ``base``.
        areas : (n_annotations,) int64 or None
            As for :meth:`choose`.
        flake : msgspec.Raw
            The category of class-agnostic files, as JSON.

        Returns
        -------
        bytes
            The text of the new file; what is not changed stays as it is written.
        """
        positions = self.choose(areas, records.annotation_keys.category_ids)
        annotations = [records.annotations[k] for k in positions.tolist()]
        categories = records.categories
        if self.one_class:
            categories = [flake]
            number = fields_of(flake)["id"]
            annotations = [edited(record, category_id=number) for record in annotations]
        elif self.max_category is not None:
            categories = [c for c in categories if fields_of(c)["id"] <= self.max_category]
        return records.encode(annotations=annotations, categories=categories)


def plan_rules(
    variants: Sequence[str],
    *,
    min_areas: Sequence[int] = (),
    max_categories: Sequence[int] = (),
    class_agnostic: bool = False,
) -> dict[str, VariantRule]:
    """Plan which annotation files of a split are made, and from which others.

    ``min_areas`` come first; ``max_categories`` make a file beside every with-class one, old or
    new, and ``class_agnostic`` beside every one of these. A file that is there already is made
    again only if the one that it is made from is.

    Parameters
    ----------
    variants : sequence of str
        Those that are there.
    min_areas, max_categories, class_agnostic
        As for :func:`mtfast.derive_dataset`.

    Returns
    -------
    dict
        Rules by the name of the variant that they make.

    Raises
    ------
    MtfastError
        If no file that is there has all the instances that a new one needs.

    Examples
    --------
    >>> list(plan_rules(["annotations_with_class_full"], min_areas=[300], class_agnostic=True))
    ['annotations_with_class_300', 'annotations_full', 'annotations_300']
    """
    there = [v for v in variants if not is_n_shot(v)]
    classed = [v for v in there if has_classes(v)]
    if (max_categories or class_agnostic) and not classed:
        raise MtfastError(
            f"no annotation file with classes among {', '.join(there) or 'none'}; expected one to "
            f"make files of some classes, or without classes, from; leave out max_categories=[…] "
            f"and class_agnostic=True"
        )
    made: dict[str, VariantRule] = {}
    for pixels in min_areas:
        base = _base_for(pixels, there)
        name = with_threshold(base, pixels)
        made[name] = VariantRule(name, base, pixels)

    def add(rule: VariantRule, wanted: bool, beside: VariantRule) -> None:
        if beside.name in made if rule.name in there else wanted:
            made[rule.name] = rule

    for number in max_categories:
        for rule in _with_class(classed, made):
            if limited := with_max_category(rule.name, number):
                add(replace(rule, name=limited, max_category=number), True, rule)
    for rule in _with_class(classed, made):
        add(replace(rule, name=without_classes(rule.name), one_class=True), class_agnostic, rule)
    return made


def areas_in_file_order(table: RunTable) -> Int64:
    """Measure all instances of a file.

    Parameters
    ----------
    table : RunTable
        All annotations of the file.

    Returns
    -------
    (n_annotations,) int64
        Pixels, in file order.
    """
    # Positions have gaps where bad records were left out.
    areas: Int64 = table.area()[np.argsort(table.positions)]
    return areas


def _with_class(classed: Sequence[str], made: dict[str, VariantRule]) -> list[VariantRule]:
    rules = {name: VariantRule(name, name) for name in classed} | made
    return [rule for rule in rules.values() if has_classes(rule.name)]


def _base_for(pixels: int, variants: Sequence[str]) -> str:
    """Return the most complete variant; MtfastError if it leaves out what is asked for."""
    base = fullest_variant(variants)
    limit = threshold_of(base) if base else None
    if base is None or limit is None or limit > pixels:
        raise MtfastError(
            f"instances larger than {pixels} pixels, but the most complete annotation file is "
            f"{base or 'none'}; expected one with all of them, such as "
            f"annotations_with_class_full; ask for a larger area"
        )
    return base
