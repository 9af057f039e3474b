"""The door of the exports: select, plan batches of images, let Dask write them.

::

    source or store -> RunTable -> MaskBatch: Selection, then runs -> zstd, PNG or TIFF -> its own
                                              files, unless they are there and whole already

What a folder holds is recorded before the first mask is written, and a later run goes on with it
only if it would write the same.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, NamedTuple

from mtfast.atomic import PARTIAL, remove_partials
from mtfast.dataset import DatasetLike, open_dataset
from mtfast.errors import MtfastError, StoreError
from mtfast.export.image_files import PngFolder, TiffFolder
from mtfast.export.inputs import read_splits
from mtfast.export.manifest import RECORD, describe, expect_same, read_record
from mtfast.export.mask_format import MaskBatch, MaskFormat, MaskSplit
from mtfast.export.tiff_stack import TiffStack
from mtfast.export.zarr_arrays import ZarrArrays
from mtfast.painting.mask_kinds import Kind, Selection
from mtfast.painting.overlap import Overlap
from mtfast.parallel import check_scheduler, run_jobs
from mtfast.paths import local_path
from mtfast.progress import Progress, track
from mtfast.store import schema
from mtfast.store.shard import plan
from mtfast.store.writing.replace import refuse_inside_store, writing

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
    """

    path: Path
    n_images: dict[str, int]
    variants: dict[str, str]
    n_written: int


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
    scheduler: str = "threads",
    workers: int | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> ExportedMasks:
    """Write the masks of a dataset, made from its RLE.

    Masks that are there and whole are left alone: the next run finishes one that was cut short.

    Parameters
    ----------
    dataset : path-like, Source or Store
        A source or a store; see :func:`mtfast.dataset.open_dataset`.
    out : path-like
        A new or empty folder, or one that this function has written to.
    format : {"zarr", "png", "tiff"}
        "zarr" makes arrays OUT/SPLIT/KIND, as a converted store has SPLIT/semantic; "png" files
        OUT/SPLIT_KIND_masks/STEM.png of 8- or 16-bit grey; "tiff" a BigTIFF file
        OUT/SPLIT_KIND_masks.tif for each split, with zlib, a page for each image. Where images
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
    scheduler : str
        "threads", "processes", "sync", or the address of a Dask scheduler, "tcp://HOST:PORT".
    workers : int, optional
        Processes, by default as many as there are cores; or threads, by default twice as many.
    overwrite : bool
        Replace masks that are there, also those made with other options.
    progress : callable, optional
        Called as (what, done, total).

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
    selection = Selection(
        min_area=min_area,
        categories=None if categories is None else tuple(sorted(set(categories))),
        mapping=tuple(sorted((mapping or {}).items())),
        kind=kind,
        overlap=overlap,
    )
    mask_format = find_format(format, kind, palette=palette, file_per_image=file_per_image)
    check_scheduler(scheduler)
    target = local_path(out).absolute()
    _refuse_other(target)
    opened = open_dataset(dataset)
    found = read_splits(opened, splits, variant, selection, mask_format, progress)
    settings = {"format": format, **asdict(selection), "palette": palette}
    settings |= {"file_per_image": file_per_image}
    record = describe(opened.name, settings, found)

    with writing(target):
        target.mkdir(exist_ok=True)
        remove_partials(target)
        before = read_record(target)
        if before and overwrite:
            _remove(target, before)
        elif before:
            record = expect_same(before, record, target)
        mask_format.begin(target, record, found)
        n_written = _write(target, found, selection, mask_format, scheduler, workers, progress)
    return ExportedMasks(
        path=Path(out),
        n_images={split.name: split.table.n_images for split in found},
        variants={split.name: split.variant for split in found},
        n_written=n_written,
    )


def find_format(
    name: str, kind: Kind, *, palette: bool = False, file_per_image: bool = False
) -> MaskFormat:
    """Make the file format that options ask for.

    Parameters
    ----------
    name : str
        One of :data:`FORMATS`.
    kind : str
        What the pixels are.
    palette, file_per_image : bool
        As for :func:`export_masks`.

    Returns
    -------
    MaskFormat

    Raises
    ------
    MtfastError
        If there is no such format, or it has no such option.
    """
    if name not in FORMATS:
        known = ", ".join(map(repr, FORMATS))
        raise MtfastError(f"format {name!r}; expected one of {known}; pick one")
    if palette and name != "png":
        raise MtfastError(f"a palette for {name}; expected png; leave it out")
    if file_per_image and name != "tiff":
        raise MtfastError(f"one file an image for {name}; expected tiff; leave it out")
    if palette:
        return PngFolder(kind, palette)
    return TiffFolder(kind) if file_per_image else FORMATS[name](kind)


def _refuse_other(target: Path) -> None:
    """Refuse a place with anything else than masks of an earlier run."""
    refuse_inside_store(target)
    if not target.exists() or (target.is_dir() and read_record(target)):
        return
    if not target.is_dir() or not all(p.name.startswith(PARTIAL) for p in target.iterdir()):
        raise StoreError(
            f"{target} exists and holds no masks of an earlier run; expected a new or empty "
            f"folder; choose another"
        )


def _remove(target: Path, record: dict[str, Any]) -> None:
    """Remove the masks that a record describes, and the record last."""
    settings = record["settings"]
    options = {name: bool(settings.get(name)) for name in ("palette", "file_per_image")}
    mask_format = find_format(settings.get("format"), settings.get("kind"), **options)
    for split in record["splits"]:
        for path in mask_format.outputs(target, split):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
    for name in (RECORD, "zarr.json"):
        (target / name).unlink(missing_ok=True)


def _write(
    target: Path,
    splits: Sequence[MaskSplit],
    selection: Selection,
    mask_format: MaskFormat,
    scheduler: str,
    workers: int | None,
    progress: Progress | None,
) -> int:
    """Write all masks that are not there; return how many that were."""
    batches = [
        MaskBatch(
            out=target,
            split=split.name,
            number=shard.number,
            table=split.table,
            start=shard.start,
            stop=shard.stop,
            selection=selection,
            dtype=split.dtype.name,
            largest=split.largest,
        )
        for split in splits
        if not mask_format.is_whole(target, split)
        for shard in plan({split.name: split.table.n_images}, schema.SHARD)
    ]
    sizes = [batch.n_images for batch in batches]
    with run_jobs(mask_format.write, batches, "write-masks", scheduler, workers) as results:
        written = track(results, "writing masks", progress, sum(sizes), lambda r: sizes[r[0]])
        n_written = sum(n for _, n in written)
    for split in splits:
        mask_format.finish_split(target, split)
    mask_format.finish(target)
    return n_written
