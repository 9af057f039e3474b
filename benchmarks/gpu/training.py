"""Training steps with the loader on the GPU, with worker processes, and on one batch that is kept.

The host stays one step ahead of the device, as training loops do that do not ask for the loss of
each step. What a step waits for is seen twice: as time inside next(), and as time of a step beyond
that of the same step on a kept batch.
"""

import os
import statistics
import time
from collections.abc import Callable, Iterator
from itertools import chain, repeat
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional

from benchmarks.gpu.peers import has_module
from benchmarks.gpu.work import Cells, Work, kinds, mark
from benchmarks.measuring import family
from benchmarks.table import amount as shown
from mtfast.loaders.gpu import Loader
from mtfast.loaders.torch import Dataset
from mtfast.loaders.torch import Loader as CpuLoader

TURNS = 2
CHANNELS = 16
IGNORED = 255
AIMS = {"DeepLabV3-ResNet50": 0.02, "small U-Net": 0.10}
THREAD_AIM = 0.05


def deep_lab(classes: int) -> nn.Module:
    """Make torchvision's DeepLabV3-ResNet50."""
    from torchvision.models.segmentation import deeplabv3_resnet50

    network = deeplabv3_resnet50(weights=None, weights_backbone=None, num_classes=classes)
    return _Scores(network)


