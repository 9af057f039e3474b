"""Runs that are killed, whose disk is full, or whose workers stall; more in kill_commands.py."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from commands import call
from folders import names_in
from kill_commands import COMMANDS, SECONDS, digest, n_done, run_trials, start
from mtfast.conversion import convert
from mtfast.work.folder_state import unfinished

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="sends signals, and looks at /proc"
)


@pytest.mark.parametrize("name", ["convert", "masks --format png"])
def test_commands_that_are_killed_go_on(name):
    assert name in COMMANDS
    said: list[str] = []
    assert run_trials([name], n_kills=1, seed=5, say=said.append) == []
    assert said


LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
from mtfast.cli import main
main(sys.argv[2:])
"""


@pytest.mark.parametrize("command", ["convert", "synth", "masks"])
def test_a_disk_that_is_full(tiny_set, tmp_path, command):
    """A limit on the size of files stands for it: some are written, and the next is not."""
    out = tmp_path / "out"
    arguments = {
        "convert": ["convert", tiny_set, out, "--shard", "1", "--workers", "1"],
        "synth": [
            "synth",
            out,
            "--train",
            "6",
            "--test",
            "0",
            "--size",
            "96x128",
            "--workers",
            "1",
        ],
        "masks": ["masks", tiny_set, out, "--format", "tiff", "--workers", "1"],
    }[command]
    undisturbed = tmp_path / "undisturbed" / "out"
    done = call(*[undisturbed if word == out else word for word in arguments])
    assert done.returncode == 0, done.stderr
    expected = digest(undisturbed)
    sizes = sorted(path.stat().st_size for path in undisturbed.rglob("*") if path.is_file())
    limit = str(sizes[-1] - 1)
    line = [sys.executable, "-c", LIMITED, limit, *map(str, arguments)]
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=SECONDS)
    assert done.returncode == 2, done.stderr
    (said,) = [line for line in done.stderr.splitlines() if line.startswith("mtfast: error:")]
    assert "cannot be written: File too large" in said
    (kept,) = unfinished(out)
    assert said.endswith(f"what is done is kept in {kept}; run the same again to go on")
    done = call(*arguments)
    assert done.returncode == 0, done.stderr
    assert digest(out) == expected
    assert names_in(tmp_path) == ["out", "undisturbed"]


def children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def is_there(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


def test_a_worker_that_outlives_its_run_writes_nowhere(small_set, tmp_path):
    """It stalls, its run is killed, another run completes the store, and it goes on."""
    source, out = Path(shutil.copytree(small_set, tmp_path / "set")), tmp_path / "store.zarr"
    line = ("convert", "SET", "OUT", "--shard", "1", "--scheduler", "processes", "--workers", "2")
    process = start(line, source, out)
    deadline = time.monotonic() + SECONDS
    while n_done(out) < 3:
        assert process.poll() is None
        assert time.monotonic() < deadline
    stalled = children(process.pid)
    for pid in stalled:
        os.kill(pid, signal.SIGSTOP)
    try:
        process.kill()
        # Its workers hold the pipe of what it says.
        process.wait(timeout=SECONDS)
        process.stdout.close()
        convert.convert(source, out, shard=1)
        before = digest(out)
    finally:
        for pid in stalled:
            if is_there(pid):
                os.kill(pid, signal.SIGCONT)
    while any(map(is_there, stalled)):
        assert time.monotonic() < deadline + SECONDS
        time.sleep(0.01)  # Nothing is tested by this: another process has to end.
    assert digest(out) == before
    assert names_in(tmp_path) == ["set", "store.zarr"]
