"""Compares shipped masks with those that rules paint, many at a time on all cores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mtfast.errors import SourceError
from mtfast.painting.overlap import PAINT_ORDERS, Overlap
from mtfast.painting.paint import semantic
from mtfast.parallel import run_jobs
from mtfast.progress import Progress, track
from mtfast.verification.mask_rules import MaskRule, SplitMasks

__all__ = ["ClassPixels", "MaskFinding", "Tally", "class_pixels", "compare_masks"]

Int64 = NDArray[np.int64]

# A mask takes 10 ms to decode: with this many, the overhead of a job does not show.
IMAGES_PER_JOB = 16
# Pairs of classes kept for one mask; the sums are of all pairs.
MOST_PAIRS = 32


@dataclass(frozen=True)
class ClassPixels:
    """Pixels that are of one class in the shipped mask and of another in the regenerated one.

    Attributes
    ----------
    shipped, regenerated : int
        Category ids, 0 for the background.
    n_pixels : int
    """

    shipped: int
    regenerated: int
    n_pixels: int


@dataclass(frozen=True)
class MaskFinding:
    """What is wrong with one mask.

    Attributes
    ----------
    image : str
        Name of the image; of the mask, where there is no image.
    kind : str
    detail : str
        More in words, where there is more to say.
    n_pixels : int
        Pixels that differ.
    classes : tuple of ClassPixels
        The same by classes, the most frequent first.
    """

    image: str
    kind: Literal["different", "no mask", "no image", "other size", "unreadable"]
    detail: str = ""
    n_pixels: int = 0
    classes: tuple[ClassPixels, ...] = ()


@dataclass
class Tally:
    """What comparing some masks has shown.

    Attributes
    ----------
    n_explained : (n_rules,) int64
        Masks that a rule paints to the pixel.
    n_pixels : (n_rules,) int64
        Pixels in which the others differ from it.
    n_telling : int
        Masks that rules paint differently.
    classes : Counter
        Pixels that differ from the first rule, by (shipped, regenerated) class.
    images : list of MaskFinding
        What is wrong by the first rule.
    """

    n_explained: Int64
    n_pixels: Int64
    n_telling: int = 0
    classes: Counter[tuple[int, int]] = field(default_factory=Counter)
    images: list[MaskFinding] = field(default_factory=list)

    @classmethod
    def empty(cls, n_rules: int) -> Tally:
        """Make a tally of no masks.

        Parameters
        ----------
        n_rules : int

        Returns
        -------
        Tally
        """
        return cls(np.zeros(n_rules, np.int64), np.zeros(n_rules, np.int64))

    def add(self, other: Tally) -> None:
        """Add what comparing other masks has shown.

        Parameters
        ----------
        other : Tally
            Of the same rules.
        """
        self.n_explained += other.n_explained
        self.n_pixels += other.n_pixels
        self.n_telling += other.n_telling
        self.classes += other.classes
        self.images += other.images


@dataclass(frozen=True)
class _Job:
    masks: SplitMasks
    rules: tuple[MaskRule, ...]
    pairs: Sequence[tuple[str, str]]


def compare_masks(
    masks: SplitMasks,
    rules: tuple[MaskRule, ...],
    pairs: Mapping[str, str],
    workers: int | None,
    progress: Progress | None,
) -> Tally:
    """Compare shipped masks with what every rule paints; findings are those of the first rule.

    Parameters
    ----------
    masks : SplitMasks
    rules : tuple of MaskRule
        The one that findings are of, then others that are only scored. Those that differ in their
        overlap alone stand next to each other.
    pairs : mapping
        Name of the mask of each image, at least one.
    workers : int or None
        Threads.
    progress : callable or None
        Called as (what, done, total).

    Returns
    -------
    Tally
        With findings in the order of ``pairs``.
    """
    listed = list(pairs.items())
    jobs = [
        _Job(masks, rules, listed[start : start + IMAGES_PER_JOB])
        for start in range(0, len(listed), IMAGES_PER_JOB)
    ]
    what = f"comparing masks of {masks.split}"
    # Threads: the PNG decoder and the kernels release the GIL.
    with run_jobs(_compare_some, jobs, "compare-masks", "threads", workers) as results:
        compared = track(results, what, progress, len(pairs), lambda r: len(jobs[r[0]].pairs))
        tallies = dict(compared)
    total = Tally.empty(len(rules))
    for number in range(len(jobs)):
        total.add(tallies[number])
    return total


def _compare_some(job: _Job) -> Tally:
    tally = Tally.empty(len(job.rules))
    for image, mask in job.pairs:
        if finding := _compare_one(job, image, mask, tally):
            tally.images.append(finding)
    return tally


def _compare_one(job: _Job, image: str, mask: str, tally: Tally) -> MaskFinding | None:
    try:
        shipped = job.masks.shipped(mask)
    except SourceError as error:
        return MaskFinding(image, "unreadable", str(error))
    painted = job.masks.regenerate(image, job.rules[0])
    if shipped.shape != painted.shape:
        (h, w), (height, width) = shipped.shape, painted.shape
        return MaskFinding(image, "other size", f"{h} x {w}; expected {height} x {width}")
    n_pixels = _count_differing(job, image, shipped)
    tally.n_explained += n_pixels == 0
    tally.n_pixels += n_pixels
    tally.n_telling += int(n_pixels.min() < n_pixels.max())
    if not n_pixels[0]:
        return None
    classes = _classes_that_differ(shipped, painted)
    tally.classes += classes
    pixels = int(n_pixels[0])
    return MaskFinding(image, "different", "", pixels, class_pixels(classes)[:MOST_PAIRS])


def _count_differing(job: _Job, image: str, shipped: NDArray[Any]) -> Int64:
    """Count the pixels in which a shipped mask is not what each rule paints.

    Most rules paint the same instances and most instances do not overlap: then one painting counts
    for all of them.
    """
    counted: dict[tuple[bytes, ...], dict[Overlap, int]] = {}
    out = np.empty(len(job.rules), np.int64)
    # Allocating a frame for each of some twenty paintings takes longer than painting it.
    frame = np.empty((1, *shipped.shape), job.masks.dtype)
    flags = np.empty(shipped.shape, np.bool_)
    for selection, rules in groupby(enumerate(job.rules), lambda rule: rule[1][:2]):
        table = job.masks.instances(image, *selection)
        columns = (table.rle, table.rle_offsets, table.category_ids)
        by_overlap = counted.setdefault(tuple(column.tobytes() for column in columns), {})
        for number, rule in rules:
            if rule.overlap not in by_overlap:
                painted = semantic(table, frame, rule.overlap)[0]
                n = int(np.count_nonzero(np.not_equal(painted, shipped, out=flags)))
                alike: tuple[Overlap, ...] = (rule.overlap,)
                if not by_overlap:
                    n_covered = np.count_nonzero(np.not_equal(painted, 0, out=flags))
                    alike = PAINT_ORDERS if n_covered == table.area().sum() else alike
                by_overlap |= dict.fromkeys(alike, n)
            out[number] = by_overlap[rule.overlap]
    return out


def _classes_that_differ(shipped: NDArray[Any], painted: NDArray[Any]) -> Counter[tuple[int, int]]:
    differ = shipped != painted
    pairs = shipped[differ].astype(np.int64) << 32 | painted[differ]
    found, n = np.unique(pairs, return_counts=True)
    return Counter(
        {
            (pair >> 32, pair & 0xFFFFFFFF): k
            for pair, k in zip(found.tolist(), n.tolist(), strict=True)
        }
    )


def class_pixels(classes: Counter[tuple[int, int]]) -> tuple[ClassPixels, ...]:
    """Sort counted pairs of classes.

    Parameters
    ----------
    classes : Counter
        Pixels of each (shipped, regenerated) class.

    Returns
    -------
    tuple of ClassPixels
        The most frequent first.
    """
    return tuple(ClassPixels(*pair, n) for pair, n in classes.most_common())
