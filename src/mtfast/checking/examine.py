"""All checks of a store, and of files that are to replace some of its own."""

from __future__ import annotations

from collections.abc import Collection
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from mtfast.addresses import Address
from mtfast.checking.findings import Finding
from mtfast.checking.layout import Layout, compare_files, leftovers, read_layout
from mtfast.checking.metadata import Metadata, read_metadata
from mtfast.checking.readers import SplitReaders, open_split
from mtfast.checking.shards import ShardJob, check_shard
from mtfast.checking.tables import check_padding, check_tables
from mtfast.parallel import run_jobs
from mtfast.progress import Progress, track
from mtfast.store.shard import plan

__all__ = ["Examined", "examine"]

ShardName = tuple[str, int]


class Examined(NamedTuple):
    """What was found in a store, and the readers that were opened for it.

    Attributes
    ----------
    metadata : Metadata
    layout : Layout
    splits : dict of str to SplitReaders
    findings : list of Finding
    """

    metadata: Metadata
    layout: Layout
    splits: dict[str, SplitReaders]
    findings: list[Finding]

    @property
    def bad_files(self) -> set[str]:
        """Files that have to be made again."""
        return {f.file for f in self.findings if f.severity == "error" and f.file is not None}


def examine(
    path: Path | Address,
    above: Path | None = None,
    shards: Collection[ShardName] | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Examined:
    """Check a store.

    Parameters
    ----------
    path : Path or Address
        A path is absolute.
    above : Path, optional
        A folder whose files are to replace the store's, and are checked instead.
    shards : collection of (split, number), optional
        Only these are checked, and all that is no shard.
    workers : int, optional
        Threads.
    progress : callable, optional
        Called as (what, done, total).

    Returns
    -------
    Examined

    Raises
    ------
    StoreError
        If there is no store that can be checked.
    """
    metadata = read_metadata(path, above)
    root = metadata.root
    layout = read_layout(root)
    found = [*metadata.findings, *layout.findings]
    found += compare_files([path, above] if above else [path], layout)
    found += leftovers(path, above)
    splits = {name: open_split(root, layout, name) for name in root.splits}
    for split in splits.values():
        found += chain(split.findings, check_tables(split), check_padding(split))
        found += _check_shards(split, shards, workers, progress)
    return Examined(metadata, layout, splits, found)


def _check_shards(
    split: SplitReaders,
    chosen: Collection[ShardName] | None,
    workers: int | None,
    progress: Progress | None,
) -> list[Finding]:
    shards = [
        shard
        for shard in plan({split.name: split.n_images}, split.root.shard)
        if chosen is None or (shard.split, shard.number) in chosen
    ]
    jobs = [ShardJob(split, shard) for shard in shards]
    if not jobs:
        return []
    sizes = [shard.stop - shard.start for shard in shards]
    what = f"checking images of {split.name}"
    with run_jobs(check_shard, jobs, "check-shard", "threads", workers) as results:
        shown = track(results, what, progress, sum(sizes), lambda r: sizes[r[0]])
        found = dict(shown)
    return list(chain.from_iterable(found[number] for number in range(len(jobs))))
