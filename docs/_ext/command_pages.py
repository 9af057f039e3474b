"""Pages of the commands, written before each build from what click knows of them.

They go to reference/commands.md and reference/commands/, which git ignores. A command that is added
or changed needs no edit of the documentation.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from pathlib import Path
from typing import Any

import click
from sphinx.application import Sphinx

from mtfast.cli.entry import cli

FOLDER = "reference/commands"


def write_pages(app: Sphinx) -> None:
    """Write a page for each command, and the list of all."""
    folder = Path(app.srcdir, FOLDER)
    folder.mkdir(parents=True, exist_ok=True)
    commands = {name: c for name, c in sorted(cli.commands.items()) if not c.hidden}
    pages = {name: page(name, command) for name, command in commands.items()}
    for path in folder.glob("*.md"):
        if path.stem not in pages:
            path.unlink()
    for name, text in pages.items():
        write_changed(folder / f"{name}.md", text)
    write_changed(folder.with_suffix(".md"), overview(commands))


def write_changed(path: Path, text: str) -> None:
    """Write a page, unless it is the same: a file that is left alone is not read again."""
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def overview(commands: dict[str, click.Command]) -> str:
    """Return the page that lists all commands."""
    context = context_of(cli, "mtfast")
    rows = [
        f"| [`mtfast {n}`](commands/{n}.md) | {escaped(first_line(c))} |"
        for n, c in commands.items()
    ]
    return "\n".join(
        [
            "# Commands",
            "",
            "Written from the commands themselves when this site was built; `mtfast COMMAND "
            "--help` prints the same.",
            "",
            "| command | what it does |",
            "| --- | --- |",
            *rows,
            "",
            "## Options of `mtfast` itself",
            "",
            *options(context, cli),
            "## Exit status",
            "",
            "| status | meaning |",
            "| ---: | --- |",
            "| 0 | all is well |",
            "| 1 | `check`, `doctor` and `verify`: something was found |",
            "| 2 | bad usage or bad input; one line on standard error says what |",
            "| 130 | stopped by Ctrl-C |",
            "",
            "```{toctree}",
            ":hidden:",
            "",
            *(f"commands/{name}" for name in commands),
            "```",
            "",
        ]
    )


def page(name: str, command: click.Command) -> str:
    """Return the page of one command."""
    context = context_of(command, name, context_of(cli, "mtfast"))
    usage = " ".join(command.collect_usage_pieces(context))
    return "\n".join(
        [
            f"# mtfast {name}",
            "",
            "```text",
            f"mtfast {name} {usage}",
            "```",
            "",
            *prose(inspect.cleandoc(command.help or "")),
            "## Options",
            "",
            *options(context, command),
        ]
    )


def context_of(
    command: click.Command, name: str, parent: click.Context | None = None
) -> click.Context:
    """Return what click knows of a command that is being called."""
    return click.Context(command, parent, name, **command.context_settings)


def prose(text: str) -> list[str]:
    """Return help as Markdown: paragraphs, and blocks that click must not wrap as they are."""
    lines = []
    for paragraph in re.split(r"\n\s*\n", text):
        block = paragraph.removeprefix("\b\n")
        if block != paragraph:
            lines += ["```text", textwrap.dedent(block), "```", ""]
        else:
            lines += [escaped(" ".join(paragraph.split())), ""]
    return lines


def options(context: click.Context, command: click.Command) -> list[str]:
    """Return a definition of each option that help shows."""
    lines = []
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        # Arguments have no text of their own: the help explains them.
        if record is not None and record[1]:
            names, text = record
            lines += [f"`{names}`", f": {escaped(text)}", ""]
    return lines


def first_line(command: click.Command) -> str:
    """Return what the list of commands says of one."""
    return " ".join(inspect.cleandoc(command.help or "").split("\n\n")[0].split())


def escaped(text: str) -> str:
    """Return plain text as Markdown."""
    return re.sub(r"([\\`*_<>|\[\]{}#])", r"\\\1", text)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register with Sphinx."""
    app.connect("builder-inited", write_pages)
    return {"parallel_read_safe": True, "version": "1"}
