from __future__ import annotations

import os
import pty
import subprocess
import sys

from mtfast.progress import ProgressDisplay

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


def on_terminal(columns: int) -> str:
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        stderr=follower,
        env=os.environ | {"COLUMNS": str(columns), "TERM": "xterm"},
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


def test_a_narrow_terminal():
    said = on_terminal(34)
    assert "1000/1000" in said
