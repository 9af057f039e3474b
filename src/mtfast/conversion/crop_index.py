"""Add a crop index to the images of a store."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mtfast.atomic import move, sync_tree
from mtfast.parallel import check_scheduler, run_jobs
from mtfast.progress import Progress, track
from mtfast.store import schema
from mtfast.store.reading.root import StoreRoot
from mtfast.store.reading.store import Split, Store, open_store
from mtfast.store.writing.consolidated import consolidate
from mtfast.store.writing.crop_index import IndexShard, declare, write_rows
from mtfast.store.writing.replace import writing

__all__ = ["IndexedSplit", "add_crop_index"]


class IndexedSplit(NamedTuple):
    """A split that was indexed: how many of its images have an index, and its bytes."""

    name: str
    n_images: int
    n_indexed: int
    n_bytes: int


def add_crop_index(
    store: Store | str | os.PathLike[str],
    *,
    overwrite: bool = False,
    scheduler: str = "threads",
    workers: int | None = None,
    progress: Progress | None = None,
) -> tuple[IndexedSplit, ...]:
    """Index the images of a store, so that windows of them are decoded without the rest.

    The store stays complete and readable all the time: the index of a split is made beside the
    store and takes its place when it is whole.

    Parameters
    ----------
    store : Store or path-like
    overwrite : bool
        Replace an index that is there; otherwise such a split is left alone.
    scheduler : str
        "threads", "processes", "sync", or the address of a Dask scheduler, "tcp://HOST:PORT".
    workers : int, optional
        Processes, by default as many as there are cores; or threads, by default twice as many.
    progress : callable, optional
        Called as (what, done, total).

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
    partial = schema.partial_index_path(opened.path)
    found = []

    with writing(opened.path):
        # What a killed run has left; no other run is at work here.
        shutil.rmtree(partial, ignore_errors=True)
        try:
            for name in opened:
                split = opened[name]
                if split.has_images and (overwrite or not split.has_crop_index):
                    found.append(_index_split(split, partial, scheduler, workers, progress))
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return tuple(found)


@dataclass(frozen=True)
class _Job:
    """All that a worker needs to index one shard."""

    split: Split
    folder: Path
    number: int
    slots: int


def _index_split(
    split: Split,
    partial: Path,
    scheduler: str,
    workers: int | None,
    progress: Progress | None,
) -> IndexedSplit:
    import zarr

    n_images, slots = len(split), split.store.shard
    made, place = partial / split.name, split.store.path / split.name / schema.CROP_GROUP
    parent = zarr.open_group(partial, mode="a")
    declare(parent, split.name, n_images, split.mask_chunk, slots)
    jobs = [_Job(split, made, number, slots) for number in range(-(-n_images // slots))]
    rows = np.zeros((n_images, 2), np.int64)
    what = f"indexing images of {split.name}"
    with run_jobs(_index_shard, jobs, "index-shard", scheduler, workers) as results:
        indexed = track(results, what, progress, n_images, lambda r: len(r[1]))
        for number, of_shard in indexed:
            rows[number * slots : (number + 1) * slots] = of_shard
    write_rows(made, rows)
    sync_tree(made)
    n_bytes = sum(file.stat().st_size for file in made.rglob("*") if file.is_file())
    _put(made, place, partial / f".{split.name}.replaced")
    consolidate(split.store.path, complete=True, known=_known(split.store))
    return IndexedSplit(split.name, n_images, int(np.count_nonzero(rows[:, 0])), n_bytes)


def _known(store: StoreRoot) -> dict[str, Any]:
    """Return the metadata that were checked, without those of a crop index."""
    groups = [f"{split}/{schema.CROP_GROUP}" for split in store.splits]
    return {
        key: node
        for key, node in store.nodes.items()
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


def _index_shard(job: _Job) -> list[tuple[int, int]]:
    """Index one shard; return the step and the checksum of each of its images."""
    split, first = job.split, job.number * job.slots
    chosen = range(first, min(first + job.slots, len(split)))
    shard = IndexShard(map(split.size, chosen), split.mask_chunk)
    images = map(split.image_bytes, chosen)
    for _ in shard.watch(images):
        pass
    shard.write(job.folder, job.number, job.slots)
    return shard.rows
