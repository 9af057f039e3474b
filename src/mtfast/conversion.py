"""A dataset becomes a store: read the annotations, plan the shards, let Dask write them.

::

    source -> tables -> pool and columns ------------------> zarr arrays
                     -> semantic table --> shards (Dask) --> semantic/c.K.0.0
              image files --------------->                   images/jpeg/c.K.0.0.0

A shard is the unit of work: task K owns shard K of every per-image array, so no two tasks write
into one file.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtfast.errors import MtfastError, SourceError
from mtfast.jpeg import read_header
from mtfast.progress import Progress, silent
from mtfast.raster import frame_size, semantic_dtype
from mtfast.runs import RunTable, as_strings
from mtfast.scheduling import check_scheduler, run_jobs
from mtfast.sources import Source, open_source
from mtfast.sources.source import base_name
from mtfast.sources.variants import default_variant
from mtfast.store import schema
from mtfast.store.mask_chunks import encode_masks
from mtfast.store.pool import align, pack
from mtfast.store.shard import write_shard
from mtfast.store.target import refuse_existing, replacing
from mtfast.store.write import StoreWriter, shard_path

__all__ = ["Shard", "convert", "plan"]


class Shard(NamedTuple):
    """A unit of work: images start .. stop - 1 of a split are shard ``number`` of its arrays."""

    split: str
    number: int
    start: int
    stop: int


def plan(n_images: Mapping[str, int], shard: int) -> tuple[Shard, ...]:
    """Cut the images of every split into shards.

    Examples
    --------
    >>> plan({"train": 70, "test": 3}, 64)        # doctest: +NORMALIZE_WHITESPACE
    (Shard(split='train', number=0, start=0, stop=64),
     Shard(split='train', number=1, start=64, stop=70),
     Shard(split='test', number=0, start=0, stop=3))
    """
    return tuple(
        Shard(split, number, start, min(start + shard, n))
        for split, n in n_images.items()
        for number, start in enumerate(range(0, n, shard))
    )


def convert(
    source: Source | str | os.PathLike[str],
    store: str | os.PathLike[str],
    *,
    splits: Sequence[str] | None = None,
    semantic: str | None = None,
    images: Literal["jpeg", "none"] = "jpeg",
    shard: int = schema.SHARD,
    decode_check: bool = False,
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
        Decode every image to be sure that it can be; otherwise only its markers are looked at.
    scheduler : str
        "threads", "processes", "sync", or the address of a Dask scheduler, "tcp://HOST:PORT".
    workers : int, optional
        Threads or processes; by default as many as there are cores.
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
    if shard < 1:
        raise MtfastError(f"{shard} images in a shard; expected at least 1; the default is 64")
    check_scheduler(scheduler)
    target = Path(store)
    refuse_existing(target, overwrite)
    opened = source if isinstance(source, Source) else open_source(source)
    report = progress or silent
    prepared = [
        _prepare(opened, split, semantic, images == "jpeg", report)
        for split in _chosen_splits(opened, splits)
    ]

    def run(jobs: Sequence[_Job], on_result: Callable[[int, list[str]], None]) -> None:
        run_jobs(_write_shard, jobs, on_result, scheduler, workers)

    with replacing(target):
        _write(target, opened, prepared, shard, decode_check, run, report)
    return target


@dataclass(frozen=True)
class _Prepared:
    """A split as it is known before anything is written."""

    name: str
    names: tuple[str, ...]
    size: tuple[int, int]
    set_names: tuple[str, ...]
    sets: tuple[str, ...]
    semantic_variant: str
    table: RunTable
    instances: Mapping[str, NDArray[Any]]
    variants: Mapping[str, NDArray[Any]]
    has_images: bool


def _chosen_splits(source: Source, wanted: Sequence[str] | None) -> tuple[str, ...]:
    unknown = [split for split in wanted or () if split not in source.splits]
    if unknown:
        raise SourceError(
            f"no split {unknown[0]!r} in {source.path}; "
            f"expected one of {', '.join(source.splits)}; pick one of these"
        )
    return tuple(dict.fromkeys(wanted)) if wanted else source.splits


def _prepare(
    source: Source, split: str, semantic: str | None, with_images: bool, report: Progress
) -> _Prepared:
    """Read all annotation files of a split and make sure that they fit together."""
    variants = source.variants(split)
    chosen = semantic or default_variant(variants)
    if chosen not in variants:
        raise SourceError(
            f"no variant {chosen!r} in split {split!r}; "
            f"expected one of {', '.join(variants[:8])}{', …' if len(variants) > 8 else ''}; "
            f"pick one of these for --semantic"
        )
    tables: list[tuple[str, str, RunTable]] = []
    order: dict[str, int] = {}
    sizes: dict[tuple[int, int], str] = {}
    what = f"reading annotations of {split}"
    for number, variant in enumerate(variants):
        report(what, number, len(variants))
        table = source.table(split, variant)
        file = source.variant_file(split, variant)
        tables.append((variant, file, table))
        for name in table.names.tolist():
            order.setdefault(name, len(order))
        if table.n_images:
            sizes.setdefault(frame_size(table), file)
    report(what, len(variants), len(variants))
    if not order:
        raise SourceError(
            f"split {split!r} of {source.path} has no images; expected at least one; "
            f"leave it out with --split"
        )
    if len(sizes) > 1:
        (a, in_a), (b, in_b), *_ = sizes.items()
        raise SourceError(
            f"{in_a} has images of {a[0]} x {a[1]} and {in_b} of {b[0]} x {b[1]}; "
            f"expected one size in a split; correct the sizes"
        )
    (size,) = sizes
    names = tuple(order)
    if with_images:
        _require_images(source, split, names)
    found = source.set_names(split)
    instances, columns = pack(tables, order)
    return _Prepared(
        name=split,
        names=names,
        size=size,
        set_names=tuple(found.members.get(PurePosixPath(name).stem, "") for name in names),
        sets=found.sets,
        semantic_variant=chosen,
        table=align(tables[variants.index(chosen)][2], names, size),
        instances=instances,
        variants=columns,
        has_images=with_images,
    )


def _require_images(source: Source, split: str, names: Sequence[str]) -> None:
    """Find missing images before anything is written."""
    # Names with folders in them may lie elsewhere; the source looks when it reads them.
    flat = [name for name in names if base_name(name) == name]
    there = source.image_names(split)
    if flat and there is None:
        raise SourceError(
            f"split {split!r} of {source.path} has no image folder; expected one with "
            f"{len(names)} images; add it or convert with --images none"
        )
    missing = sorted(set(flat) - set(there or ()))
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise SourceError(
            f"image {missing[0]}{more} of split {split!r} is not in the image folder; "
            f"expected a file for every image of the annotations; "
            f"add it or convert with --images none"
        )


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


def _write(
    target: Path,
    source: Source,
    prepared: Sequence[_Prepared],
    shard: int,
    decode_check: bool,
    run: Callable[[Sequence[_Job], Callable[[int, list[str]], None]], None],
    report: Progress,
) -> None:
    from mtfast import __version__

    attributes = {
        "mtfast_version": __version__,
        "source": {"name": source.name, "kind": source.kind},
        "splits": [split.name for split in prepared],
        "shard": shard,
    }
    writer = StoreWriter(target, attributes)
    groups = {}
    for split in prepared:
        groups[split.name] = group = writer.split(
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
        strings = {"name": split.names, "set_name": split.set_names}
        writer.columns(group, schema.SPLIT, {k: as_strings(v) for k, v in strings.items()})
        writer.columns(group.create_group("instances"), schema.INSTANCES, split.instances)
        writer.columns(group.create_group("variants"), schema.VARIANTS, split.variants)
        dtype = semantic_dtype(split.table.category_ids)
        writer.masks(group, len(split.names), split.size, dtype, shard)
        if split.has_images:
            writer.images(group, len(split.names), split.size, shard)

    by_name = {split.name: split for split in prepared}
    shards = plan({split.name: len(split.names) for split in prepared}, shard)
    total = sum(part.stop - part.start for part in shards)
    sums = {name: [""] * len(split.names) for name, split in by_name.items()}
    done = 0
    report("writing images", done, total)

    def on_result(number: int, digests: list[str]) -> None:
        nonlocal done
        part = shards[number]
        if digests:
            sums[part.split][part.start : part.stop] = digests
        done += part.stop - part.start
        report("writing images", done, total)

    run(
        [_job(target, by_name[part.split], part, source, shard, decode_check) for part in shards],
        on_result,
    )
    for name, split in by_name.items():
        if split.has_images:
            writer.columns(groups[name], schema.SPLIT, {"image_sha256": as_strings(sums[name])})
    writer.finish()


def _job(
    target: Path, split: _Prepared, part: Shard, source: Source, shard: int, decode_check: bool
) -> _Job:
    return _Job(
        store=target,
        split=split.name,
        number=part.number,
        slots=shard,
        size=split.size,
        dtype=semantic_dtype(split.table.category_ids).name,
        table=split.table[part.start : part.stop],
        names=split.names[part.start : part.stop],
        source=source if split.has_images else None,
        decode_check=decode_check,
    )


def _write_shard(job: _Job) -> list[str]:
    """Write one shard of every array; return the SHA-256 of each image file."""
    masks = shard_path(job.store, f"{job.split}/{schema.SEMANTIC}", job.number, 3)
    write_shard(masks, encode_masks(job.table, np.dtype(job.dtype)), job.slots)
    digests: list[str] = []
    if job.source is not None:
        images = shard_path(job.store, f"{job.split}/{schema.JPEG}", job.number, 4)
        write_shard(images, _checked_images(job, job.source, digests), job.slots)
    return digests


def _checked_images(job: _Job, source: Source, digests: list[str]) -> Iterator[bytes]:
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
        digests.append(hashlib.sha256(data).hexdigest())
        yield data
