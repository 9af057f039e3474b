"""A Dask scheduler and its workers as processes on this machine, which tests kill."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

SECONDS = 60.0
POLL = 0.01
TESTS = Path(__file__).parent


class Cluster:
    """A scheduler and workers of one thread each, without nannies that start them again.

    Parameters
    ----------
    folder : Path
        For their files and logs.
    n_workers : int
    first : Path, optional
        Where workers look for modules first.
    around : sequence of str
        What the line that starts a worker begins with.
    """

    def __init__(
        self,
        folder: Path,
        n_workers: int = 2,
        first: Path | None = None,
        around: Sequence[str] = (),
    ) -> None:
        self._folder, self._paths = folder, [str(first or TESTS), str(TESTS)]
        self._around = {"scheduler": (), "worker": around}
        self._contact = folder / "scheduler.json"
        self.workers: list[subprocess.Popen[bytes]] = []
        self.scheduler = self._start("scheduler", "--host", "tcp://127.0.0.1", "--port", "0")
        for _ in range(n_workers):
            self.add_worker()
        self.address = json.loads(self._when_there())["address"]

    def _start(self, what: str, *options: str) -> subprocess.Popen[bytes]:
        line = [sys.executable, "-m", "dask", what, "--scheduler-file", str(self._contact)]
        paths = os.pathsep.join([*self._paths, os.environ.get("PYTHONPATH", "")])
        with (self._folder / f"{what}-{len(self.workers)}.log").open("wb") as log:
            return subprocess.Popen(
                [*self._around[what], *line, "--no-dashboard", *options],
                stdout=log,
                stderr=log,
                env=os.environ | {"PYTHONPATH": paths},
            )

    def _when_there(self) -> str:
        deadline = time.monotonic() + SECONDS
        # Written when the scheduler listens; the file is there a moment before its text.
        while not (self._contact.exists() and (text := self._contact.read_text()).endswith("}")):
            assert self.scheduler.poll() is None, "the scheduler has ended"
            assert time.monotonic() < deadline
            time.sleep(POLL)
        return text

    def add_worker(self) -> None:
        """Start one more; it joins when it is ready."""
        options = ("--host", "tcp://127.0.0.1", "--nthreads", "1", "--no-nanny")
        place = ("--local-directory", str(self._folder))
        self.workers.append(self._start("worker", *options, *place))

    def kill_worker(self, number: int, first: Path | None = None) -> None:
        """Kill a worker, and start another."""
        self._paths[0] = str(first or TESTS)
        worker = self.workers.pop(number)
        worker.kill()
        worker.wait()
        self.add_worker()

    def stop(self) -> None:
        """End all processes."""
        for process in (*self.workers, self.scheduler):
            process.kill()
        for process in (*self.workers, self.scheduler):
            process.wait()
