"""What an export reads before it writes: the annotations of every split, and whether all fits."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import fields

import numpy as np

from mtfast.dataset import DatasetView, SplitView
from mtfast.errors import MtfastError
from mtfast.export.mask_format import MaskFormat, MaskSplit
from mtfast.painting.mask_kinds import MaskSpec, known_categories
from mtfast.painting.paint import semantic_dtype
from mtfast.progress import Progress, step
from mtfast.table import RunTable

__all__ = ["read_splits"]

logger = logging.getLogger(__name__)

# Images that are looked at together before anything is written.
_BLOCK = 4096


def read_splits(
    dataset: DatasetView,
    splits: Sequence[str] | None,
    variant: str | None,
    spec: MaskSpec,
    mask_format: MaskFormat,
    progress: Progress | None,
) -> list[MaskSplit]:
    """Read the annotations of some splits and make sure that their masks can be written.

    Parameters
    ----------
    dataset : DatasetView
    splits : sequence of str, optional
        All by default.
    variant : str, optional
        By default the one that the semantic masks of a split are painted from.
    spec : MaskSpec
        Which instances show, and as what.
    mask_format : MaskFormat
    progress : callable or None
        Called as (what, done, total).

    Returns
    -------
    list of MaskSplit

    Raises
    ------
    SourceError, RLEError, StoreError
        If there is no such split or variant, or its annotations are malformed.
    MtfastError
        If a split has no images, categories are chosen that do not exist, instances
        overlap that must not, or the format cannot hold the masks.
    """
    names = tuple(dict.fromkeys(splits)) if splits else tuple(dataset.splits)
    views = [dataset.split(name) for name in names]
    chosen = {view.name: variant or view.semantic_variant for view in views}
    tables = {view.name: _read(view, chosen[view.name], progress) for view in views}
    spec.expect_known(known_categories(b for t in tables.values() for b in _blocks(t)))
    found = []
    for name, table in tables.items():
        low, high = _range_of_values(table, spec)
        dtype = semantic_dtype(np.array([low, high]))
        split = MaskSplit(name, chosen[name], table, dtype, largest=high)
        mask_format.check(split)
        logger.info("%s masks of %s are made from %s", spec.kind, name, chosen[name])
        found.append(split)
    return found


def _read(view: SplitView, variant: str, progress: Progress | None) -> RunTable:
    with step(f"reading annotations of {view.name}", progress):
        table = view.table(variant)
    if not table.n_images:
        raise MtfastError(
            f"split {view.name!r} has no images; expected at least one; leave it out with "
            f"splits=[…]"
        )
    return _without_stated(table)


def _without_stated(table: RunTable) -> RunTable:
    """Drop what files state of areas and boxes, a sixth of a table: masks do not show it."""
    columns = {field.name: getattr(table, field.name) for field in fields(table)}
    for name in ("stated_area", "stated_bbox"):
        columns[name] = np.broadcast_to(np.nan, columns[name].shape)
    return RunTable.unchecked(**columns)


def _blocks(table: RunTable) -> Iterator[RunTable]:
    return (
        table.images(slice(start, start + _BLOCK)) for start in range(0, table.n_images, _BLOCK)
    )


def _range_of_values(table: RunTable, spec: MaskSpec) -> tuple[int, int]:
    """Find the smallest and largest value of all masks; refuse what :class:`MaskSpec` refuses."""
    low = high = 0
    for whole in _blocks(table):
        block = spec.values(whole)
        low = min(low, int(block.category_ids.min(initial=0)))
        high = max(high, int(block.category_ids.max(initial=0)))
        if spec.overlap == "error":
            spec.arrange(block)
    if spec.kind == "instance" and high > 65535:
        raise MtfastError(
            f"an image with {high} instances; expected at most 65535 in one mask; "
            f"leave small ones out with a minimum area"
        )
    return low, high
