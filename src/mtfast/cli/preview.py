"""``mtfast preview``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("path", metavar="SRC|STORE", type=click.Path(path_type=Path))
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="Picture.")
@click.option("--split", metavar="S", help="Default: the first.")
@click.option("-n", "n", default=12, show_default=True, type=click.IntRange(min=1))
def preview(path: Path, out: Path, split: str | None, n: int) -> None:
    """Draw a contact sheet with the outlines of all instances and a legend."""
    from mtfast.progress import ProgressDisplay
    from mtfast.report.preview import preview as draw_preview

    with ProgressDisplay() as progress:
        made = draw_preview(path, out, split=split, n=n, progress=progress)
    click.echo(str(made))
