"""The tables of the benchmarks: their rows, and how numbers are printed."""

import argparse
import math
import os
import platform
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("mtfast", "zarr", "numpy", "imagecodecs", "pycocotools", "opencv-python-headless")


FASTEST = "fastest"
FILLING = "filling the frame"


@dataclass(frozen=True)
class Row:
    """One job: seconds of mtfast and of its baseline, and the peak memory of both in bytes."""

    job: str
    ours: float
    baseline: str = ""
    baseline_seconds: float | None = None
    our_peak: int | None = None
    baseline_peak: int | None = None

    @property
    def times_as_fast(self) -> float:
        """How many times as fast as its baseline mtfast is; nan where there is none."""
        return math.nan if self.baseline_seconds is None else self.baseline_seconds / self.ours

    @property
    def ratio(self) -> str:
        """The same to print."""
        return "" if self.baseline_seconds is None else times(self.times_as_fast)

    def cells(self) -> tuple[str, str, str, str]:
        """Return the cells of the table."""
        other = "-"
        if self.baseline_seconds is not None:
            other = f"{amount(self.baseline_seconds, self.baseline_peak)} ({self.baseline})"
        return self.job, amount(self.ours, self.our_peak), other, self.ratio


@dataclass(frozen=True)
class PeerRow:
    """One job: median seconds of mtfast, of each peer, and of filling the frame."""

    job: str
    ours: float
    peers: dict[str, float]
    goals: dict[str, float]
    filling: float | None = None

    @property
    def fastest(self) -> str:
        """Name of the fastest peer."""
        return min(self.peers, key=self.peers.__getitem__, default="-")

    def ratio(self, name: str) -> float | None:
        """How many times as fast as that peer mtfast is; None if the peer cannot do the job."""
        seconds = {**self.peers, FILLING: self.filling}.get(
            self.fastest if name == FASTEST else name
        )
        return None if seconds is None else seconds / self.ours

    def cells(self, names: list[str]) -> list[str]:
        """Return the cells of the table; ``names`` are the peers in its columns."""
        ratios = [self.ratio(name) for name in names]
        goals = []
        for name, goal in self.goals.items():
            ratio = self.ratio(name)
            if ratio is not None:
                reached = "" if name in names else f" ({times(ratio)})"
                wanted = f"{goal:.2f}".rstrip("0").rstrip(".")
                goals.append(f"{'✓' if ratio >= goal else '✗'} {wanted}x {name}{reached}")
        return [
            self.job,
            amount(self.ours),
            *("-" if ratio is None else times(ratio) for ratio in ratios),
            self.fastest,
            ", ".join(goals),
        ]


def amounts_parser(module: str, about: str, quick: str, full: str) -> argparse.ArgumentParser:
    """Make a parser with --quick, --full and --markdown, given what the first two are for."""
    parser = argparse.ArgumentParser(f"python -m {module}", description=about.partition("\n")[0])
    amount = parser.add_mutually_exclusive_group()
    amount.add_argument("--quick", action="store_true", help=quick)
    amount.add_argument("--full", action="store_true", help=full)
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table there too")
    return parser


def collected(rows: Iterable[Row]) -> list[Row]:
    """Collect rows, and show each on standard error as soon as it is measured."""
    found = []
    for row in rows:
        found.append(row)
        print(*row.cells(), sep="  ", file=sys.stderr, flush=True)
    return found


def markdown(rows: list[Row]) -> str:
    """Lay out the table, with the machine that it was measured on below."""
    lines = [("job", "mtfast", "baseline", "times as fast"), ("---", "---:", "---", "---:")]
    return f"{grid([*lines, *(row.cells() for row in rows)])}\n{machine(PACKAGES)}\n"


def grid(lines: Iterable[Iterable[str]]) -> str:
    """Lay out a Markdown table from lines of cells: headings, alignments, rows."""
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def times(ratio: float) -> str:
    """Print a ratio with two or three digits."""
    return f"{ratio:,.0f}x" if ratio >= 20 else f"{ratio:.{1 if ratio >= 2 else 2}f}x"


def machine(packages: Iterable[str]) -> str:
    """Name the processor, its cores, and the versions of Python and the packages."""
    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        models = [x for x in cpuinfo.read_text().splitlines() if x.startswith("model name")]
        processor = models[0].partition(": ")[2] if models else processor
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    return f"{processor}, {os.cpu_count()} cores, Python {platform.python_version()}, {versions}."


def amount(seconds: float, peak_bytes: int | None = None) -> str:
    """Print seconds with the unit that suits, and the peak memory where it is known."""
    unit, factor = next(scale for scale in _UNITS if seconds * scale[1] >= 1 or scale == _UNITS[-1])
    number = seconds * factor
    text = f"{number:,.0f} {unit}" if number >= 100 else f"{number:.3g} {unit}"
    return text if peak_bytes is None else f"{text}, {peak_bytes / 1e6:,.0f} MB"


_UNITS = (("s", 1.0), ("ms", 1e3), ("µs", 1e6))
