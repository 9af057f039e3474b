"""The folder of a new store, as zarr writes to it."""

from __future__ import annotations

from zarr.core.buffer import Buffer
from zarr.storage import LocalStore

__all__ = ["NewFolder"]


class NewFolder(LocalStore):
    """A folder that no other process writes to.

    zarr's own class needs hard links where it would not replace a file, which disks of memory cards
    and some networks do not have.

    Parameters
    ----------
    root : Path
    """

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        """Write a file unless it is there.

        Parameters
        ----------
        key : str
        value : Buffer
        """
        if not await self.exists(key):
            await self.set(key, value)
