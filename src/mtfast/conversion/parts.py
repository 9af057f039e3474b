"""Parts of a store that are made again out of its dataset, for repairs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from mtfast.conversion.image_checks import ImageChecks
from mtfast.conversion.inputs import read_splits
from mtfast.conversion.metadata import (
    attributes_of,
    declare,
    write_annotations,
    write_image_columns,
)
from mtfast.conversion.shard_jobs import Options, ShardJob, job_of, shards_of, write_shard
from mtfast.errors import SourceError
from mtfast.parallel import run_jobs
from mtfast.progress import Progress, track
from mtfast.sources import Source
from mtfast.store.writing.arrays import StoreWriter
from mtfast.work.folder_place import FolderPlace

__all__ = ["PartsOfStore"]


class PartsOfStore:
    """Makes parts of a store again, as :func:`mtfast.convert` made them, out of the same dataset.

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
        As :func:`mtfast.convert`.
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
        self._options = Options(images, shard, False, ImageChecks(False, "stored"))
        checks = self._options.checks if images else None
        self._inputs = {
            split: read_splits(source, [split], variant, checks, workers, progress)[0]
            for split, variant in variants.items()
        }
        self._source, self._content = source, content
        self._workers, self._progress = workers, progress
        inputs = list(self._inputs.values())
        self.attributes = attributes_of(source, inputs, self._options)
        writer = StoreWriter(content, self.attributes)
        groups = {split.name: declare(writer, split, self._options) for split in inputs}
        write_annotations(groups, inputs)
        for split in inputs:
            write_image_columns(groups[split.name], split, {})

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
        place = FolderPlace(self._content, ())
        shards = [s for s in shards_of(inputs, self._options) if (s.split, s.number) in wanted]
        jobs = [
            job_of(place, self._source, self._inputs[s.split], s, self._options) for s in shards
        ]
        with run_jobs(_try_shard, jobs, "write-shard", "threads", self._workers) as results:
            told = dict(track(results, "writing shards again", self._progress, len(jobs)))
        return {(shards[k].split, shards[k].number): why for k, why in told.items() if why}


def _try_shard(job: ShardJob) -> str:
    """Write a shard; return why that cannot be done, if so."""
    try:
        write_shard(job)
    except SourceError as error:
        return str(error)
    return ""