class _Scores(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.network(image)["out"]


class UNet(nn.Module):
    """Two steps down and two up, with shortcuts, from half of the resolution on."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        n = CHANNELS
        self.down = nn.ModuleList([_block(3, n, 2), _block(n, 2 * n), _block(2 * n, 4 * n)])
        self.up = nn.ModuleList([_block(6 * n, 2 * n), _block(3 * n, n)])
        self.scores = nn.Conv2d(n, classes, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        first = self.down[0](image)
        second = self.down[1](functional.max_pool2d(first, 2))
        found = self.down[2](functional.max_pool2d(second, 2))
        for block, shortcut in zip(self.up, (second, first), strict=True):
            found = block(torch.cat([functional.interpolate(found, scale_factor=2), shortcut], 1))
        return functional.interpolate(self.scores(found), scale_factor=2)


def _block(n_in: int, n_out: int, stride: int = 1) -> nn.Module:
    return nn.Sequential(nn.Conv2d(n_in, n_out, 3, stride, padding=1), nn.ReLU(inplace=True))


class Trainer:
    """A network and its optimizer, in bfloat16 on a GPU."""

    def __init__(self, network: nn.Module, device: torch.device) -> None:
        self.dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
        self.network = network.to(device, self.dtype, memory_format=torch.channels_last)
        fused = device.type == "cuda"
        self.optimizer = torch.optim.SGD(network.parameters(), 1e-3, momentum=0.9, fused=fused)

    def step(self, batch: dict[str, Any]) -> None:
        self._train(batch["image"], batch["semantic"])

    def _train(self, image: torch.Tensor, semantic: torch.Tensor) -> None:
        scores = self.network(image.to(self.dtype) / 255)
        loss = functional.cross_entropy(scores, semantic.long(), ignore_index=IGNORED)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()


class GraphTrainer(Trainer):
    """Replays a step as a CUDA graph, as launching a small network takes longer than its work."""

    def __init__(self, network: nn.Module, device: torch.device, batch: dict[str, Any]) -> None:
        super().__init__(network, device)
        self._image, self._semantic = batch["image"].clone(), batch["semantic"].clone()
        stream = torch.cuda.Stream(device)
        stream.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(stream):
            # What the optimizer keeps, and cuDNN's choices, are not part of the graph.
            for _ in range(3):
                self._train(self._image, self._semantic)
        torch.cuda.current_stream(device).wait_stream(stream)
        self._graph = torch.cuda.CUDAGraph()
        # The thread of the loader goes on launching meanwhile.
        with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
            self._train(self._image, self._semantic)

    def step(self, batch: dict[str, Any]) -> None:
        self._image.copy_(batch["image"])
        self._semantic.copy_(batch["semantic"])
        self._graph.replay()


class Turn(NamedTuple):
    """Seconds of each step, of each next(), and of the processor."""

    steps: list[float]
    waits: list[float]
    seconds: float
    cpu: float
    thread: float


def run(work: Work, trainer: Trainer, take: Callable[[], Any], n: int, loader: Any) -> Turn:
    """Train for n steps."""
    steps, waits = [], []
    work.wait()
    before: Any = None
    begin, cpu, thread = time.perf_counter(), _cpu_seconds(), _thread_seconds(loader)
    for _ in range(n):
        start = time.perf_counter()
        batch = take()
        waits.append(time.perf_counter() - start)
        trainer.step(batch)
        done = mark(work.device, blocking=True)
        done.record()
        if before is not None:
            before.synchronize()
        before = done
        steps.append(time.perf_counter() - start)
    work.wait()
    seconds = time.perf_counter() - begin
    used = _cpu_seconds() - cpu, _thread_seconds(loader) - thread
    return Turn(steps, waits, seconds, *used)


def _cpu_seconds() -> float:
    """Return the processor time of this process and of the worker processes."""
    seconds = time.process_time()
    for pid in family(os.getpid())[1:]:
        try:
            columns = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        seconds += (int(columns[11]) + int(columns[12])) / os.sysconf("SC_CLK_TCK")
    return seconds


def _thread_seconds(loader: Any) -> float:
    """Return the processor time of the thread of a loader on the GPU."""
    if not isinstance(loader, Loader) or loader._team is None:
        return 0.0
    return float(loader._team._executor.submit(time.thread_time).result())


def network(work: Work, name: str, workers: CpuLoader) -> Iterator[Cells]:
    """Time the steps of a network with both loaders, in turns."""
    is_large = name == "DeepLabV3-ResNet50"
    if is_large and not has_module("torchvision"):
        yield name, "", "", "", "skipped: torchvision is not installed"
        return
    which = 0 if is_large else 1
    n, batch = work.amount.steps[which], work.amount.train[which]
    classes = 1 + len(workers.classes)
    torch.manual_seed(0)
    torch.backends.cudnn.benchmark = True
    options = kinds(work.amount)["usual"].options | {"crop": workers.dataset.reader.crop}
    dataset = Dataset(work.store, **options)
    with Loader(dataset, batch, device=work.device, samples_per_epoch=100_000) as loader:
        on_gpu = chain.from_iterable(repeat(loader))
        on_cpu = chain.from_iterable(repeat(workers))
        kept = next(on_gpu)
        if is_large or not work.has_gpu:
            trainer = Trainer(deep_lab(classes) if is_large else UNet(classes), work.device)
        else:
            trainer = GraphTrainer(UNet(classes), work.device, kept)
        ways = {
            "kept batch": (lambda: kept, None),
            "GPU loader": (lambda: next(on_gpu), loader),
            f"CPU loader, workers={workers.num_workers}": (
                lambda: _sent(next(on_cpu), work),
                workers,
            ),
        }
        found: dict[str, list[Turn]] = {way: [] for way in ways}
        for _ in range(TURNS):
            for way, (take, source) in ways.items():
                # What was read ahead is used up first.
                for _ in range(3 + (workers.num_workers if source is workers else 0)):
                    trainer.step(take())
                found[way].append(run(work, trainer, take, n, source))
    yield from _lines(name, batch, found)


def _sent(batch: dict[str, Any], work: Work) -> dict[str, Any]:
    return {key: batch[key].to(work.device, non_blocking=True) for key in ("image", "semantic")}


def _lines(name: str, batch: int, found: dict[str, list[Turn]]) -> Iterator[Cells]:
    steps = {
        way: statistics.median(s for turn in turns for s in turn.steps[1:])
        for way, turns in found.items()
    }
    kept = steps["kept batch"]
    for way, turns in found.items():
        seconds = sum(turn.seconds for turn in turns)
        inside = sum(sum(turn.waits) for turn in turns) / seconds
        beyond = max(steps[way] / kept - 1, 0)
        cores = sum(turn.cpu for turn in turns) / seconds
        thread = sum(turn.thread for turn in turns) / seconds
        aim, note = "", f"{cores:.2f} cores"
        if way == "GPU loader":
            aim = f"{'✓' if inside <= AIMS[name] else '✗'} {100 * AIMS[name]:.0f} %"
            reached = "✓" if thread <= THREAD_AIM else "✗"
            note += (
                f"; its thread {100 * thread:.1f} % of a core {reached} {100 * THREAD_AIM:.0f} %"
            )
        yield (
            f"{name}, batch {batch}, {way}",
            f"{shown(steps[way])} a step",
            f"{100 * inside:.1f} % in next(), {100 * beyond:.1f} % beyond a kept batch",
            aim,
            note,
        )
