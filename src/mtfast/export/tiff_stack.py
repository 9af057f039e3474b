"""Masks as one BigTIFF file a split, ``OUT/SPLIT_semantic_masks.tif``, a page an image.

Parts are compressed side by side into shards, ``.SPLIT_semantic_masks.parts/c.K``, which a rerun
finds there; the file is put together from them. ``SPLIT_semantic_masks.txt`` names the image of
each page.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from mtfast.atomic import new_file, write_file
from mtfast.errors import StoreError
from mtfast.export.format import FOLDER, Format, MaskSplit, Part
from mtfast.export.manifest import write_record
from mtfast.export.zlib_files import ZlibStreams
from mtfast.store import schema
from mtfast.store.shard import index_bytes, read_index, shard_is_whole, write_shard

__all__ = ["TiffStack", "n_whole_pages", "write_pages"]


class TiffStack(Format):
    """See :class:`mtfast.export.format.Format`."""

    def outputs(self, out: Path, split: str) -> list[Path]:
        """Return the file of the split, that of the names of its pages, and its parts."""
        return [_stack(out, split), _names(out, split), _parts(out, split)]

    def begin(self, out: Path, record: Any, splits: Sequence[MaskSplit]) -> None:
        """Make folders for the parts."""
        write_record(out, record)
        for split in splits:
            if not self.is_whole(out, split):
                _parts(out, split.name).mkdir(exist_ok=True)

    def is_whole(self, out: Path, split: MaskSplit) -> bool:
        """Whether the file has all its pages."""
        n_pages = split.table.n_images
        return (
            n_whole_pages(_stack(out, split.name)) == n_pages and _names(out, split.name).exists()
        )

    def write(self, part: Part) -> int:
        """Write the strips of a part unless they are there."""
        n_images = part.n_images
        path = _parts(part.out, part.split) / f"c.{part.number}"
        if shard_is_whole(path, schema.SHARD, n_images):
            return 0
        write_shard(path, part.encode(ZlibStreams), schema.SHARD)
        return n_images

    def gather(self, out: Path, split: MaskSplit) -> None:
        """Put the file together and remove the parts."""
        if not self.is_whole(out, split):
            names = "".join(f"{name}\n" for name in split.table.names)
            write_file(_names(out, split.name), names.encode(), StoreError)
            n_images, size = split.table.n_images, split.table.common_size()
            strips = _read_strips(_parts(out, split.name), n_images)
            with (
                new_file(_stack(out, split.name), StoreError) as partial,
                partial.open("wb") as file,
            ):
                write_pages(file, strips, size, split.dtype.name, n_images)
        shutil.rmtree(_parts(out, split.name), ignore_errors=True)


def write_pages(
    file: Any, strips: Iterable[bytes], size: tuple[int, int], dtype: str, n_pages: int
) -> None:
    """Write a TIFF file of one strip a page; BigTIFF if it has several pages."""
    import tifffile

    several = n_pages > 1
    with tifffile.TiffWriter(file, bigtiff=several, byteorder="<") as writer:
        writer.write(
            iter(strips),
            shape=(n_pages, *size) if several else size,
            dtype=dtype,
            photometric="minisblack",
            compression="zlib",
            rowsperstrip=size[0],
            metadata={"axes": "ZYX" if several else "YX"},
        )


def n_whole_pages(path: Path) -> int:
    """Count the pages of a TIFF file whose pixels are all there; 0 if it is none."""
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


def _stack(out: Path, split: str) -> Path:
    return out / f"{FOLDER.format(split=split)}.tif"


def _names(out: Path, split: str) -> Path:
    return out / f"{FOLDER.format(split=split)}.txt"


def _parts(out: Path, split: str) -> Path:
    return out / f".{FOLDER.format(split=split)}.parts"
