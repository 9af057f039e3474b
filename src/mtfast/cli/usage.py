"""Command lines that are wrong, said in one line with the next step."""

from __future__ import annotations

import click

from mtfast.errors import nearest

__all__ = ["BadUsageError", "usage_line"]


class BadUsageError(click.UsageError):
    """A usage error whose message says what was found, what was expected and what to do."""


def usage_line(error: click.ClickException) -> str:
    """Return the line for an error of click.

    Parameters
    ----------
    error : click.ClickException

    Returns
    -------
    str
        What was found; what was expected; what to do.
    """
    message = error.format_message().rstrip(".")
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "mtfast"
    if isinstance(error, BadUsageError):
        return message
    if isinstance(error, click.BadOptionUsage):
        return f"{message}; expected what --help of the command says; correct the command line"
    if isinstance(error, click.NoSuchOption) and context is not None:
        return _no_such_option(error.option_name, context)
    is_value = isinstance(error, click.BadParameter) and not isinstance(
        error, click.MissingParameter
    )
    if is_value and "; expected " in message:
        return f"{message}; correct it"
    if is_value or context is None:
        return f"{message}; expected what '{path} --help' lists; correct the command line"
    pieces = " ".join([path, *context.command.collect_usage_pieces(context)])
    return f"{message}; expected '{pieces}'; see '{path} --help'"


def _no_such_option(name: str, context: click.Context) -> str:
    shown = [
        spelling
        for option in context.command.get_params(context)
        if isinstance(option, click.Option) and not option.hidden
        for spelling in option.opts
    ]
    near = nearest(name, shown)
    path = context.command_path
    advice = f"did you mean {near!r}?" if near else "correct the command line"
    return f"no option {name!r} in '{path}'; expected what '{path} --help' lists; {advice}"
