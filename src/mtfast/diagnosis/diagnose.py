"""``mtfast.diagnose``: reads a dataset, runs all checks and collects what they find."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Hashable, Sequence
from dataclasses import asdict, dataclass
from itertools import chain, zip_longest
from typing import Any, NamedTuple, get_args

import numpy as np

from mtfast import image_files
from mtfast.arguments import ImagesOption, wants_images
from mtfast.dataset import expect_source
from mtfast.diagnosis.checks import CHECKS, MOST_EXAMPLES, Scope, Severity
from mtfast.diagnosis.facts import ImageFile, Instances, SplitFacts
from mtfast.errors import MtfastError
from mtfast.parallel import run_jobs
from mtfast.progress import Progress, shows_progress, track
from mtfast.rles import Rles
from mtfast.sources import Source
from mtfast.sources.split_names import chosen_splits
from mtfast.sources.variants import default_variant, is_n_shot, taken_from
from mtfast.table import RunTable

__all__ = ["Diagnosis", "Finding", "diagnose"]

logger = logging.getLogger(__name__)

IMAGES_PER_JOB = 16

_SEVERITIES: tuple[Severity, ...] = get_args(Severity)
_CHECKS = {check.name: check for check in CHECKS}
_ORDER = {check.name: (_SEVERITIES.index(check.severity), k) for k, check in enumerate(CHECKS)}


@dataclass(frozen=True)
class Finding:
    """What one check found in one split, or in the whole dataset.

    Attributes
    ----------
    check : str
        Its name, one of :data:`mtfast.diagnosis.checks.CHECKS`.
    severity : {"error", "warning", "note"}
    split : str or None
        None for findings about several splits.
    count : int
        Annotations, images, pairs or files; each counts once, however many files repeat it.
    n_pixels : int
        The pixels concerned; 0 if it is not about pixels.
    examples : tuple of str
        What was found, at most three.
    advice : str
        What was expected; what to do.
    """

    check: str
    severity: Severity
    split: str | None
    count: int
    n_pixels: int
    examples: tuple[str, ...]
    advice: str


@dataclass(frozen=True)
class Diagnosis:
    """What :func:`diagnose` found.

    Attributes
    ----------
    path, kind : str
        The dataset and its layout.
    splits : tuple of str
        Those that were checked.
    findings : tuple of Finding
        Errors first, then warnings, then notes.
    """

    path: str
    kind: str
    splits: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def is_sound(self) -> bool:
        """Whether there are neither errors nor warnings."""
        return all(finding.severity == "note" for finding in self.findings)

    def as_dict(self) -> dict[str, Any]:
        """Return plain dicts, lists, strings and numbers that fit docs/doctor.schema.json."""
        return {"is_sound": self.is_sound, **asdict(self)}


@shows_progress
def diagnose(
    source: Source | str | os.PathLike[str],
    *,
    splits: Sequence[str] | None = None,
    images: ImagesOption = True,
    decode: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Diagnosis:
    """Look for everything in a dataset that silently spoils training.

    Parameters
    ----------
    source : Source, str or path-like
        See :func:`mtfast.open_source`. Files of it that cannot be read become findings.
    splits : sequence of str, optional
        Those to check, all by default.
    images : bool
        Whether images belong to the set, as for :func:`mtfast.convert`: False leaves their files
        unread, and a set without them is sound. "keep" and "none" are what the command line says.
    decode : bool
        Decode every image. By default only its headers and markers are read, which finds files
        that are cut off.
    workers : int, optional
        Threads, by default enough to keep all cores busy.
    progress : bool or callable, optional
        True shows the command line's bar; a function is called as (what, done, total).

    Returns
    -------
    Diagnosis

    Raises
    ------
    SourceError
        If there is no dataset, no such split, or it is a store.
    MtfastError
        If ``images`` has no such value.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "flakes.json")
    ...     _ = path.write_text('''{
    ...         "images": [{"id": 1, "file_name": "a.jpg", "height": 2, "width": 3}],
    ...         "annotations": [{"id": 0, "image_id": 1, "category_id": 1,
    ...                          "segmentation": {"size": [2, 3], "counts": "132"}}],
    ...         "categories": [{"id": 1, "name": "flake"}]}''')
    ...     diagnosis = diagnose(path)
    >>> for finding in diagnosis.findings:
    ...     print(finding.severity, finding.check, finding.count)
    error annotation id 0 1
    error no image files 1
    """
    with_images = wants_images(images)
    opened = expect_source(source)
    names = chosen_splits(opened.splits, splits, opened.name)
    collector = _Collector()
    all_facts = []
    for name in names:
        facts = _read_annotations(opened, name, collector, progress)
        _read_meta_data(opened, facts)
        facts.has_images = with_images
        if with_images:
            _read_images(opened, facts, decode, workers, progress)
        all_facts.append(facts)
    for facts in all_facts:
        sharing = (f for f in all_facts if f is not facts and f.image_files == facts.image_files)
        facts.shared = frozenset(path for other in sharing for path in other.paths.values())
        collector.run("split", facts.name, facts)
    collector.run("dataset", None, all_facts)
    return Diagnosis(str(opened.path), opened.kind, names, collector.findings())


class _Collector:
    """Runs checks and collects what they find, each place once in a split."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str | None], tuple[set[Hashable], list[str], list[int]]] = {}

    def run(self, scope: Scope, split: str | None, subject: Any, file: str = "") -> None:
        """Run all checks of a scope on what they are given; ``file`` is put before examples."""
        for check in CHECKS:
            if check.scope != scope:
                continue
            found = check.find(subject)
            if not found.places:
                continue
            places, examples, n_pixels = self._found.setdefault(
                (check.name, split), (set(), [], [])
            )
            before = len(places)
            places.update(found.places)
            if len(places) > before:
                examples += [f"{file}: {text}" if file else text for text in found.examples]
                n_pixels.append(found.n_pixels)

    def findings(self) -> tuple[Finding, ...]:
        """Return what was found, the worst first."""
        found = [
            Finding(
                check=name,
                severity=_CHECKS[name].severity,
                split=split,
                count=len(places),
                n_pixels=sum(n_pixels),
                examples=tuple(examples[:MOST_EXAMPLES]),
                advice=_CHECKS[name].advice,
            )
            for (name, split), (places, examples, n_pixels) in self._found.items()
        ]
        return tuple(sorted(found, key=lambda finding: _ORDER[finding.check]))


