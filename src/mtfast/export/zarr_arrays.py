"""Masks as a Zarr array for each split, ``OUT/SPLIT/KIND``, in shards as in a converted store."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from mtfast.export.manifest import ATTRIBUTE
from mtfast.export.mask_format import MaskBatch, MaskFormat, MaskSplit
from mtfast.store import schema
from mtfast.store.mask_grid import MaskGrid
from mtfast.store.shard import shard_of
from mtfast.store.writing.arrays import declare_masks, declared_grid, shard_key, write_columns
from mtfast.store.writing.consolidated import consolidate
from mtfast.store.writing.masks import mask_chunks

__all__ = ["ZarrArrays"]


class ZarrArrays(MaskFormat):
    """An array for each split; see :class:`mtfast.export.mask_format.MaskFormat`."""

    def outputs(self, out: Path, split: str) -> list[Path]:
        """Return the group of the split.

        Parameters
        ----------
        out : Path
        split : str

        Returns
        -------
        list of Path
        """
        return [out / split]

    def begin(self, content: Path, record: Any, splits: Sequence[MaskSplit]) -> None:
        """Create groups and arrays without shards.

        Parameters
        ----------
        content : Path
        record : dict
            An attribute of the root group.
        splits : sequence of MaskSplit
        """
        import zarr

        from mtfast.store.writing.folders import NewFolder

        attributes = {ATTRIBUTE: record, "complete": False}
        root = zarr.create_group(NewFolder(content), attributes=attributes)
        for split in splits:
            grid = MaskGrid.of(split.table.heights, split.table.widths)
            group = root.create_group(
                split.name,
                attributes={
                    "n_images": split.table.n_images,
                    f"{self.kind}_variant": split.variant,
                },
            )
            write_columns(group, schema.NAMES, {schema.NAME: split.table.names})
            # An array reaches as far as the largest image: what is padding follows from these.
            sizes = {"height": split.table.heights, "width": split.table.widths}
            write_columns(group.create_group(schema.COLUMN_GROUP), schema.COLUMNS, sizes)
            declare_masks(group, split.table.n_images, grid, split.dtype, schema.SHARD, self.kind)

    def write(self, batch: MaskBatch) -> int:
        """Stage the shard of a batch unless it is there.

        Parameters
        ----------
        batch : MaskBatch

        Returns
        -------
        int
            How many masks were written.
        """
        content, array = batch.stage.place.content, f"{batch.split}/{self.kind}"
        grid = declared_grid(content / array)
        table = batch.spec.select(batch.images)
        chunks = chain.from_iterable(mask_chunks(table, batch.dtype, grid))
        name = shard_key(array, batch.number, 3)
        data = shard_of(chunks, schema.SHARD * grid.n_chunks)
        return batch.n_images * batch.stage.put(name, data)

    def finish(self, out: Path) -> None:
        """Mark the group complete.

        Parameters
        ----------
        out : Path
        """
        consolidate(out, complete=True)
