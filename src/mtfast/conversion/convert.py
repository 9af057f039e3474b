"""A dataset becomes a store: read the annotations, plan the shards, let Dask write them.

::

    source -> tables -> columns ---------------------------> zarr arrays
                     -> semantic table --> shards (Dask) --> semantic/c.K.0.0
              image files --------------->                   images/file/c.K.0.0

A shard is the unit of work: task K owns shard K of every per-image array, so no two tasks write
into one file.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtfast import image_files
from mtfast.arguments import ImagesOption, as_integer, wants_images
from mtfast.conversion.inputs import SplitInput, read_split
from mtfast.errors import MtfastError, SourceError, one_of
from mtfast.image_files import ImageHeader, read_header
from mtfast.parallel import check_scheduler, run_jobs
from mtfast.paths import local_path
from mtfast.progress import Progress, track
from mtfast.ragged import as_strings
from mtfast.sources import Source, SourcePath, open_source
from mtfast.sources.bad_records import BadRecords, Policy
from mtfast.sources.source import chosen_splits
from mtfast.store import schema
from mtfast.store.file_frames import frame, seal, sum_of
from mtfast.store.mask_grid import MaskGrid
from mtfast.store.shard import Shard, plan, write_shard
from mtfast.store.writing.annotations import pack
from mtfast.store.writing.arrays import (
    StoreWriter,
    declare_files,
    declare_masks,
    file_chunk,
    shard_path,
    write_columns,
)
from mtfast.store.writing.crop_index import IndexShard, write_rows
from mtfast.store.writing.crop_index import declare as declare_index
from mtfast.store.writing.masks import mask_chunks
from mtfast.store.writing.replace import refuse_existing, replacing
from mtfast.table import RunTable

if TYPE_CHECKING:
    import zarr

__all__ = ["Orientation", "convert"]

logger = logging.getLogger(__name__)

Orientation = Literal["stored", "shown"]
"""Which frame masks are in, of images that EXIF turns without changing their size."""


def convert(
    source: Source | SourcePath,
    store: str | os.PathLike[str],
    *,
    splits: Sequence[str] | None = None,
    variant: str | None = None,
    bad: Policy = "refuse",
    mapping: Mapping[int, int] | None = None,
    image_folder: str | os.PathLike[str] | None = None,
    images: ImagesOption = True,
    shard: int = schema.SHARD,
    decode_check: bool = False,
    crop_index: bool = False,
    orientation: Orientation | None = None,
    scheduler: str = "threads",
    workers: int | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    semantic: str | None = None,
) -> Path:
    """Convert a dataset to a Zarr store with fast random access.

    Image files are stored as they are, byte for byte; semantic masks are painted from the RLE,
    later annotations over earlier ones; all annotation files are kept.

    Parameters
    ----------
    source : Source, path-like or mapping
        See :func:`mtfast.open_source`; a mapping has a COCO file for each split.
    store : path-like
        Where to write the store; must not exist.
    splits : sequence of str, optional
        Which splits to convert; all by default.
    variant : str, optional
        What semantic masks are painted from; by default the with-class variant with threshold 200,
        see :func:`mtfast.sources.variants.default_variant`.
    bad, mapping, image_folder
        As for :func:`mtfast.open_source`; an opened source has its own.
    images : bool, "keep" or "none"
        Whether to store the image files.
    shard : int
        Images in a shard file, up to 1,048,576.
    decode_check : bool
        Decode every image, to find those that the decoder refuses; otherwise only the markers of
        a file are checked. Damage that libjpeg conceals passes either way.
    crop_index : bool
        Index the images, so that windows of them are decoded without the rest; see
        :func:`mtfast.conversion.crop_index.add_crop_index`, which does so later. It adds a percent
        to the size of the store, and takes half as long as decoding the images.
    orientation : {"stored", "shown"}, optional
        The frame that the masks are in, of images that have an EXIF orientation and one size as
        stored and as shown. Where the sizes differ that of the masks decides.
    scheduler : str
        "threads", "processes", "sync", or the address of a Dask scheduler, "tcp://HOST:PORT".
    workers : int, optional
        Processes, by default as many as there are cores; or threads, by default twice as many,
        as they spend much of their time waiting for the disk.
    overwrite : bool
        Replace a store. The old one is kept until the new one is complete.
    progress : callable, optional
        Called as (what, done, total).
    semantic : str, optional
        Older name of ``variant``.

    Returns
    -------
    Path
        Of the store, for :func:`mtfast.open`.

    Raises
    ------
    SourceError, RLEError
        If the dataset is missing, malformed, or one of its files cannot be read.
    StoreError
        If the store exists or cannot be written. What was written so far is removed.
    MtfastError
        If an option has no such value.

    Examples
    --------
    >>> path = mtfast.convert("Graphene", "new.zarr", splits=["test"])
    >>> mtfast.open(path)                                       # doctest: +ELLIPSIS
    <mtfast store ...new.zarr: <test: 4 images of 96 x 128>>
    """
    if orientation is not None:
        one_of("orientation", orientation, ("stored", "shown"))
    options = _Options(
        wants_images(images),
        as_integer("shard", shard, 1, schema.LARGEST_SHARD),
        decode_check,
        crop_index,
        orientation,
    )
    if crop_index and not options.images:
        raise MtfastError(
            "a crop index without images; expected images to index; leave out one of the two"
        )
    check_scheduler(scheduler)
    target = local_path(store).absolute()
    refuse_existing(target, overwrite)
    if not isinstance(source, Source):
        source = open_source(source, image_folder, bad=bad, mapping=mapping)
    elif bad != "refuse" or mapping or image_folder:
        raise MtfastError(
            "bad, mapping or image_folder with an opened source; expected them where it was "
            "opened; give them to open_source"
        )
    opened = source
    inputs = [
        read_split(opened, split, variant or semantic, options.images, progress)
        for split in chosen_splits(opened, splits)
    ]

    run = partial(run_jobs, _write_shard, name="write-shard", scheduler=scheduler, workers=workers)
    with replacing(target):
        _write(target, opened, inputs, options, run, progress)
    return Path(store)


@dataclass(frozen=True)
class _Options:
    """What is written; see :func:`convert`."""

    images: bool
    shard: int
    decode_check: bool
    crop_index: bool
    orientation: Orientation | None


@dataclass(frozen=True)
class _Job:
    """All that a worker needs to write one shard of every array of a split."""

    store: Path
    split: str
    number: int
    grid: MaskGrid
    longest: int
    dtype: str
    table: RunTable
    names: tuple[str, ...]
    source: Source | None
    options: _Options


class _Written(NamedTuple):
    """Of each image of a shard: columns of the store, and of its crop index if any."""

    columns: dict[str, list[Any]]
    entries: list[tuple[int, int]]


def _write(
    target: Path,
    source: Source,
    inputs: Sequence[SplitInput],
    options: _Options,
    run: Callable[[Sequence[_Job]], AbstractContextManager[Iterator[tuple[int, _Written]]]],
    progress: Progress | None,
) -> None:
    writer = StoreWriter(target, _attributes(source, inputs, options))
    groups = {split.name: _declare(writer, split, options) for split in inputs}
    by_name = {split.name: split for split in inputs}
    shards = plan({split.name: len(split.names) for split in inputs}, options.shard)
    jobs = [_job(target, source, by_name[shard.split], shard, options) for shard in shards]
    columns: dict[str, dict[str, list[Any]]] = {
        split.name: {name: [None] * len(split.names) for name in _ALL_COLUMNS} for split in inputs
    }
    index = {split.name: np.zeros((len(split.names), 2), np.int64) for split in inputs}
    sizes = [shard.stop - shard.start for shard in shards]
    # Columns keep the interpreter busy and shards do not: they are written side by side.
    with ThreadPoolExecutor(1) as aside:
        annotations = aside.submit(_write_annotations, groups, inputs)
        with run(jobs) as results:
            shown = track(results, "writing images", progress, sum(sizes), lambda r: sizes[r[0]])
            for number, written in shown:
                shard = shards[number]
                for name, values in written.columns.items():
                    columns[shard.split][name][shard.start : shard.stop] = values
                if written.entries:
                    index[shard.split][shard.start : shard.stop] = written.entries
        annotations.result()
    for split in inputs:
        _write_columns(groups[split.name], split, columns[split.name])
        _tell(split, columns[split.name])
        if options.crop_index:
            write_rows(target / split.name / schema.CROP_GROUP, index[split.name])
    writer.finish()


def _attributes(source: Source, inputs: Sequence[SplitInput], options: _Options) -> dict[str, Any]:
    """Return those of the root group."""
    from mtfast import __version__

    return {
        "mtfast_version": __version__,
        "source": {"name": source.name, "kind": source.kind},
        "splits": [split.name for split in inputs],
        "shard": options.shard,
        "findings": {
            split.name: [_as_json(found) for found in split.findings]
            for split in inputs
            if split.findings
        },
    }


def _as_json(found: BadRecords) -> dict[str, Any]:
    """Return what was found, for the attributes of the store: its report."""
    return {
        "kind": found.kind,
        "file": found.file,
        "n": found.n,
        "done": found.done,
        "examples": list(found.examples),
        "mapping": [list(pair) for pair in found.mapping],
    }


def _declare(writer: StoreWriter, split: SplitInput, options: _Options) -> zarr.Group:
    """Create the group of a split and the arrays whose shards the jobs write."""
    n_images = len(split.names)
    group = writer.split(
        split.name,
        {
            "n_images": n_images,
            "images": split.has_images,
            "semantic_variant": split.semantic_variant,
            "sets": list(split.sets),
        },
    )
    declare_masks(
        group,
        n_images,
        split.grid,
        split.semantic_dtype,
        options.shard,
        attributes=_meanings(split.table),
    )
    if split.has_images:
        declare_files(group, n_images, split.longest, options.shard)
    if options.crop_index:
        declare_index(group, schema.CROP_GROUP, n_images, split.grid.chunk, options.shard)
    return group


def _meanings(table: RunTable) -> dict[str, Any]:
    """Say what the values of masks mean, as the CF conventions do."""
    categories = sorted(table.categories)
    words = [category.name.replace(" ", "_") for category in categories]
    return {
        "long_name": "category ids",
        "flag_values": [0, *(category.id for category in categories)],
        "flag_meanings": " ".join(["background", *words]),
    }


def _write_annotations(groups: Mapping[str, zarr.Group], inputs: Sequence[SplitInput]) -> None:
    for split in inputs:
        group = groups[split.name]
        write_columns(group, schema.NAMES, {schema.NAME: as_strings(split.names)})
        instances, variants = pack(split.tables, split.names)
        write_columns(group.create_group("instances"), schema.INSTANCES, instances)
        write_columns(group.create_group("variants"), schema.VARIANTS, variants)


_SHARD_COLUMNS = ("semantic_crc32c", "kind", "orientation", "file_bytes", "file_crc32c")
_ALL_COLUMNS = (*_SHARD_COLUMNS, "has_alpha")
_FILE_COLUMNS = _ALL_COLUMNS[1:]


def _write_columns(group: zarr.Group, split: SplitInput, found: Mapping[str, list[Any]]) -> None:
    """Write what is known of each image; of files only if they are there."""
    values: dict[str, NDArray[Any]] = {
        "height": split.table.heights.astype(np.int32),
        "width": split.table.widths.astype(np.int32),
        "set_name": as_strings(split.set_names),
    }
    for name in _SHARD_COLUMNS if split.has_images else _SHARD_COLUMNS[:1]:
        dtype = schema.COLUMNS[name].dtype
        values[name] = as_strings(found[name]) if dtype == "str" else np.array(found[name], dtype)
    write_columns(group.create_group(schema.COLUMN_GROUP), schema.COLUMNS, values)


def _tell(split: SplitInput, found: Mapping[str, list[Any]]) -> None:
    """Say what was left out or turned."""
    n_alpha, n_turned = (
        sum(map(bool, found["has_alpha"])),
        sum(o not in (None, 1) for o in found["orientation"]),
    )
    if n_alpha:
        logger.warning(
            "%s: %s images have an alpha channel; it is stored, but not part of their pixels",
            split.name,
            f"{n_alpha:,}",
        )
    if n_turned:
        logger.warning(
            "%s: %s images are turned as their EXIF orientation says, as their masks are",
            split.name,
            f"{n_turned:,}",
        )


def _job(target: Path, source: Source, split: SplitInput, shard: Shard, options: _Options) -> _Job:
    return _Job(
        store=target,
        split=split.name,
        number=shard.number,
        grid=split.grid,
        longest=split.longest,
        dtype=split.semantic_dtype.name,
        table=split.table[shard.start : shard.stop],
        names=split.names[shard.start : shard.stop],
        # Not sent to other processes for nothing.
        source=source if options.images else None,
        options=options,
    )


def _write_shard(job: _Job) -> _Written:
    """Write one shard of every array."""
    slots = job.options.shard
    written = _Written({"semantic_crc32c": []}, [])
    _write_masks(job, slots * job.grid.n_chunks, written.columns["semantic_crc32c"])
    if job.source is not None:
        written.columns.update((name, []) for name in _FILE_COLUMNS)
        piece = file_chunk(job.longest)
        n_pieces = -(-job.longest // piece)
        path = shard_path(job.store, f"{job.split}/{schema.FILE}", job.number, 2)
        images = _checked_images(job, job.source, written.columns)
        sizes = zip(job.table.heights.tolist(), job.table.widths.tolist(), strict=True)
        index = IndexShard(sizes, job.grid.chunk) if job.options.crop_index else None
        watched = index.watch(images) if index else images
        chunks = _file_chunks(watched, piece, n_pieces, written.columns["file_crc32c"])
        write_shard(path, chunks, slots * n_pieces)
        if index:
            index.write(job.store / job.split / schema.CROP_GROUP, job.number, slots)
            written.entries.extend(index.rows)
    return written


def _write_masks(job: _Job, n_chunks: int, sums: list[int]) -> None:
    def chunks() -> Iterator[bytes | None]:
        for of_image in mask_chunks(job.table, np.dtype(job.dtype), job.grid):
            sums.append(sum_of([chunk for chunk in of_image if chunk is not None]))
            yield from of_image

    path = shard_path(job.store, f"{job.split}/{schema.SEMANTIC}", job.number, 3)
    write_shard(path, chunks(), n_chunks)


def _file_chunks(
    images: Iterable[bytes], piece: int, n_pieces: int, sums: list[int]
) -> Iterator[bytes | None]:
    """Make the chunks of image files; note the checksum of each file's."""
    for data in images:
        parts = [data[start : start + piece] for start in range(0, len(data), piece)]
        chunks = [seal(frame(part, piece)) for part in parts]
        sums.append(sum_of(chunks))
        yield from chunks
        yield from [None] * (n_pieces - len(chunks))


