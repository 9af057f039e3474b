"""The command line, run as users run it: in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys


def run(*arguments, cwd=None, **environment) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mtfast", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=os.environ | {"PYTHONWARNINGS": "error"} | environment,
    )
