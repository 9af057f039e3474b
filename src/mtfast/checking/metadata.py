"""The metadata of a store, also of one whose metadata are damaged.

Each ``zarr.json`` of a group repeats those below it, so that there are several copies of all but
the attributes of the root::

    train/columns/height/zarr.json     its own
    train/columns/zarr.json            repeated, and so in train/zarr.json and in zarr.json
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from mtfast.addresses import Address
from mtfast.atomic import PARTIAL
from mtfast.checking.findings import Finding, in_words
from mtfast.checking.listing import metadata_keys
from mtfast.checking.overlay import OverlaidFiles
from mtfast.errors import StoreError, shown
from mtfast.paths import base_name
from mtfast.store import schema
from mtfast.store.consolidated import (
    CHECKSUM,
    COMPLETE,
    INLINE,
    metadata_checksum,
    with_children,
)
from mtfast.store.reading.files import LocalFiles, StoreFiles
from mtfast.store.reading.root import (
    StoreRoot,
    marker_of,
    names_of_splits,
    open_root,
    read_root,
    remote_files_of,
)

__all__ = ["Metadata", "file_of", "is_whole", "read_metadata"]

Node = dict[str, Any]
Nodes = dict[str, Node]
FilesOf = Callable[[str, Mapping[str, Any] | None], StoreFiles]

_FILE = "zarr.json"
_VERSION = "mtfast_format"
_GROUP_KEYS = ("attributes", "zarr_format", "node_type")


class Metadata(NamedTuple):
    """What the groups and arrays of a store are.

    Attributes
    ----------
    root : StoreRoot
    whole : bool
        Whether their checksum matches; else they are the best that could be found.
    stated : dict
        The attributes of the root as its file has them; empty if it cannot be read.
    agreed : dict
        Key -> metadata of which several copies agree; looked for unless they are whole.
    findings : list of Finding
    """

    root: StoreRoot
    whole: bool
    stated: dict[str, Any]
    agreed: Nodes
    findings: list[Finding]


class _Copies(NamedTuple):
    """All ``zarr.json`` files: their JSON, None for those that are no object; and what each says.

    ``files`` are by key, and so are ``nodes``, which has each copy of a node, its own first.
    """

    files: dict[str, Node | None]
    nodes: dict[str, list[Node]]


def file_of(key: str) -> str:
    """Return the path in the store of the metadata of a group or array.

    Parameters
    ----------
    key : str
        "" for the root.

    Returns
    -------
    str
    """
    return f"{key}/{_FILE}" if key else _FILE


def read_metadata(path: Path | Address, above: Path | None = None) -> Metadata:
    """Read the metadata of a store, and find out which of their copies are right.

    Parameters
    ----------
    path : Path or Address
        A path is absolute.
    above : Path, optional
        A folder whose files count instead of the store's.

    Returns
    -------
    Metadata

    Raises
    ------
    StoreError
        If there is no store that can be checked: nothing of it is known, it is incomplete, or its
        layout is another one.
    """
    files_of = _files_of(path, above)
    keys = sorted({key for folder in (path, above) if folder for key in _keys(folder)})
    if isinstance(path, Address) and "" not in keys:
        open_root(path)
    copies = _read_copies(keys, files_of(_FILE, None))
    agreed: Nodes = {}
    try:
        root, whole = read_root(path, files_of, verify=True), True
    except StoreError as error:
        agreed = _agreed(copies)
        nodes, whole = _salvage(copies, agreed)
        if not copies.files:
            raise
        if nodes is None:
            raise StoreError(
                f"{path} cannot be checked ({in_words(error, path)}); expected a store of which "
                f"some metadata are left; check the path or convert the set again"
            ) from error
        if _is_another_layout(nodes, whole):
            raise
        root = _root_of(path, files_of, nodes, error)
    stated = copies.nodes[""][0].get("attributes", {}) if "" in copies.nodes else {}
    found = list(_compare_files(copies, root.nodes, whole))
    return Metadata(root, whole, stated, agreed, found)


def _files_of(path: Path | Address, above: Path | None) -> FilesOf:
    if isinstance(path, Address):
        return remote_files_of(path)
    if not path.is_dir():
        open_root(path)
    return partial(LocalFiles, path) if above is None else partial(OverlaidFiles, path, above)


def _read_copies(keys: Iterable[str], files: StoreFiles) -> _Copies:
    parsed: dict[str, Node | None] = {}
    nodes: dict[str, list[Node]] = {}
    for key in keys:
        data = _read(files, key)
        found = parsed[key] = _parse(data)
        ours = _own(found or _parse(_head(data)))
        if ours is not None:
            nodes.setdefault(key, []).insert(0, ours)
        for name, node in _children(found or {}):
            nodes.setdefault(f"{key}/{name}" if key else name, []).append(node)
    return _Copies(parsed, nodes)


def _read(files: StoreFiles, key: str) -> bytes:
    try:
        return files.read(file_of(key))
    except StoreError:
        return b""


def _parse(data: bytes) -> Node | None:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _head(data: bytes) -> bytes:
    """Return what a group says of itself, where the rest of the file is damaged."""
    head, _, _ = data.partition(f'"{INLINE}"'.encode())
    return head.rstrip().removesuffix(b",") + b"}"


def _own(found: Node | None) -> Node | None:
    if found is None or not _is_node(found):
        return None
    if found["node_type"] == "array":
        return found
    # In the order in which it was written, without keys that damage has renamed.
    return {name: value for name, value in found.items() if name in _GROUP_KEYS}


def _keys(path: Path | Address) -> Iterator[str]:
    """List the groups and arrays that have a file."""
    return (key for key in metadata_keys(path) if PARTIAL not in key)


def _is_node(found: Any) -> bool:
    return (
        isinstance(found, dict)
        and found.get("node_type") in ("group", "array")
        and isinstance(found.get("attributes", {}), dict)
    )


def _children(node: Node) -> Iterator[tuple[str, Node]]:
    inline = node.get(INLINE)
    below = inline.get("metadata") if isinstance(inline, dict) else None
    for name, child in below.items() if isinstance(below, dict) else ():
        # What a stranger wrote leads nowhere outside of the store.
        if _is_node(child) and all(_is_name(part) for part in name.split("/")):
            yield name, child


def _is_name(part: str) -> bool:
    return part == base_name(part) and part not in ("", ".", "..")


def _agreed(copies: _Copies) -> Nodes:
    """Return the metadata of which several copies are equal, and most."""
    found: Nodes = {}
    for key, several in copies.nodes.items():
        ((text, n),) = Counter(json.dumps(node) for node in several).most_common(1)
        if n > 1:
            found[key] = json.loads(text)
    return found


def _salvage(copies: _Copies, agreed: Nodes) -> tuple[Nodes | None, bool]:
    """Put metadata together from all copies; None if they are of no store."""
    likely = {key: several[0] for key, several in copies.nodes.items() if _is_likely(key, copies)}
    # Where copies disagree each may be the right one, and a file may be missing.
    for chosen in (likely, _pick(copies, 0), _pick(copies, -1)):
        if "" in chosen and is_whole(chosen | agreed):
            return chosen | agreed, True
    nodes = likely | agreed
    splits = sorted(key for key in nodes if _is_split(key, nodes))
    if not splits:
        return None, False
    root = nodes.setdefault("", {"zarr_format": 3, "node_type": "group", "attributes": {}})
    attributes = root.get("attributes", {})
    stand_in: dict[str, Any] = {_VERSION: schema.FORMAT, COMPLETE: True}
    if sorted(map(str, attributes.get("splits") or ())) != splits:
        stand_in["splits"] = splits
    shape = nodes[f"{splits[0]}/{schema.SEMANTIC}"]["chunk_grid"]["configuration"]["chunk_shape"]
    return nodes | {"": root | {"attributes": attributes | stand_in | {"shard": shape[0]}}}, False


def _is_likely(key: str, copies: _Copies) -> bool:
    """Return whether a key is no other one that damage has renamed."""
    parts = key.split("/")
    above = ["", *("/".join(parts[:k]) for k in range(1, len(parts)))]
    n_above = sum(copies.files.get(group) is not None for group in above)
    return key in copies.files or len(copies.nodes[key]) >= n_above


def _pick(copies: _Copies, number: int) -> Nodes:
    """Return one copy of all that there is any copy of."""
    return {key: several[number] for key, several in copies.nodes.items()}


def _is_split(key: str, nodes: Nodes) -> bool:
    masks = nodes.get(f"{key}/{schema.SEMANTIC}", {})
    try:
        sides = msgspec.convert(masks["chunk_grid"]["configuration"]["chunk_shape"], list[int])
    except (KeyError, TypeError, msgspec.ValidationError):
        return False
    return _is_name(key) and bool(sides)


def is_whole(nodes: Nodes) -> bool:
    """Return whether metadata have the checksum that their root states.

    Parameters
    ----------
    nodes : dict
        Key of each group and array -> its metadata.

    Returns
    -------
    bool
    """
    stated = nodes[""].get("attributes", {}).get(CHECKSUM)
    return stated is not None and stated == metadata_checksum(nodes)


def _is_another_layout(nodes: Nodes, whole: bool) -> bool:
    """Return whether a store was written like that, so that it is not damaged."""
    attributes = nodes[""].get("attributes", {})
    return attributes.get(_VERSION) != schema.FORMAT or (whole and not attributes.get(COMPLETE))


def _root_of(path: Path | Address, files_of: FilesOf, nodes: Nodes, error: StoreError) -> StoreRoot:
    attributes = nodes[""].get("attributes", {})
    shard = attributes.get("shard")
    try:
        splits = names_of_splits(path, attributes)
    except StoreError:
        raise error from None
    if not isinstance(shard, int) or not 1 <= shard <= schema.LARGEST_SHARD:
        raise error
    return StoreRoot(
        path, attributes, splits, shard, True, nodes, files_of(marker_of(splits), nodes)
    )


def _compare_files(copies: _Copies, nodes: Mapping[str, Node], whole: bool) -> Iterator[Finding]:
    """Compare each ``zarr.json`` with what it should hold."""
    for key, node in nodes.items():
        where = {"file": file_of(key), "array": key or None, "split": key.split("/")[0] or None}
        if key not in copies.files:
            yield Finding("missing file", f"{file_of(key)} is not there", **where)
            continue
        found = copies.files[key]
        is_group = node.get("node_type") == "group"
        expected = with_children(key, nodes) if is_group else node
        if found is None or not _is_node(found):
            words = f"{file_of(key)} is no metadata of Zarr v3"
        elif found != expected:
            words = f"{file_of(key)} has {_first_difference(found, expected)}"
        elif not key and not whole:
            words = f"{file_of(key)} has attributes that its checksum does not match"
        else:
            continue
        yield Finding("damaged metadata", words, **where)


def _first_difference(found: Any, expected: Any, place: str = "") -> str:
    """Say where two JSON values differ first."""
    if not (isinstance(found, dict) and isinstance(expected, dict)):
        return f"{place} {shown(found)} instead of {shown(expected)}"
    for name in {**expected, **found}:
        if found.get(name) != expected.get(name) or (name in found) != (name in expected):
            inner = f"{place}/{name}" if place else name
            return _first_difference(found.get(name), expected.get(name), inner)
    return place
