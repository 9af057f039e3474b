"""``mtfast derive``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import click

from mtfast.cli.options import (
    bad_option,
    dataset_of,
    expect_dataset,
    ground_truth_option,
    image_folder_option,
    images_option,
    map_option,
    only_variant_option,
    rasterizer_option,
    splits_option,
)
from mtfast.cli.output import show_progress, tell
from mtfast.cli.values import AnyPath, Choice, NewFolder, SourceLocation
from mtfast.errors import counted

if TYPE_CHECKING:
    from pathlib import Path

    from mtfast.derivation import Derived
    from mtfast.rles.rasterizers import Rasterizer
    from mtfast.sources.bad_records import Policy


@click.command()
@click.argument("src", metavar="SRC...", nargs=-1, type=AnyPath())
@click.argument("out", type=NewFolder())
@click.option(
    "--min-area",
    "min_areas",
    multiple=True,
    metavar="PX",
    type=click.IntRange(min=0),
    help="Make annotations_with_class_PX: instances of more than PX pixels; repeatable.",
)
@click.option(
    "--max-category",
    "max_categories",
    multiple=True,
    metavar="ID",
    type=click.IntRange(min=0),
    help="Make ..._max_ID beside every with-class file: classes up to ID; repeatable.",
)
@click.option(
    "--class-agnostic",
    is_flag=True,
    help="Make one-class files beside with-class files.",
)
@click.option(
    "--n-shot",
    type=Choice(["upstream", "seeded"]),
    help="Draw n-shot subsets: as published or by --seed.",
)
@click.option(
    "--before",
    multiple=True,
    metavar="SET|COUNT",
    help="With upstream: sets drawn before SRC, or the count in the ..._class_300 of each.",
)
@splits_option
@only_variant_option
@click.option(
    "--validation",
    metavar="FRACTION",
    type=float,
    help="Move this share of train, in whole runs, to val.",
)
@click.option(
    "--merge",
    multiple=True,
    metavar="OTHER",
    type=SourceLocation(),
    help="Merge the set OTHER into it; repeatable.",
)
@click.option(
    "--seed",
    default=0,
    show_default=True,
    type=click.IntRange(0, 2**32 - 1),
    metavar="N",
    help="Equal seeds make equal files.",
)
@images_option
@bad_option
@rasterizer_option
@map_option
@image_folder_option
@ground_truth_option
def derive(
    src: tuple[str, ...],
    out: Path,
    min_areas: tuple[int, ...],
    max_categories: tuple[int, ...],
    class_agnostic: bool,
    n_shot: Literal["upstream", "seeded"] | None,
    before: tuple[str, ...],
    splits: tuple[str, ...],
    variant: str | None,
    validation: float | None,
    merge: tuple[Path | str, ...],
    seed: int,
    images: str,
    bad: Policy,
    rasterizer: Rasterizer,
    mapping: tuple[tuple[int, int], ...],
    image_folder: Path | str | None,
    ground_truth: Path | str | None,
) -> None:
    """Make a new set from another: subsets, splits, merges.

    \b
    One of three:
      more annotation files  any of the first four options
      a validation split     --validation
      several sets in one    --merge

    --map or --variant alone will do, too. What does not change is carried over; images and masks
    are linked, or copied from a zip, an address or another disk.
    """  # noqa: D301 - click reads the backspace
    from mtfast.derivation import derive_dataset

    expect_dataset(src, "OUT")
    read = {"bad": bad, "mapping": mapping, "rasterizer": rasterizer}
    with show_progress() as progress:
        done = derive_dataset(
            dataset_of(src, image_folder=image_folder, ground_truth=ground_truth, **read),
            out,
            min_areas=min_areas,
            max_categories=max_categories,
            class_agnostic=class_agnostic,
            n_shot=n_shot,
            before=before,
            splits=splits,
            variant=variant,
            validation=validation,
            merge=[dataset_of([str(other)], **read) for other in merge],
            seed=seed,
            images=images == "keep",
            progress=progress,
        )
    tell(
        f"{out}: {counted(done.n_made, 'annotation file')} made, {done.n_kept:,} carried over, "
        f"{counted(done.n_images, 'image')} and {counted(done.n_masks, 'mask')} {_how(done)}"
    )
    for note in done.notes:
        tell(f"note: {note}")


def _how(done: Derived) -> str:
    """Say what was done with images and masks."""
    if not done.n_copied:
        return "linked"
    return "copied" if done.n_copied == done.n_images + done.n_masks else "linked or copied"
