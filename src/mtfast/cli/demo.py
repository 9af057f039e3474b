"""``mtfast demo``."""

from __future__ import annotations

from pathlib import Path

import click

from mtfast.cli.options import workers_option


@click.command()
@click.argument("folder", metavar="[DIR]", type=click.Path(path_type=Path), default="mtfast-demo")
@workers_option
def demo(folder: Path, workers: int | None) -> None:
    """Do the main job on a small set that is made first, into DIR (default mtfast-demo)."""
    from mtfast.demo import run_demo
    from mtfast.progress import ProgressDisplay

    with ProgressDisplay() as progress:
        run_demo(folder, workers=workers, progress=progress)
