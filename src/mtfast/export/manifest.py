"""What the masks in a folder were made of, so that a later run may go on with them, or must not."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mtfast.atomic import write_file
from mtfast.errors import StoreError
from mtfast.export.format import MaskSplit
from mtfast.store.reading.files import LocalFiles
from mtfast.store.reading.metadata import read_attributes
from mtfast.table import RunTable

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

Record = dict[str, Any]


def describe(source: str, settings: Record, splits: Sequence[MaskSplit]) -> Record:
    """Put together a record: names, settings and, for each split, a digest of its annotations."""
    entries = {
        split.name: {
            "variant": split.variant,
            "n_images": split.table.n_images,
            "dtype": split.dtype.name,
            "annotations_sha256": _digest(split.table),
        }
        for split in splits
    }
    record = {"version": VERSION, "source": source, "settings": settings, "splits": entries}
    # As it is when it is read again, with lists for tuples.
    plain: Record = json.loads(json.dumps(record))
    return plain


def read_record(out: Path) -> Record | None:
    """Return the record of a folder; None if there is none."""
    if (out / RECORD).is_file():
        try:
            found = json.loads((out / RECORD).read_bytes())
        except ValueError:
            found = None
    else:
        try:
            found = read_attributes(LocalFiles(out)).get(ATTRIBUTE)
        except StoreError:
            return None
    return found if _is_record(found) else None


def write_record(out: Path, record: Record) -> None:
    """Write the file of the record."""
    text = json.dumps(record, indent=2, ensure_ascii=False)
    write_file(out / RECORD, (text + "\n").encode(), StoreError)


def expect_same(found: Record, wanted: Record, out: Path) -> Record:
    """Return the record of all splits of two runs; StoreError if their masks do not go together."""
    advice = "choose another folder or pass --overwrite"
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
        # They name what is removed to be written anew: nothing outside of the folder.
        and all(Path(split).name == split for split in found["splits"])
    )


def _shown(value: Any) -> str:
    return "unset" if value in (None, [], False) else json.dumps(value)


def _digest(table: RunTable) -> str:
    digest = hashlib.sha256("\0".join(table.names.tolist()).encode())
    columns = (table.heights, table.widths, table.image_offsets)
    for column in (*columns, table.instance_ids, table.category_ids, table.rle_offsets, table.rle):
        digest.update(column.data)
    return digest.hexdigest()
