"""Lightning's DDP on two ranks, with loaders that are made before it starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import common

from loops.recorder import Recorder, each_epoch, each_steps, fit, make, trainer, validation

DDP = {"devices": 2, "strategy": "ddp"}


def whole(store: Path, folder: Path) -> Any:
    """Three epochs, with checkpoints of both kinds."""
    runner = trainer(each_epoch(folder), each_steps(folder, 5), **DDP)
    return list(fit(Recorder(), runner, make(store)).epochs.values())


def validations(store: Path, folder: Path) -> Any:
    """One after each of two epochs, after two batches to see that it works."""
    model = fit(Recorder(), trainer(epochs=2, **DDP), make(store), validation(store))
    return model.validations[1:]


def resume(store: Path, checkpoint: Path) -> Any:
    model = fit(Recorder(), trainer(**DDP), make(store), ckpt_path=checkpoint)
    return list(model.epochs.values())


def from_the_end_of_an_epoch(store: Path, folder: Path) -> Any:
    return resume(store, folder / "epoch=0.ckpt")


def in_mid_epoch(store: Path, folder: Path) -> Any:
    """After two of the three batches of the second epoch."""
    return resume(store, folder / "step=5.ckpt")


if __name__ == "__main__":
    common.run(whole, from_the_end_of_an_epoch, in_mid_epoch, validations)
