"""The metadata of a whole store in one place, with a checksum.

The ``zarr.json`` of a group also holds those of all groups and arrays below it, so that a reader
opens a store with one read. The root has the CRC-32C of the attributes of all groups: they decide
what the other bytes mean, and no chunk's checksum covers them.

Source: ``consolidated_metadata`` as zarr-python reads and writes it (kind ``inline``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import google_crc32c

__all__ = ["CHECKSUM", "COMPLETE", "attributes_checksum", "with_children"]

CHECKSUM = "attributes_crc32c"
COMPLETE = "complete"


def attributes_checksum(nodes: Mapping[str, Mapping[str, Any]]) -> int:
    """Return the checksum of the attributes of all groups.

    Parameters
    ----------
    nodes : mapping
        Key of each group and array, "" for the root -> its metadata.

    Returns
    -------
    int
        CRC-32C of their JSON with sorted keys and no spaces, in UTF-8: an object of key ->
        attributes. The checksum itself is left out, and ``complete`` of the root.

    Examples
    --------
    >>> attributes_checksum({"": {"node_type": "group", "attributes": {"shard": 64}}})
    2951793618
    """
    attributes = {
        key: dict(node.get("attributes", {}))
        for key, node in nodes.items()
        if node.get("node_type") == "group"
    }
    for name in (CHECKSUM, COMPLETE):
        attributes.get("", {}).pop(name, None)
    text = json.dumps(attributes, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return int(google_crc32c.value(text.encode()))


def with_children(key: str, nodes: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the metadata of a group together with those of all that is below it.

    Parameters
    ----------
    key : str
        Of the group; "" for the root.
    nodes : mapping
        Key of each group and array -> its metadata.

    Returns
    -------
    dict
    """
    below = f"{key}/" if key else ""
    children = {
        name[len(below) :]: dict(node)
        for name, node in sorted(nodes.items())
        if name and name != key and name.startswith(below)
    }
    inline = {"kind": "inline", "must_understand": False, "metadata": children}
    return {**nodes[key], "consolidated_metadata": inline}
