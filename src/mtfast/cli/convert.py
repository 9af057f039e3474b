"""``mtfast convert``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from mtfast.cli.options import (
    bad_option,
    decode_check_option,
    expect_dataset,
    ground_truth_option,
    image_folder_option,
    images_option,
    map_option,
    number_option,
    orientation_option,
    overwrite_option,
    path_or_files,
    rasterizer_option,
    scheduler_option,
    splits_option,
    variant_option,
    workers_option,
)
from mtfast.cli.output import show_progress, tell
from mtfast.cli.values import AnyPath, NewStore

if TYPE_CHECKING:
    from pathlib import Path

    from mtfast.addresses import Address
    from mtfast.rles.rasterizers import Rasterizer
    from mtfast.sources.bad_records import Policy


@click.command()
@click.argument("src", metavar="SRC...", nargs=-1, type=AnyPath())
@click.argument("store", type=NewStore())
@splits_option
@variant_option
@bad_option
@rasterizer_option
@map_option
@image_folder_option
@ground_truth_option
@images_option
@number_option("--shard", default=64, least=1, about="Images in a shard file.")
@decode_check_option
@click.option(
    "--crop-index", is_flag=True, help="Index the images, so that windows of them decode alone."
)
@orientation_option
@scheduler_option
@workers_option
@overwrite_option
def convert(
    src: tuple[str, ...],
    store: Path | Address,
    splits: tuple[str, ...],
    variant: str | None,
    bad: Policy,
    rasterizer: Rasterizer,
    mapping: tuple[tuple[int, int], ...],
    ground_truth: Path | str | None,
    image_folder: Path | str | None,
    images: Any,
    shard: int,
    decode_check: bool,
    crop_index: bool,
    orientation: Any,
    scheduler: str,
    workers: int | None,
    overwrite: bool,
) -> None:
    """Convert a dataset to a new store.

    SRC is a MaskTerial folder, a COCO .json file beside its images or a folder of such files, a
    folder of labelme files, an export of Label Studio, a set of YOLO or SA-1B, or a folder of
    images, with or without masks; or a zip of one, or an address such as s3://bucket/set.zip.
    Several COCO files are given as train=a.json val=b.json. STORE is a new folder, or an address
    such as s3://bucket/graphene.zarr. A run that was stopped goes on when the same line is run
    again.
    """
    from mtfast.conversion.convert import convert as convert_dataset
    from mtfast.store.reading.store import open_store

    expect_dataset(src, "STORE")
    with show_progress() as progress:
        made = convert_dataset(
            path_or_files(src),
            store,
            splits=splits or None,
            variant=variant,
            bad=bad,
            mapping=dict(mapping),
            image_folder=image_folder,
            rasterizer=rasterizer,
            ground_truth=ground_truth,
            images=images,
            shard=shard,
            decode_check=decode_check,
            crop_index=crop_index,
            orientation=orientation,
            scheduler=scheduler,
            workers=workers,
            overwrite=overwrite,
            progress=progress,
        )
    opened = open_store(str(made))
    counts = ", ".join(f"{len(opened[name]):,} {name}" for name in opened)
    for of_split in opened.attributes.get("findings", {}).values():
        for found in of_split:
            more = ", ..." if found["n"] > len(found["examples"]) else ""
            examples = ", ".join(found["examples"])
            line = f"{found['n']:,} x {found['kind']} ({examples}{more}): {found['done']}"
            tell(f"{found['file']}: {line}")
    noun = "image" if sum(len(opened[name]) for name in opened) == 1 else "images"
    tell(f"{made}: {counts} {noun}; open it with mtfast.open({str(made)!r})")
