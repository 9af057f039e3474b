"""Writes the metadata of a store once more, in its groups, as the last thing that is written."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mtfast.atomic import PARTIAL, write_file
from mtfast.errors import StoreError
from mtfast.paths import open_regular, refuse_link
from mtfast.store.consolidated import CHECKSUM, COMPLETE, metadata_checksum, metadata_text, own

__all__ = ["consolidate"]

_FILE = "zarr.json"


def consolidate(
    store: Path,
    complete: bool,
    known: Mapping[str, Mapping[str, Any]] | None = None,
    in_use: bool = True,
) -> None:
    """Put the metadata of all that is below into each group.

    Parameters
    ----------
    store : Path
        Its folder.
    complete : bool
        What the attribute of the root says from then on. That file is replaced last; whatever it
        declares complete is on the disk already.
    known : mapping, optional
        Key of groups and arrays -> metadata that were checked. They are not read again, so that no
        damage of their files gets a checksum that fits it.
    in_use : bool
        Whether others may read the store, so that each file has to be whole at any time. Otherwise
        nothing waits for the disk.

    Raises
    ------
    StoreError
        If the store cannot be written, or something in it is no metadata.
    """
    nodes = {key: dict(node) for key, node in (known or {}).items()}
    for file in store.rglob(_FILE):
        parts = file.parent.relative_to(store).parts
        key = "/".join(parts)
        # A work folder may be inside.
        if key not in nodes and not any(PARTIAL in part for part in parts):
            nodes[key] = own(_read_node(file))
    checksum = metadata_checksum(nodes)
    nodes[""]["attributes"] = nodes[""]["attributes"] | {CHECKSUM: checksum, COMPLETE: complete}
    groups = sorted((k for k, node in nodes.items() if node["node_type"] == "group"), reverse=True)
    for key in groups:
        refuse_link(store / key / _FILE, StoreError)
    for key in groups:
        text = metadata_text(key, nodes)
        if in_use:
            write_file(store / key / _FILE, text, StoreError)
        else:
            (store / key / _FILE).write_bytes(text)


def _read_node(file: Path) -> dict[str, Any]:
    try:
        with os.fdopen(open_regular(file), "rb") as opened:
            node = json.load(opened)
        if node["node_type"] in ("group", "array") and isinstance(node["attributes"], dict):
            return dict(node)
        reason = "another type of node"
    except (OSError, ValueError, LookupError, TypeError, RecursionError) as error:
        reason = " ".join(str(error).split())[:80]
    raise StoreError(
        f"{file} is not metadata of Zarr v3 ({reason}); expected those of a group or array; remove "
        f"it"
    )
