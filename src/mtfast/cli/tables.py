"""What commands print for people."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

__all__ = ["echo", "echo_json", "make_console", "make_table", "text_of"]


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


def text_of(*parts: str | tuple[str, str]) -> Text:
    """Make text of which nothing commands a terminal: names in a dataset come from strangers.

    Parameters
    ----------
    *parts : str or (str, style)
        A part may begin with line feeds; those in it are escaped.

    Returns
    -------
    rich.text.Text
    """
    from rich.text import Text

    from mtfast.errors import printable

    found = Text()
    for part in parts:
        words, style = (part, "") if isinstance(part, str) else part
        line = words.lstrip("\n")
        found.append("\n" * (len(words) - len(line)) + printable(line), style)
    return found


def echo(line: str, err: bool = False) -> None:
    """Print a line of which nothing commands a terminal.

    Parameters
    ----------
    line : str
    err : bool
        On standard error.
    """
    from mtfast.errors import printable

    click.echo(printable(line), err=err)


def echo_json(content: Any) -> None:
    """Print as JSON.

    Parameters
    ----------
    content : dict or list
        Of plain dicts, lists, strings and numbers.
    """
    import json

    click.echo(json.dumps(content, indent=2))
