from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

from mtfast.progress import ProgressDisplay, step, track

SCRIPT = """
from mtfast.progress import ProgressDisplay
with ProgressDisplay() as progress:
    for done in range(0, 1001, 50):
        progress("writing images", done, 1000)
    progress("reading", 3, 3)
"""


def test_plain_lines_in_a_pipe(capsys):
    with ProgressDisplay() as progress:
        for done in range(0, 1001, 50):
            progress("writing images", done, 1000)
        progress("reading", 3, 3)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines() == ["writing images: 1,000 of 1,000", "reading: 3 of 3"]


def on_terminal(columns: int, term: str = "xterm") -> str:
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        stderr=follower,
        env=os.environ | {"COLUMNS": str(columns), "TERM": term},
    )
    os.close(follower)
    said = b""
    while True:
        try:
            part = os.read(leader, 4096)
        except OSError:
            break
        if not part:
            break
        said += part
    os.close(leader)
    assert process.wait() == 0
    return said.decode()


def test_a_bar_on_a_terminal():
    said = on_terminal(100)
    assert "1000/1000" in said
    assert "━" in said
    assert "/s" in said


def test_lines_on_a_terminal_that_cannot_move_its_cursor():
    said = on_terminal(100, "dumb").splitlines()
    assert said == ["writing images: 1,000 of 1,000", "reading: 3 of 3"]


def test_a_narrow_terminal():
    said = on_terminal(34)
    assert "1000/1000" in said


def reports():
    found = []
    return found, lambda *report: found.append(report)


def test_track_reports_at_the_start_and_after_each_item():
    found, progress = reports()
    for item in track("abc", "counting", progress):
        found.append(item)
    assert found == [
        ("counting", 0, 3),
        "a",
        ("counting", 1, 3),
        "b",
        ("counting", 2, 3),
        "c",
        ("counting", 3, 3),
    ]


def test_track_items_that_have_sizes():
    found, progress = reports()
    assert list(track(iter(["abc", "d"]), "counting", progress, 4, len)) == ["abc", "d"]
    assert found == [("counting", 0, 4), ("counting", 3, 4), ("counting", 4, 4)]


def test_track_nothing():
    found, progress = reports()
    assert list(track([], "counting", progress)) == []
    assert found == [("counting", 0, 0)]


def test_an_item_that_fails_is_not_done():
    found, progress = reports()
    with pytest.raises(ZeroDivisionError):
        sum(1 / item for item in track([1, 0, 1], "dividing", progress))
    assert found == [("dividing", 0, 3), ("dividing", 1, 3)]


def test_track_without_progress():
    assert list(track([1, 2], "counting", None)) == [1, 2]


def test_a_step():
    found, progress = reports()
    with step("reading", progress):
        found.append("read")
    assert found == [("reading", 0, 1), "read", ("reading", 1, 1)]
    with step("reading", None):
        pass


def test_a_step_that_fails_is_not_done():
    found, progress = reports()
    with pytest.raises(ZeroDivisionError), step("reading", progress):
        1 / 0
    assert found == [("reading", 0, 1)]
