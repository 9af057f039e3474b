"""A contact sheet: thumbnails with the outlines of their instances and a legend of classes."""

from __future__ import annotations

import os
from pathlib import Path

from mtfast.dataset import open_dataset
from mtfast.errors import MtfastError, SourceError
from mtfast.pictures.sheet import compose, picture_path, save_sheet
from mtfast.pictures.tiles import draw_tiles, legend
from mtfast.progress import Progress

__all__ = ["preview"]


def preview(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    split: str | None = None,
    n: int = 12,
    progress: Progress | None = None,
) -> Path:
    """Draw a contact sheet of a dataset.

    Parameters
    ----------
    path : path-like
        A source or a store.
    out : path-like
        The picture to write, .png or .jpg.
    split : str, optional
        By default the first one.
    n : int
        How many images, spread evenly over those that have instances.

    Returns
    -------
    Path
        Of the picture.

    Raises
    ------
    MtfastError
        If there is no such split, no image in it, or the picture cannot be written.

    Examples
    --------
    >>> mtfast.report.preview.preview("graphene.zarr", "sheet.png", n=6)     # doctest: +SKIP
    """
    target = picture_path(out)
    if n < 1:
        raise MtfastError(f"{n} images for a preview; expected at least 1; the default is 12")
    dataset = open_dataset(path)
    name = split or next(iter(dataset.splits))
    if name not in dataset.splits:
        raise MtfastError(
            f"no split {name!r} in {path}; expected one of {', '.join(dataset.splits)}; "
            f"pick one of these"
        )
    view = dataset.splits[name]
    table = view.table()
    if not table.n_images:
        raise SourceError(f"split {name!r} of {path} has no images; expected one; pick another")
    tiles = draw_tiles(view, table, n, progress)
    about = (
        f"{name}  ·  {table.n_images:,} images  ·  {table.n_instances:,} instances  ·  "
        f"{view.semantic_variant}"
    )
    sheet = compose(tiles, Path(path).resolve().name, about, legend(table))
    save_sheet(sheet, target)
    return target
