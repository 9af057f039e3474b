"""What is written down of long work: its plan, and what each job that is done has made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import google_crc32c
import msgspec
import numpy as np

from mtfast.version import installed_version

__all__ = [
    "DAMAGED",
    "FileSum",
    "Made",
    "Plan",
    "difference",
    "first_that_differs",
    "plan_of",
    "read_record",
    "record_of",
]

DAMAGED = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for bytes that are not what they should be."""


class FileSum(NamedTuple):
    """What tells whether a file is still as it was written.

    Attributes
    ----------
    n_bytes : int
    crc32c : int
        Of its bytes.
    stamp : str
        What object storage calls this version of it; "" for a file on a disk.
    """

    n_bytes: int
    crc32c: int
    stamp: str = ""

    @classmethod
    def of(cls, data: bytes) -> FileSum:
        """Return that of a file with these bytes.

        Parameters
        ----------
        data : bytes

        Returns
        -------
        FileSum

        Examples
        --------
        >>> FileSum.of(b"123456789")
        FileSum(n_bytes=9, crc32c=3808858755, stamp='')
        """
        return cls(len(data), google_crc32c.value(data))

    def then(self, part: bytes | memoryview) -> FileSum:
        """Return that of a file which goes on with these bytes.

        Parameters
        ----------
        part : bytes or memoryview

        Returns
        -------
        FileSum

        Examples
        --------
        >>> FileSum.of(b"1234").then(memoryview(b"56789")) == FileSum.of(b"123456789")
        True
        """
        # Of views, google_crc32c reads those of numpy.
        crc = google_crc32c.extend(self.crc32c, np.frombuffer(part, np.uint8))
        return FileSum(self.n_bytes + len(part), int(crc))


class Made(NamedTuple):
    """What a job has made.

    Attributes
    ----------
    result : object
        Of JSON types.
    files : dict of str to FileSum
        The files that it wrote, by their keys: their paths in what is made, with "/".
    was_there : bool
        Whether an earlier run had made them.
    """

    result: Any
    files: dict[str, FileSum]
    was_there: bool = False


class Plan(msgspec.Struct, frozen=True):
    """What a run makes, and from what. Values are of JSON types.

    Attributes
    ----------
    command : str
        Such as "convert".
    options : dict
        Those that decide what is written; not workers and the like.
    inputs : dict
        File or other name -> what changes when its content does.
    version : str
        Of mtfast.
    advised : tuple of str
        Options that its error has advised to change: with others all begins again.
    """

    command: str
    options: dict[str, Any]
    inputs: dict[str, Any]
    version: str = msgspec.field(default_factory=installed_version)
    advised: tuple[str, ...] = ()


_Job = tuple[str, Any, dict[str, FileSum]]


class _Record(msgspec.Struct):
    """A job that is done; ``crc32c`` is that of the text of ``job``: key, result and files."""

    crc32c: int
    job: msgspec.Raw


def record_of(key: str, made: Made) -> bytes:
    """Return the record of a job that is done: JSON, on one line.

    Parameters
    ----------
    key : str
        Of the job.
    made : Made

    Returns
    -------
    bytes
    """
    job = msgspec.json.encode([key, made.result, made.files])
    return msgspec.json.encode(_Record(google_crc32c.value(job), msgspec.Raw(job)))


def read_record(text: bytes) -> tuple[str, Made] | None:
    """Read the record of a job.

    Parameters
    ----------
    text : bytes

    Returns
    -------
    (key, Made) or None
        None if it is damaged or was cut short.

    Examples
    --------
    >>> key, made = read_record(record_of("train/0", Made(4, {"a": FileSum(1, 2)})))
    >>> key, made.result, list(made.files)
    ('train/0', 4, ['a'])
    """
    try:
        record = msgspec.json.decode(text, type=_Record)
        if google_crc32c.value(bytes(record.job)) != record.crc32c:
            return None
        key, result, files = msgspec.json.decode(record.job, type=_Job)
    except DAMAGED:
        return None
    return key, Made(result, files)


def plan_of(text: bytes) -> Plan | None:
    """Read a plan; one that is damaged or was cut short is none.

    Parameters
    ----------
    text : bytes
        JSON.

    Returns
    -------
    Plan or None
    """
    try:
        return msgspec.json.decode(text, type=Plan)
    except DAMAGED:
        return None


def difference(there: Plan, wanted: Plan) -> str:
    """Say what in a plan is not as in another one.

    Parameters
    ----------
    there : Plan
        Of the unfinished work, as it was read.
    wanted : Plan
        Of this run, as it is read.

    Returns
    -------
    str
        Such as "with shard 64, not 32"; nothing if they are equal.

    Examples
    --------
    >>> difference(Plan("convert", {"shard": 64}, {}), Plan("convert", {"shard": 32}, {}))
    'with shard 64, not 32'
    """
    if there.command != wanted.command:
        return f"by mtfast {there.command}"
    if there.version != wanted.version:
        return f"by version {there.version}, not {wanted.version}"
    if name := first_that_differs(there.options, wanted.options):
        before, now = _shown(there.options.get(name)), _shown(wanted.options.get(name))
        return f"with {name} {before}, not {now}"
    expected = [name for name, value in there.inputs.items() if value is None]
    if name := first_that_differs(there.inputs, wanted.inputs | dict.fromkeys(expected)):
        return f"from {name}, which has changed since"
    return ""


def first_that_differs(there: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """Return the first name with another value in each of the two; "" if there is none.

    Parameters
    ----------
    there, wanted : mapping

    Returns
    -------
    str
    """
    names = dict.fromkeys([*there, *wanted])
    return next((name for name in names if there.get(name) != wanted.get(name)), "")


def _shown(value: Any) -> str:
    return "unset" if value in (None, [], {}) else msgspec.json.encode(value).decode()
