"""Few masks at a time: microseconds of a call of mtfast.mask and of libraries like it.

::

    python -m benchmarks.few [--quick] [--markdown FILE] [--frame HEIGHTxWIDTH]

Flakes in frames of one size, as lists of dicts, from one to a thousand; one dict; a small mask as
pixels. One process; answers are compared before anything is timed. The libraries take short turns,
and the fastest of them are compared, as what else the machine does only adds to them.
faster-coco-eval and rlemasklib are left out with ``--quick``.
"""

import argparse
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

import mtfast.mask
from benchmarks import data, libraries
from benchmarks.libraries import PYCOCOTOOLS_AREAS
from benchmarks.peers import same
from benchmarks.table import grid, machine, times

NUMBERS = (1, 2, 5, 30, 200, 1000)
TINY = (1, 2)
ROUNDS = 100
TURN_SECONDS = 0.0005
MOST_CALLS = 500
# A call that takes longer has few rounds.
SLOW_SECONDS = 0.01
FEW_ROUNDS = 5
SLOW_PEERS = ("faster-coco-eval", "rlemasklib")
# Height and width of a mask that a network predicts.
PREDICTED = (28, 28)


@dataclass(frozen=True)
class Case:
    """A call with one input."""

    name: str
    operation: str
    given: tuple


def cases(size: tuple[int, int], numbers: tuple[int, ...]) -> Iterator[Case]:
    """Make the calls: all that take lists with each number of masks, then single masks."""
    masks = data.masks("flake", size, max(numbers))
    moved = data.masks("flake", size, max(numbers), 4)
    for operation, name in (("area", "area"), ("box", "toBbox"), ("iou", "iou"), ("or", "merge")):
        for n in numbers:
            if operation == "or":
                yield Case(f"merge, or, {n:,}", "or", (masks[:n],))
                yield Case(f"merge, and, {n:,}", "and", (masks[:n],))
            elif operation == "iou":
                yield Case(f"iou, {n:,} x {n:,}", operation, (moved[:n], masks[:n]))
            else:
                yield Case(f"{name}, {n:,}", operation, (masks[:n],))
    rings = data.rings("flake", size, max(numbers))
    for n in numbers:
        yield Case(f"polygons, {n:,}", "polygons", (rings[:n], *size))
    yield Case("area of a dict", "area of one", (masks[0],))
    yield Case("toBbox of a dict", "box", (masks[0],))
    rng = np.random.default_rng(data.SEED)
    small = np.asfortranarray(rng.random(PREDICTED) < 0.3, np.uint8)
    for name, pixels in (
        ("{} x {}".format(*PREDICTED), small),
        ("a flake", mtfast.mask.decode(masks[0])),
    ):
        yield Case(f"decode {name}", "decode, F order", (mtfast.mask.encode(pixels),))
        yield Case(f"encode {name}", "encode, F order", (pixels,))


def measure(
    size: tuple[int, int], numbers: tuple[int, ...], rounds: int, names: list[str]
) -> Iterator[tuple[str, dict[str, float]]]:
    """Measure every call; yields its name and the seconds of each library."""
    functions = {"mtfast": libraries.mtfast()}
    functions |= {name: libraries.PEERS[name]() for name in names}
    for case in cases(size, numbers):
        able = {
            name: found[case.operation]
            for name, found in functions.items()
            if _is_able(name, case, found)
        }
        expected = able["mtfast"](*case.given)
        for name, function in able.items():
            if not same(expected, function(*case.given)):
                raise SystemExit(f"{case.name}: mtfast and {name} differ")
        yield case.name, _race(able, case.given, rounds)


def _is_able(name: str, case: Case, functions: dict[str, Callable]) -> bool:
    too_many = case.operation == "area" and len(case.given[0]) > PYCOCOTOOLS_AREAS
    return case.operation in functions and not (name == "pycocotools" and too_many)


def _race(functions: dict[str, Callable], given: tuple, rounds: int) -> dict[str, float]:
    turns = {name: _calls(function, given) for name, function in functions.items()}
    taken: dict[str, list[float]] = {name: [] for name in functions}
    for k in range(rounds):
        for name, function in functions.items():
            if k >= FEW_ROUNDS and taken[name][0] > SLOW_SECONDS:
                continue
            calls = range(turns[name])
            start = perf_counter()
            for _ in calls:
                function(*given)
            taken[name].append((perf_counter() - start) / turns[name])
    return {name: min(found) for name, found in taken.items()}


def _calls(function: Callable, given: tuple) -> int:
    """Return how many calls a turn has."""
    start = perf_counter()
    function(*given)
    return max(1, min(MOST_CALLS, int(TURN_SECONDS / (perf_counter() - start))))


def cells(name: str, seconds: dict[str, float], names: list[str]) -> list[str]:
    """Lay out a row: microseconds of each library, and how many times as fast mtfast is."""
    ours = seconds["mtfast"]
    best = min((found for peer, found in seconds.items() if peer != "mtfast"), default=ours)
    shown = [_microseconds(seconds.get(peer)) for peer in ("mtfast", *names)]
    reference = seconds.get("pycocotools")
    return [name, *shown, "-" if reference is None else times(reference / ours), times(best / ours)]


def _microseconds(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    found = seconds * 1e6
    return f"{found:,.0f}" if found >= 100 else f"{found:.3g}"


def _frame(text: str) -> tuple[int, int]:
    height, width = re.fullmatch(r"(\d+)x(\d+)", text).groups()  # type: ignore[union-attr]
    return int(height), int(width)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.few", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--quick", action="store_true", help="few rounds, few libraries")
    parser.add_argument("--frame", type=_frame, default=data.SUITE.frames[-1], metavar="HxW")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table there too")
    given = parser.parse_args(arguments)
    left_out = SLOW_PEERS if given.quick else ()
    names = [name for name in libraries.installed() if name not in left_out]
    rows: list[Any] = []
    for name, seconds in measure(
        given.frame, NUMBERS, FEW_ROUNDS if given.quick else ROUNDS, names
    ):
        rows.append(cells(name, seconds, names))
        print(*rows[-1], sep="  ", file=sys.stderr, flush=True)
    headings = ["µs of a call", "mtfast", *names, "to pycocotools", "to the fastest"]
    table = grid([headings, ["---", *["---:"] * (len(headings) - 1)], *rows])
    table = f"{table}\n{machine(('mtfast', 'numpy', *names))}\n"
    print(table)
    if given.markdown:
        given.markdown.write_text(table, encoding="utf-8")


if __name__ == "__main__":
    main()
