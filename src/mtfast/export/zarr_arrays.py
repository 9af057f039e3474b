"""Masks as a Zarr array for each split, ``OUT/SPLIT/KIND``, in shards as in a converted store."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mtfast.atomic import sync_tree
from mtfast.export.manifest import ATTRIBUTE
from mtfast.export.mask_format import MaskBatch, MaskFormat, MaskSplit
from mtfast.painting.encode import ZstdFrames
from mtfast.store import schema
from mtfast.store.shard import shard_is_whole, write_shard
from mtfast.store.writing.arrays import declare_masks, mark_complete, shard_path, write_columns

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
            size = split.table.common_size()
            group = root.create_group(
                split.name,
                overwrite=True,
                attributes={
                    "n_images": split.table.n_images,
                    "height": size[0],
                    "width": size[1],
                    f"{self.kind}_variant": split.variant,
                },
            )
            write_columns(group, schema.SPLIT, {"name": split.table.names})
            declare_masks(group, split.table.n_images, size, split.dtype, schema.SHARD, self.kind)

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
        n_images = batch.n_images
        path = shard_path(batch.out, f"{batch.split}/{self.kind}", batch.number, 3)
        if shard_is_whole(path, schema.SHARD, n_images):
            return 0
        write_shard(path, batch.encode(lambda _: ZstdFrames()), schema.SHARD)
        return n_images

    def finish(self, out: Path) -> None:
        """Mark the group complete.

        Parameters
        ----------
        out : Path
        """
        sync_tree(out)
        mark_complete(out)
