"""The table that the ratios are printed as."""

import os
import platform
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
        if self.ordinary is None:
            return ""
        times = self.ordinary / self.ours
        return f"{times:,.0f}x" if times >= 20 else f"{times:.{1 if times >= 2 else 2}f}x"

    def cells(self) -> tuple[str, str, str, str]:
        """Return the row of the table."""
        ordinary = "-"
        if self.ordinary is not None:
            ordinary = f"{_amount(self.ordinary, self.ordinary_peak)} ({self.way})"
        return self.job, _amount(self.ours, self.our_peak), ordinary, self.ratio


def markdown(rows: list[Row]) -> str:
    """Lay out the table, and below it the machine that it was measured on."""
    lines = [("job", "mtfast", "ordinary way", "times as fast"), ("---", "---:", "---", "---:")]
    lines += [row.cells() for row in rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + f"\n\n{machine()}\n"


def machine() -> str:
    """Name the processor and the versions that matter."""
    processor = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        models = [x for x in cpuinfo.read_text().splitlines() if x.startswith("model name")]
        processor = models[0].partition(": ")[2] if models else processor
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return f"{processor}, {os.cpu_count()} cores, Python {platform.python_version()}, {versions}."


def _amount(seconds: float, peak_bytes: int | None) -> str:
    unit, factor = next(scale for scale in _UNITS if seconds * scale[1] >= 1 or scale == _UNITS[-1])
    number = seconds * factor
    text = f"{number:,.0f} {unit}" if number >= 100 else f"{number:.3g} {unit}"
    return text if peak_bytes is None else f"{text}, {peak_bytes / 1e6:,.0f} MB"


_UNITS = (("s", 1.0), ("ms", 1e3), ("µs", 1e6))
