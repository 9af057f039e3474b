"""What of a new store is in no shard: groups, declarations, attributes, columns."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mtfast.conversion.inputs import SplitInput
from mtfast.conversion.shard_jobs import SHARD_COLUMNS, Options
from mtfast.errors import counted, printable
from mtfast.ragged import as_strings
from mtfast.sources import Source
from mtfast.sources.bad_records import BadRecords
from mtfast.store import schema
from mtfast.store.writing.arrays import StoreWriter, declare_files, declare_masks, write_columns
from mtfast.store.writing.crop_index import declare as declare_index
from mtfast.table import RunTable
from mtfast.version import installed_version

if TYPE_CHECKING:
    import zarr

__all__ = ["attributes_of", "declare", "tell", "write_annotations", "write_image_columns"]

logger = logging.getLogger(__name__)


def attributes_of(source: Source, inputs: Sequence[SplitInput], options: Options) -> dict[str, Any]:
    """Return the attributes of the root group.

    Parameters
    ----------
    source : Source
    inputs : sequence of SplitInput
    options : Options

    Returns
    -------
    dict
    """
    return {
        "mtfast_version": installed_version(),
        "source": {
            "name": source.name,
            "kind": source.kind,
            **source.choices,
        },
        "splits": [split.name for split in inputs],
        "shard": options.shard,
        "findings": {
            split.name: [_as_json(found) for found in split.findings]
            for split in inputs
            if split.findings
        },
    }


def _as_json(found: BadRecords) -> dict[str, Any]:
    """Return what was found, for the attributes of the store: its report."""
    return {
        "kind": found.kind,
        "file": found.file,
        "n": found.n,
        "done": found.done,
        "examples": list(found.examples),
        "mapping": [list(pair) for pair in found.mapping],
        "places": _places(found) if found.done in ("skipped", "repaired", "dropped") else [],
    }


def _places(found: BadRecords) -> list[int | str]:
    """Return the ids of annotations and the names of images, each once."""
    firsts = [place[0] if isinstance(place, tuple) else place for place in found.places]
    return list(dict.fromkeys(p if isinstance(p, int) else printable(str(p)) for p in firsts))


def declare(writer: StoreWriter, split: SplitInput, options: Options) -> zarr.Group:
    """Create the group of a split and the arrays whose shards the jobs write.

    Parameters
    ----------
    writer : StoreWriter
    split : SplitInput
    options : Options

    Returns
    -------
    zarr.Group
    """
    n_images = len(split.names)
    group = writer.split(
        split.name,
        {
            "n_images": n_images,
            "images": split.has_images,
            "semantic_variant": split.semantic_variant,
            "sets": list(split.sets),
        },
    )
    declare_masks(
        group,
        n_images,
        split.grid,
        split.semantic_dtype,
        options.shard,
        attributes=_meanings(split.table),
    )
    if split.has_images:
        declare_files(group, n_images, split.longest, options.shard)
    if options.crop_index:
        declare_index(group, schema.CROP_GROUP, n_images, split.grid.chunk, options.shard)
    return group


def _meanings(table: RunTable) -> dict[str, Any]:
    """Say what the values of masks mean, as the CF conventions do."""
    categories = sorted(table.categories)
    words = [category.name.replace(" ", "_") for category in categories]
    return {
        "long_name": "category ids",
        "flag_values": [0, *(category.id for category in categories)],
        "flag_meanings": " ".join(["background", *words]),
    }


def write_annotations(groups: Mapping[str, zarr.Group], inputs: Sequence[SplitInput]) -> None:
    """Write the names of the images, the instances and the annotation files of all splits.

    Parameters
    ----------
    groups : mapping
        Name of each split -> its group.
    inputs : sequence of SplitInput
    """
    for split in inputs:
        group = groups[split.name]
        write_columns(group, schema.NAMES, {schema.NAME: as_strings(split.names)})
        # One after the other: together they take much memory.
        instances = split.annotations.instance_columns(split.names)
        write_columns(group.create_group("instances"), schema.INSTANCES, instances)
        del instances
        variants = split.annotations.variant_columns(split.names)
        write_columns(group.create_group("variants"), schema.VARIANTS, variants)


def write_image_columns(
    group: zarr.Group, split: SplitInput, found: Mapping[str, list[Any]]
) -> None:
    """Write what is known of each image; of files only if they are there.

    Parameters
    ----------
    group : zarr.Group
        Of the split.
    split : SplitInput
    found : mapping
        Column -> a value for each image, as the jobs have told; without those that are not known.
    """
    values: dict[str, NDArray[Any]] = {
        "height": split.table.heights.astype(np.int32),
        "width": split.table.widths.astype(np.int32),
        "set_name": as_strings(split.set_names),
    }
    of_shards = SHARD_COLUMNS if split.has_images else SHARD_COLUMNS[:1]
    for name in filter(found.__contains__, of_shards):
        dtype = schema.COLUMNS[name].dtype
        values[name] = as_strings(found[name]) if dtype == "str" else np.array(found[name], dtype)
    write_columns(group.create_group(schema.COLUMN_GROUP), schema.COLUMNS, values)


def tell(split: SplitInput, found: Mapping[str, list[Any]]) -> None:
    """Say what was left out or turned.

    Parameters
    ----------
    split : SplitInput
    found : mapping
        As for :func:`write_image_columns`.
    """
    n_alpha = sum(map(bool, found["has_alpha"]))
    n_turned = sum(o not in (None, 1) for o in found["orientation"])
    if n_alpha:
        logger.warning(
            "%s: %s an alpha channel, which is stored but is not part of the pixels",
            split.name,
            counted(n_alpha, "image has", "images have"),
        )
    if n_turned:
        logger.warning(
            "%s: %s turned by EXIF orientation, as the masks are",
            split.name,
            counted(n_turned, "image is", "images are"),
        )
