"""The job of a worker: one shard of every array of a split."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from mtfast.conversion.image_checks import ImageChecks, check_image, read_images
from mtfast.conversion.inputs import SplitInput
from mtfast.errors import SourceError
from mtfast.sources import Source
from mtfast.store import schema
from mtfast.store.file_frames import frame, seal_pieces, sum_of
from mtfast.store.mask_grid import MaskGrid
from mtfast.store.shard import Chunk, Shard, plan, shard_parts
from mtfast.store.writing.arrays import file_chunk, shard_key
from mtfast.store.writing.crop_index import IndexShard
from mtfast.store.writing.masks import mask_chunks
from mtfast.table import RunTable
from mtfast.work.folder_place import expect_shared
from mtfast.work.jobs import Place
from mtfast.work.records import FileSum, Made

__all__ = [
    "ALL_COLUMNS",
    "SHARD_COLUMNS",
    "Options",
    "ShardJob",
    "Written",
    "job_of",
    "key_of",
    "shards_of",
    "write_shard",
]

SHARD_COLUMNS = ("semantic_crc32c", "kind", "orientation", "file_bytes", "file_crc32c")
"""Columns of a store that its shards tell."""

ALL_COLUMNS = (*SHARD_COLUMNS, "has_alpha")
"""All that a job tells of each image."""

_FILE_COLUMNS = ALL_COLUMNS[1:]


@dataclass(frozen=True)
class Options:
    """What is written; see :func:`mtfast.convert`."""

    images: bool
    shard: int
    crop_index: bool
    checks: ImageChecks


@dataclass(frozen=True)
class ShardJob:
    """All that a worker needs to write one shard of every array of a split."""

    place: Place
    split: str
    number: int
    grid: MaskGrid
    longest: int
    dtype: str
    table: RunTable
    names: tuple[str, ...]
    source: Source | None
    options: Options


class Written(NamedTuple):
    """Of each image of a shard: columns of the store, and of its crop index if any."""

    columns: dict[str, list[Any]]
    entries: list[tuple[int, int]]


def shards_of(inputs: Sequence[SplitInput], options: Options) -> tuple[Shard, ...]:
    """Cut the images of all splits into shards.

    Parameters
    ----------
    inputs : sequence of SplitInput
    options : Options

    Returns
    -------
    tuple of Shard
    """
    return plan({split.name: len(split.names) for split in inputs}, options.shard)


def key_of(shard: Shard) -> str:
    """Return what the job of a shard is called, in every run.

    Parameters
    ----------
    shard : Shard

    Returns
    -------
    str
    """
    return f"{shard.split}/{shard.number}"


def job_of(
    place: Place, source: Source, split: SplitInput, shard: Shard, options: Options
) -> ShardJob:
    """Make the job of a shard.

    Parameters
    ----------
    place : Place
        Where it writes.
    source : Source
        Where image files are read.
    split : SplitInput
        The one that the shard is of.
    shard : Shard
    options : Options

    Returns
    -------
    ShardJob
    """
    return ShardJob(
        place=place,
        split=split.name,
        number=shard.number,
        grid=split.grid,
        longest=split.longest,
        dtype=split.semantic_dtype.name,
        table=split.table.images(slice(shard.start, shard.stop)),
        names=split.names[shard.start : shard.stop],
        # Not sent to other processes for nothing.
        source=source if options.images else None,
        options=options,
    )


def write_shard(job: ShardJob) -> Made:
    """Write one shard of every array.

    Parameters
    ----------
    job : ShardJob

    Returns
    -------
    Made
        Its result is a :class:`Written`.

    Raises
    ------
    SourceError, RLEError
        If an image cannot be stored as it is, or an annotation is malformed.
    """
    slots = job.options.shard
    written = Written({"semantic_crc32c": []}, [])
    files = _write_masks(job, slots * job.grid.n_chunks, written.columns["semantic_crc32c"])
    if job.source is not None:
        files |= _write_files(job, job.source, slots, written)
    return Made(tuple(written), files)


def _write_files(job: ShardJob, source: Source, slots: int, written: Written) -> dict[str, FileSum]:
    """Write the shard of image files, and those of their crop index if there is to be one."""
    # Of a zip that is not there opening it says so.
    if source.files.local() is not None:
        expect_shared(source.path)
    written.columns.update((name, []) for name in _FILE_COLUMNS)
    piece = file_chunk(job.longest)
    n_pieces = -(-job.longest // piece)
    images = _checked_images(job, source, written.columns)
    sizes = zip(job.table.heights.tolist(), job.table.widths.tolist(), strict=True)
    index = IndexShard(sizes, job.grid.chunk) if job.options.crop_index else None
    watched = index.watch(images) if index else images
    chunks = _file_chunks(watched, piece, n_pieces, written.columns["file_crc32c"])
    key = shard_key(f"{job.split}/{schema.FILE}", job.number, 2)
    files = {key: job.place.write(key, shard_parts(chunks, slots * n_pieces))}
    if index:
        files |= index.write(job.place, f"{job.split}/{schema.CROP_GROUP}", job.number, slots)
        written.entries.extend(index.rows)
    return files


def _write_masks(job: ShardJob, n_chunks: int, sums: list[int]) -> dict[str, FileSum]:
    def chunks() -> Iterator[bytes | None]:
        for of_image in mask_chunks(job.table, np.dtype(job.dtype), job.grid):
            sums.append(sum_of([chunk for chunk in of_image if chunk is not None]))
            yield from of_image

    key = shard_key(f"{job.split}/{schema.SEMANTIC}", job.number, 3)
    return {key: job.place.write(key, shard_parts(chunks(), n_chunks))}


def _file_chunks(
    images: Iterable[bytes], piece: int, n_pieces: int, sums: list[int]
) -> Iterator[Chunk | None]:
    """Make the chunks of image files; note the checksum of each file's."""
    for data in images:
        view = memoryview(data)
        parts = [view[start : start + piece] for start in range(0, len(data), piece)]
        chunks = [seal_pieces(frame(part, piece)) for part in parts]
        sums.append(sum_of([bytes(chunk[-1]) for chunk in chunks]))
        yield from chunks
        yield from [None] * (n_pieces - len(chunks))


def _checked_images(
    job: ShardJob, source: Source, columns: Mapping[str, list[Any]]
) -> Iterator[bytes]:
    """Read the image files of a shard; note what is known of each."""
    sizes = zip(job.table.heights.tolist(), job.table.widths.tolist(), strict=True)
    read = read_images(source, job.split, job.names)
    for name, size, data in zip(job.names, sizes, read, strict=True):
        if len(data) > job.longest:
            raise SourceError(
                f"image {name} of split {job.split!r} has {len(data)} bytes; expected at most "
                f"{job.longest}, as at the start; leave the images as they are while they are "
                f"converted"
            )
        header, orientation = check_image(data, name, size, job.options.checks)
        columns["kind"].append(header.kind)
        columns["orientation"].append(orientation)
        columns["file_bytes"].append(len(data))
        columns["has_alpha"].append(header.has_alpha)
        yield data
