"""Loops over a Loader on two ranks, as torchrun starts them."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import common
import torch.distributed

from loops.records import BATCH, OPTIONS, epoch_of, samples_of
from mtfast.loaders.torch import Dataset, Loader


def make(store: Path, **options: Any) -> Loader:
    return Loader(Dataset(store, **OPTIONS), BATCH, **options)


def before_the_group(store: Path, folder: Path) -> Any:
    """Three epochs of a loader that is made when nobody knows of ranks yet."""
    with make(store) as loader:
        torch.distributed.init_process_group("gloo", timeout=timedelta(seconds=60))
        return [epoch_of(loader) for _ in range(3)]


def with_workers(store: Path, folder: Path) -> Any:
    with make(store, workers=2) as loader:
        return [epoch_of(loader) for _ in range(2)]


def resumed(store: Path, folder: Path) -> Any:
    """The rest of an epoch that was left after its second batch, and the next one."""
    with make(store) as loader:
        batches = iter(loader)
        done = [*samples_of(next(batches)), *samples_of(next(batches))]
        state = json.loads(json.dumps(loader.state_dict()))
    with make(store) as loader:
        loader.load_state_dict(state)
        return {"state": state, "done": done, "rest": [epoch_of(loader) for _ in range(2)]}


def left_early(store: Path, folder: Path) -> Any:
    """Two batches of each of three epochs."""
    found = []
    with make(store) as loader:
        for _ in range(3):
            taken = []
            for batch in loader:
                taken.append(batch)
                if len(taken) == 2:
                    break
            found.append(epoch_of(taken))
    return found


def peek(store: Path, folder: Path) -> Any:
    """Rank 0 alone looks at a batch: before each of two epochs, and inside of two others."""
    first = torch.distributed.get_rank() == 0
    found = []
    with make(store) as loader:
        for _ in range(2):
            if first:
                next(iter(loader))
            found.append(epoch_of(loader))
        for where in (0, 1):
            inside = []
            for number, batch in enumerate(loader):
                inside += samples_of(batch)
                if first and number == where:
                    next(iter(loader))
            found.append(inside)
        return found


def zipped(store: Path, folder: Path) -> Any:
    with make(store) as loader:
        pairs = list(zip(loader, loader, strict=True))
        return [epoch_of(batches) for batches in zip(*pairs, strict=True)]


def validation(store: Path, folder: Path) -> Any:
    data = Dataset(store, "test", crop=32, targets=["semantic"])
    with Loader(data, 2, shuffle=False) as loader:
        return [epoch_of(loader) for _ in range(2)]


if __name__ == "__main__":
    common.run(before_the_group, with_workers, resumed, left_early, peek, zipped, validation)
