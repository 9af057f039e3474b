"""An open file of this machine, of which any number of threads read ranges."""

from __future__ import annotations

import os
from threading import Lock

from mtfast.paths import open_regular

__all__ = ["RegularFile"]


class RegularFile:
    """An open file, which closes itself; forked children read it as well.

    Parameters
    ----------
    path : str or path-like

    Attributes
    ----------
    descriptor : int
    status : os.stat_result
        As it was when the file was opened.

    Raises
    ------
    OSError
        If it cannot be opened, or is no regular file.
    """

    __slots__ = ("_turn", "descriptor", "status")

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.descriptor = -1
        # Windows has no pread: threads take turns at the place in the file.
        self._turn = None if hasattr(os, "pread") else Lock()
        self.descriptor = open_regular(path)
        self.status = os.fstat(self.descriptor)

    def __del__(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)

    def read(self, start: int, length: int) -> bytes:
        """Read a range.

        Parameters
        ----------
        start, length : int
            In bytes.

        Returns
        -------
        bytes
            All of it, or what there is before the file ends.

        Raises
        ------
        OSError
            If it cannot be read.
        """
        data = self._read_at(start, length)
        while len(data) < length:
            # The system hands out 2 GiB at most.
            more = self._read_at(start + len(data), length - len(data))
            if not more:
                break
            data += more
        return data

    def _read_at(self, start: int, length: int) -> bytes:
        if self._turn is None:
            return os.pread(self.descriptor, length, start)
        with self._turn:
            os.lseek(self.descriptor, start, os.SEEK_SET)
            return os.read(self.descriptor, length)
