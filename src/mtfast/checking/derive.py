"""Files of a store that follow from others of it.

::

    RLE texts, sizes ──► shards of masks ──► semantic_crc32c
    lengths of files ──► index of a shard of image files
    image files ──► shards of the crop index, step, index_crc32c, kind, orientation
    shards of image files ──► file_bytes, file_crc32c
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from mtfast.checking.examine import Examined
from mtfast.checking.metadata import file_of
from mtfast.checking.readers import SplitReaders, lengths_stored, sum_stored
from mtfast.conversion.image_checks import BadImageError, ImageChecks, check_image
from mtfast.errors import StoreError
from mtfast.parallel import run_jobs
from mtfast.progress import Progress, track
from mtfast.ragged import as_strings, offsets_of
from mtfast.sources import Orientation
from mtfast.store import schema
from mtfast.store.consolidated import metadata_text
from mtfast.store.file_frames import CHECKSUM_BYTES, frame_bytes
from mtfast.store.reading.columns import TextArray
from mtfast.store.shard import MISSING, plan, write_shard
from mtfast.store.writing.annotations import align, text_sums
from mtfast.store.writing.arrays import shard_key, write_columns
from mtfast.store.writing.crop_index import IndexShard
from mtfast.store.writing.masks import mask_chunks
from mtfast.work.folder_place import FolderPlace

__all__ = ["derive"]

Column = NDArray[Any]


def derive(
    examined: Examined,
    wanted: set[str],
    content: Path,
    workers: int | None = None,
    progress: Progress | None = None,
) -> None:
    """Make files of a store again from what is whole of it.

    Parameters
    ----------
    examined : Examined
    wanted : set of str
        Files to make; what cannot be made is left out.
    content : Path
        Where they are made.
    workers : int, optional
        Threads.
    progress : callable, optional
        Called as (what, done, total).
    """
    nodes = examined.metadata.root.nodes
    if not examined.metadata.whole:
        return
    for key in nodes:
        if file_of(key) in wanted:
            put(content, file_of(key), metadata_text(key, nodes))
    for split in examined.splits.values():
        makers = list(_makers(_Parts(split, examined, wanted, content)))
        what = f"making files of {split.name} again"
        with run_jobs(_make, makers, "make-files", "threads", workers) as results:
            for _ in track(results, what, progress, len(makers)) if makers else ():
                pass


def put(content: Path, file: str, data: bytes) -> None:
    """Write a file below a folder.

    Parameters
    ----------
    content : Path
    file : str
        Its path there.
    data : bytes
    """
    path = content / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


class _Parts(NamedTuple):
    """What there is to work with."""

    split: SplitReaders
    examined: Examined
    wanted: set[str]
    content: Path

    def files_of(self, name: str) -> list[str]:
        """List the files of an array."""
        key = self.split.key(name)
        return [file for file, of in self.split.layout.files.items() if of == key]

    def wants(self, name: str) -> bool:
        """Return whether a chunk or shard of an array is to be made."""
        return any(f in self.wanted for f in self.files_of(name) if not f.endswith("zarr.json"))

    def is_whole(self, name: str) -> bool:
        """Return whether all files of an array are."""
        return not self.examined.bad_files.intersection(self.files_of(name))

    def has_broken_index(self, file: str) -> bool:
        """Return whether a shard cannot be read because of its index."""
        return any(f.file == file and f.kind == "damaged shard" for f in self.examined.findings)


def _make(maker: Callable[[], object]) -> None:
    """Make a file; what is damaged itself makes nothing."""
    try:
        maker()
    except (StoreError, BadImageError):
        return


def _makers(parts: _Parts) -> Iterator[Callable[[], object]]:
    split = parts.split
    if parts.wants(schema.SEMANTIC) and split.annotations is not None:
        yield from _mask_makers(parts)
    if parts.wants(schema.FILE) and split.column("file_bytes") is not None:
        yield from _reindex_makers(parts)
    if split.files is not None and split.sizes() is not None:
        yield from _index_makers(parts)
    for name, make in _COLUMNS.items():
        if parts.wants(name):
            yield partial(_write_column, parts, name, make)


def _numbers(parts: _Parts, name: str) -> Iterator[tuple[int, int, int]]:
    """List the shards of an array that are wanted: number, first image, image after the last."""
    stored = parts.split.layout.arrays[parts.split.key(name)]
    for shard in plan({"": parts.split.n_images}, parts.split.root.shard):
        if stored.file_name.format(shard.number) in parts.wanted:
            yield shard.number, shard.start, shard.stop


def _shard_path(parts: _Parts, name: str, number: int) -> Path:
    stored = parts.split.layout.arrays[parts.split.key(name)]
    path = parts.content / shard_key(stored.key, number, len(stored.shape))
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


# --- shards


def _mask_makers(parts: _Parts) -> Iterator[Callable[[], object]]:
    split = parts.split
    grid, sizes, names = split.grid(), split.sizes(), split.column(schema.NAME)
    variant = str(split.root.attributes_of(split.name).get("semantic_variant"))
    if grid is None or sizes is None or names is None or split.annotations is None:
        return
    dtype = split.layout.arrays[split.key(schema.SEMANTIC)].dtype
    try:
        table = align(split.annotations.table(variant), names.tolist(), *sizes)
    except StoreError:
        # Its texts are damaged.
        return

    def make(number: int, start: int, stop: int) -> None:
        of_images = mask_chunks(table.images(slice(start, stop)), dtype, grid)
        chunks = (chunk for of_image in of_images for chunk in of_image)
        path = _shard_path(parts, schema.SEMANTIC, number)
        write_shard(path, chunks, split.root.shard * grid.n_chunks)

    for shard in _numbers(parts, schema.SEMANTIC):
        yield partial(make, *shard)


def _reindex_makers(parts: _Parts) -> Iterator[Callable[[], object]]:
    """Give shards of image files a new index: the length of a file tells that of its chunks."""
    split = parts.split
    chunks = split.chunks.get(split.key(schema.FILE))
    lengths = split.column("file_bytes")
    if chunks is None or lengths is None:
        return
    (piece,) = chunks.chunk
    n_slots = chunks.slots * chunks.n_chunks

    def make(number: int, start: int, stop: int) -> None:
        file = split.root.files.open(stored.file_name.format(number))
        at, index = 0, np.full((chunks.slots, chunks.n_chunks, 2), MISSING, "<u8")
        for slot, n in enumerate(lengths[start:stop].tolist()):
            for k, first in enumerate(range(0, n, piece)):
                length = frame_bytes(min(piece, n - first), piece) + CHECKSUM_BYTES
                index[slot, k] = at, length
                at += length
        path = _shard_path(parts, schema.FILE, number)
        places = index.reshape(n_slots, 2).tolist()
        parts_of_file = (None if a == MISSING else file.read(a, n) for a, n in places)
        write_shard(path, parts_of_file, n_slots)

    stored = split.layout.arrays[split.key(schema.FILE)]
    for shard in _numbers(parts, schema.FILE):
        if parts.has_broken_index(stored.file_name.format(shard[0])):
            yield partial(make, *shard)


_CROP_ARRAYS = tuple(
    f"{schema.CROP_GROUP}/{name}"
    for name in (schema.CROP_BITS, schema.CROP_DCS, schema.CROP_CHECKS)
)


def _index_makers(parts: _Parts) -> Iterator[Callable[[], object]]:
    """Index the images of shards again; of the files of a shard only those wanted are kept."""
    split = parts.split

    def make(number: int, start: int, stop: int) -> None:
        for name in _CROP_ARRAYS:
            _shard_path(parts, name, number)
        made = _index_of(split, start, stop)
        place = FolderPlace(parts.content, ())
        made.write(place, split.key(schema.CROP_GROUP), number, split.root.shard)

    there = [name for name in _CROP_ARRAYS if split.key(name) in split.layout.arrays]
    for shard in sorted({shard for name in there for shard in _numbers(parts, name)}):
        yield partial(make, *shard)


def _index_of(split: SplitReaders, start: int, stop: int) -> IndexShard:
    grid, sizes, files = split.grid(), split.sizes(), split.files
    if grid is None or sizes is None or files is None:
        raise StoreError("no sizes of images")
    heights, widths = (side[start:stop].tolist() for side in sizes)
    made = IndexShard(list(zip(heights, widths, strict=True)), grid.chunk)
    for _ in made.watch(map(files.read, range(start, stop))):
        pass
    return made


# --- columns


def _write_column(parts: _Parts, name: str, make: Callable[[_Parts], Iterator[Column]]) -> None:
    """Write those chunks of a column that are wanted, of the values whose checksums fit best."""
    import zarr

    group, _, short = name.rpartition("/")
    declared = {**schema.COLUMNS, **schema.INSTANCES, **schema.CROP_INDEX}[short]
    key = parts.split.key(name)
    stored = parts.split.layout.arrays[key]
    sums = stored.attributes.get(schema.CHUNK_SUMS, [])
    scratch = parts.content.parent / f"column-{secrets.token_hex(4)}"
    for number, values in enumerate(make(parts)):
        text = declared.dtype == "str"
        typed = as_strings(values.tolist()) if text else values.astype(declared.dtype)
        folder = scratch / str(number)
        write_columns(zarr.open_group(folder, mode="w"), {short: declared}, {short: typed})
        for k, expected in enumerate(sums):
            file = stored.file_name.format(k)
            made = folder / file.removeprefix(f"{parts.split.key(group)}/")
            if file in parts.wanted and google_crc32c.value(made.read_bytes()) == expected:
                put(parts.content, file, made.read_bytes())


def _sums_of(name: str, parts: _Parts) -> Iterator[Column]:
    chunks = parts.split.chunks.get(parts.split.key(name))
    if chunks is not None and parts.is_whole(name):
        yield sum_stored(chunks, parts.split.n_images)


def _lengths(parts: _Parts) -> Iterator[Column]:
    chunks = parts.split.chunks.get(parts.split.key(schema.FILE))
    if chunks is not None and parts.is_whole(schema.FILE):
        yield lengths_stored(chunks, parts.split.n_images)


def _text_sums(parts: _Parts) -> Iterator[Column]:
    split = parts.split
    offsets = split.columns.get(split.key("instances/rle_offsets"))
    image = split.columns.get(split.key("instances/image"))
    if offsets is None or image is None or not parts.is_whole("instances/rle"):
        return
    text = TextArray(split.root.files, split.key("instances/rle"))
    rle = np.frombuffer(text(0, text.size), np.uint8)
    yield text_sums(rle, offsets, offsets_of(np.bincount(image, minlength=split.n_images)))


def _of_headers(name: str, parts: _Parts) -> Iterator[Column]:
    """Read the headers of all files; twice where the frame of masks is not known."""
    split = parts.split
    choices: list[Orientation | None] = [None] if name == "kind" else ["stored", "shown"]
    for orientation in choices:
        if split.files is None or not parts.is_whole(schema.FILE):
            return
        checks = ImageChecks(False, orientation or "stored")
        found: list[Any] = []
        for image in range(split.n_images):
            size = split.size(image)
            if size is None:
                return
            checked = check_image(split.files.read(image), "", size, checks)
            found.append(checked.header.kind if name == "kind" else checked.orientation)
        yield np.array(found)


def _of_index(place: int, parts: _Parts) -> Iterator[Column]:
    split = parts.split
    if split.files is not None and parts.is_whole(schema.FILE):
        shards = plan({"": split.n_images}, split.root.shard)
        rows = [row for shard in shards for row in _index_of(split, shard.start, shard.stop).rows]
        yield np.array(rows, np.int64)[:, place]


_COLUMNS: dict[str, Callable[[_Parts], Iterator[Column]]] = {
    f"{schema.COLUMN_GROUP}/semantic_crc32c": partial(_sums_of, schema.SEMANTIC),
    f"{schema.COLUMN_GROUP}/file_crc32c": partial(_sums_of, schema.FILE),
    f"{schema.COLUMN_GROUP}/file_bytes": _lengths,
    f"{schema.COLUMN_GROUP}/kind": partial(_of_headers, "kind"),
    f"{schema.COLUMN_GROUP}/orientation": partial(_of_headers, "orientation"),
    "instances/rle_crc32c": _text_sums,
    f"{schema.CROP_GROUP}/{schema.CROP_STEP}": partial(_of_index, 0),
    f"{schema.CROP_GROUP}/{schema.CROP_SUMS}": partial(_of_index, 1),
}
