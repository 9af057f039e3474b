"""Hugging Face's Trainer over a Dataset."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is the extra 'torch'")
pytest.importorskip("transformers", reason="transformers is of the group 'loops'")
pytest.importorskip("accelerate", reason="accelerate is of the group 'loops'")

from loops.records import BATCH, N_IMAGES, images_of, of, twice
from loops.tiny_model import train

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")

STEPS = 6
"""Batches of 4 of 21 images."""


@pytest.mark.parametrize("workers", [0, 2])
def test_three_epochs_and_resumed_in_the_second(store, tmp_path, workers, table):
    saved = STEPS + 2
    found = train(store, tmp_path, workers, saved).epochs(STEPS)
    assert all(images_of(samples) == list(range(N_IMAGES)) for samples in found)
    assert len(found) == 3
    assert twice(sample for samples in found for sample in samples) == 0

    resumed = train(store, tmp_path, workers, saved, tmp_path / f"checkpoint-{saved}", epoch=1)
    rest = resumed.epochs(STEPS, skipped=2)
    assert rest == [found[1][2 * BATCH :], found[2]]
    table(f"Hugging Face Trainer, workers={workers}", found, resumed=rest[0])


def test_two_ranks(two_ranks, table):
    """Where Accelerate tells the sampler which epoch it is, but not the dataset."""
    found = of(two_ranks("with_accelerate"), "of_a_trainer")
    for parts in zip(*found, strict=True):
        assert {image for part in parts for image, _ in part} == set(range(N_IMAGES))
    assert [len(epochs) for epochs in found] == [3, 3]
    # An image that is read on one rank in an epoch and on the other in the next is no exception.
    assert twice(one for epochs in found for samples in epochs for one in samples) == 0
    table("Hugging Face Trainer, workers=2", *found)
