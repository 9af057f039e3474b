"""``mtfast synth``."""

from __future__ import annotations

from pathlib import Path

import click

from mtfast.cli.options import Size, workers_option


@click.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--name", default="Graphene", show_default=True, help="Material, part of set names.")
@click.option("--train", default=64, show_default=True, type=click.IntRange(min=0))
@click.option("--test", default=8, show_default=True, type=click.IntRange(min=0))
@click.option("--size", type=Size(), default="1200x1920", show_default=True)
@click.option("--classes", default=4, show_default=True, type=click.IntRange(min=1))
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0))
@click.option("--no-images", is_flag=True, help="Annotations and meta data only.")
@workers_option
def synth(
    out: Path,
    name: str,
    train: int,
    test: int,
    size: tuple[int, int],
    classes: int,
    seed: int,
    no_images: bool,
    workers: int | None,
) -> None:
    """Make a synthetic MaskTerial set in the new folder OUT.

    The same seed makes the same files, with any number of workers.
    """
    from mtfast.progress import ProgressDisplay
    from mtfast.synth import make_set

    with ProgressDisplay() as progress:
        made = make_set(
            out,
            name=name,
            train=train,
            test=test,
            size=size,
            classes=classes,
            seed=seed,
            images=not no_images,
            workers=workers,
            progress=progress,
        )
    click.echo(f"{made}: {train} train and {test} test images of {size[0]} x {size[1]}")
