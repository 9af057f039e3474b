"""How many samples are made in a second, what each kernel takes, and what planning takes."""

import statistics
import time
from collections.abc import Iterator
from itertools import chain, repeat
from typing import Any

import numpy as np
import torch

from benchmarks.gpu.work import Amount, Cells, HeldSet, Kind, Work, kinds, make_all, mark
from benchmarks.table import amount as shown
from mtfast.gpu.launching import Launcher
from mtfast.gpu.windows import plan_windows
from mtfast.kernels.device import window_table as fields
from mtfast.kernels.device.twice import DeviceKernel
from mtfast.loaders.gpu import Loader
from mtfast.loaders.gpu.maker import BatchMaker
from mtfast.loaders.torch import Dataset
from mtfast.loaders.view_batches import ViewBatches

# Windows or images a second that are aimed at: kind, batch and memory.
AIMS = {
    ("usual", 256, "device"): 120_000,
    ("usual", 32, "device"): 50_000,
    ("usual", 256, "host"): 60_000,
    ("usual", 32, "host"): 35_000,
    ("whole", 32, "device"): 12_000,
}
PLANNING_AIM = 2e-6
# Clock cycles for which a device waits, while the launches of a batch are queued.
HOLD_CYCLES = 5_000_000
BYTES_OF_ENTRY = 10
BYTES_OF_TOGGLE = 4
READS_WORDS = ("copy_rows", "decode_stretches")
READS_TOGGLES = ("paint_semantic", "measure_instances", "paint_instances")


