"""Add a crop index to the images of a store."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mtfast.addresses import Address
from mtfast.atomic import move
from mtfast.errors import StoreError
from mtfast.parallel import Scheduler, check_scheduler
from mtfast.paths import refuse_link, target_path
from mtfast.progress import Progress, shows_progress, track
from mtfast.store import schema
from mtfast.store.reading.store import Split, Store, open_store
from mtfast.store.shard import plan
from mtfast.store.writing.consolidated import consolidate
from mtfast.store.writing.crop_index import IndexShard, declare, write_rows
from mtfast.work.folder import WorkFolder, working
from mtfast.work.folder_place import FolderPlace, sum_of_file
from mtfast.work.folder_state import remove_remains
from mtfast.work.records import Made, Plan

__all__ = ["IndexedSplit", "add_crop_index"]


class IndexedSplit(NamedTuple):
    """A split that was indexed: how many of its images have an index, and its bytes."""

    name: str
    n_images: int
    n_indexed: int
    n_bytes: int


@shows_progress
def add_crop_index(
    store: Store | str | os.PathLike[str],
    *,
    overwrite: bool = False,
    scheduler: Scheduler = "threads",
    workers: int | None = None,
    progress: Progress | None = None,
) -> tuple[IndexedSplit, ...]:
    """Index the images of a store, so that windows of them are decoded without the rest.

    The store stays complete and readable all the time: the index is made in a hidden folder beside
    it and takes its place when it is whole. A run that was stopped is gone on with by the next.

    Parameters
    ----------
    store : Store or path-like
    overwrite : bool
        Replace an index that is there; otherwise such a split is left alone.
    scheduler : str or distributed.Client
        What runs the work: "threads", "processes", "sync", the address of a Dask scheduler
        ("tcp://HOST:PORT" or "tls://HOST:PORT"), or a client of one.
    workers : int, optional
        Processes, by default as many as there are cores; or threads, by default twice as many.
    progress : bool or callable, optional
        True shows the command line's bar; a function is called as (what, done, total).

    Returns
    -------
    tuple of IndexedSplit
        For each split that has images and was not left alone. Images that cannot be cut, such as
        progressive JPEGs, have no index and are decoded whole.

    Raises
    ------
    StoreError
        If there is no store, or it cannot be written.

    Examples
    --------
    >>> from mtfast.conversion.crop_index import add_crop_index
    >>> [(split.name, split.n_indexed) for split in add_crop_index("graphene.zarr")]
    [('train', 10), ('test', 4)]
    >>> mtfast.open("graphene.zarr")["train"].has_crop_index
    True
    """
    check_scheduler(scheduler)
    opened = store if isinstance(store, Store) else open_store(store)
    if isinstance(opened.path, Address):
        raise StoreError(
            f"{opened.path} is elsewhere, where no crop index can be added; expected a folder of "
            f"this machine; convert with crop_index=True, or index a copy and copy it there"
        )
    path = target_path(opened.path)
    splits = [
        split
        for split in map(opened.__getitem__, opened)
        if split.has_images and (overwrite or not split.has_crop_index)
    ]
    if not splits:
        remove_remains(path)
        return ()
    _refuse_links(path, splits)
    with working(
        path,
        _plan(path, splits),
        partial(_expect_none_new, splits),
        afresh=overwrite,
        error=StoreError,
    ) as work:
        found = [_index_split(split, work, scheduler, workers, progress) for split in splits]
        work.sync()
        for split in splits:
            made, place = work.content / split.name, path / split.name / schema.CROP_GROUP
            _put(made, place, work.folder / f"replaced-{secrets.token_hex(4)}")
        consolidate(path, complete=True, known=_known(splits))
    return tuple(found)


def _plan(path: Path, splits: Sequence[Split]) -> Plan:
    options = {"splits": [split.name for split in splits]}
    # The checksums of all image files.
    columns = [path / split.name / schema.COLUMN_GROUP / "file_crc32c" for split in splits]
    files = [file for folder in columns for file in sorted(folder.rglob("*")) if file.is_file()]
    return Plan("index", options, {str(file): sum_of_file(file) for file in files})


def _refuse_links(path: Path, splits: Sequence[Split]) -> None:
    """Refuse a store of which a folder that is written to lies elsewhere."""
    groups = [key for key, node in splits[0].store.nodes.items() if node["node_type"] == "group"]
    indexes = [f"{split.name}/{schema.CROP_GROUP}" for split in splits]
    for key in (*groups, *indexes):
        refuse_link(path / key, StoreError)
        refuse_link(path / key / "zarr.json", StoreError)


def _expect_none_new(splits: Sequence[Split]) -> None:
    """Refuse to replace what another run has added since the store was opened."""
    now = open_store(splits[0].store.path)
    for split in splits:
        if now[split.name].has_crop_index and not split.has_crop_index:
            raise StoreError(
                f"split {split.name!r} of {now.path} has got a crop index meanwhile; expected "
                f"to be alone; nothing is left to do"
            )


@dataclass(frozen=True)
class _Job:
    """All that a worker needs to index one shard."""

    split: Split
    place: FolderPlace
    number: int
    slots: int


def _index_split(
    split: Split,
    work: WorkFolder,
    scheduler: Scheduler,
    workers: int | None,
    progress: Progress | None,
) -> IndexedSplit:
    import zarr

    from mtfast.store.writing.folders import NewFolder

    n_images, slots = len(split), split.store.shard
    made = work.content / split.name
    parent = zarr.open_group(NewFolder(work.content), mode="a")
    declare(parent, split.name, n_images, split.mask_chunk, slots)
    shards = plan({split.name: n_images}, slots)
    jobs = [_Job(split, work.place, shard.number, slots) for shard in shards]
    keys = [f"{split.name}/{job.number}" for job in jobs]
    rows = np.zeros((n_images, 2), np.int64)
    what = f"indexing images of {split.name}"
    title = [shard.title for shard in shards].__getitem__
    with work.run_jobs(
        _index_shard, jobs, keys, "index-shard", scheduler, workers, title=title
    ) as results:
        indexed = track(results, what, progress, n_images, lambda r: len(r[1]))
        for number, of_shard in indexed:
            rows[number * slots : (number + 1) * slots] = of_shard
    write_rows(made, rows)
    n_bytes = sum(file.stat().st_size for file in made.rglob("*") if file.is_file())
    return IndexedSplit(split.name, n_images, int(np.count_nonzero(rows[:, 0])), n_bytes)


def _known(splits: Sequence[Split]) -> dict[str, Any]:
    """Return the metadata of a store that were checked, without those of its new indexes."""
    groups = [f"{split.name}/{schema.CROP_GROUP}" for split in splits]
    return {
        key: node
        for key, node in splits[0].store.nodes.items()
        if not any(f"{key}/".startswith(f"{group}/") for group in groups)
    }


def _put(made: Path, place: Path, aside: Path) -> None:
    """Move an index to its place; the one that was there goes back if that fails."""
    if place.exists():
        move(place, aside)
    try:
        move(made, place)
    except BaseException:
        if aside.exists():
            move(aside, place)
        raise


def _index_shard(job: _Job) -> Made:
    """Index one shard; the result is the step and the checksum of each of its images."""
    split, first = job.split, job.number * job.slots
    chosen = range(first, min(first + job.slots, len(split)))
    shard = IndexShard(map(split.size, chosen), split.mask_chunk)
    images = map(split.image_bytes, chosen)
    for _ in shard.watch(images):
        pass
    return Made(shard.rows, shard.write(job.place, split.name, job.number, job.slots))
