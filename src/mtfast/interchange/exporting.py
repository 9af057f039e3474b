"""The door of the exports: read, have a format write its files, count what is lost."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from mtfast.addresses import Address
from mtfast.atomic import check_new_folder
from mtfast.dataset import DatasetLike, DatasetView, open_dataset
from mtfast.errors import MtfastError, counted, one_of
from mtfast.interchange.annotation_format import AnnotationFormat, FormatOfImages, ImageFile
from mtfast.interchange.coco import Coco
from mtfast.interchange.geojson import GeoJson
from mtfast.interchange.images import (
    Frame,
    ImagesChoice,
    create,
    find_files,
    frame_of,
    make_upright,
    put_image,
)
from mtfast.interchange.inputs import SplitInput, all_categories, read_splits
from mtfast.interchange.labelme import Labelme
from mtfast.interchange.names import expect_apart
from mtfast.interchange.replacing import has_to_stay, put_export, refuse_other, refuse_read
from mtfast.interchange.yolo import Yolo
from mtfast.paths import target_path
from mtfast.progress import Progress, shows_progress, track
from mtfast.rles import Rles, union_areas, xor
from mtfast.sources.split import SourceSplit
from mtfast.table import Category, RunTable
from mtfast.work.folder import WorkFolder, working
from mtfast.work.records import Plan

__all__ = ["FORMATS", "ExportedAnnotations", "Loss", "export_annotations"]

Shapes = Literal["mask", "polygon"]

FORMATS: dict[str, Callable[[Sequence[Category], Shapes], AnnotationFormat]] = {
    "coco": lambda categories, _: Coco(categories),
    "yolo": lambda categories, _: Yolo(categories),
    "geojson": lambda categories, _: GeoJson(categories),
    "labelme": lambda categories, shapes: Labelme(categories, shapes == "polygon"),
}
"""The formats, by the name that users give."""


class Loss(NamedTuple):
    """An instance that is not as it was.

    Attributes
    ----------
    split, image : str
    instance_id : int
    n_pixels : int
        How many pixels differ, of the mask that is read from the file.
    reason : str
        "crowd" or "no pixel" where the file does not have it, else "outline".
    """

    split: str
    image: str
    instance_id: int
    n_pixels: int
    reason: str


@dataclass
class ExportedAnnotations:
    """What :func:`export_annotations` has done.

    Attributes
    ----------
    path : Path
        Of the folder.
    n_images, n_instances : dict
        Of each split; how many images, and how many instances the files have.
    variants : dict
        The variant that each split was exported from.
    n_image_files : int
        Image files that were linked, copied or written.
    losses : list of Loss
        The instances that the format cannot hold as they are.
    notes : list of str
        What the files do not show and a user has to know.
    """

    path: Path
    n_images: dict[str, int] = field(default_factory=dict)
    n_instances: dict[str, int] = field(default_factory=dict)
    variants: dict[str, str] = field(default_factory=dict)
    n_image_files: int = 0
    losses: list[Loss] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def n_lost_pixels(self) -> int:
        """How many pixels of all instances differ."""
        return sum(loss.n_pixels for loss in self.losses)

    def loss_lines(self) -> list[str]:
        """Say in a line for each reason which instances are not as they were.

        Returns
        -------
        list of str
            One line where all are.
        """
        if not self.losses:
            return ["every mask is kept pixel for pixel"]
        by_reason: dict[str, list[Loss]] = {}
        for loss in self.losses:
            by_reason.setdefault(loss.reason, []).append(loss)
        return [_line_of(reason, losses) for reason, losses in by_reason.items()]


_REASONS = {
    "crowd": "left out, as the format has no crowds",
    "no pixel": "left out, as they have no pixel",
    "outline": "read back with other pixels",
}


def _line_of(reason: str, losses: Sequence[Loss]) -> str:
    pixels = counted(sum(loss.n_pixels for loss in losses), "pixel")
    first = f"the first is {losses[0].instance_id} on {losses[0].image} of {losses[0].split}"
    return f"{counted(len(losses), 'instance')}, {pixels}: {_REASONS[reason]}; {first}"


@shows_progress
def export_annotations(
    dataset: DatasetLike,
    out: str | os.PathLike[str],
    *,
    format: Literal["coco", "yolo", "geojson", "labelme"] = "coco",  # noqa: A002 - as the option
    splits: Sequence[str] | None = None,
    variant: str | None = None,
    images: ImagesChoice = "link",
    shapes: Shapes | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> ExportedAnnotations:
    """Write the annotations of a dataset in the format of another tool.

    The folder appears when all of it is whole.

    Parameters
    ----------
    dataset : path-like, Source or Store
        A source or a store; see :func:`mtfast.dataset.open_dataset`.
    out : path-like
        A new name, an empty folder, or with ``overwrite`` an export.
    format : {"coco", "yolo", "geojson", "labelme"}
        "coco" makes OUT/annotations/instances_SPLIT.json with masks as compressed RLE; ids are
        kept, and of the COCO files of a source all else. "yolo" makes OUT/labels/SPLIT/STEM.txt and
        OUT/data.yaml, with a ring for each instance. "geojson" makes OUT/SPLIT/STEM.geojson for
        QuPath, with polygons and holes. "labelme" makes OUT/SPLIT/STEM.json.
    splits : sequence of str, optional
        All by default.
    variant : str, optional
        Annotations to use; by default those that :func:`mtfast.convert` paints masks from.
    images : {"link", "copy", "none"}
        Whether image files are put there too, in OUT/SPLIT or OUT/images/SPLIT. A link takes no
        space, and shares later edits with the dataset. Files of a store and pages of stacks are
        written anew. So are those with an EXIF orientation whose masks lie on the pixels as they
        are stored: without it, as some programs turn images and some do not.
    shapes : {"mask", "polygon"}, optional
        "labelme" only: what instances are, masks by default.
    overwrite : bool
        Replace an export that this function has made, with all that is in it. It is kept until the
        new one is whole.
    progress : bool or callable, optional
        True shows the command line's bar; a function is called as (what, done, total).

    Returns
    -------
    ExportedAnnotations
        With each instance that is not read back pixel for pixel.

    Raises
    ------
    SourceError, RLEError, StoreError
        If the annotations are malformed, or there is no such split or variant.
    MtfastError
        If an option has no such value, there is something at the place already, or two images would
        have one file.

    Examples
    --------
    >>> done = mtfast.export_annotations("Graphene", "yolo", format="yolo")
    >>> done.n_images, done.n_lost_pixels
    ({'train': 10, 'test': 4}, 0)
    """
    make = FORMATS[one_of("format", format, tuple(FORMATS))]
    one_of("images", images, ("link", "copy", "none"))
    if shapes is not None and format != "labelme":
        raise MtfastError(f"shapes for {format}; expected labelme; leave them out")
    chosen: Shapes = shapes or "mask"
    one_of("shapes", chosen, ("mask", "polygon"))
    target = target_path(out)
    refuse_other(target, overwrite)
    if not target.exists():
        check_new_folder(target, MtfastError)
    opened = open_dataset(dataset)
    found = read_splits(opened, splits, variant, progress)
    if overwrite and target.exists():
        refuse_read(target, _places_read(opened, found))
    writer = make(all_categories(found), chosen)
    for split in found:
        _expect_apart(writer, split)
    done = ExportedAnnotations(Path(out))
    options = {
        "format": format,
        "splits": {s.name: s.variant for s in found},
        "images": images,
        "shapes": chosen,
    }
    inputs = {f"annotations of {split.name}": split.table.digest() for split in found}
    plan, check = Plan("export", options, inputs), partial(refuse_other, target, overwrite)
    with working(target, plan, check, inside=has_to_stay(target), afresh=overwrite) as work:
        for split in found:
            _write_split(work, writer, split, done, progress)
            if images == "none":
                _look_at_images(split, done, progress)
            else:
                _put_images(work, writer, split, images, done, progress)
        for name, data in writer.whole_files(found).items():
            create(work.content / name, data)
        put_export(work, target, overwrite)
    done.notes += writer.notes(found)
    return done


def _places_read(dataset: DatasetView, splits: Sequence[SplitInput]) -> Iterator[Path | Address]:
    """Return where an export is made from: its dataset, and files and folders that are read."""
    yield dataset.path
    for split in splits:
        if isinstance(split.view, SourceSplit):
            source = split.view.source
            yield source.files.location / source.variant_file(split.name, split.variant)
            images = find_files(split).values()
            yield from dict.fromkeys((i.files.location / i.path).parent for i in images)


def _expect_apart(writer: AnnotationFormat, split: SplitInput) -> None:
    """Refuse images that would overwrite each other's files."""
    names = split.table.names.tolist()
    expect_apart(zip(split.files, names, strict=True), split.name)
    if isinstance(writer, FormatOfImages):
        files = [writer.annotation_file(split.name, file) for file in split.files]
        expect_apart(zip(files, names, strict=True), split.name)


