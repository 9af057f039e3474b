"""Measuring time and memory: jobs that take turns, and processes of their own."""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

POLL_SECONDS = 0.02


def race(
    jobs: Sequence[Callable[[Any], object]],
    rounds: int,
    *,
    turn: int | Sequence[int] = 1,
    before: Callable[[], object] = lambda: None,
    inputs: Sequence[Callable[[int], object]] | None = None,
    calmest: bool = False,
) -> list[float]:
    """Run the jobs in turns and return the median seconds of a call of each.

    Parameters
    ----------
    jobs : sequence of callable
        Called with 0, 1, 2, ..., which picks the input.
    rounds : int
        Each job has one turn in each round. One more round before them warms up.
    turn : int, or one for each job
        Number of calls in a turn.
    before : callable
        Called before each turn, not timed.
    inputs : one callable for each job, optional
        Called with that number before each call, not timed; the job is called with its result
        instead.
    calmest : bool
        Return the least of the medians of the turns: what else the machine does only adds to them.
    """
    turns = [turn] * len(jobs) if isinstance(turn, int) else turn
    makers = [_identity] * len(jobs) if inputs is None else inputs
    taken: list[list[float]] = [[] for _ in jobs]
    for k in range(1 + rounds):
        for job, n, make, seconds in zip(jobs, turns, makers, taken, strict=True):
            before()
            for i in range(k * n, (k + 1) * n):
                given = make(i)
                start = time.perf_counter()
                job(given)
                seconds.append(time.perf_counter() - start)
    if not calmest:
        return [statistics.median(seconds[n:]) for n, seconds in zip(turns, taken, strict=True)]
    return [
        min(statistics.median(seconds[k * n : (k + 1) * n]) for k in range(1, 1 + rounds))
        for n, seconds in zip(turns, taken, strict=True)
    ]


class Usage(NamedTuple):
    """Time and memory that a process took; peak_bytes is None where the system does not tell."""

    seconds: float
    peak_bytes: int | None


def in_fresh_process(job: str, *arguments: object) -> Usage:
    """Run a line of Python in a process of its own; ``a`` is the list of the arguments.

    The time is that of the line, without startup and imports; imports go before a line ``---``. The
    memory is the sum of the peak resident sizes of the process and all its descendants, sampled
    from Linux's /proc: ``getrusage`` would include what this process held when it forked.
    """
    imports, _, line = job.rpartition("---\n")
    code = f"import sys, time\na = sys.argv[1:]\n{imports}\nstart = time.perf_counter()\n{line}\n"
    process = subprocess.Popen(
        [sys.executable, "-c", code + "print(time.perf_counter() - start)", *map(str, arguments)],
        stdout=subprocess.PIPE,
        text=True,
    )
    peaks: dict[int, int] = {}
    while process.poll() is None:
        for pid in family(process.pid):
            peaks[pid] = max(peaks.get(pid, 0), _peak_bytes(pid))
        time.sleep(POLL_SECONDS)
    assert process.stdout is not None
    printed = process.stdout.read()
    process.stdout.close()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    return Usage(float(printed.split()[-1]), sum(peaks.values()) or None)


def processes_in_turns(jobs: Sequence[Callable[[], Usage]], rounds: int) -> list[Usage]:
    """Run the jobs in turns; return the median seconds and the peak memory of each."""
    found: list[list[Usage]] = [[] for _ in jobs]
    for _ in range(rounds):
        for job, usages in zip(jobs, found, strict=True):
            usages.append(job())
    return [
        Usage(
            statistics.median(usage.seconds for usage in usages),
            max(usage.peak_bytes or 0 for usage in usages) or None,
        )
        for usages in found
    ]


def _identity(k: int) -> int:
    return k


def family(pid: int) -> list[int]:
    """Return the numbers of a process and of all its descendants."""
    found = [pid]
    for known in found:
        for file in Path(f"/proc/{known}/task").glob("*/children"):
            try:
                found += map(int, file.read_text().split())
            except OSError:
                continue
    return found


def _peak_bytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
