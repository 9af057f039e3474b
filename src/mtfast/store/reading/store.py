"""Random access to a converted dataset, split by split."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from mtfast.addresses import Address, locate
from mtfast.arguments import as_integer
from mtfast.errors import MtfastError, StoreNameError, no_such
from mtfast.paths import local_path
from mtfast.remote.disk_cache import CacheOptions
from mtfast.splits import SplitMapping
from mtfast.store.reading.describe import describe
from mtfast.store.reading.root import StoreRoot, open_root
from mtfast.store.reading.split import Split

__all__ = ["Split", "Store", "open_store"]

DISK_CACHE_BYTES = 20 << 30
"""What a folder that keeps what was read may take, unless the user asks for another number."""


def open_store(
    path: str | os.PathLike[str] | Address,
    verify: bool = True,
    *,
    disk_cache: str | os.PathLike[str] | None = None,
    disk_cache_bytes: int = DISK_CACHE_BYTES,
) -> Store:
    """Open a converted dataset for random access.

    Parameters
    ----------
    path : path-like
        A store written by :func:`mtfast.convert`: its folder, or an address such as
        ``s3://bucket/set.zarr``, ``gs://…``, ``az://…`` or ``https://…``.
    verify : bool
        Whether checksums are compared of everything that is read. Without it damage can go
        unnoticed; reading is a few percent faster.
    disk_cache : path-like, optional
        A folder in which what was read from an address is kept, as it is stored. Any number of
        processes and stores may share it.
    disk_cache_bytes : int
        What the folder may take; what was used longest ago is removed.

    Returns
    -------
    Store
        ``store["train"]`` is a :class:`Split`. A store may be used from many threads, survives a
        fork, and pickles as its path.

    Raises
    ------
    StoreError
        If there is no store, it is incomplete, or its layout is not the one that is known.
    RemoteError
        If the storage at an address does not answer, or refuses.
    MtfastError
        If an address is of a kind that cannot be read, or ``disk_cache`` is given for a folder.

    Examples
    --------
    >>> train = mtfast.open("graphene.zarr")["train"]
    >>> train.semantic(3).shape
    (96, 128)

    Notes
    -----
    The layout is described in docs/FORMAT.md.
    """
    place = locate(path)
    if disk_cache is None:
        return Store(open_root(place, verify))
    if not isinstance(place, Address):
        raise MtfastError(
            f"disk_cache for {place}, which is on this machine; expected an address such as "
            f"s3://bucket/set.zarr; leave it out"
        )
    n_bytes = as_integer("disk_cache_bytes", disk_cache_bytes, 0)
    cache = CacheOptions(local_path(disk_cache).absolute(), n_bytes)
    return Store(open_root(place, verify, cache))


def _reopen(path: Path | Address, verify: bool, cache: CacheOptions | None) -> Store:
    return Store(open_root(path, verify, cache))


class Store(SplitMapping[Split]):
    """An opened dataset: a mapping of split names to splits. See :func:`mtfast.open`.

    ``store["train"]``, ``store.keys()``, ``store.items()`` and the rest are those of a dict. A name
    that it does not have raises a StoreError that is a KeyError.

    Attributes
    ----------
    path : Path or Address
        A path is absolute.
    attributes : dict
        Of the root group; docs/FORMAT.md names them.
    splits : tuple of str
        Names of the splits.

    Examples
    --------
    >>> store = mtfast.open("graphene.zarr")
    >>> store.splits, len(store["test"]), "val" in store
    (('train', 'test'), 4, False)
    """

    def __init__(self, root: StoreRoot) -> None:
        self.path: Path | Address = root.path
        self._opened_by = root.opened_by
        self.verify = root.verify
        self.attributes: dict[str, Any] = root.attributes
        self._splits = {name: Split(root, name) for name in root.splits}

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, self._opened_by

    def __repr__(self) -> str:
        splits = [f"\n  {name}: {describe(split)}" for name, split in self._splits.items()]
        return f"<mtfast store {self.path}{''.join(splits)}>"

    def _repr_html_(self) -> str:
        from mtfast.store.reading.notebook import store_html

        return store_html(self)

    def _split(self, name: str) -> Split:
        try:
            return self._splits[name]
        except KeyError:
            raise StoreNameError(no_such("split", name, self._splits, str(self.path))) from None

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits."""
        return tuple(self._splits)
