"""What a store is made whole from: the dataset that it was made of, or another copy of it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from mtfast.addresses import Address, locate
from mtfast.checking.derive import put
from mtfast.checking.examine import Examined, ShardName
from mtfast.checking.metadata import Metadata, file_of, read_metadata
from mtfast.checking.readers import SplitReaders
from mtfast.conversion.parts import PartsOfStore
from mtfast.errors import SourceError, StoreError
from mtfast.paths import local_path
from mtfast.progress import Progress
from mtfast.rles.rasterizers import RASTERIZERS, Rasterizer
from mtfast.sources import Source, SourcePath, open_source
from mtfast.sources.bad_records import KINDS, Policy
from mtfast.store import schema
from mtfast.store.consolidated import CHECKSUM, COMPLETE, metadata_checksum, metadata_text
from mtfast.store.reading.columns import read_column
from mtfast.store.reading.files import LocalFiles
from mtfast.store.reading.metadata import read_attributes
from mtfast.store.reading.store import Store

__all__ = ["CopyOfStore", "Dataset", "Reference", "open_reference"]

Nodes = Mapping[str, Any]

# What a dataset says of the images and annotations of a split.
_COLUMNS = ("height", "width", "set_name")
_DERIVED = ("rle", "rle_crc32c")


class Reference(Protocol):
    """Where files of a store are made again from."""

    def supply(self, examined: Examined, wanted: set[str], content: Path) -> dict[str, str]:
        """Make files of a store.

        Parameters
        ----------
        examined : Examined
            The store.
        wanted : set of str
            Files to make.
        content : Path
            Where they are made.

        Returns
        -------
        dict
            File -> why it cannot be made, for those that cannot.

        Raises
        ------
        StoreError
            If the store was not made from this.
        """


def open_reference(
    given: Source | Store | SourcePath, workers: int | None, progress: Progress | None
) -> Reference:
    """Open what a store is to be made whole from.

    Parameters
    ----------
    given : Source, Store, path-like or mapping
        A dataset as for :func:`mtfast.convert`, or another copy of the store.
    workers, progress
        As there.

    Returns
    -------
    Reference

    Raises
    ------
    MtfastError
        If there is no dataset and no store.
    """
    if isinstance(given, Store):
        return CopyOfStore(local_path(str(given.path)))
    if not isinstance(given, str | os.PathLike):
        return Dataset(given, workers, progress)
    path = locate(given)
    if isinstance(path, Path) and (path / "zarr.json").exists():
        return CopyOfStore(path.absolute())
    # A path that leads nowhere is told before the work, which may not come to need it.
    open_source(path)
    return Dataset(path, workers, progress)


def _refusal(reference: object, store: Path | Address, found: str) -> StoreError:
    return StoreError(
        f"{reference} is not what {store} was made from: {found}; expected the dataset that was "
        f"converted, unchanged, or another copy of the store; give that"
    )


class CopyOfStore:
    """Another copy of the same store, perhaps damaged as well. See :class:`Reference`.

    Parameters
    ----------
    path : Path
        Absolute.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._metadata = read_metadata(path)

    def supply(self, examined: Examined, wanted: set[str], content: Path) -> dict[str, str]:
        """Copy files."""
        self._expect_same(examined.metadata)
        if not examined.metadata.whole:
            return self._supply_metadata(examined.metadata, wanted, content)
        missing = {}
        for file in sorted(wanted):
            if (self._path / file).is_file():
                (content / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(self._path / file, content / file)
            else:
                missing[file] = f"{self._path / file} is not there"
        return missing

    def _supply_metadata(
        self, metadata: Metadata, wanted: set[str], content: Path
    ) -> dict[str, str]:
        if not self._metadata.whole:
            return {file_of(""): f"the metadata of {self._path} are damaged, too"}
        _put_metadata(self._metadata.root.nodes, wanted, content)
        return {}

    def _expect_same(self, metadata: Metadata) -> None:
        """Compare what is known of the two stores: their metadata hold the sums of all columns."""
        ours, theirs = map(_known_nodes, (metadata, self._metadata))
        for key, node in ours.items():
            optional = f"/{schema.CROP_GROUP}" in f"/{key}"
            if _comparable(node) != _comparable(theirs.get(key)) and not (
                optional and key not in theirs
            ):
                where = repr(key) if key else "the root"
                raise _refusal(self._path, metadata.root.path, f"{where} has other metadata")


def _known_nodes(metadata: Metadata) -> Nodes:
    return metadata.root.nodes if metadata.whole else metadata.agreed


def _comparable(node: Any) -> Any:
    """Return metadata without the checksum of them all, which a crop index changes."""
    if not node or CHECKSUM not in node.get("attributes", {}):
        return node
    return {**node, "attributes": {k: v for k, v in node["attributes"].items() if k != CHECKSUM}}


def _put_metadata(nodes: Nodes, wanted: set[str], content: Path) -> None:
    for key in nodes:
        if not key or file_of(key) in wanted:
            put(content, file_of(key), metadata_text(key, nodes))


class Dataset:
    """The dataset that a store was made of. See :class:`Reference`.

    Parameters
    ----------
    given : Source, path-like or mapping
    workers : int, optional
        Threads.
    progress : callable, optional
        Called as (what, done, total).
    """

    def __init__(
        self, given: Source | SourcePath, workers: int | None, progress: Progress | None
    ) -> None:
        self._given = given
        self._workers, self._progress = workers, progress
        self._parts: PartsOfStore | None = None
        self._has_images = False
        # Why shards of image files cannot be made, if so.
        self._no_images = ""
        self._made = Path()

    def supply(self, examined: Examined, wanted: set[str], content: Path) -> dict[str, str]:
        """Convert those parts of the dataset again that are wanted."""
        if lost := _splits_without_variant(examined):
            return dict.fromkeys(wanted, f"nothing tells what the masks of {lost} are of")
        shards = _shards(examined, wanted)
        with_images = bool(shards) or not examined.metadata.whole
        parts = self._parts
        if parts is None or (with_images and not (self._has_images or self._no_images)):
            parts = self._parts = self._open(examined, content, with_images)
            self._expect_same(examined)
        if not examined.metadata.whole:
            return self._supply_metadata(examined, parts.attributes, wanted, content)
        if shards and not self._has_images:
            why_not = dict.fromkeys(shards, self._no_images)
        else:
            failed = parts.write_shards(set(shards.values()))
            why_not = {file: failed[shard] for file, shard in shards.items() if shard in failed}
        self._take(wanted, content)
        return why_not

    def _open(self, examined: Examined, content: Path, with_images: bool) -> PartsOfStore:
        try:
            return self._read(examined, content, with_images)
        except SourceError as error:
            if not with_images:
                raise
            # The annotations may be of use without the images.
            self._no_images = str(error)
            return self._read(examined, content, False)

    def _read(self, examined: Examined, content: Path, with_images: bool) -> PartsOfStore:
        root = examined.metadata.root
        made = content.parent / f"made-{'with' if with_images else 'without'}-images"
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir()
        source = self._given
        if not isinstance(source, Source):
            bad, mapping = _policy(root.attributes)
            source = open_source(
                source, bad=bad, mapping=mapping, rasterizer=_rasterizer(root.attributes)
            )
        # In the order of the dataset, as the root may not tell it.
        splits = [name for name in source.splits if name in root.splits]
        if examined.metadata.whole or len(splits) != len(root.splits):
            splits = list(root.splits)
        variants = {name: root.attributes_of(name)["semantic_variant"] for name in splits}
        stored = any(root.attributes_of(name).get("images") for name in root.splits)
        self._has_images, self._made = with_images and stored, made
        return PartsOfStore(
            source, made, variants, self._has_images, root.shard, self._workers, self._progress
        )

    def _expect_same(self, examined: Examined) -> None:
        for split in examined.splits.values():
            for found in _differences(split, self._made, self._has_images):
                name = getattr(self._given, "path", self._given)
                raise _refusal(name, split.root.path, found)

    def _take(self, wanted: set[str], content: Path) -> None:
        """Take over what was made, as far as it was."""
        for file in wanted:
            if not file.endswith("zarr.json") and (self._made / file).is_file():
                (content / file).parent.mkdir(parents=True, exist_ok=True)
                (self._made / file).replace(content / file)

    def _supply_metadata(
        self, examined: Examined, attributes: Mapping[str, Any], wanted: set[str], content: Path
    ) -> dict[str, str]:
        """Make the attributes of the root again, of which a store has no second copy."""
        metadata = examined.metadata
        if examined.layout.findings:
            return {file_of(""): examined.layout.findings[0].found}
        made = {"mtfast_format": schema.FORMAT, COMPLETE: True, **attributes}
        own: dict[str, Any] = {"attributes": made, "zarr_format": 3, "node_type": "group"}
        nodes = {**metadata.root.nodes, "": own}
        checksum = metadata_checksum(nodes)
        stated = dict(metadata.stated)
        # Either the checksum is damaged or what it is of.
        if stated.pop(CHECKSUM, checksum) != checksum and stated != made:
            return {file_of(""): "the attributes of the root are others than those of the dataset"}
        own["attributes"] = made | {CHECKSUM: checksum}
        _put_metadata(nodes, wanted, content)
        return {}


def _shards(examined: Examined, wanted: set[str]) -> dict[str, ShardName]:
    """Return which of the files are shards that are made of image files or masks."""
    keys = {
        split.key(name): split.name
        for split in examined.splits.values()
        for name in (schema.FILE, schema.SEMANTIC)
    }
    of = {file: examined.layout.files.get(file, "") for file in wanted}
    return {
        file: (keys[key], int(Path(file).name.split(".")[1]))
        for file, key in of.items()
        if key in keys and not file.endswith("zarr.json")
    }


def _splits_without_variant(examined: Examined) -> str:
    root = examined.metadata.root
    variants = {name: root.attributes_of(name).get("semantic_variant") for name in root.splits}
    return ", ".join(name for name, found in variants.items() if not isinstance(found, str))


def _policy(attributes: Mapping[str, Any]) -> tuple[Policy, dict[int, int]]:
    """Return what convert did about bad records, by what it has noted in the store."""
    findings = attributes.get("findings")
    noted = [f for of in findings.values() for f in of] if isinstance(findings, dict) else []
    done = {f["done"] for f in noted if f["kind"] not in KINDS or KINDS[f["kind"]].is_bad}
    mapped = [pair for f in noted if f["done"] == "mapped" for pair in f["mapping"]]
    mapping = {int(old): int(new) for old, new in mapped}
    if "skipped" in done:
        return "skip", mapping
    return ("repair" if done & {"repaired", "dropped"} else "refuse"), mapping


def _rasterizer(attributes: Mapping[str, Any]) -> Rasterizer:
    """Return whose pixels polygons became; older stores do not say it: they had no choice."""
    source = attributes.get("source")
    noted = source.get("rasterizer") if isinstance(source, dict) else None
    return next((known for known in RASTERIZERS if known == noted), RASTERIZERS[0])


def _differences(split: SplitReaders, made: Path, with_images: bool) -> Iterator[str]:
    """Say how what was made of a dataset is not what a split has, as far as that is whole."""
    files = LocalFiles(made)
    ours, theirs = split.root.attributes_of(split.name), read_attributes(files, split.name)
    for name in ("n_images", "sets"):
        if ours.get(name) != theirs[name]:
            yield f"{split.name} has another {name!r}"
    keys = [schema.NAME]
    keys += [f"{schema.COLUMN_GROUP}/{name}" for name in _COLUMNS]
    keys += [f"instances/{name}" for name in schema.INSTANCES if name != "rle"]
    keys += [f"variants/{name}" for name in schema.VARIANTS]
    for key in map(split.key, keys):
        if key in split.columns and not _equal(read_column(files, key), split.columns[key]):
            yield f"{key} has other values"
    for name in [schema.SEMANTIC, *([schema.FILE] if with_images else [])]:
        stored = split.layout.arrays.get(split.key(name))
        node = json.loads((made / split.key(name) / "zarr.json").read_bytes())
        if stored is not None and tuple(node["shape"]) != stored.shape:
            yield f"{split.key(name)} has another shape"


def _equal(first: Any, second: Any) -> bool:
    nan = first.dtype.kind == "f"
    return first.dtype == second.dtype and np.array_equal(first, second, equal_nan=nan)
