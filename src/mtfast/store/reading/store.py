"""Random access to a converted dataset, split by split."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from mtfast.errors import StoreNameError, no_such
from mtfast.splits import SplitMapping
from mtfast.store.reading.describe import describe
from mtfast.store.reading.root import StoreRoot, open_root
from mtfast.store.reading.split import Split

__all__ = ["Split", "Store", "open_store"]


def open_store(path: str | os.PathLike[str], verify: bool = True) -> Store:
    """Open a converted dataset for random access.

    Parameters
    ----------
    path : path-like
        A store written by :func:`mtfast.convert`.
    verify : bool
        Whether checksums are compared of everything that is read. Without it damage can go
        unnoticed; reading is a few percent faster.

    Returns
    -------
    Store
        ``store["train"]`` is a :class:`Split`. A store may be used from many threads, survives a
        fork, and pickles as its path.

    Raises
    ------
    StoreError
        If there is no store, it is incomplete, or its layout is not the one that is known.
    MtfastError
        If ``path`` is an address such as ``s3://bucket/set.zarr``.

    Examples
    --------
    >>> train = mtfast.open("graphene.zarr")["train"]
    >>> train.semantic(3).shape
    (96, 128)

    Notes
    -----
    The layout is described in docs/FORMAT.md.
    """
    return Store(open_root(path, verify))


class Store(SplitMapping[Split]):
    """An opened dataset: a mapping of split names to splits. See :func:`mtfast.open`.

    ``store["train"]``, ``store.keys()``, ``store.items()`` and the rest are those of a dict. A name
    that it does not have raises a StoreError that is a KeyError.

    Attributes
    ----------
    path : Path
        Absolute.
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
        self.path: Path = root.path
        self.verify = root.verify
        self.attributes: dict[str, Any] = root.attributes
        self._splits = {name: Split(root, name) for name in root.splits}

    def __reduce__(self) -> tuple[Any, ...]:
        return open_store, (self.path, self.verify)

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
