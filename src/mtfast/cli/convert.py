"""``mtfast convert``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from mtfast.cli.options import (
    LocalPath,
    decode_check_option,
    images_option,
    number_option,
    overwrite_option,
    scheduler_option,
    splits_option,
    variant_option,
    workers_option,
)

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@click.argument("src", type=LocalPath())
@click.argument("store", type=LocalPath())
@splits_option
@variant_option
@images_option
@number_option("--shard", default=64, least=1, about="Images in a shard file.")
@decode_check_option
@click.option(
    "--crop-index", is_flag=True, help="Index the images, so that windows decode by themselves."
)
@scheduler_option
@workers_option
@overwrite_option
def convert(
    src: Path,
    store: Path,
    splits: tuple[str, ...],
    variant: str | None,
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
            variant=variant,
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
    counts = ", ".join(f"{len(opened[name]):,} {name}" for name in opened)
    click.echo(f"{made}: {counts} images; open it with mtfast.open({str(made)!r})")
