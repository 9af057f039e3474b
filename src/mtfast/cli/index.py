"""``mtfast index``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mtfast.cli.options import overwrite_option, scheduler_option, workers_option
from mtfast.cli.output import show_progress, tell
from mtfast.cli.values import LocalPath
from mtfast.errors import counted

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@click.argument("store", type=LocalPath())
@scheduler_option
@workers_option
@overwrite_option
def index(store: Path, scheduler: str, workers: int | None, overwrite: bool) -> None:
    """Add a crop index, so that windows of images decode alone.

    The crop index takes about a percent of the image files. The store can be read all the time.
    """
    from mtfast.conversion.crop_index import add_crop_index

    with show_progress() as progress:
        found = add_crop_index(
            store, overwrite=overwrite, scheduler=scheduler, workers=workers, progress=progress
        )
    for split in found:
        tell(
            f"{split.name}: {split.n_indexed:,} of {counted(split.n_images, 'image')} indexed, "
            f"{split.n_bytes / 1e6:.1f} MB"
        )
    if not found:
        tell(f"{store}: no images without an index; --overwrite makes one again")
