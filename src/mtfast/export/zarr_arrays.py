"""Masks as a Zarr array a split, ``OUT/SPLIT/semantic``, in shards as a converted store has it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mtfast.atomic import sync_tree
from mtfast.export.format import Format, MaskSplit, Part
from mtfast.export.manifest import ATTRIBUTE
from mtfast.painting.encode import ZstdFrames
from mtfast.store import schema
from mtfast.store.shard import shard_is_whole, write_shard
from mtfast.store.writing.arrays import declare_masks, mark_complete, shard_path, write_columns

__all__ = ["ZarrArrays"]


class ZarrArrays(Format):
    """See :class:`mtfast.export.format.Format`."""

    def outputs(self, out: Path, split: str) -> list[Path]:
        """Return the group of the split."""
        return [out / split]

    def begin(self, out: Path, record: Any, splits: Sequence[MaskSplit]) -> None:
        """Create groups and arrays, without a shard; those that are there stay as they are."""
        import zarr

        attributes = {ATTRIBUTE: record, "complete": False}
        if (out / "zarr.json").exists():
            root = zarr.open_group(out, mode="a").update_attributes(attributes)
        else:
            root = zarr.create_group(out, attributes=attributes)
        for split in splits:
            # The array is declared last: where it is, all of its group is.
            if (out / split.name / schema.SEMANTIC / "zarr.json").exists():
                continue
            size = split.table.common_size()
            group = root.create_group(
                split.name,
                overwrite=True,
                attributes={
                    "n_images": split.table.n_images,
                    "height": size[0],
                    "width": size[1],
                    "semantic_variant": split.variant,
                },
            )
            write_columns(group, schema.SPLIT, {"name": split.table.names})
            declare_masks(group, split.table.n_images, size, split.dtype, schema.SHARD)

    def write(self, part: Part) -> int:
        """Write the shard of a part unless it is there."""
        n_images = part.n_images
        path = shard_path(part.out, f"{part.split}/{schema.SEMANTIC}", part.number, 3)
        if shard_is_whole(path, schema.SHARD, n_images):
            return 0
        write_shard(path, part.encode(lambda _: ZstdFrames()), schema.SHARD)
        return n_images

    def end(self, out: Path) -> None:
        """Mark the group complete."""
        sync_tree(out)
        mark_complete(out)
