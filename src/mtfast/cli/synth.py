"""``mtfast synth``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mtfast.cli.options import images_option, number_option, workers_option
from mtfast.cli.output import show_progress, tell
from mtfast.cli.values import NewFolder, Size

if TYPE_CHECKING:
    from pathlib import Path


@click.command()
@click.argument("out", type=NewFolder())
@click.option(
    "--name",
    default="Graphene",
    show_default=True,
    help="Material, part of set names.",
)
@number_option("--train", default=64, least=0, about="Images to train on.")
@number_option("--test", default=8, least=0, about="Images to test with.")
@click.option(
    "--size",
    metavar="HxW",
    type=Size(),
    default="1200x1920",
    show_default=True,
    help="Height and width in pixels.",
)
@number_option(
    "--classes", default=4, least=1, about="Classes of flakes: 1 layer, 2 layers, and so on."
)
@number_option("--seed", default=0, least=0, about="Equal seeds make equal files.")
@images_option
@workers_option
def synth(
    out: Path,
    name: str,
    train: int,
    test: int,
    size: tuple[int, int],
    classes: int,
    seed: int,
    images: str,
    workers: int | None,
) -> None:
    """Make a synthetic MaskTerial set, to try things out.

    The same seed makes the same files, with any number of workers.
    """
    from mtfast.synth import make_set

    with show_progress() as progress:
        made = make_set(
            out,
            name=name,
            train=train,
            test=test,
            size=size,
            classes=classes,
            seed=seed,
            images=images == "keep",
            workers=workers,
            progress=progress,
        )
    tell(f"{made}: {train} train and {test} test images of {size[0]} x {size[1]}")
