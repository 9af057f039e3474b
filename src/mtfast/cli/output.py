"""What commands print: results, what was done, progress, JSON."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from mtfast.progress import Progress

__all__ = ["echo", "echo_json", "is_quiet", "program", "show_progress", "tell"]


def is_quiet() -> bool:
    """Return whether --quiet was given.

    Returns
    -------
    bool
        False outside of a command.
    """
    context = click.get_current_context(silent=True)
    return context is not None and bool(context.find_root().params.get("quiet"))


@contextmanager
def show_progress() -> Iterator[Progress | None]:
    """Show progress on standard error, unless --quiet was given.

    Yields
    ------
    callable or None
        What functions take as ``progress``.
    """
    if is_quiet():
        yield None
        return
    from mtfast.progress import ProgressDisplay

    with ProgressDisplay() as progress:
        yield progress


def echo(line: str, err: bool = False) -> None:
    """Print a line of which nothing commands a terminal.

    Parameters
    ----------
    line : str
    err : bool
        On standard error.
    """
    from mtfast.cli.spelling import as_options
    from mtfast.errors import printable

    click.echo(printable(as_options(line)), err=err)


def tell(line: str) -> None:
    """Print what was done, unless --quiet was given; results that were asked for go to echo.

    Parameters
    ----------
    line : str
    """
    if not is_quiet():
        echo(line)


def echo_json(content: Any) -> None:
    """Print as JSON.

    Parameters
    ----------
    content : dict or list
        Of plain dicts, lists, strings and numbers.
    """
    import json

    click.echo(json.dumps(_typed(content), indent=2))


def _typed(content: Any) -> Any:
    """Spell options in what is advised; all else is for machines as it is."""
    from mtfast.cli.spelling import as_options

    if isinstance(content, list | tuple):
        return [_typed(value) for value in content]
    if not isinstance(content, dict):
        return content
    return {
        name: as_options(value) if name == "advice" and isinstance(value, str) else _typed(value)
        for name, value in content.items()
    }


def program() -> str:
    """Return how this program is called from the same shell.

    Returns
    -------
    str
        Quoted for it.
    """
    import shlex
    import shutil

    name = os.path.basename(sys.argv[0])  # noqa: PTH119 - as it was typed
    if name != "mtfast":
        return f"{shlex.quote(sys.executable)} -m mtfast"
    found = shutil.which(name)
    is_found = found is not None and os.path.realpath(found) == os.path.realpath(sys.argv[0])
    return name if is_found else shlex.quote(sys.argv[0])
