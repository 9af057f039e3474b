"""``mtfast preview``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mtfast.cli.options import (
    DATASET,
    bad_option,
    dataset_of,
    expect_dataset,
    ground_truth_option,
    image_folder_option,
    map_option,
    orientation_option,
    rasterizer_option,
    variant_option,
)
from mtfast.cli.output import show_progress, tell
from mtfast.cli.values import AnyPath

if TYPE_CHECKING:
    from pathlib import Path

    from mtfast.rles.rasterizers import Rasterizer
    from mtfast.sources import Orientation
    from mtfast.sources.bad_records import Policy


@click.command()
@click.argument("dataset", metavar=DATASET, nargs=-1, type=AnyPath())
@click.argument("out", metavar="OUT", type=AnyPath(), required=False)
@click.option("-o", "--out", "older_out", type=AnyPath(), hidden=True)
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
    dataset: tuple[str, ...],
    out: str | None,
    older_out: str | None,
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

    if older_out is not None and out is not None:
        # OUT was an option once.
        dataset, out = (*dataset, out), older_out
    expect_dataset(dataset, "OUT")
    if at_random and seed is None:
        seed = secrets.randbelow(100_000)
    with show_progress() as progress:
        source = dataset_of(
            dataset,
            image_folder=image_folder,
            bad=bad,
            mapping=mapping,
            rasterizer=rasterizer,
            ground_truth=ground_truth,
            orientation=orientation,
        )
        made = draw_preview(
            source,
            out or "",
            split=split,
            variant=variant,
            n=n,
            zoom=zoom,
            seed=seed,
            progress=progress,
        )
    tell(str(made) if seed is None else f"{made}: images picked with --seed {seed}")
