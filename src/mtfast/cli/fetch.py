"""``mtfast fetch``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mtfast.cli.output import echo, program, show_progress, tell
from mtfast.cli.tables import NumberTable, make_console, show
from mtfast.cli.usage import BadUsageError

if TYPE_CHECKING:
    from pathlib import Path

    from click.shell_completion import CompletionItem


def _complete(ctx: click.Context, param: click.Parameter, typed: str) -> list[CompletionItem]:
    """Let the shell complete the name of a set, and where there is none a path."""
    from click.shell_completion import CompletionItem

    from mtfast.fetching.catalogue import SETS

    names = [known.name for known in SETS if known.name.startswith(typed)]
    return [CompletionItem(name) for name in names] or [CompletionItem(typed, type="file")]


@click.command()
@click.argument("given", metavar="NAME... [DIR]", nargs=-1, shell_complete=_complete)
@click.option("--list", "as_list", is_flag=True, help="List all sets; so does no NAME at all.")
@click.option("--extract", is_flag=True, help="Unpack each set into a folder of its name.")
@click.option("--remove-zip", is_flag=True, help="Remove each zip when it is unpacked.")
@click.option(
    "--connections",
    metavar="N",
    type=click.IntRange(1, 8),
    default=4,
    show_default=True,
    help="How many at most side by side.",
)
def fetch(
    given: tuple[str, ...], as_list: bool, extract: bool, remove_zip: bool, connections: int
) -> None:
    """Download published MaskTerial sets by name.

    NAME is one such as Real_WSe2, or GrapheneL where only one set is of that material. The zips go
    to DIR, by default this folder. The same line goes on with what was stopped, and compares
    checksums.
    """
    if as_list or not given:
        _list_sets()
        return
    names, folder = _names_and_folder(given)
    if remove_zip and not extract:
        raise BadUsageError(
            "--remove-zip without --extract; expected both, as nothing would be left; add "
            "--extract or leave out --remove-zip"
        )
    from mtfast.fetching import fetch as fetch_sets

    # A bar would be drawn over what is printed beside it.
    told: list[str] = []
    try:
        with show_progress() as progress:
            made = fetch_sets(
                names,
                folder,
                extract=extract,
                remove_zip=remove_zip,
                connections=connections,
                progress=progress,
                tell=told.append,
            )
        told += _next_lines(made)
    finally:
        for line in told:
            tell(line)


def _names_and_folder(given: tuple[str, ...]) -> tuple[list[str], str]:
    """Tell the folder, which is the last of several if it resembles no name of a set."""
    from mtfast.fetching.catalogue import SETS, suggestion

    *names, last = given
    known = {word for found in SETS for word in (found.name, found.material)}
    if not names or last in known:
        return list(given), "."
    is_path = "/" in last or "\\" in last or last in (".", "..")
    if not is_path and (near := suggestion(last)):
        raise BadUsageError(
            f"no published set {last!r}; expected a name or a folder; did you mean {near}? For a "
            f"folder type ./{last}"
        )
    return names, last


def _list_sets() -> None:
    from mtfast.errors import RemoteError
    from mtfast.fetching import SETS, known_sizes

    try:
        sizes, missing = known_sizes(), ""
    except RemoteError as error:
        sizes, missing = {}, str(error)
    table = NumberTable("set", "train", "test", "classes", "GB")
    for known in SETS:
        size = sizes.get(known.name)
        table.add_row(
            known.name,
            f"{known.n_train:,}",
            f"{known.n_test:,}",
            f"{known.n_classes}",
            "?" if size is None else f"{size / 1e9:,.2f}",
        )
    show(make_console(), table)
    if missing:
        echo(f"no sizes: {missing}", err=True)


def _next_lines(made: list[Path]) -> list[str]:
    """Return what is typed next; the lines work as they are."""
    import shlex

    call = program()
    lines = [f"  {call} convert {shlex.quote(str(path))} {path.stem.lower()}.zarr" for path in made]
    return ["Next:", *lines]
