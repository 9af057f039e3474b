"""Options that several commands share."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

__all__ = [
    "Size",
    "echo_json",
    "json_option",
    "make_console",
    "scheduler_option",
    "splits_option",
    "workers_option",
]

json_option = click.option("--json", "as_json", is_flag=True, help="For machines.")
splits_option = click.option(
    "--split", "splits", multiple=True, metavar="S", help="May be given several times."
)
scheduler_option = click.option(
    "--scheduler",
    default="threads",
    show_default=True,
    metavar="NAME",
    help="threads, processes, sync or tcp://HOST:PORT.",
)

workers_option = click.option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="N",
    help="Threads or processes of this machine; by default to keep all cores busy.",
)


def make_console() -> Console:
    """Make a console for tables: in a pipe there is no width to keep to; names are no markup."""
    from rich.console import Console

    return Console(
        width=None if sys.stdout.isatty() else 120, markup=False, highlight=False, emoji=False
    )


def echo_json(content: Any) -> None:
    """Print plain dicts, lists, strings and numbers."""
    click.echo(json.dumps(content, indent=2))


class Size(click.ParamType[tuple[int, int]]):
    """HEIGHTxWIDTH, a pair of numbers."""

    name = "HxW"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, int]:
        """Return (height, width)."""
        if isinstance(value, tuple):
            return value
        match = re.fullmatch(r"(\d+)x(\d+)", str(value))
        if match is None:
            self.fail(f"{value!r} is no size; expected HEIGHTxWIDTH such as 1200x1920", param, ctx)
        return int(match[1]), int(match[2])
