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

from mtfast.errors import printable
from mtfast.export.manifest import write_record
from mtfast.export.mask_format import MaskBatch, MaskFormat, MaskSplit
from mtfast.export.staging import Stage
from mtfast.export.zlib_files import ZlibStreams
from mtfast.store import schema
from mtfast.store.shard import index_bytes, read_index, shard_of

__all__ = ["TiffStack", "write_pages"]


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

    def begin(self, content: Path, record: Any, splits: Sequence[MaskSplit]) -> None:
        """Stage the record, and make folders for the shards.

        Parameters
        ----------
        content : Path
        record : dict
        splits : sequence of MaskSplit
        """
        write_record(content, record)
        for split in splits:
            self._shards(content, split.name).mkdir()

    def write(self, batch: MaskBatch) -> int:
        """Stage the strips of a batch.

        Parameters
        ----------
        batch : MaskBatch

        Returns
        -------
        int
            How many were not there.
        """
        name = self._shards(Path(), batch.split) / f"c.{batch.number}"
        data = shard_of(batch.encode(ZlibStreams), schema.SHARD)
        return batch.n_images * batch.stage.put(name.as_posix(), data)

    def finish_split(self, stage: Stage, split: MaskSplit) -> bool:
        """Put the file together and remove the shards.

        Parameters
        ----------
        stage : Stage
        split : MaskSplit

        Returns
        -------
        bool
            Whether the very file is there.
        """
        content, table = stage.place.content, split.table
        names = "".join(f"{printable(name)}\n" for name in table.names.tolist())
        stage.put(self._names(Path(), split.name).as_posix(), names.encode())
        sizes = list(zip(table.heights.tolist(), table.widths.tolist(), strict=True))
        strips = _read_strips(self._shards(content, split.name), table.n_images)
        stack = self._stack(content, split.name)
        with stack.open("wb") as file:
            write_pages(file, strips, sizes, split.dtype.name)
        shutil.rmtree(self._shards(content, split.name))
        return stage.drop_if_there(stack.name)

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


def _read_strips(folder: Path, n_images: int) -> Iterator[bytes]:
    length = index_bytes(schema.SHARD)
    for number, first in enumerate(range(0, n_images, schema.SHARD)):
        data = (folder / f"c.{number}").read_bytes()
        index = read_index(data[-length:], str(folder / f"c.{number}"))
        for start, n_bytes in index[: n_images - first].tolist():
            yield data[start : start + n_bytes]
