"""What it costs to have a job run: a task on threads, on processes and on a Dask cluster.

::

    python -m benchmarks.scheduling [--quick] [--markdown FILE]

Jobs that do nothing, two workers. Short jobs share a task, so there are rows with a task for each
job too. Each row is a process of its own; the Dask scheduler and its workers are others. The memory
is by how much the peak of the client grows over a run of 64 jobs before.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from benchmarks.table import grid, machine
from mtfast import parallel
from mtfast.parallel import run_jobs

WORKERS = 2
START_SECONDS = 60.0
CLUSTER = "cluster"
SCHEDULERS = ("threads", "processes", CLUSTER)
# What a job of `convert` weighs when it is sent: 64 images of 1200 x 1920 with 470 masks.
SHARD_BYTES = 43_000


class Case(NamedTuple):
    """Jobs to run: where, how many, whether each has a task of its own, and the bytes of a job."""

    scheduler: str
    n_jobs: int
    own_tasks: bool = False
    n_bytes: int = 0


class Cost(NamedTuple):
    """What a run took: tasks, seconds, processor seconds of the client, and bytes of its memory."""

    n_tasks: int
    seconds: float
    client_seconds: float
    n_bytes: int


def cases(sizes: Sequence[int], most_own: int) -> Iterator[Case]:
    """List what is measured; a task for each job up to some number of jobs."""
    for scheduler in SCHEDULERS:
        yield from (Case(scheduler, n) for n in sizes)
        yield from (Case(scheduler, n, own_tasks=True) for n in sizes if n <= most_own)
    yield Case(CLUSTER, sizes[0], own_tasks=True, n_bytes=SHARD_BYTES)


def do_nothing(job: bytes) -> None:
    """The job."""


class Jobs(Sequence[bytes]):
    """Jobs of bytes that no compression makes fewer."""

    def __init__(self, n_jobs: int, n_bytes: int) -> None:
        self.n_jobs, self.data = n_jobs, random.Random(0).randbytes(n_bytes)

    def __len__(self) -> int:
        return self.n_jobs

    def __getitem__(self, number: int) -> bytes:
        return self.data


def run(case: Case, address: str) -> Cost:
    """Run jobs in this process."""
    scheduler = address if case.scheduler == CLUSTER else case.scheduler
    if case.own_tasks:
        parallel.MOST_PER_TASK = 1
    through(scheduler, Jobs(64, case.n_bytes))
    peak, used, start = peak_bytes(), time.process_time(), time.perf_counter()
    n_tasks = through(scheduler, Jobs(case.n_jobs, case.n_bytes))
    return Cost(
        n_tasks,
        time.perf_counter() - start,
        time.process_time() - used,
        peak_bytes() - peak,
    )


def through(scheduler: str, jobs: Jobs) -> int:
    """Run jobs; return how many tasks they were."""
    n_tasks = 0

    def title(number: int) -> str:
        nonlocal n_tasks
        n_tasks += 1
        return str(number)

    with run_jobs(do_nothing, jobs, "nothing", scheduler, WORKERS, title) as results:
        for _ in results:
            pass
    return n_tasks


def peak_bytes() -> int:
    """Return the most memory that this process has had, where Linux tells it; else 0."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def in_fresh_process(case: Case, address: str) -> Cost:
    """Run jobs in a process of their own."""
    code = (
        "import json, sys; from benchmarks.scheduling import Case, run\n"
        "if __name__ == '__main__':\n"
        "    case, address = json.loads(sys.argv[1])\n"
        "    print(json.dumps(run(Case(*case), address)))\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "run.py"
        script.write_text(code)
        done = subprocess.run(
            [sys.executable, script, json.dumps([case, address])],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(),
        )
    return Cost(*json.loads(done.stdout))


def environment() -> dict[str, str]:
    """Return that of a process which imports these benchmarks."""
    paths = (str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", ""))
    return os.environ | {"PYTHONPATH": os.pathsep.join(paths)}


@contextmanager
def cluster(n_workers: int = WORKERS) -> Iterator[str]:
    """Start a Dask scheduler and workers of one thread each; yield its address."""
    with tempfile.TemporaryDirectory() as folder:
        contact = Path(folder) / "scheduler.json"
        common = ("--scheduler-file", str(contact), "--no-dashboard")
        local = ("--host", "tcp://127.0.0.1")
        worker = ("--nthreads", "1", "--no-nanny", "--local-directory", folder)
        lines = [("scheduler", *common, *local, "--port", "0")]
        lines += [("worker", *common, *local, *worker)] * n_workers
        started = [
            subprocess.Popen(
                [sys.executable, "-m", "dask", *line], stderr=subprocess.DEVNULL, env=environment()
            )
            for line in lines
        ]
        try:
            yield address_in(contact)
        finally:
            for process in started:
                process.kill()
                process.wait()


def address_in(contact: Path) -> str:
    """Wait for a scheduler's file, and return its address."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            return json.loads(contact.read_text())["address"]
        except (FileNotFoundError, ValueError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def row(case: Case, cost: Cost) -> tuple[str, ...]:
    """Return the cells of a row."""
    kinds = [" of their own" * case.own_tasks, f", {case.n_bytes:,} B each" * bool(case.n_bytes)]
    return (
        case.scheduler,
        f"{case.n_jobs:,}",
        f"{cost.n_tasks:,}{''.join(kinds)}",
        f"{1e6 * cost.seconds / case.n_jobs:,.0f}",
        f"{1e3 * cost.seconds / cost.n_tasks:.2f}",
        f"{1e3 * cost.client_seconds / cost.n_tasks:.2f}",
        f"{cost.n_bytes / 1e6:.0f}",
    )


HEAD = (
    ("", "jobs", "tasks", "us a job", "ms a task", "processor of the client", "MB of the client"),
    ("---", "---:", "---:", "---:", "---:", "---:", "---:"),
)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.scheduling", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--quick", action="store_true", help="fewer jobs")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table there too")
    given = parser.parse_args(arguments)
    sizes, most_own = (
        ((1_000, 10_000), 1_000) if given.quick else ((1_000, 10_000, 100_000), 10_000)
    )
    rows = []
    with cluster() as address:
        for case in cases(sizes, most_own):
            rows.append(row(case, in_fresh_process(case, address)))
            print(*rows[-1], sep="  ", file=sys.stderr, flush=True)
    text = f"{grid([*HEAD, *rows])}\n{machine(('mtfast', 'dask', 'distributed'))}"
    print(text)
    if given.markdown:
        given.markdown.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