def _checked_images(job: _Job, source: Source, columns: Mapping[str, list[Any]]) -> Iterator[bytes]:
    """Read the image files of a shard; note what is known of each."""
    sizes = zip(job.table.heights.tolist(), job.table.widths.tolist(), strict=True)
    for name, size in zip(job.names, sizes, strict=True):
        what = f"image {name} of split {job.split!r}"
        data = _read_image(source, job.split, name, what)
        if len(data) > job.longest:
            raise SourceError(
                f"{what} has {len(data)} bytes; expected at most {job.longest}, as at the start; "
                f"leave the images as they are while they are converted"
            )
        header = _check_image(data, what, job.options.decode_check)
        orientation = _orientation(header, size, job.options.orientation, what)
        columns["kind"].append(header.kind)
        columns["orientation"].append(orientation)
        columns["file_bytes"].append(len(data))
        columns["has_alpha"].append(header.has_alpha)
        yield data


def _read_image(source: Source, split: str, name: str, what: str) -> bytes:
    try:
        return source.read_image(split, name)
    except OSError as error:
        # Further out it would pass for an error of the file that is written.
        raise SourceError(
            f"{what} cannot be read: {error.strerror or error}; expected the file that was there "
            f"at the start; check it and its disk"
        ) from error


def _check_image(data: bytes, what: str, decode: bool) -> ImageHeader:
    try:
        header = read_header(data)
        if decode:
            image_files.decode(data)
    except MtfastError as error:
        raise SourceError(f"{what} is {error}") from error
    return header


