"""What the masks in a folder were made from: whether a later run may add to them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mtfast.atomic import write_file
from mtfast.errors import StoreError
from mtfast.export.mask_format import MaskSplit
from mtfast.painting.mask_kinds import KINDS
from mtfast.paths import is_name
from mtfast.store.reading.files import LocalFiles
from mtfast.store.reading.metadata import read_attributes

__all__ = [
    "ATTRIBUTE",
    "RECORD",
    "describe",
    "expect_same",
    "read_record",
    "write_record",
]

RECORD = "masks.json"
"""File of the record; a Zarr group has it among its attributes, under ATTRIBUTE."""
ATTRIBUTE = "mtfast_masks"
VERSION = 1
# Columns that make a difference to masks.
_SHOWN = (
    *("names", "heights", "widths", "image_offsets"),
    *("instance_ids", "category_ids", "rle_offsets", "rle"),
)

Record = dict[str, Any]


def describe(source: str, settings: Record, splits: Sequence[MaskSplit]) -> Record:
    """Make the record of an export.

    Parameters
    ----------
    source : str
        Name of the dataset.
    settings : dict
        The options that decide what masks look like.
    splits : sequence of MaskSplit

    Returns
    -------
    dict
        As it is read from JSON, with a digest of the annotations of each split.
    """
    entries = {
        split.name: {
            "variant": split.variant,
            "n_images": split.table.n_images,
            "dtype": split.dtype.name,
            "annotations_sha256": split.table.digest(_SHOWN),
        }
        for split in splits
    }
    record = {"version": VERSION, "source": source, "settings": settings, "splits": entries}
    # As it is read again, with lists for tuples.
    plain: Record = json.loads(json.dumps(record))
    return plain


def read_record(out: Path) -> Record | None:
    """Read the record of a folder.

    Parameters
    ----------
    out : Path

    Returns
    -------
    dict or None
        None if there is none, or none that can be trusted.
    """
    if (out / RECORD).is_file():
        try:
            found = json.loads((out / RECORD).read_bytes())
        except (ValueError, RecursionError):
            found = None
    else:
        try:
            found = read_attributes(LocalFiles(out)).get(ATTRIBUTE)
        except StoreError:
            return None
    return found if _is_record(found) else None


def write_record(out: Path, record: Record) -> None:
    """Write the file of a record.

    Parameters
    ----------
    out : Path
    record : dict
    """
    text = json.dumps(record, indent=2, ensure_ascii=False)
    write_file(out / RECORD, (text + "\n").encode(), StoreError)


def expect_same(found: Record, wanted: Record, out: Path) -> Record:
    """Combine the records of an earlier run and of this one.

    Parameters
    ----------
    found, wanted : dict
        That of the folder, and that of this run.
    out : Path
        The folder, for messages.

    Returns
    -------
    dict
        With the splits of both.

    Raises
    ------
    StoreError
        If the two would write different masks.
    """
    advice = "choose another folder or pass overwrite=True"
    if found["version"] != VERSION:
        raise StoreError(
            f"{out} has a record of version {found['version']}; expected {VERSION}; {advice}"
        )
    for key, value in wanted["settings"].items():
        there = found["settings"].get(key)
        if there != value:
            raise StoreError(
                f"{out} holds masks made with {key} {_shown(there)}; expected {_shown(value)} as "
                f"asked for now; {advice}"
            )
    for split, entry in wanted["splits"].items():
        there = found["splits"].get(split, entry)
        for key, value in entry.items():
            if there.get(key) != value:
                raise StoreError(
                    f"{out} holds {split} masks of other annotations ({key} {there.get(key)}); "
                    f"expected {value}; {advice}"
                )
    return {**wanted, "splits": found["splits"] | wanted["splits"]}


def _is_record(found: Any) -> bool:
    return (
        isinstance(found, dict)
        and "version" in found
        and isinstance(found.get("settings"), dict)
        and isinstance(found.get("splits"), dict)
        # Kind and splits name what --overwrite removes: nothing outside the folder.
        and found["settings"].get("kind") in KINDS
        and isinstance(found["settings"].get("format"), str)
        and all(map(is_name, found["splits"]))
    )


def _shown(value: Any) -> str:
    return "unset" if value in (None, [], False) else json.dumps(value)
