"""What a conversion reads before it writes: the annotations of a split, checked as a whole."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from mtfast.conversion.image_checks import ImageChecks, ImageFault, find_faults
from mtfast.errors import SourceError, no_such
from mtfast.painting.paint import semantic_dtype
from mtfast.paths import base_name, stem_of
from mtfast.progress import Progress, track
from mtfast.sources import Source
from mtfast.sources.bad_records import NAME_FOLDER, TOO_LARGE, BadRecords, Ledger, refusal
from mtfast.sources.categories import classes_that_differ
from mtfast.sources.stated import annotation_name
from mtfast.sources.variants import default_variant
from mtfast.store import schema
from mtfast.store.mask_grid import MaskGrid
from mtfast.store.writing.annotations import SharedAnnotations, VariantTable, align, share
from mtfast.table import RunTable

__all__ = ["SplitInput", "read_splits", "refusal_of_files"]

logger = logging.getLogger(__name__)

MOST_CATEGORIES = 65535


@dataclass(frozen=True)
class SplitInput:
    """All that is known of a split before anything is written.

    Attributes
    ----------
    name : str
    names : tuple of str
        File names of its images: the union over the variants, in the order of the first that lists
        each.
    grid : MaskGrid
        How their masks share an array.
    longest : int
        Bytes of the longest image file; 0 without images.
    set_names : tuple of str
        Exfoliation run of each image; empty where it is not known.
    sets : tuple of str
        All runs.
    semantic_variant : str
        What masks are painted from.
    semantic_dtype : numpy dtype
    table : RunTable
        The instances of that variant, for exactly the images ``names``.
    annotations : SharedAnnotations
        All annotation files.
    digests : dict
        File -> what differs where its content does.
    has_images : bool
        Whether image files are stored.
    findings : tuple of BadRecords
        What was skipped, repaired, mapped or counted.
    """

    name: str
    names: tuple[str, ...]
    grid: MaskGrid
    longest: int
    set_names: tuple[str, ...]
    sets: tuple[str, ...]
    semantic_variant: str
    semantic_dtype: np.dtype[Any]
    table: RunTable
    annotations: SharedAnnotations
    digests: dict[str, str]
    has_images: bool
    findings: tuple[BadRecords, ...]


@dataclass
class _Annotations:
    """The annotation files of a split, and what they say of its images together.

    Attributes
    ----------
    painted : RunTable
        Of the variant that masks are painted from.
    shared : SharedAnnotations
    digests : dict
        File -> that of its table.
    findings : list of BadRecords
    sizes : dict
        Name -> height and width of each image, by the first file that lists it.
    disagreements : dict
        Name -> the sizes of an image of which files disagree, in words.
    """

    name: str
    semantic_variant: str
    painted: RunTable = field(init=False)
    shared: SharedAnnotations = field(init=False)
    digests: dict[str, str] = field(default_factory=dict)
    findings: list[BadRecords] = field(default_factory=list)
    sizes: dict[str, tuple[int, int]] = field(default_factory=dict)
    disagreements: dict[str, str] = field(default_factory=dict)

    @property
    def faults(self) -> list[ImageFault]:
        """The images that cannot be stored, whatever their files are."""
        return [
            ImageFault(self.name, name, "sizes disagree", words)
            for name, words in self.disagreements.items()
        ]

    def note(self, file: str, table: RunTable) -> None:
        """Take in what an annotation file says of its images."""
        self.digests[file] = table.digest()
        sides = zip(table.heights.tolist(), table.widths.tolist(), strict=True)
        for name, size in zip(table.names.tolist(), sides, strict=True):
            known = self.sizes.setdefault(name, size)
            if known != size:
                (a, b), (c, d) = sorted((known, size))
                self.disagreements.setdefault(name, f"{name}: {a} x {b} and {c} x {d}")
            if max(size) > schema.LARGEST_SIDE:
                raise SourceError(
                    f"image {name!r} is {size[0]} x {size[1]} pixels; expected at most "
                    f"{schema.LARGEST_SIDE} on either side; correct its size in the annotations"
                )


def read_splits(
    source: Source,
    splits: Sequence[str] | None,
    variant: str | None,
    checks: ImageChecks | None,
    workers: int | None,
    progress: Progress | None,
) -> list[SplitInput]:
    """Read all annotation files of some splits and make sure that they fit together.

    Parameters
    ----------
    source : Source
        With ``bad`` "skip", images that cannot be stored are left out; otherwise they are refused.
    splits : sequence of str, optional
        By default all that list images.
    variant : str, optional
        What the masks are painted from; by default that of
        :func:`mtfast.sources.variants.default_variant`.
    checks : ImageChecks or None
        What is asked of image files; None if they are not stored.
    workers : int, optional
        Threads, where image files have to be read.
    progress : callable, optional
        Called as (what, done, total).

    Returns
    -------
    list of SplitInput

    Raises
    ------
    SourceError, RLEError
        If there is no such variant, a file is malformed, or images are refused; the message counts
        these by kind.
    """
    named = splits or source.splits
    read = [_read_annotations(source, split, variant, checks, progress) for split in named]
    if not splits:
        # Exports of tools have a split for nothing, such as a test split without images.
        read = _with_images(read)
    _tell_of_classes(read)
    faults = [fault for split in read for fault in split.faults]
    if checks and (faults or source.bad == "skip" or _some_missing(source, read)):
        faults += _faults_of_files(source, read, checks, workers, progress)
    left_out = _settle(source, faults)
    return [_split_input(source, split, left_out.get(split.name, ()), checks) for split in read]


def _tell_of_classes(read: Sequence[_Annotations]) -> None:
    """Say where a class number does not mean the same in all splits."""
    found = classes_that_differ({split.name: split.painted.categories for split in read})
    for id_, names in found.items():
        where = ", ".join(f"{name!r} in {split}" for split, name in names)
        logger.warning("class %d is %s: what is trained on one is tested on another", id_, where)


def refusal_of_files(
    source: Source,
    inputs: Sequence[SplitInput],
    checks: ImageChecks,
    workers: int | None,
    progress: Progress | None,
) -> None:
    """Check all image files, and raise the error that counts those that cannot be stored.

    Parameters
    ----------
    source : Source
    inputs : sequence of SplitInput
        One of whose images turned out to be bad.
    checks, workers, progress
        As for :func:`read_splits`.

    Raises
    ------
    SourceError
        If any is bad.
    """
    faults: list[ImageFault] = []
    for split in inputs:
        sides = zip(split.table.heights.tolist(), split.table.widths.tolist(), strict=True)
        sizes = list(zip(split.names, sides, strict=True))
        faults += find_faults(source, split.name, sizes, checks, workers, progress)
    _settle(source, faults)


def _read_annotations(
    source: Source,
    split: str,
    variant: str | None,
    checks: ImageChecks | None,
    progress: Progress | None,
) -> _Annotations:
    variants = source.variants(split)
    chosen = variant or default_variant(variants)
    if chosen not in variants:
        raise SourceError(no_such("variant", chosen, variants, f"split {split!r}"))
    read = _Annotations(split, chosen)
    tables = _read_tables(source, read, checks is not None, progress)
    read.shared = share(tables, is_one=len(variants) == 1)
    logger.info("%s: masks are painted from %s, one of %d variants", split, chosen, len(variants))
    return read


def _with_images(read: list[_Annotations]) -> list[_Annotations]:
    """Leave out splits that list no images, unless all are so."""
    kept = [split for split in read if split.sizes]
    for split in read:
        if kept and not split.sizes:
            logger.warning("%s: no images are listed; the split is left out", split.name)
    return kept or read


def _some_missing(source: Source, read: Sequence[_Annotations]) -> bool:
    return any(len(source.find_images(s.name, list(s.sizes))) < len(s.sizes) for s in read)


def _faults_of_files(
    source: Source,
    read: Sequence[_Annotations],
    checks: ImageChecks,
    workers: int | None,
    progress: Progress | None,
) -> list[ImageFault]:
    """Check the files of all images that have no fault yet."""
    found: list[ImageFault] = []
    for split in read:
        known = {fault.name for fault in split.faults}
        sizes = [(name, size) for name, size in split.sizes.items() if name not in known]
        found += find_faults(source, split.name, sizes, checks, workers, progress)
    return found


def _settle(source: Source, faults: Sequence[ImageFault]) -> dict[str, tuple[BadRecords, ...]]:
    """Refuse images that cannot be stored, or say of each split which are left out."""
    splits = list(dict.fromkeys(fault.split for fault in faults))
    several = len(splits) > 1
    everything = Ledger(source.name if several else "".join(splits), source.bad)
    ledgers = {split: Ledger(split, source.bad) for split in splits}
    lost = dict.fromkeys(source.looked_for(split) for split in splits)
    everything.looked_for = " and in ".join(lost)
    everything.takes_image_folder = source.takes_image_folder
    for split, name, kind, words in faults:
        everything.keep(kind, (split, name), f"{split}: {words}" if several else words)
        ledgers[split].keep(kind, name, words)
    if message := refusal(everything, everything.found()):
        raise SourceError(message)
    return {split: ledger.found() for split, ledger in ledgers.items()}


def _split_input(
    source: Source,
    split: _Annotations,
    left_out: tuple[BadRecords, ...],
    checks: ImageChecks | None,
) -> SplitInput:
    gone = {name for bad in left_out for name in bad.places}
    names = tuple(name for name in split.sizes if name not in gone)
    findings = (*split.findings, *left_out)
    if not names:
        raise SourceError(_no_images(source, split.name, findings))
    if checks:
        findings += source.matched(split.name, names)
    heights, widths = np.array([split.sizes[name] for name in names], np.int64).T
    runs = source.set_names(split.name)
    table = align(_of_images(split.painted, names), names, heights, widths)
    return SplitInput(
        name=split.name,
        names=names,
        grid=MaskGrid.of(heights, widths),
        longest=source.longest_image(split.name, names) if checks else 0,
        set_names=tuple(runs.members.get(stem_of(name), "") for name in names),
        sets=runs.sets,
        semantic_variant=split.semantic_variant,
        semantic_dtype=semantic_dtype(table.category_ids),
        table=table,
        annotations=split.shared,
        digests=split.digests,
        has_images=checks is not None,
        findings=findings,
    )


def _no_images(source: Source, split: str, findings: Sequence[BadRecords]) -> str:
    lost = ", ".join(map(str, findings))
    why = f"no image left ({lost})" if lost else "no images"
    return (
        f"split {split!r} of {source.path} has {why}; expected at least one; "
        f"leave it out with splits=[…]"
    )


def _read_tables(
    source: Source, read: _Annotations, with_images: bool, progress: Progress | None
) -> Iterator[VariantTable]:
    """Read annotation files one after another, so that not all are in memory."""
    variants = source.variants(read.name)
    for variant in track(variants, f"reading annotations of {read.name}", progress):
        table, found, _ = source.read(read.name, variant)
        file = source.variant_file(read.name, variant)
        table, large = _with_small_classes(table, Ledger(file, source.bad))
        if with_images and not read.sizes:
            # The other files of a large set take a minute to read: see first whether there are
            # images at all.
            _require_folder(source, read.name, table.names.tolist())
        read.findings += (*found, *large)
        read.note(file, table)
        if variant == read.semantic_variant:
            read.painted = table
        yield VariantTable(variant, file, table)


def _with_small_classes(table: RunTable, ledger: Ledger) -> tuple[RunTable, tuple[BadRecords, ...]]:
    """Refuse or leave out instances of classes that masks cannot hold."""
    ids = table.category_ids
    large = (ids < 0) | (ids > MOST_CATEGORIES)
    for k in np.flatnonzero(large).tolist():
        words = f"{annotation_name(table, k)} of class {ids[k]}"
        ledger.keep(TOO_LARGE, int(table.instance_ids[k]), words)
    found = ledger.found()
    if message := refusal(ledger, found):
        raise SourceError(message)
    if not found:
        return table, ()
    kept = tuple(c for c in table.categories if 0 <= c.id <= MOST_CATEGORIES)
    return replace(table[~large], categories=kept), found


def _of_images(table: RunTable, names: Sequence[str]) -> RunTable:
    """Leave out the images that are not listed."""
    known = set(names)
    kept = np.array([name in known for name in table.names.tolist()], bool)
    return table if np.all(kept) else table.images(kept)


def _require_folder(source: Source, split: str, names: Sequence[str]) -> None:
    """Make sure of an image folder or of any image, unless all names have folders in them."""
    if source.image_names(split) is not None or all(base_name(name) != name for name in names):
        return
    if source.has_images(split, names):
        return
    named = f"{NAME_FOLDER}, " * source.takes_image_folder
    raise SourceError(
        f"split {split!r} of {source.path} has no image folder; expected one with the images of "
        f"its annotations in {source.looked_for(split)}; "
        f"add it, {named}or convert with images='none'"
    )
