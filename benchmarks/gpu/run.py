"""The sections in their order, and how they are printed."""

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import mtfast
from benchmarks import data
from benchmarks.table import grid, machine

if TYPE_CHECKING:
    from benchmarks.gpu.work import Amount, HeldSet, Work

PACKAGES = (
    "mtfast", "numpy", "numba", "torch", "torchvision", "numba-cuda", "cuda-core", "cuda-bindings",
    "pycocotools", "rlemasklib",
)  # fmt: skip


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.gpu", description="Work on a GPU: exactness, rates, training steps."
    )
    parser.add_argument("--quick", action="store_true", help="fewer images, rounds and steps")
    parser.add_argument("--exact", action="store_true", help="compare, and measure nothing")
    parser.add_argument("--images", type=int, help="images of the synthetic set")
    parser.add_argument("--demo", type=Path, metavar="FOLDER", help="a dataset to read as well")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables there too")
    parser.add_argument("--device", choices=("cuda", "cpu"), help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if find_spec("torch") is None:
        raise SystemExit("no PyTorch; expected it to be installed; run: pip install 'mtfast[gpu]'")
    report = _Report()
    with data.scratch() as folder:
        _measure(given, Path(folder), report)
    report.say(machine(_installed()))
    if given.markdown:
        given.markdown.write_text("".join(report.lines), encoding="utf-8")
    if report.n_wrong:
        raise SystemExit(f"{report.n_wrong} of the comparisons found differences")


class _Report:
    """Prints lines as they come, and keeps them."""

    def __init__(self) -> None:
        self.start = time.perf_counter()
        self.lines: list[str] = []
        self.n_wrong = 0

    def say(self, text: str) -> None:
        self.lines.append(text + "\n")
        print(text, flush=True)

    def section(
        self, title: str, headings: tuple[str, ...], lines: Iterator[tuple[str, ...]]
    ) -> None:
        """Print a table, each line as soon as it is measured."""
        seconds = time.perf_counter() - self.start
        self.say(f"\n**{title}** (after {seconds:.0f} s)\n")
        self.say(grid([headings, ("---",) * len(headings)])[:-1])
        for line in lines:
            self.say(grid([line])[:-1])
            self.n_wrong += headings is EXACT and line[3] == "✗"


RATE = ("samples", "a batch", "rate", "aim", "")
KERNEL = ("kernel", "a batch", "moves", "share", "bytes")
EXACT = ("exactness", "", "", "", "beside")
STEP = ("network", "time", "waiting", "aim", "processor")


def _measure(given: argparse.Namespace, folder: Path, report: _Report) -> None:
    import torch

    from benchmarks.gpu import exactness, rates
    from benchmarks.gpu.work import FULL, QUICK, TINY, TWINS, Work

    has_gpu = torch.cuda.is_available() and given.device != "cpu"
    if has_gpu:
        device = torch.device("cuda", torch.cuda.current_device())
        report.say(torch.cuda.get_device_name(device))
        amount = QUICK if given.quick else FULL
    else:
        device = torch.device("cpu")
        report.say("No CUDA device that PyTorch sees: the kernels' twins run on the CPU.")
        amount = TINY if given.device == "cpu" else TWINS
    if given.images:
        amount = replace(amount, images=given.images)
    work = Work(device, _store(folder / "set.zarr", data.jpeg_set(_scale(amount))), amount)
    report.say(f"{amount.images} images of {amount.size[0]} x {amount.size[1]}")
    checks = [exactness.loaders(work, "synthetic"), exactness.mixtures(work)]
    checks += [exactness.states(work), exactness.crops(work), exactness.masks(work)]
    for lines in checks:
        report.section("Exact", EXACT, lines)
    given_set = given.demo and replace(work, store=_store(folder / "demo.zarr", given.demo))
    if given_set:
        lines = exactness.loaders(given_set, "given")
        report.section("Exact, given set", EXACT, lines)
    if given.exact:
        return
    held = work.read_set("device")
    if not has_gpu and given.device != "cpu":
        report.section("Planning", RATE, rates.planning(work, held))
        return
    _measure_rates(work, report, held)
    if given_set:
        lines = rates.rates(given_set, "device", given_set.read_set("device"))
        report.section("Rates, given set", RATE, lines)


def _measure_rates(work: "Work", report: _Report, held: "HeldSet") -> None:
    from benchmarks.gpu import masks, peers, rates, training

    in_host = work.read_set("host")
    report.section("Rates, files in the device's memory", RATE, rates.rates(work, "device", held))
    report.section("Rates, files in the host's memory", RATE, rates.rates(work, "host", in_host))
    from_disk = work.read_set("disk")
    report.section("Rates, files read for each batch", RATE, rates.rates(work, "disk", from_disk))
    from_disk.files.close()
    report.section("Rates of the loader", RATE, rates.through_loader(work))
    both = {"device": held, "host": in_host}
    report.section("Kernels", KERNEL, rates.kernels(work, both))
    report.section("Planning", RATE, rates.planning(work, held))
    for which, name in enumerate(training.AIMS):
        crop, batch = work.amount.crops[1 - which], work.amount.train[which]
        with peers.cpu_loader(work, crop, batch) as workers:
            report.section("Worker processes", RATE, peers.all_cores(work, workers))
            if not which:
                report.section("Decoders of others", RATE, peers.decoders(work))
                report.section("Masks", RATE, masks.encode(work))
            report.section("Training", STEP, training.network(work, name, workers))
    report.section("Spacing of entries", RATE, rates.steps(work))


def _scale(amount: "Amount") -> data.Scale:
    return data.Scale(amount.size, amount.images, 0, 0)


def _store(target: Path, source: Path) -> Path:
    return mtfast.convert(source, target, splits=["train"], crop_index=True)


def _installed() -> list[str]:
    """Return the packages that have a version to name."""
    found = []
    for package in PACKAGES:
        try:
            version(package)
        except PackageNotFoundError:
            continue
        found.append(package)
    return found
