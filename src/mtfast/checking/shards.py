"""The images of a shard: their texts, masks and files, against checksums and each other."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtfast.checking.findings import Finding, in_words
from mtfast.checking.readers import SplitReaders
from mtfast.errors import MtfastError, StoreError
from mtfast.image_files import ImageHeader, read_header, shown_size
from mtfast.jpeg.checks import checked, n_checked, sums_before
from mtfast.jpeg.index import CropIndex, build_index
from mtfast.painting.paint import semantic
from mtfast.store import schema
from mtfast.store.reading.chunks import ShardedChunks
from mtfast.store.shard import Shard
from mtfast.store.writing.crop_index import encode_index
from mtfast.table import RunTable

__all__ = ["ShardJob", "check_shard"]


class ShardJob(NamedTuple):
    """A shard of every array of a split that is in shards."""

    split: SplitReaders
    shard: Shard


def check_shard(job: ShardJob) -> list[Finding]:
    """Check the images of a shard.

    Parameters
    ----------
    job : ShardJob

    Returns
    -------
    list of Finding
    """
    split, shard = job
    # Where an index is damaged nothing else of that shard can be said.
    closed = {key: list(_check_presence(split, key, shard)) for key in split.chunks}
    found = [finding for several in closed.values() for finding in several]
    open_keys = {key for key, several in closed.items() if not several}
    for image in range(shard.start, shard.stop):
        found += _check_texts(split, image)
        found += _check_mask(split, image, open_keys)
        found += _check_file(split, image, open_keys)
    return found


def _check_presence(split: SplitReaders, key: str, shard: Shard) -> Iterator[Finding]:
    """Check the index of a shard, and that it has the chunks which its images need."""
    chunks = split.chunks[key]
    where = _place(split, key, shard.start)
    if not split.root.files.exists(where["file"]):
        # It is a finding already; nothing of it is read.
        yield from ()
        return
    try:
        there = chunks.presence(shard.number)
    except StoreError as error:
        yield Finding("damaged shard", in_words(error, split.root.path), **where)
        return
    needed = _needed(split, key, shard)
    if needed is not None and not np.array_equal(there, needed):
        n = int(np.count_nonzero(there != needed))
        yield Finding("damaged shard", f"{where['file']} has {n} chunks too few or many", **where)


def _needed(split: SplitReaders, key: str, shard: Shard) -> NDArray[np.bool_] | None:
    """Return which chunks a shard should have, if the sizes of its images are known."""
    chunks = split.chunks[key]
    images = range(shard.start, shard.stop)
    needed = np.zeros((chunks.slots, chunks.n_chunks), bool)
    grid, lengths = split.grid(), split.column("file_bytes")
    for slot, image in enumerate(images):
        if key == split.key(schema.SEMANTIC):
            size = split.size(image)
            if size is None or grid is None:
                return None
            needed[slot] = [window is not None for window in grid.windows(*size)]
        elif key == split.key(schema.FILE):
            if lengths is None:
                return None
            needed[slot, : -(-int(lengths[image]) // chunks.chunk[0])] = True
        else:
            needed[slot] = True
    return needed


def _place(split: SplitReaders, key: str, image: int) -> dict[str, Any]:
    """Return where something of an image is, for a finding."""
    stored = split.layout.arrays[key]
    number = image // split.root.shard
    return {"file": stored.file_name.format(number), "split": split.name, "array": key}


def _check_texts(split: SplitReaders, image: int) -> Iterator[Finding]:
    """Check the RLE of all instances of an image: their checksum, and that each fills its frame."""
    if split.texts is None:
        return
    key, size = split.key("instances/rle"), split.size(image)
    where = {"split": split.name, "array": key, "image": split.name_of(image)}
    try:
        text, offsets = split.texts.texts_of(image)
    except StoreError as error:
        for file in _files_of_texts(split, *split.texts.text_range(image)):
            if split.root.files.exists(file):
                yield Finding("damaged RLE", in_words(error, split.root.path), file, **where)
        return
    texts = [text[a:b] for a, b in pairwise(offsets.tolist())]
    try:
        if size is not None:
            RunTable.of_texts(size, [texts]).area()
    except MtfastError as error:
        yield Finding("contradicting tables", in_words(error, split.root.path), None, **where)


def _files_of_texts(split: SplitReaders, start: int, stop: int) -> list[str]:
    stored = split.layout.arrays[split.key("instances/rle")]
    chunk = stored.chunk[0] if stored.chunk else stop + 1
    return [
        stored.file_name.format(number)
        for number in range(start // chunk, max(stop - 1, start) // chunk + 1)
    ]


def _check_mask(split: SplitReaders, image: int, open_keys: set[str]) -> Iterator[Finding]:
    key = split.key(schema.SEMANTIC)
    size = split.size(image)
    where = _place(split, key, image) | {"image": split.name_of(image)}
    if not _can_read(split, key, image, open_keys):
        return
    try:
        if split.masks is None or size is None:
            _check_chunks(split.chunks.get(key), image)
            return
        found = split.masks.read(image, size)
    except StoreError as error:
        yield Finding("damaged mask", in_words(error, split.root.path), **where)
        return
    expected = _painted(split, image, found)
    if expected is not None and not np.array_equal(found, expected):
        n = int(np.count_nonzero(found != expected))
        words = f"the mask of {split.name_of(image)} differs from its RLE in {n} pixels"
        yield Finding("mask unlike its RLE", words, **where | {"file": None})


def _can_read(split: SplitReaders, key: str, image: int, open_keys: set[str]) -> bool:
    if key not in split.layout.arrays:
        return False
    if key not in split.chunks:
        return key in split.layout.opaque
    return key in open_keys and split.root.files.exists(_place(split, key, image)["file"])


def _check_chunks(chunks: ShardedChunks | None, image: int) -> None:
    """Raise StoreError unless the chunks that an image has are whole."""
    if chunks is not None:
        shard, slot = divmod(image, chunks.slots)
        for chunk in np.flatnonzero(chunks.presence(shard)[slot]).tolist():
            chunks.read(image, chunk)


def _painted(split: SplitReaders, image: int, like: NDArray[Any]) -> NDArray[Any] | None:
    """Paint the mask of an image from its RLE; None if that is not whole."""
    variant = split.root.attributes_of(split.name).get("semantic_variant")
    if split.annotations is None or variant not in split.annotations.variants:
        return None
    mask = np.zeros_like(like)
    try:
        if split.annotations.lists(image, variant):
            semantic(split.annotations.of_image(image, variant), out=mask[None])
    except MtfastError:
        # It is a finding of the texts.
        return None
    return mask


def _check_file(split: SplitReaders, image: int, open_keys: set[str]) -> Iterator[Finding]:
    key = split.key(schema.FILE)
    if not _can_read(split, key, image, open_keys):
        yield from _check_entries(split, image, None, open_keys)
        return
    where = _place(split, key, image) | {"image": split.name_of(image)}
    data = None
    try:
        if split.files is None:
            _check_chunks(split.chunks.get(key), image)
        else:
            data = split.files.read(image)
    except StoreError as error:
        yield Finding("damaged image file", in_words(error, split.root.path), **where)
    if data is not None and (words := _differs(split, image, data)):
        words = f"{split.name_of(image)} {words}"
        yield Finding("image file unlike its columns", words, **where | {"file": None})
    yield from _check_entries(split, image, data, open_keys)


def _differs(split: SplitReaders, image: int, data: bytes) -> str:
    """Say what in the header of a file is not as the columns have it."""
    try:
        header = read_header(data)
    except MtfastError as error:
        return f"is {error}"
    kinds, orientations = split.column("kind"), split.column("orientation")
    if kinds is not None and kinds[image] != header.kind:
        return f"is a {header.kind} file; its column says {kinds[image]}"
    if orientations is None:
        return ""
    return _turned_differently(header, int(orientations[image]), split.size(image))


def _turned_differently(header: ImageHeader, orientation: int, size: tuple[int, int] | None) -> str:
    if orientation not in (1, header.orientation):
        return f"has the EXIF orientation {header.orientation}; its column says {orientation}"
    shown = shown_size(header.height, header.width, orientation)
    if size not in (None, shown):
        return f"has {shown[0]} x {shown[1]} pixels; its columns say {size}"
    return ""


def _check_entries(
    split: SplitReaders, image: int, data: bytes | None, open_keys: set[str]
) -> Iterator[Finding]:
    """Check the crop index of an image against its file, if that is whole."""
    arrays = [f"{schema.CROP_GROUP}/{n}" for n in _CROP_ARRAYS]
    keys = [key for name in arrays if (key := split.key(name)) in split.chunks]
    readable = [key for key in keys if _can_read(split, key, image, open_keys)]
    broken = False
    for key in readable:
        try:
            _check_chunks(split.chunks[key], image)
        except StoreError as error:
            where = _place(split, key, image) | {"image": split.name_of(image)}
            yield Finding("damaged crop index", in_words(error, split.root.path), **where)
            broken = True
    if broken or split.windows is None or len(readable) != len(_CROP_ARRAYS):
        return
    try:
        index = split.windows.entries(image)
    except StoreError as error:
        # Which of them is another image's is not known.
        for key in readable:
            where = _place(split, key, image) | {"image": split.name_of(image)}
            yield Finding("damaged crop index", in_words(error, split.root.path), **where)
        return
    size = split.size(image)
    if data is not None and size is not None and not _is_index_of(index, data, size):
        words = f"the crop index of {split.name_of(image)} is not that of its file"
        where = {"split": split.name, "array": split.key(schema.CROP_GROUP)}
        yield Finding(
            "crop index unlike its image", words, None, **where, image=split.name_of(image)
        )


_CROP_ARRAYS = (schema.CROP_BITS, schema.CROP_DCS, schema.CROP_CHECKS)


def _is_index_of(index: CropIndex, data: bytes, size: tuple[int, int]) -> bool:
    """Return whether a scan of a file finds the entries of its index, and nothing follows them."""
    capacity = index.positions.size
    if not index.step:
        return not encode_index(data, size, capacity)[0] and not index.positions.any()
    try:
        found = build_index(data, index.step)
    except MtfastError:
        return False
    n = found.positions.size
    if n > capacity or index.sums is None:
        return False
    positions = found.positions[checked(np.arange(n_checked(n)), n)]
    return bool(
        np.array_equal(index.positions[:n], found.positions)
        and np.all(index.positions[n:] == found.positions[-1])
        and np.array_equal(index.dcs[:, :n], found.dcs)
        and np.array_equal(index.sums[: positions.size], sums_before(data, positions))
        and not np.any(index.dcs[:, n:])
        and not np.any(index.sums[positions.size :])
    )
