"""The completion that docs/COMMAND_LINE.md describes, in a real bash."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "COMMAND_LINE.md"

ASK = """
. "$HOME/.bashrc"
compopt() {{ echo "compopt $@"; }}
ask() {{
    COMP_WORDS=("$@")
    COMP_CWORD=$(($# - 1))
    COMPREPLY=()
    {function}
    echo "${{COMPREPLY[@]}}"
}}
cd "$HOME"
ask mtfast co
ask mtfast convert --sh
ask mtfast masks --format t
ask mtfast masks --format png gr
complete -p mtfast
"""


def blocks() -> dict[str, str]:
    """Return the lines to type, by the shell that they are for."""
    found = re.findall(r"```sh\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    return {re.search(r"=(\w+)_source", block)[1]: block for block in found}


@pytest.fixture
def home(tmp_path) -> dict[str, str]:
    """A home of its own, with mtfast on the path."""
    program = tmp_path / "bin" / "mtfast"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m mtfast "$@"\n')
    program.chmod(0o755)
    (tmp_path / "graphene.json").touch()
    (tmp_path / ".config/fish/completions").mkdir(parents=True)
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    return os.environ | {"HOME": str(tmp_path), "PATH": path}


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_a_script_is_made(home, shell):
    subprocess.run(["bash", "-ec", blocks()[shell]], env=home, check=True)
    (made,) = Path(home["HOME"]).rglob("*mtfast*/*" if shell == "zsh" else "*.fish")
    assert "_MTFAST_COMPLETE" in made.read_text()
    if shutil.which(shell):
        subprocess.run([shell, "-n", made], check=True)


def test_bash(home):
    version = subprocess.run(["bash", "--version"], capture_output=True, text=True, check=True)
    major, minor = map(int, re.search(r"(\d+)\.(\d+)", version.stdout).groups())
    if (major, minor) < (4, 4):
        pytest.skip("bash is older than 4.4")
    subprocess.run(["bash", "-ec", blocks()["bash"]], env=home, check=True)
    script = ASK.format(function="_mtfast_completion mtfast")
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, env=home, check=True
    )
    command, option, word, path, _, declared = done.stdout.splitlines()
    assert command == "convert"
    assert option == "--shard"
    assert word == "tiff"
    # bash looks for files itself.
    assert path == "compopt -o default"
    assert "_mtfast_completion" in declared
    assert not done.stderr
