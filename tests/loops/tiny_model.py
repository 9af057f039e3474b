"""A model for Hugging Face's Trainer that learns nothing and records what it is given."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
import transformers

from loops.records import BATCH, OPTIONS, Sample, samples_of
from mtfast.loaders.torch import Dataset, collate


class Model(torch.nn.Module):
    """A number for an image, and a record of the samples."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(3, 1)
        self.batches: list[list[Sample]] = []

    def forward(self, image: torch.Tensor, **batch: Any) -> dict[str, torch.Tensor]:
        self.batches.append(samples_of(batch))
        return {"loss": self.layer(image.float().mean((2, 3)) / 255).square().mean()}

    def epochs(self, steps: int, skipped: int = 0) -> list[list[Sample]]:
        """The samples of each epoch of so many steps; the first one lacks those skipped."""
        cuts = [0, *range(steps - skipped, len(self.batches) + 1, steps)]
        return [
            [sample for batch in self.batches[start:stop] for sample in batch]
            for start, stop in pairwise(cuts)
        ]


def train(
    store: Path,
    folder: Path,
    workers: int,
    save_steps: int,
    checkpoint: Path | None = None,
    epoch: int = 0,
) -> Model:
    """Train for three epochs, or what is left of them after a checkpoint in an epoch."""
    model = Model()
    data = Dataset(store, **OPTIONS)
    # The loader of a resumed epoch, which skips batches, does not call it.
    data.set_epoch(epoch)
    arguments = transformers.TrainingArguments(
        output_dir=str(folder),
        use_cpu=True,
        per_device_train_batch_size=BATCH,
        num_train_epochs=3,
        save_steps=save_steps,
        remove_unused_columns=False,
        dataloader_num_workers=workers,
        dataloader_persistent_workers=workers > 0,
        dataloader_pin_memory=False,
        report_to="none",
        disable_tqdm=True,
        seed=3,
    )
    trainer = transformers.Trainer(
        model=model, args=arguments, train_dataset=data, data_collator=collate
    )
    trainer.train(resume_from_checkpoint=checkpoint)
    return model