def _read_annotations(
    source: Source, split: str, collector: _Collector, progress: Progress | None
) -> SplitFacts:
    """Read and check the annotation files of a split one by one; none of them is kept."""
    facts = SplitFacts(split, frame=source.frame)
    variants = source.variants(split)
    painted = default_variant(variants)
    for variant in track(variants, f"checking annotations of {split}", progress):
        try:
            table, found, _ = source.examine(split, variant)
        except MtfastError as error:
            facts.unreadable[variant] = str(error)
            continue
        for bad in found:
            if bad.kind == "unreadable image":
                names = list(map(str, bad.places))
                facts.lost |= dict(zip_longest(names, bad.examples, fillvalue=""))
            elif bad.kind in ("image without mask", "image without annotation file"):
                facts.left_out |= set(map(str, bad.places))
        for name, *size in zip(
            table.names.tolist(), table.heights.tolist(), table.widths.tolist(), strict=True
        ):
            facts.sizes.setdefault(name, set()).add((size[0], size[1]))
        facts.instances[variant] = _instances(table)
        # A subset has no faults but those of the file that it was taken from; they are compared.
        if not is_n_shot(variant) or taken_from(variant) not in facts.instances:
            collector.run("records", split, found, variant)
            collector.run("file", split, table, variant)
        if variant == painted:
            facts.classes = table.categories
            collector.run("painted file", split, table, variant)
    return facts


def _instances(table: RunTable) -> Instances:
    names = np.array([hash(name) for name in table.names.tolist()], np.int64)
    texts = np.array([hash(text) for text in Rles.of_table(table).texts()], np.int64)
    order = np.argsort(table.instance_ids)
    marks = (names[table.image_of_instance] ^ texts)[order]
    return Instances(table.instance_ids[order], marks, table.category_ids[order])


def _read_meta_data(source: Source, facts: SplitFacts) -> None:
    try:
        facts.sets = source.set_names(facts.name).sets
    except MtfastError as error:
        facts.unreadable["meta data"] = str(error)


def _read_images(
    source: Source, facts: SplitFacts, decode: bool, workers: int | None, progress: Progress | None
) -> None:
    """Read every image file that the annotations list."""
    files = source.image_names(facts.name)
    facts.image_files = None if files is None else source.find_images(facts.name, files)
    facts.paths = source.find_images(facts.name, list(facts.sizes))
    facts.matched = source.matched(facts.name, list(facts.paths))
    names = list(facts.paths)
    jobs = [
        _ImageJob(source, facts.name, names[start : start + IMAGES_PER_JOB], decode)
        for start in range(0, len(names), IMAGES_PER_JOB)
    ]
    if not jobs:
        return
    what = f"reading images of {facts.name}"
    logger.info(
        "images of %s: %d files are %s",
        facts.name,
        len(names),
        "decoded" if decode else "checked without decoding them",
    )
    with run_jobs(_check_images, jobs, "read-images", "threads", workers) as results:
        read = dict(track(results, what, progress, len(names), lambda result: len(result[1])))
    images = chain.from_iterable(read[number] for number in range(len(jobs)))
    facts.images = dict(zip(names, images, strict=True))


class _ImageJob(NamedTuple):
    source: Source
    split: str
    names: list[str]
    decode: bool


def _check_images(job: _ImageJob) -> list[ImageFile]:
    return [_check_image(job, name) for name in job.names]


def _check_image(job: _ImageJob, name: str) -> ImageFile:
    try:
        data = job.source.read_image(job.split, name)
    except MtfastError as error:
        return ImageFile(None, str(error), b"")
    digest = hashlib.sha256(data).digest()
    try:
        header = image_files.read_header(data)
        if job.decode:
            image_files.decode(data)
    except MtfastError as error:
        return ImageFile(None, f"{name} is {error}", digest)
    return ImageFile((header.height, header.width), "", digest, header.orientation)
