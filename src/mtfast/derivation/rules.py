"""How one annotation file comes out of another: by area, by category, without classes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np
from numpy.typing import NDArray

from mtfast.errors import MtfastError
from mtfast.sources.coco.records import Records, edited, fields_of
from mtfast.sources.variants import fullest_variant, has_classes, is_n_shot, threshold_of
from mtfast.table import RunTable

__all__ = ["FLAKE", "Rule", "areas_in_file_order", "one_class_name", "plan_rules"]

Int64 = NDArray[np.int64]

FLAKE = msgspec.Raw(b'{"id":1,"name":"flake"}')


@dataclass(frozen=True)
class Rule:
    """What annotation file ``name`` takes of the file ``base``, None meaning all of it.

    Attributes
    ----------
    min_area : int, optional
        Pixels that an instance has to exceed, or with ``at_least`` to have.
    max_category : int, optional
        The highest category that stays.
    one_class : bool
        Whether all annotations get one category, the class-agnostic one.
    """

    name: str
    base: str
    min_area: int | None = None
    at_least: bool = False
    max_category: int | None = None
    one_class: bool = False

    def choose(self, areas: Int64 | None, category_ids: Int64) -> Int64:
        """Return the positions, ascending, of the annotations that stay.

        Parameters
        ----------
        areas : (n_annotations,) int64
            Measured, in pixels and file order; None will do where there is no ``min_area``.
        category_ids : (n_annotations,) int64
        """
        keep = np.ones(category_ids.size, np.bool_)
        if self.min_area is not None and areas is not None:
            keep &= areas >= self.min_area if self.at_least else areas > self.min_area
        if self.max_category is not None:
            keep &= category_ids <= self.max_category
        return np.flatnonzero(keep)

    def apply(self, records: Records, areas: Int64 | None, flake: msgspec.Raw = FLAKE) -> bytes:
        """Write the file; ``flake`` is the category of class-agnostic ones."""
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
    at_least: bool = False,
    max_categories: Sequence[int] = (),
    class_agnostic: bool = False,
) -> dict[str, Rule]:
    """Say which annotation files of a split have to be made, and from which others.

    ``min_areas`` come first; ``max_categories`` make a file beside every with-class one, old or
    new, and ``class_agnostic`` beside every one of these. A file that is there is made again only
    if the one that it comes from is.

    Parameters
    ----------
    variants : sequence of str
        Those that are there.

    Returns
    -------
    dict
        Rules by the name of what they make.

    Raises
    ------
    MtfastError
        If no file that is there holds all that a new one needs.

    Examples
    --------
    >>> list(plan_rules(["annotations_with_class_full"], min_areas=[300], class_agnostic=True))
    ['annotations_with_class_300', 'annotations_full', 'annotations_300']
    """
    there = [v for v in variants if not is_n_shot(v)]
    classed = [v for v in there if has_classes(v)]
    if (max_categories or class_agnostic) and not classed:
        raise MtfastError(
            f"no annotations with classes among {', '.join(there) or 'none'}; expected some for "
            f"files of certain classes or without them; leave out --max-category and "
            f"--class-agnostic"
        )
    made: dict[str, Rule] = {}
    for pixels in min_areas:
        base = _base_for(pixels, at_least, there)
        name = re.sub(r"(\d+|full)$", str(pixels), base)
        made[name] = Rule(name, base, pixels, at_least)

    def add(rule: Rule, wanted: bool, beside: Rule) -> None:
        if beside.name in made if rule.name in there else wanted:
            made[rule.name] = rule

    for number in max_categories:
        for rule in _with_class(classed, made):
            if "_max_" not in rule.name:
                name = f"{rule.name}_max_{number}"
                add(replace(rule, name=name, max_category=number), True, rule)
    for rule in _with_class(classed, made):
        name = one_class_name(rule.name)
        add(replace(rule, name=name, one_class=True), class_agnostic, rule)
    return made


def one_class_name(variant: str) -> str:
    """Return the name of the class-agnostic file beside a with-class one."""
    return variant.replace("_with_class", "")


def areas_in_file_order(table: RunTable) -> Int64:
    """Measure all instances of a table of a whole file, (n_annotations,) int64 pixels."""
    areas = np.empty(table.n_instances, np.int64)
    areas[table.positions] = table.area()
    return areas


def _with_class(classed: Sequence[str], made: dict[str, Rule]) -> list[Rule]:
    rules = {name: Rule(name, name) for name in classed} | made
    return [rule for rule in rules.values() if has_classes(rule.name)]


def _base_for(pixels: int, at_least: bool, variants: Sequence[str]) -> str:
    """Return the most complete variant; MtfastError if it leaves out what is asked for."""
    base = fullest_variant(variants)
    limit = threshold_of(base) if base else None
    # The file of a threshold holds what is above it, and perhaps not what is equal to it.
    if base is None or limit is None or limit > pixels or (at_least and limit == pixels > 0):
        raise MtfastError(
            f"a minimum area of {pixels} pixels, and {base or 'no file'} is the most complete; "
            f"expected one with all these instances, such as annotations_with_class_full; "
            f"ask for a larger area"
        )
    return base
