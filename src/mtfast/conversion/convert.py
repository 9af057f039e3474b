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
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtfast.arguments import ImagesOption, as_integer, wants_images
from mtfast.atomic import check_new_folder, check_room
from mtfast.conversion.image_checks import (
    BadImageError,
    ImageChecks,
    Orientation,
    check_image,
    read_image,
)
from mtfast.conversion.inputs import SplitInput, read_splits, refusal_of_files
from mtfast.errors import MtfastError, SourceError, StoreError, counted, one_of, printable
from mtfast.limits import max_file_bytes
from mtfast.parallel import check_scheduler, run_jobs
from mtfast.paths import target_path
from mtfast.progress import Progress, shows_progress, track
from mtfast.ragged import as_strings
from mtfast.rles.rasterizers import Rasterizer
from mtfast.sources import Source, SourcePath, open_source
from mtfast.sources.bad_records import BadRecords, Policy
from mtfast.sources.source import chosen_splits
from mtfast.store import schema
from mtfast.store.file_frames import frame, seal_pieces, sum_of
from mtfast.store.mask_grid import MaskGrid
from mtfast.store.shard import Chunk, Shard, plan, write_shard
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
from mtfast.store.writing.replace import refuse_existing, writing_store
from mtfast.table import RunTable
from mtfast.version import installed_version
from mtfast.work_folder import FileSum, Made, Plan, WorkFolder

if TYPE_CHECKING:
    import zarr

__all__ = ["Orientation", "PartsOfStore", "convert"]

logger = logging.getLogger(__name__)


@shows_progress
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
    rasterizer: Rasterizer = "pycocotools",
) -> Path:
    """Convert a dataset to a Zarr store with fast random access.

    Image files are stored as they are, byte for byte; semantic masks are painted from the RLE,
    later annotations over earlier ones; all annotation files are kept.

    The store appears when it is complete. A run that is stopped, by Ctrl-C, an error or a kill,
    leaves what is done in a hidden folder beside it; the next run with the same options and an
    unchanged source goes on from there.

    Parameters
    ----------
    source : Source, path-like or mapping
        See :func:`mtfast.open_source`; a mapping has a COCO file for each split.
    store : path-like
        Where to write the store; must not exist.
    splits : sequence of str, optional
        Which splits to convert; by default all that list images.
    variant : str, optional
        What semantic masks are painted from; by default the with-class variant with threshold 200,
        see :func:`mtfast.sources.variants.default_variant`.
    bad, mapping, image_folder, rasterizer
        As for :func:`mtfast.open_source`; an opened source has its own. With ``bad`` "skip", images
        whose files are missing, damaged or of another size are left out, too.
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
    progress : bool or callable, optional
        True shows the command line's bar; a function is called as (what, done, total).
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
        If the store exists or cannot be written.
    MtfastError
        If an option has no such value.

    Examples
    --------
    >>> path = mtfast.convert("Graphene", "new.zarr", splits=["test"])
    >>> mtfast.open(path)                                       # doctest: +ELLIPSIS
    <mtfast store ...new.zarr
      test: 4 images of up to 96 x 128, 4 classes, 4 variants>
    """
    if orientation is not None:
        one_of("orientation", orientation, ("stored", "shown"))
    options = _Options(
        wants_images(images),
        as_integer("shard", shard, 1, schema.LARGEST_SHARD),
        crop_index,
        ImageChecks(decode_check, orientation),
    )
    if crop_index and not options.images:
        raise MtfastError(
            "a crop index without images; expected images to index; leave out one of the two"
        )
    check_scheduler(scheduler)
    target = target_path(store)
    refuse_existing(target, overwrite)
    if not target.exists():
        check_new_folder(target, StoreError)
    if not isinstance(source, Source):
        source = open_source(source, image_folder, bad=bad, mapping=mapping, rasterizer=rasterizer)
    elif bad != "refuse" or mapping or image_folder or rasterizer != "pycocotools":
        raise MtfastError(
            "bad, mapping, image_folder or rasterizer with an opened source; expected them where "
            "it was opened; give them to open_source"
        )
    opened = source
    options = replace(options, checks=_with_frame(options.checks, opened))
    checks = options.checks if options.images else None
    names = chosen_splits(opened, splits) if splits else None
    inputs = read_splits(opened, names, variant or semantic, checks, workers, progress)

    with writing_store(target, _plan(opened, inputs, options), overwrite) as work:
        _expect_room(work)
        try:
            _write(work, opened, inputs, options, scheduler, workers, progress)
        except SourceError as error:
            left = _images_left(work, opened, inputs, options)
            work.expect_changes(left, advised=("bad", "images"))
            if isinstance(error, BadImageError):
                refusal_of_files(opened, inputs, options.checks, workers, progress)
                raise SourceError(str(error)) from error
            raise
    return Path(store)


