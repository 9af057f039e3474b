"""The layout of a store, with a version; docs/FORMAT.md describes the same in words.

Arrays are declared once, here; the writer creates them from this table and the reader and the
tests take their names from it.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

__all__ = [
    "COLUMNS",
    "CROP_INDEX",
    "FILE_COLUMNS",
    "FORMAT",
    "IMAGE",
    "INSTANCES",
    "NAME",
    "VARIANTS",
    "Column",
    "replaced_path",
]

FORMAT = 2
"""Version of the layout; a reader refuses all others."""

SHARD = 64
"""Images in a shard, unless the user asks for another number."""

LARGEST_SHARD = 1 << 20
"""Images in a shard, at most: 16 MiB of index."""

LARGEST_SIDE = 2**31 - 1
"""Rows or columns of an image, at most: sizes are int32."""

IMAGE = "name"
"""The dimension of images; it is called as the array of their names, which makes it an index."""

NAME = "name"
SEMANTIC = "semantic"
FILE = "images/file"
COLUMN_GROUP = "columns"

FILE_CHUNK = 1 << 22
"""Bytes of an image file in one chunk, at most."""

CROP_GROUP = "crop_index"
CROP_VERSION = 2
"""Version of the crop index; a reader ignores one that it does not know."""
CROP_STEP = "step"
CROP_BITS = "bits"
CROP_DCS = "dc"
CROP_CHECKS = "crc32c"
CROP_SUMS = "index_crc32c"

CHUNK_SUMS = "chunk_crc32c"
"""Attribute of a column: CRC-32C of each of its chunks as stored."""

# Level of zstd: columns are written once, unlike masks.
COLUMN_LEVEL = 5

# Values in one chunk of a column, and of the text, which is read in place.
COLUMN_CHUNK = 1 << 18
TEXT_CHUNK = 1 << 22


def replaced_path(store: Path) -> Path:
    """Return where a store is kept that is being replaced, until the new one is complete.

    Parameters
    ----------
    store : Path

    Returns
    -------
    Path

    Examples
    --------
    >>> replaced_path(Path("set.zarr")).name
    '.set.zarr.replaced'
    """
    return store.with_name(f".{store.name}.replaced")


class Column(NamedTuple):
    """A plain array: its numpy type and the names of its dimensions."""

    dtype: str
    dimensions: tuple[str, ...]
    compressed: bool = True


NAMES = {
    NAME: Column("str", (IMAGE,)),
}
"""The names of the images, which are the index of their dimension."""

COLUMNS = {
    "height": Column("int32", (IMAGE,)),
    "width": Column("int32", (IMAGE,)),
    "semantic_crc32c": Column("uint32", (IMAGE,)),
    "set_name": Column("str", (IMAGE,)),
    "kind": Column("str", (IMAGE,)),
    "orientation": Column("uint8", (IMAGE,)),
    "file_bytes": Column("int64", (IMAGE,)),
    "file_crc32c": Column("uint32", (IMAGE,)),
}
"""One entry an image; those of FILE_COLUMNS are only there if the images are."""

FILE_COLUMNS = ("kind", "orientation", "file_bytes", "file_crc32c")

INSTANCES = {
    "image": Column("int64", ("instance",)),
    "id": Column("int64", ("instance",)),
    "iscrowd": Column("uint8", ("instance",)),
    "area": Column("float64", ("instance",)),
    "bbox": Column("float64", ("instance", "box")),
    # Not compressed, so that the text of one image is one short read.
    "rle": Column("uint8", ("byte",), compressed=False),
    "rle_offsets": Column("int64", ("instance_offset",)),
    "rle_crc32c": Column("uint32", (IMAGE,)),
}
"""Every instance of a split once, grouped by image."""

CROP_INDEX = {
    CROP_STEP: Column("uint16", (IMAGE,)),
    CROP_SUMS: Column("uint32", (IMAGE,)),
}
"""One entry an image; the rest of the crop index is in shards."""

VARIANTS = {
    "name": Column("str", ("variant",)),
    "file": Column("str", ("variant",)),
    "categories": Column("str", ("variant",)),
    "row_offsets": Column("int64", ("variant_offset",)),
    "image": Column("int64", ("row",)),
    "image_id": Column("int64", ("row",)),
    "entry_offsets": Column("int64", ("row_offset",)),
    "instance": Column("int64", ("entry",)),
    "category_id": Column("int64", ("entry",)),
    "position": Column("int64", ("entry",)),
}
"""The annotation files: variant -> rows (the images it lists) -> entries (its annotations)."""
