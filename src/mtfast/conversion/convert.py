"""A dataset becomes a store: read the annotations, plan the shards, let Dask write them.

::

    source -> tables -> columns ---------------------------> zarr arrays
                     -> semantic table --> shards (Dask) --> semantic/c.K.0.0
              image files --------------->                   images/file/c.K.0.0

A shard is the unit of work: task K owns shard K of every per-image array, so no two tasks write
into one file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mtfast.addresses import Address, locate
from mtfast.arguments import ImagesOption, as_integer, wants_images
from mtfast.conversion.image_checks import BadImageError, ImageChecks
from mtfast.conversion.inputs import SplitInput, read_splits, refusal_of_files
from mtfast.conversion.metadata import (
    attributes_of,
    declare,
    tell,
    write_annotations,
    write_image_columns,
)
from mtfast.conversion.shard_jobs import (
    ALL_COLUMNS,
    Options,
    Written,
    job_of,
    key_of,
    shards_of,
    write_shard,
)
from mtfast.errors import MtfastError, SourceError, one_of
from mtfast.limits import max_file_bytes
from mtfast.parallel import Scheduler, check_scheduler
from mtfast.progress import Progress, shows_progress, track
from mtfast.rles.rasterizers import Rasterizer
from mtfast.sources import Orientation, Source, SourcePath, open_source
from mtfast.sources.bad_records import Policy
from mtfast.sources.split_names import chosen_splits
from mtfast.store import schema
from mtfast.store.writing.arrays import StoreWriter
from mtfast.store.writing.crop_index import write_rows
from mtfast.store.writing.target import store_target
from mtfast.work.jobs import Work
from mtfast.work.records import Plan

__all__ = ["Orientation", "convert"]


@shows_progress
def convert(
    source: Source | SourcePath,
    store: str | os.PathLike[str] | Address,
    *,
    splits: Sequence[str] | None = None,
    variant: str | None = None,
    bad: Policy = "refuse",
    mapping: Mapping[int, int] | None = None,
    image_folder: str | os.PathLike[str] | None = None,
    ground_truth: str | os.PathLike[str] | None = None,
    images: ImagesOption = True,
    shard: int = schema.SHARD,
    decode_check: bool = False,
    crop_index: bool = False,
    orientation: Orientation | None = None,
    scheduler: Scheduler = "threads",
    workers: int | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    semantic: str | None = None,
    rasterizer: Rasterizer = "pycocotools",
) -> Path | Address:
    """Convert a dataset to a Zarr store with fast random access.

    Image files are stored as they are, byte for byte; semantic masks are painted from the RLE,
    later annotations over earlier ones; all annotation files are kept.

    The store appears when it is complete. A run that is stopped, by Ctrl-C, an error or a kill,
    leaves what is done in a hidden folder beside it; the next run with the same options and an
    unchanged source goes on from there. In object storage shards are written to their places, and
    what opens as a store is written last.

    Parameters
    ----------
    source : Source, path-like or mapping
        See :func:`mtfast.open_source`; a mapping has a COCO file for each split.
    store : path-like or Address
        Where to write the store; must not exist. An address such as ``s3://bucket/graphene.zarr``,
        ``gs://…`` or ``az://…`` is one in object storage.
    splits : sequence of str, optional
        Which splits to convert; by default all that list images.
    variant : str, optional
        What semantic masks are painted from; by default the with-class variant with threshold 200,
        see :func:`mtfast.sources.variants.default_variant`.
    bad, mapping, image_folder, rasterizer, ground_truth
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
    scheduler : str or distributed.Client
        What runs the work: "threads", "processes", "sync", the address of a Dask scheduler
        ("tcp://HOST:PORT" or "tls://HOST:PORT"), or a client of one.
    workers : int, optional
        Processes, by default as many as there are cores; or threads, by default twice as many,
        as they spend much of their time waiting for the disk.
    overwrite : bool
        Replace a store. The old one is kept until the new one is complete; in object storage it is
        removed first, as nothing can be renamed there.
    progress : bool or callable, optional
        True shows the command line's bar; a function is called as (what, done, total).
    semantic : str, optional
        Older name of ``variant``.

    Returns
    -------
    Path or Address
        Of the store, for :func:`mtfast.open`.

    Raises
    ------
    SourceError, RLEError
        If the dataset is missing, malformed, or one of its files cannot be read.
    StoreError
        If the store exists or cannot be written.
    RemoteError
        If storage elsewhere does not answer or refuses.
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
    options = Options(
        wants_images(images),
        as_integer("shard", shard, 1, schema.LARGEST_SHARD),
        crop_index,
        ImageChecks(decode_check, orientation),
    )
    if crop_index and not options.images:
        raise MtfastError(
            "a crop index without images; expected images to index; leave out one of the two"
        )
    target = store_target(store)
    target.refuse_existing(overwrite)
    check_scheduler(scheduler)
    if not isinstance(source, Source):
        source = open_source(
            source,
            image_folder,
            ground_truth=ground_truth,
            bad=bad,
            mapping=mapping,
            rasterizer=rasterizer,
        )
    elif bad != "refuse" or mapping or image_folder or rasterizer != "pycocotools" or ground_truth:
        raise MtfastError(
            "bad, mapping, image_folder or rasterizer with an opened source; expected them where "
            "it was opened; give them to open_source"
        )
    opened = source
    options = replace(options, checks=_with_frame(options.checks, opened))
    checks = options.checks if options.images else None
    names = chosen_splits(opened.splits, splits, opened.name) if splits else None
    inputs = read_splits(opened, names, variant or semantic, checks, workers, progress)

    with target.writing(_plan(opened, inputs, options), overwrite) as work:
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
    return locate(store)


