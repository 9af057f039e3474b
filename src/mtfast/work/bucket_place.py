"""Where jobs of a run write objects."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from tempfile import TemporaryFile
from typing import BinaryIO

import msgspec

from mtfast.addresses import Address
from mtfast.remote import Objects, Stat, objects_at
from mtfast.work.bucket_state import RUN, Run, not_alone
from mtfast.work.records import DAMAGED, FileSum, Made, record_of

__all__ = ["BucketPlace", "opened"]

# Up to this a shard is made in memory and sent with one request, which may have a condition. Images
# of 1.2 MB make shards of 77 MB.
_IN_MEMORY = 256 << 20
# Others write to the same key between a look at it and a write to it: a dead run does so once.
_TRIES = 4


@dataclass(frozen=True)
class BucketPlace:
    """Where jobs of a run write objects: at their final keys. See :class:`mtfast.work.jobs.Place`.

    Attributes
    ----------
    address : Address
        Of what is made.
    at_work : Run
        The run that the jobs are of.
    """

    address: Address
    at_work: Run

    @property
    def objects(self) -> Objects:
        """The storage, opened once for a run in each process."""
        return opened(self.address, self.at_work.run)

    def write(self, key: str, parts: Iterable[bytes | memoryview]) -> FileSum:
        """Write an object with one request, or beyond 256 MiB in parts, from a temporary file."""
        with _gathered(parts) as (data, found):
            self.expect_turn()
            return self.put(key, data, found)

    def put(self, key: str, data: bytes | BinaryIO, found: FileSum) -> FileSum:
        """Write an object, unless it is there with the same bytes.

        Parameters
        ----------
        key : str
        data : bytes or file
        found : FileSum
            Of the data.

        Returns
        -------
        FileSum
            With the stamp of the object.

        Raises
        ------
        StoreError
            If another run has begun meanwhile.
        RemoteError
        """
        if not isinstance(data, bytes):
            # Storage takes no condition for what is sent in parts.
            return found._replace(stamp=self.objects.write(key, data).stamp)
        for _ in range(_TRIES):
            with suppress(FileExistsError):
                return found._replace(stamp=self.objects.write(key, data, new=True).stamp)
            # By a dead run, or by a request of ours of which the answer was lost.
            with suppress(FileNotFoundError, FileExistsError):
                there = self.objects.stat(key)
                if self.has(key, found, there):
                    return found._replace(stamp=there.stamp)
                self.expect_turn()
                made = self.objects.write(key, data, over=there.stamp)
                return found._replace(stamp=made.stamp)
        raise not_alone(self.address)

    def has(self, key: str, wanted: FileSum, there: Stat) -> bool:
        """Whether an object has these bytes; it is read for that.

        Parameters
        ----------
        key : str
        wanted : FileSum
        there : Stat
            Of the object.

        Returns
        -------
        bool
        """
        if there.n_bytes != wanted.n_bytes:
            return False
        return FileSum.of(self.objects.read(key))[:2] == wanted[:2]

    def has_turn(self) -> bool:
        """Whether no other run has begun since, and this one has not ended."""
        try:
            now = msgspec.json.decode(self.objects.read(RUN), type=Run)
        except (FileNotFoundError, *DAMAGED):
            return False
        return now.run == self.at_work.run

    def expect_turn(self) -> None:
        """Raise StoreError if another run has begun since, or this one has ended."""
        if not self.has_turn():
            raise not_alone(self.address)

    def expect_here(self) -> None:
        """Do nothing: an address is the same everywhere."""

    def recover(self, files: Mapping[str, FileSum]) -> bool:
        """Take over objects: jobs of which some have changed were left out when the run began."""
        return True

    def note(self, key: str, made: Made) -> None:
        """Record a job: nothing of it is lost if only the process that has started it dies."""
        self.objects.write(f"{self.at_work.folder}/done/{key}", record_of(key, made))


@lru_cache(4)
def opened(address: Address, run: str) -> Objects:
    """Open a storage, once for a run in each process.

    Parameters
    ----------
    address : Address
    run : str
        Its token.

    Returns
    -------
    Objects
    """
    return objects_at(address)


@contextmanager
def _gathered(parts: Iterable[bytes | memoryview]) -> Iterator[tuple[bytes | BinaryIO, FileSum]]:
    """Make a file of its parts: in memory, or if it is long in a temporary file."""
    found = FileSum(0, 0)
    memory = BytesIO()
    rest = iter(parts)
    for part in rest:
        memory.write(part)
        found = found.then(part)
        if found.n_bytes > _IN_MEMORY:
            break
    else:
        # Shares the memory.
        yield memory.getvalue(), found
        return
    with TemporaryFile(prefix="mtfast-") as file:
        file.write(memory.getbuffer())
        memory = BytesIO()
        for part in rest:
            file.write(part)
            found = found.then(part)
        file.seek(0)
        yield file, found