def _write_split(
    work: WorkFolder,
    writer: AnnotationFormat,
    split: SplitInput,
    done: ExportedAnnotations,
    progress: Progress | None,
) -> None:
    table = split.table
    n_kept = table.n_instances
    if isinstance(writer, FormatOfImages):
        n_kept = 0
        writer.begin_split(split)
        what = f"writing annotations of {split.name}"
        for k, file in enumerate(track(split.files, what, progress)):
            image = table.images([k])
            written = writer.write_image(image, file)
            create(work.content / writer.annotation_file(split.name, file), written.data)
            n_kept += len(written.kept)
            done.losses += _losses(split.name, image, written)
    done.n_images[split.name] = table.n_images
    done.n_instances[split.name] = n_kept
    done.variants[split.name] = split.variant


def _losses(split: str, image: RunTable, written: ImageFile) -> Iterator[Loss]:
    """Compare the instances of an image with those that are read from its file."""
    if len(written.kept) == image.n_instances and written.again is None:
        return
    differing = image.area()
    differing[written.kept] = 0
    if written.again is not None:
        pixels = xor(Rles.of_table(image).taken(written.kept), written.again)
        differing[written.kept] = union_areas(pixels, np.arange(pixels.heights.size + 1))
    left_out = np.ones(image.n_instances, bool)
    left_out[written.kept] = False
    for k in np.flatnonzero(left_out | (differing > 0)).tolist():
        reason = "outline" if not left_out[k] else "crowd" if differing[k] else "no pixel"
        id_ = int(image.instance_ids[k])
        yield Loss(split, str(image.names[0]), id_, int(differing[k]), reason)


