"""``mtfast derive``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import click

from mtfast.cli.options import LocalPath, bad_option, dataset_of, images_option
from mtfast.cli.output import show_progress, tell
from mtfast.errors import counted

if TYPE_CHECKING:
    from pathlib import Path

    from mtfast.sources.bad_records import Policy


@click.command()
@click.argument("src", type=LocalPath())
@click.argument("out", type=LocalPath())
@click.option(
    "--min-area",
    "min_areas",
    multiple=True,
    metavar="PX",
    type=click.IntRange(min=0),
    help="Make annotations_with_class_PX: instances larger than PX pixels. May be repeated.",
)
# The older spelling of one pixel less.
@click.option("--at-least", is_flag=True, hidden=True)
@click.option(
    "--max-category",
    "max_categories",
    multiple=True,
    metavar="ID",
    type=click.IntRange(min=0),
    help="Make ..._max_ID beside every with-class file: categories up to ID. May be repeated.",
)
@click.option(
    "--class-agnostic",
    is_flag=True,
    help="Make the file of one class, flake, beside every with-class file; ids are shared.",
)
@click.option(
    "--n-shot",
    type=click.Choice(["upstream", "seeded"]),
    help="Draw n-shot subsets of train: as published (needs --before), or from --seed.",
)
@click.option(
    "--before",
    multiple=True,
    metavar="SET|COUNT",
    help="With --n-shot upstream: a set that was drawn before SRC, or how many annotations its "
    "train_annotations_with_class_300.json has. Once for each, in upstream's order; 0 if none.",
)
@click.option("--split", "splits", multiple=True, metavar="S", help="Only make files for S.")
@click.option(
    "--validation",
    metavar="FRACTION",
    type=float,
    help="Move about this share of train to a split val, whole exfoliation runs at a time.",
)
@click.option(
    "--merge",
    multiple=True,
    metavar="OTHER",
    type=LocalPath(),
    help="Merge the set OTHER into the same set, ids renumbered. May be repeated.",
)
@click.option(
    "--seed",
    default=0,
    show_default=True,
    type=click.IntRange(0, 2**32 - 1),
    metavar="N",
    help="For --n-shot seeded and --validation.",
)
@images_option
@bad_option
def derive(
    src: Path,
    out: Path,
    min_areas: tuple[int, ...],
    at_least: bool,
    max_categories: tuple[int, ...],
    class_agnostic: bool,
    n_shot: Literal["upstream", "seeded"] | None,
    before: tuple[str, ...],
    splits: tuple[str, ...],
    validation: float | None,
    merge: tuple[Path, ...],
    seed: int,
    images: str,
    bad: Policy,
) -> None:
    """Make the new set OUT from the dataset SRC.

    \b
    One of three:
      more annotation files   --min-area, --max-category, --class-agnostic, --n-shot, in any mix
      a validation split      --validation
      several sets in one     --merge

    To do one after another, derive from OUT again. What does not change is carried over, with
    everything that the files of SRC hold; images and masks are linked, which takes no space.
    Areas are measured in the masks, not taken from what the files state.

    \b
    Upstream drew n-shot subsets of all sets with one generator, in the order GrapheneH, GrapheneL,
    GrapheneM, hBN_Thin, MoSe2, WS2, WSe2, WSe2L: for GrapheneM, for example,
      mtfast derive GrapheneM OUT --n-shot upstream --before GrapheneH --before GrapheneL
    """  # noqa: D301 - click reads the backspace
    from mtfast.derivation import derive_dataset

    with show_progress() as progress:
        done = derive_dataset(
            dataset_of(src, None, bad),
            out,
            min_areas=[max(pixels - at_least, 0) for pixels in min_areas],
            max_categories=max_categories,
            class_agnostic=class_agnostic,
            n_shot=n_shot,
            before=before,
            splits=splits,
            validation=validation,
            merge=[dataset_of(other, None, bad) for other in merge],
            seed=seed,
            images=images == "keep",
            progress=progress,
        )
    tell(
        f"{out}: {counted(done.n_made, 'annotation file')} made, {done.n_kept:,} carried over, "
        f"{counted(done.n_images, 'image')} and {counted(done.n_masks, 'mask')} linked"
    )
    for note in done.notes:
        tell(f"note: {note}")
