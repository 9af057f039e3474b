"""Train a small segmentation network from a store on the CPU, stop in mid-epoch and go on.

    pip install 'mtfast[torch]'
    python examples/train_tiny.py

It makes a synthetic set, converts it, and trains for about a minute. In the middle of an epoch the
training stops; a new loader and a new network go on from the checkpoint with the batches that
would have come next.
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
    """How much is trained."""

    images: int = 64
    size: tuple[int, int] = (480, 640)
    crop: int = 192
    batch: int = 8
    epochs: int = 8
    channels: int = 24


class Network(nn.Module):
    """Two steps down and two up again, with a shortcut: a very small U-Net."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _block(3, channels, 1)
        self.down = nn.Sequential(_block(channels, 2 * channels, 2), _block(2 * channels, 64, 2))
        self.last = nn.Conv2d(channels + 64, CLASSES + 1, 1)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return a score for background and each class, (B, classes + 1, h, w)."""
        fine = self.first(image.float() / 255)
        coarse = functional.interpolate(self.down(fine), size=fine.shape[-2:], mode="bilinear")
        scores: torch.Tensor = self.last(torch.cat([fine, coarse], 1))
        return scores


def _block(n_in: int, n_out: int, stride: int) -> nn.Sequential:
    convolution = nn.Conv2d(n_in, n_out, 3, stride, 1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(n_out), nn.ReLU())


class Training:
    """A network, its optimizer and its loader: all that a checkpoint holds."""

    def __init__(self, store: Path, scale: Scale, workers: int) -> None:
        torch.manual_seed(SEED)
        self.network = Network(scale.channels)
        self.optimizer = torch.optim.Adam(self.network.parameters(), 3e-3)
        self.loader = make_loader(store, scale, workers)
        self.images: list[list[int]] = []
        self.losses: list[float] = []

    def run(self, epochs: int, stop_after: int | None = None) -> None:
        """Train up to an epoch, or stop after so many batches."""
        for epoch in range(self.loader.epoch, epochs):
            for batch in self.loader:
                scores = self.network(batch["image"])
                loss = functional.cross_entropy(scores, batch["semantic"].long())
                self.optimizer.zero_grad()
                loss.backward()
                self.optimizer.step()
                self.images.append(batch["index"].tolist())
                self.losses.append(loss.item())
                if len(self.losses) == stop_after:
                    return
            print(f"epoch {epoch}: loss {self.losses[-1]:.3f}", flush=True)

    def save(self, path: Path) -> None:
        """Write a checkpoint."""
        parts = (self.network, self.optimizer, self.loader)
        torch.save([part.state_dict() for part in parts], path)

    def load(self, path: Path) -> None:
        """Go on from a checkpoint."""
        states = torch.load(path)
        for part, state in zip((self.network, self.optimizer, self.loader), states, strict=True):
            part.load_state_dict(state)


def make_loader(store: Path, scale: Scale, workers: int) -> Loader:
    """Make the loader; nothing but the number of workers may differ between runs."""
    augment = Augment(near=0.7, scale=(0.8, 1.25))
    data = Dataset(store, crop=scale.crop, augment=augment, targets=["semantic"], seed=SEED)
    return Loader(data, scale.batch, workers=workers)


def train(folder: Path, scale: Scale, workers: int) -> list[float]:
    """Train, stop in mid-epoch, go on; return the loss of every step."""
    made = make_set(
        folder / "set", train=scale.images, test=0, size=scale.size, classes=CLASSES, seed=SEED
    )
    store = mtfast.convert(made, folder / "set.zarr")
    first = Training(store, scale, workers)
    steps = len(first.loader) * scale.epochs
    stop = steps // 2 - len(first.loader) // 2
    first.run(scale.epochs, stop_after=stop)
    first.save(folder / "checkpoint.pt")
    first.loader.close()
    state = first.loader.state_dict()
    print(
        f"stopped in epoch {state['epoch']}, after {state['handed']} of {state['samples']} images"
    )

    second = Training(store, scale, 0 if workers else 1)
    second.load(folder / "checkpoint.pt")
    second.run(scale.epochs)
    second.loader.close()

    with make_loader(store, scale, 0) as loader:
        expected = [batch["index"].tolist() for _ in range(scale.epochs) for batch in loader]
    if first.images + second.images != expected:
        raise SystemExit("the batches are not those of a training that never stopped")
    print(f"all {steps} batches are those of a training that never stopped")
    return first.losses + second.losses


def main(arguments: list[str] | None = None, scale: Scale | None = None) -> list[float]:
    """Run the example; return the losses."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--workers", type=int, default=2)
    workers = parser.parse_args(arguments).workers
    with tempfile.TemporaryDirectory(prefix="mtfast-train-") as folder:
        losses = train(Path(folder), scale or Scale(), workers)
    n = max(1, len(losses) // 10)
    begin, end = sum(losses[:n]) / n, sum(losses[-n:]) / n
    print(f"loss: {begin:.3f} in the first tenth, {end:.3f} in the last")
    if not end < begin:
        raise SystemExit("the loss did not fall")
    return losses


if __name__ == "__main__":
    main()
