"""Masks of a dataset are written anew: select, plan the parts, let Dask write them.

::

    source -> RunTable --slices--> Part: Selection, then runs -> zstd, PNG or TIFF -> a file of its
                                         own, unless that is there and whole already

What a folder holds is recorded before the first mask is written, and a later run goes on with it
only if it would write the same.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from mtfast.atomic import PARTIAL, remove_partials
from mtfast.dataset import DatasetView, SplitView, open_dataset
from mtfast.errors import MtfastError, SourceError, StoreError
from mtfast.export.format import Format, MaskSplit, Part
from mtfast.export.image_files import FolderOfPng, FolderOfTiff
from mtfast.export.manifest import RECORD, describe, expect_same, read_record
from mtfast.export.tiff_stack import TiffStack
from mtfast.export.zarr_arrays import ZarrArrays
from mtfast.painting.overlap import Overlap
from mtfast.painting.paint import semantic_dtype
from mtfast.painting.selection import Kind, Selection, known_categories
from mtfast.parallel import check_scheduler, run_jobs
from mtfast.progress import Progress, step, track
from mtfast.store import schema
from mtfast.store.shard import plan
from mtfast.store.writing.replace import refuse_inside_store, writing
from mtfast.table import RunTable

__all__ = ["ExportedMasks", "export_masks"]

# Images that are looked at together before anything is written.
_BLOCK = 4096


class ExportedMasks(NamedTuple):
    """What :func:`export_masks` has done.

    Attributes
    ----------
    path : Path
        Of the folder.
    n_images : dict
        Number of masks of each split.
    variants : dict
        The variant that those of each split were made from.
    n_written : int
        How many of them had not been there.
    """

    path: Path
    n_images: dict[str, int]
    variants: dict[str, str]
    n_written: int


def export_masks(
    source: str | os.PathLike[str],
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
    """Write the masks of a dataset anew, from its RLE.

    What is there and whole is left alone: a run that was cut short is finished by the next one.

    Parameters
    ----------
    source : path-like
        A source, see :func:`mtfast.open_source`, or a store.
    out : path-like
        A new or empty folder, or one that this function has written to.
    format : {"zarr", "png", "tiff"}
        "zarr" makes arrays OUT/SPLIT/semantic as a converted store has them, "png" files
        OUT/SPLIT_semantic_masks/STEM.png of 8- or 16-bit grey, "tiff" one BigTIFF file
        OUT/SPLIT_semantic_masks.tif a split, with zlib, a page an image. Only PNG files, and TIFF
        files of one image, may differ in size within a split.
    splits : sequence of str, optional
        All by default.
    variant : str, optional
        Annotations to use; by default those that :func:`mtfast.convert` paints masks from.
    min_area, categories, mapping, kind, overlap
        Which instances show, and as what: see :class:`mtfast.painting.selection.Selection`.
        A mask has uint8 pixels, or uint16 if any value of the split needs them.
    palette : bool
        PNG files have colours for people, their pixels are indices into them.
    file_per_image : bool
        "tiff" makes files OUT/SPLIT_semantic_masks/STEM.tif.
    scheduler, workers, progress
        As for :func:`mtfast.convert`.
    overwrite : bool
        Replace masks that are there, whatever they were made with.

    Returns
    -------
    ExportedMasks

    Raises
    ------
    SourceError, RLEError
        If the dataset is not in order.
    StoreError
        If the folder holds something else, or masks made with other options.
    MtfastError
        If an option has no such value, sizes differ, or instances overlap that must not.

    Examples
    --------
    >>> mtfast.export_masks("Graphene", "masks", format="png", min_area=300)  # doctest: +SKIP
    """
    selection = Selection(
        min_area=min_area,
        categories=None if categories is None else tuple(sorted(set(categories))),
        mapping=tuple(sorted((mapping or {}).items())),
        kind=kind,
        overlap=overlap,
    )
    way = _format(format, palette, file_per_image)
    check_scheduler(scheduler)
    target = Path(out).absolute()
    _refuse_other(target)
    dataset = open_dataset(source)
    found = _read(dataset, splits, variant, selection, way, progress)
    settings = {"format": format, **asdict(selection), "palette": palette}
    settings |= {"file_per_image": file_per_image}
    record = describe(dataset.path.resolve().name, settings, found)

    with writing(target):
        target.mkdir(exist_ok=True)
        remove_partials(target)
        before = read_record(target)
        if before and overwrite:
            _remove(target, before)
        elif before:
            record = expect_same(before, record, target)
        way.begin(target, record, found)
        n_written = _write(target, found, selection, way, scheduler, workers, progress)
    return ExportedMasks(
        path=Path(out),
        n_images={split.name: split.table.n_images for split in found},
        variants={split.name: split.variant for split in found},
        n_written=n_written,
    )


def _format(name: str, palette: bool, file_per_image: bool) -> Format:
    if palette and name != "png":
        raise MtfastError(f"a palette for {name}; expected png; leave it out")
    if file_per_image and name != "tiff":
        raise MtfastError(f"one file an image for {name}; expected tiff; leave it out")
    if name == "zarr":
        return ZarrArrays()
    if name == "png":
        return FolderOfPng(palette)
    if name == "tiff":
        return FolderOfTiff() if file_per_image else TiffStack()
    raise MtfastError(f"format {name!r}; expected 'zarr', 'png' or 'tiff'; pick one")


def _refuse_other(target: Path) -> None:
    """Write only where there is nothing, or masks that were written here."""
    refuse_inside_store(target)
    if not target.exists() or (target.is_dir() and read_record(target)):
        return
    if not target.is_dir() or not all(p.name.startswith(PARTIAL) for p in target.iterdir()):
        raise StoreError(
            f"{target} exists and holds no masks of an earlier run; expected a new or empty "
            f"folder; choose another"
        )


def _read(
    dataset: DatasetView,
    splits: Sequence[str] | None,
    variant: str | None,
    selection: Selection,
    way: Format,
    progress: Progress | None,
) -> list[MaskSplit]:
    """Read the annotations of all splits and make sure that their masks can be written."""
    chosen = tuple(dict.fromkeys(splits)) if splits else tuple(dataset.splits)
    for name in chosen:
        if name not in dataset.splits:
            raise SourceError(
                f"no split {name!r} in {dataset.path}; expected one of "
                f"{', '.join(dataset.splits)}; pick one of these"
            )
    tables = {name: _table(dataset.splits[name], variant, progress) for name in chosen}
    selection.expect_known(known_categories(b for t in tables.values() for b in _blocks(t)))
    found = []
    for name, table in tables.items():
        if way.one_size:
            table.common_size()
        low, high = _range_of_values(table, selection)
        split = MaskSplit(
            name=name,
            variant=variant or dataset.splits[name].semantic_variant,
            table=table,
            dtype=semantic_dtype(np.array([low, high])),
            largest=high,
        )
        way.check(split)
        found.append(split)
    return found


def _table(split: SplitView, variant: str | None, progress: Progress | None) -> RunTable:
    chosen = variant or split.semantic_variant
    if chosen not in split.variants:
        shown = ", ".join(split.variants[:8])
        raise SourceError(
            f"no variant {chosen!r} in split {split.name!r}; expected one of {shown}"
            f"{', …' if len(split.variants) > 8 else ''}; pick one of these for --variant"
        )
    what = f"reading annotations of {split.name}"
    with step(what, progress):
        table = split.table(chosen)
    return _lean(table)


def _lean(table: RunTable) -> RunTable:
    """Let go of what masks do not show, a sixth of a table."""
    columns = {field.name: getattr(table, field.name) for field in fields(table)}
    for name in ("stated_area", "stated_bbox"):
        columns[name] = np.broadcast_to(np.nan, columns[name].shape)
    return RunTable.unchecked(**columns)


def _blocks(table: RunTable) -> Iterator[RunTable]:
    return (table[start : start + _BLOCK] for start in range(0, table.n_images, _BLOCK))


def _range_of_values(table: RunTable, selection: Selection) -> tuple[int, int]:
    """Smallest and largest value of all masks; refuse what :class:`Selection` refuses."""
    low = high = 0
    for whole in _blocks(table):
        block = selection.values(whole)
        low = min(low, int(block.category_ids.min(initial=0)))
        high = max(high, int(block.category_ids.max(initial=0)))
        if selection.overlap == "error":
            selection.arrange(block)
    if selection.kind == "instance" and high > 65535:
        raise MtfastError(
            f"an image with {high} instances; expected at most 65535 in one mask; "
            f"leave small ones out with a minimum area"
        )
    return low, high


def _remove(target: Path, record: dict[str, Any]) -> None:
    """Remove the masks that a record tells of, and the record last."""
    ways: dict[str, list[Format]] = {"zarr": [ZarrArrays()], "png": [FolderOfPng()]}
    ways["tiff"] = [TiffStack(), FolderOfTiff()]
    for split in record["splits"]:
        for way in ways.get(record["settings"].get("format"), []):
            for path in way.outputs(target, split):
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
    way: Format,
    scheduler: str,
    workers: int | None,
    progress: Progress | None,
) -> int:
    """Write all parts that are not there; return how many masks that were."""
    parts = [
        Part(
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
        if not way.is_whole(target, split)
        for shard in plan({split.name: split.table.n_images}, schema.SHARD)
    ]
    sizes = [part.n_images for part in parts]
    with run_jobs(way.write, parts, "write-masks", scheduler, workers) as results:
        written = track(results, "writing masks", progress, sum(sizes), lambda r: sizes[r[0]])
        n_written = sum(n for _, n in written)
    for split in splits:
        way.gather(target, split)
    way.end(target)
    return n_written
