"""The root of a store, checked before anything else of it is read."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from mtfast.addresses import Address, locate
from mtfast.errors import StoreError, shown
from mtfast.paths import advice_for, is_name
from mtfast.remote import objects_at
from mtfast.remote.disk_cache import CacheOptions
from mtfast.store import schema
from mtfast.store.consolidated import CHECKSUM, metadata_checksum
from mtfast.store.reading.files import LocalFiles, StoreFiles
from mtfast.store.reading.metadata import read_nodes
from mtfast.store.reading.remote_files import RemoteFiles
from mtfast.work.bucket_state import is_unfinished, refusal_of_unfinished
from mtfast.work.folder_state import unfinished

__all__ = [
    "StoreRoot",
    "is_newer",
    "marker_of",
    "names_of_splits",
    "open_root",
    "read_root",
    "remote_files_of",
]

_FILE = "zarr.json"

Nodes = Mapping[str, Any]


@dataclass(frozen=True)
class StoreRoot:
    """A complete store of a layout that is known.

    Attributes
    ----------
    path : Path or Address
        A path is absolute.
    attributes : dict
        Of the root group; docs/FORMAT.md names them.
    splits : tuple of str
    shard : int
        Images in a shard.
    verify : bool
        Whether checksums are compared when something is read.
    nodes : dict
        Key of each group and array, "" for the root -> its metadata.
    files : StoreFiles
    cache : CacheOptions, optional
        Where what was read of a store elsewhere is kept.
    """

    path: Path | Address
    attributes: dict[str, Any] = field(repr=False)
    splits: tuple[str, ...]
    shard: int
    verify: bool
    nodes: dict[str, dict[str, Any]] = field(repr=False, compare=False)
    files: StoreFiles = field(repr=False, compare=False)

    cache: CacheOptions | None = None

    @property
    def opened_by(self) -> tuple[Path | Address, bool, CacheOptions | None]:
        """What another process opens it by, see :func:`open_root`."""
        return self.path, self.verify, self.cache

    def attributes_of(self, group: str) -> dict[str, Any]:
        """Return the attributes of a group.

        Parameters
        ----------
        group : str
            Its key.

        Returns
        -------
        dict
            Empty if there is no such group.
        """
        attributes: dict[str, Any] = self.nodes.get(group, {}).get("attributes", {})
        return attributes


def open_root(
    path: str | os.PathLike[str] | Address,
    verify: bool = True,
    cache: CacheOptions | None = None,
) -> StoreRoot:
    """Check the root of a store.

    Parameters
    ----------
    path : path-like or Address
    verify : bool
        Whether checksums are compared, here and when something is read.
    cache : CacheOptions, optional
        Where what was read of a store elsewhere is kept.

    Returns
    -------
    StoreRoot

    Raises
    ------
    StoreError
        If there is no store, it is incomplete or damaged, or its layout is another one.
    """
    place = locate(path)
    if isinstance(place, Address):
        return _open_remote(place, verify, cache)
    path = place.absolute()
    old = schema.replaced_path(path)
    if not path.is_dir():
        begun = next(iter(unfinished(path)), None)
        advice = f"run what began {begun} again" if begun else _next_step(path)
        raise StoreError(
            f"no store at {path}; expected a folder; {advice}"
            f"{f' (one that was to be replaced is {old})' if old.exists() else ''}"
        )
    return read_root(path, partial(LocalFiles, path), verify)


def _open_remote(address: Address, verify: bool, cache: CacheOptions | None) -> StoreRoot:
    if address.query:
        raise StoreError(
            f"{address} is a signed address of one file; expected that of a store, which has many; "
            f"give it without the query, and credentials"
        )
    try:
        return replace(read_root(address, remote_files_of(address, cache), verify), cache=cache)
    except StoreError as error:
        if is_unfinished(objects_at(address), _FILE):
            raise StoreError(refusal_of_unfinished(address)) from error
        raise


def remote_files_of(
    address: Address, cache: CacheOptions | None = None
) -> Callable[[str, Nodes | None], StoreFiles]:
    """Return what makes the files of a store elsewhere, for :func:`read_root`.

    Parameters
    ----------
    address : Address
    cache : CacheOptions, optional

    Returns
    -------
    callable
    """
    files = RemoteFiles(address, cache)
    return lambda _, nodes: files if nodes is None else files.known(nodes)


def _next_step(path: Path) -> str:
    """Say what to do where there is no folder."""
    if path.is_file():
        return f"if this file is of a dataset, run 'mtfast convert {path} STORE' first"
    return advice_for(path)


def read_root(
    path: Path | Address, files_of: Callable[[str, Nodes | None], StoreFiles], verify: bool
) -> StoreRoot:
    """Check the root of a store, wherever its files are.

    Parameters
    ----------
    path : Path or Address
        For messages.
    files_of : callable
        Called as (marker, nodes), as :class:`mtfast.store.reading.files.LocalFiles` has them.
    verify : bool

    Returns
    -------
    StoreRoot

    Raises
    ------
    StoreError
        As :func:`open_root`.
    """
    nodes = read_nodes(files_of(_FILE, None))
    attributes: dict[str, Any] = nodes[""].get("attributes", {})
    version = attributes.get("mtfast_format")
    if version is None:
        raise StoreError(
            f"{path} is a Zarr group that 'mtfast convert' did not write; expected a converted "
            f"dataset; convert it first (masks alone are read with zarr.open_group)"
        )
    if version != schema.FORMAT:
        raise StoreError(
            f"{path} has layout version {version}; expected {schema.FORMAT}; "
            f"{'update mtfast or ' if is_newer(version) else ''}convert the set again"
        )
    if attributes.get("complete") is not True:
        raise StoreError(
            f"{path} is incomplete, its conversion did not finish; expected a complete store; "
            f"convert again with overwrite=True{_old_store(path)}"
        )
    shard = attributes.get("shard")
    if not isinstance(shard, int) or not 1 <= shard <= schema.LARGEST_SHARD:
        raise StoreError(
            f"{path} is damaged: its attribute 'shard' is {shown(shard)}; expected a number of "
            f"images, up to {schema.LARGEST_SHARD}; run 'mtfast check' on the store"
        )
    splits = names_of_splits(path, attributes)
    if verify and attributes.get(CHECKSUM) != metadata_checksum(nodes):
        raise StoreError(
            f"the metadata of {path} are damaged: their checksum does not match; expected those "
            f"that were written; run 'mtfast check' on the store"
        )
    files = files_of(marker_of(splits), nodes)
    return StoreRoot(path, attributes, splits, shard, verify, nodes, files)


def _old_store(path: Path | Address) -> str:
    """Say where the store is that was to be replaced, if it is there."""
    old = None if isinstance(path, Address) else schema.replaced_path(path)
    return f" (the store it was to replace is {old})" if old is not None and old.exists() else ""


def marker_of(splits: Sequence[str]) -> str:
    """Return the key of a file that stays as long as the store does.

    The metadata of the root change when a crop index is added to a store that is in use.

    Parameters
    ----------
    splits : sequence of str

    Returns
    -------
    str
    """
    return f"{splits[0]}/{schema.NAME}/{_FILE}" if splits else _FILE


def is_newer(version: Any) -> bool:
    """Return whether a version of the layout is one that this release cannot know."""
    return isinstance(version, int) and version > schema.FORMAT


def names_of_splits(path: Path | Address, attributes: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the splits; a store from a stranger leads nowhere outside of it.

    Parameters
    ----------
    path : Path or Address
        Of the store, for the error.
    attributes : mapping
        Of its root.

    Returns
    -------
    tuple of str

    Raises
    ------
    StoreError
        If they are not a list of names of folders in it.
    """
    names = attributes.get("splits")
    if isinstance(names, list) and all(isinstance(name, str) and is_name(name) for name in names):
        return tuple(dict.fromkeys(names))
    raise StoreError(
        f"{path} is damaged: its attribute 'splits' is {shown(names)}; expected a list of names of "
        f"folders in it; run 'mtfast check' on the store"
    )
