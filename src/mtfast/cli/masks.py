"""``mtfast masks``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from mtfast.cli.options import scheduler_option, workers_option


class Renaming(click.ParamType[tuple[int, int]]):
    """FROM=TO, a pair of category ids."""

    name = "FROM=TO"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, int]:
        """Return (from, to)."""
        if isinstance(value, tuple):
            return value
        try:
            old, new = map(int, str(value).split("="))
        except ValueError:
            self.fail(f"{value!r} is no pair of categories; expected FROM=TO as in 5=4", param, ctx)
        return old, new


@click.command()
@click.argument("src", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option(
    "--format", type=click.Choice(["zarr", "png", "tiff"]), default="zarr", show_default=True
)
@click.option("--split", "splits", multiple=True, metavar="S", help="May be given several times.")
@click.option(
    "--variant", metavar="V", help="Annotations to use; by default the same as for convert."
)
@click.option(
    "--min-area",
    type=click.FloatRange(min=0),
    metavar="PX",
    help="Keep only instances larger than that (area > PX), measured from the RLE.",
)
@click.option(
    "--category",
    "categories",
    multiple=True,
    type=int,
    metavar="ID",
    help="Keep only this category; may be given several times.",
)
@click.option(
    "--map",
    "mapping",
    multiple=True,
    type=Renaming(),
    help="Value for a category in the place of its id; may be given several times.",
)
@click.option(
    "--overlap",
    type=click.Choice(["last", "first", "largest", "smallest", "error"]),
    default="last",
    show_default=True,
    help="Which instance shows where several overlap; error refuses them.",
)
@click.option(
    "--kind",
    type=click.Choice(["semantic", "instance", "binary", "boundary"]),
    default="semantic",
    show_default=True,
    help="Pixels are category ids; 1..N in file order; 0 and 1; or ids on outlines alone.",
)
@click.option("--palette", is_flag=True, help="png: colours for people, pixels are their indices.")
@click.option("--file-per-image", is_flag=True, help="tiff: not one stack for each split.")
@scheduler_option
@workers_option
@click.option("--overwrite", is_flag=True, help="Replace masks that are there.")
def masks(src: Path, out: Path, mapping: tuple[tuple[int, int], ...], **options: Any) -> None:
    """Write the masks of the dataset or store SRC anew into the folder OUT.

    zarr makes OUT/SPLIT/semantic as convert does, png OUT/SPLIT_semantic_masks/STEM.png, tiff
    OUT/SPLIT_semantic_masks.tif. Masks that are there already, made with the same options, are
    left alone: after an interruption, run the same line again.
    """
    from mtfast.errors import MtfastError
    from mtfast.export import export_masks
    from mtfast.progress import ProgressDisplay

    twice = [old for old, _ in mapping if [a for a, _ in mapping].count(old) > 1]
    if twice:
        raise MtfastError(
            f"category {twice[0]} is mapped twice; expected one --map for each; leave one out"
        )
    options["splits"] = options["splits"] or None
    options["categories"] = options["categories"] or None
    with ProgressDisplay() as progress:
        made = export_masks(src, out, mapping=dict(mapping), progress=progress, **options)
    parts = ", ".join(
        f"{n:,} {split} ({made.variants[split]})" for split, n in made.n_images.items()
    )
    there = sum(made.n_images.values()) - made.n_written
    kept = f"; {there:,} of them were there" if there else ""
    click.echo(f"{made.path}: masks of {parts}{kept}")
