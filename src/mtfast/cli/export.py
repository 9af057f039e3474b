"""``mtfast export``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from mtfast.cli.options import (
    DATASET,
    bad_option,
    dataset_of,
    expect_dataset,
    format_option,
    ground_truth_option,
    image_folder_option,
    map_option,
    orientation_option,
    overwrite_option,
    rasterizer_option,
    splits_option,
    variant_option,
)
from mtfast.cli.output import show_progress, tell
from mtfast.cli.values import AnyPath, Choice, NewFolder

if TYPE_CHECKING:
    from pathlib import Path

    from mtfast.interchange import ExportedAnnotations
    from mtfast.rles.rasterizers import Rasterizer
    from mtfast.sources import Orientation
    from mtfast.sources.bad_records import Policy


@click.command()
@click.argument("dataset", metavar=DATASET, nargs=-1, type=AnyPath())
@click.argument("out", type=NewFolder())
@format_option("coco", "yolo", "geojson", "labelme")
@splits_option
@variant_option
@click.option(
    "--images",
    metavar="HOW",
    type=Choice(["link", "copy", "none"]),
    default="link",
    show_default=True,
    help="Link image files, copy them, or leave them out: link, copy, none.",
)
@click.option(
    "--shapes",
    metavar="KIND",
    type=Choice(["mask", "polygon"]),
    show_default="mask",
    help="labelme: a mask for each instance, or a polygon for each of its parts.",
)
@bad_option
@rasterizer_option
@map_option
@image_folder_option
@ground_truth_option
@orientation_option
@overwrite_option
def export(
    dataset: tuple[str, ...],
    out: Path,
    format: Any,  # noqa: A002 - named as the option
    splits: tuple[str, ...],
    variant: str | None,
    images: Any,
    shapes: Any,
    bad: Policy,
    rasterizer: Rasterizer,
    mapping: tuple[tuple[int, int], ...],
    image_folder: Path | str | None,
    ground_truth: Path | str | None,
    orientation: Orientation | None,
    overwrite: bool,
) -> None:
    """Write annotations for other tools.

    \b
      coco     OUT/annotations/instances_SPLIT.json
      yolo     OUT/data.yaml, OUT/labels/SPLIT/STEM.txt
      geojson  OUT/SPLIT/STEM.geojson, for QuPath
      labelme  OUT/SPLIT/STEM.json

    Images are beside STEM.geojson and STEM.json, else in OUT/images/SPLIT. What a format cannot
    hold is counted.
    """  # noqa: D301 - click reads the backspace
    from mtfast.interchange import export_annotations

    expect_dataset(dataset, "OUT")
    with show_progress() as progress:
        done = export_annotations(
            dataset_of(
                dataset,
                image_folder=image_folder,
                bad=bad,
                mapping=mapping,
                rasterizer=rasterizer,
                ground_truth=ground_truth,
                orientation=orientation,
            ),
            out,
            format=format,
            splits=splits or None,
            variant=variant,
            images=images,
            shapes=shapes,
            overwrite=overwrite,
            progress=progress,
        )
    _tell_all(done)


def _tell_all(done: ExportedAnnotations) -> None:
    from mtfast.errors import counted

    counts = ", ".join(
        f"{counted(done.n_instances[split], 'instance')} on {counted(n, 'image')} of {split} "
        f"({done.variants[split]})"
        for split, n in done.n_images.items()
    )
    tell(f"{done.path}: {counts}; {counted(done.n_image_files, 'image file')}")
    for note in done.notes:
        tell(f"note: {note}")
    for line in done.loss_lines():
        tell(f"note: {line}")