def _with_frame(checks: ImageChecks, source: Source) -> ImageChecks:
    """Take the frame of the masks from the layout, where nobody has said it."""
    return checks._replace(orientation=checks.orientation or source.frame)


def _plan(source: Source, inputs: Sequence[SplitInput], options: Options) -> Plan:
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


def _expect_room(work: Work[Any]) -> None:
    """Refuse more image files than the disk takes."""
    sizes = [stamp[0] for stamp in work.plan.inputs.values() if isinstance(stamp, list)]
    # A file with a hole, which is refused when it is read, may state any size.
    work.expect_room(sum(size for size in sizes if size <= max_file_bytes()), "the image files")


def _write(
    work: Work[Any],
    source: Source,
    inputs: Sequence[SplitInput],
    options: Options,
    scheduler: Scheduler,
    workers: int | None,
    progress: Progress | None,
) -> None:
    target = work.content
    writer = StoreWriter(target, attributes_of(source, inputs, options))
    groups = {split.name: declare(writer, split, options) for split in inputs}
    by_name = {split.name: split for split in inputs}
    shards = shards_of(inputs, options)
    jobs = [job_of(work.place, source, by_name[shard.split], shard, options) for shard in shards]
    columns: dict[str, dict[str, list[Any]]] = {
        split.name: {name: [None] * len(split.names) for name in ALL_COLUMNS} for split in inputs
    }
    index = {split.name: np.zeros((len(split.names), 2), np.int64) for split in inputs}
    sizes = [shard.stop - shard.start for shard in shards]
    # Columns keep the interpreter busy and shards do not: they are written side by side.
    with ThreadPoolExecutor(1) as aside:
        annotations = aside.submit(write_annotations, groups, inputs)
        keys = [key_of(shard) for shard in shards]
        title = [shard.title for shard in shards].__getitem__
        with work.run_jobs(
            write_shard, jobs, keys, "write-shard", scheduler, workers, title=title
        ) as results:
            shown = track(results, "writing images", progress, sum(sizes), lambda r: sizes[r[0]])
            for number, result in shown:
                shard, written = shards[number], Written(*result)
                for name, values in written.columns.items():
                    columns[shard.split][name][shard.start : shard.stop] = values
                if written.entries:
                    index[shard.split][shard.start : shard.stop] = written.entries
        annotations.result()
    for split in inputs:
        write_image_columns(groups[split.name], split, columns[split.name])
        tell(split, columns[split.name])
        if options.crop_index:
            write_rows(target / split.name / schema.CROP_GROUP, index[split.name])
    writer.finish()


def _images_left(
    work: Work[Any], source: Source, inputs: Sequence[SplitInput], options: Options
) -> Iterator[str]:
    """List the image files that are in no shard yet: whatever was wrong is mended there."""
    by_name = {split.name: split for split in inputs}
    for shard in shards_of(inputs, options):
        if options.images and key_of(shard) not in work.done | work.before.keys():
            names = by_name[shard.split].names[shard.start : shard.stop]
            yield from source.find_images(shard.split, names).values()
