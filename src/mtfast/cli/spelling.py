"""Arguments of functions, as messages of the library name them, spelled as options."""

from __future__ import annotations

import re
from functools import cache

import click

__all__ = ["as_options"]

# Such as bad='skip', overwrite=True, min_areas=[300], mapping={0: 4}; image_folder=… for any value,
# and splits=[…] for the option alone. Paths such as runs/seed=3 and runs/overwrite=True are none.
_VALUE = r"'[^'\s]*'|True|\[(?:…|\d+)\]|\{\d+: \d+\}|…"
_ARGUMENT = re.compile(rf"(?<![^\s(])([a-z_]+)=({_VALUE})(?![^\s,;:)])")


def as_options(text: str) -> str:
    """Spell what a message advises as it is typed.

    Parameters
    ----------
    text : str
        A message of the library, in which arguments stand as in a call.

    Returns
    -------
    str

    Examples
    --------
    >>> as_options("leave them out with bad='skip', or map class 0 with mapping={0: 4}")
    'leave them out with --bad skip, or map class 0 with --map 0=4'
    >>> as_options("pass overwrite=True, or name their folder with image_folder=…")
    'pass --overwrite, or name their folder with --image-folder DIR'
    """
    return _ARGUMENT.sub(_as_option, text)


def _as_option(match: re.Match[str]) -> str:
    name, value = match.groups()
    option = _options().get(name)
    if option is None:
        return match[0]
    if value in ("True", "[…]"):
        return option.opts[-1]
    typed = option.metavar or option.type.name if value == "…" else _typed(value)
    return f"{option.opts[-1]} {typed}"


def _typed(value: str) -> str:
    return value.strip("'[]{}").replace(": ", "=")


@cache
def _options() -> dict[str, click.Option]:
    """Find the options of all commands, by the names of the arguments that they are."""
    from mtfast.cli.entry import cli

    return {
        option.name: option
        for command in cli.commands.values()
        for option in command.params
        if isinstance(option, click.Option) and option.name and not option.hidden
    }
