"""What can be read of a split whose files may be damaged."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mtfast.checking.findings import Finding, in_words
from mtfast.checking.layout import MOST_FILES, Layout, column_keys, n_files, sharded_keys
from mtfast.errors import StoreError
from mtfast.store import schema
from mtfast.store.file_frames import CHECKSUM_BYTES, framed_bytes, sum_of
from mtfast.store.mask_grid import MaskGrid
from mtfast.store.reading.annotations import Annotations
from mtfast.store.reading.chunks import ShardedChunks, is_sharded
from mtfast.store.reading.columns import StoredColumn
from mtfast.store.reading.image_files import FileReader
from mtfast.store.reading.masks import MaskReader
from mtfast.store.reading.root import StoreRoot
from mtfast.store.reading.windows import WindowReader, has_crop_index

__all__ = ["SplitReaders", "lengths_stored", "open_split", "sum_stored"]

Reader = TypeVar("Reader")


@dataclass
class SplitReaders:
    """The readers of a split, None for those that what is damaged does not allow.

    Attributes
    ----------
    root : StoreRoot
    layout : Layout
    name : str
    n_images : int
    columns : dict
        Key of each column that is whole -> its values. A checksum or length of files that is in a
        damaged column is taken from the shards.
    chunks : dict
        Key of each array in shards -> its chunks.
    texts : Annotations or None
        Of which only texts are read; names and variants may be damaged.
    annotations : Annotations or None
    masks : MaskReader or None
    files : FileReader or None
    windows : WindowReader or None
        With a crop index only.
    findings : list of Finding
        Columns that are damaged.
    """

    root: StoreRoot
    layout: Layout
    name: str
    n_images: int
    columns: dict[str, NDArray[Any]] = field(default_factory=dict)
    chunks: dict[str, ShardedChunks] = field(default_factory=dict)
    texts: Annotations | None = None
    annotations: Annotations | None = None
    masks: MaskReader | None = None
    files: FileReader | None = None
    windows: WindowReader | None = None
    findings: list[Finding] = field(default_factory=list)

    def key(self, name: str) -> str:
        """Return the key of an array of the split."""
        return f"{self.name}/{name}"

    def column(self, name: str) -> NDArray[Any] | None:
        """Return one of the columns that have a value an image, if it is whole."""
        key = name if name == schema.NAME else f"{schema.COLUMN_GROUP}/{name}"
        return self.columns.get(self.key(key))

    def name_of(self, image: int) -> str:
        """Return what findings call an image: its name, or its number if names are damaged."""
        names = self.column(schema.NAME)
        return str(image) if names is None else str(names[image])

    def sizes(self) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
        """Return the heights and widths of the images, if both are whole."""
        heights, widths = self.column("height"), self.column("width")
        if heights is None or widths is None or min(heights.min(), widths.min()) < 1:
            return None
        return heights.astype(np.int64), widths.astype(np.int64)

    def size(self, image: int) -> tuple[int, int] | None:
        """Return the height and width of an image, if they are known."""
        found = self.sizes()
        return None if found is None else (int(found[0][image]), int(found[1][image]))

    def grid(self) -> MaskGrid | None:
        """Return the chunks of the masks, if mtfast wrote them."""
        chunks = self.chunks.get(self.key(schema.SEMANTIC))
        if chunks is None or len(chunks.chunk) != 2:
            return None
        _, height, width = chunks.shape
        return MaskGrid(height, width, (chunks.chunk[0], chunks.chunk[1]))


def open_split(root: StoreRoot, layout: Layout, name: str) -> SplitReaders:
    """Read the columns of a split, and open all of it that can be read.

    Parameters
    ----------
    root : StoreRoot
    layout : Layout
    name : str
        Of the split.

    Returns
    -------
    SplitReaders
    """
    split = SplitReaders(root, layout, name, _n_images(root, layout, name))
    for key in column_keys(root, name):
        # Texts are read image by image.
        if key in layout.arrays and key != split.key("instances/rle"):
            _read_column(split, key)
    for key in sharded_keys(root, name):
        stored = layout.arrays.get(key)
        if stored is not None and is_sharded(stored) and stored.shape[0] == split.n_images:
            split.chunks[key] = ShardedChunks(root.files, stored)
    _open_annotations(split)
    _open_masks(split)
    if root.attributes_of(name).get("images"):
        _open_files(split)
    return split


def _n_images(root: StoreRoot, layout: Layout, name: str) -> int:
    stated = root.attributes_of(name).get("n_images")
    if isinstance(stated, int) and stated >= 0:
        return min(stated, MOST_FILES * root.shard)
    masks = layout.arrays.get(f"{name}/{schema.SEMANTIC}")
    return masks.shape[0] if masks else 0


def _read_column(split: SplitReaders, key: str) -> None:
    """Read a column, and note what is wrong with it."""
    values = _values(split, key)
    if values is not None and _is_per_image(split, key) and len(values) != split.n_images:
        words = f"{key} has {len(values)} entries for {split.n_images} images"
        split.findings.append(Finding("contradicting tables", words, None, split.name, key))
    elif values is not None:
        split.columns[key] = values


def _values(split: SplitReaders, key: str) -> NDArray[Any] | None:
    """Read a column chunk by chunk; None if one is damaged."""
    stored = split.layout.arrays[key]
    column = StoredColumn(split.root.files, key)
    values, n = [], len(column)
    rows = stored.chunk[0] if stored.chunk else n
    whole = True
    for number in range(n_files(stored) if stored.chunk else 1):
        file = stored.file_name.format(number)
        try:
            values.append(column.read(number * rows, min((number + 1) * rows, n)))
        except StoreError as error:
            whole = False
            # One that is not there is a finding already.
            if split.root.files.exists(file) or key in split.layout.opaque:
                words = in_words(error, split.root.path)
                split.findings.append(Finding("damaged column", words, file, split.name, key))
    if not whole:
        return None
    return np.concatenate(values) if values else column.read()


def _is_per_image(split: SplitReaders, key: str) -> bool:
    group, _, name = key.removeprefix(f"{split.name}/").rpartition("/")
    return group in ("", schema.COLUMN_GROUP, schema.CROP_GROUP) or name == "rle_crc32c"


def _open(split: SplitReaders, opener: Callable[[], Reader], key: str) -> Reader | None:
    """Open a reader; what it needs is whole, so that an error is of columns that do not fit."""
    try:
        return opener()
    except StoreError as error:
        words = in_words(error, split.root.path)
        split.findings.append(Finding("contradicting tables", words, None, split.name, key))
        return None


def _open_annotations(split: SplitReaders) -> None:
    """Open the texts, for which the columns of instances are enough, and all variants."""
    groups = [f"{split.name}/instances/", f"{split.name}/variants/"]
    instances, variants = (
        {k for k in column_keys(split.root, split.name) if k.startswith(group)} for group in groups
    )
    names, sizes = split.column(schema.NAME), split.sizes()
    if not instances - {split.key("instances/rle")} <= split.columns.keys():
        return
    nothing = np.zeros(split.n_images, np.int64)
    known = nothing if names is None else names

    def of_texts() -> Annotations:
        # A chunk would be decoded again for each variant that is in it.
        opened = Annotations(
            split.root.files,
            split.name,
            known,
            sizes or (nothing, nothing),
            verify=True,
            held=split.columns,
        )
        for image in range(min(1, split.n_images)):
            opened.text_range(image)
        return opened

    def of_variants(opened: Annotations) -> Annotations:
        for variant in opened.variants:
            opened.labels_of(variant)
        return opened

    texts = split.texts = _open(split, of_texts, split.key("instances"))
    if texts and names is not None and sizes is not None and variants <= split.columns.keys():
        split.annotations = _open(split, lambda: of_variants(texts), split.key("variants"))


def _open_masks(split: SplitReaders) -> None:
    key = split.key(schema.SEMANTIC)
    sums = split.column("semantic_crc32c")
    if key not in split.layout.arrays:
        return
    if sums is None and key in split.chunks:
        sums = sum_stored(split.chunks[key], split.n_images)
    if sums is not None and len(sums) == split.n_images:
        files = split.root.files
        split.masks = _open(split, lambda: MaskReader(files, key, sums, verify=True), key)


def _open_files(split: SplitReaders) -> None:
    key = split.key(schema.FILE)
    chunks = split.chunks.get(key)
    sums, lengths = split.column("file_crc32c"), split.column("file_bytes")
    if key not in split.layout.arrays:
        return
    if chunks is not None:
        sums = sum_stored(chunks, split.n_images) if sums is None else sums
        lengths = lengths_stored(chunks, split.n_images) if lengths is None else lengths
    if sums is None or lengths is None:
        return
    opened = _open(split, lambda: FileReader(split.root.files, key, lengths, sums, True), key)
    split.files = opened
    group = split.key(schema.CROP_GROUP)
    whole = all(f"{group}/{name}" in split.columns for name in schema.CROP_INDEX)
    if opened is not None and whole and has_crop_index(split.root, split.name):
        split.windows = _open(
            split, lambda: WindowReader(split.root, split.name, opened, split.n_images), group
        )


def sum_stored(chunks: ShardedChunks, n_images: int) -> NDArray[np.uint32]:
    """Return the checksums of images as they are in the shards.

    Parameters
    ----------
    chunks : ShardedChunks
    n_images : int

    Returns
    -------
    (n_images,) uint32
        0 for images whose chunks cannot be found.
    """
    sums = np.zeros(n_images, np.uint32)
    for image, places in _places(chunks, n_images):
        ends = [
            file.read(start + length - CHECKSUM_BYTES, CHECKSUM_BYTES)
            for file, start, length in places
        ]
        sums[image] = sum_of(ends)
    return sums


def lengths_stored(chunks: ShardedChunks, n_images: int) -> NDArray[np.int64]:
    """Return the lengths of image files as their frames in the shards have them.

    Parameters
    ----------
    chunks : ShardedChunks
    n_images : int

    Returns
    -------
    (n_images,) int64
        At least 1.
    """
    lengths = np.ones(n_images, np.int64)
    for image, places in _places(chunks, n_images):
        lengths[image] = sum(framed_bytes(file.read(at, n)) for file, at, n in places)
    return np.maximum(lengths, 1)


def _places(chunks: ShardedChunks, n_images: int) -> Iterator[tuple[int, list[Any]]]:
    """Find the chunks that each image has; images of damaged shards are left out."""
    for image in range(n_images):
        shard, slot = divmod(image, chunks.slots)
        try:
            there = np.flatnonzero(chunks.presence(shard)[slot]).tolist()
            places = [chunks.place(image, chunk) for chunk in there]
        except StoreError:
            continue
        if places:
            yield image, places
