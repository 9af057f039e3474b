"""Run trials, each one call and what it should answer, in a process that may die of them.

A worker makes each trial from the seed and its number, and records the number first. When the
worker dies, or takes too long for one trial, its parent starts the next worker after that trial.
To be saved, trials are made again from their numbers.
"""

from __future__ import annotations

import argparse
import multiprocessing
import pickle
import signal
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mtfast import MtfastError

# Expected answers: an MtfastError; or anything but another error.
REFUSED = "refused"
ANYTHING = "anything"

# Elements around a frame to write to, which are 99 and must stay so.
MARGIN = 64


class Trial(NamedTuple):
    """A call and its answer; `out` among the options is judged as well."""

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    options: dict[str, Any]
    answer: Any


Make = Callable[[int, int], Trial]
"""Makes a trial of a seed and a number; a function of a module, which workers import."""


@dataclass
class Report:
    """What came of trials; each kind of problem with the number of its first trial."""

    seconds: float = 0.0
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    problems: dict[str, int] = field(default_factory=dict)

    @property
    def n_calls(self) -> int:
        return sum(self.outcomes.values())


def same(got: Any, answer: Any) -> bool:
    if isinstance(answer, np.ndarray):
        return (
            isinstance(got, np.ndarray)
            and (got.dtype, got.shape) == (answer.dtype, answer.shape)
            and np.array_equal(got, answer, equal_nan=answer.dtype.kind == "f")
        )
    if isinstance(answer, list | tuple):
        return type(got) is type(answer) and len(got) == len(answer) and all(map(same, got, answer))
    return bool(got == answer)


def judge(trial: Trial) -> tuple[str, str | None]:
    """Run a trial; returns whether the input was accepted, and what went wrong if anything did."""
    name = trial.function.__name__
    out = trial.options.get("out")
    around = out.base if isinstance(out, np.ndarray) else None
    try:
        with warnings.catch_warnings(action="error"):
            got = trial.function(*trial.arguments, **trial.options)
    except MtfastError as error:
        if trial.answer is not REFUSED and trial.answer is not ANYTHING:
            return "refused", f"{name}: refused what is sound"
        if around is not None and np.any(around != 99):
            return "refused", f"{name}: wrote to out and refused"
        if len(str(error).splitlines()) != 1:
            return "refused", f"{name}: an error of several lines"
        return "refused", None
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        at = f"{Path(frame.filename).name}:{frame.name}"
        return "failed", f"{name}: {type(error).__name__} in {at}"
    if trial.answer is REFUSED:
        return "accepted", f"{name}: accepted what is malformed"
    if trial.answer is not ANYTHING and not same(got, trial.answer):
        return "accepted", f"{name}: a wrong answer"
    if around is not None and np.any(around[np.r_[:MARGIN, -MARGIN:0]] != 99):
        return "accepted", f"{name}: wrote outside of out"
    return "accepted", None


def work(make: Make, seed: int, board: Any, results: Connection) -> None:
    """Judge trials from the number on the board up to the last one; runs in the worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    outcomes: Counter[tuple[str, str]] = Counter()
    told = time.monotonic()
    while board[0] + 1 < board[1]:
        board[0] += 1
        trial = make(seed, board[0])
        outcome, problem = judge(trial)
        outcomes[trial.function.__name__, outcome] += 1
        if problem or time.monotonic() > told + 0.1:
            results.send((board[0], problem, outcomes))
            outcomes.clear()
            told = time.monotonic()
    results.send((board[0], FINISHED, outcomes))


FINISHED = "finished"


def fuzz(
    make: Make,
    seed: int = 0,
    seconds: float = np.inf,
    n_trials: int = 2**62,
    limit: float = 10.0,
) -> Report:
    """Judge trials 0, 1, 2, … until the time or their number is up.

    Parameters
    ----------
    make : Make
    seed, n_trials : int
    seconds : float
        Without those that workers take to start.
    limit : float
        Seconds that a trial may take, its making included.
    """
    context = multiprocessing.get_context("spawn")
    # The number of the trial that is under way, and the number to stop at.
    board = context.RawArray("q", [-1, n_trials])
    report = Report()
    while board[0] + 1 < board[1]:
        first = board[0]
        ours, theirs = context.Pipe(duplex=False)
        worker = context.Process(target=work, args=(make, seed, board, theirs), daemon=True)
        worker.start()
        theirs.close()
        fate = watch(worker, ours, board, report, seconds, limit)
        worker.join()
        ours.close()
        if board[0] == first:
            raise RuntimeError(f"a worker ended with {worker.exitcode} before its first trial")
        if fate != FINISHED:
            fate = fate or f"died with exit status {worker.exitcode}"
            name = make(seed, board[0]).function.__name__
            report.problems.setdefault(f"{name}: {fate}", board[0])
    return report


def watch(
    worker: Any, results: Connection, board: Any, report: Report, seconds: float, limit: float
) -> str | None:
    """Report what a worker tells until it is done or dies, or kill it when it hangs."""
    first = seen = board[0]
    since = before = time.monotonic()
    while True:
        try:
            if results.poll(0.02):
                number, problem, outcomes = results.recv()
                report.outcomes += outcomes
                if problem == FINISHED:
                    return FINISHED
                if problem:
                    report.problems.setdefault(problem, number)
        except (EOFError, OSError):
            return None
        now = time.monotonic()
        report.seconds += now - before if seen != first else 0.0
        before = now
        if board[0] != seen:
            seen, since = board[0], now
        elif seen != first and now > since + limit:
            worker.kill()
            return "hangs"
        if report.seconds > seconds:
            board[1] = 0


def main(make: Make, document: str | None) -> None:
    """Parse the command line, fuzz, and print what came of it; exit status 1 for findings."""
    parser = argparse.ArgumentParser(
        description=document, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--trials", type=int, default=2**62)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=float, default=10.0, help="seconds that a trial may take")
    parser.add_argument("--findings", type=Path, default=Path("fuzz-findings"))
    parser.add_argument("--replay", type=Path, nargs="+", default=[], help="findings to try again")
    options = parser.parse_args()
    if options.replay:
        problems = [judge(pickle.loads(path.read_bytes()))[1] for path in options.replay]
        for path, problem in zip(options.replay, problems, strict=True):
            print(f"{path}: {problem or 'all right'}")
        sys.exit(int(any(problems)))
    report = fuzz(make, options.seed, options.seconds, options.trials, options.limit)
    print(f"{report.n_calls} calls, {report.n_calls / max(report.seconds, 1e-9):.0f} a second")
    for name in sorted({name for name, _ in report.outcomes}):
        accepted, refused = (report.outcomes[name, end] for end in ("accepted", "refused"))
        print(f"{name:20} {accepted:9} accepted {refused:9} refused")
    print(f"{len(report.problems)} findings")
    for problem, number in report.problems.items():
        options.findings.mkdir(exist_ok=True)
        path = options.findings / f"{options.seed}-{number}.pickle"
        path.write_bytes(pickle.dumps(make(options.seed, number)))
        print(f"{path}: {problem}")
    sys.exit(int(bool(report.problems)))
