"""``mtfast doctor``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mtfast.cli.options import (
    decode_check_option,
    ground_truth_option,
    image_folder_option,
    images_option,
    json_option,
    rasterizer_option,
    source_of,
    splits_option,
    workers_option,
)
from mtfast.cli.output import echo_json, show_progress
from mtfast.cli.tables import FindingTable, make_console, show, text_of
from mtfast.cli.values import AnyPath
from mtfast.errors import counted

if TYPE_CHECKING:
    from pathlib import Path

    from mtfast.arguments import ImagesOption
    from mtfast.diagnosis.diagnose import Diagnosis
    from mtfast.rles.rasterizers import Rasterizer

STYLES = {"error": "bold red", "warning": "yellow", "note": "dim"}


@click.command()
@click.argument("src", metavar="SRC...", nargs=-1, required=True, type=AnyPath())
@splits_option
@image_folder_option
@rasterizer_option
@ground_truth_option
@images_option
@decode_check_option
@workers_option
@json_option
def doctor(
    src: tuple[str, ...],
    splits: tuple[str, ...],
    image_folder: Path | str | None,
    rasterizer: Rasterizer,
    ground_truth: Path | str | None,
    images: ImagesOption,
    decode_check: bool,
    workers: int | None,
    as_json: bool,
) -> int:
    """Look for what silently spoils training on a dataset.

    Exits with status 1 if there are errors or warnings, with 0 if there are only notes.
    """
    from mtfast.diagnosis.diagnose import diagnose

    source = source_of(
        src, image_folder=image_folder, rasterizer=rasterizer, ground_truth=ground_truth
    )
    with show_progress() as progress:
        diagnosis = diagnose(
            source,
            splits=splits or None,
            images=images,
            decode=decode_check,
            workers=workers,
            progress=progress,
        )
    if as_json:
        echo_json(diagnosis.as_dict())
    else:
        _print_diagnosis(diagnosis)
    return 0 if diagnosis.is_sound else 1


def _print_diagnosis(diagnosis: Diagnosis) -> None:
    console = make_console()
    show(console, text_of((diagnosis.path, "bold"), f"  {diagnosis.kind}"))
    table = FindingTable(STYLES)
    for found in diagnosis.findings:
        place = f" in {found.split}" if found.split else ""
        pixels = f", {found.n_pixels:,} px" if found.n_pixels else ""
        table.add(
            found.severity,
            found.count,
            (found.check, f"{place}{pixels}"),
            found.examples,
            found.advice,
            more=found.count > len(found.examples),
        )
    if diagnosis.findings:
        show(console, "")
        show(console, table)
    counts = {kind: sum(f.severity == kind for f in diagnosis.findings) for kind in STYLES}
    words = [counted(n, kind) for kind, n in counts.items()]
    show(console, ", ".join(words))
