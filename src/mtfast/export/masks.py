"""The door of the exports: select, plan batches of images, let Dask write them.

::

    source or store -> RunTable -> MaskBatch: MaskSpec, then runs -> zstd, PNG or TIFF -> its own
                                              files, unless they are there and whole already

What a folder holds is recorded before the first mask is written, and a later run goes on with it
only if it would write the same.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from mtfast.atomic import check_new_folder
from mtfast.dataset import DatasetLike, open_dataset
from mtfast.errors import MtfastError, StoreError
from mtfast.export.image_files import PngFolder, TiffFolder
from mtfast.export.inputs import read_splits
from mtfast.export.manifest import RECORD, describe, expect_same, read_record
from mtfast.export.mask_format import MaskBatch, MaskFormat, MaskSplit
from mtfast.export.staging import Stage, move_into, refuse_links
from mtfast.export.tiff_stack import TiffStack
from mtfast.export.zarr_arrays import ZarrArrays
from mtfast.painting.mask_kinds import Kind, MaskSpec
from mtfast.painting.overlap import Overlap
from mtfast.parallel import Scheduler, check_scheduler, run_jobs
from mtfast.paths import refuse_link, target_path
from mtfast.progress import Progress, shows_progress, track
from mtfast.store import schema
from mtfast.store.shard import plan
from mtfast.store.writing.replace import refuse_inside_store
from mtfast.work.folder import WorkFolder, working
from mtfast.work.folder_state import has_work, is_free
from mtfast.work.records import Plan

__all__ = ["FORMATS", "ExportedMasks", "export_masks", "find_format"]

FORMATS: dict[str, type[MaskFormat]] = {"zarr": ZarrArrays, "png": PngFolder, "tiff": TiffStack}
"""The file formats for masks, by the name that users give."""


class ExportedMasks(NamedTuple):
    """What :func:`export_masks` has done.

    Attributes
    ----------
    path : Path
        Of the folder.
    n_images : dict
        Number of masks in each split.
    variants : dict
        The variant that the masks of each split were made from.
    n_written : int
        How many masks were written; the others were already there.
    n_crowds : int
        Regions of crowds that were painted as other instances are.
    """

    path: Path
    n_images: dict[str, int]
    variants: dict[str, str]
    n_written: int
    n_crowds: int


@shows_progress
def export_masks(
    dataset: DatasetLike,
    out: str | os.PathLike[str],
    *,
    format: Literal["zarr", "png", "tiff"] = "zarr",  # noqa: A002 - as the option is called
    splits: Sequence[str] | None = None,
    variant: str | None = None,
    min_area: float | None = None,
    categories: Collection[int] | None = None,
    mapping: Mapping[int, int] | None = None,
    overlap: Overlap = "last",
    kind: Kind = "semantic",
    palette: bool = False,
    file_per_image: bool = False,
    pixel_size: float | None = None,
    scheduler: Scheduler = "threads",
    workers: int | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> ExportedMasks:
    """Write the masks of a dataset, made from its RLE.

    Masks that are there are left alone if they have the very bytes that would be written. New ones
    come to the folder when all are whole; until then they are in a hidden folder inside of it, from
    which the next run goes on if this one is stopped.

    Parameters
    ----------
    dataset : path-like, Source or Store
        A source or a store; see :func:`mtfast.dataset.open_dataset`.
    out : path-like
        A new or empty folder, or one that this function has written to.
    format : {"zarr", "png", "tiff"}
        "zarr" makes arrays OUT/SPLIT/KIND, as a converted store has SPLIT/semantic; "png" files
        OUT/SPLIT_KIND_masks/STEM.png of 8- or 16-bit grey; "tiff" a file
        OUT/SPLIT_KIND_masks.tif for each split, with zlib, a page for each image, BigTIFF above
        4 GB; ImageJ shows it in the colours of the classes if all have one size. Where images
        differ in size, an array reaches as far as the largest, with the size of each image in
        OUT/SPLIT/columns, and every page has its own size.
    splits : sequence of str, optional
        All by default.
    variant : str, optional
        Annotations to use; by default those that :func:`mtfast.convert` paints masks from.
    min_area : float, optional
        Only instances larger than this many pixels, measured from the RLE.
    categories : collection of int, optional
        Only instances of these categories; all by default.
    mapping : mapping, optional
        The value written for a category instead of its id.
    overlap : {"last", "first", "largest", "smallest", "error"}
        Which instance shows where several overlap; "error" refuses overlaps.
    kind : {"semantic", "instance", "binary", "boundary"}
        Pixels are category ids; instances numbered from 1 in file order; 0 and 1; or category ids
        on the outlines alone. They are uint8, or uint16 where a value of the split needs it.
    palette : bool
        "png" only: pixels are indices into a colour palette.
    file_per_image : bool
        "tiff" only: files OUT/SPLIT_KIND_masks/STEM.tif.
    pixel_size : float, optional
        "tiff" only: width of a pixel in micrometres, 0.0001 to 100,000, which viewers then show.
    scheduler : str or distributed.Client
        What runs the work: "threads", "processes", "sync", the address of a Dask scheduler
        ("tcp://HOST:PORT" or "tls://HOST:PORT"), or a client of one.
    workers : int, optional
        Processes, by default as many as there are cores; or threads, by default twice as many.
    overwrite : bool
        Replace masks that are there, also those made with other options. They are kept until the
        new ones are whole.
    progress : bool or callable, optional
        True shows the command line's bar; a function is called as (what, done, total).

    Returns
    -------
    ExportedMasks

    Raises
    ------
    SourceError, RLEError
        If the annotations are malformed, or there is no such split or variant.
    StoreError
        If the folder holds something else, or masks made with other options.
    MtfastError
        If an option has no such value, or instances overlap that must not.

    Examples
    --------
    >>> done = mtfast.export_masks("Graphene", "masks", format="png", min_area=300)
    >>> done.n_written, done.n_images
    (14, {'train': 10, 'test': 4})
    """
    spec = MaskSpec(
        min_area=min_area,
        categories=None if categories is None else tuple(sorted(set(categories))),
        mapping=tuple(sorted((mapping or {}).items())),
        kind=kind,
        overlap=overlap,
    )
    mask_format = find_format(
        format, kind, palette=palette, file_per_image=file_per_image, pixel_size=pixel_size
    )
    target = target_path(out)
    _refuse_other(target)
    if not target.exists():
        check_new_folder(target, StoreError)
    check_scheduler(scheduler)
    opened = open_dataset(dataset)
    found = read_splits(opened, splits, variant, spec, mask_format, progress)
    settings = {"format": format, **asdict(spec), "palette": palette}
    settings |= {"file_per_image": file_per_image, "pixel_size": pixel_size}
    record = describe(opened.name, settings, found)

    plan = _plan(record)
    check = partial(_refuse_other, target)
    with working(target, plan, check, inside=True, afresh=overwrite, error=StoreError) as work:
        before = read_record(target)
        if before and not overwrite:
            record = expect_same(before, record, target)
        stage = Stage(None if before and overwrite else target, work.place)
        mask_format.begin(work.content, record, found)
        n_written = _write(work, stage, found, spec, mask_format, scheduler, workers, progress)
        refuse_links(work.content, target)
        if before and overwrite:
            _set_aside(target, before, work.folder)
        move_into(work.content, target, last=RECORD)
        mask_format.finish(target)
    return ExportedMasks(
        path=Path(out),
        n_images={split.name: split.table.n_images for split in found},
        variants={split.name: split.variant for split in found},
        n_written=n_written,
        n_crowds=sum(int(np.count_nonzero(split.table.iscrowd)) for split in found),
    )


def find_format(
    name: str,
    kind: Kind,
    *,
    palette: bool = False,
    file_per_image: bool = False,
    pixel_size: float | None = None,
) -> MaskFormat:
    """Make the file format that options ask for.

    Parameters
    ----------
    name : str
        One of :data:`FORMATS`.
    kind : str
        What the pixels are.
    palette, file_per_image, pixel_size
        As for :func:`export_masks`.

    Returns
    -------
    MaskFormat

    Raises
    ------
    MtfastError
        If there is no such format, it has no such option, or pixels have no such size.
    """
    if name not in FORMATS:
        known = ", ".join(map(repr, FORMATS))
        raise MtfastError(f"format {name!r}; expected one of {known}; pick one")
    if palette and name != "png":
        raise MtfastError(f"a palette for {name}; expected png; leave it out")
    if file_per_image and name != "tiff":
        raise MtfastError(f"one file an image for {name}; expected tiff; leave it out")
    if pixel_size is not None and name != "tiff":
        raise MtfastError(f"a pixel size for {name}; expected tiff; leave it out")
    if pixel_size is not None and not 1e-4 <= pixel_size <= 1e5:
        raise MtfastError(
            f"pixels of {pixel_size} µm; expected 0.0001 to 100,000; give the width of one pixel"
        )
    if palette:
        return PngFolder(kind, palette)
    if name == "tiff":
        return (TiffFolder if file_per_image else TiffStack)(kind, pixel_size)
    return FORMATS[name](kind)


def _plan(record: dict[str, Any]) -> Plan:
    """Return what decides about the masks, as the record has it."""
    splits = record["splits"]
    options = record["settings"] | {
        "splits": {name: entry["variant"] for name, entry in splits.items()}
    }
    inputs = {f"annotations of {name}": e["annotations_sha256"] for name, e in splits.items()}
    return Plan("masks", options, inputs)


def _refuse_other(target: Path) -> None:
    """Refuse a place with anything else than masks of an earlier run."""
    refuse_inside_store(target)
    if not target.exists():
        return
    # A run that was killed while it moved its masks there has left its work folder.
    ours = target.is_dir() and (read_record(target) or is_free(target) or has_work(target))
    if not ours:
        raise StoreError(
            f"{target} exists and holds no masks of an earlier run; expected a new or empty "
            f"folder; choose another"
        )


def _set_aside(target: Path, record: dict[str, Any], folder: Path) -> None:
    """Move the masks that a record describes into the work folder, which is removed with them."""
    settings = record["settings"]
    options = {name: bool(settings.get(name)) for name in ("palette", "file_per_image")}
    mask_format = find_format(settings.get("format"), settings.get("kind"), **options)
    outputs = [path for split in record["splits"] for path in mask_format.outputs(target, split)]
    gone = [*outputs, target / RECORD, target / "zarr.json"]
    for path in gone:
        refuse_link(path, StoreError)
    for path in gone:
        if path.exists():
            path.replace(folder / f"replaced-{secrets.token_hex(4)}")


def _write(
    work: WorkFolder,
    stage: Stage,
    splits: Sequence[MaskSplit],
    spec: MaskSpec,
    mask_format: MaskFormat,
    scheduler: Scheduler,
    workers: int | None,
    progress: Progress | None,
) -> int:
    """Stage all masks that are not there; return how many that were."""
    shards = [
        (split, shard)
        for split in splits
        for shard in plan({split.name: split.table.n_images}, schema.SHARD)
    ]
    batches = [
        MaskBatch(
            stage=stage,
            split=split.name,
            number=shard.number,
            table=split.table,
            start=shard.start,
            stop=shard.stop,
            spec=spec,
            dtype=split.dtype.name,
            largest=split.largest,
        )
        for split, shard in shards
    ]
    sizes = [batch.n_images for batch in batches]
    n_written = dict.fromkeys((split.name for split in splits), 0)
    write, title = partial(_write_batch, mask_format), lambda number: shards[number][1].title
    with run_jobs(write, batches, "write-masks", scheduler, workers, title) as results:
        written = track(results, "writing masks", progress, sum(sizes), lambda r: sizes[r[0]])
        for number, n in written:
            n_written[batches[number].split] += n
            work.keep()
    for split in splits:
        if mask_format.finish_split(stage, split):
            n_written[split.name] = 0
    return sum(n_written.values())


def _write_batch(mask_format: MaskFormat, batch: MaskBatch) -> int:
    batch.stage.place.expect_here()
    return mask_format.write(batch)
