"""Masks as a TIFF file for each split, ``OUT/SPLIT_KIND_masks.tif``, a page for each image.

Batches are compressed side by side into shards, ``.SPLIT_KIND_masks.shards/c.K``, where a rerun
finds them; the file is put together from these. ``SPLIT_KIND_masks.txt`` names the image of each
page.

Images of several sizes have pages of several sizes, which TIFF readers list as one series for each
size; page i is the image of line i all the same.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtfast.errors import printable
from mtfast.export.manifest import write_record
from mtfast.export.mask_format import MaskBatch, MaskFormat, MaskSplit
from mtfast.export.staging import Stage
from mtfast.export.tiff_pages import PageInfo, write_pages
from mtfast.export.zlib_files import ZlibStreams
from mtfast.store import schema
from mtfast.store.shard import index_bytes, read_index, shard_of

__all__ = ["TiffStack"]


@dataclass(frozen=True)
class TiffStack(MaskFormat):
    """A TIFF file for each split.

    Parameters
    ----------
    kind : str
        See :class:`mtfast.export.mask_format.MaskFormat`.
    pixel_size : float, optional
        Width of a pixel in micrometres.
    """

    pixel_size: float | None = None

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
        names = [printable(name) for name in table.names.tolist()]
        text = "".join(f"{name}\n" for name in names)
        stage.put(self._names(Path(), split.name).as_posix(), text.encode())
        sizes = list(zip(table.heights.tolist(), table.widths.tolist(), strict=True))
        info = PageInfo(
            dtype=split.dtype.name,
            largest=split.largest,
            pixel_size=self.pixel_size,
            labels=names if table.has_one_size else None,
        )
        shards = self._shards(content, split.name)
        n_bytes = sum(path.stat().st_size for path in shards.iterdir())
        stack = self._stack(content, split.name)
        with stack.open("wb") as file:
            write_pages(file, _read_strips(shards, table.n_images), sizes, info, n_bytes)
        shutil.rmtree(shards)
        return stage.drop_if_there(stack.name)

    def _stack(self, out: Path, split: str) -> Path:
        return out / f"{self.name_of(split)}.tif"

    def _names(self, out: Path, split: str) -> Path:
        return out / f"{self.name_of(split)}.txt"

    def _shards(self, out: Path, split: str) -> Path:
        return out / f".{self.name_of(split)}.shards"


def _read_strips(folder: Path, n_images: int) -> Iterator[bytes]:
    length = index_bytes(schema.SHARD)
    for number, first in enumerate(range(0, n_images, schema.SHARD)):
        data = (folder / f"c.{number}").read_bytes()
        index = read_index(data[-length:], str(folder / f"c.{number}"))
        for start, n_bytes in index[: n_images - first].tolist():
            yield data[start : start + n_bytes]