def _orientation(
    header: ImageHeader, size: tuple[int, int], chosen: Orientation | None, what: str
) -> int:
    """Return how an image is turned for its masks, which have a size; 1 for not at all.

    Masks may have been drawn on the image as it is stored, or as viewers show it. Their size tells
    which, unless it is the same both ways.
    """
    stored = header.height, header.width
    shown = stored[::-1] if header.orientation >= _TURNED else stored
    fits = {"stored": size == stored, "shown": size == shown}
    if not any(fits.values()):
        exif = ""
        if header.orientation > 1:
            exif = f" (EXIF orientation {header.orientation} shows it as {shown[0]} x {shown[1]})"
        raise SourceError(
            f"{what} is {stored[0]} x {stored[1]} pixels{exif}; expected {size[0]} x {size[1]} as "
            f"in the annotations; correct either"
        )
    if header.orientation == 1:
        return 1
    if all(fits.values()):
        if chosen is None:
            raise SourceError(
                f"{what} has EXIF orientation {header.orientation}, and its masks fit it as it is "
                f"stored and as it is shown; expected to be told which; give --orientation stored "
                f"or --orientation shown"
            )
        return header.orientation if chosen == "shown" else 1
    return header.orientation if fits["shown"] else 1


# EXIF orientations from this one on exchange height and width.
_TURNED = 5
