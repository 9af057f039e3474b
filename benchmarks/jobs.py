"""Independent jobs: mtfast.parallel, which has Dask run them, beside a plain pool of Python's.

::

    python -m benchmarks.jobs [--quick] [--markdown FILE]

Two workers, in turns. A slow job among quick ones shows whether others wait for it; empty jobs
show what giving them out costs.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from benchmarks import data
from benchmarks.measuring import race
from benchmarks.table import Row, grid, machine
from mtfast.parallel import run_jobs, worker_processes

WORKERS = 2
SLOW_EVERY = 256
QUICK_SECONDS = 0.001
POOLS = {"threads": ThreadPoolExecutor, "processes": worker_processes}


@dataclass(frozen=True)
class Amount:
    """How many naps there are, how long the slow ones are, and how many empty jobs."""

    naps: int
    slow_seconds: float
    empty: int
    rounds: int


TINY = Amount(4, 0.01, 10, 1)
QUICK = Amount(1024, 1.0, 20_000, 1)
USUAL = Amount(1024, 1.0, 20_000, 5)


class Jobs:
    """A slow job among quick ones, and empty jobs."""

    params = tuple(POOLS)
    param_names = ("scheduler",)
    number = 1

    def setup(self, scheduler: str) -> None:
        self.naps = naps(data.scale.labels, 0.1)
        self.empty = [0.0] * data.scale.annotations
        ours(scheduler, self.empty[:WORKERS])

    def time_one_is_slow(self, scheduler: str) -> None:
        ours(scheduler, self.naps)

    def time_empty(self, scheduler: str) -> None:
        ours(scheduler, self.empty)

    def peakmem_empty(self, scheduler: str) -> None:
        ours(scheduler, self.empty)


def naps(n: int, slow_seconds: float) -> list[float]:
    """Return how long each job is to take."""
    return [QUICK_SECONDS if number % SLOW_EVERY else slow_seconds for number in range(n)]


def nap(seconds: float) -> None:
    if seconds:
        time.sleep(seconds)


def ours(scheduler: str, jobs: Sequence[float]) -> None:
    with run_jobs(nap, jobs, "nap", scheduler, WORKERS) as results:
        for _ in results:
            pass


def plainly(scheduler: str, jobs: Sequence[float]) -> None:
    with POOLS[scheduler](WORKERS) as pool:
        for future in as_completed([pool.submit(nap, job) for job in jobs]):
            future.result()


def measure(amount: Amount) -> Iterator[Row]:
    """Time both kinds of jobs on both kinds of workers."""
    cases = {
        f"{amount.naps:,} jobs, one in {SLOW_EVERY} slow": naps(amount.naps, amount.slow_seconds),
        f"{amount.empty:,} empty jobs": [0.0] * amount.empty,
    }
    for scheduler in POOLS:
        for job, seconds in cases.items():
            ways = [
                lambda _, way=way, scheduler=scheduler, seconds=seconds: way(scheduler, seconds)
                for way in (ours, plainly)
            ]
            taken, plain = race(ways, amount.rounds)
            yield Row(f"{job}, {WORKERS} {scheduler}", taken, "concurrent.futures", plain)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.jobs", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--quick", action="store_true", help="one round")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table there too")
    given = parser.parse_args(arguments)
    rows = []
    for row in measure(QUICK if given.quick else USUAL):
        rows.append(row)
        print(*row.cells(), sep="  ", file=sys.stderr, flush=True)
    text = grid(
        [
            ("jobs", "mtfast", "plain pool", "times as fast"),
            ("---", "---:", "---:", "---:"),
            *(row.cells() for row in rows),
        ]
    )
    text += f"\n{machine(('mtfast', 'dask'))}"
    print(text)
    if given.markdown:
        given.markdown.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
