"""The crop index of a split, written shard by shard.

An entry for each ENTRY_ROWS rows and ENTRY_COLUMNS columns of pixels adds about a percent to the
files of a camera. A file that is small for its pixels gets fewer entries, so that the index stays
below LARGEST_SHARE of it. Files that cannot be cut get none and are decoded whole.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mtfast.errors import MtfastError
from mtfast.jpeg.checks import checked, n_checked, sums_before
from mtfast.jpeg.index import N_COMPONENTS, build_index
from mtfast.jpeg.layout import Layout, read_layout
from mtfast.painting.encode import ZSTD_LEVEL
from mtfast.store import schema
from mtfast.store.file_frames import seal, sum_of
from mtfast.store.shard import shard_parts
from mtfast.store.writing.arrays import declare_crop_index, shard_key, write_columns
from mtfast.work.jobs import Place
from mtfast.work.records import FileSum

if TYPE_CHECKING:
    import zarr

__all__ = ["IndexShard", "declare", "encode_index", "write_rows"]

logger = logging.getLogger(__name__)

ENTRY_ROWS, ENTRY_COLUMNS = 8, 128
LARGEST_SHARE = 0.02

Size = tuple[int, int]

# The arrays that are in shards, and their dimensions.
_ARRAYS = {schema.CROP_BITS: 2, schema.CROP_DCS: 3, schema.CROP_CHECKS: 2}


def n_entries(size: Size) -> int:
    """Return the capacity of the index of an image.

    Parameters
    ----------
    size : (height, width)
        In pixels.

    Returns
    -------
    int
        Entries.
    """
    height, width = size
    return -(-height // ENTRY_ROWS) * -(-width // ENTRY_COLUMNS) + 1


def declare(parent: zarr.Group, name: str, n_images: int, size: Size, shard: int) -> None:
    """Create the group of an index and declare its arrays.

    Parameters
    ----------
    parent : zarr.Group
        The group of a split, or another one if the index is moved there later.
    name : str
        Of the new group.
    n_images : int
    size : (height, width)
        In pixels, that most images have; larger ones get as many entries.
    shard : int
        Images in a shard.
    """
    group = parent.create_group(name, attributes={"version": schema.CROP_VERSION})
    declare_crop_index(group, n_images, n_entries(size), N_COMPONENTS, shard)


def write_rows(folder: Path, rows: NDArray[np.int64]) -> None:
    """Write the columns of an index.

    Parameters
    ----------
    folder : Path
        Of the index.
    rows : (n_images, 2) int64
        Of each image, MCUs from entry to entry, 0 for those without an index; and the checksum of
        its chunks.
    """
    import zarr

    from mtfast.store.writing.folders import NewFolder

    columns = {
        name: column.astype(schema.CROP_INDEX[name].dtype)
        for name, column in zip(schema.CROP_INDEX, rows.T, strict=True)
    }
    write_columns(zarr.open_group(NewFolder(folder), mode="r+"), schema.CROP_INDEX, columns)


class IndexShard:
    """The index of the images of a shard, made while they are written.

    Parameters
    ----------
    sizes : iterable of (height, width)
        In pixels, of each image as it is stored.
    usual : (height, width)
        As for :func:`declare`.

    Attributes
    ----------
    rows : list of (int, int)
        As for :func:`write_rows`, of each image so far.
    """

    def __init__(self, sizes: Iterable[Size], usual: Size) -> None:
        self.rows: list[tuple[int, int]] = []
        self._sizes = sizes
        self._capacity = n_entries(usual)
        self._chunks: dict[str, list[bytes]] = {name: [] for name in _ARRAYS}

    def watch(self, images: Iterable[bytes]) -> Iterator[bytes]:
        """Index image files, and yield each of them unchanged.

        Parameters
        ----------
        images : iterable of bytes
            Consumed one by one.

        Yields
        ------
        bytes
        """
        for data, size in zip(images, self._sizes, strict=False):
            step, *chunks = encode_index(data, size, self._capacity)
            self.rows.append((step, sum_of(chunks)))
            for name, chunk in zip(_ARRAYS, chunks, strict=True):
                self._chunks[name].append(chunk)
            yield data

    def write(self, place: Place, group: str, number: int, slots: int) -> dict[str, FileSum]:
        """Write the shards of the index.

        Parameters
        ----------
        place : Place
        group : str
            Key of the group of the index.
        number : int
            Of the shard.
        slots : int
            Images in a full shard.

        Returns
        -------
        dict
            Key of each file -> its bytes and checksum.
        """
        keys = {name: shard_key(f"{group}/{name}", number, n) for name, n in _ARRAYS.items()}
        return {
            key: place.write(key, shard_parts(self._chunks[name], slots))
            for name, key in keys.items()
        }


def encode_index(data: bytes, size: Size, capacity: int) -> tuple[int, bytes, bytes, bytes]:
    """Index one image file.

    Parameters
    ----------
    data : bytes
    size : (height, width)
        In pixels, that the image must have.
    capacity : int
        Entries of the index.

    Returns
    -------
    step : int
        MCUs from entry to entry; 0 if the file cannot be cut.
    bits, dcs, checks : bytes
        Its chunks of the arrays of the index.
    """
    bits = np.zeros(capacity, "<u4")
    checks = np.zeros(n_checked(capacity), "<u4")
    dcs = np.zeros((N_COMPONENTS, capacity), "<i2")
    try:
        layout = read_layout(data)
        if (layout.height, layout.width) != size:
            raise MtfastError("a JPEG of another size; expected that of the split; remove it")
        # A larger image in the set leaves room for more entries than this one should have.
        step = _first_step(layout, min(capacity, n_entries(size)))
        index = build_index(data, step, layout)
    except MtfastError as error:
        logger.info("an image without a crop index, whose windows are decoded whole: %s", error)
        return 0, _encode(bits), _encode(dcs), _encode(checks)
    sums = sums_before(data, index.positions)
    while True:
        n = index.positions.size
        bits[:n], bits[n:] = np.diff(index.positions, prepend=0), 0
        dcs[:, :n], dcs[:, n:] = index.dcs, 0
        of_entries = checked(np.arange(n_checked(n)), n)
        checks[: of_entries.size], checks[of_entries.size :] = sums[of_entries], 0
        chunks = _encode(bits), _encode(dcs), _encode(checks)
        coarsest = index.step >= layout.n_columns
        if coarsest or sum(map(len, chunks)) <= LARGEST_SHARE * len(data):
            return index.step, *chunks
        index, sums = index.coarser(layout), sums[index.kept(layout)]


def _first_step(layout: Layout, capacity: int) -> int:
    """Return the finest step of which the entries have room."""
    step = 1
    while layout.n_entries(step) > capacity:
        if step >= layout.n_columns:
            raise MtfastError(
                f"a JPEG of {layout.n_rows} rows of MCUs in an index of {capacity} entries; "
                f"expected one for each row; it is much larger than the other images"
            )
        step *= 2
    return step


def _encode(values: NDArray[Any]) -> bytes:
    import imagecodecs

    # A damaged number may decode to other pixels without an error.
    return seal(imagecodecs.zstd_encode(values, level=ZSTD_LEVEL))