def cases(amount: Amount, memory: str) -> list[tuple[str, int]]:
    """Return the kinds and batches that are timed; large samples in fewer at a time."""
    small, large = amount.batches
    both = [(kind, batch) for kind in ("usual", "small") for batch in (large, small)]
    if memory == "host":
        return [*both, ("whole", small)]
    if memory == "disk":
        return both[:2]
    rest = [(kind, batch) for kind in ("scale", "instances") for batch in (large, small)]
    return [*both, ("whole", small), ("large", small), ("large", large // 4), *rest]


def rates(work: Work, memory: str, held: HeldSet) -> Iterator[Cells]:
    """Time batches: alone, and one after another as the loader makes them."""
    for kind, batch in cases(work.amount, memory):
        found = kinds(work.amount)[kind]
        alone, rate = rate_of(work, work.maker(held, **found.options), batch)
        aim = AIMS.get((kind, batch, memory))
        yield (
            f"{found.name}, batch {batch}, {memory}",
            f"{shown(alone)} alone",
            f"{rate:,.0f}/s",
            "" if aim is None else f"{'✓' if rate >= aim else '✗'} {aim:,}/s",
            "",
        )


def rate_of(work: Work, maker: BatchMaker, batch: int) -> tuple[float, float]:
    """Return the seconds of a batch that is waited for, and samples a second in a row of them."""
    turn = work.amount.turn
    keys = work.keys(batch, turn * (1 + work.amount.rounds))
    alone, row = work.seconds(
        lambda k: maker.make(keys[k]).batch(0),
        lambda k: make_all(maker, keys[k * turn : (k + 1) * turn]),
    )
    return alone, turn * batch / row


def steps(work: Work) -> Iterator[Cells]:
    """Time windows with entries that are further apart, which take less memory."""
    found = kinds(work.amount)["usual"]
    for step in (1, 2, 4):
        held = work.read_set("device", step)
        per_image = (
            sum(held.files.arrays[key].nbytes for key in ("bits", "dcs")) / work.amount.images
        )
        for batch in reversed(work.amount.batches):
            _, rate = rate_of(work, work.maker(held, **found.options), batch)
            note = f"entries of {per_image / 1e3:,.0f} kB an image"
            yield f"{found.name}, batch {batch}, step {step}", "", f"{rate:,.0f}/s", "", note


def through_loader(work: Work) -> Iterator[Cells]:
    """Time the loader itself: order, states and waiting included."""
    found = kinds(work.amount)["usual"]
    n = work.amount.turn * work.amount.rounds * 2
    for batch in reversed(work.amount.batches):
        dataset = Dataset(work.store, **found.options)
        options = {"device": work.device, "samples_per_epoch": 2 * n * batch}
        with Loader(dataset, batch, **options) as loader:
            batches = chain.from_iterable(repeat(loader))
            for _ in range(3):
                next(batches)
            work.wait()
            start, cpu = time.perf_counter(), time.process_time()
            for _ in range(n):
                next(batches)
            work.wait()
            taken, cpu = time.perf_counter() - start, time.process_time() - cpu
        rate = f"{n * batch / taken:,.0f}/s"
        note = f"{shown(cpu / n)} of CPU time a batch"
        yield f"{found.name}, batch {batch}, the loader", shown(taken / n), rate, "", note


def planning(work: Work, held: HeldSet) -> Iterator[Cells]:
    """Time what the CPU does for a batch: views and places, and all of it."""
    for kind in ("usual", "scale"):
        found = kinds(work.amount)[kind]
        maker = work.maker(held, **found.options)
        views = ViewBatches(Dataset(work.store, **found.options).reader)
        for batch in work.amount.batches:
            keys = work.keys(batch, 10 * (1 + work.amount.rounds))
            taken = statistics.median(_plan(views, held, each) for each in keys[10:]) / batch
            aim = f"{'✓' if taken <= PLANNING_AIM else '✗'} {shown(PLANNING_AIM)}"
            note = ""
            if work.has_gpu:
                whole = statistics.median(_cpu(maker, each) for each in keys[10:])
                note = f"{shown(whole)} a batch with launches, {shown(whole / batch)} a sample"
            yield (
                f"planning, {found.name}, batch {batch}",
                f"{shown(taken)} a sample",
                "",
                aim,
                note,
            )


def _plan(views: ViewBatches, held: HeldSet, keys: list[Any]) -> float:
    start = time.perf_counter()
    positions = np.array([key.position for key in keys], np.int64)
    plan_windows(held.files, positions, views.views(keys))
    return time.perf_counter() - start


def _cpu(maker: BatchMaker, keys: list[Any]) -> float:
    start = time.thread_time()
    made = maker.make(keys)
    taken = time.thread_time() - start
    made.batch(0)
    return taken


class TimedLauncher:
    """Launches kernels between two marks, and keeps what they were given."""

    def __init__(self, launcher: Launcher, device: torch.device) -> None:
        self.launcher, self.device = launcher, device
        self.log: list[tuple[str, Any, Any, tuple[Any, ...]]] = []

    def launch(self, kernel: DeviceKernel, grid: tuple[int, int], *arguments: Any) -> None:
        if not grid[0] or not grid[1]:
            return
        start, end = mark(self.device), mark(self.device)
        start.record()
        self.launcher.launch(kernel, grid, *arguments)
        end.record()
        self.log.append((kernel.name, start, end, arguments))


def kernels(work: Work, held: dict[str, HeldSet]) -> Iterator[Cells]:
    """Time each kernel, with the bytes that it has to move, beside a copy."""
    bandwidth = copy_bandwidth(work)
    yield "copy on the device", "", f"{bandwidth / 1e12:.2f} TB/s", "", "reads and writes"
    if work.has_gpu:
        bus = bus_bandwidth(work)
        yield "copy from locked memory of the host", "", f"{bus / 1e9:.1f} GB/s", "", ""
    small, large = work.amount.batches
    for kind, batch, memory in (
        ("usual", large, "device"),
        ("usual", small, "device"),
        ("usual", large, "host"),
        ("scale", large, "device"),
        ("instances", large, "device"),
        ("whole", small, "device"),
    ):
        found = kinds(work.amount)[kind]
        yield from _kernels(work, held[memory], memory, found, batch, bandwidth)


def copy_bandwidth(work: Work) -> float:
    """Return bytes a second that a copy in the device's memory reads and writes."""
    source = torch.zeros(work.amount.copied, dtype=torch.uint8, device=work.device)
    target = torch.empty_like(source)
    (taken,) = work.seconds(lambda _: target.copy_(source))
    return 2 * work.amount.copied / taken


def bus_bandwidth(work: Work) -> float:
    """Return bytes a second that are copied from locked memory of the host."""
    source = torch.zeros(work.amount.copied // 4, dtype=torch.uint8, pin_memory=True)
    target = torch.empty_like(source, device=work.device)
    (taken,) = work.seconds(lambda _: target.copy_(source, non_blocking=True))
    return source.nbytes / taken


def _kernels(
    work: Work, held: HeldSet, memory: str, kind: Kind, batch: int, bandwidth: float
) -> Iterator[Cells]:
    maker = work.maker(held, **kind.options)
    plain = maker._launcher
    batches = []
    for keys in work.keys(batch, 2 + work.amount.rounds):
        timed = maker._launcher = TimedLauncher(plain, work.device)
        if work.has_gpu:
            torch.cuda._sleep(HOLD_CYCLES)
        made = maker.make(keys)
        made.batch(0)
        work.wait()
        batches.append(_sums(timed.log, held))
    for name in batches[-1]:
        milliseconds, moved = (
            statistics.median(sums[name][column] for sums in batches[2:] if name in sums)
            for column in (0, 1)
        )
        speed = moved / (milliseconds / 1e3)
        yield (
            f"{name}, {kind.name}, batch {batch}, {memory}",
            shown(milliseconds / 1e3),
            f"{speed / 1e12:.2f} TB/s",
            f"{100 * speed / bandwidth:.0f} % of a copy",
            f"{moved / 1e6:,.1f} MB",
        )


def _sums(log: list[Any], held: HeldSet) -> dict[str, tuple[float, float]]:
    """Add up the milliseconds and bytes of each kernel of a batch."""
    tensors = (*held.runs, *held.files.arrays.values())
    of_set = {tensor.data_ptr() for tensor in tensors if torch.is_tensor(tensor)}
    sums: dict[str, tuple[float, float]] = {}
    for name, start, end, arguments in log:
        own = {a.data_ptr(): a.nbytes for a in arguments if torch.is_tensor(a)}
        moved = sum(n for address, n in own.items() if address not in of_set)
        rows = arguments[0].cpu().numpy().reshape(-1, fields.FIELDS)
        if name in READS_WORDS:
            moved = coded_bytes(held, rows)
            # Words are read and written, or read and then written as samples.
            outputs = arguments[6].nbytes if name == "decode_stretches" else moved
            moved += outputs
        elif name.startswith(READS_TOGGLES):
            moved += BYTES_OF_TOGGLE * toggles(held, rows)
        before = sums.get(name, (0.0, 0.0))
        sums[name] = before[0] + start.elapsed_time(end), before[1] + moved
    return sums


def coded_bytes(held: HeldSet, rows: np.ndarray) -> float:
    """Return about how many bytes of coded data and entries windows are decoded from."""
    starts = held.files.row_words
    at, n = rows[:, fields.ROWS_AT], rows[:, fields.N_COLUMNS]
    words = starts[at + rows[:, fields.ROW_END]] - starts[at + rows[:, fields.ROW]]
    columns = rows[:, fields.COLUMN_END] - rows[:, fields.COLUMN]
    n_rows = rows[:, fields.ROW_END] - rows[:, fields.ROW]
    entries = n_rows * (columns // np.maximum(rows[:, fields.STEP], 1) + 1)
    share = columns / np.maximum(n, 1)
    return float((4 * words * share).sum() + BYTES_OF_ENTRY * entries.sum())


def toggles(held: HeldSet, rows: np.ndarray) -> int:
    """Return how many toggles the instances of the windows' images have."""
    starts = held.runs.starts.cpu().numpy()
    return int((starts[rows[:, fields.INSTANCES_END]] - starts[rows[:, fields.INSTANCES]]).sum())
