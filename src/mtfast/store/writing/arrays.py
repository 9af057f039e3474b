"""Groups, array declarations and columns of a new store, written through zarr."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mtfast.atomic import sync_tree, write_file
from mtfast.errors import StoreError
from mtfast.painting.encode import ZSTD_LEVEL
from mtfast.store import schema
from mtfast.store.schema import Column

if TYPE_CHECKING:
    import zarr

__all__ = [
    "StoreWriter",
    "declare_crop_index",
    "declare_images",
    "declare_masks",
    "mark_complete",
    "shard_path",
    "write_columns",
]

# The shards of an array are in one folder, for any number of dimensions.
_FLAT_KEYS: Any = {"name": "default", "separator": "."}


def shard_path(store: Path, array: str, shard: int, n_dimensions: int) -> Path:
    """Return the path of a shard of a per-image array.

    Parameters
    ----------
    store : Path
    array : str
        Its key, such as ``train/semantic``.
    shard : int
        Number of the shard.
    n_dimensions : int
        Of the array.

    Returns
    -------
    Path

    Examples
    --------
    >>> shard_path(Path("set.zarr"), "train/semantic", 2, 3).as_posix()
    'set.zarr/train/semantic/c.2.0.0'
    """
    return store / array / ".".join(["c", str(shard), *["0"] * (n_dimensions - 1)])


class StoreWriter:
    """Creates a store that is marked incomplete until :meth:`finish`.

    Parameters
    ----------
    path : Path
        An empty folder.
    attributes : mapping
        Of the root group.
    """

    def __init__(self, path: Path, attributes: Mapping[str, Any]) -> None:
        import zarr

        self.path = path
        self._root = zarr.create_group(
            path, attributes={"mtfast_format": schema.FORMAT, "complete": False, **attributes}
        )

    def split(self, name: str, attributes: Mapping[str, Any]) -> zarr.Group:
        """Create the group of a split.

        Parameters
        ----------
        name : str
        attributes : mapping

        Returns
        -------
        zarr.Group
        """
        return self._root.create_group(name, attributes=dict(attributes))

    def finish(self) -> None:
        """Put everything on the disk, then mark the store complete."""
        sync_tree(self.path)
        mark_complete(self.path)


def mark_complete(group: Path) -> None:
    """Set the attribute ``complete`` of a group, which comes after all else, to true.

    Parameters
    ----------
    group : Path
        Its folder. Everything in it is on the disk.
    """
    file = group / "zarr.json"
    metadata = json.loads(file.read_bytes())
    metadata["attributes"]["complete"] = True
    write_file(file, json.dumps(metadata, indent=2).encode(), StoreError)


def write_columns(
    group: zarr.Group,
    declared: Mapping[str, Column],
    values: Mapping[str, NDArray[Any]],
) -> None:
    """Write columns.

    Parameters
    ----------
    group : zarr.Group
    declared : mapping
        Name of each column -> how it is stored. Those without values are left out.
    values : mapping
        Name of each column -> (n, …) array.
    """
    from zarr.codecs import ZstdCodec

    # The checksum guards what readers will use as indices.
    zstd = ZstdCodec(level=schema.COLUMN_LEVEL, checksum=True)
    for name, column in declared.items():
        if name not in values:
            continue
        data = values[name]
        limit = schema.COLUMN_CHUNK if column.compressed else schema.TEXT_CHUNK
        chunks = (max(1, min(len(data), limit)), *data.shape[1:])
        dtype: Any = str if column.dtype == "str" else column.dtype
        array = group.create_array(
            name,
            shape=data.shape,
            dtype=dtype,
            chunks=chunks,
            compressors=zstd if column.compressed else None,
            dimension_names=column.dimensions,
            # So that a missing chunk file is always damage, never a chunk of zeros.
            config={"write_empty_chunks": True},
        )
        if data.size:
            array[...] = data


def declare_masks(
    group: zarr.Group,
    n_images: int,
    size: tuple[int, int],
    dtype: Any,
    shard: int,
    name: str = schema.SEMANTIC,
) -> None:
    """Declare the masks of a split; the jobs write its shards.

    Parameters
    ----------
    group : zarr.Group
        Of the split.
    n_images : int
    size : (height, width)
        In pixels, of every image.
    dtype : uint8 or uint16
    shard : int
        Images in a shard.
    name : str
        Of the array.
    """
    shape = n_images, *size
    _declare_zstd(group, name, shape, dtype, shard, ("image", "y", "x"), checksum=False)


def declare_crop_index(
    group: zarr.Group, n_images: int, n_entries: int, n_components: int, shard: int
) -> None:
    """Declare the crop index of a split; the jobs write its shards.

    Parameters
    ----------
    group : zarr.Group
        Of the index.
    n_images, n_entries, n_components : int
        Shape of the index.
    shard : int
        Images in a shard.
    """
    bits, dcs = (n_images, n_entries), (n_images, n_components, n_entries)
    names = "image", "component", "entry"
    _declare_zstd(group, schema.CROP_BITS, bits, "uint32", shard, names[::2], checksum=True)
    _declare_zstd(group, schema.CROP_DCS, dcs, "int16", shard, names, checksum=True)


def _declare_zstd(
    group: zarr.Group,
    name: str,
    shape: tuple[int, ...],
    dtype: Any,
    shard: int,
    dimensions: tuple[str, ...],
    checksum: bool,
) -> None:
    from zarr.codecs import ZstdCodec

    group.create_array(
        name,
        shape=shape,
        dtype=np.dtype(dtype).name,
        chunks=(1, *shape[1:]),
        shards=(shard, *shape[1:]),
        compressors=ZstdCodec(level=ZSTD_LEVEL, checksum=checksum),
        chunk_key_encoding=_FLAT_KEYS,
        dimension_names=dimensions,
        fill_value=0,
    )


def declare_images(group: zarr.Group, n_images: int, size: tuple[int, int], shard: int) -> None:
    """Declare the JPEG images of a split; the jobs write its shards.

    Parameters
    ----------
    group : zarr.Group
        Of the split.
    n_images : int
    size : (height, width)
        In pixels, of every image.
    shard : int
        Images in a shard.
    """
    from mtfast.store.jpeg_codec import JpegCodec

    group.create_array(
        schema.JPEG,
        shape=(n_images, *size, 3),
        dtype="uint8",
        chunks=(1, *size, 3),
        shards=(shard, *size, 3),
        serializer=JpegCodec(),
        compressors=None,
        filters=None,
        chunk_key_encoding=_FLAT_KEYS,
        dimension_names=("image", "y", "x", "channel"),
        fill_value=0,
    )
