"""Writes the metadata of a store once more, in its groups, as the last thing that is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from mtfast.atomic import write_file
from mtfast.errors import StoreError
from mtfast.store.consolidated import CHECKSUM, COMPLETE, attributes_checksum, with_children

__all__ = ["consolidate"]

_FILE = "zarr.json"


def consolidate(store: Path, complete: bool) -> None:
    """Put the metadata of all that is below into each group.

    Parameters
    ----------
    store : Path
        Its folder.
    complete : bool
        What the attribute of the root says from then on. That file is replaced last; whatever it
        declares complete is on the disk already.

    Raises
    ------
    StoreError
        If the store cannot be written.
    """
    nodes = {
        "/".join(file.parent.relative_to(store).parts): _own(json.loads(file.read_bytes()))
        for file in store.rglob(_FILE)
    }
    nodes[""]["attributes"] |= {CHECKSUM: attributes_checksum(nodes), COMPLETE: complete}
    groups = sorted((k for k, node in nodes.items() if node["node_type"] == "group"), reverse=True)
    for key in groups:
        text = json.dumps(with_children(key, nodes), indent=1, ensure_ascii=False)
        write_file(store / key / _FILE, text.encode(), StoreError)


def _own(node: dict[str, Any]) -> dict[str, Any]:
    """Leave out what a group repeats of those below it."""
    return {name: value for name, value in node.items() if name != "consolidated_metadata"}
