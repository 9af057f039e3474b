"""The list of all commands, grouped by what people want to do."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import click

from mtfast.cli.usage import BadUsageError
from mtfast.errors import no_such

__all__ = ["PipeError", "SectionedGroup"]


# Sentences are folded where a terminal is narrow, and not cut.
_WHOLE = 200


class PipeError(Exception):
    """Carries a BrokenPipeError past click, which would end with status 1: that means findings."""


@contextmanager
def _past_click() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError as error:
        raise PipeError from error


class SectionedGroup(click.Group):
    """A group whose help lists its commands under headings.

    Parameters
    ----------
    *args, **attrs
        As for :class:`click.Group`.
    sections : mapping of str to sequence of click.Command
        The commands under each heading, in the order in which they are shown.
    """

    def __init__(
        self, *args: Any, sections: Mapping[str, Sequence[click.Command]], **attrs: Any
    ) -> None:
        super().__init__(*args, **attrs)
        self.sections = sections
        for commands in sections.values():
            for command in commands:
                self.add_command(command)

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        """Parse a command line; --help is printed here.

        Parameters
        ----------
        *args, **extra
            As click passes them.

        Returns
        -------
        click.Context
        """
        with _past_click():
            return super().make_context(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command.

        Parameters
        ----------
        ctx
            As click passes it.

        Returns
        -------
        object
            What the command returns.
        """
        with _past_click():
            return super().invoke(ctx)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the commands, in the order of the sections.

        Parameters
        ----------
        ctx
            As click passes it.

        Returns
        -------
        list of str
        """
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write a section for each heading, with names in one column.

        Parameters
        ----------
        ctx, formatter
            As click passes them.
        """
        column = max(map(len, self.commands))
        for heading, commands in self.sections.items():
            with formatter.section(heading):
                formatter.write_dl(
                    [(f"{c.name:{column}}", c.get_short_help_str(_WHOLE)) for c in commands]
                )

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that is named first; of one that is unknown, say what was meant.

        Parameters
        ----------
        ctx, args
            As click passes them.

        Returns
        -------
        name, command, args

        Raises
        ------
        BadUsageError
            If there is no such command.
        """
        name = args[0]
        if name in self.commands or name.startswith("-"):
            return super().resolve_command(ctx, args)
        message = no_such("command", name, self.commands, "mtfast", most=len(self.commands))
        if os.path.exists(name):  # noqa: PTH110 - pathlib would make --help slower
            message = (
                f"{name} is a path; expected a command before it; "
                f"did you mean 'mtfast info {name}'?"
            )
        elif name == "help":
            message = "no command 'help' in mtfast; expected an option; did you mean '--help'?"
        raise BadUsageError(message, ctx)
