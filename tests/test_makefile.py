"""Which interpreter make uses, with stubs in place of interpreters: nothing is installed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

MAKEFILE = Path(__file__).parents[1] / "Makefile"

STUB = """#!/bin/sh
echo "{name} $*" >> {log}
case "$*" in
    *print*) echo "{name}" ;;
    "-m venv"*)
        for folder; do :; done
        case "$*" in *--clear*) rm -rf "$folder" ;; esac
        mkdir -p "$folder/bin"
        cp "$0" "$folder/bin/python" ;;
esac
"""


@pytest.fixture
def project(tmp_path):
    if shutil.which("make") is None:
        pytest.skip("no make here")
    shutil.copy(MAKEFILE, tmp_path)
    (tmp_path / "pyproject.toml").touch()
    for name in ("one", "other"):
        (tmp_path / name).write_text(STUB.format(name=name, log=tmp_path / "log"))
        (tmp_path / name).chmod(0o755)
    return tmp_path


def make(project: Path, *arguments: str) -> list[str]:
    """Run make, and return which interpreters made an environment."""
    (project / "log").write_text("")
    # The make that runs these tests hands its variables on in the environment.
    outer = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "PYTHON", "VENV")
    environment = {name: value for name, value in os.environ.items() if name not in outer}
    subprocess.run(
        ["make", "venv", *arguments],
        cwd=project,
        check=True,
        capture_output=True,
        env=environment,
    )
    lines = (project / "log").read_text().splitlines()
    return [line.split()[0] for line in lines if " -m venv" in line]


def test_another_interpreter_makes_the_environment_anew(project):
    assert make(project, "PYTHON=./one") == ["one"]
    stale = project / ".venv" / "stale"
    stale.touch()
    assert make(project, "PYTHON=./one") == []
    assert stale.exists()
    assert make(project, "PYTHON=./other") == ["other"]
    assert not stale.exists()
    assert make(project) == []
    assert make(project, "PYTHON=./one", "VENV=.venv-one") == ["one"]
    assert make(project, "PYTHON=./other") == []


def test_the_environment_is_updated_with_the_project(project):
    make(project, "PYTHON=./one")
    kept = project / ".venv" / "kept"
    kept.touch()
    stamp = (project / ".venv" / ".installed").stat().st_mtime
    os.utime(project / "pyproject.toml", (stamp + 10, stamp + 10))
    assert make(project, "PYTHON=./one") == ["one"]
    assert kept.exists()
