"""A dataset becomes a store: read the annotations, plan the shards, let Dask write them.

::

    source -> tables -> pool and columns ------------------> zarr arrays
                     -> semantic table --> shards (Dask) --> semantic/c.K.0.0
              image files --------------->                   images/jpeg/c.K.0.0.0

A shard is the unit of work: task K owns shard K of every per-image array, so no two tasks write
into one file.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

from mtfast.conversion.inputs import SplitInput, read_split
from mtfast.errors import MtfastError, SourceError
from mtfast.jpeg import read_header
from mtfast.painting.encode import encode_masks
from mtfast.parallel import check_scheduler, run_jobs
from mtfast.progress import Progress, track
from mtfast.sources import Source, open_source
from mtfast.sources.source import chosen_splits
from mtfast.store import schema
from mtfast.store.shard import Shard, plan, write_shard
from mtfast.store.writing.annotations import pack
from mtfast.store.writing.arrays import (
    StoreWriter,
    declare_images,
    declare_masks,
    shard_path,
    write_columns,
)
from mtfast.store.writing.crop_index import IndexShard, write_steps
from mtfast.store.writing.crop_index import declare as declare_index
from mtfast.store.writing.replace import refuse_existing, replacing
from mtfast.table import RunTable, as_strings

if TYPE_CHECKING:
    import zarr

__all__ = ["convert"]


def convert(
    source: Source | str | os.PathLike[str],
    store: str | os.PathLike[str],
    *,
    splits: Sequence[str] | None = None,
    semantic: str | None = None,
    images: Literal["jpeg", "none"] = "jpeg",
    shard: int = schema.SHARD,
    decode_check: bool = False,
    crop_index: bool = False,
    scheduler: str = "threads",
    workers: int | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Convert a dataset to a Zarr store with fast random access.

    Image files are stored as they are, byte for byte; semantic masks are painted from the RLE,
    later annotations over earlier ones; all annotation files are kept.

    Parameters
    ----------
    source : Source or path-like
        See :func:`mtfast.open_source`.
    store : path-like
        Where to write the store; must not exist.
    splits : sequence of str, optional
        Which splits to convert; all by default.
    semantic : str, optional
        The variant that semantic masks are painted from; by default the with-class one with
        threshold 200, see :func:`mtfast.sources.variants.default_variant`.
    images : {"jpeg", "none"}
        Whether to store the images.
    shard : int
        Images in a shard file.
    decode_check : bool
        Decode every image, to find those that the decoder refuses; otherwise only the markers of
        a file are looked at. Damage that libjpeg papers over passes either way.
    crop_index : bool
        Index the images, so that windows of them are decoded without the rest; see
        :func:`mtfast.conversion.crop_index.add_crop_index`, which does so later. It takes a percent
        of the room and half the time of decoding them.
    scheduler : str
        "threads", "processes", "sync", or the address of a Dask scheduler, "tcp://HOST:PORT".
    workers : int, optional
        Processes, by default as many as there are cores; or threads, by default twice as many,
        as they wait for the disk for much of their time.
    overwrite : bool
        Replace a store that is there. It stays until the new one is complete.
    progress : callable, optional
        Called as (what, done, total).

    Returns
    -------
    Path
        Of the store, for :func:`mtfast.open`.

    Raises
    ------
    SourceError, RLEError
        If the dataset is not in order.
    StoreError
        If the store exists or cannot be written. What was written so far is removed.

    Examples
    --------
    >>> mtfast.convert("GrapheneH", "graphene_h.zarr")       # doctest: +SKIP
    """
    if images not in ("jpeg", "none"):
        raise MtfastError(f"images {images!r}; expected 'jpeg' or 'none'; pick one")
    if crop_index and images == "none":
        raise MtfastError(
            "a crop index without images; expected images to index; leave out one of the two"
        )
    if shard < 1:
        raise MtfastError(f"{shard} images in a shard; expected at least 1; the default is 64")
    check_scheduler(scheduler)
    target = Path(store).absolute()
    refuse_existing(target, overwrite)
    opened = source if isinstance(source, Source) else open_source(source)
    inputs = [
        read_split(opened, split, semantic, images == "jpeg", progress)
        for split in chosen_splits(opened, splits)
    ]

    run = partial(run_jobs, _write_shard, name="write-shard", scheduler=scheduler, workers=workers)
    with replacing(target):
        _write(target, opened, inputs, shard, decode_check, crop_index, run, progress)
    return Path(store)


@dataclass(frozen=True)
class _Job:
    """All that a worker needs to write one shard of every array of a split."""

    store: Path
    split: str
    number: int
    slots: int
    size: tuple[int, int]
    dtype: str
    table: RunTable
    names: tuple[str, ...]
    source: Source | None
    decode_check: bool
    crop_index: bool


class _Written(NamedTuple):
    """Of each image file of a shard: its CRC-32C, and the step of its crop index if it has one."""

    checksums: list[int]
    steps: list[int]


