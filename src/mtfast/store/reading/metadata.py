"""The metadata of a store's groups and arrays, checked when they are read.

Source: the core specification of Zarr v3 and its codec ``sharding_indexed``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal, TypeVar

import msgspec
import numpy as np

from mtfast.errors import StoreError, shown
from mtfast.paths import is_name
from mtfast.store.consolidated import own
from mtfast.store.reading.files import StoreFiles

__all__ = ["StoredArray", "read_array", "read_attributes", "read_nodes"]

_Size = Annotated[int, msgspec.Meta(ge=0)]
_Side = Annotated[int, msgspec.Meta(ge=1)]

_NUMBERS = [f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)]
_DTYPES: dict[Any, Any] = {
    name: np.dtype(name).newbyteorder("<") for name in (*_NUMBERS, "float32", "float64")
} | {"string": np.dtypes.StringDType()}

_Json = TypeVar("_Json")


class _Named(msgspec.Struct):
    name: str
    configuration: dict[str, Any] = {}


class _Inline(msgspec.Struct):
    metadata: dict[str, dict[str, Any]] = {}


class _Group(msgspec.Struct):
    zarr_format: Literal[3]
    node_type: Literal["group"]
    attributes: dict[str, Any] = {}
    consolidated_metadata: _Inline | None = None


class _Node(msgspec.Struct):
    """What groups and arrays have in common."""

    zarr_format: Literal[3]
    node_type: Literal["group", "array"]
    attributes: dict[str, Any] = {}


class _Array(msgspec.Struct):
    zarr_format: Literal[3]
    node_type: Literal["array"]
    shape: list[_Size]
    data_type: str | dict[str, Any]
    chunk_grid: _Named
    chunk_key_encoding: _Named
    codecs: list[_Named]
    attributes: dict[str, Any] = {}
    storage_transformers: list[Any] = []


class _Grid(msgspec.Struct):
    chunk_shape: list[_Side]


class _Sharding(msgspec.Struct):
    chunk_shape: list[_Side]
    codecs: list[_Named]
    index_codecs: list[_Named]
    index_location: str = "end"


@dataclass(frozen=True)
class StoredArray:
    """How an array is stored.

    Attributes
    ----------
    key : str
        Its path below the store.
    shape : tuple of int
    dtype : numpy dtype
        Little-endian numbers, or StringDType; None if only zarr knows the form.
    chunk : tuple of int
        Extent of what one file holds: a chunk, or a shard.
    inner : tuple of int
        Extent of a chunk inside a shard; empty where chunks are files.
    codecs : tuple of str
        Names of the codecs of a chunk, in the order of encoding; empty if only zarr knows the form.
    separator : str
        Between the numbers in the name of a file.
    attributes : mapping
    """

    key: str
    shape: tuple[int, ...]
    dtype: Any = None
    chunk: tuple[int, ...] = ()
    inner: tuple[int, ...] = ()
    codecs: tuple[str, ...] = ()
    separator: str = "/"
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def has_whole_rows(self) -> bool:
        """Whether files are cut along the first axis alone."""
        return bool(self.codecs) and self.chunk[1:] == self.shape[1:]

    @property
    def file_name(self) -> str:
        """Key of a file, with ``{}`` for its number along the first axis."""
        zeros = ["0"] * (len(self.shape) - 1)
        return f"{self.key}/{self.separator.join(['c', '{}', *zeros])}"


def read_attributes(files: StoreFiles, key: str = "") -> dict[str, Any]:
    """Read the attributes of a group.

    Parameters
    ----------
    files : StoreFiles
    key : str
        Of the group; by default the root.

    Returns
    -------
    dict

    Raises
    ------
    StoreError
        If there is no group, or its metadata are damaged.
    """
    return _check(files, key, _read(files, key), _Group).attributes


def read_nodes(files: StoreFiles) -> dict[str, dict[str, Any]]:
    """Read the metadata of the root, and of all groups and arrays, which it repeats.

    Parameters
    ----------
    files : StoreFiles

    Returns
    -------
    dict
        Key of each group and array, "" for the root -> its metadata.

    Raises
    ------
    StoreError
        If there is no root, or its metadata are damaged.
    """
    root = _read(files, "")
    inline = _check(files, "", root, _Group).consolidated_metadata
    nodes = inline.metadata if inline else {}
    for key, node in nodes.items():
        # Files are read and written there.
        if not all(map(is_name, key.split("/"))):
            raise _damaged(files, "", f"it has metadata of {shown(key)}")
        _check(files, key, node, _Node)
    return {"": own(root)} | nodes


def read_array(files: StoreFiles, key: str) -> StoredArray:
    """Return how an array is stored.

    Parameters
    ----------
    files : StoreFiles
        Its metadata are those of ``files.nodes``; without these, its ``zarr.json`` is read.
    key : str
        Of the array.

    Returns
    -------
    StoredArray

    Raises
    ------
    StoreError
        If there is no array, or its metadata are damaged.
    """
    found = _check(files, key, _node(files, key), _Array)
    shape = tuple(found.shape)
    if not _is_plain(found):
        return StoredArray(key, shape)
    chunk = _convert(files, key, found.chunk_grid, _Grid).chunk_shape
    inner: list[int] = []
    codecs = found.codecs
    if _names(codecs) == ("sharding_indexed",):
        sharding = _convert(files, key, codecs[0], _Sharding)
        inner = sharding.chunk_shape
        codecs = sharding.codecs if _has_plain_index(sharding) else []
    if len(chunk) != len(shape) or len(inner or chunk) != len(shape):
        raise _damaged(files, key, f"{len(shape)} dimensions, other chunks")
    return StoredArray(
        key=key,
        shape=shape,
        dtype=_DTYPES[found.data_type],
        chunk=tuple(chunk),
        inner=tuple(inner),
        codecs=() if _is_big_endian(codecs) else _names(codecs),
        separator=str(found.chunk_key_encoding.configuration.get("separator", "/")),
        attributes=found.attributes,
    )


def _node(files: StoreFiles, key: str) -> Any:
    if files.nodes is None:
        return _read(files, key)
    if key not in files.nodes:
        raise StoreError(
            f"{files.where(_file_of(''))} has no metadata of {key!r}; expected those of every "
            f"array; run 'mtfast check' on the store"
        )
    return files.nodes[key]


def _is_plain(found: _Array) -> bool:
    """Whether all but the codecs is in a form that is read without zarr."""
    return (
        bool(found.shape)
        and isinstance(found.data_type, str)
        and found.data_type in _DTYPES
        and found.chunk_grid.name == "regular"
        and found.chunk_key_encoding.name == "default"
        and not found.storage_transformers
    )


def _has_plain_index(sharding: _Sharding) -> bool:
    return (
        sharding.index_location == "end"
        and _names(sharding.index_codecs) == ("bytes", "crc32c")
        and not _is_big_endian(sharding.index_codecs)
    )


def _is_big_endian(codecs: list[_Named]) -> bool:
    return any(codec.configuration.get("endian") == "big" for codec in codecs)


def _names(codecs: list[_Named]) -> tuple[str, ...]:
    return tuple(codec.name for codec in codecs)


def _read(files: StoreFiles, key: str) -> Any:
    """Read the ``zarr.json`` of a group or array."""
    path = _file_of(key)
    try:
        return msgspec.json.decode(files.read(path))
    except StoreError:
        if files.exists(path):
            raise
        folder = files.where(key)
        advice = "check the path"
        if not key:
            advice = f"if it is a dataset, run 'mtfast convert {folder} STORE' first"
        raise StoreError(f"no zarr.json in {folder}; expected a Zarr v3 store; {advice}") from None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _damaged(files, key, str(error)) from error


def _check(files: StoreFiles, key: str, node: Any, kind: type[_Json]) -> _Json:
    try:
        return msgspec.convert(node, kind)
    except msgspec.ValidationError as error:
        raise _damaged(files, key, str(error)) from error


def _convert(files: StoreFiles, key: str, named: _Named, kind: type[_Json]) -> _Json:
    try:
        return msgspec.convert(named.configuration, kind)
    except msgspec.ValidationError as error:
        raise _damaged(files, key, f"{named.name}: {error}") from error


def _damaged(files: StoreFiles, key: str, reason: str) -> StoreError:
    return StoreError(
        f"{files.where(_file_of(key))} is damaged ({reason}); expected metadata of Zarr v3; "
        f"run 'mtfast check' on the store"
    )


def _file_of(key: str) -> str:
    return f"{key}/zarr.json" if key else "zarr.json"
