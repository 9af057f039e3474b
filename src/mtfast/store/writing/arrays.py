"""Groups, array declarations and columns of a new store, written through zarr."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from mtfast.jpeg.checks import n_checked
from mtfast.painting.encode import ZSTD_LEVEL
from mtfast.store import schema
from mtfast.store.mask_grid import MaskGrid
from mtfast.store.schema import Column
from mtfast.store.writing.consolidated import consolidate

if TYPE_CHECKING:
    import zarr

__all__ = [
    "StoreWriter",
    "declare_crop_index",
    "declare_files",
    "declare_masks",
    "declared_grid",
    "file_chunk",
    "shard_key",
    "write_columns",
]

# The shards of an array are in one folder, for any number of dimensions.
_FLAT_KEYS: Any = {"name": "default", "separator": "."}


def shard_key(array: str, shard: int, n_dimensions: int) -> str:
    """Return the key of a shard of a per-image array: its path in the store.

    Parameters
    ----------
    array : str
        Its key, such as ``train/semantic``.
    shard : int
        Number of the shard.
    n_dimensions : int
        Of the array.

    Returns
    -------
    str

    Examples
    --------
    >>> shard_key("train/semantic", 2, 3)
    'train/semantic/c.2.0.0'
    """
    return f"{array}/{'.'.join(['c', str(shard), *['0'] * (n_dimensions - 1)])}"


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

        from mtfast.store.writing.folders import NewFolder

        self.path = path
        self._root = zarr.create_group(
            NewFolder(path),
            attributes={"mtfast_format": schema.FORMAT, "complete": False, **attributes},
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
        """Mark the store complete. It is in a work folder, which is put on the disk as a whole."""
        consolidate(self.path, complete=True, in_use=False)


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
        if column.compressed:
            array.update_attributes({schema.CHUNK_SUMS: _chunk_sums(array)})


def _chunk_sums(array: zarr.Array[Any]) -> list[int]:
    """Return the checksum of each chunk of a column, as it is stored."""
    import google_crc32c
    from zarr.storage import LocalStore

    folder = cast(LocalStore, array.store).root / array.path
    zeros = ["0"] * (array.ndim - 1)
    files = (folder.joinpath("c", str(k), *zeros) for k in range(array.cdata_shape[0]))
    return [google_crc32c.value(file.read_bytes()) for file in files]


def declare_masks(
    group: zarr.Group,
    n_images: int,
    grid: MaskGrid,
    dtype: Any,
    shard: int,
    name: str = schema.SEMANTIC,
    attributes: Mapping[str, Any] | None = None,
) -> None:
    """Declare the masks of a split; the jobs write its shards.

    Parameters
    ----------
    group : zarr.Group
        Of the split.
    n_images : int
    grid : MaskGrid
        Its chunks.
    dtype : uint8 or uint16
    shard : int
        Images in a shard.
    name : str
        Of the array.
    attributes : mapping, optional
        Of the array.
    """
    (h, w), (down, across) = grid.chunk, grid.shape
    _declare_chunks(
        group,
        name,
        (n_images, grid.height, grid.width),
        dtype,
        (1, h, w),
        (shard, down * h, across * w),
        (schema.IMAGE, "y", "x"),
        attributes,
    )


def declare_files(group: zarr.Group, n_images: int, longest: int, shard: int) -> None:
    """Declare the image files of a split; the jobs write its shards.

    Parameters
    ----------
    group : zarr.Group
        Of the split.
    n_images : int
    longest : int
        Bytes of the longest file.
    shard : int
        Images in a shard.
    """
    piece = file_chunk(longest)
    _declare_chunks(
        group,
        schema.FILE,
        (n_images, longest),
        "uint8",
        (1, piece),
        (shard, -(-longest // piece) * piece),
        (schema.IMAGE, "byte"),
    )


def declared_grid(array: Path) -> MaskGrid:
    """Return the chunks of masks that are declared already.

    Parameters
    ----------
    array : Path
        Its folder.

    Returns
    -------
    MaskGrid
    """
    metadata = json.loads((array / "zarr.json").read_bytes())
    (sharding,) = metadata["codecs"]
    _, height, width = metadata["shape"]
    _, *chunk = sharding["configuration"]["chunk_shape"]
    return MaskGrid(height, width, (chunk[0], chunk[1]))


def file_chunk(longest: int) -> int:
    """Return how many bytes of an image file are in one chunk.

    Parameters
    ----------
    longest : int
        Bytes of the longest file of the array.

    Returns
    -------
    int

    Examples
    --------
    >>> file_chunk(1_200_000), file_chunk(30_000_000)
    (1200000, 4194304)
    """
    return min(schema.FILE_CHUNK, max(1, longest))


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
    one, three = (n_entries,), (n_components, n_entries)
    names = schema.IMAGE, "component", "entry"
    sums = schema.IMAGE, "check"
    for name, shape, dtype, dimensions in (
        (schema.CROP_BITS, one, "uint32", names[::2]),
        (schema.CROP_DCS, three, "int16", names),
        (schema.CROP_CHECKS, (n_checked(n_entries),), "uint32", sums),
    ):
        _declare_chunks(
            group, name, (n_images, *shape), dtype, (1, *shape), (shard, *shape), dimensions
        )


def _declare_chunks(
    group: zarr.Group,
    name: str,
    shape: tuple[int, ...],
    dtype: Any,
    chunk: tuple[int, ...],
    shard: tuple[int, ...],
    dimensions: tuple[str, ...],
    attributes: Mapping[str, Any] | None = None,
) -> None:
    from zarr.codecs import Crc32cCodec, ZstdCodec

    group.create_array(
        name,
        shape=shape,
        dtype=np.dtype(dtype).name,
        chunks=chunk,
        shards=shard,
        compressors=(ZstdCodec(level=ZSTD_LEVEL, checksum=False), Crc32cCodec()),
        chunk_key_encoding=_FLAT_KEYS,
        dimension_names=dimensions,
        fill_value=0,
        attributes=dict(attributes or {}),
    )
