"""The command line, run as users run it, in a process of its own or in this one."""

from __future__ import annotations

import os
import subprocess
import sys

import click
from click.testing import CliRunner

from mtfast.cli import main


def run(*arguments, cwd=None, **environment) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mtfast", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=os.environ | {"PYTHONWARNINGS": "error"} | environment,
    )


def invoke(*arguments: str) -> tuple[int, str, str]:
    """Run a command in this process: its status, standard output and standard error."""
    done = CliRunner().invoke(click.Command("run", callback=lambda: main([*arguments])), [])
    return done.exit_code, done.stdout, done.stderr
