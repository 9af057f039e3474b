"""``mtfast verify``."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

import click

from mtfast.cli.options import (
    bad_option,
    dataset_of,
    json_option,
    map_option,
    min_area_option,
    overlap_option,
    rasterizer_option,
    splits_option,
    variant_option,
    workers_option,
)
from mtfast.cli.output import echo_json, show_progress, tell
from mtfast.cli.tables import NumberTable, make_console, show, text_of
from mtfast.cli.values import AnyPath, LocalPath
from mtfast.errors import counted

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from mtfast.rles.rasterizers import Rasterizer
    from mtfast.sources.bad_records import Policy
    from mtfast.verification.compare import ClassPixels
    from mtfast.verification.verify import SplitVerification, Verification

# What a person looks at; --json has all of it.
MOST_IMAGES = 20
MOST_RULES = 4
MOST_PAIRS = 3


@click.command()
@click.argument("src", metavar="SRC...", nargs=-1, required=True, type=AnyPath())
@splits_option
@variant_option
@min_area_option
@overlap_option("first", "largest", "smallest")
@click.option(
    "--picture",
    metavar="OUT.png|.jpg",
    type=LocalPath(),
    help="Draw the masks that differ most.",
)
@bad_option
@rasterizer_option
@map_option
@workers_option
@json_option
def verify(
    src: tuple[str, ...],
    splits: tuple[str, ...],
    variant: str | None,
    min_area: float | None,
    overlap: Any,
    picture: Path | None,
    bad: Policy,
    rasterizer: Rasterizer,
    mapping: tuple[tuple[int, int], ...],
    workers: int | None,
    as_json: bool,
) -> int:
    """Compare the masks that a dataset ships with regenerated ones.

    Semantic masks are compared pixel by pixel, and stated areas and boxes with the RLE: of a set
    that ships no masks these alone. The output also says which annotation file, smallest area and
    order of painting explain the masks best. Exits with status 1 if anything differs.
    """
    from mtfast.verification.verify import verify as verify_masks

    with show_progress() as progress:
        found = verify_masks(
            dataset_of(src, bad=bad, mapping=mapping, rasterizer=rasterizer),
            splits=splits or None,
            variant=variant,
            min_area=min_area,
            overlap=overlap,
            picture=picture,
            workers=workers,
            progress=progress,
        )
    if as_json:
        echo_json(found.as_dict())
    else:
        _print_verification(found)
        if picture is not None:
            tell(str(picture) if found.n_different else "no mask differs: no picture drawn")
    return 1 if found.n_findings else 0


def _print_verification(found: Verification) -> None:
    console = make_console()
    show(console, text_of((found.path, "bold")))
    for split in found.splits:
        if split.n_masks is None:
            about = "ships no masks: stated areas and boxes alone are compared with the RLE"
            show(console, text_of("\n", (split.name, "bold"), f"  {about}"))
        else:
            _print_masks(console, split, split.n_masks)
        for stated in split.stated:
            show(
                console,
                f"{stated.variant}: {counted(stated.n_area, 'area')} and "
                f"{counted(stated.n_bbox, 'box', 'boxes')} disagree with the RLE, such as "
                f"{stated.examples[0]}",
            )


def _print_masks(console: Console, split: SplitVerification, n_masks: int) -> None:
    masks = f"{counted(n_masks, 'mask')} of {counted(split.n_images, 'image')}"
    show(console, text_of("\n", (split.name, "bold"), f"  {masks}, {split.n_equal:,} equal"))
    show(console, text_of(f"compared with {split.rule}"))
    _print_images(console, split)
    _print_rules(console, split)


def _print_images(console: Console, split: SplitVerification) -> None:
    from rich.table import Table

    if not split.images:
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("finding", no_wrap=True)
    table.add_column("px", no_wrap=True, justify="right")
    table.add_column("image", overflow="fold")
    for image in split.images[:MOST_IMAGES]:
        pixels = f"{image.n_pixels:,}" if image.n_pixels else ""
        words = image.detail or _words(image.classes)
        about = text_of(image.image, (f"\n{words}" if words else "", "dim"))
        table.add_row(image.kind, pixels, about)
    show(console, table)
    if len(split.images) > MOST_IMAGES:
        show(console, f"and {len(split.images) - MOST_IMAGES:,} more; --json names them all")
        show(console, text_of(f"{split.n_pixels:,} px in total: {_words(split.classes)}"))


def _words(classes: tuple[ClassPixels, ...]) -> str:
    words = [
        f"{c.n_pixels:,} px: {c.shipped} instead of {c.regenerated}" for c in classes[:MOST_PAIRS]
    ]
    return ", ".join(words) + (", …" if len(classes) > MOST_PAIRS else "")


def _print_rules(console: Console, split: SplitVerification) -> None:
    if not split.n_telling:
        show(console, "all rules paint the masks alike")
        return
    table = NumberTable("rule, best first", "equal", "px that differ")
    ranked = groupby(split.scores, key=lambda score: (score.n_images, score.n_pixels))
    for number, ((n_images, n_pixels), group) in enumerate(ranked):
        first, *others = (score.rule for score in group)
        if number < MOST_RULES:
            alike = f" (and {len(others)} alike)" if others else ""
            table.add_row(f"{first}{alike}", f"{n_images:,}", f"{n_pixels:,}")
    show(console, table)
    show(console, f"{len(split.scores)} rules were tried; they differ in {split.n_telling:,} masks")
