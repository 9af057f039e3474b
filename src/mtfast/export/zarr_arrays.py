"""Masks as a Zarr array for each split, ``OUT/SPLIT/KIND``, in shards as in a converted store."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from mtfast.atomic import sync_tree
from mtfast.export.manifest import ATTRIBUTE
from mtfast.export.mask_format import MaskBatch, MaskFormat, MaskSplit
from mtfast.store import schema
from mtfast.store.mask_grid import MaskGrid
from mtfast.store.shard import shard_is_whole, write_shard
from mtfast.store.writing.arrays import declare_masks, declared_grid, shard_path, write_columns
from mtfast.store.writing.consolidated import consolidate
from mtfast.store.writing.masks import mask_chunks, places_of

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

    def begin(self, out: Path, record: Any, splits: Sequence[MaskSplit]) -> None:
        """Create groups and arrays without shards; those that are there stay as they are.

        Parameters
        ----------
        out : Path
        record : dict
            An attribute of the root group.
        splits : sequence of MaskSplit
        """
        import zarr

        attributes = {ATTRIBUTE: record, "complete": False}
        if (out / "zarr.json").exists():
            root = zarr.open_group(out, mode="a").update_attributes(attributes)
        else:
            root = zarr.create_group(out, attributes=attributes)
        for split in splits:
            # The array is declared last: where it is, the rest of the group is too.
            if (out / split.name / self.kind / "zarr.json").exists():
                continue
            grid = MaskGrid.of(split.table.heights, split.table.widths)
            group = root.create_group(
                split.name,
                overwrite=True,
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
        """Write the shard of a batch unless it is there.

        Parameters
        ----------
        batch : MaskBatch

        Returns
        -------
        int
            How many masks were written.
        """
        array = f"{batch.split}/{self.kind}"
        grid = declared_grid(batch.out / array)
        path = shard_path(batch.out, array, batch.number, 3)
        images = batch.images
        n_slots = schema.SHARD * grid.n_chunks
        if shard_is_whole(path, n_slots, places_of(images, grid)):
            return 0
        table = batch.selection.select(images)
        chunks = chain.from_iterable(mask_chunks(table, batch.dtype, grid))
        write_shard(path, chunks, n_slots)
        return batch.n_images

    def finish(self, out: Path) -> None:
        """Mark the group complete.

        Parameters
        ----------
        out : Path
        """
        sync_tree(out)
        consolidate(out, complete=True)
