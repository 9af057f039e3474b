"""Options that several commands share."""

from __future__ import annotations

import re
from typing import Any

import click

__all__ = ["Size", "workers_option"]

workers_option = click.option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="N",
    help="Threads or processes of this machine; by default to keep all cores busy.",
)


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
