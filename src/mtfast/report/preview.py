"""A contact sheet: thumbnails with the outlines of their instances and a legend of classes."""

from __future__ import annotations

import os
from pathlib import Path

from mtfast.dataset import DatasetLike, open_dataset
from mtfast.errors import MtfastError, SourceError, counted
from mtfast.pictures.sheet import compose, picture_path, save_sheet
from mtfast.pictures.tiles import draw_tiles, legend
from mtfast.progress import Progress
from mtfast.sources import Source

__all__ = ["preview"]


def preview(
    dataset: DatasetLike,
    out: str | os.PathLike[str],
    *,
    split: str | None = None,
    n: int = 12,
    progress: Progress | None = None,
) -> Path:
    """Draw a contact sheet of a dataset.

    Parameters
    ----------
    dataset : path-like, Source or Store
        A source or a store; see :func:`mtfast.dataset.open_dataset`. Of a source that was opened
        with ``bad="skip"``, images that cannot be read are drawn without their pixels.
    out : path-like
        The picture to write, .png or .jpg.
    split : str, optional
        By default the first one.
    n : int
        How many images, spread evenly over those that have instances.
    progress : callable, optional
        Called as (what, done, total).

    Returns
    -------
    Path
        Of the picture.

    Raises
    ------
    MtfastError
        If there is no such split, it has no images, one of them does not decode, or the picture
        cannot be written.

    Examples
    --------
    >>> preview("graphene.zarr", "sheet.png", n=6).name
    'sheet.png'
    """
    target = picture_path(out)
    if n < 1:
        raise MtfastError(f"{n} images for a preview; expected at least 1; the default is 12")
    opened = open_dataset(dataset)
    view = opened.split(split)
    table = view.table()
    if not table.n_images:
        raise SourceError(
            f"split {view.name!r} of {opened.path} has no images; expected one; pick another"
        )
    skip_bad = isinstance(dataset, Source) and dataset.bad == "skip"
    tiles = draw_tiles(view, table, n, progress, skip_bad=skip_bad)
    about = (
        f"{view.name}  ·  {counted(table.n_images, 'image')}  ·  "
        f"{counted(table.n_instances, 'instance')}  ·  {view.semantic_variant}"
    )
    sheet = compose(tiles, opened.name, about, legend(table))
    save_sheet(sheet, target)
    return target
