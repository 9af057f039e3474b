"""``mtfast demo``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mtfast.cli.options import workers_option
from mtfast.cli.output import show_progress
from mtfast.cli.values import NewFolder

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@click.argument("folder", metavar="[DIR]", type=NewFolder(), default="mtfast-demo")
@workers_option
def demo(folder: Path, workers: int | None) -> None:
    """Make a small set, convert, check, draw and time it.

    All goes into DIR, mtfast-demo by default. Random reads are checked against the source, and
    timed beside the usual ways. A set that an earlier demo made is used again.
    """
    from mtfast.demo import run_demo

    with show_progress() as progress:
        run_demo(folder, workers=workers, progress=progress)