def _with_frame(checks: ImageChecks, source: Source) -> ImageChecks:
    """Take the frame of the masks from the layout, where nobody has said it."""
    return checks._replace(orientation=checks.orientation or source.frame)


@dataclass(frozen=True)
class _Options:
    """What is written; see :func:`convert`."""

    images: bool
    shard: int
    crop_index: bool
    checks: ImageChecks


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


def _plan(source: Source, inputs: Sequence[SplitInput], options: _Options) -> Plan:
    """Return what decides about the shards of a store."""
    chosen = {
        "splits": [split.name for split in inputs],
        "variant": [split.semantic_variant for split in inputs],
        "bad": source.bad,
        "map": source.mapping,
        **source.choices,
        "images": options.images,
        "shard": options.shard,
        "crop_index": options.crop_index,
        "decode_check": options.checks.decode,
        "orientation": options.checks.orientation,
    }
    found: dict[str, Any] = {}
    for split in inputs:
        found |= split.digests
        if split.has_images:
            found |= source.image_stamps(split.name, split.names)
    return Plan("convert", chosen, found)


def _expect_room(work: WorkFolder) -> None:
    """Refuse more image files than the disk takes; a run that goes on has written some already."""
    if not work.before:
        sizes = [stamp[0] for stamp in work.plan.inputs.values() if isinstance(stamp, list)]
        # A file with a hole, which is refused when it is read, may state any size.
        taken = sum(size for size in sizes if size <= max_file_bytes())
        check_room(work.folder, taken, "the image files", StoreError)


def _write(
    work: WorkFolder,
    source: Source,
    inputs: Sequence[SplitInput],
    options: _Options,
    scheduler: str,
    workers: int | None,
    progress: Progress | None,
) -> None:
    target = work.content
    writer = StoreWriter(target, _attributes(source, inputs, options))
    groups = {split.name: _declare(writer, split, options) for split in inputs}
    by_name = {split.name: split for split in inputs}
    shards = _shards(inputs, options)
    jobs = [_job(target, source, by_name[shard.split], shard, options) for shard in shards]
    columns: dict[str, dict[str, list[Any]]] = {
        split.name: {name: [None] * len(split.names) for name in _ALL_COLUMNS} for split in inputs
    }
    index = {split.name: np.zeros((len(split.names), 2), np.int64) for split in inputs}
    sizes = [shard.stop - shard.start for shard in shards]
    # Columns keep the interpreter busy and shards do not: they are written side by side.
    with ThreadPoolExecutor(1) as aside:
        annotations = aside.submit(_write_annotations, groups, inputs)
        keys = [_key(shard) for shard in shards]
        with work.run_jobs(_write_shard, jobs, keys, "write-shard", scheduler, workers) as results:
            shown = track(results, "writing images", progress, sum(sizes), lambda r: sizes[r[0]])
            for number, result in shown:
                shard, written = shards[number], _Written(*result)
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


def _shards(inputs: Sequence[SplitInput], options: _Options) -> tuple[Shard, ...]:
    return plan({split.name: len(split.names) for split in inputs}, options.shard)


def _key(shard: Shard) -> str:
    return f"{shard.split}/{shard.number}"


def _images_left(
    work: WorkFolder, source: Source, inputs: Sequence[SplitInput], options: _Options
) -> Iterator[str]:
    """List the image files that are in no shard yet: whatever was wrong is mended there."""
    by_name = {split.name: split for split in inputs}
    for shard in _shards(inputs, options):
        if options.images and _key(shard) not in work.done | work.before.keys():
            names = by_name[shard.split].names[shard.start : shard.stop]
            yield from source.find_images(shard.split, names).values()


def _attributes(source: Source, inputs: Sequence[SplitInput], options: _Options) -> dict[str, Any]:
    """Return those of the root group."""
    return {
        "mtfast_version": installed_version(),
        "source": {
            "name": source.name,
            "kind": source.kind,
            **source.choices,
        },
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
        "places": _places(found) if found.done in ("skipped", "repaired", "dropped") else [],
    }


def _places(found: BadRecords) -> list[int | str]:
    """Return the ids of annotations and the names of images, each once."""
    firsts = [place[0] if isinstance(place, tuple) else place for place in found.places]
    return list(dict.fromkeys(p if isinstance(p, int) else printable(str(p)) for p in firsts))


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
        # One after the other: together they take much memory.
        instances = split.annotations.instance_columns(split.names)
        write_columns(group.create_group("instances"), schema.INSTANCES, instances)
        del instances
        variants = split.annotations.variant_columns(split.names)
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
    of_shards = _SHARD_COLUMNS if split.has_images else _SHARD_COLUMNS[:1]
    for name in filter(found.__contains__, of_shards):
        dtype = schema.COLUMNS[name].dtype
        values[name] = as_strings(found[name]) if dtype == "str" else np.array(found[name], dtype)
    write_columns(group.create_group(schema.COLUMN_GROUP), schema.COLUMNS, values)


