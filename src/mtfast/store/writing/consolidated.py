"""Writes the metadata of a store once more, in its groups, as the last thing that is written."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mtfast.atomic import PARTIAL, write_file
from mtfast.errors import StoreError
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
        If the store cannot be written.
    """
    nodes = {key: dict(node) for key, node in (known or {}).items()}
    for file in store.rglob(_FILE):
        parts = file.parent.relative_to(store).parts
        key = "/".join(parts)
        # A work folder may be inside.
        if key not in nodes and not any(PARTIAL in part for part in parts):
            nodes[key] = own(json.loads(file.read_bytes()))
    checksum = metadata_checksum(nodes)
    nodes[""]["attributes"] = nodes[""]["attributes"] | {CHECKSUM: checksum, COMPLETE: complete}
    groups = sorted((k for k, node in nodes.items() if node["node_type"] == "group"), reverse=True)
    for key in groups:
        text = metadata_text(key, nodes)
        if in_use:
            write_file(store / key / _FILE, text, StoreError)
        else:
            (store / key / _FILE).write_bytes(text)
