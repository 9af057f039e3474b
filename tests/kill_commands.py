"""Kill commands at random moments, run them again, and compare what they make bit for bit.

::

    python tests/kill_commands.py --kills 300 --seed 0

Each trial runs a command in a process of its own, kills it once or several times, at a random time
or after a random number of its parts, and then lets it end. Its files have to be those of a run
that nobody disturbed, nothing else may be left beside them, and what a stopped run had done must
not be done again: at least that is true of parts, as the command itself counts them.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

SECONDS = 120.0
POLL = 0.002


class Command(NamedTuple):
    """A command line after ``mtfast``, with SET, STORE and OUT for paths.

    Attributes
    ----------
    line : tuple of str
    before : tuple of str or None
        What makes OUT first; None if there is nothing at OUT.
    """

    line: tuple[str, ...]
    before: tuple[str, ...] | None = None


_CONVERT = ("convert", "SET", "OUT", "--shard", "2")
COMMANDS = {
    "convert": Command((*_CONVERT, "--crop-index", "--workers", "2")),
    "convert on processes": Command((*_CONVERT, "--scheduler", "processes", "--workers", "2")),
    "convert --overwrite": Command((*_CONVERT, "--overwrite"), before=_CONVERT[:3]),
    "index": Command(("index", "OUT", "--workers", "2"), before=_CONVERT),
    "masks": Command(("masks", "SET", "OUT")),
    "masks --format png": Command(("masks", "SET", "OUT", "--format", "png")),
    "masks --format tiff": Command(("masks", "SET", "OUT", "--format", "tiff")),
    "masks --overwrite": Command(
        ("masks", "SET", "OUT", "--format", "png", "--kind", "binary", "--overwrite"),
        before=("masks", "SET", "OUT", "--format", "png"),
    ),
    "derive": Command(("derive", "SET", "OUT", "--min-area", "300", "--class-agnostic")),
    "synth": Command(
        ("synth", "OUT", "--train", "12", "--test", "4", "--size", "96x128", "--workers", "2")
    ),
}


def make_set(folder: Path) -> Path:
    """Make a small set, from which commands start."""
    from mtfast.synth import make_set as synth

    return synth(folder, train=20, test=6, size=(96, 128), seed=3, workers=1)


def start(line: tuple[str, ...], source: Path, out: Path) -> subprocess.Popen[str]:
    """Start a command in a session of its own."""
    paths = {"SET": str(source), "OUT": str(out)}
    return subprocess.Popen(
        [sys.executable, "-m", "mtfast", *(paths.get(word, word) for word in line)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def run(line: tuple[str, ...], source: Path, out: Path) -> str:
    """Run a command to its end; return what it said."""
    process = start(line, source, out)
    try:
        said, _ = process.communicate(timeout=SECONDS)
    finally:
        process.kill()
    if process.returncode:
        raise AssertionError(f"{' '.join(line)}: {said}")
    return said


def digest(folder: Path) -> dict[str, str]:
    """Return each file below a folder, hidden ones too, with the SHA-256 of its bytes."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def n_done(out: Path) -> int:
    """Count the parts that the run at work has noted as done."""
    n = 0
    for at in (out.parent, out):
        for path in at.glob(f".{out.name}.partial-*/done.jsonl"):
            try:
                n += path.read_bytes().count(b"\n")
            except OSError:
                continue
    return n


def kill(process: subprocess.Popen[str], whole_session: bool) -> None:
    """Kill a command, with or without its worker processes."""
    if whole_session:
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.communicate(timeout=SECONDS)


def wait(process: subprocess.Popen[str], until: Callable[[], bool]) -> bool:
    """Wait; return whether the command is still at work then."""
    while process.poll() is None and not until():
        time.sleep(POLL)
    return process.poll() is None


def one_trial(
    name: str, source: Path, expected: dict[str, str], seconds: float, dice: random.Random
) -> tuple[int, str]:
    """Disturb a command; return how often it was killed, and what is wrong, if anything."""
    command = COMMANDS[name]
    with tempfile.TemporaryDirectory(dir=source.parent) as folder:
        out = Path(folder) / "out"
        if command.before is not None:
            run(command.before, source, out)
        n_kills = 0
        for _ in range(dice.choice((1, 1, 1, 2, 3))):
            process = start(command.line, source, out)
            begun, at, parts = (
                time.monotonic(),
                dice.uniform(0.3, 1.1) * seconds,
                dice.randint(0, 9),
            )
            by_parts = dice.random() < 0.5
            n_before = n_done(out)

            def now(begun=begun, at=at, parts=parts, by_parts=by_parts, n=n_before) -> bool:
                late = time.monotonic() - begun > at
                return n_done(out) > n + parts or late if by_parts else late

            if not wait(process, now):
                process.communicate(timeout=SECONDS)
                break
            kill(process, dice.random() < 0.5)
            n_kills += 1
        return n_kills, _end_and_compare(command, source, out, expected)


def _end_and_compare(command: Command, source: Path, out: Path, expected: dict[str, str]) -> str:
    process = start(command.line, source, out)
    said, _ = process.communicate(timeout=SECONDS)
    # What was killed after its last step is complete, and is refused a second time.
    complete = re.search("complete store|is not empty|holds masks", said)
    if process.returncode and not complete:
        return f"the run after the kill failed: {said.strip().splitlines()[-1]}"
    found = digest(out)
    if found != expected:
        wrong = [name for name in {*found, *expected} if found.get(name) != expected.get(name)]
        return f"{len(wrong)} files are not those of an undisturbed run, {min(wrong)} among them"
    left = sorted(path.name for path in out.parent.iterdir() if path != out)
    return f"{left} are left beside it" if left else ""


def run_trials(
    names: list[str], n_kills: int, seed: int, say: Callable[[str], object] = print
) -> list[str]:
    """Kill commands in turn, until there were enough kills; return what is wrong.

    Parameters
    ----------
    names : list of str
        Of :data:`COMMANDS`.
    n_kills : int
    seed : int
    say : callable
        Called with a line for each trial.

    Returns
    -------
    list of str
    """
    dice = random.Random(seed)
    findings = []
    with tempfile.TemporaryDirectory(prefix="mtfast-kills-") as folder:
        source = make_set(Path(folder) / "set")
        expected, seconds = {}, {}
        for name in names:
            command, out = COMMANDS[name], Path(folder) / "undisturbed" / "out"
            if command.before is not None:
                run(command.before, source, out)
            begun = time.monotonic()
            run(command.line, source, out)
            expected[name], seconds[name] = digest(out), time.monotonic() - begun
            shutil.rmtree(out.parent)
        done = number = 0
        while done < n_kills:
            name = names[number % len(names)]
            n, wrong = one_trial(name, source, expected[name], seconds[name], dice)
            done, number = done + n, number + 1
            say(f"{done:5d} {name}: {n} kills{f'; {wrong}' if wrong else ''}")
            if wrong:
                findings.append(f"{name}: {wrong}")
    return findings


def main() -> None:
    """Run trials as the command line says; exit with 1 if anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--command", action="append", choices=list(COMMANDS))
    given = parser.parse_args()
    findings = run_trials(given.command or list(COMMANDS), given.kills, given.seed)
    print(f"{given.kills} kills, {len(findings)} findings", *findings, sep="\n")
    sys.exit(bool(findings))


if __name__ == "__main__":
    main()
