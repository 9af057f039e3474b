"""What silently spoils training: :data:`CHECKS` has all of it, :func:`diagnose` looks for it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Hashable, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from typing import Any, Literal, NamedTuple

import numpy as np

from mtfast.dataset import expect_source
from mtfast.diagnosis import checks
from mtfast.diagnosis.checks import Found, ImageFile, Instances, SplitFacts
from mtfast.errors import MtfastError
from mtfast.jpeg import read_header
from mtfast.parallel import run_jobs
from mtfast.paths import base_name
from mtfast.progress import Progress, track
from mtfast.rles import Rles
from mtfast.sources import Source
from mtfast.sources.source import chosen_splits
from mtfast.sources.variants import default_variant, is_n_shot, taken_from
from mtfast.table import RunTable

__all__ = ["CHECKS", "Check", "Diagnosis", "Finding", "diagnose"]

Severity = Literal["error", "warning", "note"]
ERROR: Severity = "error"
WARNING: Severity = "warning"
NOTE: Severity = "note"

Scope = Literal["file", "painted file", "split", "dataset"]
"""What a check is given: the table of each annotation file, of the one that semantic masks are
painted from, what is known of each split, or of all of them."""

IMAGES_PER_JOB = 16


class Check(NamedTuple):
    """Something that may be wrong, and what to do about it."""

    name: str
    severity: Severity
    scope: Scope
    find: Callable[[Any], Found]
    advice: str


# fmt: off
CHECKS: tuple[Check, ...] = (
    Check("unreadable file", ERROR, "split", checks.unreadable_annotations,
          "correct it or unpack it again; nothing else in it has been looked at"),
    Check("annotation id 0", ERROR, "file", checks.annotation_id_0,
          "give it another id: COCOeval takes 0 for no match"),
    Check("category id 0", ERROR, "file", checks.category_id_0,
          "number classes from 1: 0 is background in masks"),
    Check("category not listed", ERROR, "file", checks.category_not_listed,
          "add the class to categories, or correct the annotation"),
    Check("iscrowd", WARNING, "file", checks.crowd,
          "set iscrowd to 0: training code drops crowds"),
    Check("empty mask", WARNING, "file", checks.empty_mask,
          "remove the annotation: it has no pixels"),
    Check("area disagrees", WARNING, "file", checks.area_disagrees,
          "state the area of the RLE: evaluation sorts by it"),
    Check("bbox disagrees", WARNING, "file", checks.bbox_disagrees,
          "state the box of the RLE: detectors learn from it"),
    Check("over 255 instances", WARNING, "file", checks.many_instances,
          "write instance masks of 16 bits: numbers wrap around in 8"),
    Check("classes overlap", NOTE, "painted file", checks.overlaps,
          "know which class shows: mtfast paints later annotations over earlier ones"),
    Check("ids disagree", WARNING, "split", checks.ids_disagree,
          "do not join these files by annotation id, or make them anew from one"),
    Check("sizes disagree", ERROR, "split", checks.sizes_differ,
          "correct the size, or fetch the image that the masks were drawn on"),
    Check("several sizes", NOTE, "split", checks.several_sizes,
          "a store holds one size in a split: convert the sizes separately"),
    Check("no image files", NOTE, "split", checks.no_image_files,
          "images have not been looked at; convert with --images none"),
    Check("image without file", ERROR, "split", checks.images_without_file,
          "add the file, or remove the image from the annotations"),
    Check("file without image", WARNING, "split", checks.files_without_image,
          "list the image in the annotations, or remove the file: it is never used"),
    Check("unreadable image", ERROR, "split", checks.unreadable_images,
          "fetch it again: decoders fill up with grey, or stop"),
    Check("identical images", WARNING, "split", checks.identical_images,
          "keep one of them: they count twice"),
    Check("identical across splits", ERROR, "dataset", checks.identical_across,
          "remove it from one split: what is trained on tests nothing"),
    Check("run in two splits", ERROR, "dataset", checks.runs_in_both,
          "keep the images of an exfoliation run in one split: they look alike"),
)
# fmt: on

ORDER = {check.name: number for number, check in enumerate(CHECKS)}
SEVERITIES: tuple[Severity, ...] = (ERROR, WARNING, NOTE)


@dataclass(frozen=True)
class Finding:
    """What one check found in one split, or in the dataset where ``split`` is None.

    ``count`` counts each annotation, image, pair or file once, however many files repeat it;
    ``n_pixels`` are those concerned, where there are any.
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
    """What :func:`diagnose` found, the worst first."""

    path: str
    kind: str
    splits: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def is_sound(self) -> bool:
        """Whether there is nothing but notes."""
        return all(finding.severity == NOTE for finding in self.findings)

    def as_dict(self) -> dict[str, Any]:
        """Return plain dicts, lists, strings and numbers, as docs/doctor.schema.json has them."""
        return {"is_sound": self.is_sound, **asdict(self)}


