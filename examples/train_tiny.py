"""Train a small segmentation network on the CPU, stop in mid-epoch, and resume.

    pip install 'mtfast[torch]'
    python examples/train_tiny.py

It takes about a minute. The steps are those of any training:

1. make a dataset (here a synthetic one) and convert it to a store, once;
2. make a loader of random windows, half of them near flakes;
3. train, and save a checkpoint with the network, the optimizer and the loader;
4. later, load the checkpoint and go on with the very batch that would have come next.

At the end it checks step 4: the batches of both halves are those of a training that never stopped.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

import mtfast
from mtfast.loaders import Augment
from mtfast.loaders.torch import Dataset, Loader
from mtfast.synth import make_set

CLASSES = 4
SEED = 0


class Scale(NamedTuple):
    """How much is trained; sizes are in pixels."""

    images: int = 64
    size: tuple[int, int] = (480, 640)
    crop: int = 192
    batch: int = 8
    epochs: int = 8
    channels: int = 24


# --- 1. A store ---------------------------------------------------------------------------------


def make_store(folder: Path, scale: Scale) -> Path:
    """Make a synthetic dataset in the layout of the published ones, and convert it.

    On the command line:  mtfast synth set --train 64  and  mtfast convert set set.zarr --crop-index
    """
    dataset = make_set(
        folder / "set", train=scale.images, test=0, size=scale.size, classes=CLASSES, seed=SEED
    )
    # With the crop index a window is decoded without the rest of its image.
    return mtfast.convert(dataset, folder / "set.zarr", crop_index=True)


# --- 2. A loader --------------------------------------------------------------------------------


def make_loader(store: Path, scale: Scale, workers: int) -> Loader:
    """Make the loader. The seed fixes the order and every window, for any number of workers."""
    augment = Augment(near=0.5, scale=(0.8, 1.25))
    data = Dataset(store, crop=scale.crop, augment=augment, targets=["semantic"], seed=SEED)
    return Loader(data, scale.batch, workers=workers)


# --- 3. Training --------------------------------------------------------------------------------


class Network(nn.Module):
    """A very small U-Net: two steps down, and one up again with a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fine = block(3, channels, stride=1)
        self.coarse = nn.Sequential(
            block(channels, 2 * channels, stride=2), block(2 * channels, 64, stride=2)
        )
        self.scores = nn.Conv2d(channels + 64, 1 + CLASSES, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Map (B, 3, h, w) uint8 images to scores of the background and each class."""
        fine = self.fine(image.float() / 255)
        coarse = functional.interpolate(self.coarse(fine), size=fine.shape[-2:], mode="bilinear")
        scores: torch.Tensor = self.scores(torch.cat([fine, coarse], 1))
        return scores


def block(n_in: int, n_out: int, stride: int) -> nn.Sequential:
    """Make a 3 x 3 convolution with batch normalization and ReLU."""
    convolution = nn.Conv2d(n_in, n_out, 3, stride, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(n_out), nn.ReLU())


class Training:
    """A network, its optimizer and its loader, and what they have done so far."""

    def __init__(self, store: Path, scale: Scale, workers: int) -> None:
        torch.manual_seed(SEED)
        self.network = Network(scale.channels)
        self.optimizer = torch.optim.Adam(self.network.parameters(), 3e-3)
        self.loader = make_loader(store, scale, workers)
        self.images: list[list[int]] = []
        self.losses: list[float] = []

    def run(self, epochs: int, stop_after: int | None = None) -> None:
        """Train until so many epochs are over, or stop after so many batches."""
        # A resumed loader starts in the epoch in which it stopped.
        for epoch in range(self.loader.epoch, epochs):
            for batch in self.loader:
                self.step(batch["image"], batch["semantic"])
                self.images.append(batch["index"].tolist())
                if len(self.losses) == stop_after:
                    return
            print(f"epoch {epoch}: loss {self.losses[-1]:.3f}", flush=True)

    def step(self, image: torch.Tensor, semantic: torch.Tensor) -> None:
        """Take one step of gradient descent."""
        # Masks hold 0 for background and classes from 1 on, which is what cross_entropy wants.
        loss = functional.cross_entropy(self.network(image), semantic.long())
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.losses.append(loss.item())

    def save(self, path: Path) -> None:
        """Write a checkpoint. The loader's state counts the samples that were trained on."""
        stateful = {"network": self.network, "optimizer": self.optimizer, "loader": self.loader}
        torch.save({name: part.state_dict() for name, part in stateful.items()}, path)

    def load(self, path: Path) -> None:
        """Continue from a checkpoint."""
        states = torch.load(path)
        self.network.load_state_dict(states["network"])
        self.optimizer.load_state_dict(states["optimizer"])
        self.loader.load_state_dict(states["loader"])


# --- 4. Stopping and resuming -------------------------------------------------------------------


def train(folder: Path, scale: Scale, workers: int) -> list[float]:
    """Train, stop in mid-epoch and resume; return the loss of every step."""
    store = make_store(folder, scale)
    checkpoint = folder / "checkpoint.pt"

    first = Training(store, scale, workers)
    batches = len(first.loader)
    first.run(scale.epochs, stop_after=batches * scale.epochs // 2 - batches // 2)
    first.save(checkpoint)
    first.loader.close()
    state = first.loader.state_dict()
    print(
        f"stopped in epoch {state['epoch']}, after {state['handed']} of {state['samples']} images"
    )

    # The number of workers (or of GPUs) may change from run to run.
    second = Training(store, scale, workers=0 if workers else 1)
    second.load(checkpoint)
    second.run(scale.epochs)
    second.loader.close()

    expect_all_batches(store, scale, first.images + second.images)
    return first.losses + second.losses


def expect_all_batches(store: Path, scale: Scale, images: list[list[int]]) -> None:
    """Compare the images of all batches with those of a loader that never stops."""
    with make_loader(store, scale, workers=0) as loader:
        expected = [batch["index"].tolist() for _ in range(scale.epochs) for batch in loader]
    if images != expected:
        raise SystemExit("the batches are not those of a training that never stopped")
    print(f"all {len(images)} batches are those of a training that never stopped")


def main(arguments: list[str] | None = None, scale: Scale | None = None) -> list[float]:
    """Run the example; return the losses."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--workers", type=int, default=2, help="processes that read samples")
    workers = parser.parse_args(arguments).workers
    with tempfile.TemporaryDirectory(prefix="mtfast-train-") as folder:
        losses = train(Path(folder), scale or Scale(), workers)
    tenth = max(1, len(losses) // 10)
    begin, end = sum(losses[:tenth]) / tenth, sum(losses[-tenth:]) / tenth
    print(f"loss: {begin:.3f} in the first tenth, {end:.3f} in the last")
    # Not ">=", which is false for a loss that is not a number.
    if not end < begin:
        raise SystemExit("the loss did not fall")
    return losses


if __name__ == "__main__":
    main()
