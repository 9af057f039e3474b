"""``mtfast doctor``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mtfast.cli.options import (
    decode_check_option,
    image_folder_option,
    json_option,
    source_of,
    splits_option,
    workers_option,
)
from mtfast.cli.tables import echo_json, make_console, text_of
from mtfast.errors import counted

if TYPE_CHECKING:
    from pathlib import Path

    from mtfast.diagnosis.diagnose import Diagnosis

STYLES = {"error": "bold red", "warning": "yellow", "note": "dim"}


@click.command()
@click.argument("src", metavar="SRC...", nargs=-1, required=True)
@splits_option
@image_folder_option
@decode_check_option
@workers_option
@json_option
def doctor(
    src: tuple[str, ...],
    splits: tuple[str, ...],
    image_folder: Path | None,
    decode_check: bool,
    workers: int | None,
    as_json: bool,
) -> int:
    """Look for what silently spoils training on SRC.

    Exits with status 1 if there are errors or warnings, with 0 if there are only notes.
    """
    from mtfast.diagnosis.diagnose import diagnose
    from mtfast.progress import ProgressDisplay

    source = source_of(src, image_folder)
    with ProgressDisplay() as progress:
        diagnosis = diagnose(
            source, splits=splits or None, decode=decode_check, workers=workers, progress=progress
        )
    if as_json:
        echo_json(diagnosis.as_dict())
    else:
        _print_diagnosis(diagnosis)
    return 0 if diagnosis.is_sound else 1


def _print_diagnosis(diagnosis: Diagnosis) -> None:
    from rich.table import Table

    console = make_console()
    console.print(text_of((diagnosis.path, "bold"), f"  {diagnosis.kind}"))
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, justify="right")
    table.add_column(overflow="fold", ratio=1)
    for found in diagnosis.findings:
        place = f" in {found.split}" if found.split else ""
        pixels = f", {found.n_pixels:,} px" if found.n_pixels else ""
        more = "\n…" if found.count > len(found.examples) else ""
        about = text_of(
            (found.check, "bold"),
            f"{place}{pixels}",
            ("\n" + "\n".join(found.examples) + more, "dim"),
            f"\n→ {found.advice}\n",
        )
        table.add_row(text_of((found.severity, STYLES[found.severity])), f"{found.count:,}", about)
    if diagnosis.findings:
        console.print()
        console.print(table)
    counts = {kind: sum(f.severity == kind for f in diagnosis.findings) for kind in STYLES}
    words = [counted(n, kind) for kind, n in counts.items()]
    console.print(", ".join(words))
