"""``mtfast preview``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mtfast.cli.options import (
    DATASET,
    bad_option,
    dataset_of,
    ground_truth_option,
    image_folder_option,
    map_option,
    orientation_option,
    rasterizer_option,
    variant_option,
)
from mtfast.cli.output import show_progress, tell
from mtfast.cli.values import LocalPath, SourceLocation

if TYPE_CHECKING:
    from pathlib import Path

    from mtfast.rles.rasterizers import Rasterizer
    from mtfast.sources import Orientation
    from mtfast.sources.bad_records import Policy


@click.command()
@click.argument("dataset", metavar=DATASET, type=SourceLocation())
@click.argument("out", metavar="OUT", type=LocalPath(), required=False)
@click.option("-o", "--out", "older_out", type=LocalPath(), hidden=True)
@click.option("--split", metavar="S", show_default="the first", help="Split to draw.")
@variant_option
@click.option(
    "-n",
    metavar="N",
    default=12,
    show_default=True,
    type=click.IntRange(min=1, max=200),
    help="Images, spread evenly over those with instances.",
)
@click.option(
    "--zoom", is_flag=True, help="Show a window around an instance of each, and its scale."
)
@click.option(
    "--random", "at_random", is_flag=True, help="Pick the images at random; prints the seed."
)
@click.option(
    "--seed", metavar="N", type=click.IntRange(min=0), help="Pick those of an earlier --random."
)
@bad_option
@rasterizer_option
@map_option
@image_folder_option
@ground_truth_option
@orientation_option
def preview(
    dataset: Path | str,
    out: Path | None,
    older_out: Path | None,
    split: str | None,
    variant: str | None,
    n: int,
    zoom: bool,
    at_random: bool,
    seed: int | None,
    bad: Policy,
    rasterizer: Rasterizer,
    mapping: tuple[tuple[int, int], ...],
    image_folder: Path | str | None,
    ground_truth: Path | str | None,
    orientation: Orientation | None,
) -> None:
    """Draw images of a dataset with outlines of all instances.

    OUT is a .png or .jpg, with a legend of the classes that are in these images.
    """
    import secrets

    from mtfast.report.preview import preview as draw_preview

    # OUT was an option once.
    picture = out or older_out
    if picture is None:
        raise click.UsageError("Missing argument 'OUT'")
    if at_random and seed is None:
        seed = secrets.randbelow(100_000)
    with show_progress() as progress:
        source = dataset_of(
            dataset, image_folder, bad, mapping, rasterizer, ground_truth, orientation
        )
        made = draw_preview(
            source,
            picture,
            split=split,
            variant=variant,
            n=n,
            zoom=zoom,
            seed=seed,
            progress=progress,
        )
    tell(str(made) if seed is None else f"{made}: images picked with --seed {seed}")
