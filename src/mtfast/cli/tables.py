"""What commands print for people."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

__all__ = ["echo_json", "make_console", "make_table"]


def make_console() -> Console:
    """Make a console for tables.

    A pipe has no width, so 120 columns are assumed. Names in a dataset are never taken for markup.

    Returns
    -------
    rich.console.Console
    """
    from rich.console import Console

    return Console(
        width=None if sys.stdout.isatty() else 120, markup=False, highlight=False, emoji=False
    )


def make_table(words: str, *numbers: str) -> Table:
    """Make a table without rows or lines.

    Parameters
    ----------
    words : str
        Title of the first column, which folds where it is too long.
    *numbers : str
        Titles of the others, which align right.

    Returns
    -------
    rich.table.Table
    """
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column(words, overflow="fold")
    for title in numbers:
        table.add_column(title, justify="right")
    return table


def echo_json(content: Any) -> None:
    """Print as JSON.

    Parameters
    ----------
    content : dict or list
        Of plain dicts, lists, strings and numbers.
    """
    import json

    click.echo(json.dumps(content, indent=2))
