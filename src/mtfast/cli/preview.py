"""``mtfast preview``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mtfast.cli.options import DATASET, LocalPath, number_option

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@click.argument("dataset", metavar=DATASET, type=LocalPath())
@click.argument("out", metavar="OUT", type=LocalPath(), required=False)
@click.option("-o", "--out", "older_out", type=LocalPath(), hidden=True)
@click.option("--split", metavar="S", show_default="the first", help="Split to draw.")
@number_option("-n", default=12, least=1, about="Images, spread evenly over those with instances.")
def preview(
    dataset: Path, out: Path | None, older_out: Path | None, split: str | None, n: int
) -> None:
    """Draw a contact sheet of a dataset into OUT.

    OUT is a .png or .jpg. It shows the outlines of all instances and a legend of the classes.
    """
    from mtfast.progress import ProgressDisplay
    from mtfast.report.preview import preview as draw_preview

    # OUT was an option once.
    picture = out or older_out
    if picture is None:
        raise click.UsageError("Missing argument 'OUT'")
    with ProgressDisplay() as progress:
        made = draw_preview(dataset, picture, split=split, n=n, progress=progress)
    click.echo(str(made))
