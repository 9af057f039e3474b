"""Shipped semantic masks against those that the annotations make, pixel by pixel.

How the masks of a set were painted is rarely written down: from which annotation file, above which
area, which instance shows where two overlap. A :class:`MaskRule` says all three. The masks are
compared with what one rule paints. All rules that could have been meant are tried on every image as
well, so that the masks themselves show which one it was.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from mtfast.dataset import expect_source
from mtfast.errors import SourceError
from mtfast.painting.overlap import Overlap
from mtfast.pictures.sheet import picture_path
from mtfast.progress import Progress, shows_progress
from mtfast.sources import Source
from mtfast.sources.split_names import chosen_splits, expect_one_of
from mtfast.sources.stated import area_differs, bbox_differs, describe_area, describe_bbox
from mtfast.sources.variants import default_variant, has_classes, is_n_shot
from mtfast.verification.compare import ClassPixels, MaskFinding, Tally, class_pixels, compare_masks
from mtfast.verification.mask_rules import MaskRule, SplitMasks

__all__ = ["MaskFinding", "MaskRule", "SplitVerification", "Verification", "verify"]

logger = logging.getLogger(__name__)

MOST_EXAMPLES = 10


@dataclass(frozen=True)
class RuleScore:
    """How well a rule explains the masks of a split.

    Attributes
    ----------
    rule : MaskRule
    n_images : int
        Masks that it paints to the pixel.
    n_pixels : int
        Pixels in which the others differ from it.
    """

    rule: MaskRule
    n_images: int
    n_pixels: int


@dataclass(frozen=True)
class StatedFinding:
    """Annotations of a file whose stated area or box is not that of their RLE.

    Attributes
    ----------
    variant : str
        The file.
    n_area, n_bbox : int
        Annotations with another area, with another box.
    examples : tuple of str
        Some of them, in words.
    """

    variant: str
    n_area: int
    n_bbox: int
    examples: tuple[str, ...]


@dataclass(frozen=True)
class SplitVerification:
    """The masks of a split, compared with what a rule paints.

    Attributes
    ----------
    name : str
    rule : MaskRule
    n_images : int
        Images that the annotations list.
    n_masks : int or None
        Masks that the split ships; None without a folder of them.
    n_equal : int
        Masks that equal what the rule paints.
    n_pixels : int
        Pixels that differ in all masks.
    classes : tuple of ClassPixels
        The same by classes, the most frequent first.
    images : tuple of MaskFinding
    stated : tuple of StatedFinding
    n_telling : int
        Masks that rules paint differently.
    scores : tuple of RuleScore
        All rules, best first.
    """

    name: str
    rule: MaskRule
    n_images: int
    n_masks: int | None
    n_equal: int
    n_pixels: int
    classes: tuple[ClassPixels, ...]
    images: tuple[MaskFinding, ...]
    stated: tuple[StatedFinding, ...]
    n_telling: int
    scores: tuple[RuleScore, ...]


@dataclass(frozen=True)
class Verification:
    """What :func:`verify` found.

    Attributes
    ----------
    path : str
    splits : tuple of SplitVerification
    """

    path: str
    splits: tuple[SplitVerification, ...]

    @property
    def n_findings(self) -> int:
        """Masks and annotations with something wrong."""
        return sum(
            len(split.images) + sum(s.n_area + s.n_bbox for s in split.stated)
            for split in self.splits
        )

    @property
    def n_different(self) -> int:
        """Masks that differ from what the rule paints."""
        return sum(image.kind == "different" for split in self.splits for image in split.images)

    def as_dict(self) -> dict[str, Any]:
        """Return plain dicts, lists, strings and numbers, as docs/verify.schema.json has them."""

        def plain(items: Any) -> dict[str, Any]:
            return {k: v._asdict() if isinstance(v, MaskRule) else v for k, v in items}

        return {"n_findings": self.n_findings, **asdict(self, dict_factory=plain)}


@shows_progress
def verify(
    source: Source | str | os.PathLike[str],
    *,
    splits: Sequence[str] | None = None,
    variant: str | None = None,
    min_area: float | None = None,
    overlap: Overlap = "last",
    picture: str | os.PathLike[str] | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Verification:
    """Regenerate the semantic masks of a dataset and compare them with those it ships.

    Areas and boxes that annotations state are compared with their RLE, too: of a dataset that ships
    no masks these alone.

    Parameters
    ----------
    source : Source or path-like
        A dataset with semantic masks, or with areas and boxes; see :func:`mtfast.open_source`.
    splits : sequence of str, optional
        All by default.
    variant : str, optional
        What masks are painted from; by default what :func:`mtfast.convert` paints from.
    min_area : float, optional
        Only instances larger than this many pixels are painted.
    overlap : {"last", "first", "largest", "smallest"}
        Which instance shows where several overlap.
    picture : path-like, optional
        A .png or .jpg into which the masks that differ most are drawn, differences marked; not
        written if none differs.
    workers : int, optional
        Threads, by default enough to keep all cores busy.
    progress : bool or callable, optional
        True shows the command line's bar; a function is called as (what, done, total).

    Returns
    -------
    Verification
        What differs in each split, and how well every rule explains its masks.

    Raises
    ------
    SourceError, RLEError
        If the dataset has nothing to compare, or its annotations are malformed.
    MtfastError
        If the picture cannot be written.

    Examples
    --------
    >>> found = mtfast.verify("Graphene")
    >>> found.n_findings, found.splits[0].scores[0].rule
    (0, MaskRule(variant='annotations_with_class_200', min_area=0, overlap='last'))
    """
    target = None if picture is None else picture_path(picture)
    opened = expect_source(source)
    names = chosen_splits(opened.splits, splits, opened.name)
    ships_masks = any(opened.mask_names(name) is not None for name in names)
    compared, verified = [], []
    for name in names:
        masks, chosen = _read_split(opened, name, variant, progress)
        compared.append(masks)
        rule = MaskRule(chosen, min_area or 0, overlap)
        logger.info("masks of %s are compared with %s", name, rule)
        verified.append(_verify_split(masks, rule, workers, progress))
    if not (ships_masks or any(map(_states_something, compared))):
        raise SourceError(
            f"nothing to compare in {opened.name}, which ships no semantic masks and states no "
            f"areas and boxes; expected PNGs in a folder such as train_semantic_masks/ of a "
            f"MaskTerial set, or areas and boxes as in COCO; make masks with 'mtfast masks', or "
            f"look for faults with 'mtfast doctor'"
        )
    found = Verification(str(opened.path), tuple(verified))
    if target is not None and found.n_different:
        from mtfast.verification.picture import Difference, draw_differences

        different = [
            Difference(masks, split.rule, finding.image, finding.n_pixels)
            for masks, split in zip(compared, found.splits, strict=True)
            for finding in split.images
            if finding.kind == "different"
        ]
        draw_differences(different, target, opened.name, progress)
    return found


def _read_split(
    source: Source, split: str, variant: str | None, progress: Progress | None
) -> tuple[SplitMasks, str]:
    """Read the annotation files that masks may have been painted from, and pick one of them."""
    known = source.variants(split)
    chosen = variant or default_variant(known)
    expect_one_of(chosen, known, "variant", f"split {split!r} of {source.name}")
    alike = [v for v in known if has_classes(v) == has_classes(chosen)]
    read = dict.fromkeys([chosen, *(v for v in alike if not is_n_shot(v))])
    return SplitMasks.read(source, split, tuple(read), progress), chosen


def _verify_split(
    masks: SplitMasks, rule: MaskRule, workers: int | None, progress: Progress | None
) -> SplitVerification:
    images, names, pairs = masks.images(), masks.mask_names, masks.pairs()
    rules = tuple(dict.fromkeys([rule, *masks.rules()]))
    tally = Tally.empty(len(rules))
    if pairs:
        tally = compare_masks(masks, rules, pairs, workers, progress)
    if names is not None:
        with_image, with_mask = set(pairs.values()), pairs.keys()
        tally.images += [MaskFinding(i, "no mask") for i in images if i not in with_mask]
        tally.images += [MaskFinding(m, "no image") for m in names if m not in with_image]
    scores = [
        RuleScore(*score)
        for score in zip(rules, tally.n_explained.tolist(), tally.n_pixels.tolist(), strict=True)
    ]
    return SplitVerification(
        name=masks.split,
        rule=rule,
        n_images=len(images),
        n_masks=None if names is None else len(names),
        n_equal=scores[0].n_images,
        n_pixels=scores[0].n_pixels,
        classes=class_pixels(tally.classes),
        images=tuple(tally.images),
        stated=tuple(_stated(masks)),
        n_telling=tally.n_telling,
        # The sort is stable: of rules that explain as much, the one that was asked for comes first.
        scores=tuple(sorted(scores, key=lambda score: (-score.n_images, score.n_pixels))),
    )


def _states_something(masks: SplitMasks) -> bool:
    """Whether any annotation states an area or a box, which a RunTable has as NaN otherwise."""
    columns = [c for t in masks.tables.values() for c in (t.stated_area, t.stated_bbox)]
    return any(not np.isnan(column).all() for column in columns)


def _stated(masks: SplitMasks) -> Iterator[StatedFinding]:
    for variant, table in masks.tables.items():
        area, bbox = area_differs(table), bbox_differs(table)
        if area.size or bbox.size:
            words = [describe_area(table, k) for k in area[:MOST_EXAMPLES].tolist()]
            words += [describe_bbox(table, k) for k in bbox[:MOST_EXAMPLES].tolist()]
            yield StatedFinding(variant, area.size, bbox.size, tuple(words))
