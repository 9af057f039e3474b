"""A contact sheet: thumbnails with the outlines of their instances and a legend of classes."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from mtfast.dataset import DatasetLike, open_dataset
from mtfast.errors import MtfastError, SourceError, counted
from mtfast.pictures.sheet import MOST_TILES, compose, picture_path, save_sheet
from mtfast.progress import Progress, shows_progress
from mtfast.report.tiles import choose_images, draw_tiles, legend
from mtfast.sources import Source

__all__ = ["preview"]

logger = logging.getLogger(__name__)


@shows_progress
def preview(
    dataset: DatasetLike,
    out: str | os.PathLike[str],
    *,
    split: str | None = None,
    variant: str | None = None,
    n: int = 12,
    zoom: bool = False,
    seed: int | None = None,
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
    variant : str, optional
        The annotations that are drawn; by default those that masks are painted from.
    n : int
        How many images, 1 to 200, spread evenly over those that have instances.
    zoom : bool
        Show a window around an instance of each image, and how much it is magnified, instead of
        the whole image.
    seed : int, optional
        Pick the images at random; the same seed picks the same ones.
    progress : bool or callable, optional
        True shows the command line's bar; a function is called as (what, done, total).

    Returns
    -------
    Path
        Of the picture.

    Raises
    ------
    MtfastError
        If there is no such split or variant, it has no images, one of them does not decode, or the
        picture cannot be written.

    Examples
    --------
    >>> preview("graphene.zarr", "sheet.png", n=6).name
    'sheet.png'
    """
    target = picture_path(out)
    if not 1 <= n <= MOST_TILES:
        raise MtfastError(
            f"{n} images for a preview; expected 1 to {MOST_TILES}; the default is 12"
        )
    opened = open_dataset(dataset)
    view = opened.split(split)
    table = view.table(variant)
    if not table.n_images:
        raise SourceError(
            f"split {view.name!r} of {opened.path} has no images; expected one; pick another"
        )
    if not view.has_images:
        logger.warning("%s is without images: outlines are drawn on grey", view.name)
    skip_bad = isinstance(dataset, Source) and dataset.bad == "skip"
    chosen = choose_images(table, n, seed)
    tiles = draw_tiles(view, table, chosen, progress, zoom=zoom, skip_bad=skip_bad)
    about = [view.name, counted(table.n_images, "image"), counted(table.n_instances, "instance")]
    about.append(variant or view.semantic_variant)
    if seed is not None:
        about.append(f"{len(tiles)} at random, seed {seed}")
    sheet = compose(tiles, opened.name, "  ·  ".join(about), legend(table, tiles))
    save_sheet(sheet, target)
    return target
