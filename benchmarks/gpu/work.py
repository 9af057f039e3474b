"""What is measured: a device, a store, how much of it; and the clocks."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from benchmarks import data
from benchmarks.measuring import race
from mtfast.gpu.files import CodedFiles
from mtfast.loaders import Augment
from mtfast.loaders.gpu.coded_set import SetRuns, blank_images, read_files, read_runs
from mtfast.loaders.gpu.disk import WindowFiles
from mtfast.loaders.gpu.maker import BatchMaker
from mtfast.loaders.gpu.members import Members
from mtfast.loaders.gpu.memory import Memory
from mtfast.loaders.sampler import SampleKey
from mtfast.loaders.torch import Dataset

Cells = tuple[str, str, str, str, str]
"""A line of the tables."""


@dataclass(frozen=True)
class Amount:
    """How much is measured; sizes are in pixels."""

    images: int
    size: tuple[int, int]
    crops: tuple[int, int, int]
    """Small, usual and large windows."""
    batches: tuple[int, int]
    rounds: int
    turn: int
    """Batches of a turn."""
    exact: tuple[int, int]
    """Batches that are compared, and their size."""
    masks: int
    steps: tuple[int, int]
    """Training steps of a turn of the large network and of the small one."""
    copied: int
    """Bytes that are copied to measure the bandwidth of memory."""
    train: tuple[int, int]
    """Samples of a batch of the large network and of the small one."""


FULL = Amount(
    200, (1200, 1920), (256, 512, 1024), (32, 256), 5, 6, (8, 16), 100, (20, 200), 2**30, (32, 16)
)
QUICK = Amount(
    32, (1200, 1920), (256, 512, 1024), (32, 256), 2, 3, (2, 16), 20, (8, 60), 2**30, (32, 16)
)
TINY = Amount(4, (96, 128), (32, 48, 64), (2, 4), 1, 2, (2, 2), 4, (2, 3), 2**20, (2, 2))
TWINS = Amount(4, (600, 960), (64, 128, 256), (32, 256), 3, 3, (2, 2), 4, (2, 3), 2**20, (2, 2))
"""For a machine without a GPU."""


class HeldSet(NamedTuple):
    """The instances of a set, and its files."""

    runs: SetRuns
    files: CodedFiles | WindowFiles


@dataclass(frozen=True)
class Work:
    """A store that is read, and the device."""

    device: torch.device
    store: Path
    amount: Amount

    @property
    def has_gpu(self) -> bool:
        return self.device.type == "cuda"

    def wait(self) -> None:
        """Wait until the device has done all that it was given."""
        if self.has_gpu:
            torch.cuda.synchronize(self.device)

    def seconds(self, *jobs: Callable[[int], object], rounds: int | None = None) -> list[float]:
        """Return the median seconds of each job, in turns; jobs are called with 0, 1, 2, ..."""
        return race(
            [self._waited(job) for job in jobs], rounds or self.amount.rounds, before=self.wait
        )

    def _waited(self, job: Callable[[int], object]) -> Callable[[int], None]:
        def run(k: int) -> None:
            job(k)
            self.wait()

        return run

    def read_set(self, memory: str, step: int = 1) -> HeldSet:
        """Read the set into a memory; from the disk it is read batch after batch."""
        members = Members(Dataset(self.store).reader)
        runs = read_runs(members, self.device)
        images = blank_images(members, runs)
        if memory == "disk":
            return HeldSet(runs, WindowFiles(members, images, self.device))
        return HeldSet(runs, read_files(members, images, Memory(memory, self.device), step))

    def maker(self, held: HeldSet, **options: Any) -> BatchMaker:
        """Make what makes batches of such samples."""
        dataset = Dataset(self.store, **options)
        members = Members(dataset.reader)
        return BatchMaker(members, *held, self.device, dataset.image_format)

    def keys(self, batch: int, n: int) -> list[list[SampleKey]]:
        """Draw the samples of n batches: windows of images all over the set."""
        images = len(Dataset(self.store))
        epochs, positions = np.random.default_rng(data.SEED).integers(
            [[2**20], [images]], size=(2, n * batch)
        )
        keys = [SampleKey(*pair) for pair in zip(epochs.tolist(), positions.tolist(), strict=True)]
        return [keys[start : start + batch] for start in range(0, n * batch, batch)]


class Kind(NamedTuple):
    """A kind of sample, and its name."""

    name: str
    options: dict[str, Any]


def kinds(amount: Amount) -> dict[str, Kind]:
    """Return the kinds of samples that are made."""
    small, usual, large = amount.crops
    semantic = {"targets": ["semantic"]}
    plain = {"augment": Augment(), **semantic}
    near = {"augment": Augment(near=0.5), "targets": ["semantic", "instances"]}
    return {
        "small": Kind(f"{small} px", {"crop": small, **plain}),
        "usual": Kind(f"{usual} px", {"crop": usual, **plain}),
        "large": Kind(f"{large} px", {"crop": large, **plain}),
        "whole": Kind("whole images", semantic),
        "instances": Kind(f"{usual} px with instances", {"crop": usual, **near}),
        "scale": Kind(
            f"{usual} px, scale 0.5 to 2",
            {"crop": usual, "augment": Augment(scale=(0.5, 2)), **semantic},
        ),
    }


def make_all(maker: BatchMaker, batches: Sequence[Sequence[SampleKey]]) -> None:
    """Make batches as a loader does: the next one is launched before one is waited for."""
    ahead = maker.make(batches[0])
    for keys in batches[1:]:
        ahead, made = maker.make(keys), ahead
        made.batch(0)
    ahead.batch(0)


class HostMark:
    """A mark in time, where there are no events of a device."""

    def record(self) -> None:
        self.at = time.perf_counter()

    def synchronize(self) -> None:
        """Return at once: all that was launched is done."""

    def elapsed_time(self, other: "HostMark") -> float:
        """Return the milliseconds from this mark to the other."""
        return 1e3 * (other.at - self.at)


def mark(device: torch.device, blocking: bool = False) -> Any:
    """Make a mark among the work of a device; a blocking one is waited for without spinning."""
    if device.type != "cuda":
        return HostMark()
    return torch.cuda.Event(enable_timing=True, blocking=blocking)
