"""A store together with files that are to replace some of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mtfast.errors import StoreError
from mtfast.store.reading.files import LocalFile, LocalFiles

__all__ = ["OverlaidFiles"]


class OverlaidFiles:
    """The files of a store, some of them from another folder. See :class:`StoreFiles`.

    Parameters
    ----------
    root, above : Path
        The store, and the folder whose files count instead of the store's.
    marker, nodes
        As for :class:`mtfast.store.reading.files.LocalFiles`.
    """

    is_remote = keeps_files = False

    def __init__(
        self,
        root: Path,
        above: Path,
        marker: str = "zarr.json",
        nodes: Mapping[str, Any] | None = None,
    ) -> None:
        self.nodes = nodes
        self._below = LocalFiles(root, marker, nodes)
        self._above = LocalFiles(above, marker, nodes)

    def _files(self, key: str) -> LocalFiles:
        return self._above if self._above.exists(key) else self._below

    def where(self, key: str) -> str:
        """Return where a file or folder is in the store."""
        return self._below.where(key)

    def exists(self, key: str) -> bool:
        """Whether there is such a file."""
        return self._files(key).exists(key)

    def read(self, key: str) -> bytes:
        """Read a whole file; StoreError if it cannot be read."""
        return self._files(key).read(key)

    def soon(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Call a function."""
        function(*arguments)

    def open(self, key: str, tail: int = 0) -> LocalFile:
        """Open a file; an open one is returned again."""
        return self._files(key).open(key)

    def open_with_zarr(self, key: str) -> Any:
        """Refuse: zarr reads an array from one folder."""
        raise StoreError(
            f"{self.where(key)} is in a form that convert does not write; expected one that can be "
            f"made again file by file; convert the set again"
        )
