"""Accelerate on two ranks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import common
import torch
from accelerate import Accelerator
from torch.utils.data import DataLoader

from loops.records import BATCH, OPTIONS, epoch_of, samples_of
from mtfast.loaders.torch import Dataset, Loader, collate

ACCELERATOR = Accelerator(cpu=True)


def make(store: Path) -> Loader:
    return Loader(Dataset(store, **OPTIONS), BATCH)


def of_a_loader(store: Path, folder: Path) -> Any:
    with ACCELERATOR.prepare(make(store)) as loader:
        return [epoch_of(loader) for _ in range(3)]


def resumed(store: Path, folder: Path) -> Any:
    """Of save_state after two batches of an epoch, and load_state into another loader."""
    with make(store) as loader:
        ACCELERATOR.register_for_checkpointing(loader)
        batches = iter(loader)
        done = [*samples_of(next(batches)), *samples_of(next(batches))]
        ACCELERATOR.save_state(folder / "state")
        # Rank 0 writes it.
        ACCELERATOR.wait_for_everyone()
        loader.load_state_dict({**loader.state_dict(), "epoch": 2, "handed": 0})
        ACCELERATOR.load_state(folder / "state")
        return {"done": done, "rest": [epoch_of(loader) for _ in range(2)]}


def of_a_data_loader(store: Path, folder: Path) -> Any:
    """Of workers that live on."""
    torch.manual_seed(8)
    options = {"num_workers": 2, "persistent_workers": True, "collate_fn": collate}
    loader = ACCELERATOR.prepare(
        DataLoader(Dataset(store, **OPTIONS), BATCH, shuffle=True, **options)
    )
    return [epoch_of(loader) for _ in range(3)]


def left_early(store: Path, folder: Path) -> Any:
    """The first batch of each of three epochs of a set in order."""
    loader = ACCELERATOR.prepare(DataLoader(Dataset(store, **OPTIONS), BATCH, collate_fn=collate))
    return [samples_of(next(iter(loader))) for _ in range(3)]


def of_a_trainer(store: Path, folder: Path) -> Any:
    """Three epochs of Hugging Face's Trainer, whose Accelerator numbers them."""
    from loops.tiny_model import train

    return train(store, folder, workers=2, save_steps=100).epochs(steps=3)


if __name__ == "__main__":
    common.run(of_a_loader, resumed, of_a_data_loader, left_early, of_a_trainer)
