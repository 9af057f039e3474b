"""The tables that ratios are printed as."""

import os
import platform
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("mtfast", "zarr", "numpy", "imagecodecs", "pycocotools", "opencv-python-headless")


@dataclass(frozen=True)
class Row:
    """One job: seconds with mtfast, seconds the ordinary way, and what memory they took."""

    job: str
    ours: float
    way: str = ""
    ordinary: float | None = None
    our_peak: int | None = None
    ordinary_peak: int | None = None

    @property
    def ratio(self) -> str:
        """How many times as fast mtfast is."""
        return "" if self.ordinary is None else times(self.ordinary / self.ours)

    def cells(self) -> tuple[str, str, str, str]:
        """Return the row of the table."""
        ordinary = "-"
        if self.ordinary is not None:
            ordinary = f"{amount(self.ordinary, self.ordinary_peak)} ({self.way})"
        return self.job, amount(self.ours, self.our_peak), ordinary, self.ratio


def markdown(rows: list[Row]) -> str:
    """Lay out the table, and below it the machine that it was measured on."""
    lines = [("job", "mtfast", "ordinary way", "times as fast"), ("---", "---:", "---", "---:")]
    return f"{grid([*lines, *(row.cells() for row in rows)])}\n{machine(PACKAGES)}\n"


def grid(lines: Iterable[Iterable[str]]) -> str:
    """Lay out lines of cells: headings, alignments, rows."""
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def times(ratio: float) -> str:
    """Round a ratio to what a reader can use."""
    return f"{ratio:,.0f}x" if ratio >= 20 else f"{ratio:.{1 if ratio >= 2 else 2}f}x"


def machine(packages: Iterable[str]) -> str:
    """Name the processor and the versions that matter."""
    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        models = [x for x in cpuinfo.read_text().splitlines() if x.startswith("model name")]
        processor = models[0].partition(": ")[2] if models else processor
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    return f"{processor}, {os.cpu_count()} cores, Python {platform.python_version()}, {versions}."


def amount(seconds: float, peak_bytes: int | None = None) -> str:
    """Name seconds in the unit that suits, and the memory where it is known."""
    unit, factor = next(scale for scale in _UNITS if seconds * scale[1] >= 1 or scale == _UNITS[-1])
    number = seconds * factor
    text = f"{number:,.0f} {unit}" if number >= 100 else f"{number:.3g} {unit}"
    return text if peak_bytes is None else f"{text}, {peak_bytes / 1e6:,.0f} MB"


_UNITS = (("s", 1.0), ("ms", 1e3), ("µs", 1e6))
