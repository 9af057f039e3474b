"""A Lightning module that learns nothing and records what it is given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Checkpoint, ModelCheckpoint

from loops.records import BATCH, OPTIONS, Sample, samples_of
from mtfast.loaders.torch import Dataset, Loader

STEPS = 6
"""Batches of 4 of 21 images."""


class Recorder(lightning.LightningModule):
    """Records the samples of each epoch, and of each validation."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(3, 1)
        self.epochs: dict[int, list[Sample]] = {}
        self.validations: list[list[Sample]] = []

    def training_step(self, batch: dict[str, Any], number: int) -> torch.Tensor:
        self.epochs.setdefault(self.current_epoch, []).extend(samples_of(batch))
        return self.layer(batch["image"].float().mean((2, 3)) / 255).square().mean()

    def on_validation_epoch_start(self) -> None:
        self.validations.append([])

    def validation_step(self, batch: dict[str, Any], number: int) -> None:
        self.validations[-1] += samples_of(batch)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.01)


def trainer(*callbacks: Checkpoint, epochs: int = 3, **options: Any) -> lightning.Trainer:
    """A trainer that says nothing and writes what its callbacks write."""
    return lightning.Trainer(
        accelerator="cpu",
        max_epochs=epochs,
        callbacks=list(callbacks),
        enable_checkpointing=bool(callbacks),
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **{"devices": 1, **options},
    )


def each_epoch(folder: Path) -> ModelCheckpoint:
    """Write epoch=K.ckpt at the end of each epoch."""
    return ModelCheckpoint(folder, "{epoch}", save_top_k=-1)


def each_steps(folder: Path, n: int) -> ModelCheckpoint:
    """Write step=K.ckpt every n steps."""
    return ModelCheckpoint(folder, "{step}", save_top_k=-1, every_n_train_steps=n)


def make(store: Path, **options: Any) -> Loader:
    """Make a loader of the training set."""
    return Loader(Dataset(store, **OPTIONS), BATCH, **options)


def validation(store: Path, batch_size: int = 2) -> Loader:
    """Make a loader of the validation set."""
    return Loader(Dataset(store, "test", crop=32, targets=["semantic"]), batch_size, shuffle=False)


def fit(model: Recorder, runner: lightning.Trainer, *loaders: Loader, **options: Any) -> Recorder:
    """Train, and close the loaders."""
    runner.fit(model, *loaders, **options)
    for loader in loaders:
        loader.close()
    return model
