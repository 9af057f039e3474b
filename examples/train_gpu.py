"""Train a small segmentation network with batches that are made on the GPU, with no worker process.

    pip install 'mtfast[gpu]'
    python examples/train_gpu.py

It takes less than a minute, most of it for making a synthetic dataset. The files of the set lie
compressed in the memory of the GPU; each batch is decoded, turned, scaled and painted there, on a
stream beside that of the training step. All else is as in train_tiny.py, checkpoints included: the
batches are those of mtfast.loaders.torch.Loader, and a state of one loader resumes the other.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from itertools import chain, repeat
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

import mtfast
from mtfast.loaders import Augment
from mtfast.loaders.gpu import Loader
from mtfast.loaders.torch import Dataset
from mtfast.synth import make_set

CLASSES = 4
SEED = 0


class Scale(NamedTuple):
    """How much is trained; sizes are in pixels."""

    images: int = 64
    size: tuple[int, int] = (480, 640)
    crop: int = 256
    batch: int = 16
    steps: int = 400
    channels: int = 24


def make_store(folder: Path, scale: Scale) -> Path:
    """Make a synthetic dataset, and convert it with the crop index that the GPU decodes with."""
    dataset = make_set(
        folder / "set", train=scale.images, test=0, size=scale.size, classes=CLASSES, seed=SEED
    )
    return mtfast.convert(dataset, folder / "set.zarr", crop_index=True)


def make_network(channels: int) -> nn.Module:
    """Make a few convolutions, the last ones at half the resolution."""
    return nn.Sequential(
        block(3, channels, stride=1),
        block(channels, 2 * channels, stride=2),
        block(2 * channels, 2 * channels, stride=1),
        nn.Conv2d(2 * channels, 1 + CLASSES, 1),
        nn.Upsample(scale_factor=2, mode="bilinear"),
    )


def block(n_in: int, n_out: int, stride: int) -> nn.Module:
    """Make a 3 x 3 convolution with batch normalization and ReLU."""
    convolution = nn.Conv2d(n_in, n_out, 3, stride, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(n_out), nn.ReLU())


def train(store: Path, scale: Scale, device: str) -> list[float]:
    """Train, and return the loss of every step."""
    torch.manual_seed(SEED)
    network = make_network(scale.channels).to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    augment = Augment(near=0.5, scale=(0.8, 1.25))
    data = Dataset(store, crop=scale.crop, augment=augment, targets=["semantic"], seed=SEED)
    losses = []
    with Loader(data, scale.batch, device=device, drop_last=True) as loader:
        batches = chain.from_iterable(repeat(loader))
        start = time.perf_counter()
        for _, batch in zip(range(scale.steps), batches, strict=False):
            # Both are on the device already.
            scores = network(batch["image"].float() / 255)
            loss = functional.cross_entropy(scores, batch["semantic"].long())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            # Kept there: to look at it now would be to wait for the step.
            losses.append(loss.detach())
        found: list[float] = torch.stack(losses).tolist()
        rate = scale.steps * scale.batch / (time.perf_counter() - start)
    print(f"{scale.steps} steps, {rate:,.0f} windows a second")
    return found


def main(arguments: list[str] | None = None, scale: Scale | None = None) -> list[float]:
    """Run the example; return the losses."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", default="cuda", help='"cpu" shows the same, slowly')
    device = parser.parse_args(arguments).device
    scale = scale or Scale()
    with tempfile.TemporaryDirectory(prefix="mtfast-train-") as folder:
        losses = train(make_store(Path(folder), scale), scale, device)
    tenth = max(1, len(losses) // 10)
    begin, end = sum(losses[:tenth]) / tenth, sum(losses[-tenth:]) / tenth
    print(f"loss: {begin:.3f} in the first tenth, {end:.3f} in the last")
    # Not ">=", which is false for a loss that is not a number.
    if not end < begin:
        raise SystemExit("the loss did not fall")
    return losses


if __name__ == "__main__":
    main()
