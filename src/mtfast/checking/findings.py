"""What can be wrong with a store, and what was found."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from mtfast.addresses import Address

__all__ = ["KINDS", "Finding", "Kind", "Severity", "in_words"]

Severity = Literal["error", "note"]


class Kind(NamedTuple):
    """Something that may be wrong with a store.

    Attributes
    ----------
    name : str
    advice : str
        What was expected; what to do.
    severity : {"error", "note"}
        A note is about something that does no harm.
    """

    name: str
    advice: str
    severity: Severity = "error"


_REPAIR = "make it whole with repair=True"
_CONVERT = "its checksums fit, so nothing tells which of the two is right; convert the set again"

# fmt: off
KINDS: dict[str, Kind] = {kind.name: kind for kind in (
    Kind("damaged metadata", f"expected the metadata that were written; {_REPAIR}"),
    Kind("missing file", f"expected every file that the metadata promise; {_REPAIR}"),
    Kind("damaged column", f"expected the values that were written; {_REPAIR}"),
    Kind("contradicting tables", f"expected columns that fit each other; {_CONVERT}"),
    Kind("damaged RLE", f"expected the texts that were written; {_REPAIR}"),
    Kind("damaged shard", f"expected a whole index and a chunk for every image; {_REPAIR}"),
    Kind("damaged mask", f"expected the bytes that were written; {_REPAIR}"),
    Kind("mask unlike its RLE", f"expected the pixels that the RLE paint; {_CONVERT}"),
    Kind("damaged image file", f"expected the bytes that were written; {_REPAIR}"),
    Kind("image file unlike its columns", f"expected the file that they tell of; {_CONVERT}"),
    Kind("damaged crop index", f"expected the bytes that were written; {_REPAIR}"),
    Kind("crop index unlike its image",
         "expected what a scan of its file finds; make it again with 'mtfast index --overwrite'"),
    Kind("foreign file", "expected files of the store alone; remove it if nobody needs it", "note"),
    Kind("unfinished work",
         "it is of a run that is at work or was stopped; run the same again to go on", "note"),
    Kind("store put aside",
         "it was to be replaced by this one; remove it if nobody needs it", "note"),
)}
# fmt: on


@dataclass(frozen=True)
class Finding:
    """Something that is wrong with a store, or worth a note.

    Attributes
    ----------
    kind : str
        One of :data:`KINDS`.
    found : str
        It in words.
    file : str or None
        The file that has to be made again, by its path in the store.
    split, array : str or None
        What it is in; the array by its path in the store.
    image : str or None
        Name of the image that it is about.
    """

    kind: str
    found: str
    file: str | None = None
    split: str | None = None
    array: str | None = None
    image: str | None = None

    @property
    def severity(self) -> Severity:
        """Whether it is an error or does no harm."""
        return KINDS[self.kind].severity

    def as_dict(self) -> dict[str, Any]:
        """Return it as docs/check.schema.json has it."""
        return {
            "kind": self.kind,
            "severity": self.severity,
            "split": self.split,
            "array": self.array,
            "file": self.file,
            "image": self.image,
            "found": self.found,
        }


def in_words(error: Exception, store: Path | Address) -> str:
    """Return what an error found, without what it expected and advises.

    Parameters
    ----------
    error : MtfastError
    store : Path or Address
        What it is about. Paths in it are shortened.

    Returns
    -------
    str

    Examples
    --------
    >>> error = ValueError("/data/a.zarr/train/c.0 ends at byte 3; expected 4 bytes; look at it")
    >>> in_words(error, Path("/data/a.zarr"))
    'train/c.0 ends at byte 3'
    """
    separator = "/" if isinstance(store, Address) else os.sep
    return str(error).partition(";")[0].replace(f"{store}{separator}", "")
