"""Masks as a BigTIFF file for each split, ``OUT/SPLIT_KIND_masks.tif``, a page for each image.

Batches are compressed side by side into shards, ``.SPLIT_KIND_masks.shards/c.K``, where a rerun
finds them; the file is put together from these. ``SPLIT_KIND_masks.txt`` names the image of each
page.

Images of several sizes have pages of several sizes, which TIFF readers list as one series for each
size; page i is the image of line i all the same.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mtfast.atomic import new_file, write_file
from mtfast.errors import StoreError
from mtfast.export.manifest import write_record
from mtfast.export.mask_format import MaskBatch, MaskFormat, MaskSplit
from mtfast.export.zlib_files import ZlibStreams
from mtfast.store import schema
from mtfast.store.shard import index_bytes, read_index, shard_is_whole, write_shard

__all__ = ["TiffStack", "n_whole_pages", "write_pages"]


class TiffStack(MaskFormat):
    """A BigTIFF file for each split; see :class:`mtfast.export.mask_format.MaskFormat`."""

    def outputs(self, out: Path, split: str) -> list[Path]:
        """Return the file of the split, that of the names of its pages, and the shards.

        Parameters
        ----------
        out : Path
        split : str

        Returns
        -------
        list of Path
        """
        return [self._stack(out, split), self._names(out, split), self._shards(out, split)]

    def begin(self, out: Path, record: Any, splits: Sequence[MaskSplit]) -> None:
        """Write the record, and make folders for the shards.

        Parameters
        ----------
        out : Path
        record : dict
        splits : sequence of MaskSplit
        """
        write_record(out, record)
        for split in splits:
            if not self.is_whole(out, split):
                self._shards(out, split.name).mkdir(exist_ok=True)

    def is_whole(self, out: Path, split: MaskSplit) -> bool:
        """Tell whether the file has all its pages.

        Parameters
        ----------
        out : Path
        split : MaskSplit

        Returns
        -------
        bool
        """
        n_pages = split.table.n_images
        stack, names = self._stack(out, split.name), self._names(out, split.name)
        return n_whole_pages(stack) == n_pages and names.exists()

    def write(self, batch: MaskBatch) -> int:
        """Write the strips of a batch unless they are there.

        Parameters
        ----------
        batch : MaskBatch

        Returns
        -------
        int
            How many were written.
        """
        n_images = batch.n_images
        path = self._shards(batch.out, batch.split) / f"c.{batch.number}"
        if shard_is_whole(path, schema.SHARD, np.ones(n_images, bool)):
            return 0
        write_shard(path, batch.encode(ZlibStreams), schema.SHARD)
        return n_images

    def finish_split(self, out: Path, split: MaskSplit) -> None:
        """Put the file together and remove the shards.

        Parameters
        ----------
        out : Path
        split : MaskSplit
        """
        if not self.is_whole(out, split):
            names = "".join(f"{name}\n" for name in split.table.names)
            write_file(self._names(out, split.name), names.encode(), StoreError)
            table = split.table
            sizes = list(zip(table.heights.tolist(), table.widths.tolist(), strict=True))
            strips = _read_strips(self._shards(out, split.name), table.n_images)
            with (
                new_file(self._stack(out, split.name), StoreError) as partial,
                partial.open("wb") as file,
            ):
                write_pages(file, strips, sizes, split.dtype.name)
        shutil.rmtree(self._shards(out, split.name), ignore_errors=True)

    def _stack(self, out: Path, split: str) -> Path:
        return out / f"{self.name_of(split)}.tif"

    def _names(self, out: Path, split: str) -> Path:
        return out / f"{self.name_of(split)}.txt"

    def _shards(self, out: Path, split: str) -> Path:
        return out / f".{self.name_of(split)}.shards"


def write_pages(
    file: Any, strips: Iterable[bytes], sizes: Sequence[tuple[int, int]], dtype: str
) -> None:
    """Write a TIFF file with one strip on each page; BigTIFF if it has several pages.

    Parameters
    ----------
    file : binary file
        Open for writing.
    strips : iterable of bytes
        The zlib stream of each page.
    sizes : sequence of (height, width)
        Of each page, at least one.
    dtype : str
        Of the pixels, "uint8" or "uint16".
    """
    import tifffile

    n_pages, streams = len(sizes), iter(strips)
    options: Any = {"dtype": dtype, "photometric": "minisblack", "compression": "zlib"}
    with tifffile.TiffWriter(file, bigtiff=n_pages > 1, byteorder="<") as writer:
        if len(set(sizes)) > 1:
            for size in sizes:
                # Without a description of its own, a page joins the series of its size.
                page = iter([next(streams)])
                writer.write(page, shape=size, rowsperstrip=size[0], metadata=None, **options)
            return
        size, axes = sizes[0], "ZYX" if n_pages > 1 else "YX"
        shape = (n_pages, *size) if n_pages > 1 else size
        metadata = {"axes": axes}
        writer.write(streams, shape=shape, rowsperstrip=size[0], metadata=metadata, **options)


def n_whole_pages(path: Path) -> int:
    """Count the pages of a TIFF file that is all there.

    Parameters
    ----------
    path : Path

    Returns
    -------
    int
        0 if there is no such file, it is not a TIFF, or it was cut short.
    """
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            last = file.pages[-1]
            end = last.dataoffsets[-1] + last.databytecounts[-1]
            return len(file.pages) if end <= path.stat().st_size else 0
    except (OSError, IndexError, ValueError, tifffile.TiffFileError):
        return 0


def _read_strips(folder: Path, n_images: int) -> Iterator[bytes]:
    length = index_bytes(schema.SHARD)
    for number, first in enumerate(range(0, n_images, schema.SHARD)):
        data = (folder / f"c.{number}").read_bytes()
        index = read_index(data[-length:], str(folder / f"c.{number}"))
        for start, n_bytes in index[: n_images - first].tolist():
            yield data[start : start + n_bytes]
