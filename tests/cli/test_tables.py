"""Tables at every width."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from mtfast.cli.tables import FindingTable, NumberTable, make_console, show, text_of


def printed(content, width: int, monkeypatch) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(width))
    console = make_console()
    console.file = io.StringIO()
    show(console, content)
    return console.file.getvalue().splitlines()


@pytest.fixture
def numbers() -> NumberTable:
    table = NumberTable("variant", "images", "area")
    table.add_row("annotations_with_class_200 *", "64", "1,274")
    table.add_row("日本", "8", "-")
    return table


def test_numbers_beside_names(numbers, monkeypatch):
    assert printed(numbers, 43, monkeypatch) == [
        "variant                       images   area",
        "annotations_with_class_200 *      64  1,274",
        "日本                               8      -",
    ]


def test_numbers_below_names(numbers, monkeypatch):
    assert printed(numbers, 42, monkeypatch) == [
        "variant",
        "  images   area",
        "annotations_with_class_200 *",
        "      64  1,274",
        "日本",
        "       8      -",
    ]


@pytest.mark.parametrize("width", [60, 120, 10_000])
def test_no_line_is_wider_or_ends_with_blanks(width, monkeypatch):
    table = FindingTable({"error": "red"})
    advice = "correct them, or convert: --bad skip leaves them out"
    examples = [f"annotation {k} of {'long-name-' * 6}.jpg" for k in range(5)]
    table.add("error", 1234, ("annotation id twice", " in train"), examples, advice)
    lines = printed(table, width, monkeypatch)
    assert all(line == line.rstrip() and len(line) <= width for line in lines)
    words = " ".join(line.strip() for line in lines)
    assert "annotation id twice in train" in words
    assert advice in words
    assert "annotation 2 of" in words
    assert "annotation 3 of" not in words
    assert words.count("…") == 1


def test_no_line_of_a_pipe_is_folded(numbers, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    console = make_console()
    console.file = io.StringIO()
    show(console, text_of("word " * 200))
    assert console.file.getvalue() == ("word " * 200).rstrip() + "\n"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_that_is_dumb_has_its_width(numbers, monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    monkeypatch.setenv("TERM", "dumb")
    console = make_console()
    console.file = Terminal()
    show(console, numbers)
    assert max(map(len, console.file.getvalue().splitlines())) <= 30


def test_styles_are_kept_where_blanks_go():
    console = Console(file=io.StringIO(), force_terminal=True, width=30, color_system="standard")
    show(console, text_of(("a  ", "bold"), "   "))
    assert console.file.getvalue() == "\x1b[1ma\x1b[0m\n"
