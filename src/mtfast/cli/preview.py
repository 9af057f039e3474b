"""``mtfast preview``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mtfast.cli.options import (
    DATASET,
    bad_option,
    dataset_of,
    image_folder_option,
    map_option,
    number_option,
)
from mtfast.cli.output import show_progress, tell
from mtfast.cli.values import LocalPath

if TYPE_CHECKING:
    from pathlib import Path

    from mtfast.sources.bad_records import Policy


@click.command()
@click.argument("dataset", metavar=DATASET, type=LocalPath())
@click.argument("out", metavar="OUT", type=LocalPath(), required=False)
@click.option("-o", "--out", "older_out", type=LocalPath(), hidden=True)
@click.option("--split", metavar="S", show_default="the first", help="Split to draw.")
@number_option("-n", default=12, least=1, about="Images, spread evenly over those with instances.")
@bad_option
@map_option
@image_folder_option
def preview(
    dataset: Path,
    out: Path | None,
    older_out: Path | None,
    split: str | None,
    n: int,
    bad: Policy,
    mapping: tuple[tuple[int, int], ...],
    image_folder: Path | None,
) -> None:
    """Draw images of a dataset with outlines of all instances.

    OUT is a .png or .jpg: a contact sheet with a legend of the classes.
    """
    from mtfast.report.preview import preview as draw_preview

    # OUT was an option once.
    picture = out or older_out
    if picture is None:
        raise click.UsageError("Missing argument 'OUT'")
    with show_progress() as progress:
        source = dataset_of(dataset, image_folder, bad, mapping)
        made = draw_preview(source, picture, split=split, n=n, progress=progress)
    tell(str(made))