def diagnose(
    source: Source | str | os.PathLike[str],
    *,
    splits: Sequence[str] | None = None,
    decode: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Diagnosis:
    """Look for everything in a dataset that silently spoils training.

    Parameters
    ----------
    source : Source or path-like
        See :func:`mtfast.open_source`. What cannot be read becomes a finding.
    splits : sequence of str, optional
        All by default.
    decode : bool
        Decode every image; otherwise its markers are looked at, which shows where it was cut off.
    workers : int, optional
        Threads, by default enough to keep all cores busy.
    progress : callable, optional
        Called as (what, done, total).

    Returns
    -------
    Diagnosis

    Raises
    ------
    SourceError
        If there is no dataset, or it is a store.

    Examples
    --------
    >>> for finding in mtfast.diagnose("GrapheneH").findings:        # doctest: +SKIP
    ...     print(finding.severity, finding.check, finding.count)
    note classes overlap 12
    """
    opened = expect_source(source)
    names = chosen_splits(opened, splits)
    ward = _Ward()
    all_facts = []
    for name in names:
        facts = _read_annotations(opened, name, ward, progress)
        _read_meta_data(opened, facts)
        _read_images(opened, facts, decode, workers, progress)
        ward.look("split", name, facts)
        all_facts.append(facts)
    ward.look("dataset", None, all_facts)
    return Diagnosis(str(opened.path), opened.kind, names, ward.findings())


class _Ward:
    """Runs the checks, and keeps what they found: each place once in a split."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str | None], tuple[set[Hashable], list[str], list[int]]] = {}

    def look(self, scope: Scope, split: str | None, patient: Any, file: str = "") -> None:
        """Run all checks of a scope."""
        for check in CHECKS:
            if check.scope != scope:
                continue
            found = check.find(patient)
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
        by_name = {check.name: check for check in CHECKS}
        found = [
            Finding(
                check=name,
                severity=by_name[name].severity,
                split=split,
                count=len(places),
                n_pixels=sum(n_pixels),
                examples=tuple(examples[: checks.MOST_EXAMPLES]),
                advice=by_name[name].advice,
            )
            for (name, split), (places, examples, n_pixels) in self._found.items()
        ]
        return tuple(sorted(found, key=lambda f: (SEVERITIES.index(f.severity), ORDER[f.check])))


def _read_annotations(
    source: Source, split: str, ward: _Ward, progress: Progress | None
) -> SplitFacts:
    """Read and check the annotation files of a split one by one; none of them is kept."""
    facts = SplitFacts(split)
    variants = source.variants(split)
    painted = default_variant(variants)
    for variant in track(variants, f"checking annotations of {split}", progress):
        try:
            table = source.table(split, variant)
        except MtfastError as error:
            facts.unreadable[variant] = str(error)
            continue
        for name, *size in zip(
            table.names.tolist(), table.heights.tolist(), table.widths.tolist(), strict=True
        ):
            facts.sizes.setdefault(name, set()).add((size[0], size[1]))
        facts.instances[variant] = _instances(table)
        # A subset that repeats the file that it was taken from has its faults and no others.
        if not is_n_shot(variant) or taken_from(variant) not in facts.instances:
            ward.look("file", split, table, variant)
        if variant == painted:
            ward.look("painted file", split, table, variant)
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
    facts.image_files = source.image_names(facts.name)
    files = set(facts.image_files or ())
    names = [
        name
        for name in facts.sizes
        if name in files or (base_name(name) != name and source.find_image(facts.name, name))
    ]
    jobs = [
        _ImageJob(source, facts.name, names[start : start + IMAGES_PER_JOB], decode)
        for start in range(0, len(names), IMAGES_PER_JOB)
    ]
    if not jobs:
        return
    what = f"reading images of {facts.name}"
    with run_jobs(_look_at_images, jobs, "read-images", "threads", workers) as results:
        read = dict(track(results, what, progress, len(names), lambda result: len(result[1])))
    images = chain.from_iterable(read[number] for number in range(len(jobs)))
    facts.images = dict(zip(names, images, strict=True))


class _ImageJob(NamedTuple):
    source: Source
    split: str
    names: list[str]
    decode: bool


def _look_at_images(job: _ImageJob) -> list[ImageFile]:
    return [_look_at_image(job, name) for name in job.names]


def _look_at_image(job: _ImageJob, name: str) -> ImageFile:
    import imagecodecs

    try:
        data = job.source.read_image(job.split, name)
    except MtfastError as error:
        return ImageFile(None, str(error), b"")
    digest = hashlib.sha256(data).digest()
    try:
        header = read_header(data)
        if job.decode:
            imagecodecs.jpeg8_decode(data, outcolorspace="RGB")
    except MtfastError as error:
        return ImageFile(None, f"{name} is {error}", digest)
    except (ValueError, RuntimeError) as error:
        return ImageFile(None, f"{name} does not decode ({error})", digest)
    return ImageFile((header.height, header.width), "", digest)
