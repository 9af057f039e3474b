"""``mtfast info``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mtfast.cli.options import (
    DATASET,
    bad_option,
    dataset_of,
    ground_truth_option,
    image_folder_option,
    json_option,
    map_option,
    orientation_option,
    rasterizer_option,
)
from mtfast.cli.output import echo, echo_json, show_progress, tell
from mtfast.cli.tables import NumberTable, make_console, show, text_of
from mtfast.cli.usage import BadUsageError
from mtfast.cli.values import AnyPath, LocalPath
from mtfast.errors import counted

if TYPE_CHECKING:
    from pathlib import Path

    from mtfast.report.summary import DatasetSummary, SplitSummary
    from mtfast.rles.rasterizers import Rasterizer
    from mtfast.sources import Orientation, Source
    from mtfast.sources.bad_records import Policy


@click.command()
@click.argument("dataset", metavar=DATASET, nargs=-1, required=True, type=AnyPath())
@json_option
@click.option(
    "--areas",
    metavar="OUT.csv",
    type=LocalPath(),
    help="Only write a table with a row for each instance.",
)
@click.option(
    "--plots",
    metavar="OUT.html|.png",
    type=LocalPath(),
    help="Only draw classes, areas, coverage and example images. Needs matplotlib.",
)
@click.option(
    "--um2-per-px",
    metavar="F",
    type=click.FloatRange(min=0, min_open=True),
    help="Area of a pixel in square micrometres, for --areas and --plots.",
)
@bad_option
@rasterizer_option
@map_option
@image_folder_option
@ground_truth_option
@orientation_option
def info(
    dataset: tuple[str, ...],
    as_json: bool,
    areas: Path | None,
    plots: Path | None,
    um2_per_px: float | None,
    bad: Policy,
    rasterizer: Rasterizer,
    mapping: tuple[tuple[int, int], ...],
    image_folder: Path | str | None,
    ground_truth: Path | str | None,
    orientation: Orientation | None,
) -> int:
    """Show the splits, annotation files and classes of a dataset.

    Bad records are counted, and shown as if they were repaired or left out; --bad and --map are for
    --areas and --plots. Exits with status 2 if an annotation file cannot be read at all.
    """
    if areas or plots:
        if as_json:
            raise BadUsageError(
                "--json with --areas or --plots; expected one or the other; leave one out"
            )
        opened = dataset_of(
            dataset,
            image_folder=image_folder,
            bad=bad,
            mapping=mapping,
            rasterizer=rasterizer,
            ground_truth=ground_truth,
            orientation=orientation,
        )
        _write_report(
            opened,
            _name_of(opened),
            areas,
            plots,
            um2_per_px,
        )
        return 0
    if um2_per_px is not None:
        raise BadUsageError(
            "--um2-per-px without --areas or --plots; expected what is to be measured; add one"
        )
    from mtfast.report.summary import summarise

    with show_progress() as progress:
        opened = dataset_of(
            dataset, image_folder=image_folder, rasterizer=rasterizer, ground_truth=ground_truth
        )
        summary = summarise(opened, progress=progress)
    if as_json:
        echo_json(summary.as_dict())
    else:
        _print_summary(summary)
    unreadable = [reason for split in summary.splits for reason in split.unreadable.values()]
    for reason in unreadable:
        echo(f"mtfast: error: {reason}", err=True)
    return 2 if unreadable else 0


def _name_of(dataset: str | Source) -> str:
    from mtfast.addresses import Address, locate

    at = locate(dataset) if isinstance(dataset, str) else dataset.path
    return at.name if isinstance(at, Address) else at.resolve().name


def _write_report(
    dataset: str | Source,
    title: str,
    areas: Path | None,
    plots: Path | None,
    um2_per_px: float | None,
) -> None:
    from mtfast.report import (
        check_area_table,
        check_plots,
        read_instances,
        write_area_table,
        write_plots,
    )

    if areas:
        check_area_table(areas)
    if plots:
        check_plots(plots)
    with show_progress() as progress:
        splits = read_instances(dataset, progress=progress)
        made = []
        if areas:
            made.append(write_area_table(splits, areas, um2_per_px))
        if plots:
            made.append(
                write_plots(splits, plots, title=title, um2_per_px=um2_per_px, progress=progress)
            )
    for file in made:
        tell(str(file))


def _print_summary(summary: DatasetSummary) -> None:
    console = make_console()
    # pycocotools' pixels are what readers of COCO expect, and most sets have no polygons.
    is_other = summary.rasterizer != "pycocotools"
    drawn = f", polygons drawn by {summary.rasterizer}" * is_other
    show(console, text_of((summary.path, "bold"), f"  {summary.kind}{drawn}"))
    for split in summary.splits:
        pictures = "with images" if split.has_images else "without images"
        about = f"  {counted(split.n_images, 'image')}{_sizes(split)}, {pictures}"
        show(console, text_of("\n", (split.name, "bold"), about))
        numbers = ("images", "empty", "instances", "area min", "median", "max")
        table = NumberTable("variant", *numbers)
        for variant in split.variants:
            mark = " *" if variant.name == split.semantic_variant else ""
            areas = (variant.area_min, variant.area_median, variant.area_max)
            table.add_row(
                variant.name + mark,
                f"{variant.n_images:,}",
                f"{variant.n_empty_images:,}",
                f"{variant.n_instances:,}",
                *("-" if area is None else f"{area:,.0f}" for area in areas),
            )
        show(console, table)
        for painted in (v for v in split.variants if v.name == split.semantic_variant):
            classes = ", ".join(f"{c.id} {c.name} ({c.n_instances:,})" for c in painted.categories)
            show(console, text_of(f"classes of *: {classes or 'none listed'}"))
        for bad in split.bad_records:
            show(console, text_of(f"{bad.file}: {bad}: {_DONE.get(bad.done, bad.done)}"))
        if split.n_shot_variants:
            show(console, f"and {counted(len(split.n_shot_variants), 'n-shot subset')}")


# What is not done by info, but could be.
_DONE = {"skipped": "left out here", "dropped": "left out", "repaired": "repaired here"}


def _sizes(split: SplitSummary) -> str:
    """Say of what size images are, which is that of all or between two."""
    if split.heights is None or split.widths is None:
        return ""
    if split.n_sizes == 1:
        return f" of {split.height} x {split.width}"
    (low, high), (narrow, wide) = split.heights, split.widths
    return f" of {split.n_sizes:,} sizes, {low} to {high} high and {narrow} to {wide} wide"
