"""``mtfast demo``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mtfast.cli.options import LocalPath, workers_option
from mtfast.cli.output import show_progress

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@click.argument("folder", metavar="[DIR]", type=LocalPath(), default="mtfast-demo")
@workers_option
def demo(folder: Path, workers: int | None) -> None:
    """Run the main job on a small set that it makes in DIR.

    DIR is mtfast-demo by default. The demo makes the set, converts it, checks random reads against
    the source, draws a preview and prints a table of rates. A set that an
    earlier demo made is used again.
    """
    from mtfast.demo import run_demo

    with show_progress() as progress:
        run_demo(folder, workers=workers, progress=progress)
