"""The metadata of a whole store in one place, with a checksum.

The ``zarr.json`` of a group also holds those of all groups and arrays below it, so that a reader
opens a store with one read. The root has the CRC-32C of them all: they decide what the other bytes
mean, and no chunk's checksum covers them.

Source: ``consolidated_metadata`` as zarr-python reads and writes it (kind ``inline``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import google_crc32c

__all__ = [
    "CHECKSUM",
    "COMPLETE",
    "INLINE",
    "metadata_checksum",
    "metadata_text",
    "own",
    "with_children",
]

CHECKSUM = "metadata_crc32c"
COMPLETE = "complete"
INLINE = "consolidated_metadata"


def metadata_checksum(nodes: Mapping[str, Mapping[str, Any]]) -> int:
    """Return the checksum of the metadata of all groups and arrays.

    Parameters
    ----------
    nodes : mapping
        Key of each group and array, "" for the root -> its metadata.

    Returns
    -------
    int
        CRC-32C of their JSON with sorted keys and no spaces, in UTF-8: an object of key ->
        metadata. What groups repeat of those below them is left out, and of the root's attributes
        the checksum itself and ``complete``.

    Examples
    --------
    >>> metadata_checksum({"": {"node_type": "group", "attributes": {"shard": 64}}})
    551939845
    """
    covered = {key: own(node) for key, node in nodes.items()}
    attributes = covered.get("", {}).get("attributes", {})
    if attributes:
        kept = {k: v for k, v in attributes.items() if k not in (CHECKSUM, COMPLETE)}
        covered[""]["attributes"] = kept
    text = json.dumps(covered, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return int(google_crc32c.value(text.encode()))


def own(node: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata of a group or array without what it repeats of those below it.

    Parameters
    ----------
    node : mapping

    Returns
    -------
    dict
    """
    return {name: value for name, value in node.items() if name != INLINE}


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
    return {**nodes[key], INLINE: inline}


def metadata_text(key: str, nodes: Mapping[str, Mapping[str, Any]]) -> bytes:
    """Return the ``zarr.json`` of a group or array.

    Parameters
    ----------
    key : str
        "" for the root.
    nodes : mapping
        Key of each group and array -> its metadata.

    Returns
    -------
    bytes
        Those of a group as convert writes them, those of an array as zarr-python does.
    """
    if nodes[key]["node_type"] == "group":
        return json.dumps(with_children(key, nodes), indent=1, ensure_ascii=False).encode()
    return json.dumps(nodes[key], indent=2).encode()
