"""Stores, splits and samples as a notebook shows them: HTML with pictures in it.

A notebook shows whatever the last line of a cell returns. So nothing here raises for what is wrong
with a file: the text says so instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mtfast.errors import MtfastError, StoreError, counted
from mtfast.pictures.notebook import as_text, inline_picture
from mtfast.pictures.overlay import overlay
from mtfast.pictures.palette import class_colour
from mtfast.pictures.sheet import NO_IMAGE
from mtfast.store.reading.describe import describe
from mtfast.table import RunTable

if TYPE_CHECKING:
    from mtfast.store.reading.sample import Sample
    from mtfast.store.reading.selection import Selection
    from mtfast.store.reading.split import Split
    from mtfast.store.reading.store import Store

__all__ = ["sample_html", "selection_html", "split_html", "store_html"]

SAMPLE_SIDE = 400
TILE_SIDE = 240
N_TILES = 6
LINE = 300
# Larger ones are not decoded for a thumbnail: 64 million pixels take a second.
MOST_PIXELS = 1 << 26


def store_html(store: Store) -> str:
    """Describe a store: a table of its splits.

    Parameters
    ----------
    store : Store

    Returns
    -------
    str
        HTML.

    Examples
    --------
    >>> store_html(mtfast.open("graphene.zarr")).count("<tr>")
    2
    """
    rows = "".join(
        f"<tr><td>{as_text(name)}</td><td>{as_text(describe(split), LINE)}</td></tr>"
        for name, split in store.items()
    )
    return f"<div>mtfast store {as_text(str(store.path), LINE)}<table>{rows}</table></div>"


def split_html(split: Split) -> str:
    """Describe a split, with pictures of a few images that have instances.

    Parameters
    ----------
    split : Split

    Returns
    -------
    str
        HTML, of some 100 KB.

    Examples
    --------
    >>> split_html(mtfast.open("graphene.zarr")["train"]).count("<img")
    6
    """
    title = f"split {as_text(split.name)}: {as_text(describe(split), LINE)}"
    return f"<div>{title}{_tiles(split[_with_instances(split)])}</div>"


def selection_html(selection: Selection) -> str:
    """Describe a selection, with pictures of a few of its images.

    Parameters
    ----------
    selection : Selection

    Returns
    -------
    str
        HTML, of some 100 KB.

    Examples
    --------
    >>> selection_html(mtfast.open("graphene.zarr")["train"][:2]).count("<img")
    2
    """
    return f"<div>{as_text(repr(selection)[1:-1], LINE)}{_tiles(selection)}</div>"


def sample_html(sample: Sample) -> str:
    """Describe a sample, with its picture and the classes of its instances.

    Parameters
    ----------
    sample : Sample

    Returns
    -------
    str
        HTML, of some 40 KB.

    Examples
    --------
    >>> sample_html(mtfast.open("graphene.zarr")["train"][3]).count("<img")
    1
    """
    text = f"<div>{_caption(sample)}</div><div>{_legend(sample)}</div>"
    return f"<div>{_picture(sample, SAMPLE_SIDE)}{text}</div>"


def _tiles(selection: Selection) -> str:
    n = len(selection)
    chosen = np.linspace(0, n - 1, min(n, N_TILES)).round().astype(np.int64)
    figures = "".join(
        f'<figure style="margin:0">{_picture(sample, TILE_SIDE)}'
        f"<figcaption>{_caption(sample)}</figcaption></figure>"
        for sample in selection[chosen]
    )
    return f'<div style="display:flex;flex-wrap:wrap;gap:1em">{figures}</div>'


def _with_instances(split: Split) -> NDArray[np.int64]:
    """Return the images that have instances, or all if none has or nothing is known of them."""
    try:
        _, offsets = split.labels()
        found = split.images_of()[np.diff(offsets) > 0]
    except StoreError:
        found = np.empty(0, np.int64)
    return found if found.size else np.arange(split.n_images)


def _picture(sample: Sample, side: int) -> str:
    try:
        height, width = sample.size
        if height * width > MOST_PIXELS:
            return f"<p>{height} x {width} pixels are not drawn here</p>"
        if sample.split.has_images:
            return inline_picture(sample.overlay(), side)
        ground = np.full((height, width, 3), NO_IMAGE, np.uint8)
        return inline_picture(overlay(ground, sample.listed_instances, alpha=1), side)
    except (MtfastError, OSError) as error:
        return f"<p>{as_text(f'cannot be shown: {error}', LINE)}</p>"


def _caption(sample: Sample) -> str:
    try:
        height, width = sample.size
        n = counted(sample.listed_instances.n_instances, "instance")
        return f"{sample.index}: {as_text(sample.name)}, {height} x {width}, {n}"
    except (MtfastError, OSError):
        return f"{sample.index}"


def _legend(sample: Sample) -> str:
    try:
        table = sample.listed_instances
    except (MtfastError, OSError):
        return ""
    return "".join(
        f'<span style="margin-right:1em"><span style="background:rgb{class_colour(id_)};'
        f'display:inline-block;width:0.8em;height:0.8em"></span> {as_text(text)}</span>'
        for id_, text in _counts(table)
    )


def _counts(table: RunTable) -> list[tuple[int, str]]:
    """Return the id of each class that is used, and its name and number of instances."""
    names = {c.id: c.name for c in table.categories}
    ids, counts = np.unique(table.category_ids, return_counts=True)
    return [
        (id_, f"{names.get(id_, id_)} ({n:,})")
        for id_, n in zip(ids.tolist(), counts.tolist(), strict=True)
    ]
