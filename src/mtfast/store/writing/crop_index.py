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
from mtfast.jpeg.index import N_COMPONENTS, build_index
from mtfast.jpeg.layout import read_layout
from mtfast.painting.encode import ZSTD_LEVEL
from mtfast.store import schema
from mtfast.store.shard import write_shard
from mtfast.store.writing.arrays import declare_crop_index, shard_path, write_columns

if TYPE_CHECKING:
    import zarr

__all__ = ["IndexShard", "declare", "encode_index", "write_steps"]

logger = logging.getLogger(__name__)

ENTRY_ROWS, ENTRY_COLUMNS = 8, 128
LARGEST_SHARE = 0.02

Size = tuple[int, int]


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
        In pixels, of every image.
    shard : int
        Images in a shard.
    """
    group = parent.create_group(name, attributes={"version": schema.CROP_VERSION})
    declare_crop_index(group, n_images, n_entries(size), N_COMPONENTS, shard)


def write_steps(folder: Path, steps: NDArray[np.uint16]) -> None:
    """Write the steps of all images of a split.

    Parameters
    ----------
    folder : Path
        Of the index.
    steps : (n_images,) uint16
        MCUs from entry to entry of each image; 0 for those without an index.
    """
    import zarr

    write_columns(zarr.open_group(folder, mode="r+"), schema.CROP_INDEX, {"step": steps})


class IndexShard:
    """The index of the images of a shard, made while they are written.

    Parameters
    ----------
    size : (height, width)
        In pixels, of every image.

    Attributes
    ----------
    steps : list of int
        MCUs from entry to entry of each image so far; 0 for those without an index.
    """

    def __init__(self, size: Size) -> None:
        self.steps: list[int] = []
        self._size = size
        self._bits: list[bytes] = []
        self._dcs: list[bytes] = []

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
        for data in images:
            step, bits, dcs = encode_index(data, self._size)
            self.steps.append(step)
            self._bits.append(bits)
            self._dcs.append(dcs)
            yield data

    def write(self, folder: Path, number: int, slots: int) -> None:
        """Write the shards of the index.

        Parameters
        ----------
        folder : Path
            Of the index.
        number : int
            Of the shard.
        slots : int
            Images in a full shard.
        """
        write_shard(shard_path(folder, schema.CROP_BITS, number, 2), self._bits, slots)
        write_shard(shard_path(folder, schema.CROP_DCS, number, 3), self._dcs, slots)


def encode_index(data: bytes, size: Size) -> tuple[int, bytes, bytes]:
    """Index one image file.

    Parameters
    ----------
    data : bytes
    size : (height, width)
        In pixels, that the image must have.

    Returns
    -------
    step : int
        MCUs from entry to entry; 0 if the file cannot be cut.
    bits, dcs : bytes
        Its chunks of the two arrays of the index.
    """
    capacity = n_entries(size)
    bits = np.zeros(capacity, "<u4")
    dcs = np.zeros((N_COMPONENTS, capacity), "<i2")
    try:
        layout = read_layout(data)
        if (layout.height, layout.width) != size:
            raise MtfastError("a JPEG of another size; expected that of the split; remove it")
        step = 1
        while layout.n_entries(step) > capacity:
            step *= 2
        index = build_index(data, step, layout)
    except MtfastError as error:
        logger.info("an image without a crop index, whose windows are decoded whole: %s", error)
        return 0, _encode(bits), _encode(dcs)
    while True:
        n = index.positions.size
        bits[:n], bits[n:] = np.diff(index.positions, prepend=0), 0
        dcs[:, :n], dcs[:, n:] = index.dcs, 0
        chunks = _encode(bits), _encode(dcs)
        coarsest = index.step >= layout.n_columns
        if coarsest or sum(map(len, chunks)) <= LARGEST_SHARE * len(data):
            return index.step, *chunks
        index = index.coarser(layout)


def _encode(values: NDArray[Any]) -> bytes:
    from numcodecs import Zstd

    # With a checksum: a damaged number may decode to other pixels without an error.
    encoded: bytes = Zstd(level=ZSTD_LEVEL, checksum=True).encode(values)
    return encoded