def _put_images(
    work: WorkFolder,
    writer: AnnotationFormat,
    split: SplitInput,
    images: ImagesChoice,
    done: ExportedAnnotations,
    progress: Progress | None,
) -> None:
    folder = work.content / writer.image_folder(split.name)
    seen: dict[str, list[str]] = {reason: [] for reason in _OF_IMAGES}
    found = find_files(split)
    for k, file in enumerate(track(split.files, f"adding images of {split.name}", progress)):
        target = folder / file
        if put_image(split, k, found, target, images):
            done.n_image_files += 1
            reason = _turned(frame_of(split, k, target), target)
        else:
            reason = "missing"
        seen.get(reason, []).append(str(split.table.names[k]))
    done.notes += _notes_of(seen, split.name)


def _turned(frame: Frame | None, file: Path) -> str:
    """Put what an EXIF orientation turns so that programs agree; return what is said of it."""
    if frame == "stored":
        return "upright" if make_upright(file) else "apart"
    return frame or ""


def _look_at_images(
    split: SplitInput, done: ExportedAnnotations, progress: Progress | None
) -> None:
    """Note images on the disk that programs show apart from their masks; these are not put."""
    seen: dict[str, list[str]] = {"apart": [], "either": []}
    found = find_files(split)
    names = split.table.names.tolist()
    for k, name in enumerate(track(names, f"looking at images of {split.name}", progress)):
        place = found.get(name)
        file = place.files.local(place.path) if place and place.page is None else None
        frame = frame_of(split, k, file) if file else None
        seen.get("apart" if frame == "stored" else frame or "", []).append(name)
    done.notes += _notes_of(seen, split.name)


_OF_IMAGES = {
    "missing": "without a file of its own in the dataset",
    "upright": "with an EXIF orientation and masks on pixels as stored",
    "apart": "with an EXIF orientation and masks on pixels as stored",
    "either": "with an EXIF orientation and one size both ways",
}
_THEREFORE = {
    "missing": "",
    "upright": ": written without it, so that all programs show masks where they lie",
    "apart": ": programs that turn images show masks apart from them",
    "either": ": left as they are; pass orientation='stored' or orientation='shown'",
}


def _notes_of(seen: Mapping[str, Sequence[str]], split: str) -> list[str]:
    return [
        f"{counted(len(names), 'image')} of {split} {_OF_IMAGES[reason]}, such as "
        f"{names[0]}{_THEREFORE[reason]}"
        for reason, names in seen.items()
        if names
    ]
