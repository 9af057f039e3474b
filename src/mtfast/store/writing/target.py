"""Where a new store goes: a folder of this machine, or a prefix in object storage."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from typing import Any, Protocol

from mtfast.addresses import Address, locate
from mtfast.paths import target_path
from mtfast.store.writing.replace import FolderTarget
from mtfast.work.jobs import Work
from mtfast.work.records import Plan

__all__ = ["StoreTarget", "store_target"]


class StoreTarget(Protocol):
    """The place of a new store."""

    def refuse_existing(self, overwrite: bool) -> None:
        """Refuse before the work a place that is taken, or that cannot be written to.

        Parameters
        ----------
        overwrite : bool
            Whether a store may be replaced.

        Raises
        ------
        StoreError, RemoteError
        """

    def writing(self, plan: Plan, overwrite: bool) -> AbstractContextManager[Work[Any]]:
        """Fill the place, as the only run that does, and from where an earlier run was stopped.

        When the block ends without an error, what is in the content of the work and what its jobs
        have written is a complete store.

        Parameters
        ----------
        plan : Plan
        overwrite : bool
            Whether a store, or unfinished work with another plan, may be replaced.

        Returns
        -------
        context manager
            Of the work.

        Raises
        ------
        StoreError, RemoteError
            As :meth:`refuse_existing`; if another run is at work there; or if unfinished work has
            another plan.
        """


def store_target(path: str | os.PathLike[str] | Address) -> StoreTarget:
    """Return the place that a user has named.

    Parameters
    ----------
    path : path-like or Address

    Returns
    -------
    StoreTarget

    Raises
    ------
    MtfastError
        If nothing can be written there, whatever is there.
    """
    found = locate(path)
    if isinstance(found, Address):
        from mtfast.store.writing.bucket import BucketTarget

        return BucketTarget(found)
    return FolderTarget(target_path(found))
