"""Objects of one place, read and written by key: what all kinds of storage have in common."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from typing import BinaryIO, NamedTuple, Protocol

from mtfast.addresses import BUCKETS, WEB, Address
from mtfast.errors import MtfastError

__all__ = ["Objects", "Stat", "objects_at"]


class Stat(NamedTuple):
    """What is known of an object without reading it.

    Attributes
    ----------
    n_bytes : int
    stamp : str
        What changes when the object is replaced by another.
    """

    n_bytes: int
    stamp: str


class Objects(Protocol):
    """The objects below an address. Keys are paths below it, with "/" between folders.

    It pickles, and works in every thread and in forked processes. Requests that fail are tried
    again for a bounded time. All methods raise RemoteError, in one line, if the storage does not
    answer, refuses, or sends something else than was asked for.
    """

    address: Address

    def stat(self, key: str) -> Stat:
        """Look at an object.

        Parameters
        ----------
        key : str
            "" for the object that the address itself names.

        Returns
        -------
        Stat

        Raises
        ------
        FileNotFoundError
            If there is no such object.
        """

    def read(self, key: str) -> bytes:
        """Read an object whole.

        Parameters
        ----------
        key : str

        Returns
        -------
        bytes

        Raises
        ------
        FileNotFoundError
            If there is no such object.
        """

    def read_range(self, key: str, start: int, length: int) -> bytes:
        """Read a range of an object with one request.

        Parameters
        ----------
        key : str
        start, length : int
            In bytes.

        Returns
        -------
        bytes
            All of the range.

        Raises
        ------
        FileNotFoundError
            If there is no such object.
        RemoteError
            If it ends sooner.
        """

    def read_part(
        self, key: str, start: int | None = None, length: int | None = None
    ) -> tuple[bytes, Stat]:
        """Read an object, a range of it or its end, and learn what object it is of.

        Parameters
        ----------
        key : str
        start : int, optional
            In bytes; by default the range is at the end.
        length : int, optional
            In bytes; by default all of the object.

        Returns
        -------
        data : bytes
            All of the range; all of the object where the end is asked for and it is not as long.
        stat : Stat
            As the answer to this request has it. The stamp is "" where a server says nothing.

        Raises
        ------
        FileNotFoundError, RemoteError
            As :meth:`read_range`.
        """

    def read_ranges(self, key: str, starts: Sequence[int], lengths: Sequence[int]) -> list[bytes]:
        """Read ranges of an object, neighbouring ones with one request, others side by side.

        Parameters
        ----------
        key : str
        starts, lengths : sequence of int
            In bytes.

        Returns
        -------
        list of bytes
            All of each range.

        Raises
        ------
        FileNotFoundError, RemoteError
            As :meth:`read_range`.
        """

    def list(self, key: str = "") -> tuple[list[tuple[str, Stat]], list[str]]:
        """List what is in a folder, without what is in its folders.

        Parameters
        ----------
        key : str

        Returns
        -------
        objects : list of (name, Stat)
        folders : list of str
            Names; both are empty if there is no such folder.
        """

    def walk(self, key: str = "") -> Iterator[tuple[str, Stat]]:
        """Iterate over all objects below a folder.

        Parameters
        ----------
        key : str

        Yields
        ------
        key, Stat
        """

    def write(
        self, key: str, data: bytes | BinaryIO, *, new: bool = False, over: str | None = None
    ) -> Stat:
        """Write an object, whole or not at all.

        Parameters
        ----------
        key : str
        data : bytes, or a file that is open for reading
            A file is sent in parts, for which there are no conditions.
        new : bool
            Refuse to replace one, by a conditional request.
        over : str, optional
            Replace the object with this stamp and no other, by a conditional request.

        Returns
        -------
        Stat

        Raises
        ------
        FileExistsError
            With ``new``, if it is there; with ``over``, if it is another one by now.
        FileNotFoundError
            With ``over``, if it is not there.
        """

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects; those that are not there are none.

        Parameters
        ----------
        keys : sequence of str
        """


def objects_at(address: Address) -> Objects:
    """Open the storage at an address; nothing is requested yet.

    Parameters
    ----------
    address : Address

    Returns
    -------
    Objects

    Raises
    ------
    MtfastError
        If nothing reads such a scheme, or what does is not installed.
    """
    if address.scheme in (*BUCKETS, *WEB):
        _expect("obstore", address)
        from mtfast.remote.buckets import BucketObjects

        return BucketObjects(address)
    from mtfast.remote.other import OtherObjects, is_known

    if is_known(address.scheme):
        return OtherObjects(address)
    raise MtfastError(
        f"{address} begins with {address.scheme}://; expected a path, or an address with one of "
        f"{', '.join(f'{scheme}://' for scheme in (*WEB, *BUCKETS))}; copy or mount the data"
    )


def _expect(package: str, address: Address) -> None:
    if find_spec(package) is None:
        raise MtfastError(
            f"{address} is an address, but no {package!r}; expected it to be installed; run: pip "
            f"install 'mtfast[remote]'"
        )
