"""``mtfast convert``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mtfast.cli.options import scheduler_option, splits_option, workers_option


@click.command()
@click.argument("src", type=click.Path(path_type=Path))
@click.argument("store", type=click.Path(path_type=Path))
@splits_option
@click.option("--semantic", metavar="VARIANT", help="Variant that the masks are painted from.")
@click.option("--images", type=click.Choice(["jpeg", "none"]), default="jpeg", show_default=True)
@click.option("--shard", default=64, show_default=True, type=click.IntRange(min=1))
@click.option(
    "--decode-check", is_flag=True, help="Decode every image, to find those that cannot be."
)
@click.option(
    "--crop-index", is_flag=True, help="Index the images, to decode windows of them alone."
)
@scheduler_option
@workers_option
@click.option("--overwrite", is_flag=True, help="Replace a store that is there.")
def convert(
    src: Path,
    store: Path,
    splits: tuple[str, ...],
    semantic: str | None,
    images: Any,
    shard: int,
    decode_check: bool,
    crop_index: bool,
    scheduler: str,
    workers: int | None,
    overwrite: bool,
) -> None:
    """Convert the dataset SRC to the new Zarr store STORE.

    SRC is a MaskTerial folder, a COCO .json file beside its images, or a folder with images/ and
    instance_masks/.
    """
    from mtfast.conversion.convert import convert as convert_dataset
    from mtfast.progress import ProgressDisplay
    from mtfast.store.reading.store import open_store

    with ProgressDisplay() as progress:
        made = convert_dataset(
            src,
            store,
            splits=splits or None,
            semantic=semantic,
            images=images,
            shard=shard,
            decode_check=decode_check,
            crop_index=crop_index,
            scheduler=scheduler,
            workers=workers,
            overwrite=overwrite,
            progress=progress,
        )
    opened = open_store(made)
    parts = ", ".join(f"{len(opened[name]):,} {name}" for name in opened)
    click.echo(f"{made}: {parts} images; open it with mtfast.open({str(made)!r})")
