"""``mtfast masks``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from mtfast.cli.options import (
    DATASET,
    bad_option,
    dataset_of,
    expect_dataset,
    format_option,
    ground_truth_option,
    map_option,
    min_area_option,
    overlap_option,
    overwrite_option,
    rasterizer_option,
    scheduler_option,
    splits_option,
    variant_option,
    workers_option,
)
from mtfast.cli.output import show_progress, tell
from mtfast.cli.values import AnyPath, Choice, NewFolder, PixelSize

if TYPE_CHECKING:
    from pathlib import Path

    from mtfast.rles.rasterizers import Rasterizer
    from mtfast.sources.bad_records import Policy


@click.command()
@click.argument("dataset", metavar=DATASET, nargs=-1, type=AnyPath())
@click.argument("out", type=NewFolder())
@format_option("zarr", "png", "tiff")
@splits_option
@variant_option
@min_area_option
@click.option(
    "--category",
    "categories",
    multiple=True,
    type=int,
    metavar="ID",
    show_default="all",
    help="Only this class; repeatable.",
)
@map_option
@overlap_option("first", "largest", "smallest", "error")
@click.option(
    "--kind",
    metavar="KIND",
    type=Choice(["semantic", "instance", "binary", "boundary"]),
    default="semantic",
    show_default=True,
    help="semantic: classes; instance: 1, 2, ... in file order; binary: 0 and 1; "
    "boundary: classes, on outlines alone.",
)
@click.option("--palette", is_flag=True, help="png: pixels are indices into a colour palette.")
@click.option("--file-per-image", is_flag=True, help="tiff: a file for each image, not a stack.")
@click.option(
    "--pixel-size",
    type=PixelSize(),
    help="tiff: width of a pixel, such as 0.1um.",
)
@bad_option
@rasterizer_option
@ground_truth_option
@scheduler_option
@workers_option
@overwrite_option
def masks(
    dataset: tuple[str, ...],
    out: Path,
    format: Any,  # noqa: A002 - named as the option
    splits: tuple[str, ...],
    variant: str | None,
    min_area: float | None,
    categories: tuple[int, ...],
    mapping: tuple[tuple[int, int], ...],
    overlap: Any,
    kind: Any,
    palette: bool,
    file_per_image: bool,
    pixel_size: float | None,
    bad: Policy,
    rasterizer: Rasterizer,
    ground_truth: Path | str | None,
    scheduler: str,
    workers: int | None,
    overwrite: bool,
) -> None:
    """Write the masks of a dataset as arrays, PNG or TIFF files.

    \b
      zarr  OUT/SPLIT/KIND, as in a store
      png   OUT/SPLIT_KIND_masks/STEM.png
      tiff  OUT/SPLIT_KIND_masks.tif, a stack for Fiji
            --file-per-image: OUT/SPLIT_KIND_masks/STEM.tif

    Masks that are there already are left alone.
    """  # noqa: D301 - click reads the backspace
    from mtfast.errors import counted
    from mtfast.export import export_masks

    expect_dataset(dataset, "OUT")
    # Class 0 has to get another number before it is read: it is background in masks.
    zero = [pair for pair in mapping if pair[0] == 0]
    source = dataset_of(
        dataset, bad=bad, mapping=zero, rasterizer=rasterizer, ground_truth=ground_truth
    )
    others = mapping if isinstance(source, str) else [pair for pair in mapping if pair not in zero]
    with show_progress() as progress:
        made = export_masks(
            source,
            out,
            format=format,
            splits=splits or None,
            variant=variant,
            min_area=min_area,
            categories=categories or None,
            mapping=dict(others),
            overlap=overlap,
            kind=kind,
            palette=palette,
            file_per_image=file_per_image,
            pixel_size=pixel_size,
            scheduler=scheduler,
            workers=workers,
            overwrite=overwrite,
            progress=progress,
        )
    counts = ", ".join(
        f"{n:,} {split} ({made.variants[split]})" for split, n in made.n_images.items()
    )
    there = sum(made.n_images.values()) - made.n_written
    kept = f"; {there:,} of them were there" if there else ""
    if made.n_crowds:
        tell(f"note: {counted(made.n_crowds, 'crowd')} painted as other instances are")
    tell(f"{made.path}: masks of {counts}{kept}")