def _write(
    target: Path,
    source: Source,
    inputs: Sequence[SplitInput],
    shard: int,
    decode_check: bool,
    crop_index: bool,
    run: Callable[[Sequence[_Job]], AbstractContextManager[Iterator[tuple[int, _Written]]]],
    progress: Progress | None,
) -> None:
    from mtfast import __version__

    attributes = {
        "mtfast_version": __version__,
        "source": {"name": source.name, "kind": source.kind},
        "splits": [split.name for split in inputs],
        "shard": shard,
    }
    writer = StoreWriter(target, attributes)
    groups = {split.name: _declare(writer, split, shard, crop_index) for split in inputs}
    by_name = {split.name: split for split in inputs}
    shards = plan({split.name: len(split.names) for split in inputs}, shard)
    jobs = [
        _job(target, by_name[part.split], part, source, shard, decode_check, crop_index)
        for part in shards
    ]
    sums = {split.name: np.zeros(len(split.names), np.uint32) for split in inputs}
    steps = {split.name: np.zeros(len(split.names), np.uint16) for split in inputs}
    sizes = [part.stop - part.start for part in shards]
    # The columns are Python's work and the shards are not: they share the time.
    with ThreadPoolExecutor(1) as aside:
        columns = aside.submit(_write_columns, groups, inputs)
        with run(jobs) as results:
            shown = track(results, "writing images", progress, sum(sizes), lambda r: sizes[r[0]])
            for number, written in shown:
                part = shards[number]
                if written.checksums:
                    sums[part.split][part.start : part.stop] = written.checksums
                if written.steps:
                    steps[part.split][part.start : part.stop] = written.steps
        columns.result()
    for split in inputs:
        if split.has_images:
            checksums = {"image_crc32c": sums[split.name]}
            write_columns(groups[split.name], schema.SPLIT, checksums)
        if crop_index:
            write_steps(target / split.name / schema.CROP_GROUP, steps[split.name])
    writer.finish()


def _declare(writer: StoreWriter, split: SplitInput, shard: int, crop_index: bool) -> zarr.Group:
    """Create the group of a split and the arrays whose shards the jobs write."""
    group = writer.split(
        split.name,
        {
            "n_images": len(split.names),
            "height": split.size[0],
            "width": split.size[1],
            "images": split.has_images,
            "semantic_variant": split.semantic_variant,
            "sets": list(split.sets),
        },
    )
    declare_masks(group, len(split.names), split.size, split.semantic_dtype, shard)
    if split.has_images:
        declare_images(group, len(split.names), split.size, shard)
    if crop_index:
        declare_index(group, schema.CROP_GROUP, len(split.names), split.size, shard)
    return group


def _write_columns(groups: Mapping[str, zarr.Group], inputs: Sequence[SplitInput]) -> None:
    for split in inputs:
        group = groups[split.name]
        strings = {"name": split.names, "set_name": split.set_names}
        write_columns(group, schema.SPLIT, {k: as_strings(v) for k, v in strings.items()})
        instances, variants = pack(split.tables, split.names)
        write_columns(group.create_group("instances"), schema.INSTANCES, instances)
        write_columns(group.create_group("variants"), schema.VARIANTS, variants)


def _job(
    target: Path,
    split: SplitInput,
    part: Shard,
    source: Source,
    shard: int,
    decode_check: bool,
    crop_index: bool,
) -> _Job:
    return _Job(
        store=target,
        split=split.name,
        number=part.number,
        slots=shard,
        size=split.size,
        dtype=split.semantic_dtype.name,
        table=split.table[part.start : part.stop],
        names=split.names[part.start : part.stop],
        source=source if split.has_images else None,
        decode_check=decode_check,
        crop_index=crop_index,
    )


def _write_shard(job: _Job) -> _Written:
    """Write one shard of every array."""
    masks = shard_path(job.store, f"{job.split}/{schema.SEMANTIC}", job.number, 3)
    write_shard(masks, encode_masks(job.table, np.dtype(job.dtype)), job.slots)
    written = _Written([], [])
    if job.source is not None:
        path = shard_path(job.store, f"{job.split}/{schema.JPEG}", job.number, 4)
        images = _checked_images(job, job.source, written.checksums)
        index = IndexShard(job.size) if job.crop_index else None
        write_shard(path, index.watch(images) if index else images, job.slots)
        if index:
            folder = job.store / job.split / schema.CROP_GROUP
            index.write(folder, job.number, job.slots)
            written.steps.extend(index.steps)
    return written


def _checked_images(job: _Job, source: Source, checksums: list[int]) -> Iterator[bytes]:
    import google_crc32c
    import imagecodecs

    height, width = job.size
    for name in job.names:
        data = source.read_image(job.split, name)
        try:
            header = read_header(data)
        except MtfastError as error:
            raise SourceError(f"image {name} of split {job.split!r} is {error}") from error
        if (header.height, header.width) != (height, width):
            raise SourceError(
                f"image {name} of split {job.split!r} is {header.height} x {header.width} pixels; "
                f"expected {height} x {width} as in the annotations; correct either"
            )
        if job.decode_check:
            try:
                imagecodecs.jpeg8_decode(data, outcolorspace="RGB")
            except (ValueError, RuntimeError) as error:
                raise SourceError(
                    f"image {name} of split {job.split!r} does not decode ({error}); "
                    f"expected a sound JPEG; fetch it again"
                ) from error
        checksums.append(google_crc32c.value(data))
        yield data