def _tell(split: SplitInput, found: Mapping[str, list[Any]]) -> None:
    """Say what was left out or turned."""
    n_alpha = sum(map(bool, found["has_alpha"]))
    n_turned = sum(o not in (None, 1) for o in found["orientation"])
    if n_alpha:
        logger.warning(
            "%s: %s an alpha channel, which is stored but is not part of the pixels",
            split.name,
            counted(n_alpha, "image has", "images have"),
        )
    if n_turned:
        logger.warning(
            "%s: %s turned by EXIF orientation, as the masks are",
            split.name,
            counted(n_turned, "image is", "images are"),
        )


def _job(target: Path, source: Source, split: SplitInput, shard: Shard, options: _Options) -> _Job:
    return _Job(
        store=target,
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


def _write_shard(job: _Job) -> Made:
    """Write one shard of every array."""
    slots = job.options.shard
    written = _Written({"semantic_crc32c": []}, [])
    files = _write_masks(job, slots * job.grid.n_chunks, written.columns["semantic_crc32c"])
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
        files[path] = write_shard(path, chunks, slots * n_pieces)
        if index:
            files |= index.write(job.store / job.split / schema.CROP_GROUP, job.number, slots)
            written.entries.extend(index.rows)
    sums = {path.relative_to(job.store).as_posix(): found for path, found in files.items()}
    return Made(tuple(written), sums)


def _write_masks(job: _Job, n_chunks: int, sums: list[int]) -> dict[Path, FileSum]:
    def chunks() -> Iterator[bytes | None]:
        for of_image in mask_chunks(job.table, np.dtype(job.dtype), job.grid):
            sums.append(sum_of([chunk for chunk in of_image if chunk is not None]))
            yield from of_image

    path = shard_path(job.store, f"{job.split}/{schema.SEMANTIC}", job.number, 3)
    return {path: write_shard(path, chunks(), n_chunks)}


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


def _checked_images(job: _Job, source: Source, columns: Mapping[str, list[Any]]) -> Iterator[bytes]:
    """Read the image files of a shard; note what is known of each."""
    sizes = zip(job.table.heights.tolist(), job.table.widths.tolist(), strict=True)
    for name, size in zip(job.names, sizes, strict=True):
        data = read_image(source, job.split, name)
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


class PartsOfStore:
    """Makes parts of a store again, as :func:`convert` made them, out of the same dataset.

    All that is not in shards, but for what is known of shards alone, is made at once.

    Parameters
    ----------
    source : Source
    content : Path
        An empty folder, for the parts.
    variants : mapping
        Name of each split -> the variant that its masks are painted from.
    images : bool
        Whether shards of image files can be made.
    shard : int
        Images in a shard.
    workers : int, optional
        Threads.
    progress : bool or callable, optional
        True shows the command line's bar; a function is called as (what, done, total).

    Attributes
    ----------
    attributes : dict
        Those of the root.

    Raises
    ------
    SourceError, RLEError
        As :func:`convert`.
    """

    def __init__(
        self,
        source: Source,
        content: Path,
        variants: Mapping[str, str],
        images: bool,
        shard: int,
        workers: int | None = None,
        progress: Progress | None = None,
    ) -> None:
        # The frame of masks decides about no shard.
        self._options = _Options(images, shard, False, ImageChecks(False, "stored"))
        checks = self._options.checks if images else None
        self._inputs = {
            split: read_splits(source, [split], variant, checks, workers, progress)[0]
            for split, variant in variants.items()
        }
        self._source, self._content = source, content
        self._workers, self._progress = workers, progress
        inputs = list(self._inputs.values())
        self.attributes = _attributes(source, inputs, self._options)
        writer = StoreWriter(content, self.attributes)
        groups = {split.name: _declare(writer, split, self._options) for split in inputs}
        _write_annotations(groups, inputs)
        for split in inputs:
            _write_columns(groups[split.name], split, {})

    def write_shards(self, wanted: Collection[tuple[str, int]]) -> dict[tuple[str, int], str]:
        """Write shards of masks, and of image files if they can be made.

        Parameters
        ----------
        wanted : collection of (split, number)

        Returns
        -------
        dict
            Why each of those that cannot be made cannot.
        """
        inputs = list(self._inputs.values())
        shards = [s for s in _shards(inputs, self._options) if (s.split, s.number) in wanted]
        jobs = [
            _job(self._content, self._source, self._inputs[s.split], s, self._options)
            for s in shards
        ]
        with run_jobs(_try_shard, jobs, "write-shard", "threads", self._workers) as results:
            told = dict(track(results, "writing shards again", self._progress, len(jobs)))
        return {(shards[k].split, shards[k].number): why for k, why in told.items() if why}


def _try_shard(job: _Job) -> str:
    """Write a shard; return why that cannot be done, if so."""
    try:
        _write_shard(job)
    except SourceError as error:
        return str(error)
    return ""
