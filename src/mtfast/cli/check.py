"""``mtfast check``."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import click

from mtfast.cli.options import json_option, path_or_files, workers_option
from mtfast.cli.output import echo_json, show_progress
from mtfast.cli.tables import MOST_EXAMPLES, FindingTable, make_console, show, text_of
from mtfast.cli.values import SourceLocation
from mtfast.errors import counted

if TYPE_CHECKING:
    from pathlib import Path

    from mtfast.checking.check import StoreCheck
    from mtfast.checking.findings import Finding

STYLES = {"error": "bold red", "note": "dim"}


@click.command()
@click.argument("store", type=SourceLocation())
@click.option(
    "--repair",
    multiple=True,
    is_flag=False,
    flag_value="",
    metavar="[SRC]",
    help="Make damaged files again from SRC, the dataset or another copy of the store; without SRC "
    "what follows from the rest of the store. Repeatable, as SPLIT=FILE.",
)
@workers_option
@json_option
def check(store: Path | str, repair: tuple[str, ...], workers: int | None, as_json: bool) -> int:
    """Check every byte of a store, and make damaged files again.

    All checksums are compared, every mask is painted again from its RLE, the crop index is compared
    with a scan of the images, and the files are those that belong to the store. Exits with status 1
    if anything is wrong.
    """
    from mtfast.checking.check import check_store

    given: Any = bool(repair) and (path_or_files(repair) if any(repair) else True)
    with show_progress() as progress:
        found = check_store(store, repair=given, workers=workers, progress=progress)
    if as_json:
        echo_json(found.as_dict())
    else:
        _print_check(found)
    return 0 if found.is_whole else 1


def _print_check(found: StoreCheck) -> None:
    console = make_console()
    counts = ", ".join(f"{n:,} {name}" for name, n in found.n_images.items())
    noun = "image" if sum(found.n_images.values()) == 1 else "images"
    size = f"{counted(found.n_files, 'file')}, {found.n_bytes / 1e6:,.1f} MB"
    show(console, text_of((found.path, "bold"), f"  {counts} {noun}, {size}"))
    if found.repaired:
        n = counted(len(found.repaired), "file was", "files were")
        show(console, text_of(f"{n} made again: {_some(found.repaired)}"))
    if found.findings:
        show(console, "")
        show(console, _table(found.findings))
    for file, why in (found.why_not or {}).items():
        show(console, text_of(f"{file} could not be made again: {why}"))
    n_errors = sum(f.severity == "error" for f in found.findings)
    n_notes = len(found.findings) - n_errors
    state = "whole" if found.is_whole else counted(n_errors, "error")
    show(console, f"{state}, {counted(n_notes, 'note')}" if n_notes else state)


def _table(findings: tuple[Finding, ...]) -> FindingTable:
    """Make a table with a row for each kind of finding in each split."""
    from mtfast.checking.findings import KINDS

    by_kind: dict[tuple[str, str | None], list[Finding]] = defaultdict(list)
    for finding in findings:
        by_kind[finding.kind, finding.split].append(finding)
    table = FindingTable(STYLES)
    # Errors first.
    order = list(KINDS)
    for (name, split), found in sorted(by_kind.items(), key=lambda item: order.index(item[0][0])):
        where = f" in {split}" if split else ""
        examples = list(dict.fromkeys(_line(finding) for finding in found))
        table.add(KINDS[name].severity, len(found), (name, where), examples, KINDS[name].advice)
    return table


def _line(finding: Finding) -> str:
    return f"{finding.image}: {finding.found}" if finding.image else finding.found


def _some(names: tuple[str, ...]) -> str:
    more = ", …" if len(names) > MOST_EXAMPLES else ""
    return ", ".join(names[:MOST_EXAMPLES]) + more
