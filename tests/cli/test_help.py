"""What help says, and how long it is."""

from __future__ import annotations

import click
import pytest

from mtfast.cli.entry import cli

COMMANDS = [[], *([name] for name in cli.commands)]


def page_of(command: list[str], width: int) -> list[str]:
    context = click.Context(cli, info_name="mtfast", terminal_width=width)
    if not command:
        return cli.get_help(context).splitlines()
    found = cli.commands[command[0]]
    return found.get_help(click.Context(found, context, command[0])).splitlines()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_page_is_read_at_a_glance(command):
    # The first page has a line for each command.
    assert len(page_of(command, 78)) <= (40 if command else 44)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_narrow_terminal_has_room_for_every_line(command):
    lines = page_of(command, 58)
    assert max(map(len, lines)) <= 60
    assert not any(line.endswith("...") for line in lines[1:])


def test_commands_stand_under_what_they_are_for():
    lines = page_of([], 78)
    begin = lines.index("Start here:")
    headings = [line for line in lines[begin:] if line and not line.startswith(" ")]
    assert headings == [
        "Start here:",
        "Make a dataset:",
        "Look at a dataset:",
        "Convert a dataset to a store:",
        "Train on a store:",
    ]
    listed = [line.split(maxsplit=1) for line in lines[begin:] if line.startswith("  ")]
    assert sorted(name for name, _ in listed) == sorted(cli.commands)
    assert all(words[0].isupper() and words.endswith(".") for _, words in listed)


def test_options_that_take_something_say_what_they_are_without_it():
    """Or they are for something that is done only where they are given."""
    asked_for = {
        "areas",
        "plots",
        "pixel_size",
        "seed",
        "um2_per_px",
        "picture",
        "repair",
        "mapping",
        "older_out",
    }
    asked_for |= {"min_areas", "max_categories", "n_shot", "before", "validation", "merge"}
    for name, command in cli.commands.items():
        for option in command.params:
            if not isinstance(option, click.Option) or option.is_flag or option.name in asked_for:
                continue
            assert option.show_default, (name, option.name)


def test_one_name_has_one_meaning():
    """An option that several commands have is declared once, or says the same."""
    said: dict[str, set[str]] = {}
    for command in cli.commands.values():
        for option in command.params:
            if isinstance(option, click.Option) and not option.hidden:
                said.setdefault(option.opts[0], set()).add(f"{option.metavar} {option.help}")
    # A threshold is applied or makes files; the loader has processes of its own; one split is read;
    # a seed makes files, or repeats a choice; formats are of masks or of annotations; images are
    # kept in a set, or linked beside an export; an annotation file is used, or the only one left.
    different = {
        "--min-area",
        "--workers",
        "--split",
        "--overlap",
        "--seed",
        "--format",
        "--images",
        "--variant",
    }
    assert {name for name, texts in said.items() if len(texts) > 1} <= different
