"""Which files a store has, in a folder or at an address."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mtfast.addresses import WEB, Address
from mtfast.errors import StoreError
from mtfast.parallel import map_threads
from mtfast.remote import objects_at
from mtfast.store.reading.metadata import read_nodes
from mtfast.store.reading.remote_files import N_REQUESTS, RemoteFiles

__all__ = ["list_files", "metadata_keys", "sizes_of"]

_FILE = "zarr.json"


def list_files(place: Path | Address) -> dict[str, int | None] | None:
    """List all files of a store.

    Parameters
    ----------
    place : Path or Address
        Of a store, or a folder with parts of one.

    Returns
    -------
    dict or None
        Path below it -> number of bytes; None for what is no regular file. None of a web server,
        which has no list.
    """
    if isinstance(place, Address):
        if place.scheme in WEB:
            return None
        return {key: stat.n_bytes for key, stat in objects_at(place).walk()}
    return {
        file.relative_to(place).as_posix(): file.stat().st_size if file.is_file() else None
        for file in place.rglob("*")
        if file.is_symlink() or not file.is_dir()
    }


def sizes_of(place: Path | Address, expected: Iterable[str]) -> dict[str, int | None]:
    """List all files of a store; on a web server, those that are asked for.

    Parameters
    ----------
    place : Path or Address
    expected : iterable of str
        Their paths below it.

    Returns
    -------
    dict
        As from :func:`list_files`.
    """
    found = list_files(place)
    if found is not None or not isinstance(place, Address):
        return found or {}
    objects = objects_at(place)

    def size(key: str) -> int | None:
        try:
            return objects.stat(key).n_bytes
        except FileNotFoundError:
            return None

    keys = list(expected)
    sizes = zip(keys, map_threads(size, keys, N_REQUESTS), strict=True)
    return {key: n_bytes for key, n_bytes in sizes if n_bytes is not None}


def metadata_keys(place: Path | Address) -> list[str]:
    """List the groups and arrays that have a ``zarr.json``; a work folder may be among them.

    Parameters
    ----------
    place : Path or Address

    Returns
    -------
    list of str
        "" for the root. On a web server those that the root names.
    """
    files = list_files(place)
    if files is None and isinstance(place, Address):
        try:
            return list(read_nodes(RemoteFiles(place)))
        except StoreError:
            return [""]
    names = [file for file in files or () if file.rpartition("/")[2] == _FILE]
    return [name.rpartition("/")[0] for name in names]
