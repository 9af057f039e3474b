"""Which files a store has, and which it should have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from mtfast.addresses import Address
from mtfast.atomic import PARTIAL
from mtfast.checking.findings import Finding, in_words
from mtfast.checking.listing import sizes_of
from mtfast.checking.metadata import file_of
from mtfast.errors import StoreError
from mtfast.store import schema
from mtfast.store.reading.chunks import is_sharded
from mtfast.store.reading.metadata import StoredArray, read_array
from mtfast.store.reading.root import StoreRoot
from mtfast.store.schema import replaced_path
from mtfast.work.bucket_state import FOLDER
from mtfast.work.folder_state import unfinished

__all__ = [
    "MOST_FILES",
    "Layout",
    "column_keys",
    "compare_files",
    "leftovers",
    "n_files",
    "read_layout",
    "sharded_keys",
]


MOST_FILES = 1 << 20
"""Files of an array that are listed, whatever a stranger's metadata promise."""


class Layout(NamedTuple):
    """The arrays of a store.

    Attributes
    ----------
    arrays : dict of str to StoredArray
        Key of each array that mtfast knows -> how it is stored.
    files : dict of str to str
        Each file that has to be there -> the group or array that it is of.
    opaque : tuple of str
        Keys of arrays in forms that convert does not write; what is in them is not looked at.
    findings : list of Finding
        Arrays that are not declared as they should be.
    """

    arrays: dict[str, StoredArray]
    files: dict[str, str]
    opaque: tuple[str, ...]
    findings: list[Finding]


def sharded_keys(root: StoreRoot, split: str) -> list[str]:
    """List the arrays of a split that are in shards.

    Parameters
    ----------
    root : StoreRoot
    split : str

    Returns
    -------
    list of str
    """
    keys = [schema.SEMANTIC]
    if root.attributes_of(split).get("images"):
        keys.append(schema.FILE)
    if f"{split}/{schema.CROP_GROUP}" in root.nodes:
        names = (schema.CROP_BITS, schema.CROP_DCS, schema.CROP_CHECKS)
        keys += [f"{schema.CROP_GROUP}/{name}" for name in names]
    return [f"{split}/{key}" for key in keys]


def column_keys(root: StoreRoot, split: str) -> list[str]:
    """List the plain arrays of a split.

    Parameters
    ----------
    root : StoreRoot
    split : str

    Returns
    -------
    list of str
    """
    has_images = bool(root.attributes_of(split).get("images"))
    columns = [name for name in schema.COLUMNS if has_images or name not in schema.FILE_COLUMNS]
    keys = [schema.NAME]
    keys += [f"{schema.COLUMN_GROUP}/{name}" for name in columns]
    keys += [f"instances/{name}" for name in schema.INSTANCES]
    keys += [f"variants/{name}" for name in schema.VARIANTS]
    if f"{split}/{schema.CROP_GROUP}" in root.nodes:
        keys += [f"{schema.CROP_GROUP}/{name}" for name in schema.CROP_INDEX]
    return [f"{split}/{key}" for key in keys]


def read_layout(root: StoreRoot) -> Layout:
    """Read how all arrays of a store are stored, and list its files.

    Parameters
    ----------
    root : StoreRoot

    Returns
    -------
    Layout
    """
    layout = Layout({}, {file_of(key): key for key in root.nodes}, (), [])
    opaque = [key for key, node in root.nodes.items() if node.get("node_type") == "array"]
    for split in root.splits:
        for key in column_keys(root, split) + sharded_keys(root, split):
            try:
                stored = read_array(root.files, key)
            except StoreError as error:
                where = {"split": split, "array": key}
                layout.findings.append(
                    Finding("damaged metadata", in_words(error, root.path), **where)
                )
                continue
            layout.arrays[key] = stored
            if is_sharded(stored) or (stored.has_whole_rows and not stored.inner):
                opaque.remove(key)
                for number in range(n_files(stored)):
                    layout.files[stored.file_name.format(number)] = key
    return layout._replace(opaque=tuple(opaque))


def n_files(stored: StoredArray) -> int:
    """Return how many chunks or shards an array has.

    Parameters
    ----------
    stored : StoredArray

    Returns
    -------
    int
    """
    return min(-(-stored.shape[0] // stored.chunk[0]), MOST_FILES)


def compare_files(folders: Sequence[Path | Address], layout: Layout) -> Iterator[Finding]:
    """Compare the files of a store with those that should be there.

    Parameters
    ----------
    folders : sequence of Path or Address
        Where its files are.
    layout : Layout

    Yields
    ------
    Finding
        Missing ``zarr.json`` are left to :mod:`mtfast.checking.metadata`.
    """
    there: dict[str, int | None] = {}
    for folder in folders:
        there |= sizes_of(folder, layout.files)
    for file, key in layout.files.items():
        if there.get(file) is None and file != file_of(key):
            words = f"{file} is not there"
            yield Finding("missing file", words, file, key.split("/")[0] or None, key or None)
    for file in sorted(there.keys() - layout.files.keys()):
        if PARTIAL in file or file.startswith(f"{FOLDER}/"):
            yield Finding("unfinished work", f"{file} is a part that was not finished")
        elif not file.startswith(tuple(f"{key}/" for key in layout.opaque)):
            yield Finding("foreign file", file)


def leftovers(path: Path | Address, ours: Path | None = None) -> Iterator[Finding]:
    """Look for what runs that were stopped have left beside a store.

    Parameters
    ----------
    path : Path or Address
    ours : Path, optional
        The content of a work folder that is no leftover.

    Yields
    ------
    Finding
    """
    if isinstance(path, Address):
        return
    for folder in unfinished(path):
        if ours is None or folder != ours.parent:
            yield Finding("unfinished work", f"{folder} is unfinished work on it")
    aside = replaced_path(path)
    if aside.exists():
        yield Finding("store put aside", f"{aside} is a store that was to be replaced")
